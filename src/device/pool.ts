/**
 * The file of a pool, open: its parts are the storage of namespaces. backing.ts opens them as such, src/pools.ts says
 * which there are, and erases what was deleted.
 *
 *   0         4096         1 MiB                                   what namespaces lie in: allocation.ts
 *   │ header  │ zero       │ part │ hole │ part │ …              "weft pool 1 <id>\n", then zeroes
 *
 * The file has holes: it takes room as blocks are written and gives it back as they are deallocated or their namespace
 * is deleted. Which parts there are is kept in the state folder; the header tells that the two belong together.
 * Invariant: a file that is no pool is never written to.
 */
import { closeSync, fsyncSync, openSync, readSync, statSync, writeSync } from 'node:fs'
import { constants } from 'node:os'
import { StartError } from '../config/start-error.ts'
import { ERASE, FILE } from '../shim/abi.ts'
import { errnoName, type FileFacts, type Shim } from '../shim/shim.ts'
import type { DeviceSnapshot } from '../subsystem/subsystem.ts'
import { GRANULE_BYTES, type Part } from './allocation.ts'

const HEADER_BYTES = 4096
/** Of the file, before the first part. */
const RESERVED_BYTES = GRANULE_BYTES
const FORM = /^weft pool 1 ([0-9a-f-]{36})\n\0*$/
const BLOCK_SIZES = [512, 4096]
/** What is written at a time, where there are no holes. */
const FILL_BYTES = 4 * 1024 ** 2
const HOLE_BYTES = 1024 ** 3
const { EWOULDBLOCK, EAGAIN, EACCES, EPERM, EOPNOTSUPP, ENOSPC } = constants.errno

type PoolShim = Pick<Shim, 'fileOpen' | 'fileFacts' | 'fileResize' | 'fileClose' | 'fileErase'>

export class PoolFile {
  readonly path: string
  readonly file: number
  readonly facts: FileFacts
  readonly #shim: PoolShim
  /** By where the part is: told when nobody uses it any more. */
  readonly #users = new Map<number, () => void>()
  readonly #vacations = new Map<number, Promise<void>>()

  private constructor(shim: PoolShim, path: string, file: number, facts: FileFacts) {
    this.#shim = shim
    this.path = path
    this.file = file
    this.facts = facts
  }

  /** id: of its record; null: there is none. isEmpty: nothing is in it. Throws a StartError. */
  static open(shim: PoolShim, path: string, id: string | null, isEmpty: boolean): PoolFile {
    const present = headerOf(path)
    if (present === NO_POOL) {
      throw new StartError(`${path} is there, and is not a pool.`, 'Name a file that is not there yet: weft makes it.')
    }
    const isBlank = present === null || present === ''
    if (id === null && !isBlank) {
      throw new StartError(`${path} is a pool without a record.`,
        'Serve it with the state folder that it was made with, or remove the file and lose what is in it.')
    }
    if (isBlank ? !isEmpty : id !== present) {
      throw new StartError(`${path} is not the pool that its record in the state folder is about.`,
        'Put the right file back, or move the record away to start with an empty pool.')
    }
    const opened = shim.fileOpen(path, FILE.CREATE | FILE.GROW, RESERVED_BYTES)
    if (typeof opened === 'number') throw openError(path, -opened)
    return new PoolFile(shim, path, opened.file, opened.facts)
  }

  /** Writes the header. The record is kept before. Throws a StartError. */
  begin(id: string): void {
    try {
      if (headerOf(this.path) === '') writeHeader(this.path, id)
    } catch (error) {
      throw new StartError(`The pool ${this.path} cannot be written (${(error as NodeJS.ErrnoException).code ?? String(error)}).`)
    }
  }

  /** By LBA format: what its namespaces can have. */
  get blockSizes(): number[] {
    const { direct, logicalBytes } = this.facts
    return BLOCK_SIZES.filter((each) => !direct || each >= logicalBytes)
  }

  /** Parts may lie beyond its size, since what lies between takes no room. */
  get hasHoles(): boolean {
    return this.facts.discard
  }

  get isUsed(): boolean {
    return this.#users.size !== 0
  }

  /** A part as the storage of a namespace. It is used until leave(). */
  use({ at }: Part): DeviceSnapshot {
    const { facts, path, file } = this
    this.#vacations.set(at, new Promise((resolve) => { this.#users.set(at, resolve) }))
    return {
      kind: 'file', path, file, base: RESERVED_BYTES + at, direct: facts.direct, logicalBytes: facts.logicalBytes,
      physicalBytes: facts.physicalBytes, optimalBytes: facts.optimalBytes, discardBytes: facts.discardBytes,
      boundaryBytes: 0, discard: facts.discard, zero: facts.zero, readOnly: false,
    }
  }

  /** base: as use() said. */
  leave(base: number): void {
    const at = base - RESERVED_BYTES
    this.#users.get(at)?.()
    this.#users.delete(at)
    this.#vacations.delete(at)
  }

  /** Resolves when nobody uses the part. */
  vacated({ at }: Part): Promise<void> {
    return this.#vacations.get(at) ?? Promise.resolve()
  }

  /** Makes the file long enough for a part; 0 or -errno. */
  reach({ at, bytes }: Part): number {
    const end = RESERVED_BYTES + at + bytes
    const facts = this.#shim.fileFacts(this.file)
    if (typeof facts === 'number') return facts
    return facts.bytes >= end ? 0 : this.#shim.fileResize(this.file, end)
  }

  /** What is in the part is gone, and stays so, when it resolves with 0; -errno. Nobody uses it. */
  async erase({ at, bytes }: Part): Promise<number> {
    const end = RESERVED_BYTES + at + bytes
    for (let from = RESERVED_BYTES + at; from < end; from += HOLE_BYTES) {
      const result = await this.#erasePiece(from, Math.min(HOLE_BYTES, end - from))
      if (result < 0) return result
    }
    return this.#shim.fileErase(this.file, ERASE.SYNC, 0, 0, 0)
  }

  close(): void {
    this.#shim.fileClose(this.file)
  }

  async #erasePiece(from: number, bytes: number): Promise<number> {
    if (this.hasHoles) {
      const result = await this.#shim.fileErase(this.file, ERASE.DISCARD, from, bytes, 0)
      if (result !== -EOPNOTSUPP) return result
    }
    for (let at = from; at < from + bytes; at += FILL_BYTES) {
      const result = await this.#shim.fileErase(this.file, ERASE.FILL, at, Math.min(FILL_BYTES, from + bytes - at), 0)
      if (result < 0) return result
    }
    return 0
  }
}

/** What headerOf() says of a file that is something else. */
const NO_POOL = 'no pool'

/** The id of the pool in a file; null: there is no file; '': it is empty, or was being made. */
function headerOf(path: string): string | null {
  let bytes: number
  const header = Buffer.alloc(HEADER_BYTES)
  try {
    const facts = statSync(path)
    if (!facts.isFile()) throw new StartError(`${path} is not a file, and pools are files.`, 'Name one that weft can make.')
    const file = openSync(path, 'r')
    bytes = readSync(file, header, 0, HEADER_BYTES, 0)
    closeSync(file)
    if (bytes === 0 || (facts.size === RESERVED_BYTES && header.every((byte) => byte === 0))) return ''
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT') return null
    if (error instanceof StartError) throw error
    throw new StartError(`${path} cannot be read (${code ?? String(error)}).`)
  }
  return FORM.exec(header.toString('latin1', 0, bytes))?.[1] ?? NO_POOL
}

function writeHeader(path: string, id: string): void {
  const header = Buffer.alloc(HEADER_BYTES)
  header.write(`weft pool 1 ${id}\n`, 'latin1')
  const file = openSync(path, 'r+')
  try {
    writeSync(file, header, 0, HEADER_BYTES, 0)
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
}

function openError(path: string, errno: number): StartError {
  if (errno === EWOULDBLOCK || errno === EAGAIN) {
    return new StartError(`The pool ${path} is in use by another process that has locked it, perhaps a second weft.`,
      'Stop that one, or name another file.')
  }
  if (errno === EACCES || errno === EPERM) {
    return new StartError(`There is no permission to open the pool ${path}.`, 'Start weft as a user who may, or with sudo.')
  }
  if (errno === ENOSPC) return new StartError(`The file system has no space for the pool ${path}.`, 'Make room.')
  return new StartError(`The pool ${path} cannot be opened (${errnoName(-errno)}).`, 'Its folder has to be there.')
}
