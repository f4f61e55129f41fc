/**
 * One TCP connection seen as PDUs, with exact control of every byte and of where writes end.
 * test → host → wire-bytes. NVMe/TCP Transport 1.0a; knows framing, nothing of commands.
 *
 * Invariant: a wait has an end. A PDU that does not come fails the test with what was waited for.
 */
import { connect as connectSocket, type Socket } from 'node:net'
import { expect } from 'vitest'
import { C2H_TERM_REQ, IC_RESP, NO_DIGESTS, icReq, parsePdu, termReqOf } from './wire-bytes.ts'
import type { Digests, Pdu } from './wire-bytes.ts'

/** Long enough for a loaded machine; a test that waits this long has failed already. */
const WAIT_MS = 45_000

export type Endpoint = { readonly address: string; readonly port: number }

/** What the host asks for when it initializes a connection. */
export type Negotiation = { digests?: Digests; hpda?: number; maxr2t?: number }

/** The target ended the connection, in order or not, while the test waited for a PDU. */
export class ConnectionEnded extends Error {}

type Waiter = { resolve: (pdu: Pdu) => void; reject: (error: Error) => void }

const openWires = new Set<Wire>()

/** Destroys every connection that a test left open; for afterEach. */
export async function closeWires(): Promise<void> {
  await Promise.all([...openWires].map((wire) => wire.destroy()))
}

export class Wire {
  /** Digests in use, once negotiated. */
  digests: Digests = NO_DIGESTS
  /** MAXH2CDATA of the target's ICResp. */
  maxH2cDataBytes = 4096
  /** Sizes of the segments that arrived, in order. */
  readonly segments: number[] = []
  private readonly socket: Socket
  private received: Buffer = Buffer.alloc(0)
  private readonly inbox: Pdu[] = []
  private readonly waiters: Waiter[] = []
  private ended = false
  /** Set by a test whose host does not close when the target does. */
  holdsOpen = false
  /** The connection ended with a reset, not in order. */
  brokenOff = false
  private readonly finished: Promise<void>

  private constructor(socket: Socket) {
    this.socket = socket
    socket.setNoDelay(true)
    socket.on('data', (bytes) => this.take(bytes))
    socket.on('error', () => {
      this.brokenOff = true
    })
    this.finished = new Promise((resolve) => {
      const finish = (): void => {
        this.ended = true
        for (const waiter of this.waiters.splice(0)) {
          waiter.reject(new ConnectionEnded('the target ended the connection'))
        }
        resolve()
      }
      socket.once('end', () => {
        finish()
        if (!this.holdsOpen) socket.end()
      })
      socket.once('close', finish)
    })
    openWires.add(this)
  }

  /** A TCP connection, nothing sent yet. */
  static async open(endpoint: Endpoint): Promise<Wire> {
    const socket = connectSocket({
      host: endpoint.address,
      port: endpoint.port,
      allowHalfOpen: true,
    })
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve)
      socket.once('error', reject)
    })
    return new Wire(socket)
  }

  /** A TCP connection with ICReq and ICResp exchanged. */
  static async initialized(endpoint: Endpoint, wish: Negotiation = {}): Promise<Wire> {
    const wire = await Wire.open(endpoint)
    await wire.initialize(wish)
    return wire
  }

  /** Sends ICReq, returns the ICResp, keeps to what was negotiated from here on. */
  async initialize(wish: Negotiation = {}): Promise<Pdu> {
    const digests = wish.digests ?? NO_DIGESTS
    const dgst = (digests.header ? 1 : 0) | (digests.data ? 2 : 0)
    await this.send(icReq({ hpda: wish.hpda ?? 0, maxr2t: wish.maxr2t ?? 0, dgst }))
    const answer = await this.next()
    expect(answer.type, 'ICResp').toBe(IC_RESP)
    this.digests = digests
    this.maxH2cDataBytes = answer.bytes.readUInt32LE(12)
    return answer
  }

  get localPort(): number {
    return this.socket.localPort ?? 0
  }

  /** PDUs that arrived and nobody has taken yet. */
  get unread(): number {
    return this.inbox.length
  }

  get hasEnded(): boolean {
    return this.ended
  }

  /** One write. Resolves when the kernel has the bytes; a connection that has ended is no error. */
  async send(...parts: Buffer[]): Promise<void> {
    const bytes = parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts)
    if (this.socket.destroyed || !this.socket.writable) return
    await new Promise<void>((resolve) => this.socket.write(bytes, () => resolve()))
  }

  /** Writes the bytes in pieces; sizes repeat until all is sent. Every piece is its own write. */
  async trickle(bytes: Buffer, sizes: readonly number[]): Promise<void> {
    let at = 0
    for (let piece = 0; at < bytes.length; piece += 1) {
      const size = sizes[piece % sizes.length] ?? 1
      await this.send(bytes.subarray(at, at + size))
      at += size
    }
  }

  /** The next PDU, whatever it is. waitMs 0: for as long as it takes. */
  next(waitMs = WAIT_MS): Promise<Pdu> {
    const first = this.inbox.shift()
    if (first !== undefined) return Promise.resolve(first)
    if (this.ended) return Promise.reject(new ConnectionEnded('the target ended the connection'))
    return new Promise((resolve, reject) => {
      const waiter: Waiter = { resolve, reject }
      this.waiters.push(waiter)
      if (waitMs === 0) return
      const timer = setTimeout(() => {
        this.waiters.splice(this.waiters.indexOf(waiter), 1)
        reject(new Error(`no PDU came within ${waitMs} ms`))
      }, waitMs)
      waiter.resolve = (pdu) => (clearTimeout(timer), resolve(pdu))
      waiter.reject = (error) => (clearTimeout(timer), reject(error))
    })
  }

  /** No further reading: the kernel's buffers fill up. */
  pause(): void {
    this.socket.pause()
  }

  resume(): void {
    this.socket.resume()
  }

  /** Ends our side in order (FIN). */
  finish(): void {
    this.socket.end()
  }

  /** Ends the connection with a reset, as a host that loses power and comes back. */
  reset(): void {
    this.socket.resetAndDestroy()
  }

  /** Resolves when the target has ended the connection; PDUs that came before stay readable. */
  async closed(waitMs = WAIT_MS): Promise<void> {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`not closed within ${waitMs} ms`)), waitMs)
    })
    await Promise.race([this.finished, late]).finally(() => clearTimeout(timer))
  }

  async destroy(): Promise<void> {
    openWires.delete(this)
    if (this.socket.closed) return
    const closed = new Promise((resolve) => this.socket.once('close', resolve))
    this.socket.destroy()
    await closed
  }

  private take(bytes: Buffer): void {
    this.segments.push(bytes.length)
    this.received = this.received.length === 0 ? bytes : Buffer.concat([this.received, bytes])
    while (this.received.length >= 8) {
      const plen = this.received.readUInt32LE(4)
      if (plen < 8) throw new Error(`the target sent a PDU with PLEN ${plen}`)
      if (this.received.length < plen) return
      const pdu = parsePdu(this.received.subarray(0, plen))
      this.received = this.received.subarray(plen)
      const waiter = this.waiters.shift()
      if (waiter === undefined) this.inbox.push(pdu)
      else waiter.resolve(pdu)
    }
  }
}

/** What a test expects of a C2HTermReq. fei undefined: the field is reserved for this FES. */
export type Termination = {
  readonly fes: number | readonly number[]
  readonly fei?: number | readonly number[]
  /** The offending PDU as sent: the target returns the beginning of it. */
  readonly sent: Buffer
  /** How much of it the target can have seen as a header; HLEN when the header was whole. */
  readonly headerBytes?: number
}

/**
 * Takes PDUs until the C2HTermReq, checks it to the last byte (section 3), ends our side and waits
 * for the target to end its own. Answers to commands sent before may come first.
 */
export async function expectTermReq(wire: Wire, expected: Termination): Promise<void> {
  let pdu = await wire.next()
  while (pdu.type !== C2H_TERM_REQ) pdu = await wire.next()
  const { fes, fei, reserved } = termReqOf(pdu)
  expect(pdu.hlen, 'HLEN').toBe(24)
  expect(pdu.flags, 'no digest, no flag').toBe(0)
  expect([expected.fes].flat(), 'FES').toContain(fes)
  if (expected.fei !== undefined) expect([expected.fei].flat(), 'FEI').toContain(fei)
  expect(reserved.every((byte) => byte === 0), 'reserved bytes').toBe(true)
  // At least the common header: Linux reads 28 bytes before it parses anything.
  expect(pdu.data.length).toBeGreaterThanOrEqual(8)
  expect(pdu.plen).toBeLessThanOrEqual(152)
  expect(pdu.data.equals(expected.sent.subarray(0, pdu.data.length)), 'header copy').toBe(true)
  if (expected.headerBytes !== undefined) expect(pdu.data.length).toBe(expected.headerBytes)
  wire.finish()
  await wire.closed()
  expect(wire.unread, 'nothing follows a C2HTermReq').toBe(0)
  expect(wire.brokenOff, 'closed in order').toBe(false)
}
