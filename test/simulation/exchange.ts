/**
 * One block of each namespace that hosts change by fused Compare and Write alone, all of them at once: who finds the
 * value that he expects puts another one in its place. Values are never used twice, so each may be exchanged for
 * another one once: two hosts that both succeed with the same value were not kept apart.
 *
 * What was never answered has happened or not; until somebody finds out, several values are possible.
 * Invariant: a value is expected successfully once, between two power failures.
 */
import type { Random } from '../random.ts'
import { command } from './command.ts'
import { Finding, type Command } from './host-queue.ts'
import { STATUS } from './status.ts'

const OPCODE = { WRITE: 1, COMPARE: 5 } as const
export const EXCHANGE = { SAME: 0, DIFFERS: 1, UNKNOWN: 2 } as const

/** One attempt. */
export type Attempt = { readonly expected: number; readonly next: number; disturbed: boolean }

export class Exchange {
  readonly #random: Random
  /** What may be there. */
  #possible: number[] = [0]
  readonly #spent = new Set<number>()
  readonly #attempts = new Set<Attempt>()
  #last = 0

  constructor(random: Random) {
    this.#random = random
  }

  begin(): Attempt {
    const attempt = { expected: this.#random.pick(this.#possible), next: ++this.#last, disturbed: false }
    this.#attempts.add(attempt)
    if (this.#attempts.size > 1) for (const each of this.#attempts) each.disturbed = true
    if (this.#possible.length > 1) attempt.disturbed = true
    return attempt
  }

  /** What came of it: one of EXCHANGE. */
  end(attempt: Attempt, outcome: number): void {
    this.#attempts.delete(attempt)
    const { expected, next } = attempt
    if (outcome === EXCHANGE.SAME) {
      if (this.#spent.has(expected)) throw new Finding(`two hosts have exchanged ${expected} for another value`)
      this.#spent.add(expected)
      // Nobody could expect it before this is known, and values never come back.
      this.#possible = [next]
    } else if (outcome === EXCHANGE.UNKNOWN) {
      if (!this.#possible.includes(next)) this.#possible.push(next)
    } else if (!attempt.disturbed) {
      throw new Finding(`a value that nobody else touched, ${expected}, was not found`)
    }
  }

  /** What is there after a power failure, as a block's first word. */
  reset(value: number): void {
    this.#attempts.clear()
    this.#spent.clear()
    this.#possible = [value]
  }

  /** Whether it may be there, when nobody is connected. */
  allows(value: number): boolean {
    return this.#possible.includes(value)
  }

  describe(): string {
    return this.#possible.join(', ')
  }
}

/** The block of a value. */
function fillBlock(data: Uint8Array, value: number, blockBytes: number): void {
  const words = new Int32Array(data.buffer, data.byteOffset, blockBytes >> 2)
  for (let k = 0; k < words.length; k++) words[k] = value === 0 ? 0 : value + k
}

/** The first half of an attempt, with the second one behind it. judge: of each half. */
export function exchangeCommand(
  exchange: Exchange, nsid: number, block: number, blockBytes: number, judge: (each: Command, status: number) => void,
): Command {
  const attempt = exchange.begin()
  const statuses: number[] = []
  const half = (fuse: number, opcode: number, value: number, second: Command | null): Command => command({
    opcode, nsid, fuse, second, cdw: [block, 0, 0], sendBytes: blockBytes,
    fill: (data) => fillBlock(data, value, blockBytes),
    done: (each, status) => {
      if (fuse === 2 && status === 0 && statuses[1] === undefined) throw new Finding('a write before its compare')
      statuses[fuse] = status
      judge(each, status)
      if (statuses[1] !== undefined && statuses[2] !== undefined) exchange.end(attempt, outcomeOf(statuses[1], statuses[2]))
    },
  })
  return half(1, OPCODE.COMPARE, attempt.expected, half(2, OPCODE.WRITE, attempt.next, null))
}

/** What two halves that ended like this say of the block. */
function outcomeOf(compared: number, written: number): number {
  if (written === 0 && compared === 0) return EXCHANGE.SAME
  if (written === 0) throw new Finding(`a write of which the compare ended with status ${compared.toString(16)}h`)
  if (compared === STATUS.COMPARE_FAILURE) return EXCHANGE.DIFFERS
  if (compared === 0 && written !== -1) throw new Finding(`a compare of which the write ended with status ${written.toString(16)}h`)
  return EXCHANGE.UNKNOWN
}
