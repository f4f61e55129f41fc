/**
 * Opens what the configuration names: memory, files, block devices; gives it another size; gives it back. The
 * control plane does it; every reactor uses the same ids.  target and live call it; it calls the shim.
 *
 * Invariant: what was opened is listed, so that a start that fails gives everything back.
 */
import { closeSync, fsyncSync, openSync } from 'node:fs'
import type { Backing, NamespaceConfig } from '../config/config.ts'
import { StartError } from '../config/start-error.ts'
import { pciPlace } from '../nvme/address.ts'
import { FILE } from '../shim/abi.ts'
import { ERRNO } from '../shim/errno.ts'
import { errnoName, type FileFacts, type Shim } from '../shim/shim.ts'
import type { DeviceSnapshot } from '../subsystem/subsystem.ts'
import { PoolFile } from './pool.ts'
import { type DrivenController, openPci, resizePci } from './controller-namespace.ts'

/** What of a namespace, or of a device with a name, says how it is opened. */
export type StorageConfig = Pick<NamespaceConfig, 'backing' | 'blockBytes' | 'readOnly'>

/** A namespace's storage, open. */
export type OpenBacking = {
  readonly device: DeviceSnapshot
  readonly blockBytes: number
  readonly blockCount: number
  readonly readOnly: boolean
  /** What an operator should know of it; '' = nothing. */
  readonly note: string
}

const { EWOULDBLOCK, EAGAIN, EBUSY, ENOENT, EACCES, EPERM, EISDIR, EROFS, ENOSPC } = ERRNO

const MEMORY_REMEDY = 'While it is served it can grow to 64 GiB, or to four times the size it began with; make it '
  + 'larger with a new start.'

export class Backings {
  readonly #shim: Shim
  readonly #controller: (address: string) => DrivenController
  readonly #regions: number[] = []
  /** By path. */
  readonly #pools = new Map<string, PoolFile>()
  readonly #files: { readonly file: number; readonly path: string; readonly readOnly: boolean }[] = []

  /** controller: an NVMe controller that is open already. It throws a StartError. */
  constructor(shim: Shim, controller: (address: string) => DrivenController = noController) {
    this.#shim = shim
    this.#controller = controller
  }

  /** A file whose parts are opened as storage; see pool.ts. Throws a StartError. */
  openPool(path: string, id: string | null, isEmpty: boolean): PoolFile {
    const pool = PoolFile.open(this.#shim, path, id, isEmpty)
    this.#pools.set(path, pool)
    this.#files.push({ file: pool.file, path, readOnly: false })
    return pool
  }

  closePool(pool: PoolFile): void {
    this.#pools.delete(pool.path)
    this.#files.splice(this.#files.findIndex(({ file }) => file === pool.file), 1)
    pool.close()
  }

  /** Throws a StartError that says what is wrong and what would be right; nothing is open then. */
  open(namespace: StorageConfig): OpenBacking {
    const { backing } = namespace
    if (backing.kind === 'pci') return openPci(namespace, backing.path, this.#controllerOf(backing.path))
    if (backing.kind === 'pool') {
      const blockBytes = namespace.blockBytes ?? 512
      const device = this.#pools.get(backing.pool)!.use(backing)
      return { device, blockBytes, blockCount: Math.floor(backing.bytes / blockBytes), readOnly: false, note: '' }
    }
    if (!('path' in backing)) return this.#openMemory(namespace, backing)
    const before = this.#files.length
    try {
      return this.#openFile(namespace, backing)
    } catch (error) {
      for (const { file } of this.#files.splice(before)) this.#shim.fileClose(file)
      throw error
    }
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

  /** Gives one back that no reactor uses any more. */
  release({ device }: OpenBacking): void {
    if (device.kind === 'memory') {
      this.#regions.splice(this.#regions.indexOf(device.region), 1)
      this.#shim.regionRelease(device.region)
    } else if (device.kind === 'file' && device.base !== undefined) {
      this.#pools.get(device.path)?.leave(device.base)
    } else if (device.kind === 'file' || device.kind === 'block') {
      this.#files.splice(this.#files.findIndex(({ file }) => file === device.file), 1)
      this.#shim.fileClose(device.file)
    }
  }

  /**
   * The same storage as it is with another size; null: as large as it has become. It grows here. Where it is to
   * shrink, cut() does that, after the last command that knows the larger size. Throws a StartError.
   */
  resize(open: OpenBacking, bytes: number | null): OpenBacking {
    const { device, blockBytes } = open
    if (device.kind === 'pci') return resizePci(open, device.path, this.#controllerOf(device.path))
    if (bytes !== null && bytes > blockBytes * open.blockCount) this.#setBytes(open, bytes)
    let present = bytes ?? blockBytes * open.blockCount
    if (device.kind === 'file' || device.kind === 'block') {
      const facts = this.#shim.fileFacts(device.file)
      if (typeof facts === 'number') throw new StartError(`The size of ${device.path} cannot be read (${errnoName(facts)}).`)
      present = Math.min(facts.bytes, bytes ?? facts.bytes)
    }
    const blockCount = Math.floor(present / blockBytes)
    if (blockCount === 0) throw new StartError(`${nameOf(device)} would be empty.`, 'Remove the namespace instead.')
    return { ...open, blockCount }
  }

  /**
   * The same storage in blocks of another size, which nobody uses yet: what did not fill a block may fill one then.
   * bytes: as for resize(). Throws a StartError.
   */
  reformat(open: OpenBacking, bytes: number | null, blockBytes: number): OpenBacking {
    const { device } = open
    const used = open.blockBytes * open.blockCount
    let present = bytes ?? used
    // A part of a pool has its own bytes, and no others of the file.
    if (device.kind === 'block' || (device.kind === 'file' && device.base === undefined)) {
      const facts = this.#shim.fileFacts(device.file)
      present = typeof facts === 'number' ? used : facts.bytes
    }
    // A file that is much larger than its namespace does not become the namespace.
    const blockCount = Math.floor(Math.min(present, used + open.blockBytes - 1) / blockBytes)
    const next = { ...open, blockBytes, blockCount }
    if (device.kind === 'memory' && blockCount * blockBytes > used) this.#setBytes(next, blockCount * blockBytes)
    return next
  }

  /** Gives back what is beyond `bytes`, which nobody uses any more. Throws a StartError. */
  cut(open: OpenBacking, bytes: number): void {
    this.#setBytes(open, bytes)
  }

  #controllerOf(path: string): DrivenController {
    return this.#controller(pciPlace(path)!.address)
  }

  #setBytes({ device, readOnly, blockBytes }: OpenBacking, bytes: number): void {
    if (device.kind === 'memory') {
      const result = this.#shim.regionResize(device.region, Math.floor(bytes / blockBytes) * blockBytes)
      if (result < 0) throw new StartError(`The memory namespace cannot be ${bytes} bytes large (${errnoName(result)}).`, MEMORY_REMEDY)
    } else if (device.kind === 'file' && !readOnly) {
      const result = this.#shim.fileResize(device.file, bytes)
      if (result < 0) throw openError(device.path, 'file', -result)
    }
  }

  close(): void {
    for (const { file } of this.#files) this.#shim.fileClose(file)
    for (const region of this.#regions) this.#shim.regionRelease(region)
    this.#files.length = 0
    this.#pools.clear()
    this.#regions.length = 0
  }

  #openMemory(
    namespace: StorageConfig, backing: Extract<Backing, { kind: 'memory' | 'null' }>,
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
    namespace: StorageConfig, backing: Extract<Backing, { kind: 'file' | 'device' }>,
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

function noController(address: string): never {
  throw new StartError(`No NVMe controller is open at ${address}.`)
}

function nameOf(device: DeviceSnapshot): string {
  return device.kind === 'file' || device.kind === 'block' ? device.path : `The ${device.kind} namespace`
}

function syncFile(path: string): void {
  const descriptor = openSync(path, 'r+')
  try {
    fsyncSync(descriptor)
  } finally {
    closeSync(descriptor)
  }
}

function describe(
  path: string, namespace: StorageConfig, file: number, facts: FileFacts, blockBytes: number, note: string,
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
