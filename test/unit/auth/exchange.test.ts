/**
 * Groups and exchanges: the primes are OpenSSL's, and a secret agreed on is what BigInt arithmetic says.
 */
import { createHash } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { Exchanges } from '../../../src/auth/exchange.ts'
import { primeOf } from '../../../src/auth/group.ts'
import { bytesOf, numberOf, power } from '../../dh-numbers.ts'
import { PRIMES } from './vectors.ts'

const EXPONENT = numberOf(createHash('sha512').update('an exponent').digest())

describe.each(PRIMES)('the group of %i bits', (bits, sha256) => {
  const bytes = bits / 8
  const prime = primeOf(bytes)

  test('has the prime of RFC 7919', () => {
    expect(prime.length).toBe(bytes)
    expect(createHash('sha256').update(prime).digest('hex')).toBe(sha256)
    expect(primeOf(bytes)).toBe(prime)
  })

  test('both sides agree on a secret as long as the prime', async () => {
    const p = numberOf(prime)
    const offer = await new Exchanges().offer(bytes)
    expect(offer.value.length).toBe(bytes)
    const secret = await offer.agree(bytesOf(power(2n, EXPONENT, p), bytes))
    expect(secret).toEqual(bytesOf(power(numberOf(offer.value), EXPONENT, p), bytes))
  })
})

describe('a value that is none', () => {
  const bytes = 256
  const p = numberOf(primeOf(bytes))

  test.each([
    ['0', 0n], ['1', 1n], ['p - 1', p - 1n], ['p', p], ['p + 2', p + 2n], ['the largest number', (1n << 2048n) - 1n],
  ])('%s', async (_name, value) => {
    const offer = await new Exchanges().offer(bytes)
    expect(await offer.agree(bytesOf(value, bytes))).toBeNull()
  })

  test('one that is too short or too long', async () => {
    const offer = await new Exchanges().offer(bytes)
    expect(await offer.agree(bytesOf(4n, bytes - 4))).toBeNull()
    expect(await offer.agree(bytesOf(4n, bytes + 4))).toBeNull()
  })
})

test('small values, with many zeroes in front, are values', async () => {
  const offer = await new Exchanges().offer(256)
  const p = numberOf(primeOf(256))
  // g^7 = 128 and g^8 = 256: an INTEGER that needs a zero for its sign, and one of two bytes.
  for (const exponent of [2n, 7n, 8n]) {
    const secret = await offer.agree(bytesOf(2n ** exponent, 256))
    expect(secret).toEqual(bytesOf(power(numberOf(offer.value), exponent, p), 256))
  }
})

test('each offer is another', async () => {
  const exchanges = new Exchanges()
  const [one, other] = await Promise.all([exchanges.offer(256), exchanges.offer(256)])
  expect(one!.value.equals(other!.value)).toBe(false)
})
