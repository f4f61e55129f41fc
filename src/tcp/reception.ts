/**
 * Reception: what this reactor and the control plane tell each other about connections. They come from a listener,
 * are joined to a controller, prove who they are, and go.             messages.ts has what is said.
 *
 *   adopt ─▶ connection ─ Connect ─▶ join … joined ─ Authentication ─▶ carry … authenticated ─▶ gone
 *
 * Invariant: a slot whose answer the control plane has to give is finished exactly once, and 'gone' is posted once
 * for every socket that was adopted.
 */
import type { Associations } from '../controller/associations.ts'
import type { Queue } from '../controller/queue.ts'
import type { Completer } from '../queue/complete.ts'
import type { Arena } from '../reactor/arena.ts'
import type { JoinRequest, ToControl, ToReactor } from '../reactor/messages.ts'
import type { Slot, Slots } from '../reactor/slots.ts'
import { H } from '../shim/abi.ts'
import type { Shim } from '../shim/shim.ts'
import { AUTHREQ_ATR } from '../wire/fabrics.ts'
import { type Connection, PHASE } from './connection.ts'
import type { Connections } from './connections.ts'

export type ReceptionParts = {
  readonly reactor: number
  /** Connections that there may be. */
  readonly connectionCount: number
  readonly arena: Arena
  readonly shim: Pick<Shim, 'socketClose'>
  readonly slots: Slots
  readonly completer: Completer
  readonly connections: Connections
  readonly associations: Associations
  readonly post: (message: ToControl) => void
}

export class Reception {
  readonly #parts: ReceptionParts
  /** Nobody is let in any more. */
  closed = false

  constructor(parts: ReceptionParts) {
    this.#parts = parts
  }

  /** A Connect, checked as far as one queue can. */
  readonly join = (slot: Slot, queue: Queue, request: JoinRequest): void => {
    const { connections, post, reactor } = this.#parts
    const connection = connections.all[queue.connection]!
    connection.phase = PHASE.ADMITTING
    post({
      type: 'join', reactor, slot: slot.index, request,
      connection: connection.index, serial: connection.serial, remote: connection.remote,
      listener: connection.listener, discoveryOnly: connection.discoveryOnly,
    })
  }

  /** Authentication Send, or with a message of null Receive. */
  readonly carry = (slot: Slot, queue: Queue, message: Uint8Array | null, room: number): void => {
    const { connections, post, reactor } = this.#parts
    const { index, serial } = connections.all[queue.connection]!
    post({ type: 'authentication', reactor, slot: slot.index, message, room, connection: index, serial })
  }

  readonly gone = (connection: Connection, reason: string): void => {
    const { post, reactor } = this.#parts
    post({
      type: 'gone', reactor, connection: connection.index, serial: connection.serial, remote: connection.remote,
      reason,
    })
  }

  adopt({ socket, local, remote, listener, discoveryOnly }: Extract<ToReactor, { type: 'adopt' }>): void {
    const { connections, connectionCount, shim, post, reactor } = this.#parts
    const connection = this.closed ? -1 : connections.adopt(socket, local, remote)
    if (typeof connection !== 'number') {
      connection.listener = listener
      connection.discoveryOnly = discoveryOnly
      return
    }
    shim.socketClose(socket)
    post({
      type: 'gone', reactor, connection: -1, serial: 0, remote,
      reason: this.closed ? 'the target stops' : `all ${connectionCount} connections of reactor ${reactor} are in use`,
    })
  }

  /** The answer to join(). */
  joined(message: Extract<ToReactor, { type: 'joined' }>): void {
    const { arena, slots, connections, completer, associations } = this.#parts
    const { outcome } = message
    const slot = slots.all[message.slot]!
    const connection = connections.find(message.connection, message.serial)
    if (connection === null || connection.phase !== PHASE.ADMITTING) {
      completer.finish(slot, 0)
      return
    }
    if (outcome.admitted) {
      const nowMs = arena.words[H.NOW_MS]!
      associations.join(connection.queue, message.request, outcome, nowMs, message.authenticate)
      connection.phase = PHASE.LIVE
      slot.dw0 = outcome.cntlid | (message.authenticate ? AUTHREQ_ATR : 0)
      completer.finish(slot, 0)
    } else {
      connection.phase = PHASE.JOINING
      slot.dw0 = outcome.dw0
      completer.finish(slot, outcome.status)
    }
    connections.stall(connection)
  }

  /** The answer to carry(). */
  authenticated(message: Extract<ToReactor, { type: 'authenticated' }>): void {
    const { arena, slots, connections, completer } = this.#parts
    const slot = slots.all[message.slot]!
    const connection = connections.find(message.connection, message.serial)
    if (connection !== null && message.proven) connection.queue.prove()
    if (message.message !== null) arena.bytes.set(message.message, slot.buffer)
    completer.finish(slot, message.status)
  }

  dismiss({ connection, serial, reason }: Extract<ToReactor, { type: 'dismiss' }>): void {
    const { connections } = this.#parts
    const found = connections.find(connection, serial)
    if (found !== null) connections.dismiss(found, reason)
  }
}
