/**
 * Listeners: the sockets that hosts connect to. The control plane binds them, reactor 0 accepts on them.
 * target and control-plane call it; it calls the shim.
 *
 * Invariant: a listener that was opened is closed, also when the start fails half-way.
 */
import { StartError } from '../config/start-error.ts'
import { ERRNO } from '../shim/errno.ts'
import { errnoName, type Shim } from '../shim/shim.ts'
import type { Endpoint } from '../subsystem/subsystem.ts'

const BACKLOG = 1024
const { EADDRINUSE, EADDRNOTAVAIL, EACCES, EAFNOSUPPORT } = ERRNO

export type Listener = {
  readonly socket: number
  /** As configured: port 0 lets the system choose. */
  readonly wanted: Endpoint
  readonly endpoint: Endpoint
  /** It leads to the discovery service alone. */
  readonly discoveryOnly: boolean
}

/** A socket that listens already, of the weft that was here before. */
export type Inherited = Pick<Listener, 'socket' | 'wanted' | 'discoveryOnly'>

export class Listeners {
  readonly all: Listener[] = []
  readonly #shim: Pick<Shim, 'listen' | 'address' | 'socketClose'>
  #inherited: readonly Inherited[]

  constructor(shim: Pick<Shim, 'listen' | 'address' | 'socketClose'>, inherited: readonly Inherited[] = []) {
    this.#shim = shim
    this.#inherited = inherited
  }

  /** Binds and listens, unless there is an inherited socket that does. Throws StartError. */
  listen(wanted: Endpoint, discoveryOnly: boolean): Listener {
    const known = this.#inherited.find((each) => each.discoveryOnly === discoveryOnly
      && each.wanted.address === wanted.address && each.wanted.port === wanted.port)
    this.#inherited = this.#inherited.filter((each) => each !== known)
    const socket = known?.socket ?? this.#shim.listen(wanted.address, wanted.port, BACKLOG)
    if (socket < 0) throw listenError(wanted, -socket)
    const endpoint = endpointOf(this.#shim.address(socket, false))
    const listener = { socket, wanted, endpoint, discoveryOnly }
    this.all.push(listener)
    return listener
  }

  find(socket: number): Listener | undefined {
    return this.all.find((each) => each.socket === socket)
  }

  /** Closes one on which no reactor accepts any more. */
  remove(listener: Listener): void {
    this.all.splice(this.all.indexOf(listener), 1)
    this.#shim.socketClose(listener.socket)
  }

  /** What was inherited and is not wanted any more. */
  closeUnused(): void {
    for (const { socket } of this.#inherited) this.#shim.socketClose(socket)
    this.#inherited = []
  }

  /** For the next one. */
  get inheritance(): Inherited[] {
    return this.all.map(({ socket, wanted, discoveryOnly }) => ({ socket, wanted, discoveryOnly }))
  }

  /** Forgets them, and they stay open. */
  letGo(): Inherited[] {
    const left = this.inheritance
    this.all.length = 0
    return left
  }

  close(): void {
    for (const { socket } of this.all) this.#shim.socketClose(socket)
    this.all.length = 0
  }
}

/** "address port" of shim_address. */
export function endpointOf(text: string): Endpoint {
  const gap = text.lastIndexOf(' ')
  return { address: text.slice(0, gap), port: Number(text.slice(gap + 1)) }
}

function listenError({ address, port }: Endpoint, errno: number): StartError {
  const where = `${address.includes(':') ? `[${address}]` : address}:${port}`
  switch (errno) {
    case EADDRINUSE:
      return new StartError(
        `Another program listens on ${where} already.`,
        `Stop it (ss -ltnp 'sport = :${port}' shows which), or choose another port with --listen.`,
      )
    case EADDRNOTAVAIL:
      return new StartError(
        `${address} is not an address of this machine.`, 'ip address shows those it has; 0.0.0.0 means all of them.',
      )
    case EACCES:
      return new StartError(
        `There is no permission to listen on ${where}.`, 'Ports below 1024 need root; NVMe/TCP uses 4420.',
      )
    case EAFNOSUPPORT:
      return new StartError(`This machine has no IPv6, so ${where} cannot be used.`, 'Use an IPv4 address.')
    default:
      return new StartError(`weft cannot listen on ${where} (${errnoName(errno)}).`)
  }
}
