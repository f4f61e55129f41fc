/**
 * What a PCI device is used for at the moment, so that nobody takes it away from under a file system.
 *
 *   function ─▶ nvme0 ─▶ nvme0n1, nvme0n1p1 … ─▶ mounts │ swap │ holders (dm, md, LVM) │ open files
 *           └─▶ /dev/vfio/GROUP, /dev/vfio/devices/vfioN, /dev/uioN ─▶ open files
 *
 * Read by list, bind and release. With native multipath the disk is named without the controller
 * (nvme0n1 for the path nvme0c0n1).
 */
import { join } from 'node:path'
import { folderOf, type PciFunction } from './function.ts'
import { isClaimed, linkTarget, namesIn, type PciSystem, textOf } from './system.ts'

/** One use: what a list says in a word or two, and what bind says about it. */
export type Use = { readonly word: string; readonly sentence: string }

/** Empty: nothing on this system would miss the device. */
export function usesOf(system: PciSystem, at: PciFunction): Use[] {
  const disks = disksOf(system, at.address)
  const uses = disks.flatMap((disk) => [
    ...mountsOf(system, disk), ...swapOf(system, disk), ...holdersOf(system, disk),
  ])
  const nodes = [...disks.flatMap((disk) => partsOf(system, disk)), ...controllersOf(system, at.address)]
    .map((name) => join('/dev', name))
  const open = openBy(system, [...nodes, ...accessNodes(system, at)])
  uses.push(...open.map(({ path, pid, name }) => ({
    word: `open in ${name}`,
    sentence: `${path} is held open by ${name} (process ${pid}). End it first.`,
  })))
  if (uses.length > 0) return uses
  return disks.filter((disk) => isClaimed(join(system.dev, disk))).map((disk) => ({
    word: 'claimed',
    sentence: `/dev/${disk} is claimed by the kernel: mounted elsewhere (a container), part of a `
      + 'ZFS pool, or served by nvmet. Unmount it there, or export the pool.',
  }))
}

/** The disks of a controller that the kernel drives: nvme0n1. */
function disksOf(system: PciSystem, address: string): string[] {
  const folder = join(folderOf(system, address), 'nvme')
  const disks = namesIn(folder).flatMap((controller) => namesIn(join(folder, controller)))
    .filter((name) => /^nvme\d+(c\d+)?n\d+$/.test(name))
    .map((name) => name.replace(/c\d+n/, 'n'))
  return [...new Set(disks)]
}

function controllersOf(system: PciSystem, address: string): string[] {
  return namesIn(join(folderOf(system, address), 'nvme'))
}

/** The disk itself and its partitions. */
function partsOf(system: PciSystem, disk: string): string[] {
  const folder = join(system.sys, 'block', disk)
  return [disk, ...namesIn(folder).filter((name) => name.startsWith(`${disk}p`))]
}

function sysfsOf(system: PciSystem, disk: string, part: string): string {
  return part === disk ? join(system.sys, 'block', disk) : join(system.sys, 'block', disk, part)
}

/** Fields of a line: id parent MAJOR:MINOR root WHERE options… - type SOURCE options. */
function mountsOf(system: PciSystem, disk: string): Use[] {
  const lines = (textOf(join(system.proc, 'self/mountinfo')) ?? '').split('\n')
  const uses: Use[] = []
  for (const part of partsOf(system, disk)) {
    const number = textOf(join(sysfsOf(system, disk, part), 'dev'))
    for (const line of lines) {
      const [before, after] = line.split(' - ')
      const fields = before!.split(' ')
      // btrfs and the like have a device number of their own.
      if (fields[2] !== number && after?.split(' ')[1] !== `/dev/${part}`) continue
      const where = unescapeMount(fields[4] ?? '')
      uses.push({
        word: `mounted on ${where}`,
        sentence: `/dev/${part} is mounted on ${where}. Unmount it first: umount ${where}`,
      })
    }
  }
  return uses
}

function unescapeMount(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)))
}

function swapOf(system: PciSystem, disk: string): Use[] {
  const listed = (textOf(join(system.proc, 'swaps')) ?? '').split('\n').map((line) => line.split(/\s/)[0])
  return partsOf(system, disk).filter((part) => listed.includes(`/dev/${part}`)).map((part) => ({
    word: 'swap',
    sentence: `/dev/${part} is swap space. Switch it off first: swapoff /dev/${part}`,
  }))
}

function holdersOf(system: PciSystem, disk: string): Use[] {
  return partsOf(system, disk).flatMap((part) =>
    namesIn(join(sysfsOf(system, disk, part), 'holders')).map((holder) => holding(system, part, holder)))
}

function holding(system: PciSystem, part: string, holder: string): Use {
  const mapped = textOf(join(system.sys, 'block', holder, 'dm/name'))
  const uuid = textOf(join(system.sys, 'block', holder, 'dm/uuid')) ?? ''
  if (uuid.startsWith('LVM-')) {
    return {
      word: `LVM ${mapped}`,
      sentence: `/dev/${part} is a physical volume of LVM, in use by ${mapped}. Deactivate its volume `
        + 'group first: vgchange --activate n GROUP (lvs names it)',
    }
  }
  if (mapped !== null) {
    return {
      word: `dm ${mapped}`,
      sentence: `/dev/${part} is part of the device-mapper device ${mapped}. Remove that first: `
        + `${uuid.startsWith('CRYPT-') ? 'cryptsetup close' : 'dmsetup remove'} ${mapped}`,
    }
  }
  if (/^md/.test(holder)) {
    return {
      word: `RAID ${holder}`,
      sentence: `/dev/${part} is a member of the RAID array ${holder}. Stop it first: `
        + `mdadm --stop /dev/${holder}`,
    }
  }
  return { word: holder, sentence: `/dev/${part} is in use by ${holder}. Stop that first.` }
}

/** Device nodes through which a process drives the function itself. */
function accessNodes(system: PciSystem, { address, group }: PciFunction): string[] {
  const folder = folderOf(system, address)
  return [
    ...(group === null ? [] : [`/dev/vfio/${group}`]),
    ...namesIn(join(folder, 'vfio-dev')).map((name) => `/dev/vfio/devices/${name}`),
    ...namesIn(join(folder, 'uio')).map((name) => `/dev/${name}`),
  ]
}

type Opener = { readonly path: string; readonly pid: string; readonly name: string }

/** Who holds one of these device nodes open, of the processes that we may look at. */
function openBy(system: PciSystem, paths: readonly string[]): Opener[] {
  const found: Opener[] = []
  for (const pid of namesIn(system.proc).filter((name) => /^\d+$/.test(name))) {
    const folder = join(system.proc, pid, 'fd')
    const held = new Set(namesIn(folder).map((fd) => linkTarget(join(folder, fd))))
    for (const path of paths) {
      if (!held.has(path)) continue
      found.push({ path, pid, name: textOf(join(system.proc, pid, 'comm')) ?? 'a program' })
    }
  }
  return found
}
