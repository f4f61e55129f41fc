/**
 * Holders: connections that hold on to what others wait for. A host that never sends the data it was asked for,
 * or never reads its answers, keeps buffers and command slots; where these have become few, and nothing has
 * moved on its connection for HOLD_MS, that connection is ended. connections asks once a second.
 *
 * Nothing is ended while there is enough for everybody, however long a host takes; and nothing where the device
 * is what is slow.
 * Invariant: a connection is not ended within HOLD_MS of data that came, an answer that left whole, or a command.
 */
import type { Arena } from '../reactor/arena.ts'
import { SLOT, type Slots } from '../reactor/slots.ts'
import { C } from '../shim/abi.ts'
import { type Connection, PHASE } from './connection.ts'

export const HOLD_MS = 10000
export const HOLDING = 'it neither sent nor read for 10 s, while others waited for the buffers and command slots that it held'

type Pool = { readonly freePages: number; readonly pages: number }

export class Holders {
  readonly #words: Int32Array
  readonly #slots: Slots
  readonly #pools: readonly Pool[]

  constructor(arena: Arena, slots: Slots, pools: readonly Pool[]) {
    this.#words = arena.words
    this.#slots = slots
    this.#pools = pools
  }

  /** Those to end. */
  find(connections: readonly Connection[], nowMs: number): Connection[] {
    const still: Connection[] = []
    for (const connection of connections) {
      if (connection.phase === PHASE.FREE || connection.slotCount === 0) {
        connection.movedMs = nowMs
        continue
      }
      const mark = this.#mark(connection)
      if (mark !== connection.mark) {
        connection.mark = mark
        connection.movedMs = nowMs
      } else if (((nowMs - connection.movedMs) | 0) >= HOLD_MS && connection.phase < PHASE.TERMINATING) {
        still.push(connection)
      }
    }
    return still.length !== 0 && this.#isScarce() ? still.filter((connection) => this.#isHosts(connection)) : []
  }

  /** Less than a quarter of something is left. */
  #isScarce(): boolean {
    return this.#slots.freeCount < this.#slots.count >> 2
      || this.#pools.some(({ freePages, pages }) => freePages < pages >> 2)
  }

  /** Another number whenever an entry was sent, a payload grew, or a command was answered. */
  #mark(connection: Connection): number {
    const words = this.#words
    const at = connection.control
    let mark = words[at + C.TX_HEAD]!
    mark = Math.imul(mark, 31) + words[at + C.RX_HEAD]!
    mark = Math.imul(mark, 31) + words[at + C.PLACE_BYTES]!
    mark = Math.imul(mark, 31) + connection.payloadTag
    mark = Math.imul(mark, 31) + connection.payloadBytes
    mark = Math.imul(mark, 31) + connection.slotCount
    return (Math.imul(mark, 31) + connection.queue.head) | 0
  }

  /** Whether it is the host that a command waits for: data that it owes, or an answer that it does not read. */
  #isHosts(connection: Connection): boolean {
    return this.#slots.all.some(({ owner, state }) =>
      owner === connection && (state === SLOT.RECEIVING || state === SLOT.SENDING))
  }
}
