/**
 * Takes an NVMe controller out of the kernel's hands, and gives it back.
 * `weft pci bind` and `release` → here → sysfs. The target takes a device with takeDevice().
 *
 *   nvme ── unbind ─▶ (none) ── driver_override, drivers_probe ─▶ vfio-pci │ uio_pci_generic
 *
 * Invariant: a device that is in use, or whose neighbours are, is left as it is; one that could not
 * be bound is given back to the driver that it had.
 */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { PciAccess } from '../shim/pci.ts'
import { folderOf, nvmeFunction, type PciFunction } from './function.ts'
import { PciRefusal } from './refusal.ts'
import { linkName, namesIn, type PciSystem, textOf } from './system.ts'
import { usesOf } from './use.ts'

const VFIO = 'vfio-pci'
const UIO = 'uio_pci_generic'
/** Drivers that leave a device alone, so that a neighbour in its group does no harm. */
const HARMLESS: readonly (string | null)[] = [VFIO, 'pci-stub', 'pcieport', null]
/** The driver that the kernel itself has for an NVMe controller. */
const KERNEL_DRIVER = 'nvme'

export const WITHOUT_IOMMU = 'Without an IOMMU nothing confines the device: one that is faulty, or '
  + 'that was told a wrong address, can overwrite any memory of this machine, and what it still has '
  + 'under way when weft is killed may land in memory that another program got meanwhile. There are '
  + 'no interrupts either: a processor spins while commands are under way.'

export type Bound = {
  readonly address: string
  readonly driver: string
  /** Whether it was so before. */
  readonly already: boolean
}

/** Binds to vfio-pci; with withoutIommu, where there is no IOMMU, to uio_pci_generic. */
export function bindDevice(system: PciSystem, text: string, withoutIommu: boolean): Bound {
  const at = nvmeFunction(system, text)
  const driver = driverFor(at, withoutIommu)
  if (at.driver === driver) return { address: at.address, driver, already: true }
  const reasons = [...usesOf(system, at).map((use) => use.sentence), ...neighbourReasons(system, at)]
  if (reasons.length > 0) {
    throw new PciRefusal(at.address, [`${at.address} (${at.model}) stays with the kernel:`, ...reasons])
  }
  if (driver === UIO) requireHugePages(system, at)
  if (!hasDriver(system, driver) && !(system.loadModule(driver) && hasDriver(system, driver))) {
    throw new PciRefusal(at.address, [`The kernel has no driver ${driver}: modprobe ${driver} fails. It `
      + 'comes with the kernel\'s modules (Debian: linux-image, not the cloud variant), and only root '
      + 'may load it.'])
  }
  rebind(system, at, driver)
  return { address: at.address, driver, already: false }
}

/** Gives a device back to the kernel's own driver. */
export function releaseDevice(system: PciSystem, text: string): Bound {
  const at = nvmeFunction(system, text)
  if (at.driver === KERNEL_DRIVER) return { address: at.address, driver: KERNEL_DRIVER, already: true }
  if (at.driver !== null && at.driver !== VFIO && at.driver !== UIO) {
    throw new PciRefusal(at.address, [`${at.address} is driven by ${at.driver}, which weft did not bind `
      + 'it to. It is left as it is.'])
  }
  const uses = usesOf(system, at)
  if (uses.length > 0) {
    throw new PciRefusal(at.address, [`${at.address} cannot be given back yet:`,
      ...uses.map((use) => use.sentence)])
  }
  if (!hasDriver(system, KERNEL_DRIVER)) system.loadModule(KERNEL_DRIVER)
  change(system, at, 'driver_override', '\n')
  if (at.driver !== null) change(system, at, 'driver/unbind', at.address)
  probe(system, at)
  const now = driverNow(system, at)
  if (now !== KERNEL_DRIVER) {
    throw new PciRefusal(at.address, [`${at.address} has no driver now: the kernel's nvme driver did not `
      + 'take it. dmesg says why; modprobe nvme loads the driver.'])
  }
  return { address: at.address, driver: now, already: false }
}

/** How the shim reaches a device that is bound, by bind or by hand. Throws a PciRefusal. */
export function accessTo(system: PciSystem, text: string): PciAccess {
  const at = nvmeFunction(system, text)
  const folder = folderOf(system, at.address)
  if (at.driver === UIO) {
    const [name] = namesIn(join(folder, 'uio'))
    if (name !== undefined) return { by: 'uio', folder, path: join(system.dev, name) }
  }
  if (at.driver === VFIO && at.group !== null) {
    const path = join(system.dev, 'vfio', at.group)
    if (existsSync(path)) return { by: 'vfio', address: at.address, path }
    const [name] = namesIn(join(folder, 'vfio-dev'))
    if (name !== undefined) return { by: 'iommufd', path: join(system.dev, 'vfio/devices', name) }
  }
  throw new PciRefusal(at.address, [`${at.address} is driven by ${at.driver ?? 'nobody'}, not by `
    + `${VFIO}. Take it first: weft pci bind ${at.address}`])
}

/** Binds a device unless it is bound, and says how the shim reaches it. */
export function takeDevice(system: PciSystem, text: string): PciAccess {
  const at = nvmeFunction(system, text)
  if (at.driver !== VFIO && at.driver !== UIO) bindDevice(system, text, false)
  return accessTo(system, text)
}

function driverFor(at: PciFunction, withoutIommu: boolean): string {
  if (at.group !== null) return VFIO
  if (withoutIommu) return UIO
  throw new PciRefusal(at.address, [`No IOMMU stands between ${at.address} and memory. Switch it on in the `
    + 'firmware (VT-d, AMD-Vi, SMMU) and in the kernel (intel_iommu=on; AMD needs no word); '
    + 'weft doctor says what is missing. To go without one, at your risk: '
    + `weft pci bind ${at.address} --without-iommu`])
}

function neighbourReasons(system: PciSystem, at: PciFunction): string[] {
  const busy = at.neighbours
    .map((address) => ({ address, driver: linkName(join(folderOf(system, address), 'driver')) }))
    .filter(({ driver }) => !HARMLESS.includes(driver))
  if (busy.length === 0) return []
  const list = busy.map(({ address, driver }) => `${address} (${driver})`).join(', ')
  return [`It shares IOMMU group ${at.group} with ${list}: the hardware cannot keep them apart, so they `
    + 'are taken together or not at all. Put the drive into another slot, or bind these too when '
    + 'nothing uses them: echo vfio-pci > /sys/bus/pci/devices/ADDRESS/driver_override']
}

function requireHugePages(system: PciSystem, at: PciFunction): void {
  const folder = join(system.sys, 'kernel/mm/hugepages/hugepages-2048kB')
  if (Number(textOf(join(folder, 'nr_hugepages')) ?? 0) > 0) return
  throw new PciRefusal(at.address, ['Without an IOMMU the memory must be huge pages, and none are '
    + `reserved. Reserve some first, 2 MiB each: echo 512 > ${join(folder, 'nr_hugepages')}`])
}

function rebind(system: PciSystem, at: PciFunction, driver: string): void {
  change(system, at, 'driver_override', driver)
  try {
    if (at.driver !== null) change(system, at, 'driver/unbind', at.address)
    probe(system, at)
    if (driverNow(system, at) === driver) return
  } finally {
    // Back to where it was: an override that stays would keep the kernel's driver away.
    if (driverNow(system, at) !== driver) change(system, at, 'driver_override', '\n')
  }
  probe(system, at)
  throw new PciRefusal(at.address, [`${driver} did not take ${at.address}, which is back with `
    + `${driverNow(system, at) ?? 'nobody'}. dmesg says why.`])
}

function hasDriver(system: PciSystem, driver: string): boolean {
  return existsSync(join(system.sys, 'bus/pci/drivers', driver))
}

function driverNow(system: PciSystem, at: PciFunction): string | null {
  return linkName(join(folderOf(system, at.address), 'driver'))
}

function probe(system: PciSystem, at: PciFunction): void {
  attempt(system, at, join(system.sys, 'bus/pci/drivers_probe'), at.address)
}

function change(system: PciSystem, at: PciFunction, name: string, text: string): void {
  attempt(system, at, join(folderOf(system, at.address), name), text)
}

function attempt(system: PciSystem, at: PciFunction, path: string, text: string): void {
  try {
    system.write(path, text)
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    // A driver that refuses a device says so by this, and who probed looks for himself.
    if (path.endsWith('drivers_probe') && code !== 'EACCES' && code !== 'EPERM') return
    const why = code === 'EACCES' || code === 'EPERM'
      ? 'only root may do that. Run it with sudo' : message
    throw new PciRefusal(at.address, [`${path} cannot be written: ${why}.`])
  }
}
