/**
 * NVMe controllers on the PCI bus, as sysfs shows them: address, model, driver, IOMMU group.
 * Read by `weft pci`, `weft doctor`, and by whoever takes a device. See sysfs-bus-pci of the kernel.
 *
 * Invariant: reading changes nothing.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { linkName, namesIn, type PciSystem, textOf } from './system.ts'
import { PciRefusal } from './refusal.ts'

/** Mass storage, non-volatile memory, NVM Express. */
const CLASS_NVME = 0x010802
/** A bridge does nothing by itself that a group must be kept from. */
const CLASS_BRIDGE = 0x06

export type PciFunction = {
  /** As the kernel writes it: 0000:03:00.0. */
  readonly address: string
  /** What its controller or a list of identifiers calls it; else the identifiers. */
  readonly model: string
  /** null: nobody drives it. */
  readonly driver: string | null
  /** null: no IOMMU stands between it and memory. */
  readonly group: string | null
  /** What else is in its group and not a bridge: addresses. */
  readonly neighbours: readonly string[]
}

/** Every NVMe controller of this machine, by address. */
export function nvmeFunctions(system: PciSystem): PciFunction[] {
  return namesIn(join(system.sys, 'bus/pci/devices'))
    .filter((address) => classOf(system, address) === CLASS_NVME)
    .map((address) => describe(system, address))
}

/** The controller at an address, which may lack its domain. Throws a PciRefusal. */
export function nvmeFunction(system: PciSystem, text: string): PciFunction {
  const address = completeAddress(text)
  if (address === null) {
    throw new PciRefusal(text, [`"${text}" is no PCI address. One looks like 0000:03:00.0; `
      + 'weft pci list shows those of this machine.'])
  }
  const found = classOf(system, address)
  if (found === null) {
    throw new PciRefusal(address, [`No PCI device is at ${address}. weft pci list shows what there is.`])
  }
  if (found !== CLASS_NVME) {
    throw new PciRefusal(address, [`The PCI device at ${address} is no NVMe controller (class `
      + `${found.toString(16).padStart(6, '0')}, not 010802). weft pci list shows those that are.`])
  }
  return describe(system, address)
}

/** 3:0.0, 03:00.0 or 0000:03:00.0 as the kernel writes it; null when it is none of them. */
export function completeAddress(text: string): string | null {
  const parts = /^(?:([0-9a-f]{1,8}):)?([0-9a-f]{1,2}):([0-9a-f]{1,2})\.([0-7])$/i.exec(text.trim())
  if (parts === null) return null
  const [, domain = '0', bus, device, number] = parts
  const hex = (digits: string, width: number): string => digits.toLowerCase().padStart(width, '0')
  return `${hex(domain.replace(/^0+(?=.)/, ''), 4)}:${hex(bus!, 2)}:${hex(device!, 2)}.${number}`
}

export function folderOf(system: PciSystem, address: string): string {
  return join(system.sys, 'bus/pci/devices', address)
}

function describe(system: PciSystem, address: string): PciFunction {
  const folder = folderOf(system, address)
  const group = linkName(join(folder, 'iommu_group'))
  const members = group === null ? [] : namesIn(join(folder, 'iommu_group/devices'))
  return {
    address,
    model: modelOf(system, folder),
    driver: linkName(join(folder, 'driver')),
    group,
    neighbours: members.filter((each) => each !== address && !isBridge(system, each)),
  }
}

function classOf(system: PciSystem, address: string): number | null {
  const text = textOf(join(folderOf(system, address), 'class'))
  return text === null ? null : Number.parseInt(text, 16)
}

function isBridge(system: PciSystem, address: string): boolean {
  const found = classOf(system, address)
  return found !== null && found >> 16 === CLASS_BRIDGE
}

function modelOf(system: PciSystem, folder: string): string {
  for (const controller of namesIn(join(folder, 'nvme'))) {
    const model = textOf(join(folder, 'nvme', controller, 'model'))?.trim()
    if (model !== undefined && model !== '') return model
  }
  const [vendor, device] = ['vendor', 'device'].map((name) =>
    (textOf(join(folder, name)) ?? '0x????').replace(/^0x/, ''))
  return listedName(system, vendor!, device!) ?? `PCI ${vendor}:${device}`
}

/** What a list of identifiers calls a device: lines "VVVV  vendor", below it "\tDDDD  device". */
function listedName(system: PciSystem, vendor: string, device: string): string | null {
  for (const path of system.identifiers) {
    let text: string
    try {
      text = readFileSync(path, 'utf8')
    } catch {
      continue
    }
    const begin = text.search(new RegExp(`^${vendor}  `, 'm'))
    if (begin < 0) continue
    const [head, ...lines] = text.slice(begin).split('\n')
    const end = lines.findIndex((line) => !/^(\t|#|$)/.test(line))
    const own = lines.slice(0, end < 0 ? lines.length : end)
      .find((line) => line.startsWith(`\t${device}  `))
    const name = own?.slice(7) ?? `device ${device}`
    return `${head!.slice(6)} ${name}`
  }
  return null
}
