/**
 * Diffie-Hellman exchanges: the only costly part of an authentication (16 ms for ffdhe8192).
 * transaction offers a value and agrees on a secret; both happen on a thread of the pool of libuv,
 * one at a time, so that a flood of hosts takes one processor at most and no reactor ever waits.
 *
 * Node takes another's value only as a public key in DER, which is ours with another last number:
 *
 *   SEQUENCE { SEQUENCE { dhKeyAgreement, p, g } BIT STRING { 0 │ INTEGER value } }
 *
 * Invariant: the private exponent is in a KeyObject and never leaves it.
 */
import { type KeyObject, createPublicKey, diffieHellman, generateKeyPair } from 'node:crypto'
import { assert } from '../assert.ts'
import { primeOf } from './group.ts'

const GENERATOR = 2
const TAG = { INTEGER: 0x02, BIT_STRING: 0x03, SEQUENCE: 0x30 }

/** Our half of an exchange. */
export type Offer = {
  /** Our value, big-endian, as long as the group's prime. */
  readonly value: Buffer
  /** The shared secret, as long as the prime, for the caller to zero; null: `other` is no value. */
  agree(other: Uint8Array): Promise<Buffer | null>
}

export class Exchanges {
  #last: Promise<unknown> = Promise.resolve()

  /** bytes: of the group's values. */
  async offer(bytes: number): Promise<Offer> {
    const prime = primeOf(bytes)
    const { publicKey, privateKey } = await this.#inTurn(() => generate(prime))
    const der = publicKey.export({ type: 'spki', format: 'der' })
    const agree = async (other: Uint8Array): Promise<Buffer | null> => {
      if (!isValue(other, prime)) return null
      const otherKey = createPublicKey({ key: withValue(der, other), type: 'spki', format: 'der' })
      return this.#inTurn(() => derive(privateKey, otherKey))
    }
    return { value: padded(lastInteger(der), bytes), agree }
  }

  #inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    const result = this.#last.then(work)
    this.#last = result.catch(() => {})
    return result
  }
}

type Pair = { publicKey: KeyObject; privateKey: KeyObject }
/** The form of generateKeyPair that its types leave out. */
type GeneratePair = (
  type: 'dh', options: { prime: Buffer; generator: number },
  done: (error: Error | null, publicKey: KeyObject, privateKey: KeyObject) => void,
) => void

function generate(prime: Buffer): Promise<Pair> {
  return new Promise((resolve, reject) => {
    (generateKeyPair as unknown as GeneratePair)(
      'dh', { prime, generator: GENERATOR }, (error, publicKey, privateKey) => {
        if (error === null) resolve({ publicKey, privateKey })
        else reject(error)
      },
    )
  })
}

/** null: OpenSSL finds that the value is not of the group. */
function derive(privateKey: KeyObject, publicKey: KeyObject): Promise<Buffer | null> {
  return new Promise((resolve) => {
    // A Node before 24 knows no callback here, and answers or throws at once.
    try {
      const secret = diffieHellman({ privateKey, publicKey }, (error: Error | null, late: Buffer) =>
        resolve(error === null ? late : null)) as Buffer | undefined
      if (secret !== undefined) resolve(secret)
    } catch {
      resolve(null)
    }
  })
}

/** 1 < value < p - 1. */
function isValue(value: Uint8Array, prime: Buffer): boolean {
  if (value.length !== prime.length) return false
  const top = Buffer.from(prime)
  top[top.length - 1]! -= 1
  if (Buffer.compare(value, top) >= 0) return false
  return value.subarray(0, -1).some((byte) => byte !== 0) || value.at(-1)! > 1
}

/** The value of the INTEGER that ends the DER of a public key. */
function lastInteger(der: Buffer): Buffer {
  const algorithm = contentAt(der, contentAt(der, 0).from)
  const bits = contentAt(der, algorithm.to)
  // The first byte of a BIT STRING is the number of bits that do not count.
  const integer = contentAt(der, bits.from + 1)
  assert(integer.to === der.length, 'a public key ends with its value')
  return der.subarray(integer.from, integer.to)
}

/** The DER of a public key of the same group with another value. */
function withValue(der: Buffer, value: Uint8Array): Buffer {
  const first = contentAt(der, 0).from
  const algorithm = der.subarray(first, contentAt(der, first).to)
  const zeroes = value.findIndex((byte) => byte !== 0)
  const plain = value.subarray(zeroes)
  // An INTEGER is signed: a zero keeps it positive.
  const positive = plain[0]! < 0x80 ? plain : Buffer.concat([Buffer.of(0), plain])
  const bits = tagged(TAG.BIT_STRING, Buffer.concat([Buffer.of(0), tagged(TAG.INTEGER, positive)]))
  return tagged(TAG.SEQUENCE, Buffer.concat([algorithm, bits]))
}

function contentAt(der: Buffer, at: number): { from: number; to: number } {
  const short = der[at + 1]!
  const lengthBytes = short < 0x80 ? 0 : short & 0x7f
  const from = at + 2 + lengthBytes
  const length = lengthBytes === 0 ? short : der.readUIntBE(at + 2, lengthBytes)
  return { from, to: from + length }
}

/** content: 128 to 65535 bytes, as all of these are, or a value that a test made short. */
function tagged(tag: number, content: Uint8Array): Buffer {
  const { length } = content
  const head = length < 0x80 ? [tag, length]
    : length < 0x100 ? [tag, 0x81, length] : [tag, 0x82, length >> 8, length & 0xff]
  return Buffer.concat([Buffer.from(head), content])
}

/** Without the sign's zero, and with as many in front as the group's width asks for. */
function padded(integer: Uint8Array, bytes: number): Buffer {
  const value = Buffer.alloc(bytes)
  const from = Math.max(0, integer.length - bytes)
  value.set(integer.subarray(from), bytes - (integer.length - from))
  return value
}
