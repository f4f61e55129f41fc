/**
 * One authentication of one queue: takes what the host sends, gives what it asks for, and knows how
 * it ended. authenticator has one for each queue at most.          NVMe Base 2.0, 8.13.5
 *
 *   negotiate ─▶ challenge ─▶ reply ─▶ success1 ─▶ over, or success2 where the host challenged us
 *   Send         Receive      Send     Receive                Send ─▶ over
 *                    anything that is wrong, at any stage ─▶ failure1 ─▶ over
 *                                                            Receive
 * Invariant: `proven` only after a response was right; a stage is left once, so that no message
 * counts twice.
 */
import { timingSafeEqual } from 'node:crypto'
import {
  AUTH_BYTES_MAX, AUTH_CHALLENGE, AUTH_FAILED, AUTH_FAILURE, AUTH_FAILURE_BYTES, AUTH_FAULT,
  AUTH_FAULTS, AUTH_FIXED_BYTES, AUTH_HEADER, AUTH_ID, AUTH_REPLY, AUTH_SUCCESS1, AUTH_TYPE,
} from '../wire/authentication.ts'
import type { Exchanges, Offer } from './exchange.ts'
import type { HostKeys } from './keys.ts'
import { type Choice, type Fault, chooseProtocol } from './negotiation.ts'
import { type Question, controllerResponse, hostResponse } from './response.ts'

export type Stage =
  'negotiate' | 'challenge' | 'reply' | 'success1' | 'success2' | 'failure1' | 'over'

export type TransactionParts = {
  readonly keys: HostKeys
  readonly host: string
  /** The NQN that the host wrote in its Connect. */
  readonly subsystem: string
  readonly exchanges: Pick<Exchanges, 'offer'>
  /** Numbers of challenges: each another, none of them 0. */
  readonly nextSeqnum: () => number
  readonly random: (bytes: number) => Buffer
}

const HEADER_BYTES = 6

export class Transaction {
  stage: Stage = 'negotiate'
  /** The host has shown that it knows its key; with `over`, that is final. */
  proven = false
  /** Why it failed, in words; '' while it did not. */
  reason = ''
  readonly #parts: TransactionParts
  #tid = 0
  #choice: Choice | null = null
  #offer: Offer | null = null
  #challenge: Buffer | null = null
  #seqnum = 0
  #fault = 0
  /** What the host's challenge is answered with; null = it sent none. */
  #response: Buffer | null = null

  constructor(parts: TransactionParts) {
    this.#parts = parts
  }

  /** What was agreed on, for the log. */
  get method(): string {
    if (this.#choice === null) return ''
    const { hash, group } = this.#choice
    return `${hash.name}, ${group.name}${this.#response === null ? '' : ', both ways'}`
  }

  /** A message of the host's. */
  async send(message: Buffer): Promise<void> {
    if (this.stage === 'failure1' || this.stage === 'over') return
    if (message.length < HEADER_BYTES || message.length > AUTH_BYTES_MAX) {
      return this.#fail(payload(`it sent ${message.length} bytes, no message`))
    }
    const type = message[AUTH_HEADER.authType]!
    const id = message[AUTH_HEADER.authId]!
    const tid = message.readUInt16LE(AUTH_HEADER.tid)
    const { stage } = this
    const common = type === AUTH_TYPE.COMMON
    const chap = type === AUTH_TYPE.DH_CHAP
    if (common && id === AUTH_ID.NEGOTIATE && stage === 'negotiate') {
      return this.#negotiate(message, tid)
    }
    const ends = common && id === AUTH_ID.FAILURE2 && (stage === 'reply' || stage === 'success2')
    const replies = chap && id === AUTH_ID.REPLY && stage === 'reply'
    const confirms = chap && id === AUTH_ID.SUCCESS2 && stage === 'success2'
    if (!ends && !replies && !confirms) return this.#fail(outOfTurn(type, id, stage))
    if (tid !== this.#tid) {
      return this.#fail(payload(`its message is of transaction ${tid}, not ${this.#tid}`))
    }
    if (ends) return this.#rejected(message)
    if (replies) return this.#reply(message)
    if (message.length !== AUTH_FIXED_BYTES) return this.#fail(misshapen('AUTH_Success2', message))
    this.#end()
  }

  /** The message that is due, in `room` bytes at most; null where not even a failure fits. */
  async receive(room: number): Promise<Buffer | null> {
    const message = this.stage === 'challenge' ? await this.#makeChallenge()
      : this.stage === 'success1' ? this.#makeSuccess1() : null
    if (this.stage === 'over') return null
    if (message !== null && message.length <= room) {
      this.#leave()
      return message
    }
    if (message !== null) {
      this.#fail(payload(`it has room for ${room} of ${message.length} bytes`))
    } else if (this.stage !== 'failure1') {
      const reason = 'it asks for a message when its own is due'
      this.#fail({ rce: AUTH_FAULT.INCORRECT_MESSAGE, reason })
    }
    if (room < AUTH_FAILURE_BYTES) return null
    const failure = Buffer.alloc(AUTH_FAILURE_BYTES)
    this.#head(failure, AUTH_TYPE.COMMON, AUTH_ID.FAILURE1)
    failure[AUTH_FAILURE.rc] = AUTH_FAILED
    failure[AUTH_FAILURE.rce] = this.#fault
    this.#end()
    return failure
  }

  /** It takes too long, or its connection has gone. */
  abandon(): void {
    this.proven = false
    this.#end()
  }

  #negotiate(message: Buffer, tid: number): void {
    this.#tid = tid
    const choice = chooseProtocol(message, this.#parts.keys)
    if ('rce' in choice) return this.#fail(choice)
    this.#choice = choice
    this.stage = 'challenge'
  }

  async #makeChallenge(): Promise<Buffer> {
    const { exchanges, random, nextSeqnum } = this.#parts
    const { hash, group } = this.#choice!
    if (group.bytes !== 0) this.#offer = await exchanges.offer(group.bytes)
    this.#challenge = random(hash.bytes)
    this.#seqnum = nextSeqnum()
    const message = Buffer.alloc(AUTH_FIXED_BYTES + hash.bytes + group.bytes)
    this.#head(message, AUTH_TYPE.DH_CHAP, AUTH_ID.CHALLENGE)
    message[AUTH_CHALLENGE.hl] = hash.bytes
    message[AUTH_CHALLENGE.hashid] = hash.id
    message[AUTH_CHALLENGE.dhgid] = group.id
    message.writeUInt16LE(group.bytes, AUTH_CHALLENGE.dhvlen)
    message.writeUInt32LE(this.#seqnum, AUTH_CHALLENGE.seqnum)
    message.set(this.#challenge, AUTH_FIXED_BYTES)
    if (this.#offer !== null) message.set(this.#offer.value, AUTH_FIXED_BYTES + hash.bytes)
    return message
  }

  async #reply(message: Buffer): Promise<void> {
    const { hash, group } = this.#choice!
    const bytes = AUTH_FIXED_BYTES + 2 * hash.bytes + group.bytes
    if (message.length !== bytes || message[AUTH_REPLY.hl] !== hash.bytes
      || message.readUInt16LE(AUTH_REPLY.dhvlen) !== group.bytes) {
      return this.#fail(misshapen('DH-HMAC-CHAP_Reply', message))
    }
    const challenges = message[AUTH_REPLY.cvalid]!
    const seqnum = message.readUInt32LE(AUTH_REPLY.seqnum)
    if (challenges > 1 || (challenges === 1 && seqnum === 0)) {
      return this.#fail(misshapen('challenge', message))
    }
    const value = message.subarray(bytes - group.bytes)
    const shared = this.#offer === null ? null : await this.#offer.agree(value)
    if (this.stage !== 'reply') {
      // It was abandoned meanwhile.
      shared?.fill(0)
      return
    }
    if (this.#offer !== null && shared === null) {
      return this.#fail(payload(`its DH value is none of ${group.name}`))
    }
    const middle = AUTH_FIXED_BYTES + hash.bytes
    const answer = message.subarray(AUTH_FIXED_BYTES, middle)
    const theirs = message.subarray(middle, middle + hash.bytes)
    const fault = this.#judge(answer, shared)
      ?? (challenges === 1 ? this.#respond(theirs, seqnum, shared) : null)
    shared?.fill(0)
    if (fault !== null) return this.#fail(fault)
    this.proven = true
    this.stage = 'success1'
  }

  /** null: the host's response is right. */
  #judge(answer: Buffer, shared: Buffer | null): Fault | null {
    const { keys, host, subsystem } = this.#parts
    const question = this.#question(this.#challenge!, this.#seqnum, shared)
    const expected = hostResponse(keys.key.keyFor(host), question, host, subsystem)
    const right = timingSafeEqual(answer, expected)
    expected.fill(0)
    return right ? null : failed('its key is not the one configured here')
  }

  /** Answers the host's challenge, for AUTH_Success1. */
  #respond(challenge: Buffer, seqnum: number, shared: Buffer | null): Fault | null {
    const { keys, host, subsystem } = this.#parts
    if (keys.controllerKey === null) {
      return failed('it asks the controller to authenticate, which has no key for it')
    }
    if (timingSafeEqual(challenge, this.#challenge!)) {
      return failed('it sends the challenge back that it got')
    }
    const question = this.#question(challenge, seqnum, shared)
    const key = keys.controllerKey.keyFor(subsystem)
    this.#response = controllerResponse(key, question, host, subsystem)
    return null
  }

  #question(challenge: Buffer, seqnum: number, shared: Buffer | null): Question {
    return { hash: this.#choice!.hash.hash, challenge, shared, seqnum, tid: this.#tid }
  }

  #makeSuccess1(): Buffer {
    const { bytes } = this.#choice!.hash
    const message = Buffer.alloc(AUTH_FIXED_BYTES + (this.#response === null ? 0 : bytes))
    this.#head(message, AUTH_TYPE.DH_CHAP, AUTH_ID.SUCCESS1)
    message[AUTH_SUCCESS1.hl] = bytes
    if (this.#response !== null) {
      message[AUTH_SUCCESS1.rvalid] = 1
      message.set(this.#response, AUTH_FIXED_BYTES)
    }
    return message
  }

  /** The message that was due is on its way. */
  #leave(): void {
    if (this.stage === 'challenge') this.stage = 'reply'
    else if (this.#response !== null) this.stage = 'success2'
    else this.#end()
  }

  /** AUTH_Failure2: the host gives up, for one of the reasons that a controller can have. */
  #rejected(message: Buffer): void {
    if (message.length !== AUTH_FAILURE_BYTES) {
      return this.#fail(misshapen('AUTH_Failure2', message))
    }
    const rce = message[AUTH_FAILURE.rce]!
    const text = AUTH_FAULTS.find((row) => row.rce === rce)?.text ?? `reason ${rce}`
    const what = this.stage === 'success2' ? 'answer' : 'challenge'
    this.proven = false
    this.reason = `it does not accept the controller's ${what}: ${text}`
    this.#end()
  }

  #fail({ rce, reason }: Fault): void {
    this.proven = false
    this.reason = reason
    this.#fault = rce
    this.stage = 'failure1'
  }

  #end(): void {
    this.stage = 'over'
    this.#offer = null
    this.#response?.fill(0)
    this.#challenge?.fill(0)
  }

  #head(message: Buffer, type: number, id: number): void {
    message[AUTH_HEADER.authType] = type
    message[AUTH_HEADER.authId] = id
    message.writeUInt16LE(this.#tid, AUTH_HEADER.tid)
  }
}

function failed(reason: string): Fault {
  return { rce: AUTH_FAULT.FAILED, reason }
}

function payload(reason: string): Fault {
  return { rce: AUTH_FAULT.INCORRECT_PAYLOAD, reason }
}

function misshapen(what: string, { length }: Buffer): Fault {
  return payload(`its ${what} (${length} bytes) is not what was agreed on`)
}

function outOfTurn(type: number, id: number, stage: Stage): Fault {
  const hex = (value: number): string => `${value.toString(16).toUpperCase().padStart(2, '0')}h`
  return {
    rce: AUTH_FAULT.INCORRECT_MESSAGE,
    reason: `its message of type ${hex(type)} and id ${hex(id)} came when ${DUE[stage]} was due`,
  }
}

const RECEIVE = 'an Authentication Receive'
/** What is due at each stage. */
const DUE: Record<Stage, string> = {
  negotiate: 'AUTH_Negotiate', challenge: RECEIVE, reply: 'DH-HMAC-CHAP_Reply', success1: RECEIVE,
  success2: 'AUTH_Success2', failure1: RECEIVE, over: 'nothing',
}
