/**
 * Secrets: the keys of DH-HMAC-CHAP as people write them, and as they are used.
 * config and `weft key` parse them here; response uses them.      NVMe Base 2.0, 8.13.5.8 (DHHC-1)
 *
 *   DHHC-1 : hh : base64 of │ secret 32, 48 or 64 B │ CRC-32 of it, 4 B │ :
 *
 * hh says how it is transformed: see TRANSFORMS.
 *
 * Invariant: the bytes of a secret are in a KeyObject, outside of the heap, and nothing else here
 * keeps them: no error, no dump and no copy for another thread shows them.
 */
import { KeyObject, createHmac, createSecretKey, randomBytes } from 'node:crypto'
import { inspect } from 'node:util'
import { crc32 } from 'node:zlib'
import { AUTH_HASHES } from '../wire/authentication.ts'

export const SECRET_BYTES: readonly number[] = [32, 48, 64]
/** hh of the format: 0 uses the secret as it is, the others are hash identifiers. */
export const TRANSFORMS = ['none', 'sha-256', 'sha-384', 'sha-512'] as const
export type Transform = (typeof TRANSFORMS)[number]

const CRC_BYTES = 4
const PREFIX = 'DHHC-1:'
const PURPOSE = 'NVMe-over-Fabrics'
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/
const FORM = /^DHHC-1:([0-9a-fA-F]{2}):([^:]*):$/

/** What is allowed, for messages. */
export const SECRET_FORM = 'DHHC-1:, 00 to 03, :, base64 of 32, 48 or 64 bytes and their CRC-32, '
  + 'and : at the end'

export class Secret {
  readonly transform: Transform
  readonly bytes: number
  readonly #key: KeyObject

  constructor(key: KeyObject, transform: Transform) {
    this.#key = key
    this.bytes = key.symmetricKeySize!
    this.transform = transform
  }

  /** The secret in a text, or a sentence of what is wrong with it that shows nothing of it. */
  static parse(text: string): Secret | string {
    if (!text.startsWith(PREFIX)) return 'it does not begin with DHHC-1:'
    const [, tag, base64] = FORM.exec(text) ?? []
    if (tag === undefined || base64 === undefined) {
      if (!text.endsWith(':')) return 'it does not end with a colon'
      return 'between its colons there is not a number of two digits and a text'
    }
    const transform = TRANSFORMS[Number.parseInt(tag, 16)]
    if (transform === undefined) {
      return `its transform is ${tag}, which is none of 00, 01, 02 and 03`
    }
    if (!BASE64.test(base64)) return 'what should be base64 is not'
    const decoded = Buffer.from(base64, 'base64')
    try {
      const length = decoded.length - CRC_BYTES
      if (!SECRET_BYTES.includes(length)) {
        return `it holds ${Math.max(0, length)} bytes, which is none of ${SECRET_BYTES.join(', ')}`
      }
      const secret = decoded.subarray(0, length)
      if (crc32(secret) !== decoded.readUInt32LE(length)) {
        return 'its CRC-32 does not match: a character is wrong'
      }
      return new Secret(createSecretKey(secret), transform)
    } finally {
      decoded.fill(0)
    }
  }

  static generate(bytes: number, transform: Transform): Secret {
    const random = randomBytes(bytes)
    try {
      return new Secret(createSecretKey(random), transform)
    } finally {
      random.fill(0)
    }
  }

  /** The secret as people write it: for `weft key generate` only. */
  reveal(): string {
    const secret = this.#key.export()
    const whole = Buffer.alloc(secret.length + CRC_BYTES)
    secret.copy(whole)
    whole.writeUInt32LE(crc32(secret), secret.length)
    const tag = TRANSFORMS.indexOf(this.transform).toString().padStart(2, '0')
    const text = `${PREFIX}${tag}:${whole.toString('base64')}:`
    secret.fill(0)
    whole.fill(0)
    return text
  }

  /** The key that answers for this NQN: that of the host, or of the subsystem. */
  keyFor(nqn: string): KeyObject {
    const hash = AUTH_HASHES.find(({ name }) => name === this.transform)
    if (hash === undefined) return this.#key
    const derived = createHmac(hash.hash, this.#key).update(nqn).update(PURPOSE).digest()
    try {
      return createSecretKey(derived)
    } finally {
      derived.fill(0)
    }
  }

  /** In constant time. */
  equals(other: Secret): boolean {
    return this.transform === other.transform && this.#key.equals(other.#key)
  }

  toJSON(): string {
    return '(secret)'
  }

  [inspect.custom](): string {
    return '(secret)'
  }
}
