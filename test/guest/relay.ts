/**
 * A TCP relay between guest and daemon which can misbehave: drop, stall, or cut the stream in
 * small pieces.
 * checks/outage, checks/verify → relay → node:net.
 *
 *   guest ──▶ relay port ──▶ daemon port
 *
 * Invariant: bytes are never changed, added or reordered; what is not dropped arrives.
 */
import { connect, createServer, type Server, type Socket } from 'node:net'

const LOOPBACK = '127.0.0.1'

export type RelayOptions = {
  /** Forward at most this many bytes at a time, a different number each time. 0: as they come. */
  readonly pieceBytesMax?: number
}

export class Relay {
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  readonly #targetPort: number
  readonly #pieceBytesMax: number
  #accepted = 0
  #seed = 41

  private constructor(targetPort: number, pieceBytesMax: number) {
    this.#targetPort = targetPort
    this.#pieceBytesMax = pieceBytesMax
    this.#server = createServer((socket) => this.#accept(socket))
  }

  static async open(targetPort: number, options: RelayOptions = {}): Promise<Relay> {
    const relay = new Relay(targetPort, options.pieceBytesMax ?? 0)
    await new Promise<void>((resolve, reject) => {
      relay.#server.once('error', reject)
      relay.#server.listen(0, LOOPBACK, resolve)
    })
    return relay
  }

  get port(): number {
    const address = this.#server.address()
    return address !== null && typeof address === 'object' ? address.port : 0
  }

  /** Connections accepted so far. */
  get accepted(): number {
    return this.#accepted
  }

  /** Ends every connection at once with a reset. New ones are accepted. */
  drop(): void {
    for (const socket of this.#sockets) socket.resetAndDestroy()
    this.#sockets.clear()
  }

  /** Present connections fall silent for ever, but stay open. New ones are relayed. */
  stall(): void {
    for (const socket of this.#sockets) {
      socket.pause().removeAllListeners('data').removeAllListeners('drain')
    }
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  #accept(guest: Socket): void {
    this.#accepted += 1
    const daemon = connect(this.#targetPort, LOOPBACK)
    for (const [from, to] of [[guest, daemon], [daemon, guest]] as const) {
      this.#sockets.add(from)
      from.setNoDelay(true)
      from.on('data', (bytes: Buffer) => this.#forward(bytes, from, to))
      from.on('drain', () => to.resume())
      from.on('error', () => to.destroy())
      from.on('end', () => to.end())
      from.on('close', () => {
        this.#sockets.delete(from)
        to.destroy()
      })
    }
  }

  #forward(bytes: Buffer, from: Socket, to: Socket): void {
    let room = true
    if (this.#pieceBytesMax === 0) {
      room = to.write(bytes)
    } else {
      for (let at = 0; at < bytes.length;) {
        const end = Math.min(bytes.length, at + this.#pieceBytes())
        room = to.write(bytes.subarray(at, end))
        at = end
      }
    }
    if (!room) from.pause()
  }

  /** A linear congruential sequence: the same pieces in every run. */
  #pieceBytes(): number {
    this.#seed = (Math.imul(this.#seed, 1_103_515_245) + 12_345) & 0x7fffffff
    return 1 + (this.#seed >>> 8) % this.#pieceBytesMax
  }
}
