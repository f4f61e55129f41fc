/**
 * The host's end of one connection: submits commands, answers R2Ts, takes answers apart, and insists on what the
 * specification promises about each of them. host.ts has several.       NVMe/TCP Transport 1.0a, 3.6
 *
 * Invariant: a command is answered once; data come once, in order, and whole. Anything else is a Finding.
 */
import type { Random } from '../random.ts'
import { crc32c } from './crc.ts'
import type { Socket } from './network.ts'

/** What the target did wrong. */
export class Finding extends Error {}

export type Command = {
  readonly opcode: number
  readonly nsid: number
  /** FUSE: 1 and 2 of two commands that are submitted one behind the other. */
  readonly fuse: number
  /** The one that is submitted right behind it. */
  readonly second: Command | null
  /** Byte 4 of a Fabrics command. */
  readonly type: number
  readonly cdw: readonly number[]
  /** Bytes to the target, which fill() writes, and from it. */
  readonly sendBytes: number
  readonly receiveBytes: number
  readonly fill: ((into: Uint8Array, cid: number) => void) | null
  /** Called with the answer; status -1 = the connection went. */
  readonly done: (command: Command, status: number, data: Uint8Array) => void
  cid: number
  /** Whose it is, and the moment of the oracle at which it was made. */
  host: number
  from: number
  submittedUs: number
  received: number
  asked: number
  sent: number
  dw0: number
  dw1: number
  status: number
  answered: boolean
}

type Transfer = { readonly command: Command; readonly tag: number; offset: number; readonly end: number }

export type QueueWish = {
  readonly qid: number
  readonly depth: number
  readonly headerDigest: boolean
  readonly dataDigest: boolean
  readonly alignment: number
  readonly transfersMax: number
  readonly flowControlOff: boolean
}

/** The most that a command moves. */
const BUFFER_BYTES = 128 * 1024
const HEADER_BYTES = 72
const SHORT_BYTES = 24
const IC_BYTES = 128
const INBOX_BYTES = 320 * 1024
const PIECE_ROOM_BYTES = 40 * 1024
const TYPE = { IC_REQ: 0, IC_RESP: 1, CAPSULE_CMD: 4, CAPSULE_RESP: 5, H2C_DATA: 6, C2H_DATA: 7, R2T: 9 } as const

export class HostQueue {
  readonly wish: QueueWish
  readonly socket: Socket
  readonly commands: (Command | null)[]
  open = false
  dead = false
  outstanding = 0
  /** Identifiers that an Abort names: another command that had one would be aborted. */
  readonly reserved = new Set<number>()
  /** In-capsule data that the controller takes. */
  capsuleBytes = 8192
  readonly #random: Random
  readonly #nowUs: () => number
  /** The data of each command that is outstanding; free ones are shared by all queues. */
  readonly #buffers: (Uint8Array | null)[] = []
  readonly #pool: Uint8Array[]
  readonly #inbox = new Uint8Array(INBOX_BYTES)
  readonly #view = new DataView(this.#inbox.buffer)
  readonly #scratch = new Uint8Array(512)
  readonly #out = new DataView(this.#scratch.buffer)
  readonly #transfers: Transfer[] = []
  #inboxed = 0
  #dataBytesMax = 0
  #nextCid = 0

  constructor(socket: Socket, wish: QueueWish, random: Random, nowUs: () => number, pool: Uint8Array[]) {
    this.socket = socket
    this.wish = wish
    this.#random = random
    this.#nowUs = nowUs
    this.#pool = pool
    this.commands = new Array<Command | null>(wish.depth).fill(null)
    this.#scratch.fill(0)
    this.#common(TYPE.IC_REQ, 0, IC_BYTES, 0, IC_BYTES)
    this.#scratch[10] = wish.alignment
    this.#scratch[11] = (wish.headerDigest ? 1 : 0) | (wish.dataDigest ? 2 : 0)
    this.#out.setUint32(12, wish.transfersMax - 1, true)
    socket.toTarget.write(this.#scratch, 0, IC_BYTES)
  }

  /** Whether one more may be submitted, or two that are fused. */
  get hasRoom(): boolean {
    return this.open && !this.dead && this.outstanding + this.reserved.size < this.wish.depth - 2 &&
      this.socket.toTarget.room > PIECE_ROOM_BYTES
  }

  submit(command: Command): void {
    this.#submit(command)
    if (command.second !== null) this.#submit(command.second)
  }

  #submit(command: Command): void {
    let cid = this.#nextCid
    while (this.commands[cid] !== null || this.reserved.has(cid)) cid = (cid + 1) % this.wish.depth
    this.#nextCid = (cid + 1) % this.wish.depth
    this.commands[cid] = command
    this.outstanding++
    command.cid = cid
    command.submittedUs = this.#nowUs()
    const data = this.#pool.pop() ?? new Uint8Array(BUFFER_BYTES)
    this.#buffers[cid] = data
    if (command.fill !== null) command.fill(data, cid)
    const inCapsule = command.sendBytes !== 0 && command.sendBytes <= this.capsuleBytes &&
      (command.opcode === 0x7f || this.#random.chance(80))
    this.#capsule(command, data, inCapsule)
  }

  /** Reads, and sends what was asked for. */
  step(nowUs: number): boolean {
    if (this.dead) return false
    let moved = false
    const pipe = this.socket.toHost
    if (pipe.stalledUntilUs <= nowUs) {
      const count = Math.min(pipe.available, INBOX_BYTES - this.#inboxed)
      if (count > 0) {
        pipe.read(this.#inbox, this.#inboxed, count)
        this.#inboxed += count
        this.#take()
        moved = true
      } else if (pipe.finished && pipe.available === 0) {
        this.leave()
        return true
      }
    }
    while (this.#transfers.length !== 0 && this.socket.toTarget.room > PIECE_ROOM_BYTES) {
      this.#send(this.#random.below(this.#transfers.length))
      moved = true
    }
    return moved
  }

  /** The connection is over, as far as this host is concerned. */
  leave(): void {
    if (this.dead) return
    this.dead = true
    this.open = false
    this.socket.toTarget.finished = true
    for (const command of this.commands) if (command !== null) this.#end(command, -1)
    this.outstanding = 0
  }

  reset(): void {
    this.socket.reset = true
    this.leave()
  }

  #common(type: number, flags: number, hlen: number, pdo: number, plen: number): void {
    this.#scratch[0] = type
    this.#scratch[1] = flags
    this.#scratch[2] = hlen
    this.#scratch[3] = pdo
    this.#out.setUint32(4, plen, true)
  }

  #capsule(command: Command, data: Uint8Array, inCapsule: boolean): void {
    const { headerDigest, dataDigest } = this.wish
    const out = this.#out
    this.#scratch.fill(0, 0, HEADER_BYTES)
    const headBytes = HEADER_BYTES + (headerDigest ? 4 : 0)
    const digested = inCapsule && dataDigest
    const plen = headBytes + (inCapsule ? command.sendBytes + (digested ? 4 : 0) : 0)
    this.#common(
      TYPE.CAPSULE_CMD, (headerDigest ? 1 : 0) | (digested ? 2 : 0), HEADER_BYTES, inCapsule ? headBytes : 0, plen,
    )
    this.#scratch[8] = command.opcode
    this.#scratch[9] = 0x40 | command.fuse
    out.setUint16(10, command.cid, true)
    if (command.opcode === 0x7f) this.#scratch[12] = command.type
    else out.setUint32(12, command.nsid, true)
    const bytes = command.sendBytes || command.receiveBytes
    out.setUint32(8 + 32, bytes, true)
    this.#scratch[8 + 39] = inCapsule ? 0x01 : 0x5a
    for (const [k, value] of command.cdw.entries()) out.setUint32(8 + 40 + 4 * k, value >>> 0, true)
    this.#put(HEADER_BYTES)
    if (!inCapsule) return
    command.sent = command.sendBytes
    this.#payload(data, 0, command.sendBytes)
  }

  /** The header in scratch, and its digest. */
  #put(bytes: number): void {
    let count = bytes
    if (this.wish.headerDigest) {
      this.#out.setInt32(bytes, crc32c(this.#scratch, 0, bytes), true)
      count += 4
    }
    this.socket.toTarget.write(this.#scratch, 0, count)
  }

  #payload(data: Uint8Array, at: number, bytes: number): void {
    this.socket.toTarget.write(data, at, bytes)
    if (!this.wish.dataDigest) return
    this.#out.setInt32(0, crc32c(data, at, at + bytes), true)
    this.socket.toTarget.write(this.#scratch, 0, 4)
  }

  #send(index: number): void {
    const transfer = this.#transfers[index]!
    const { command, tag, offset, end } = transfer
    const { headerDigest, dataDigest } = this.wish
    const most = Math.min(end - offset, this.#dataBytesMax, 32 * 1024)
    const bytes = this.#random.chance(70) || most <= 4 ? most : 4 + (this.#random.below(most - 3) & ~3)
    const last = offset + bytes === end
    const pdo = SHORT_BYTES + (headerDigest ? 4 : 0)
    this.#scratch.fill(0, 0, SHORT_BYTES)
    this.#common(
      TYPE.H2C_DATA, (headerDigest ? 1 : 0) | (dataDigest ? 2 : 0) | (last ? 4 : 0), SHORT_BYTES, pdo,
      pdo + bytes + (dataDigest ? 4 : 0),
    )
    this.#out.setUint16(8, command.cid, true)
    this.#out.setUint16(10, tag, true)
    this.#out.setUint32(12, offset, true)
    this.#out.setUint32(16, bytes, true)
    this.#put(SHORT_BYTES)
    this.#payload(this.#buffers[command.cid]!, offset, bytes)
    command.sent += bytes
    transfer.offset += bytes
    if (last) this.#transfers.splice(index, 1)
  }

  #take(): void {
    let at = 0
    while (!this.dead && this.#inboxed - at >= 8) {
      const plen = this.#view.getUint32(at + 4, true)
      if (plen < 8 || plen > INBOX_BYTES) throw new Finding(`a PDU of ${plen} bytes`)
      if (this.#inboxed - at < plen) break
      this.#pdu(at, plen)
      at += plen
    }
    if (at === 0) return
    this.#inbox.copyWithin(0, at, this.#inboxed)
    this.#inboxed -= at
  }

  #pdu(at: number, plen: number): void {
    const type = this.#inbox[at]!
    if (type === TYPE.IC_RESP && !this.open) {
      this.#dataBytesMax = this.#view.getUint32(at + 12, true)
      if (this.#dataBytesMax < 4096) throw new Finding(`MAXH2CDATA is ${this.#dataBytesMax}`)
      const agreed = (this.wish.headerDigest ? 1 : 0) | (this.wish.dataDigest ? 2 : 0)
      if (this.#inbox[at + 11] !== agreed) throw new Finding('ICResp: other digests than were asked for')
      this.open = true
      return
    }
    if (type !== TYPE.CAPSULE_RESP && type !== TYPE.C2H_DATA && type !== TYPE.R2T) {
      throw new Finding(`a PDU of type ${type}, FES ${this.#view.getUint16(at + 8, true)}`)
    }
    this.#digest(at)
    if (type === TYPE.CAPSULE_RESP) this.#response(at)
    else if (type === TYPE.R2T) this.#asked(at)
    else this.#data(at, plen)
  }

  #digest(at: number): void {
    const flags = this.#inbox[at + 1]!
    if (((flags & 1) !== 0) !== this.wish.headerDigest) throw new Finding('a header digest where none belongs, or none')
    if (!this.wish.headerDigest) return
    const hlen = this.#inbox[at + 2]!
    if (crc32c(this.#inbox, at, at + hlen) !== this.#view.getInt32(at + hlen, true)) {
      throw new Finding('a header digest is wrong')
    }
  }

  #command(cid: number): Command {
    const command = this.commands[cid]
    if (command == null) throw new Finding(`an answer to command ${cid}, which there is not`)
    return command
  }

  #response(at: number): void {
    const command = this.#command(this.#view.getUint16(at + 20, true))
    const qid = this.#view.getUint16(at + 18, true)
    if (qid !== 0) throw new Finding(`SQID ${qid} in an answer`)
    command.dw0 = this.#view.getUint32(at + 8, true)
    command.dw1 = this.#view.getUint32(at + 12, true)
    this.#finish(command, (this.#view.getUint16(at + 22, true) >>> 1) & 0x7ff)
  }

  #finish(command: Command, status: number): void {
    if (status === 0 && command.received !== command.receiveBytes) {
      throw new Finding(`success after ${command.received} of ${command.receiveBytes} bytes`)
    }
    if (status === 0 && command.sent !== command.sendBytes) throw new Finding('success before all data were sent')
    for (let k = this.#transfers.length - 1; k >= 0; k--) {
      if (this.#transfers[k]!.command === command) this.#transfers.splice(k, 1)
    }
    this.outstanding--
    command.status = status
    command.answered = true
    this.#end(command, status)
  }

  #end(command: Command, status: number): void {
    const data = this.#buffers[command.cid]!
    this.commands[command.cid] = null
    this.#buffers[command.cid] = null
    command.done(command, status, data)
    this.#pool.push(data)
  }

  #data(at: number, plen: number): void {
    const flags = this.#inbox[at + 1]!
    const pdo = this.#inbox[at + 3]!
    const command = this.#command(this.#view.getUint16(at + 8, true))
    const offset = this.#view.getUint32(at + 12, true)
    const bytes = this.#view.getUint32(at + 16, true)
    if (offset !== command.received || offset + bytes > command.receiveBytes || bytes === 0) {
      throw new Finding(`data ${offset} + ${bytes} after ${command.received} of ${command.receiveBytes}`)
    }
    if (pdo % ((this.wish.alignment + 1) * 4) !== 0) throw new Finding(`PDO ${pdo} is not aligned`)
    if (plen !== pdo + bytes + (this.wish.dataDigest ? 4 : 0)) throw new Finding('PLEN of data')
    if (this.wish.dataDigest &&
      crc32c(this.#inbox, at + pdo, at + pdo + bytes) !== this.#view.getInt32(at + pdo + bytes, true)) {
      throw new Finding('a data digest is wrong')
    }
    this.#buffers[command.cid]!.set(this.#inbox.subarray(at + pdo, at + pdo + bytes), offset)
    command.received += bytes
    if ((flags & 8) === 0) return
    if (!this.wish.flowControlOff || (flags & 4) === 0) throw new Finding('SUCCESS where it does not belong')
    this.#finish(command, 0)
  }

  #asked(at: number): void {
    const command = this.#command(this.#view.getUint16(at + 8, true))
    const offset = this.#view.getUint32(at + 12, true)
    const bytes = this.#view.getUint32(at + 16, true)
    if (offset !== command.asked || bytes === 0 || offset + bytes > command.sendBytes) {
      throw new Finding(`R2T ${offset} + ${bytes} after ${command.asked} of ${command.sendBytes}`)
    }
    const open = this.#transfers.reduce((sum, { command: each }) => sum + (each === command ? 1 : 0), 0)
    if (open >= this.wish.transfersMax) throw new Finding(`more than ${this.wish.transfersMax} R2Ts of one command`)
    command.asked += bytes
    this.#transfers.push({ command, tag: this.#view.getUint16(at + 10, true), offset, end: offset + bytes })
  }
}
