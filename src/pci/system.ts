/**
 * The system that PCI functions belong to: where its trees are, and the few things that are done to
 * it. Everything in this folder goes through it, so that tests put a fabricated tree in its place.
 *
 * Invariant: nothing but write() and loadModule() changes anything.
 */
import { execFileSync } from 'node:child_process'
import { closeSync, constants, openSync, readFileSync, readdirSync, readlinkSync, writeSync } from 'node:fs'
import { basename } from 'node:path'

export type PciSystem = {
  /** '/sys', '/proc', '/dev', '/lib/modules'; and where lists of PCI identifiers may be. */
  readonly sys: string
  readonly proc: string
  readonly dev: string
  readonly modules: string
  readonly identifiers: readonly string[]
  /** Writes to a file of sysfs. Throws what the kernel answers. */
  readonly write: (path: string, text: string) => void
  /** False when there is no such module, or loading it is not permitted. */
  readonly loadModule: (name: string) => boolean
}

export const LINUX: PciSystem = {
  sys: '/sys',
  proc: '/proc',
  dev: '/dev',
  modules: '/lib/modules',
  identifiers: ['/usr/share/misc/pci.ids', '/usr/share/hwdata/pci.ids'],
  // Some of these files may be written only: to open them for reading, too, is refused.
  write: (path, text) => {
    const file = openSync(path, constants.O_WRONLY)
    try {
      writeSync(file, text)
    } finally {
      closeSync(file)
    }
  },
  loadModule: (name) => {
    try {
      execFileSync('modprobe', [name], { stdio: 'ignore' })
      return true
    } catch {
      return false
    }
  },
}

/** A file's text without the last line end; null when it cannot be read. */
export function textOf(path: string): string | null {
  try {
    return readFileSync(path, 'utf8').trimEnd()
  } catch {
    return null
  }
}

/** What is in a folder, in order; nothing when there is no such folder. */
export function namesIn(path: string): string[] {
  try {
    return readdirSync(path).sort()
  } catch {
    return []
  }
}

/** The last name of what a link points to; null when it is none. */
export function linkName(path: string): string | null {
  const target = linkTarget(path)
  return target === null ? null : basename(target)
}

export function linkTarget(path: string): string | null {
  try {
    return readlinkSync(path)
  } catch {
    return null
  }
}

/** Whether somebody has claimed a block device for himself alone: a mount, swap, another driver. */
export function isClaimed(path: string): boolean {
  try {
    closeSync(openSync(path, constants.O_RDONLY | constants.O_EXCL))
    return false
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EBUSY'
  }
}
