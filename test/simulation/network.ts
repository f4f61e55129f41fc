/**
 * The simulated network: connections of two pipes, which stall, come to an end in order, or break off.
 * host-queue has one end, shim the other.
 *
 * Invariant: bytes of a pipe arrive in order and once, or, after a reset, not at all.
 */
import type { Random } from '../random.ts'
import type { Clock } from './clock.ts'

const PIPE_BYTES = 512 * 1024

/** One direction: a ring of bytes. */
export class Pipe {
  readonly #bytes = new Uint8Array(PIPE_BYTES)
  #head = 0
  #tail = 0
  /** Nothing arrives before this moment. */
  stalledUntilUs = 0
  /** The sender has finished: what is left is the rest. */
  finished = false

  get available(): number {
    return this.#tail - this.#head
  }

  get room(): number {
    return PIPE_BYTES - this.available
  }

  write(from: Uint8Array, at: number, count: number): void {
    const first = this.#tail % PIPE_BYTES
    const run = Math.min(count, PIPE_BYTES - first)
    put(this.#bytes, first, from, at, run)
    if (run < count) put(this.#bytes, 0, from, at + run, count - run)
    this.#tail += count
  }

  read(into: Uint8Array, at: number, count: number): void {
    const first = this.#head % PIPE_BYTES
    const run = Math.min(count, PIPE_BYTES - first)
    put(into, at, this.#bytes, first, run)
    if (run < count) put(into, at + run, this.#bytes, 0, count - run)
    this.#head += count
  }
}

/** A connection. */
export class Socket {
  readonly number: number
  readonly toTarget = new Pipe()
  readonly toHost = new Pipe()
  /** Broken off by the host: the target's next receive or send says so. */
  reset = false
  /** The target has closed its end, and takes nothing more. */
  targetClosed = false
  /** 0 = all that there is arrives at a time; else pieces do, every other one of so many bytes at most. */
  readonly pieceBytes: number

  constructor(number: number, pieceBytes: number) {
    this.number = number
    this.pieceBytes = pieceBytes
  }

  /** How much of `most` bytes arrives now: at least one. */
  piece(most: number, random: Random): number {
    const { pieceBytes } = this
    if (pieceBytes === 0 || most <= 1) return most
    return 1 + random.below(random.chance(50) ? Math.min(most, pieceBytes) : most)
  }
}

/** All connections, and those that wait to be accepted. */
export class Network {
  readonly sockets = new Map<number, Socket>()
  readonly backlog: Socket[] = []
  readonly clock: Clock
  #last = 100

  constructor(clock: Clock) {
    this.clock = clock
  }

  connect(pieceBytes: number): Socket {
    const socket = new Socket(++this.#last, pieceBytes)
    this.sockets.set(socket.number, socket)
    this.backlog.push(socket)
    return socket
  }

  close(number: number): void {
    const socket = this.sockets.get(number)
    if (socket === undefined) return
    socket.targetClosed = true
    socket.toHost.finished = true
    this.sockets.delete(number)
  }

  /** The machine of the target went down. */
  breakOff(): void {
    for (const number of [...this.sockets.keys()]) this.close(number)
    this.backlog.length = 0
  }
}

/** Small runs cost less byte by byte than as a view. */
function put(into: Uint8Array, at: number, from: Uint8Array, fromAt: number, count: number): void {
  if (count > 48) into.set(from.subarray(fromAt, fromAt + count), at)
  else for (let k = 0; k < count; k++) into[at + k] = from[fromAt + k]!
}
