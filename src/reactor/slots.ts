/**
 * Command slots: every command between its capsule and the last byte of its answer is an index into these
 * parallel arrays. One pool per reactor, sized by limits.ts before serving. Allocation-free.
 *
 *   FREE ─admit─▶ EXECUTING ─▶ SENDING ─▶ FREE          EXECUTING: a controller or a device has it
 *                  │   ▲  │                              RECEIVING: its data is asked for by R2T
 *                  ▼   │  └──────────▶ FREE              HELD: answered when something happens (AER, a message)
 *              RECEIVING HELD ◀▶ EXECUTING              a slot whose connection has gone skips SENDING
 *
 * Invariant: a slot holds at most one buffer, and gives it back exactly when it becomes FREE.
 */
import { assert } from '../assert.ts'

export const SLOT = { FREE: 0, EXECUTING: 1, RECEIVING: 2, HELD: 3, SENDING: 4 } as const
const NAMES = ['free', 'executing', 'receiving', 'held', 'sending']
/** Bit s of EDGES[t] is set where the edge t -> s is legal. */
const EDGES = [
  1 << SLOT.EXECUTING,
  (1 << SLOT.FREE) | (1 << SLOT.RECEIVING) | (1 << SLOT.HELD) | (1 << SLOT.SENDING),
  (1 << SLOT.FREE) | (1 << SLOT.EXECUTING) | (1 << SLOT.SENDING),
  (1 << SLOT.FREE) | (1 << SLOT.EXECUTING) | (1 << SLOT.SENDING),
  1 << SLOT.FREE,
]
export const SQE_WORDS = 16

export class Slots {
  readonly count: number
  freeCount: number
  readonly state: Uint8Array
  /** Connection index, -1 when its connection has gone. */
  readonly connection: Int32Array
  readonly cid: Uint16Array
  readonly opcode: Uint8Array
  /** Length of the command's data in bytes (SGL length), and which way: 0 none, 1 to us, 2 to the host. */
  readonly bytes: Int32Array
  readonly direction: Uint8Array
  /** Bytes of host data that have arrived; equals bytes when the command may run. */
  readonly received: Int32Array
  /** Where the payload is: a place (region 0 = arena). */
  readonly region: Int32Array
  readonly lo: Int32Array
  readonly hi: Int32Array
  /** Arena offset of the buffer that the slot owns, -1 = none; which pool it came from. */
  readonly buffer: Int32Array
  /** CQE: status (wire/status.ts), dword 0 and 1. */
  readonly status: Uint16Array
  readonly dw0: Int32Array
  readonly dw1: Int32Array
  /** 1 when its host data failed the data digest. */
  readonly digestFailed: Uint8Array
  /** 1 when TypeScript reads its host data, so that they must be in place before the next turn. */
  readonly readable: Uint8Array
  /** First block, and blocks. A safe integer. */
  readonly lba: Float64Array
  readonly blockCount: Int32Array
  /** Index of the namespace in the reactor's table, -1 = none. */
  readonly namespace: Int32Array
  /** What the executing command is doing, and how far it is: see device and controller/io.ts. */
  readonly step: Int32Array
  readonly progress: Float64Array
  readonly fua: Uint8Array
  /** The submission queue entry, 16 words a slot. Filled for all but reads and writes of the fast path. */
  readonly sqe: Int32Array
  readonly #free: Int32Array

  constructor(count: number) {
    assert(count > 0 && count <= 65535, 'slot indices fit 16 bits')
    this.count = count
    this.freeCount = count
    this.state = new Uint8Array(count)
    this.connection = new Int32Array(count).fill(-1)
    this.cid = new Uint16Array(count)
    this.opcode = new Uint8Array(count)
    this.bytes = new Int32Array(count)
    this.direction = new Uint8Array(count)
    this.received = new Int32Array(count)
    this.region = new Int32Array(count)
    this.lo = new Int32Array(count)
    this.hi = new Int32Array(count)
    this.buffer = new Int32Array(count).fill(-1)
    this.status = new Uint16Array(count)
    this.dw0 = new Int32Array(count)
    this.dw1 = new Int32Array(count)
    this.digestFailed = new Uint8Array(count)
    this.readable = new Uint8Array(count)
    this.lba = new Float64Array(count)
    this.blockCount = new Int32Array(count)
    this.namespace = new Int32Array(count)
    this.step = new Int32Array(count)
    this.progress = new Float64Array(count)
    this.fua = new Uint8Array(count)
    this.sqe = new Int32Array(count * SQE_WORDS)
    this.#free = new Int32Array(count)
    for (let k = 0; k < count; k++) this.#free[k] = count - 1 - k
  }

  /** A slot in state EXECUTING with everything but sqe reset, or -1 when all are taken. */
  take(connection: number): number {
    if (this.freeCount === 0) return -1
    const slot = this.#free[--this.freeCount]!
    assert(this.state[slot] === SLOT.FREE, 'a free slot is FREE')
    this.state[slot] = SLOT.EXECUTING
    this.connection[slot] = connection
    this.bytes[slot] = 0
    this.direction[slot] = 0
    this.received[slot] = 0
    this.status[slot] = 0
    this.dw0[slot] = 0
    this.dw1[slot] = 0
    this.digestFailed[slot] = 0
    this.readable[slot] = 0
    this.step[slot] = 0
    this.fua[slot] = 0
    this.lba[slot] = 0
    this.namespace[slot] = -1
    return slot
  }

  enter(slot: number, next: number): void {
    assert((EDGES[this.state[slot]!]! & (1 << next)) !== 0, 'slot takes a legal edge')
    this.state[slot] = next
  }

  /** Back to the pool. The owner has given its buffer back already. */
  free(slot: number): void {
    assert(this.buffer[slot] === -1, 'a slot gives its buffer back before it is freed')
    this.enter(slot, SLOT.FREE)
    this.connection[slot] = -1
    this.#free[this.freeCount++] = slot
  }

  describe(slot: number): string {
    return `slot ${slot} ${NAMES[this.state[slot]!]} connection ${this.connection[slot]} cid ${this.cid[slot]}`
  }
}
