/**
 * Opens what the configuration names: memory, files, block devices. The control plane does it once, at start;
 * every reactor uses the same ids.  target calls it; it calls the shim.
 *
 * Invariant: what was opened is listed, so that a start that fails gives everything back.
 */
import { closeSync, fsyncSync, openSync } from 'node:fs'
import { constants } from 'node:os'
import type { Backing, NamespaceConfig } from '../config/config.ts'
import { StartError } from '../config/start-error.ts'
import { FILE } from '../shim/abi.ts'
import { errnoName, type FileFacts, type Shim } from '../shim/shim.ts'
import type { DeviceSnapshot } from '../subsystem/subsystem.ts'

/** A namespace's storage, open. */
export type OpenBacking = {
  readonly device: DeviceSnapshot
  readonly blockBytes: number
  readonly blockCount: number
  readonly readOnly: boolean
  /** What an operator should know of it; '' = nothing. */
  readonly note: string
}

const { EWOULDBLOCK, EAGAIN, EBUSY, ENOENT, EACCES, EPERM, EISDIR, EROFS, ENOSPC } = constants.errno

export class Backings {
  readonly #shim: Shim
  readonly #regions: number[] = []
  readonly #files: { readonly file: number; readonly path: string; readonly readOnly: boolean }[] = []

  constructor(shim: Shim) {
    this.#shim = shim
  }

  /** Throws a StartError that says what is wrong and what would be right. */
  open(namespace: NamespaceConfig): OpenBacking {
    const { backing } = namespace
    return 'path' in backing
      ? this.#openFile(namespace, backing)
      : this.#openMemory(namespace, backing)
  }

  /** Everything that was acknowledged, onto the medium. Returns the files with which that failed, and why. */
  sync(): { readonly path: string; readonly reason: string }[] {
    const failures: { readonly path: string; readonly reason: string }[] = []
    for (const { path, readOnly } of this.#files) {
      if (readOnly) continue
      try {
        syncFile(path)
      } catch (error) {
        // The others have a right to theirs.
        failures.push({ path, reason: (error as NodeJS.ErrnoException).code ?? String(error) })
      }
    }
    return failures
  }

  close(): void {
    for (const { file } of this.#files) this.#shim.fileClose(file)
    for (const region of this.#regions) this.#shim.regionRelease(region)
    this.#files.length = 0
    this.#regions.length = 0
  }

  #openMemory(
    namespace: NamespaceConfig, backing: Extract<Backing, { kind: 'memory' | 'null' }>,
  ): OpenBacking {
    const blockBytes = namespace.blockBytes ?? 512
    const blockCount = Math.floor(backing.bytes / blockBytes)
    const shared = { blockBytes, blockCount, readOnly: namespace.readOnly, note: '' }
    if (backing.kind === 'null') return { device: { kind: 'null' }, ...shared }
    const region = this.#shim.regionCreate(blockCount * blockBytes, true)
    if (region < 0) {
      throw new StartError(
        `There is no room for a memory namespace of ${backing.bytes} bytes (${errnoName(region)}).`,
        'Make it smaller, or give the machine more memory.',
      )
    }
    this.#regions.push(region)
    return { device: { kind: 'memory', region }, ...shared }
  }

  #openFile(
    namespace: NamespaceConfig, backing: Extract<Backing, { kind: 'file' | 'device' }>,
  ): OpenBacking {
    const { path } = backing
    const wanted = backing.kind === 'file' ? backing.bytes : null
    const create = backing.kind === 'file' && backing.create && wanted !== null
    const flags = (create ? FILE.CREATE : 0) | (wanted !== null ? FILE.GROW : 0)
      | (namespace.readOnly ? FILE.READ_ONLY : 0)
    let opened = this.#shim.fileOpen(path, flags, wanted ?? 0)
    if (typeof opened === 'number') throw openError(path, backing.kind, -opened)
    this.#files.push({ file: opened.file, path, readOnly: namespace.readOnly })
    const blockBytes = namespace.blockBytes ?? (opened.facts.logicalBytes >= 4096 ? 4096 : 512)
    let note = ''
    if (opened.facts.direct && opened.facts.logicalBytes > blockBytes) {
      if (opened.facts.blockDevice) {
        throw new StartError(
          `${path} has blocks of ${opened.facts.logicalBytes} bytes, which cannot be split into ${blockBytes}.`,
          `Leave the block size out, or say ${opened.facts.logicalBytes}.`,
        )
      }
      opened = this.#reopenBuffered(opened.file, path, flags, wanted)
      note = `${path} goes through the page cache: its file system moves ${blockBytes}-byte blocks no other way`
    } else if (!opened.facts.direct) {
      note = `${path} goes through the page cache: its file system has no direct I/O`
        + ` (${errnoName(opened.facts.directErrno)})`
    }
    return describe(path, namespace, opened.file, opened.facts, blockBytes, note)
  }

  #reopenBuffered(
    file: number, path: string, flags: number, wanted: number | null,
  ): { readonly file: number; readonly facts: FileFacts } {
    this.#shim.fileClose(file)
    this.#files.pop()
    const opened = this.#shim.fileOpen(path, flags | FILE.BUFFERED, wanted ?? 0)
    if (typeof opened === 'number') throw openError(path, 'file', -opened)
    this.#files.push({ file: opened.file, path, readOnly: (flags & FILE.READ_ONLY) !== 0 })
    return opened
  }
}

function syncFile(path: string): void {
  const descriptor = openSync(path, 'r')
  try {
    fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
}

function describe(
  path: string, namespace: NamespaceConfig, file: number, facts: FileFacts, blockBytes: number, note: string,
): OpenBacking {
  const blockCount = Math.floor(facts.bytes / blockBytes)
  if (blockCount === 0) {
    throw new StartError(
      `${path} is empty.`, 'Say how large it should be, for example --size 10G.',
    )
  }
  return {
    device: {
      kind: facts.blockDevice ? 'block' : 'file',
      path, file, direct: facts.direct, logicalBytes: facts.logicalBytes, physicalBytes: facts.physicalBytes,
      optimalBytes: facts.optimalBytes, discardBytes: facts.discardBytes, boundaryBytes: facts.boundaryBytes,
      discard: facts.discard, zero: facts.zero, readOnly: facts.readOnly,
    },
    blockBytes, blockCount, readOnly: namespace.readOnly || facts.readOnly, note,
  }
}

function openError(path: string, kind: 'file' | 'device', errno: number): StartError {
  switch (errno) {
    case EWOULDBLOCK:
    case EAGAIN:
      return new StartError(
        `${path} is in use by another process that has locked it, perhaps a second weft.`,
        'Stop that one, or serve another file.',
      )
    case EBUSY:
      return new StartError(
        `${path} is mounted or otherwise in use on this machine.`,
        'Unmount it (findmnt and lsblk show where it is used), then start again.',
      )
    case ENOENT:
      return new StartError(
        `${path} does not exist.`,
        kind === 'file' ? 'Say how large it should be to create it, for example --size 10G.' : 'lsblk lists the devices there are.',
      )
    case EACCES:
    case EPERM:
      return new StartError(`There is no permission to open ${path}.`, 'Start weft as a user who may, or with sudo.')
    case EISDIR:
      return new StartError(`${path} is a directory.`, 'Name a file in it.')
    case EROFS:
      return new StartError(`${path} is on a read-only file system.`, 'Export it read-only, or mount that writable.')
    case ENOSPC:
      return new StartError(`The file system has no space for ${path}.`, 'Make it smaller, or make room.')
    default:
      return new StartError(`${path} cannot be opened (${errnoName(errno)}).`)
  }
}
