/**
 * The queue pairs of one reactor: one for each controller that it serves namespaces of. reactor-thread makes it,
 * polls it when the shim has news, and brings what the control plane decides; device/open.ts asks for pairs.
 *
 * Invariant: a pair is opened when the first namespace needs it, and closed when the control plane says so.
 */
import { assert } from '../assert.ts'
import type { Arena } from '../reactor/arena.ts'
import type { Change, ToControl } from '../reactor/messages.ts'
import { H } from '../shim/abi.ts'
import type { Pci } from '../shim/pci.ts'
import type { Shim } from '../shim/shim.ts'
import type { QueuePlace } from './place.ts'
import { isLinear, Pointers } from './prp.ts'
import { QueuePair } from './queue-pair.ts'

/** A device that does not answer for so long is asked to abort the command, and is reset if that does not help. */
export const COMMAND_MS = 15_000
const LOOK_MS = 500
const BLOCK_WORDS = 16

export type PairsParts = {
  readonly arena: Arena
  readonly shim: Pick<Shim, 'regionView'>
  readonly pci: () => Pci
  readonly slotCount: number
  /** Where the buffers end, as an arena offset. */
  readonly buffersEnd: number
  readonly finished: (slot: number, status: number) => void
  readonly post: (message: ToControl) => void
}

/** queue: of the shim; NONE while the device is given up. */
type Open = { readonly place: QueuePlace; readonly pair: QueuePair; queue: number }

const NONE = -1

export class Pairs {
  readonly #parts: PairsParts
  readonly #open: Open[] = []
  #lookedMs = 0

  constructor(parts: PairsParts) {
    this.#parts = parts
  }

  /** The pair at a place, opened if it was not. */
  use(place: QueuePlace): QueuePair {
    const known = this.#open.find((each) => each.place.function === place.function)
    if (known !== undefined) return known.pair
    const { arena, shim, pci: load, slotCount, buffersEnd, finished } = this.#parts
    const pci = load()
    const addresses = pci.bufferAddresses(place.function, arena.buffersAt, buffersEnd - arena.buffersAt)
    assert(typeof addresses !== 'number', 'a device that was opened sees the buffers')
    const queue = this.#openQueue(place)
    const words = new Int32Array(shim.regionView(place.region, place.bytes))
    const pair = new QueuePair({
      arena: arena.words, blockWord: this.#blockOf(queue), words,
      cqAt: place.cqAt, depth: place.depth, slotCount, finished,
      pointers: new Pointers(
        words, addresses, place.sgl && isLinear(addresses), place.listsAt, place.listBytes, place.iova + place.listsAt,
      ),
    })
    this.#open.push({ place, pair, queue })
    return pair
  }

  /** The shim has seen a completion. */
  poll(): void {
    for (let k = 0; k < this.#open.length; k++) this.#open[k]!.pair.poll()
  }

  /** Devices work with the memory of this reactor. */
  get used(): boolean {
    return this.#open.length !== 0
  }

  /** Commands that are not answered. */
  get pending(): boolean {
    return this.#open.some(({ pair }) => pair.pending)
  }

  /** From time to time: is one overdue? */
  tick(nowMs: number): void {
    if (this.#open.length === 0 || ((nowMs - this.#lookedMs) | 0) < LOOK_MS) return
    this.#lookedMs = nowMs
    for (const { place, pair } of this.#open) {
      const cid = pair.overdue(nowMs, COMMAND_MS)
      if (cid === -1 && !pair.broken) continue
      this.#parts.post({ type: 'pci-late', device: place.function, qid: place.qid, cid, broken: pair.broken })
    }
  }

  change({ device, step, status }: Extract<Change, { kind: 'pci' }>): void {
    const at = this.#open.findIndex(({ place }) => place.function === device)
    if (at === -1) return
    const open = this.#open[at]!
    const { pair, place } = open
    if (step === 'hold') pair.hold()
    else if (step === 'go') pair.restart()
    else if (step === 'join') {
      open.queue = this.#openQueue(place)
      pair.moveTo(this.#blockOf(open.queue))
    } else pair.fail(status)
    if (step !== 'leave' && step !== 'close') return
    if (open.queue !== NONE) this.#parts.pci().queueClose(open.queue)
    open.queue = NONE
    if (step === 'close') this.#open.splice(at, 1)
  }

  #openQueue({ function: device, tailAt, headAt, region, vector }: QueuePlace): number {
    const queue = this.#parts.pci().queueOpen(device, tailAt, headAt, region, vector)
    assert(queue >= 0, 'there is a queue for each device')
    return queue
  }

  /** Word of the arena at which the shim's block of a queue is. */
  #blockOf(queue: number): number {
    return (this.#parts.arena.words[H.QUEUES_AT]! >> 2) + BLOCK_WORDS * queue
  }
}
