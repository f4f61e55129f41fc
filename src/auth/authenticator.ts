/**
 * The authenticator: which queues have to authenticate, and what became of it. The control plane
 * asks it about every queue, reactors send it what Authentication Send and Receive carry.
 * NVMe Base 2.0, 8.13
 *
 *   reactor ─ authentication ─▶ Session ─▶ Transaction ─ authenticated ─▶ reactor
 *
 * It is on the main thread, with all keys: a reactor carries messages and never waits for
 * cryptography.
 * Invariant: a message is answered exactly once; a queue that has to authenticate is open or ended
 * within a few steps, each of them bounded.
 */
import { randomBytes } from 'node:crypto'
import type { ConnectionId, ToControl, ToReactor } from '../reactor/messages.ts'
import { STATUS } from '../wire/status.ts'
import { Exchanges } from './exchange.ts'
import type { Keys } from './keys.ts'
import { Transaction } from './transaction.ts'

type Request = Extract<ToControl, { type: 'authentication' }>

/** Where a queue is. */
export type Place = ConnectionId & { readonly reactor: number }

/** A queue that has joined. */
export type Party = Place & {
  readonly qid: number
  /** The controller's index, and its identifier. */
  readonly controller: number
  readonly cntlid: number
  readonly host: string
  readonly address: string
  /** The subsystem's NQN, and the one that the host wrote. */
  readonly subsystem: string
  readonly name: string
  /** 0 = none agreed on. */
  readonly keepAliveMs: number
}

export type AuthenticatorParts = {
  readonly keys: Keys
  readonly post: (reactor: number, message: ToReactor) => void
  /** The party has authenticated: `again` when it had before. method: for the log. */
  readonly proven: (party: Party, method: string, again: boolean) => void
  /** The party has not: one call for each attempt. reason: in words. */
  readonly failed: (party: Party, reason: string) => void
  /** Ends the whole association. */
  readonly expire: (controller: number, reason: string) => void
}

type Session = {
  readonly party: Party
  /** Commands are executed. */
  proven: boolean
  /** `failed` was called. */
  told: boolean
  gone: boolean
  /** A message is being worked on. */
  busy: boolean
  transaction: Transaction | null
  timer: NodeJS.Timeout | undefined
}

/** How long a step may take without a keep alive; the least and the most with one. */
const STEP_MS = { default: 120_000, least: 5000, most: 120_000 }
export const AUTHENTICATION_FAILED = 'authentication failed'

export class Authenticator {
  readonly #parts: AuthenticatorParts
  readonly #exchanges = new Exchanges()
  readonly #sessions = new Map<string, Session>()
  #seqnum = randomBytes(4).readUInt32LE()

  constructor(parts: AuthenticatorParts) {
    this.#parts = parts
  }

  /** A queue joins. True when it has to authenticate before anything else. */
  join(party: Party): boolean {
    const owes = this.#parts.keys.find(party.subsystem, party.host) !== null
    const session: Session = {
      party, proven: !owes, told: false, gone: false, busy: false, transaction: null,
      timer: undefined,
    }
    this.#sessions.set(nameOf(party), session)
    if (owes) this.#wind(session)
    return owes
  }

  /** A message from a host, or its wish for one. */
  receive(request: Request): void {
    const session = this.#sessions.get(nameOf(request))
    if (session === undefined) return this.#refuse(request, STATUS.SQ_DELETION)
    if (session.busy) return this.#refuse(request, STATUS.COMMAND_SEQUENCE_ERROR)
    if (session.transaction === null) {
      const { subsystem, host, name } = session.party
      const keys = this.#parts.keys.find(subsystem, host)
      if (keys === null) return this.#refuse(request, STATUS.INVALID_OPCODE)
      if (request.message === null) return this.#refuse(request, STATUS.COMMAND_SEQUENCE_ERROR)
      session.told = false
      session.transaction = new Transaction({
        keys, host, subsystem: name, exchanges: this.#exchanges, random: randomBytes,
        nextSeqnum: () => this.#nextSeqnum(),
      })
    }
    void this.#work(session, session.transaction, request)
  }

  /** The queue's connection has gone. False when it had not authenticated, and should have. */
  leave(from: Place, reason: string, quiet: boolean): boolean {
    const session = this.#sessions.get(nameOf(from))
    if (session === undefined) return true
    this.#sessions.delete(nameOf(from))
    session.gone = true
    clearTimeout(session.timer)
    session.transaction?.abandon()
    if (session.proven) return true
    if (!quiet) this.#tell(session, reason === '' ? 'it left before it had authenticated' : reason)
    return false
  }

  async #work(session: Session, transaction: Transaction, request: Request): Promise<void> {
    session.busy = true
    const message = request.message === null ? await transaction.receive(request.room) : null
    if (request.message !== null) await transaction.send(Buffer.from(request.message))
    session.busy = false
    if (session.gone) return this.#refuse(request, STATUS.SQ_DELETION)
    const over = transaction.stage === 'over'
    const opens = over && transaction.proven && !session.proven
    const { slot, connection, serial } = request
    const status = request.message === null && message === null ? STATUS.INVALID_FIELD : 0
    this.#parts.post(request.reactor, {
      type: 'authenticated', slot, connection, serial, status, message, proven: opens,
    })
    if (transaction.reason !== '') this.#tell(session, transaction.reason)
    if (!over) this.#wind(session)
    else if (transaction.proven) this.#prove(session, transaction.method)
    else this.#end(session)
  }

  #prove(session: Session, method: string): void {
    clearTimeout(session.timer)
    const again = session.proven
    session.proven = true
    session.transaction = null
    this.#parts.proven(session.party, method, again)
  }

  /** A queue that was open takes its association with it: NVMe Base 2.0, 8.13.5.7. */
  #end(session: Session): void {
    clearTimeout(session.timer)
    const { reactor, connection, serial, controller } = session.party
    if (session.proven) this.#parts.expire(controller, AUTHENTICATION_FAILED)
    else {
      this.#parts.post(reactor, {
        type: 'dismiss', connection, serial, reason: AUTHENTICATION_FAILED,
      })
    }
  }

  #tell(session: Session, reason: string): void {
    if (session.told) return
    session.told = true
    this.#parts.failed(session.party, reason)
  }

  /** The host has this long for its next step. */
  #wind(session: Session): void {
    clearTimeout(session.timer)
    const { keepAliveMs } = session.party
    const limitMs = keepAliveMs === 0 ? STEP_MS.default
      : Math.min(STEP_MS.most, Math.max(STEP_MS.least, keepAliveMs))
    session.timer = setTimeout(() => {
      session.transaction?.abandon()
      this.#tell(session, `it did not go on for ${limitMs / 1000} s`)
      this.#end(session)
    }, limitMs)
    session.timer.unref()
  }

  #refuse({ reactor, slot, connection, serial }: Request, status: number): void {
    this.#parts.post(reactor, {
      type: 'authenticated', slot, connection, serial, status, message: null, proven: false,
    })
  }

  #nextSeqnum(): number {
    this.#seqnum = this.#seqnum === 0xffffffff ? 1 : this.#seqnum + 1
    return this.#seqnum
  }
}

function nameOf({ reactor, connection, serial }: Place): string {
  return `${reactor}:${connection}:${serial}`
}
