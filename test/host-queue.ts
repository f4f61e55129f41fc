/**
 * One NVMe queue of the test host: sends commands, serves R2Ts, collects data, gives completions.
 * test → host-queue → host. NVMe over Fabrics 1.1; NVMe/TCP Transport 1.0a, data transfer.
 *
 * Invariant: all that the target sends for a command is checked as it arrives (order, sums, LAST,
 * SUCCESS, digests), so that every test which moves data is a test of the transfer rules too.
 */
import { expect } from 'vitest'
import {
  C2H_DATA, C2H_TERM_REQ, CAPSULE_RESP, FLAG_DDGST, FLAG_HDGST, FLAG_LAST, FLAG_SUCCESS, R2T,
  c2hDataOf, capsuleCmd, cqeOf, crc32c, h2cData, r2tOf, termReqOf,
} from './wire-bytes.ts'
import type { Cqe, Pdu } from './wire-bytes.ts'
import { stampSgl } from './command-bytes.ts'
import { ConnectionEnded, type Wire } from './host.ts'

const ANSWER_MS = 45_000

/** How a command's data moves. */
export type Transfer = {
  /** Data for the target. */
  readonly send?: Buffer
  /** true (the default) sends it in the capsule; false waits for R2Ts. */
  readonly inCapsule?: boolean
  /** Bytes the host expects back. */
  readonly receive?: number
  /** The command may rest in the target for as long as it likes (asynchronous events). */
  readonly held?: boolean
  /** Bytes per H2CData at most; MAXH2CDATA when absent. */
  readonly h2cBytes?: number
  /** Leave SGL1 as the command has it. */
  readonly ownSgl?: boolean
}

export type Completion = Cqe & {
  readonly data: Buffer
  readonly c2h: readonly Pdu[]
  readonly r2ts: readonly Pdu[]
  /** Completed by the SUCCESS flag of the last C2HData: there was no CapsuleResp. */
  readonly bySuccessFlag: boolean
}

type Outstanding = {
  transfer: Transfer
  c2h: Pdu[]
  r2ts: Pdu[]
  data: Buffer
  lastSeen: boolean
  requestedBytes: number
  timer: NodeJS.Timeout | undefined
  resolve: (completion: Completion) => void
  reject: (error: Error) => void
}

const SUCCEEDED: Cqe = { dw0: 0, dw1: 0, sqhd: 0, sqid: 0, cid: 0, status: '0/00h', dnr: false }

export class HostQueue {
  readonly wire: Wire
  readonly qid: number
  /** Known after Connect. */
  cntlid = 0
  /** Connect said that SQ flow control is off. */
  flowControlDisabled = false
  readonly outstanding = new Map<number, Outstanding>()
  private cidNext = 0
  private pumping = false

  constructor(wire: Wire, qid: number) {
    this.wire = wire
    this.qid = qid
  }

  /** The CID that the next submit() will use. */
  get nextCid(): number {
    return this.cidNext
  }

  /** A CID for a command that the test sends itself, byte by byte. */
  takeCid(): number {
    do this.cidNext = (this.cidNext + 1) & 0xffff
    while (this.outstanding.has(this.cidNext))
    return (this.cidNext + 0xffff) & 0xffff
  }

  /** Fills in CID and SGL1 and returns the CapsuleCmd, with in-capsule data when there is some. */
  capsule(sqe: Buffer, transfer: Transfer = {}, cid = this.takeCid()): Buffer {
    const bytes = Buffer.from(sqe)
    bytes.writeUInt16LE(cid, 2)
    const send = transfer.send
    const inCapsule = send !== undefined && transfer.inCapsule !== false
    if (transfer.ownSgl !== true) {
      if (inCapsule) stampSgl(bytes, 0x01, send.length)
      else stampSgl(bytes, 0x5a, send?.length ?? transfer.receive ?? 0)
    }
    return capsuleCmd(bytes, inCapsule ? send : null, this.wire.digests)
  }

  /** Sends a command and resolves with its completion, good or bad. */
  submit(sqe: Buffer, transfer: Transfer = {}): Promise<Completion> {
    const cid = this.takeCid()
    const completion = this.expectAnswer(cid, transfer)
    void this.wire.send(this.capsule(sqe, transfer, cid))
    return completion
  }

  /** As submit, for a command that must succeed. */
  async must(sqe: Buffer, transfer: Transfer = {}): Promise<Completion> {
    const completion = await this.submit(sqe, transfer)
    expect(completion.status).toBe('0/00h')
    return completion
  }

  /** Registers a CID whose capsule the test sends itself. */
  expectAnswer(cid: number, transfer: Transfer = {}): Promise<Completion> {
    const completion = new Promise<Completion>((resolve, reject) => {
      const timer = transfer.held
        ? undefined
        : setTimeout(() => {
            this.outstanding.delete(cid)
            reject(new Error(`queue ${this.qid}: no completion for CID ${cid}`))
          }, ANSWER_MS)
      this.outstanding.set(cid, {
        transfer, c2h: [], r2ts: [], data: Buffer.alloc(transfer.receive ?? 0), lastSeen: false,
        requestedBytes: 0, timer, resolve, reject,
      })
    })
    // A held command fails when its connection goes, and nobody may be waiting by then.
    completion.catch(() => {})
    void this.pump()
    return completion
  }

  private async pump(): Promise<void> {
    if (this.pumping) return
    this.pumping = true
    try {
      while (this.outstanding.size > 0) this.route(await this.wire.next(0))
    } catch (error) {
      const reason = error instanceof Error ? error : new ConnectionEnded(String(error))
      for (const entry of this.outstanding.values()) {
        clearTimeout(entry.timer)
        entry.reject(reason)
      }
      this.outstanding.clear()
    } finally {
      this.pumping = false
    }
  }

  private route(pdu: Pdu): void {
    if (pdu.type === C2H_TERM_REQ) {
      const { fes, fei } = termReqOf(pdu)
      throw new ConnectionEnded(`C2HTermReq FES ${fes} FEI ${fei}`)
    }
    this.checkDigests(pdu)
    if (pdu.type === CAPSULE_RESP) this.completed(pdu)
    else if (pdu.type === C2H_DATA) this.dataArrived(pdu)
    else if (pdu.type === R2T) this.requested(pdu)
    else throw new Error(`the target sent a PDU of type ${pdu.type}`)
  }

  /** A digest that is enabled is on every PDU that can carry it, and is right. */
  private checkDigests(pdu: Pdu): void {
    const { header, data } = this.wire.digests
    expect((pdu.flags & FLAG_HDGST) !== 0, 'HDGSTF').toBe(header)
    expect((pdu.flags & FLAG_DDGST) !== 0, 'DDGSTF').toBe(data && pdu.type === C2H_DATA)
    expect(pdu.hlen, 'HLEN').toBe(24)
    if (header) expect(pdu.headerDigest).toBe(crc32c(pdu.bytes.subarray(0, 24)))
    if (data && pdu.type === C2H_DATA) expect(pdu.dataDigest).toBe(crc32c(pdu.data))
    if (pdu.type !== C2H_DATA) expect(pdu.plen).toBe(header ? 28 : 24)
  }

  private entryOf(cid: number): Outstanding {
    const entry = this.outstanding.get(cid)
    if (entry === undefined) throw new Error(`the target names CID ${cid}, which is not in use`)
    return entry
  }

  private settle(cid: number, completion: Completion): void {
    const entry = this.entryOf(cid)
    this.outstanding.delete(cid)
    clearTimeout(entry.timer)
    entry.resolve(completion)
  }

  private completed(pdu: Pdu): void {
    const cqe = cqeOf(pdu)
    const entry = this.entryOf(cqe.cid)
    expect(pdu.bytes.readUInt16LE(22) & 1, 'phase bit').toBe(0)
    if (cqe.status === '0/00h' && entry.transfer.receive !== undefined) {
      expect(entry.lastSeen || entry.transfer.receive === 0, 'all the data came').toBe(true)
    }
    const { data, c2h, r2ts } = entry
    this.settle(cqe.cid, { ...cqe, data, c2h, r2ts, bySuccessFlag: false })
  }

  /** Contiguous from 0, LAST on the last one only, SUCCESS only with LAST. */
  private dataArrived(pdu: Pdu): void {
    const { cccid, datao, datal } = c2hDataOf(pdu)
    const entry = this.entryOf(cccid)
    const arrivedBytes = entry.c2h.reduce((sum, before) => sum + before.data.length, 0)
    const expectedBytes = entry.transfer.receive ?? 0
    expect(datao, 'DATAO').toBe(arrivedBytes)
    expect(datal, 'DATAL').toBe(pdu.data.length)
    expect(datal).toBeGreaterThan(0)
    expect(arrivedBytes + datal).toBeLessThanOrEqual(expectedBytes)
    expect(entry.lastSeen, 'data after LAST').toBe(false)
    pdu.data.copy(entry.data, datao)
    entry.c2h.push(pdu)
    entry.lastSeen = (pdu.flags & FLAG_LAST) !== 0
    expect(entry.lastSeen, 'LAST').toBe(arrivedBytes + datal === expectedBytes)
    if ((pdu.flags & FLAG_SUCCESS) === 0) return
    expect(entry.lastSeen, 'SUCCESS without LAST').toBe(true)
    expect(this.flowControlDisabled, 'SUCCESS although flow control is on').toBe(true)
    const { data, c2h, r2ts } = entry
    this.settle(cccid, { ...SUCCEEDED, cid: cccid, data, c2h, r2ts, bySuccessFlag: true })
  }

  /** Answers an R2T with H2CData PDUs, of which only the last has LAST. */
  private requested(pdu: Pdu): void {
    const { cccid, ttag, r2to, r2tl } = r2tOf(pdu)
    const entry = this.entryOf(cccid)
    const send = entry.transfer.send ?? Buffer.alloc(0)
    expect(r2to, 'R2TO').toBe(entry.requestedBytes)
    expect(r2tl, 'R2TL').toBeGreaterThan(0)
    expect(r2to + r2tl).toBeLessThanOrEqual(send.length)
    expect(pdu.bytes.subarray(20, 24).equals(Buffer.alloc(4)), 'reserved').toBe(true)
    entry.requestedBytes += r2tl
    entry.r2ts.push(pdu)
    const pieceBytes = Math.min(entry.transfer.h2cBytes ?? Infinity, this.wire.maxH2cDataBytes)
    for (let at = 0; at < r2tl; at += pieceBytes) {
      const end = Math.min(at + pieceBytes, r2tl)
      const piece = send.subarray(r2to + at, r2to + end)
      const fields = { cccid, ttag, datao: r2to + at, data: piece, last: end === r2tl }
      void this.wire.send(h2cData(fields, this.wire.digests))
    }
  }
}
