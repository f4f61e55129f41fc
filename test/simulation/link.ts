/**
 * The shim's side of one connection: what native/connection.c does, with sends and receives that take their time.
 * shim visits it and lets it advance, once a turn.
 *
 * Invariant: TX_HEAD moves when all bytes that were gathered have left; a receive that is armed fills the places
 * that it was armed with.
 */
import { C, FLAG, H, STATE, T, TX, WORDS } from '../../src/shim/abi.ts'
import { crc32c } from './crc.ts'
import type { Socket } from './network.ts'
import type { SimulatedShim } from './shim.ts'

const SEND_BYTES = 1 << 20
const ECONNRESET = 104
const PAD_BYTES_MAX = 128
const zeroes = new Uint8Array(PAD_BYTES_MAX)

export class Link {
  readonly #shim: SimulatedShim
  readonly #index: number
  listed = false
  #socket: Socket | null = null
  #closing = false
  #finished = false
  /** Gathered: memory, first byte, bytes left of each piece. */
  readonly #memory: Uint8Array[] = []
  readonly #at: number[] = []
  readonly #left: number[] = []
  #piece = 0
  #next = 0
  #sending = false
  #receiving = false
  #placeMemory: Uint8Array | null = null
  #placeAt = 0
  #placeBytes = 0
  #ringAt = 0
  #ringBytes = 0

  constructor(shim: SimulatedShim, index: number) {
    this.#shim = shim
    this.#index = index
  }

  begin(socket: Socket): void {
    this.clear()
    this.#socket = socket
    this.#closing = false
    this.#finished = false
    this.#sending = false
    this.#receiving = false
    this.#set(C.STATE, STATE.OPEN)
  }

  /** All but the word that says whether it is in the list of touched connections. */
  clear(): void {
    for (let word = 0; word < WORDS.CONNECTION; word++) if (word !== C.TOUCHED) this.#set(word, 0)
  }

  /** A visit would do something. One that waits for a buffer is touched in each turn, and wants nothing. */
  get wants(): boolean {
    if (this.#socket === null) return false
    const flags = this.#get(C.FLAGS)
    if ((flags & FLAG.CLOSE) !== 0) return !this.#closing
    if (this.#get(C.STATE) !== STATE.OPEN) return false
    const sends = this.#get(C.TX_HEAD) !== this.#get(C.TX_TAIL) || (flags & FLAG.FINISH) !== 0 && !this.#finished
    const full = this.#get(C.PLACE_BYTES) === 0
      && ((this.#get(C.RX_TAIL) - this.#get(C.RX_HEAD)) >>> 0) === this.#shim.limits.rxBytes
    return !this.#sending && sends || !this.#receiving && (flags & FLAG.PAUSE) === 0 && !full
  }

  visit(): void {
    if (this.#socket === null) return
    const flags = this.#get(C.FLAGS)
    if ((flags & FLAG.CLOSE) !== 0) {
      this.#closing = true
      this.#settle()
    } else if (this.#get(C.STATE) === STATE.OPEN) {
      if (!this.#sending) this.#send(flags)
      if (!this.#receiving && (flags & FLAG.PAUSE) === 0) this.#arm()
    }
  }

  /** What has arrived and what has left since the last turn. */
  advance(): void {
    const socket = this.#socket
    if (socket === null || (!this.#sending && !this.#receiving)) return
    const { random, weather } = this.#shim.machine
    if (this.#closing) {
      // What is in flight ends at some time; until then bytes may still come.
      if (random.chance(30)) this.#take(socket)
      if (!random.chance(40)) return
      this.#sending = false
      this.#receiving = false
      return this.#settle()
    }
    if (socket.reset) {
      if (random.chance(50)) return
      return this.#end(ECONNRESET)
    }
    if (weather.stallPerMille !== 0 && random.below(1000) < weather.stallPerMille) {
      const pipe = random.chance(50) ? socket.toTarget : socket.toHost
      pipe.stalledUntilUs = this.#shim.machine.clock.us + random.below(weather.stallUs)
    }
    if (this.#sending) this.#leave(socket)
    if (this.#receiving) this.#take(socket)
  }

  /** Its shim is closed. */
  abandon(): void {
    if (this.#socket !== null) this.#shim.machine.network.close(this.#socket.number)
    this.#socket = null
  }

  #get(word: number): number {
    return this.#shim.word(this.#index, word)
  }

  #set(word: number, value: number): void {
    this.#shim.setWord(this.#index, word, value)
  }

  #settle(): void {
    if (!this.#closing || this.#sending || this.#receiving || this.#socket === null) return
    this.#shim.machine.network.close(this.#socket.number)
    this.#socket = null
    this.#set(C.STATE, STATE.CLOSED)
    this.#shim.ready(this.#index)
  }

  #end(errno: number): void {
    this.#sending = false
    this.#receiving = false
    this.#shim.ready(this.#index)
    if (this.#get(C.STATE) !== STATE.OPEN) return
    this.#set(C.STATE, STATE.ENDED)
    this.#set(C.ERROR, errno)
  }

  #send(flags: number): void {
    const { words, limits } = this.#shim
    const [head, tail] = [this.#get(C.TX_HEAD), this.#get(C.TX_TAIL)]
    if (((tail - head) >>> 0) > limits.txEntries) throw new Error('the send ring holds what it can')
    if (head === tail) {
      if ((flags & FLAG.FINISH) === 0 || this.#finished) return
      this.#finished = true
      this.#socket!.toHost.finished = true
      return
    }
    this.#memory.length = 0
    this.#at.length = 0
    this.#left.length = 0
    this.#piece = 0
    let bytes = 0
    let k = head
    const ring = (words[H.TX_AT]! >> 2) + this.#index * limits.txEntries * WORDS.TX
    for (; k !== tail && bytes < SEND_BYTES; k = (k + 1) | 0) {
      bytes += this.#gather(ring + (k & (limits.txEntries - 1)) * WORDS.TX)
    }
    this.#next = k
    this.#sending = true
  }

  #gather(w: number): number {
    const { words, bytes } = this.#shim
    const flags = words[w + T.FLAGS]!
    let headerBytes = words[w + T.HEADER_BYTES]!
    const padBytes = words[w + T.PAD_BYTES]!
    const payloadBytes = words[w + T.BYTES]!
    const headerAt = (w + T.HEADER) * 4
    if (headerBytes > 28 || padBytes > PAD_BYTES_MAX || payloadBytes < 0) throw new Error('an entry is well formed')
    if ((flags & TX.HEADER_DIGEST) !== 0) {
      const digest = crc32c(bytes, headerAt, headerAt + headerBytes)
      for (let k = 0; k < 4; k++) bytes[headerAt + headerBytes + k] = digest >>> (8 * k)
      headerBytes += 4
    }
    if (headerBytes !== 0) this.#add(bytes, headerAt, headerBytes)
    if (padBytes !== 0) this.#add(zeroes, 0, padBytes)
    if (payloadBytes === 0) return headerBytes + padBytes
    const region = words[w + T.REGION]!
    const at = this.#shim.place(region, words[w + T.LO]!, words[w + T.HI]!, payloadBytes)
    const memory = this.#shim.memory(region)
    this.#add(memory, at, payloadBytes)
    if ((flags & TX.DATA_DIGEST) !== 0) {
      words[w + T.DATA_DIGEST] = crc32c(memory, at, at + payloadBytes)
      this.#add(bytes, (w + T.DATA_DIGEST) * 4, 4)
    }
    return headerBytes + padBytes + payloadBytes
  }

  #add(memory: Uint8Array, at: number, bytes: number): void {
    this.#memory.push(memory)
    this.#at.push(at)
    this.#left.push(bytes)
  }

  #leave(socket: Socket): void {
    const { machine } = this.#shim
    const pipe = socket.toHost
    if (pipe.stalledUntilUs > machine.clock.us) return
    if (pipe.room === 0) return
    let budget = socket.piece(pipe.room, machine.random)
    while (this.#piece < this.#left.length && budget > 0) {
      const bytes = Math.min(budget, this.#left[this.#piece]!)
      pipe.write(this.#memory[this.#piece]!, this.#at[this.#piece]!, bytes)
      this.#at[this.#piece]! += bytes
      this.#left[this.#piece]! -= bytes
      budget -= bytes
      if (this.#left[this.#piece] === 0) this.#piece++
    }
    machine.activity++
    if (this.#piece < this.#left.length) return
    this.#sending = false
    this.#set(C.TX_HEAD, this.#next)
    this.#shim.ready(this.#index)
  }

  #arm(): void {
    const { words, limits } = this.#shim
    let [head, tail] = [this.#get(C.RX_HEAD), this.#get(C.RX_TAIL)]
    if (((tail - head) >>> 0) > limits.rxBytes) throw new Error('the receive ring holds what it can')
    if (head === tail) {
      this.#set(C.RX_HEAD, 0)
      this.#set(C.RX_TAIL, 0)
      head = tail = 0
    }
    const placeBytes = this.#get(C.PLACE_BYTES)
    this.#placeBytes = placeBytes
    if (placeBytes !== 0) {
      if (head !== tail) throw new Error('a placement begins with an empty ring')
      const region = this.#get(C.PLACE_REGION)
      this.#placeAt = this.#shim.place(region, this.#get(C.PLACE_LO), this.#get(C.PLACE_HI), placeBytes)
      this.#placeMemory = this.#shim.memory(region)
    }
    this.#ringBytes = limits.rxBytes - (tail - head)
    this.#ringAt = words[H.RX_AT]! + this.#index * limits.rxBytes * 2 + (tail & (limits.rxBytes - 1))
    this.#receiving = this.#placeBytes + this.#ringBytes > 0
  }

  #take(socket: Socket): void {
    if (!this.#receiving) return
    const { machine } = this.#shim
    const pipe = socket.toTarget
    if (pipe.stalledUntilUs > machine.clock.us) return
    const most = Math.min(pipe.available, this.#placeBytes + this.#ringBytes)
    if (most === 0) {
      if (pipe.finished && pipe.available === 0 && !this.#closing) this.#end(0)
      return
    }
    const count = socket.piece(most, machine.random)
    this.#receiving = false
    machine.activity++
    this.#deliver(socket, count)
    this.#shim.ready(this.#index)
    if (this.#closing) this.#receiving = true
  }

  #deliver(socket: Socket, count: number): void {
    const pipe = socket.toTarget
    let rest = count
    if (this.#placeBytes !== 0) {
      const placed = Math.min(rest, this.#placeBytes)
      pipe.read(this.#placeMemory!, this.#placeAt, placed)
      this.#placeAt += placed
      this.#placeBytes -= placed
      if (this.#get(C.PLACE_BYTES) >= placed) this.#advancePlace(placed)
      rest -= placed
    } else if (this.#get(C.PLACE_BYTES) > 0) {
      if (this.#get(C.RX_HEAD) !== this.#get(C.RX_TAIL)) throw new Error('a placement begins with an empty ring')
      const wanted = this.#get(C.PLACE_BYTES)
      const region = this.#get(C.PLACE_REGION)
      const at = this.#shim.place(region, this.#get(C.PLACE_LO), this.#get(C.PLACE_HI), wanted)
      const placed = Math.min(rest, wanted)
      pipe.read(this.#shim.memory(region), at, placed)
      this.#advancePlace(placed)
      rest -= placed
    }
    if (rest === 0) return
    this.#intoRing(pipe.read.bind(pipe), rest)
    this.#set(C.RX_TAIL, (this.#get(C.RX_TAIL) + rest) | 0)
  }

  /** The ring is there twice, one behind the other. */
  #intoRing(read: (into: Uint8Array, at: number, count: number) => void, count: number): void {
    const { bytes, words, limits } = this.#shim
    const first = words[H.RX_AT]! + this.#index * limits.rxBytes * 2
    read(bytes, this.#ringAt, count)
    const below = Math.min(count, first + limits.rxBytes - this.#ringAt)
    bytes.copyWithin(this.#ringAt + limits.rxBytes, this.#ringAt, this.#ringAt + below)
    if (below < count) bytes.copyWithin(first, first + limits.rxBytes, first + limits.rxBytes + count - below)
    this.#ringAt += count
    this.#ringBytes -= count
  }

  #advancePlace(bytes: number): void {
    const lo = (this.#get(C.PLACE_LO) >>> 0) + bytes
    this.#set(C.PLACE_LO, lo | 0)
    if (lo >= 2 ** 32) this.#set(C.PLACE_HI, this.#get(C.PLACE_HI) + 1)
    this.#set(C.PLACE_BYTES, this.#get(C.PLACE_BYTES) - bytes)
  }
}
