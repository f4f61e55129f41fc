/**
 * Newcomers: connections that carry no queue yet, by the address that they come from. Nobody knows who is behind
 * them, so an address may have half of all connections like this, and not more: what is left is for others.
 * The control plane asks before a connection is given to a reactor, and tells when one has connected or gone.
 *
 * Invariant: each connection is counted from its arrival until it settled, once.
 */

import type { Log } from './log.ts'
import { Rarely } from './rarely.ts'

/** Of an IPv6 address the network counts: a host has as many addresses in it as it likes. */
const NETWORK_GROUPS = 4

export class Newcomers {
  readonly #most: number
  /** Networks, by where each connection comes from; and connections, by network. */
  readonly #networks = new Map<string, string>()
  readonly #counts = new Map<string, number>()
  readonly #log: Pick<Log, 'connectionError'>
  readonly #rarely = new Rarely()

  /** connections: of all reactors. */
  constructor(connections: number, log: Pick<Log, 'connectionError'>) {
    this.#most = Math.max(1, connections >> 1)
    this.#log = log
  }

  /** remote: address and port, as the log names them. False: it is one too many, and was not counted. */
  arrive(address: string, remote: string): boolean {
    const network = networkOf(address)
    const count = this.#counts.get(network) ?? 0
    if (count >= this.#most) {
      const more = this.#rarely.tell(network)
      const reason = `${count} connections from there have not connected a queue yet${more ?? ''}`
      if (more !== null) this.#log.connectionError({ address: remote, reason })
      return false
    }
    this.#counts.set(network, count + 1)
    this.#networks.set(remote, network)
    return true
  }

  /** It has connected a queue, or it has gone. */
  settle(remote: string): void {
    const network = this.#networks.get(remote)
    if (network === undefined) return
    this.#networks.delete(remote)
    const count = this.#counts.get(network)! - 1
    if (count === 0) this.#counts.delete(network)
    else this.#counts.set(network, count)
  }
}

/** An IPv4 address, or the first half of an IPv6 one. */
function networkOf(address: string): string {
  if (!address.includes(':')) return address
  const [front = '', back = ''] = address.split('%')[0]!.split('::')
  const first = front === '' ? [] : front.split(':')
  const last = back === '' ? [] : back.split(':')
  const missing = address.includes('::') ? 8 - first.length - last.length : 0
  return [...first, ...new Array<string>(missing).fill('0'), ...last].slice(0, NETWORK_GROUPS).join(':')
}
