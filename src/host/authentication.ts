/**
 * DH-HMAC-CHAP as a host does it, for weft's own commands: host.ts calls it after a Connect that asks
 * for it. The target's side is src/auth/transaction.ts.              NVMe Base 2.0, 8.13.5
 *
 *   Negotiate ─▶ ◀─ Challenge    Reply ─▶ ◀─ Success1    Success2 ─▶ where the controller is asked too
 *
 * Invariant: with a controller's secret, it returns only when the controller has shown that it has it.
 */
import { randomBytes, randomInt, timingSafeEqual } from 'node:crypto'
import { Exchanges } from '../auth/exchange.ts'
import { type Question, controllerResponse, hostResponse } from '../auth/response.ts'
import type { Secret } from '../auth/secret.ts'
import {
  AUTH_CHALLENGE, AUTH_DESCRIPTOR, AUTH_DESCRIPTOR_BYTES, AUTH_FAILED, AUTH_FAILURE,
  AUTH_FAILURE_BYTES, AUTH_FAULT, AUTH_FAULTS, AUTH_FIXED_BYTES, AUTH_GROUPS, AUTH_HASHES,
  AUTH_HEADER, AUTH_ID, AUTH_NEGOTIATE, AUTH_NEGOTIATE_BYTES, AUTH_PROTOCOL_DH_CHAP, AUTH_REPLY,
  AUTH_SUCCESS1, AUTH_TYPE,
} from '../wire/authentication.ts'
import { HostError } from './error.ts'

export type HostSecrets = {
  readonly key: Secret
  /** null: whoever the controller is will do. */
  readonly controllerKey: Secret | null
}

export type HostNames = { readonly host: string; readonly subsystem: string }

/** Authentication Send and Receive on the queue that is to be authenticated. */
export type Carrier = {
  send(message: Uint8Array): Promise<void>
  receive(bytes: number): Promise<Buffer>
}

type Hash = (typeof AUTH_HASHES)[number]
type Group = (typeof AUTH_GROUPS)[number]
type Challenge = { readonly hash: Hash; readonly group: Group; readonly message: Buffer }

/** Room for any answer: a challenge of ffdhe8192 has 1104 bytes. */
const ANSWER_BYTES = 4096
/** Where the controller is asked: any number but 0. */
const SEQNUM = 1

/** Throws a HostError when either side is not who the other takes it for. */
export async function authenticate(
  carrier: Carrier, names: HostNames, secrets: HostSecrets,
): Promise<void> {
  const tid = randomInt(0x10000)
  await carrier.send(negotiation(tid))
  const challenge = challengeOf(await answerTo(carrier, tid, AUTH_ID.CHALLENGE, names))
  const { message, expected } = await reply(tid, challenge, names, secrets)
  await carrier.send(message)
  const success = await answerTo(carrier, tid, AUTH_ID.SUCCESS1, names)
  if (expected === null) return
  const { bytes } = challenge.hash
  const answer = success.subarray(AUTH_FIXED_BYTES, AUTH_FIXED_BYTES + bytes)
  if (success[AUTH_SUCCESS1.rvalid] !== 1 || !timingSafeEqual(answer, expected)) {
    await carrier.send(failure(tid))
    throw new HostError(`The target does not know the controller's key of ${names.subsystem}.`)
  }
  await carrier.send(head(AUTH_FIXED_BYTES, AUTH_TYPE.DH_CHAP, AUTH_ID.SUCCESS2, tid))
}

function negotiation(tid: number): Buffer {
  const message = head(
    AUTH_NEGOTIATE_BYTES + AUTH_DESCRIPTOR_BYTES, AUTH_TYPE.COMMON, AUTH_ID.NEGOTIATE, tid,
  )
  message[AUTH_NEGOTIATE.napd] = 1
  const descriptor = message.subarray(AUTH_NEGOTIATE_BYTES)
  descriptor[AUTH_DESCRIPTOR.authid] = AUTH_PROTOCOL_DH_CHAP
  descriptor[AUTH_DESCRIPTOR.halen] = AUTH_HASHES.length
  descriptor[AUTH_DESCRIPTOR.dhlen] = AUTH_GROUPS.length
  descriptor.set(AUTH_HASHES.map(({ id }) => id), AUTH_DESCRIPTOR.hashes)
  descriptor.set(AUTH_GROUPS.map(({ id }) => id), AUTH_DESCRIPTOR.groups)
  return message
}

/** The message that is due; throws when the controller has another one. */
async function answerTo(
  carrier: Carrier, tid: number, id: number, { host, subsystem }: HostNames,
): Promise<Buffer> {
  const message = await carrier.receive(ANSWER_BYTES)
  const type = message[AUTH_HEADER.authType]
  if (type === AUTH_TYPE.COMMON && message[AUTH_HEADER.authId] === AUTH_ID.FAILURE1) {
    const fault = AUTH_FAULTS.find(({ rce }) => rce === message[AUTH_FAILURE.rce])
    throw new HostError(`${subsystem} does not take ${host} for what it is: `
      + `${fault?.text ?? 'for no known reason'}.`)
  }
  if (type === AUTH_TYPE.DH_CHAP && message[AUTH_HEADER.authId] === id
    && message.readUInt16LE(AUTH_HEADER.tid) === tid) return message
  throw new HostError('The target authenticates with messages that do not belong there.')
}

function challengeOf(message: Buffer): Challenge {
  const hash = AUTH_HASHES.find(({ id }) => id === message[AUTH_CHALLENGE.hashid])
  const group = AUTH_GROUPS.find(({ id }) => id === message[AUTH_CHALLENGE.dhgid])
  if (hash === undefined || group === undefined || message[AUTH_CHALLENGE.hl] !== hash.bytes
    || message.readUInt16LE(AUTH_CHALLENGE.dhvlen) !== group.bytes) {
    throw new HostError('The target challenges with a hash or a DH group that there is not.')
  }
  return { hash, group, message }
}

/** The message, and what AUTH_Success1 has to answer; null where the controller is not asked. */
async function reply(
  tid: number, { hash, group, message }: Challenge, { host, subsystem }: HostNames,
  { key, controllerKey }: HostSecrets,
): Promise<{ message: Buffer; expected: Buffer | null }> {
  const middle = AUTH_FIXED_BYTES + hash.bytes
  const theirs = message.subarray(AUTH_FIXED_BYTES, middle)
  const offer = group.bytes === 0 ? null : await new Exchanges().offer(group.bytes)
  const shared = await offer?.agree(message.subarray(middle, middle + group.bytes)) ?? null
  if (offer !== null && shared === null) throw new HostError('The target sends no DH value.')
  const question = (challenge: Buffer, seqnum: number): Question =>
    ({ hash: hash.hash, challenge, shared, seqnum, tid })
  const answer = head(middle + hash.bytes + group.bytes, AUTH_TYPE.DH_CHAP, AUTH_ID.REPLY, tid)
  answer[AUTH_REPLY.hl] = hash.bytes
  answer.writeUInt16LE(group.bytes, AUTH_REPLY.dhvlen)
  const asked = question(theirs, message.readUInt32LE(AUTH_CHALLENGE.seqnum))
  answer.set(hostResponse(key.keyFor(host), asked, host, subsystem), AUTH_FIXED_BYTES)
  if (offer !== null) answer.set(offer.value, middle + hash.bytes)
  if (controllerKey === null) return { message: answer, expected: null }
  const own = randomBytes(hash.bytes)
  answer[AUTH_REPLY.cvalid] = 1
  answer.writeUInt32LE(SEQNUM, AUTH_REPLY.seqnum)
  answer.set(own, middle)
  const expected = controllerResponse(
    controllerKey.keyFor(subsystem), question(own, SEQNUM), host, subsystem,
  )
  shared?.fill(0)
  return { message: answer, expected }
}

function failure(tid: number): Buffer {
  const message = head(AUTH_FAILURE_BYTES, AUTH_TYPE.COMMON, AUTH_ID.FAILURE2, tid)
  message[AUTH_FAILURE.rc] = AUTH_FAILED
  message[AUTH_FAILURE.rce] = AUTH_FAULT.FAILED
  return message
}

function head(bytes: number, type: number, id: number, tid: number): Buffer {
  const message = Buffer.alloc(bytes)
  message[AUTH_HEADER.authType] = type
  message[AUTH_HEADER.authId] = id
  message.writeUInt16LE(tid, AUTH_HEADER.tid)
  return message
}
