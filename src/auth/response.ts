/**
 * Responses: what somebody who knows a key answers a challenge with. transaction checks and gives
 * them.
 * NVMe Base 2.0, 8.13.5.4 (host) and 8.13.5.5 (controller)
 *
 *   HMAC(key, Ca │ SEQNUM 4 │ T_ID 2 │ SC_C 1 │ label │ own NQN │ 0 │ other NQN)
 *   Ca = the challenge, or with a DH group HMAC(H(shared secret), challenge)
 *
 * Invariant: what is derived from a shared secret is zeroed before respond() returns.
 */
import { type KeyObject, createHash, createHmac } from 'node:crypto'

/** What a response is about. shared null = the NULL group. */
export type Question = {
  /** As OpenSSL calls it. */
  readonly hash: string
  readonly challenge: Uint8Array
  readonly shared: Uint8Array | null
  readonly seqnum: number
  readonly tid: number
}

const NO_CHANNEL = 0
const HOST_LABEL = 'HostHost'
const CONTROLLER_LABEL = 'Controller'

/** What the host answers. key: of its secret, for its NQN. */
export function hostResponse(
  key: KeyObject, question: Question, host: string, subsystem: string,
): Buffer {
  return respond(key, question, HOST_LABEL, host, subsystem)
}

/** What the controller answers. key: of its secret, for the subsystem's NQN. */
export function controllerResponse(
  key: KeyObject, question: Question, host: string, subsystem: string,
): Buffer {
  return respond(key, question, CONTROLLER_LABEL, subsystem, host)
}

function respond(
  key: KeyObject, question: Question, label: string, own: string, other: string,
): Buffer {
  const { hash, challenge, shared, seqnum, tid } = question
  const numbers = Buffer.alloc(7)
  numbers.writeUInt32LE(seqnum, 0)
  numbers.writeUInt16LE(tid, 4)
  numbers.writeUInt8(NO_CHANNEL, 6)
  const augmented = shared === null ? null : augment(hash, shared, challenge)
  const response = createHmac(hash, key)
    .update(augmented ?? challenge).update(numbers)
    .update(label).update(own).update('\0').update(other)
    .digest()
  augmented?.fill(0)
  return response
}

function augment(hash: string, shared: Uint8Array, challenge: Uint8Array): Buffer {
  const sessionKey = createHash(hash).update(shared).digest()
  const augmented = createHmac(hash, sessionKey).update(challenge).digest()
  sessionKey.fill(0)
  return augmented
}
