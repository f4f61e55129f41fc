/**
 * DH-HMAC-CHAP as a host does it, byte by byte: messages, and what they are calculated from.
 * Conformance and fault tests use it. NVMe Base 2.0, 8.13.5; RFC 7919.
 *
 * Nothing here is the target's code: messages are written by hand, values come from node's HMAC and
 * BigInt.
 */
import { createHash, createHmac, randomBytes } from 'node:crypto'
import { sqe } from './command-bytes.ts'
import { bytesOf, numberOf, power } from './dh-numbers.ts'
import type { Completion, HostQueue } from './host-queue.ts'

export const AUTH_SEND = 0x05
export const AUTH_RECEIVE = 0x06

export const COMMON = 0x00
export const CHAP = 0x01
export const [NEGOTIATE, CHALLENGE, REPLY, SUCCESS1, SUCCESS2] = [0, 1, 2, 3, 4] as const
export const [FAILURE2, FAILURE1] = [0xf0, 0xf1] as const

export const HASHES = { 1: ['sha256', 32], 2: ['sha384', 48], 3: ['sha512', 64] } as const
export type HashId = keyof typeof HASHES
/** Bytes of a group's values. */
export const GROUP_BYTES = [0, 256, 384, 512, 768, 1024] as const

/** Two secrets, as they are written, and their bytes. */
export const HOST_SECRET = 'DHHC-1:00:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh+KfiaR:'
export const HOST_KEY = Buffer.from(Array.from({ length: 32 }, (_, at) => at))
export const CONTROLLER_SECRET =
  'DHHC-1:00:ZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXp7fH1+f4CBgoOEhYaHiImKi4yNjo+QkZKTvGwQfg==:'
export const CONTROLLER_KEY = Buffer.from(Array.from({ length: 48 }, (_, at) => 100 + at))

/** The SQE: 41 SPSP0, 42 SPSP1, 43 SECP, 44 TL or AL. */
export function authCommand(
  type: number, bytes: number, changes: { spsp0?: number; spsp1?: number; secp?: number } = {},
): Buffer {
  const command = sqe(0x7f, type)
  command.writeUInt8(changes.spsp0 ?? 1, 41)
  command.writeUInt8(changes.spsp1 ?? 1, 42)
  command.writeUInt8(changes.secp ?? 0xe9, 43)
  command.writeUInt32LE(bytes, 44)
  return command
}

/** AUTH_TYPE, AUTH_ID, 2 reserved, T_ID. */
export function head(bytes: number, type: number, id: number, tid: number): Buffer {
  const message = Buffer.alloc(bytes)
  message.writeUInt8(type, 0)
  message.writeUInt8(id, 1)
  message.writeUInt16LE(tid, 4)
  return message
}

export type Offered = {
  hashes?: number[]
  groups?: number[]
  authid?: number
  scC?: number
  halen?: number
  dhlen?: number
}

/** AUTH_Negotiate with one descriptor. */
export function negotiate(tid: number, offered: Offered = {}): Buffer {
  const { hashes = [1, 2, 3], groups = [0, 1, 2, 3, 4, 5], authid = 1, scC = 0 } = offered
  const message = head(72, COMMON, NEGOTIATE, tid)
  message.writeUInt8(scC, 6)
  message.writeUInt8(1, 7)
  message.writeUInt8(authid, 8)
  message.writeUInt8(offered.halen ?? hashes.length, 10)
  message.writeUInt8(offered.dhlen ?? groups.length, 11)
  message.set(hashes, 12)
  message.set(groups, 42)
  return message
}

export type Challenge = {
  readonly hash: HashId
  readonly group: number
  readonly seqnum: number
  readonly value: Buffer
  readonly dhValue: Buffer
}

/** DH-HMAC-CHAP_Challenge: 6 HL, 8 HashID, 9 DHgID, 10 DHVLEN, 12 SEQNUM, 16 CVAL, DH value. */
export function challengeOf(message: Buffer): Challenge {
  const length = message.readUInt8(6)
  const dhBytes = message.readUInt16LE(10)
  return {
    hash: message.readUInt8(8) as HashId,
    group: message.readUInt8(9),
    seqnum: message.readUInt32LE(12),
    value: Buffer.from(message.subarray(16, 16 + length)),
    dhValue: Buffer.from(message.subarray(16 + length, 16 + length + dhBytes)),
  }
}

export type Names = { readonly hostnqn: string; readonly subnqn: string }

/** What a host knows of one transaction. */
export type HostSide = {
  readonly tid: number
  readonly challenge: Challenge
  readonly names: Names
  readonly key: Buffer
  /** Present: the controller is challenged too. */
  readonly controllerKey?: Buffer | undefined
}

export type HostReply = {
  readonly message: Buffer
  /** What AUTH_Success1 has to carry; null where the controller was not challenged. */
  readonly expected: Buffer | null
}

/** DH-HMAC-CHAP_Reply: 6 HL, 8 CVALID, 10 DHVLEN, 12 SEQNUM, 16 RVAL, CVAL, DH value. */
export function reply({ tid, challenge, names, key, controllerKey }: HostSide): HostReply {
  const [hash, length] = HASHES[challenge.hash]
  const dhBytes = GROUP_BYTES[challenge.group]!
  const seqnum = controllerKey === undefined ? 0 : 0x01020304
  const own = controllerKey === undefined ? Buffer.alloc(length) : randomBytes(length)
  const { dhValue, shared } = exchange(challenge.dhValue, dhBytes)
  const message = head(16 + 2 * length + dhBytes, CHAP, REPLY, tid)
  message.writeUInt8(length, 6)
  message.writeUInt8(controllerKey === undefined ? 0 : 1, 8)
  message.writeUInt16LE(dhBytes, 10)
  message.writeUInt32LE(seqnum, 12)
  const { hostnqn, subnqn } = names
  const asked = challenge.seqnum
  const text = `HostHost${hostnqn}\0${subnqn}`
  message.set(response(hash, key, challenge.value, shared, asked, tid, text), 16)
  message.set(own, 16 + length)
  message.set(dhValue, 16 + 2 * length)
  const expected = controllerKey === undefined ? null
    : response(hash, controllerKey, own, shared, seqnum, tid, `Controller${subnqn}\0${hostnqn}`)
  return { message, expected }
}

function response(
  hash: string, key: Buffer, challenge: Buffer, shared: Buffer | null, seqnum: number, tid: number,
  text: string,
): Buffer {
  const numbers = Buffer.alloc(7)
  numbers.writeUInt32LE(seqnum, 0)
  numbers.writeUInt16LE(tid, 4)
  const augmented = shared === null ? challenge
    : createHmac(hash, createHash(hash).update(shared).digest()).update(challenge).digest()
  const whole = Buffer.concat([augmented, numbers, Buffer.from(text)])
  return createHmac(hash, key).update(whole).digest()
}

/** The host's DH value and the secret; what the NULL group has of them. */
function exchange(theirs: Buffer, bytes: number): { dhValue: Buffer; shared: Buffer | null } {
  if (bytes === 0) return { dhValue: Buffer.alloc(0), shared: null }
  const prime = primeNumber(bytes * 8)
  const exponent = numberOf(randomBytes(40))
  return {
    dhValue: bytesOf(power(2n, exponent, prime), bytes),
    shared: bytesOf(power(numberOf(theirs), exponent, prime), bytes),
  }
}

/** RFC 7919: 2^b - 2^(b-64) + {[2^(b-130) e] + X} * 2^64 - 1, e by Horner's rule. */
function primeNumber(bits: number): bigint {
  const offset = {
    2048: 560316n, 3072: 2625351n, 4096: 5736041n, 6144: 15705020n, 8192: 10965728n,
  }[bits]!
  const scale = BigInt(bits - 130 + 128)
  const one = 1n << scale
  let e = one
  for (let k = 2000n; k >= 1n; k -= 1n) e = one + e / k
  const b = BigInt(bits)
  return (1n << b) - (1n << (b - 64n)) + (((e >> 128n) + offset) << 64n) - 1n
}

/** Authentication Send. */
export function sendMessage(queue: HostQueue, message: Buffer): Promise<Completion> {
  return queue.submit(authCommand(AUTH_SEND, message.length), { send: message })
}

/** Authentication Receive of `bytes`, as Linux asks: 4096. */
export function receiveMessage(queue: HostQueue, bytes = 4096): Promise<Completion> {
  return queue.submit(authCommand(AUTH_RECEIVE, bytes), { receive: bytes })
}

/** AUTH_Failure1 or 2: [RC, RCE], or null for any other message. */
export function failureOf(message: Buffer): [rc: number, rce: number] | null {
  if (message.readUInt8(0) !== COMMON || message.readUInt8(1) !== FAILURE1) return null
  return [message.readUInt8(6), message.readUInt8(7)]
}
