/**
 * A fake controller on a fake bus: memory at addresses of its own, a clock that goes on only when it is waited for,
 * and a turn that rings the doorbells as the shim does. For the tests of src/nvme and src/device/pci.ts.
 */
import { StartError } from '../../src/config/start-error.ts'
import type { Clock } from '../../src/nvme/failure.ts'
import type { Dma, NvmeFunction } from '../../src/nvme/function.ts'
import { NvmeController } from '../../src/nvme/controller.ts'
import type { PciAddresses } from '../../src/shim/pci.ts'
import { isLinear, Pointers } from '../../src/nvme/prp.ts'
import { QueuePair } from '../../src/nvme/queue-pair.ts'
import type { Arena } from '../../src/reactor/arena.ts'
import { fakeArena } from '../unit/reactor/fake-arena.ts'
import { BAR_BYTES, FakeNvme, type FakeOptions } from './device.ts'

const CHUNK = 2 * 1024 * 1024
const NOW_MS_WORD = 2
/** Words of a queue's block: native/shim.h. */
const [RING, TAIL, HEAD, WATCH_AT, WATCH_MASK, WATCH_VALUE] = [0, 1, 2, 3, 4, 5]

/** Memory as the device sees it: pieces at addresses beyond 4 GiB, far from each other. */
export class FakeBus {
  readonly #pieces: { readonly iova: number; readonly memory: Uint8Array }[] = []
  #next = 0x1_4000_0000

  map(memory: Uint8Array, gap = 0x1000_0000): number {
    const iova = this.#next
    this.#next += Math.ceil(memory.length / CHUNK) * CHUNK + gap
    this.#pieces.push({ iova, memory })
    return iova
  }

  unmap(iova: number): void {
    this.#pieces.splice(this.#pieces.findIndex((each) => each.iova === iova), 1)
  }

  readonly reach = (iova: number, bytes: number): Uint8Array | null => {
    const piece = this.#pieces.find((each) => iova >= each.iova && iova + bytes <= each.iova + each.memory.length)
    return piece === undefined ? null : piece.memory.subarray(iova - piece.iova, iova - piece.iova + bytes)
  }

  get count(): number {
    return this.#pieces.length
  }
}

export class FakeFunction implements NvmeFunction {
  readonly address = '0000:03:00.0'
  readonly id = 5
  readonly vendor: number
  readonly device: number
  readonly vectors: number
  readonly bus = new FakeBus()
  readonly words = new Int32Array(BAR_BYTES / 4)
  readonly controller: FakeNvme
  readonly dmas = new Map<number, Dma>()
  closed = false
  /** The system wants it back; it has it. */
  wanted = false
  isAway = false
  armed = 0

  constructor(options: Partial<FakeOptions> = {}, identity = { vendor: 0x1b36, device: 0x0010, vectors: 8 }) {
    this.vendor = identity.vendor
    this.device = identity.device
    this.vectors = identity.vectors
    this.controller = new FakeNvme(this.words, options, this.bus.reach)
  }

  read(at: number): number {
    return this.isAway ? -1 : this.words[at >> 2]!
  }

  write(at: number, value: number): void {
    this.words[at >> 2] = value
    this.controller.step()
  }

  allocate(bytes: number): Dma {
    const memory = new ArrayBuffer(bytes)
    const dma = { region: 100 + this.dmas.size, iova: this.bus.map(new Uint8Array(memory)), memory }
    this.dmas.set(dma.region, dma)
    return dma
  }

  release(dma: Dma): void {
    this.bus.unmap(dma.iova)
    this.dmas.delete(dma.region)
  }

  setMaster(on: boolean): void {
    this.controller.master = on
  }

  setInterrupts(count: number): boolean {
    this.armed = count
    return true
  }

  reset(): boolean {
    return this.controller.reset()
  }

  isLost(): boolean {
    return this.wanted || this.isAway
  }

  isWanted(): boolean {
    return this.wanted && !this.isAway
  }

  giveUp(): void {
    this.isAway = true
  }

  takeAgain(): void {
    if (this.wanted) throw new StartError('The device is not there.', '')
    this.isAway = false
  }

  close(): void {
    this.closed = true
  }
}

/** A clock for a device that moves whenever somebody waits. */
export class FakeClock implements Clock {
  ms = 0
  readonly #step: () => void

  constructor(step: () => void) {
    this.#step = step
  }

  now(): number {
    return this.ms
  }

  pause(ms: number): Promise<void> {
    this.ms += ms
    this.#step()
    return Promise.resolve()
  }
}

export class NvmeRig {
  readonly function: FakeFunction
  readonly device: FakeNvme
  readonly clock: FakeClock
  readonly controller: NvmeController

  constructor(options: Partial<FakeOptions> = {}, sizing: { reactorCount?: number; transferBytes?: number } = {},
    identity?: { vendor: number; device: number; vectors: number }) {
    this.function = new FakeFunction(options, identity)
    this.device = this.function.controller
    this.clock = new FakeClock(() => { this.device.step() })
    this.controller = new NvmeController(
      this.function, { reactorCount: 2, transferBytes: 1024 * 1024, ...sizing }, this.clock,
    )
  }
}

/** The queue pair of reactor 0, on an arena of its own. The controller was started. */
export class PairRig {
  readonly nvme: NvmeRig
  readonly arena: Arena
  readonly pair: QueuePair
  readonly finished: [slot: number, status: number][] = []
  readonly #block: number
  readonly #doors: { tailAt: number; headAt: number; region: number }

  /** linear: the device sees the arena in one piece. */
  constructor(nvme: NvmeRig, linear = true, slotCount = 64, finished: ((slot: number, status: number) => void) | null = null,
    arena = fakeArena({ bufferBytes: 8 * CHUNK })) {
    this.nvme = nvme
    this.arena = arena
    const { function: pci } = nvme
    const place = nvme.controller.place(0)
    const dma = pci.dmas.get(place.region)!
    const words = new Int32Array(dma.memory)
    this.#block = this.arena.scratchAt >> 2
    this.#doors = { tailAt: place.tailAt, headAt: place.headAt, region: place.region }
    const addresses = addressesOf(pci.bus, this.arena, linear)
    this.pair = new QueuePair({
      arena: this.arena.words, blockWord: this.#block, words, cqAt: place.cqAt, depth: place.depth, slotCount,
      pointers: new Pointers(
        words, addresses, place.sgl && isLinear(addresses), place.listsAt, place.listBytes, place.iova + place.listsAt,
      ),
      finished: (slot, status) => {
        this.finished.push([slot, status])
        finished?.(slot, status)
      },
    })
  }

  get block(): Int32Array {
    return this.arena.words.subarray(this.#block, this.#block + 16)
  }

  set nowMs(ms: number) {
    this.arena.words[NOW_MS_WORD] = ms
  }

  /** What the shim does in a turn: doorbells; then the device does what it can. */
  ring(): void {
    const { block } = this
    const { words } = this.nvme.function
    if ((block[RING]! & 2) !== 0) words[this.#doors.headAt >> 2] = block[HEAD]!
    if ((block[RING]! & 1) !== 0) words[this.#doors.tailAt >> 2] = block[TAIL]!
    block[RING] = 0
    while (this.nvme.device.step()) continue
  }

  /** The word that the turn waits for has come. */
  get hasNews(): boolean {
    const { block } = this
    const words = new Int32Array(this.nvme.function.dmas.get(this.#doors.region)!.memory)
    return block[WATCH_MASK] !== 0 && (words[block[WATCH_AT]! >> 2]! & block[WATCH_MASK]!) === block[WATCH_VALUE]
  }

  /** Turns until nothing is left that the device would answer. */
  turn(): void {
    do {
      this.ring()
      this.pair.poll()
    } while (this.hasNews || this.block[RING] !== 0)
  }
}

/** The arena as the device sees it: in one piece, or each 2 MiB elsewhere. */
export function addressesOf(bus: FakeBus, arena: Arena, linear: boolean): PciAddresses {
  const bytes = arena.bytes
  const count = Math.ceil(bytes.length / CHUNK)
  const found = { lo: new Int32Array(count), hi: new Int32Array(count) }
  const base = linear ? bus.map(bytes) : 0
  for (let chunk = 0; chunk < count; chunk++) {
    const iova = linear ? base + chunk * CHUNK : bus.map(bytes.subarray(chunk * CHUNK, (chunk + 1) * CHUNK))
    found.lo[chunk] = iova | 0
    found.hi[chunk] = Math.floor(iova / 2 ** 32)
  }
  return found
}
