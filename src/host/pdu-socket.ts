/**
 * A TCP connection to a target, PDU by PDU: the transport below host.ts. The target's own receiver
 * is src/tcp. One reader at a time, each wait bounded.
 *
 * Invariant: a PDU is whole and its plen within PLEN_MAX before anybody sees it.
 */
import { once } from 'node:events'
import { connect } from 'node:net'
import type { Socket } from 'node:net'
import { CH, CH_BYTES, PDU_TYPE, SHORT_HEADER_BYTES, TERM_REQ, FES_TABLE } from '../wire/pdu.ts'
import { HostError } from './error.ts'

/** More than any answer to a command of ours: 64 KiB of a log page. */
const PLEN_MAX = 1 << 20

export class PduSocket {
  readonly #socket: Socket
  readonly #name: string
  readonly #timeoutMs: number
  #received = Buffer.alloc(0)
  #wake = () => {}
  #ended: string | null = null
  #interrupted = false

  static async open(address: string, port: number, timeoutMs: number): Promise<PduSocket> {
    const name = address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`
    const socket = connect({ host: address, port, noDelay: true })
    const pdus = new PduSocket(socket, name, timeoutMs)
    try {
      await once(socket, 'connect', { signal: AbortSignal.timeout(timeoutMs) })
      return pdus
    } catch (error) {
      socket.destroy()
      throw new HostError(connectFailure(error as NodeJS.ErrnoException, name))
    }
  }

  constructor(socket: Socket, name: string, timeoutMs: number) {
    this.#socket = socket
    this.#name = name
    this.#timeoutMs = timeoutMs
    socket.on('data', (bytes) => {
      this.#received = Buffer.concat([this.#received, bytes])
      // Nobody reads: whoever sends on has to wait.
      if (this.#received.length > 2 * PLEN_MAX) socket.pause()
      this.#wake()
    })
    const end = (reason: string) => {
      this.#ended ??= reason
      this.#wake()
    }
    socket.on('error', (error: NodeJS.ErrnoException) => end(error.code ?? error.message))
    socket.on('close', () => end('it closed the connection'))
  }

  /** This side's address of the connection. */
  get localAddress(): string {
    return this.#socket.localAddress ?? ''
  }

  send(pdu: Uint8Array): void {
    this.#socket.write(pdu)
  }

  /** The next PDU. A C2HTermReq, the end of the connection and a long silence are HostErrors. */
  async receive(): Promise<DataView> {
    const pdu = await this.receiveWithin(this.#timeoutMs)
    if (pdu === null) throw new HostError(`${this.#name} does not answer.`)
    return pdu
  }

  /** The same, but silence is null, and so is an interrupt where that may be. */
  async receiveWithin(waitMs: number, interruptible = false): Promise<DataView | null> {
    const deadlineMs = Date.now() + waitMs
    for (;;) {
      const pdu = this.#take()
      if (pdu !== null) return refuseTermination(pdu, this.#name)
      if (this.#ended !== null) {
        throw new HostError(`${this.#name} ended the connection: ${this.#ended}.`)
      }
      const leftMs = deadlineMs - Date.now()
      if (interruptible && this.#interrupted) {
        this.#interrupted = false
        return null
      }
      if (leftMs <= 0) return null
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, leftMs)
        this.#wake = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
  }

  /** Who waits and may be interrupted, or is the next to, gets null at once. */
  interrupt(): void {
    this.#interrupted = true
    this.#wake()
  }

  close(): void {
    this.#socket.destroy()
  }

  #take(): DataView | null {
    const { length } = this.#received
    if (length < CH_BYTES) return null
    const plen = this.#received.readUInt32LE(CH.plen)
    if (plen < CH_BYTES || plen > PLEN_MAX) {
      throw new HostError(`${this.#name} does not speak NVMe/TCP.`)
    }
    if (length < plen) return null
    const pdu = Uint8Array.from(this.#received.subarray(0, plen))
    this.#received = this.#received.subarray(plen)
    if (this.#socket.isPaused() && this.#received.length <= PLEN_MAX) this.#socket.resume()
    return new DataView(pdu.buffer)
  }
}

function refuseTermination(pdu: DataView, name: string): DataView {
  if (pdu.getUint8(CH.type) !== PDU_TYPE.C2H_TERM_REQ) return pdu
  if (pdu.byteLength < SHORT_HEADER_BYTES) throw new HostError(`${name} does not speak NVMe/TCP.`)
  const fes = pdu.getUint16(TERM_REQ.fes, true)
  const why = FES_TABLE.find((row) => row.fes === fes)?.name ?? `FES ${fes}`
  throw new HostError(`${name} terminated the connection: ${why}.`)
}

function connectFailure(error: NodeJS.ErrnoException, name: string): string {
  const { code } = error
  if (code === 'ECONNREFUSED') return `Nothing listens on ${name}.`
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN') return `The name in ${name} is not known.`
  if (error.name === 'AbortError') return `${name} does not answer.`
  return `${name} cannot be reached: ${error.message}.`
}
