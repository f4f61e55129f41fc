/**
 * Command slots: every command between its capsule and the last byte of its answer is one of these objects.
 * One pool per reactor, made before serving and never grown; a slot's index is its token for the shim.
 *
 *   FREE ─admit─▶ EXECUTING ─▶ SENDING ─▶ FREE          EXECUTING: a controller or a device has it
 *                  │   ▲  │                              RECEIVING: its data is asked for by R2T
 *                  ▼   │  └──────────▶ FREE              HELD: answered when something happens (an event)
 *              RECEIVING HELD ◀▶ EXECUTING              a slot whose connection has gone skips SENDING
 *
 * Objects and not parallel arrays: the payload of each turn washes the first-level cache out, so what counts is
 * how many cache lines a command touches. Every field is an int32, so that V8 boxes none.
 *
 * Invariant: a slot holds at most one buffer, and gives it back exactly when it becomes FREE.
 */
import { assert } from '../assert.ts'
import type { Share } from './share.ts'

export const SLOT = { FREE: 0, EXECUTING: 1, RECEIVING: 2, HELD: 3, SENDING: 4 } as const
// An exported constant is not folded either: docs/adr/0005.
const STATES = SLOT
const NAMES = ['free', 'executing', 'receiving', 'held', 'sending']
/** Bit s of EDGES[t] is set where the edge t -> s is legal. */
const EDGES = Int32Array.of(
  1 << STATES.EXECUTING,
  (1 << STATES.FREE) | (1 << STATES.RECEIVING) | (1 << STATES.HELD) | (1 << STATES.SENDING),
  (1 << STATES.FREE) | (1 << STATES.EXECUTING) | (1 << STATES.SENDING),
  (1 << STATES.FREE) | (1 << STATES.EXECUTING) | (1 << STATES.SENDING),
  1 << STATES.FREE,
)
export const SQE_WORDS = 16
const COUNT_MAX = 65535
const SCARCE_SHIFT = 3

/** The connection that a command came by, as far as queue and reactor need it. */
export interface Owner {
  readonly index: number
  /** Answers can be queued: it is not ending. */
  readonly sends: boolean
  /** Slots that name it; Slots counts. */
  slotCount: number
  /** What was answered since the meter took it away: commands, and their data in blocks of 512 bytes. */
  commandCount: number
  transferredBlocks: number
}

export class Slot {
  readonly index: number
  state: number = STATES.FREE
  /** null = its connection has gone. Of a free slot: who had it last. */
  owner: Owner | null = null
  cid = 0
  opcode = 0
  /** Length of the command's data in bytes (SGL length), and which way: 0 none, 1 to us, 2 to the host. */
  bytes = 0
  direction = 0
  /** Where the payload is: a place (region 0 = arena). */
  region = 0
  lo = 0
  hi = 0
  /** CQE: status (wire/status.ts), dword 0 and 1. */
  status = 0
  dw0 = 0
  dw1 = 0
  /** First block, in two words, and blocks. */
  lbaLo = 0
  lbaHi = 0
  blockCount = 0
  /** Index of the namespace in the reactor's table, -1 = none. */
  namespace = -1
  /** 1 = onto the medium before it is answered. */
  fua = 0
  /** Arena offset of the buffer that the slot owns, -1 = none. */
  buffer = -1
  /** Buffer pages that it may not take: they are kept for data that are in a capsule. */
  keepPages = 0
  /** Bytes of host data that have arrived; equals bytes when the command may run. */
  received = 0
  /** 1 when its host data failed the data digest. */
  digestFailed = 0
  /** 1 when TypeScript reads its host data, so that they must be in place before the next turn. */
  readable = 0
  /** What the executing command is doing, and how far it is: see device and controller/io.ts. */
  step = 0
  progress = 0
  /** H.NOW_US of the turn that took the command from the network. */
  startedUs = 0
  /** Bytes asked for by R2T so far, and R2Ts that are open: see queue/transfer.ts. */
  asked = 0
  open = 0
  /** Who is charged for its buffer, and how many pages. */
  share: Share | null = null
  heldPages = 0
  /** While it waits for a buffer: the one behind it, and R2Ts that its host allows at a time. */
  next: Slot | null = null
  transfersMax = 0

  constructor(index: number) {
    this.index = index
  }

  /** Index of its connection, -1 when that has gone. */
  get connection(): number {
    return this.owner === null ? -1 : this.owner.index
  }

  enter(next: number): void {
    assert((EDGES[this.state]! & (1 << next)) !== 0, 'slot takes a legal edge')
    this.state = next
  }

  /** The payload is in the arena. */
  placeInArena(at: number): void {
    this.region = 0
    this.lo = at
    this.hi = 0
  }

  /** The slot owns this buffer from now on, and its payload is there. */
  own(at: number): void {
    this.buffer = at
    this.placeInArena(at)
  }

  describe(): string {
    return `slot ${this.index} ${NAMES[this.state]} connection ${this.connection} cid ${this.cid}`
  }
}

export class Slots {
  readonly count: number
  readonly all: readonly Slot[]
  freeCount: number
  /** The submission queue entries of commands that need them later: 16 words a slot. */
  readonly sqe: Int32Array
  readonly #free: Int32Array
  readonly #scarceCount: number

  constructor(count: number) {
    assert(count > 0 && count <= COUNT_MAX, 'slot indices fit 16 bits')
    this.count = count
    this.freeCount = count
    this.#scarceCount = count >> SCARCE_SHIFT
    this.all = Array.from({ length: count }, (_, index) => new Slot(index))
    this.sqe = new Int32Array(count * SQE_WORDS)
    this.#free = Int32Array.from({ length: count }, (_, index) => count - 1 - index)
  }

  /**
   * True when the owner's next slot may only say that there is none for it: the last one, or one of the last
   * eighth while the owner has more than are left, so that one that holds all it gets leaves some to others.
   */
  exhaustedFor(owner: Owner): boolean {
    const free = this.freeCount
    return free === 1 || (free <= owner.slotCount && free <= this.#scarceCount)
  }

  /** A slot in state EXECUTING with everything but its place reset. */
  take(owner: Owner): Slot {
    assert(this.freeCount > 0, 'there is a slot left')
    const slot = this.all[this.#free[--this.freeCount]!]!
    assert(slot.state === STATES.FREE, 'a free slot is FREE')
    slot.state = STATES.EXECUTING
    // Mostly it is the one that had it before, and then V8 has nothing to note.
    if (slot.owner !== owner) slot.owner = owner
    owner.slotCount++
    slot.status = 0
    slot.dw0 = 0
    slot.dw1 = 0
    slot.lbaLo = 0
    slot.lbaHi = 0
    slot.namespace = -1
    slot.fua = 0
    slot.received = 0
    slot.digestFailed = 0
    slot.readable = 0
    slot.step = 0
    slot.asked = 0
    slot.open = 0
    return slot
  }

  /** Back to the pool. The owner has given its buffer back already. */
  free(slot: Slot): void {
    assert(slot.buffer === -1, 'a slot gives its buffer back before it is freed')
    slot.enter(STATES.FREE)
    if (slot.owner !== null) slot.owner.slotCount--
    this.#free[this.freeCount++] = slot.index
  }
}

const TWO_32 = 4294967296

/** The slot's first block: a safe integer once it was checked against its namespace. */
export function lbaOf(slot: Slot): number {
  return (slot.lbaLo >>> 0) + slot.lbaHi * TWO_32
}
