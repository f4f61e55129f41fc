/**
 * Whether a block device may be overwritten: not when it is mounted, claimed, partitioned, or holds
 * something that looks like a file system.        fio/run.ts → device.
 *
 * Only reads: one open, 128 KiB, and the kernel's own lists. Every reason is found, not just the
 * first. A device that random writes ran over before has no signature and passes.
 */
import { closeSync, constants, existsSync, openSync, readFileSync, readSync, readdirSync,
  realpathSync, statSync } from 'node:fs'
import { basename } from 'node:path'

/** What is recognised: a name, a byte offset, and the bytes that stand there. */
const SIGNATURES: readonly (readonly [string, number, string])[] = [
  ['ext2, ext3 or ext4', 1080, '53ef'],
  ['XFS', 0, '58465342'],
  ['Btrfs', 65600, '5f42485266535f4d'],
  ['F2FS', 1024, '1020f5f2'],
  ['NTFS', 3, '4e54465320202020'],
  ['exFAT', 3, '4558464154202020'],
  ['bcachefs', 4120, 'f67385c64e1a45ca'],
  ['LVM', 512, '4c4142454c4f4e45'],
  ['LUKS', 0, '4c554b53babe'],
  ['Linux RAID', 4096, 'fc4e2ba9'],
  ['swap space', 4086, '53574150535041434532'],
  ['GPT', 512, '4546492050415254'],
  ['GPT', 4096, '4546492050415254'],
  ['a boot record: FAT or MBR partitions', 510, '55aa'],
]
export const SIGNATURE_BYTES = 128 * 1024

/** The names of what the first SIGNATURE_BYTES of a device look like. */
export function signaturesIn(start: Buffer): string[] {
  const found = SIGNATURES.filter(([, offset, hex]) => {
    const expected = Buffer.from(hex, 'hex')
    return start.subarray(offset, offset + expected.length).equals(expected)
  })
  return [...new Set(found.map(([name]) => name))]
}

/** Lines of /proc/self/mountinfo or /proc/swaps that name this device; major:minor as "259:3". */
export function usesIn(mountinfo: string, swaps: string, numbers: string, path: string): string[] {
  const mounts = mountinfo.split('\n')
    .map((line) => line.split(' '))
    .filter((fields) => fields[2] === numbers)
    .map((fields) => `mounted on ${fields[4]}`)
  const swapped = swaps.split('\n').some((line) => line.split(/\s/)[0] === path)
  return swapped ? [...mounts, 'used as swap space'] : mounts
}

/** Reasons not to write to the device; empty when there is none. Throws when it is no device. */
export function reasonsAgainst(device: string): string[] {
  const path = realpathSync(device)
  const stat = statSync(path)
  if (!stat.isBlockDevice()) throw new Error(`${device} is not a block device`)
  const numbers = `${stat.rdev >> 8 & 0xfff}:${stat.rdev & 0xff}`
  const reasons = usesIn(readFileSync('/proc/self/mountinfo', 'utf8'),
    readFileSync('/proc/swaps', 'utf8'), numbers, path)
  const sys = `/sys/class/block/${basename(path)}`
  const entries = existsSync(sys) ? readdirSync(sys) : []
  if (entries.some((name) => existsSync(`${sys}/${name}/partition`)))
    reasons.push('it has partitions')
  if (existsSync(`${sys}/holders`) && readdirSync(`${sys}/holders`).length > 0)
    reasons.push(`in use by ${readdirSync(`${sys}/holders`).join(', ')}`)
  return [...reasons, ...openReasons(path)]
}

/** Opening exclusively fails while the kernel or another program has the device to itself. */
function openReasons(path: string): string[] {
  let file: number
  try {
    file = openSync(path, constants.O_RDONLY | constants.O_EXCL)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EBUSY') throw error
    return ['the kernel or another program uses it']
  }
  try {
    const start = Buffer.alloc(SIGNATURE_BYTES)
    readSync(file, start, 0, SIGNATURE_BYTES, 0)
    return signaturesIn(start).map((name) => `it holds ${name}`)
  } finally {
    closeSync(file)
  }
}
