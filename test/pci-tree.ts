/**
 * A fabricated /sys, /proc and /dev with PCI devices, and a kernel that answers what is written to it:
 * unbind, driver_override and drivers_probe move the driver links. Used by tests of src/pci.
 *
 * Invariant: everything is below one temporary folder.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { linkName, type PciSystem } from '../src/pci/system.ts'

export type Part = {
  readonly address: string
  readonly class?: string
  readonly driver?: string | null
  readonly group?: string | null
  /** Its controller as the kernel drives it, and the block devices of that. */
  readonly controller?: { readonly name: string, readonly model: string, readonly paths: readonly string[] }
}

export class PciTree implements PciSystem {
  readonly root = mkdtempSync(join(tmpdir(), 'weft-pci-'))
  readonly sys = join(this.root, 'sys')
  readonly proc = join(this.root, 'proc')
  readonly dev = join(this.root, 'dev')
  readonly modules = join(this.root, 'modules')
  readonly identifiers = [join(this.root, 'pci.ids')]
  /** Every write, as FILE=TEXT, and every module that was asked for. */
  readonly done: string[] = []
  /** Modules that can be loaded; drivers that refuse every device; the end of files that may not be written. */
  readonly loadable = new Set(['vfio-pci', 'uio_pci_generic'])
  readonly refusing = new Set<string>()
  unwritable: string | null = null

  constructor() {
    for (const driver of ['nvme', 'pci-stub']) this.#driver(driver)
    this.file('proc/self/mountinfo', '1 1 0:20 / / rw - ext4 /dev/root rw\n')
    this.file('proc/swaps', 'Filename\tType\n')
    mkdirSync(join(this.sys, 'block'), { recursive: true })
    mkdirSync(this.dev)
  }

  destroy(): void {
    rmSync(this.root, { recursive: true, force: true })
  }

  file(path: string, text: string): void {
    mkdirSync(dirname(join(this.root, path)), { recursive: true })
    writeFileSync(join(this.root, path), text)
  }

  link(path: string, target: string): void {
    mkdirSync(dirname(join(this.root, path)), { recursive: true })
    symlinkSync(target, join(this.root, path))
  }

  add({ address, class: code = '0x010802', driver = 'nvme', group = '7', controller }: Part): void {
    const folder = `sys/bus/pci/devices/${address}`
    this.file(`${folder}/class`, `${code}\n`)
    this.file(`${folder}/vendor`, '0x1b36\n')
    this.file(`${folder}/device`, '0x0010\n')
    this.file(`${folder}/driver_override`, '(null)\n')
    if (driver !== null) this.link(`${folder}/driver`, this.#driver(driver))
    if (group !== null) {
      const shared = `sys/kernel/iommu_groups/${group}`
      this.link(`${shared}/devices/${address}`, join(this.root, folder))
      this.link(`${folder}/iommu_group`, join(this.root, shared))
    }
    if (controller === undefined) return
    this.file(`${folder}/nvme/${controller.name}/model`, `${controller.model.padEnd(40)}\n`)
    for (const path of controller.paths) {
      this.file(`${folder}/nvme/${controller.name}/${path}/size`, '8\n')
    }
  }

  /** A disk with partitions: name → MAJOR:MINOR. */
  disk(name: string, number: string, partitions: Readonly<Record<string, string>> = {}): void {
    this.file(`sys/block/${name}/dev`, `${number}\n`)
    for (const [part, own] of Object.entries(partitions)) this.file(`sys/block/${name}/${part}/dev`, `${own}\n`)
  }

  driverOf(address: string): string | null {
    return linkName(join(this.sys, 'bus/pci/devices', address, 'driver'))
  }

  readonly write = (path: string, text: string): void => {
    if (this.unwritable !== null && path.endsWith(this.unwritable)) {
      throw Object.assign(new Error('not permitted'), { code: 'EACCES' })
    }
    this.done.push(`${path.slice(this.sys.length + 1)}=${text.trim()}`)
    if (basename(path) === 'unbind') rmSync(join(this.sys, 'bus/pci/devices', text, 'driver'))
    else if (basename(path) === 'drivers_probe') this.#probe(text)
    else writeFileSync(path, text)
  }

  readonly loadModule = (name: string): boolean => {
    this.done.push(`modprobe ${name}`)
    if (!this.loadable.has(name)) return false
    this.#driver(name)
    return true
  }

  #probe(address: string): void {
    const folder = join(this.sys, 'bus/pci/devices', address)
    const override = readFileSync(join(folder, 'driver_override'), 'utf8').trim()
    const driver = override === '' || override === '(null)' ? 'nvme' : override
    if (!this.refusing.has(driver)) symlinkSync(this.#driver(driver), join(folder, 'driver'))
  }

  #driver(name: string): string {
    const folder = join(this.sys, 'bus/pci/drivers', name)
    mkdirSync(folder, { recursive: true })
    return folder
  }
}
