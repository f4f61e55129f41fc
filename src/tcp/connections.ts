/**
 * The connections of one reactor: taken over from the listener, looked after, given back.
 * reactor → connections → receive.  Deadlines, stalls and the end of a connection are here.
 *
 *   adopt ─▶ ready … ready ─▶ ENDED or our close() ─▶ CLOSED ─▶ slots freed, index released
 *
 * Invariant: an index is released only when no slot names it and nothing of it is in flight.
 */
import type { Arena } from '../reactor/arena.ts'
import { SLOT as SLOT_, type Slots } from '../reactor/slots.ts'
import type { Aborts } from '../controller/abort.ts'
import type { Associations } from '../controller/associations.ts'
import type { Admission } from '../queue/admit.ts'
import type { Completer } from '../queue/complete.ts'
import type { Transfers } from '../queue/transfer.ts'
import { C as C_, H as H_, STATE as STATE_, T as T_ } from '../shim/abi.ts'
import type { Change } from '../reactor/messages.ts'
import { errnoName, type Shim } from '../shim/shim.ts'
import type { Endpoint } from '../subsystem/subsystem.ts'
import { Connection, PHASE as PHASE_ } from './connection.ts'
import { type Holders, HOLDING } from './holders.ts'
import type { Receiver } from './receive.ts'
import type { Sender } from './send.ts'
import { Tap } from './tap.ts'
import type { Terminator } from './terminate.ts'

// V8 folds the constants of a module, but not those that it imports: docs/adr/0005.
const SLOT = SLOT_
const C = C_
const H = H_
const STATE = STATE_
const T = T_
const PHASE = PHASE_

/** How long a host may take from TCP to ICReq; then again to Connect. */
export const HANDSHAKE_MS = 10000
/** The same when the host itself asked for the end of its queues, and waits for it. */
const DROP_MS = 20
/** How often connections are looked at for whether anything moves. */
const LOOK_MS = 1000
const GREETING_LATE = 'no ICReq came in time after the connection was opened'
const JOINING_LATE = 'no Connect came in time after the handshake'
/** ECONNRESET, EPIPE: the host went without saying goodbye. */
const RESET = new Set([104, 32])

/** What the life of a connection needs of the others; set once, before the first turn. */
export type ConnectionParts = {
  readonly slots: Slots
  readonly sender: Sender
  /** The tap, while PDUs are recorded. */
  receiver: Pick<Receiver, 'receive'>
  readonly terminator: Terminator
  readonly holders: Holders
  readonly completer: Completer
  readonly transfers: Transfers
  readonly admission: Admission
  readonly associations: Associations
  readonly aborts: Aborts
  /** Commands found no slot since this was called last. */
  readonly exhausted: () => void
  /** The connection has gone: reason '' = the host closed it. */
  readonly gone: (connection: Connection, reason: string) => void
}

export class Connections {
  readonly all: Connection[]
  readonly #tap: Tap
  readonly #arena: Arena
  readonly #shim: Pick<Shim, 'adopt' | 'release'>
  readonly #txEntries: number
  readonly #rxBytes: number
  #parts: ConnectionParts | null = null
  #stalled: Connection[] = []
  #retrying: Connection[] = []
  openCount = 0
  #lookedMs = 0
  #exhaustedCount = 0

  constructor(arena: Arena, shim: Pick<Shim, 'adopt' | 'release'>, txEntries: number, rxBytes: number) {
    this.#arena = arena
    this.#shim = shim
    this.#txEntries = txEntries
    this.#rxBytes = rxBytes
    this.all = []
    this.#tap = new Tap(arena, this.all, txEntries, rxBytes)
  }

  assemble(parts: ConnectionParts): void {
    this.#parts = parts
  }

  /** Records PDUs of this reactor from now on, or none any more. What has to be called before each turn then. */
  trace({ reactors }: Extract<Change, { kind: 'trace' }>, reactor: number): (() => void) | null {
    const parts = this.#parts!
    const traced = reactors?.[reactor] ?? null
    parts.receiver = this.#tap.follow(traced, parts.receiver)
    return traced === null ? null : () => this.#tap.look()
  }

  /** Takes an accepted socket over. The connection, or -errno (the socket is the caller's still). */
  adopt(socket: number, local: Endpoint, remote: string): Connection | number {
    const index = this.#shim.adopt(socket)
    if (index < 0) return index
    while (this.all.length <= index) {
      this.all.push(new Connection(this.all.length, this.#arena, this.#txEntries, this.#rxBytes))
    }
    const connection = this.all[index]!
    connection.reset(this.#arena.words)
    connection.local = local
    connection.remote = remote
    connection.deadlineMs = (this.#arena.words[H.NOW_MS]! + HANDSHAKE_MS) | 0
    this.openCount++
    this.#parts!.sender.touch(connection)
    return connection
  }

  /** Something of the connection changed: bytes came, entries left, or it ended. */
  ready(index: number): void {
    const parts = this.#parts!
    const connection = this.all[index]!
    for (let slot = parts.sender.nextReleased(connection); slot !== -1; ) {
      parts.completer.free(parts.slots.all[slot]!)
      slot = parts.sender.nextReleased(connection)
    }
    parts.sender.rewind(connection)
    const state = this.#arena.words[connection.control + C.STATE]
    if (state === STATE.CLOSED) {
      this.#closed(connection)
      return
    }
    this.#receive(connection)
    if (state === STATE.ENDED && connection.phase !== PHASE.CLOSING) {
      this.#explain(connection)
      parts.sender.close(connection)
    }
  }

  /** It waits for a slot, a buffer or a copy: look again after the next turn. */
  readonly stall = (connection: Connection): void => {
    if (connection.stalled === 1) return
    connection.stalled = 1
    this.#stalled.push(connection)
  }

  get hasStalled(): boolean {
    return this.#stalled.length !== 0
  }

  /** Looks again at those that waited. */
  retry(): void {
    this.#parts!.admission.retry()
    if (this.#stalled.length === 0) return
    const waiting = this.#stalled
    this.#stalled = this.#retrying
    this.#retrying = waiting
    for (let k = 0; k < waiting.length; k++) {
      const connection = waiting[k]!
      connection.stalled = 0
      if (connection.phase !== PHASE.FREE) this.#receive(connection)
    }
    waiting.length = 0
  }

  /** The connection with this index, when it is still the one of that serial. */
  find(index: number, serial: number): Connection | null {
    const connection = this.all[index]
    return connection !== undefined && connection.serial === serial && connection.phase !== PHASE.FREE
      ? connection : null
  }

  /** Whether an answer that is still queued has payload between these bytes of the region. */
  sendsFrom(region: number, from: number, end: number): boolean {
    const words = this.#arena.words
    for (const connection of this.all) {
      if (connection.phase === PHASE.FREE) continue
      const tail = words[connection.control + C.TX_TAIL]!
      for (let k = words[connection.control + C.TX_HEAD]!; k !== tail; k = (k + 1) | 0) {
        const e = connection.txWord + ((k & (this.#txEntries - 1)) << 4)
        const bytes = words[e + T.BYTES]!
        if (words[e + T.REGION] !== region || bytes === 0) continue
        const at = (words[e + T.LO]! >>> 0) + words[e + T.HI]! * 2 ** 32
        if (at < end && at + bytes > from) return true
      }
    }
    return false
  }

  /** Ends overdue handshakes, lingering connections, and those that hold what others wait for. */
  tick(nowMs: number): void {
    const parts = this.#parts!
    if (((nowMs - this.#lookedMs) | 0) >= LOOK_MS) {
      this.#lookedMs = nowMs
      for (const connection of parts.holders.find(this.all, nowMs)) {
        parts.terminator.dismiss(connection, HOLDING, DROP_MS)
      }
      const { exhaustedCount } = parts.admission
      if (exhaustedCount !== this.#exhaustedCount) parts.exhausted()
      this.#exhaustedCount = exhaustedCount
    }
    for (const connection of this.all) {
      const phase = connection.phase
      if (phase === PHASE.FREE || phase === PHASE.LIVE || phase === PHASE.CLOSING) continue
      if (((nowMs - connection.deadlineMs) | 0) < 0) continue
      if (phase === PHASE.GREETING || phase === PHASE.JOINING) {
        connection.reason = phase === PHASE.GREETING ? GREETING_LATE : JOINING_LATE
      }
      if (phase !== PHASE.ADMITTING) parts.sender.close(connection)
    }
  }

  /** Ends the controller's queues that are here: its I/O queues, or all. */
  drop(controller: number, admin: boolean, reason: string): void {
    for (const connection of this.all) {
      const queue = connection.queue
      if (connection.phase === PHASE.FREE || queue.holder?.index !== controller) continue
      if (admin || queue.qid !== 0) this.#parts!.terminator.dismiss(connection, reason, DROP_MS)
    }
  }

  /** Ends one connection: what is queued is sent first. */
  dismiss(connection: Connection, reason: string): void {
    this.#parts!.terminator.dismiss(connection, reason, DROP_MS)
  }

  /** A listener has gone: hosts that came by it see an orderly end of the stream. */
  dismissFrom(listener: string, reason: string): void {
    for (const connection of this.all) {
      if (connection.phase === PHASE.FREE || connection.listener !== listener) continue
      this.#parts!.terminator.dismiss(connection, reason)
    }
  }

  /** Before the daemon stops: no new commands; hosts see an orderly end of the stream. */
  dismissAll(reason: string): void {
    for (const connection of this.all) {
      if (connection.phase !== PHASE.FREE) this.#parts!.terminator.dismiss(connection, reason)
    }
  }

  closeAll(): void {
    for (const connection of this.all) {
      if (connection.phase !== PHASE.FREE && connection.phase !== PHASE.CLOSING) {
        this.#parts!.sender.close(connection)
      }
    }
  }

  #receive(connection: Connection): void {
    const parts = this.#parts!
    parts.receiver.receive(connection)
    if (connection.queue.leaving) parts.terminator.dismiss(connection, 'the host disconnected the queue')
  }

  #explain(connection: Connection): void {
    const errno = this.#arena.words[connection.control + C.ERROR]!
    if (errno === 0 || connection.reason !== '') return
    connection.reason = RESET.has(errno)
      ? 'the host reset the connection'
      : `the connection failed: ${errnoName(errno)}`
  }

  /** Nothing is in flight any more: everything that the connection held goes back. */
  #closed(connection: Connection): void {
    const { slots, sender, completer, transfers, associations, terminator, aborts, admission } = this.#parts!
    for (let slot = sender.nextDropped(connection); slot !== -1; ) {
      completer.free(slots.all[slot]!)
      slot = sender.nextDropped(connection)
    }
    transfers.forget(connection.index)
    admission.forget(connection.index)
    for (const slot of slots.all) {
      if (slot.state === SLOT.FREE || slot.owner !== connection) continue
      if (slot.state === SLOT.EXECUTING) {
        slot.owner = null
        continue
      }
      aborts.take(slot)
      completer.free(slot)
    }
    // In this order: who hears that it has gone may give the controller's row to another at once.
    associations.leave(connection.queue)
    this.#parts!.gone(connection, connection.reason)
    terminator.forget(connection)
    connection.phase = PHASE.FREE
    this.openCount--
    this.#shim.release(connection.index)
  }
}
