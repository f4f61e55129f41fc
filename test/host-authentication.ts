/**
 * A whole authentication of one queue by the test host.
 * test → host-authentication → authentication-bytes. NVMe Base 2.0, 8.13.5.
 */
import { expect } from 'vitest'
import {
  CHALLENGE, CHAP, CONTROLLER_KEY, HOST_KEY, SUCCESS1, SUCCESS2, challengeOf, head, negotiate,
  receiveMessage, reply, sendMessage, type Challenge, type Names, type Offered,
} from './authentication-bytes.ts'
import type { Completion, HostQueue } from './host-queue.ts'

export type Attempt = {
  readonly names: Names
  readonly tid?: number
  readonly key?: Buffer
  /** true: with the right key of the controller. */
  readonly controller?: boolean
  readonly offered?: Offered
}

/** AUTH_Negotiate and DH-HMAC-CHAP_Challenge. */
export async function begin(
  queue: HostQueue, tid: number, offered: Offered = {},
): Promise<Challenge> {
  expect((await sendMessage(queue, negotiate(tid, offered))).status, 'AUTH_Negotiate').toBe('0/00h')
  const { data, status } = await receiveMessage(queue)
  expect(status, 'the challenge').toBe('0/00h')
  const [type, id] = data
  expect([type, id, data.readUInt16LE(4)]).toEqual([CHAP, CHALLENGE, tid])
  return challengeOf(data)
}

/** Up to the message that answers the reply: AUTH_Success1 or AUTH_Failure1. */
export async function answerChallenge(
  queue: HostQueue, attempt: Attempt,
): Promise<{ answer: Buffer; expected: Buffer | null; challenge: Challenge }> {
  const { names, tid = 0x1234, key = HOST_KEY, controller = false, offered } = attempt
  const challenge = await begin(queue, tid, offered)
  const { message, expected } = reply({
    tid, challenge, names, key, controllerKey: controller ? CONTROLLER_KEY : undefined,
  })
  expect((await sendMessage(queue, message)).status, 'the reply').toBe('0/00h')
  const { data, status } = await receiveMessage(queue)
  expect(status, 'the answer to the reply').toBe('0/00h')
  return { answer: data, expected, challenge }
}

/** All of it, checked to the last byte; must succeed. */
export async function authenticate(queue: HostQueue, attempt: Attempt): Promise<Challenge> {
  const { tid = 0x1234 } = attempt
  const { answer, expected, challenge } = await answerChallenge(queue, attempt)
  const length = challenge.value.length
  const wanted = Buffer.alloc(answer.length)
  wanted.set([CHAP, SUCCESS1, 0, 0, tid & 0xff, tid >> 8, length, 0, expected === null ? 0 : 1])
  if (expected !== null) wanted.set(expected, 16)
  expect(answer.toString('hex')).toBe(wanted.toString('hex'))
  if (expected !== null) await confirm(queue, tid)
  return challenge
}

/** AUTH_Success2: the controller's answer was right. */
export async function confirm(queue: HostQueue, tid: number): Promise<Completion> {
  const done = await sendMessage(queue, head(16, CHAP, SUCCESS2, tid))
  expect(done.status, 'AUTH_Success2').toBe('0/00h')
  return done
}
