/**
 * Block devices and file systems of a test's own: loop devices on files in its directory.
 * tests → loop-device → losetup, mkfs.ext4, mount, fsfreeze. Needs the right to do so; where it is
 * missing, or the system has no loop devices, the makers return null and the tests skip.
 */
import { execFileSync } from 'node:child_process'
import { mkdirSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

function run(command: string, ...args: string[]): string {
  return execFileSync(command, args, { stdio: ['ignore', 'pipe', 'pipe'] }).toString().trim()
}

/** A loop device on a sparse file `name` of `bytes` in `directory`; its path: /dev/loop7. */
export function attachLoop(
  directory: string,
  name: string,
  bytes: number,
  blockBytes: 512 | 4096 = 512,
): string | null {
  const file = join(directory, name)
  writeFileSync(file, '')
  truncateSync(file, bytes)
  try {
    return run('losetup', '--show', '--sector-size', `${blockBytes}`, '-f', file)
  } catch {
    return null
  }
}

export function detachLoop(device: string | null): void {
  if (device !== null) run('losetup', '-d', device)
}

/** An ext4 file system of `bytes`, mounted in `directory`; its mount point. */
export function mountFileSystem(directory: string, bytes: number): string | null {
  const image = join(directory, 'file-system')
  const mountPoint = join(directory, 'mounted')
  mkdirSync(mountPoint)
  writeFileSync(image, '')
  truncateSync(image, bytes)
  try {
    run('mkfs.ext4', '-q', '-F', image)
    run('mount', '-o', 'loop', image, mountPoint)
    return mountPoint
  } catch {
    return null
  }
}

export function unmountFileSystem(mountPoint: string | null): void {
  if (mountPoint !== null) run('umount', mountPoint)
}

/** Writes to the file system wait from now on, as for a device that does not answer. */
export function freeze(mountPoint: string): void {
  run('fsfreeze', '-f', mountPoint)
}

export function thaw(mountPoint: string): void {
  run('fsfreeze', '-u', mountPoint)
}
