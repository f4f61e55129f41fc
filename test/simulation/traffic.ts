/**
 * What hosts do with the namespaces: chooses commands, fills their data so that every block tells where it belongs
 * and which write it came from, and has the oracle judge what comes back. host.ts submits them.
 *
 *   block of version v: words x, x + 1, x + 2 …   x = v, mixed with the block's number; zeroes: all 0
 *
 * Invariant: what is torn, misplaced, stale or lost differs from everything that the oracle allows.
 */
import type { Random } from '../random.ts'
import { command } from './command.ts'
import { Exchange, exchangeCommand } from './exchange.ts'
import { Finding, type Command } from './host-queue.ts'
import { Oracle, type Version } from './oracle.ts'
import { HostRights, isReservation, RESERVE_VERBS, reservationCommand } from './rights.ts'
import { STATUS } from './status.ts'
import type { Storage } from './storage.ts'
import type { Volume } from './target.ts'

const OPCODE = { FLUSH: 0, WRITE: 1, READ: 2, COMPARE: 5, WRITE_ZEROES: 8, DSM: 9, COPY: 0x19 } as const
const READS: readonly number[] = [OPCODE.READ, OPCODE.COMPARE]
const FUA = 1 << 30
const DEALLOCATE = 1 << 25
const MIX = 0x9e3779b1

/** Writes that were never answered: nobody touches their blocks until the target cannot perform them any more. */
export type Lost = {
  readonly nsid: number
  readonly blocks: readonly number[]
  readonly versions: readonly Version[]
  /** Blocks that they take data from. */
  readonly sources: readonly number[]
}

export class Traffic {
  readonly oracles: readonly Oracle[]
  /** By namespace: its last block, which is used for nothing else. */
  readonly exchanges: readonly Exchange[]
  readonly lost: Lost[] = []
  /** By namespace. */
  readonly rights: readonly HostRights[]
  readonly #volumes: readonly Volume[]
  readonly #disks: readonly (Storage | null)[]
  readonly #random: Random
  readonly #blocksMax: number
  /** Counts what happens. */
  now = 1
  completedCount = 0
  #version = 0
  /** Commands whose end somebody asked for. */
  readonly aborting = new Set<Command>()

  constructor(volumes: readonly Volume[], disks: readonly (Storage | null)[], random: Random, transferBytes: number) {
    this.#volumes = volumes
    this.#disks = disks
    this.#random = random
    this.#blocksMax = transferBytes
    this.oracles = volumes.map(({ blockCount }) => new Oracle(blockCount))
    this.exchanges = volumes.map(() => new Exchange(random))
    this.rights = volumes.map(() => new HostRights())
  }

  /** The next command of a host's queue; null = no blocks are free for it just now. */
  next(host: number): Command | null {
    const made = this.#next()
    for (let each = made; each !== null; each = each.second) {
      each.host = host
      each.from = this.now
    }
    return made
  }

  /** Something about reservations: of the host itself, or against another one. */
  reserve(host: number, victim: number): Command {
    const nsid = 1 + this.#random.below(this.#volumes.length)
    return reservationCommand({
      rights: this.rights[nsid - 1]!, nsid, host, victim, verb: this.#random.below(RESERVE_VERBS), now: () => ++this.now,
      judge: (each, status) => this.#judge(each, status, nsid, 0, [], [STATUS.CONFLICT]),
    })
  }

  #next(): Command | null {
    const random = this.#random
    const nsid = 1 + random.below(this.#volumes.length)
    const dice = random.below(100)
    if (dice < 48) return this.#read(nsid)
    if (dice < 86) return this.#write(nsid)
    if (dice < 90) return this.#flush(nsid)
    if (dice < 94) return this.#zeroes(nsid)
    if (dice < 95) return this.#deallocate(nsid)
    if (dice < 97) return this.#compare(nsid)
    return dice < 98 ? this.#copy(nsid) : this.#exchange(nsid)
  }

  /** Reads `blockCount` blocks from `block` on, whatever happens: for the end. */
  readBlocks(nsid: number, block: number, blockCount: number, judged: (data: Uint8Array) => void): Command {
    const volume = this.#volumes[nsid - 1]!
    return command({
      opcode: OPCODE.READ, nsid, cdw: [block, 0, blockCount - 1], receiveBytes: blockCount * volume.blockBytes,
      done: (_command, status, data) => {
        if (status > 0) throw new Finding(`a read ends with status ${status.toString(16)}h in the end`)
        if (status === 0) judged(data)
      },
    })
  }

  /** Value of the block whose bytes begin at `at`; NaN: it is torn. */
  valueAt(data: Uint8Array, at: number, blockBytes: number): number {
    const words = new Int32Array(data.buffer, data.byteOffset + at, blockBytes >> 2)
    const first = words[0]!
    const step = first === 0 ? 0 : 1
    for (let k = 1; k < words.length; k++) if (words[k] !== ((first + k * step) | 0)) return NaN
    return first
  }

  /** Those that were lost have happened, or never will. */
  settle(lost: Lost): void {
    const oracle = this.oracles[lost.nsid - 1]!
    const now = ++this.now
    for (const block of lost.sources) oracle.pins[block]!--
    for (const [k, block] of lost.blocks.entries()) {
      oracle.pins[block]!--
      lost.versions[k]!.torn = this.#volumes[lost.nsid - 1]!.kind === 'memory'
      oracle.end(block, lost.versions[k]!, false, false, now)
    }
  }

  #size(): number {
    const random = this.#random
    return random.chance(3) ? 1 + random.below(160) : random.chance(20) ? 1 + random.below(24) : 1 + random.below(8)
  }

  /** Blocks that nobody objects to: [first, count], or null. */
  #choose(nsid: number, writes: boolean, alone: boolean, size = this.#size()): [number, number] | null {
    const { kind, blockBytes, blockCount } = this.#volumes[nsid - 1]!
    const oracle = this.oracles[nsid - 1]!
    const random = this.#random
    const count = Math.min(size, Math.floor(this.#blocksMax / blockBytes), blockCount - 1)
    const first = random.below(blockCount - count)
    const careful = alone || kind === 'memory' || random.chance(70)
    for (let block = first; block < first + count; block++) {
      if (oracle.pins[block] !== 0) return null
      if (careful && (oracle.writers[block] !== 0 || (writes && oracle.readers[block] !== 0))) return null
    }
    return [first, count]
  }

  #read(nsid: number): Command | null {
    const chosen = this.#choose(nsid, false, false)
    if (chosen === null) return null
    const [first, count] = chosen
    const { blockBytes } = this.#volumes[nsid - 1]!
    const oracle = this.oracles[nsid - 1]!
    const from = ++this.now
    const failures = this.#failures(nsid)
    for (let block = first; block < first + count; block++) oracle.readers[block]!++
    return command({
      opcode: OPCODE.READ, nsid, cdw: [first, 0, count - 1], receiveBytes: count * blockBytes,
      done: (command, status, data) => {
        this.#judge(command, status, nsid, failures, [STATUS.READ_ERROR])
        for (let k = 0; k < count; k++) {
          oracle.readers[first + k]!--
          if (status !== 0) continue
          const value = this.valueAt(data, k * blockBytes, blockBytes)
          if (!oracle.allows(first + k, value, from)) {
            throw new Finding(`block ${first + k} of namespace ${nsid} reads as ${value}, and may be `
              + `${oracle.describe(first + k)} since ${from}`)
          }
        }
      },
    })
  }

  #write(nsid: number): Command | null {
    const chosen = this.#choose(nsid, true, false)
    if (chosen === null) return null
    const [first, count] = chosen
    const { blockBytes } = this.#volumes[nsid - 1]!
    const version = ++this.#version
    const values = Array.from({ length: count }, (_, k) => Math.imul(first + k, MIX) ^ version || MIX | 0)
    const through = this.#random.chance(8)
    return command({
      opcode: OPCODE.WRITE, nsid, cdw: [first, 0, (count - 1) | (through ? FUA : 0)], sendBytes: count * blockBytes,
      fill: (data) => {
        const words = new Int32Array(data.buffer, data.byteOffset, (count * blockBytes) >> 2)
        const wordsABlock = blockBytes >> 2
        for (let k = 0; k < words.length; k++) words[k] = values[(k / wordsABlock) | 0]! + (k % wordsABlock)
      },
      done: this.#changes(nsid, blocksOf(first, count), values, through),
    })
  }

  #zeroes(nsid: number): Command | null {
    const chosen = this.#choose(nsid, true, false)
    if (chosen === null) return null
    const [first, count] = chosen
    const through = this.#random.chance(20)
    const flags = (through ? FUA : 0) | (this.#random.chance(50) ? DEALLOCATE : 0)
    return command({
      opcode: OPCODE.WRITE_ZEROES, nsid, cdw: [first, 0, (count - 1) | flags],
      done: this.#changes(nsid, blocksOf(first, count), new Array<number>(count).fill(0), through),
    })
  }

  #deallocate(nsid: number): Command | null {
    const chosen = this.#choose(nsid, true, true)
    if (chosen === null) return null
    const [first, count] = chosen
    return command({
      opcode: OPCODE.DSM, nsid, cdw: [0, 4], sendBytes: 16,
      fill: (data) => {
        const view = new DataView(data.buffer, data.byteOffset, 16)
        view.setUint32(0, 0, true)
        view.setUint32(4, count, true)
        view.setBigUint64(8, BigInt(first), true)
      },
      done: this.#changes(nsid, blocksOf(first, count), new Array<number>(count).fill(0), false),
    })
  }

  /** From up to three places to one other. Nobody writes there meanwhile, so that what it reads is known. */
  #copy(nsid: number): Command | null {
    const oracle = this.oracles[nsid - 1]!
    const sources: number[] = []
    const ranges: [number, number][] = []
    for (let more = 1 + this.#random.below(3); more > 0; more--) {
      const range = this.#choose(nsid, true, true, 1 + this.#random.below(6))
      if (range === null) continue
      ranges.push(range)
      for (const block of blocksOf(...range)) {
        sources.push(block)
        oracle.pins[block]!++
      }
    }
    const release = (): void => {
      for (const block of sources) oracle.pins[block]!--
    }
    const values = sources.map((block) => oracle.only(block))
    const target = sources.length === 0 ? null : this.#choose(nsid, true, true, sources.length)
    if (target === null || target[1] !== sources.length || values.includes(null)) {
      release()
      return null
    }
    const through = this.#random.chance(20)
    const changes = this.#changes(nsid, blocksOf(...target), values as number[], through, sources)
    return command({
      opcode: OPCODE.COPY, nsid, cdw: [target[0], 0, (ranges.length - 1) | (through ? FUA : 0)], sendBytes: ranges.length * 32,
      fill: (data) => {
        const view = new DataView(data.buffer, data.byteOffset, ranges.length * 32)
        data.fill(0, 0, ranges.length * 32)
        for (const [k, [first, count]] of ranges.entries()) {
          view.setUint32(32 * k + 8, first, true)
          view.setUint16(32 * k + 16, count - 1, true)
        }
      },
      done: (each, status) => {
        if (status !== -1) release()
        changes(each, status)
      },
    })
  }

  /** Compare and Write, fused, on the block that is for that. */
  #exchange(nsid: number): Command {
    const { blockBytes, blockCount } = this.#volumes[nsid - 1]!
    const failures = this.#failures(nsid)
    return exchangeCommand(this.exchanges[nsid - 1]!, nsid, blockCount - 1, blockBytes, (each, status) => {
      this.#judge(each, status, nsid, failures, [STATUS.READ_ERROR, STATUS.WRITE_FAULT], [STATUS.FAILED_FUSED, STATUS.COMPARE_FAILURE])
    })
  }

  #flush(nsid: number): Command {
    const from = ++this.now
    const failures = this.#failures(nsid)
    return command({
      opcode: OPCODE.FLUSH, nsid, cdw: [],
      done: (command, status) => {
        this.#judge(command, status, nsid, failures, [STATUS.WRITE_FAULT, STATUS.CAPACITY])
        this.now++
        if (status === 0) this.oracles[nsid - 1]!.flushed(from)
      },
    })
  }

  #compare(nsid: number): Command | null {
    const chosen = this.#choose(nsid, true, true)
    if (chosen === null) return null
    const [first, count] = chosen
    const { blockBytes } = this.#volumes[nsid - 1]!
    const oracle = this.oracles[nsid - 1]!
    const values = blocksOf(first, count).map((block) => oracle.only(block))
    if (values.includes(null)) return null
    for (let block = first; block < first + count; block++) oracle.pins[block]!++
    const failures = this.#failures(nsid)
    const differs = this.#random.chance(30)
    const where = this.#random.below(count * blockBytes)
    return command({
      opcode: OPCODE.COMPARE, nsid, cdw: [first, 0, count - 1], sendBytes: count * blockBytes,
      fill: (data) => {
        const words = new Int32Array(data.buffer, data.byteOffset, (count * blockBytes) >> 2)
        for (let k = 0; k < words.length; k++) {
          const value = values[(k / (blockBytes >> 2)) | 0]!
          words[k] = value === 0 ? 0 : value + (k % (blockBytes >> 2))
        }
        if (differs) data[where]! ^= 1
      },
      done: (command, status) => {
        for (let block = first; block < first + count; block++) oracle.pins[block]!--
        if (status === (differs ? STATUS.COMPARE_FAILURE : 0)) {
          this.aborting.delete(command)
          this.completedCount++
          return this.#reserved(command, differs ? -1 : 0, nsid)
        }
        if (status === 0) throw new Finding(`a Compare of ${count} blocks from ${first} on overlooks a difference`)
        this.#judge(command, status, nsid, failures, [STATUS.READ_ERROR])
      },
    })
  }

  /** What is to be done with the answer of a command that puts these values into these blocks. */
  #changes(
    nsid: number, blocks: readonly number[], values: readonly number[], through: boolean,
    sources: readonly number[] = [],
  ): (command: Command, status: number) => void {
    const oracle = this.oracles[nsid - 1]!
    const from = ++this.now
    const versions = blocks.map((block, k) => oracle.begin(block, values[k]!, from))
    for (const block of blocks) oracle.writers[block]!++
    const failures = this.#failures(nsid)
    return (command, status) => {
      for (const block of blocks) oracle.writers[block]!--
      if (status === -1) {
        for (const block of blocks) oracle.pins[block]!++
        this.lost.push({ nsid, blocks, versions, sources })
        this.aborting.delete(command)
        return
      }
      const media = [STATUS.WRITE_FAULT, STATUS.CAPACITY]
      this.#judge(command, status, nsid, failures, sources.length === 0 ? media : [...media, STATUS.READ_ERROR])
      const now = ++this.now
      for (const [k, block] of blocks.entries()) {
        versions[k]!.torn = status !== 0 && this.#volumes[nsid - 1]!.kind === 'memory'
        oracle.end(block, versions[k]!, status === 0, through, now)
      }
    }
  }

  /** Whether a reservation allows what became of a command. Those about reservations are not judged by them. */
  #reserved({ opcode, host, from }: Command, status: number, nsid: number): void {
    if (isReservation(opcode)) return
    const rights = this.rights[nsid - 1]!
    const reads = READS.includes(opcode)
    const wrong = status === STATUS.CONFLICT ? !rights.mayConflict(host, reads, from)
      : status === STATUS.PREEMPTED ? !rights.mayBeAborted(host, from)
        : status === 0 && rights.mustConflict(host, reads, from, this.now)
    if (wrong) {
      throw new Finding(`opcode ${opcode} of host ${host} on namespace ${nsid} ends with ${status.toString(16)}h, `
        + 'and the reservation is not like that')
    }
  }

  #failures(nsid: number): number {
    return this.#disks[nsid - 1]?.failedCount ?? 0
  }

  /** Whether a command may end like this. */
  #judge(
    command: Command, status: number, nsid: number, failures: number, media: readonly number[],
    always: readonly number[] = [],
  ): void {
    const aborted = this.aborting.delete(command)
    if (status === -1) return
    this.completedCount++
    this.#reserved(command, status, nsid)
    if (status === STATUS.CONFLICT || status === STATUS.PREEMPTED) return
    if (status === 0 || status === STATUS.INTERRUPTED || (aborted && status === STATUS.ABORTED)) return
    if (always.includes(status) || media.includes(status) && this.#failures(nsid) > failures) return
    if (status === STATUS.CAPACITY && this.#failures(nsid) > failures) return
    throw new Finding(`opcode ${command.opcode} of namespace ${nsid} ends with status ${status.toString(16)}h`)
  }
}

function blocksOf(first: number, count: number): number[] {
  return Array.from({ length: count }, (_, k) => first + k)
}
