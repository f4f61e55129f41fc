/**
 * Operations of a simulated shim on disks and memory: each takes its time, may fail, and is done in any order.
 * What it reads and writes, it does as late as it may: a buffer that is given back too early is found out.
 *
 * Invariant: an operation completes once; a block is read and written whole.
 */
import { O, OP, WORDS } from '../../src/shim/abi.ts'
import type { SimulatedShim } from './shim.ts'
import type { Storage } from './storage.ts'

const EIO = 5
const EINVAL = 22
const ENOSPC = 28

type Operation = {
  readonly code: number
  readonly token: number
  readonly disk: Storage | null
  readonly through: boolean
  readonly region: number
  readonly at: number
  readonly bytes: number
  readonly position: number
  readonly dueUs: number
  readonly errno: number
}

export class Operations {
  readonly #shim: SimulatedShim
  #present: Operation[] = []

  constructor(shim: SimulatedShim) {
    this.#shim = shim
  }

  get count(): number {
    return this.#present.length
  }

  /** Takes the descriptors from word `first` on. */
  start(first: number, count: number): void {
    if (this.#present.length + count > this.#shim.limits.opsMax) throw new Error('operations stay within their limit')
    for (let k = 0; k < count; k++) this.#start(first + k * WORDS.OP)
  }

  reap(): void {
    const { machine } = this.#shim
    const nowUs = machine.clock.us
    for (let k = 0; k < this.#present.length; ) {
      const operation = this.#present[k]!
      if (operation.dueUs > nowUs) {
        k++
        continue
      }
      this.#present[k] = this.#present[this.#present.length - 1]!
      this.#present.pop()
      machine.activity++
      this.#shim.complete(operation.token, this.#perform(operation))
    }
  }

  /** Nobody waits for them any more: they come to their end. */
  finish(): void {
    for (const operation of this.#present) this.#perform(operation)
    this.#present = []
  }

  /** The power fails. */
  fail(): void {
    const { random } = this.#shim.machine
    for (const operation of this.#present) {
      if (random.chance(50)) this.#perform({ ...operation, errno: EIO })
    }
    this.#present = []
  }

  #start(w: number): void {
    const { words, machine } = this.#shim
    const { random, weather, clock } = machine
    const code = words[w + O.CODE]!
    const token = words[w + O.TOKEN]!
    const ranged = code === OP.DISCARD || code === OP.ZERO || code === OP.MEMORY_ZERO
    const bytes = ranged
      ? (words[w + O.RANGE_LO]! >>> 0) + words[w + O.RANGE_HI]! * 2 ** 32 : words[w + O.BYTES]!
    const region = words[w + O.REGION]!
    const at = code <= OP.WRITE || code >= OP.MEMORY_ZERO
      ? this.#shim.place(region, words[w + O.LO]!, words[w + O.HI]!, bytes) : 0
    if (code === OP.COMPARE || code === OP.MOVE) return this.#between(w, token, code, region, at, bytes)
    const disk = code === OP.MEMORY_ZERO ? null : machine.disk(words[w + O.FILE]!)
    const position = (words[w + O.AT_LO]! >>> 0) + words[w + O.AT_HI]! * 2 ** 32
    if (disk !== null && position + bytes > disk.image.length) return this.#shim.complete(token, -EINVAL)
    const fails = disk !== null && random.below(1000) < weather.failPerMille
    if (fails) disk.failedCount++
    if (code === OP.SYNC && fails) disk!.syncPartly(random)
    else if (code === OP.SYNC) disk!.sync()
    const slow = random.chance(2) ? weather.deviceUs * 8 : weather.deviceUs
    this.#present.push({
      code, token, disk, region, at, bytes, position, through: (words[w + O.FLAGS]! & OP.FUA) !== 0,
      dueUs: clock.us + random.below(slow + 1),
      errno: fails ? (code === OP.READ || random.chance(70) ? EIO : ENOSPC) : 0,
    })
    machine.due(clock.us + slow)
  }

  #between(w: number, token: number, code: number, region: number, at: number, bytes: number): void {
    const { words } = this.#shim
    const otherRegion = words[w + O.OTHER_REGION]!
    const otherAt = this.#shim.place(otherRegion, words[w + O.OTHER_LO]!, words[w + O.OTHER_HI]!, bytes)
    const one = this.#shim.memory(region).subarray(at, at + bytes)
    const other = this.#shim.memory(otherRegion).subarray(otherAt, otherAt + bytes)
    if (code === OP.MOVE) other.set(one)
    this.#shim.complete(token, code === OP.COMPARE && Buffer.compare(one, other) !== 0 ? 1 : 0)
  }

  #perform({ code, disk, through, region, at, bytes, position, errno }: Operation): number {
    if (disk === null) {
      this.#shim.memory(region).fill(0, at, at + bytes)
      return 0
    }
    // One that fails has done a part of it.
    const part = errno === 0 ? bytes
      : this.#shim.machine.random.below(bytes / disk.blockBytes + 1) * disk.blockBytes
    const memory = this.#shim.memory(region)
    if (code === OP.READ) memory.set(disk.image.subarray(position, position + part), at)
    else if (code === OP.WRITE) disk.write(position, memory, at, part, through)
    else if (code !== OP.SYNC) disk.write(position, null, 0, part, through)
    return -errno
  }
}
