/**
 * Secrets: what is one, what is not and why, and that none is shown.
 */
import { inspect } from 'node:util'
import { describe, expect, test } from 'vitest'
import { SECRET_BYTES, Secret, TRANSFORMS } from '../../../src/auth/secret.ts'
import { HOST, TRANSFORMED } from './vectors.ts'

const GOOD = TRANSFORMED[3]![2]

function parsed(text: string): Secret {
  const secret = Secret.parse(text)
  if (typeof secret === 'string') throw new Error(secret)
  return secret
}

test.each(TRANSFORMED)('transform %i of %i bytes', (transform, bytes, text, key) => {
  const secret = parsed(text)
  expect(secret.transform).toBe(TRANSFORMS[transform])
  expect(secret.bytes).toBe(bytes)
  expect(secret.keyFor(HOST).export().toString('hex')).toBe(key)
  expect(secret.reveal()).toBe(text)
})

test.each([
  ['', 'does not begin with DHHC-1:'],
  [GOOD.replace('DHHC', 'DHCC'), 'does not begin with DHHC-1:'],
  [GOOD.slice(0, -1), 'does not end with a colon'],
  ['DHHC-1:', 'between its colons'],
  ['DHHC-1:1:AAAA:', 'between its colons'],
  [GOOD.replace(':01:', ':04:'), 'its transform is 04'],
  [GOOD.replace(':01:', ':ff:'), 'its transform is ff'],
  [GOOD.replace('AAEC', 'AA!C'), 'what should be base64 is not'],
  [GOOD.replace('iaR', 'ia'), 'what should be base64 is not'],
  [GOOD.replace('AAEC', ''), 'it holds 29 bytes, which is none of 32, 48, 64'],
  ['DHHC-1:00::', 'it holds 0 bytes'],
  [GOOD.replace('AAEC', 'AAED'), 'its CRC-32 does not match'],
  [GOOD.replace('iaR:', 'iaS:'), 'its CRC-32 does not match'],
])('%s is none: %s', (text, why) => {
  const found = Secret.parse(text)
  expect(found).toContain(why)
  expect(found).not.toContain('AAEC')
})

describe('nothing shows a secret', () => {
  const secret = parsed(GOOD)
  const hidden = GOOD.slice(10, 50)

  test.each([
    ['JSON', JSON.stringify({ host: secret })],
    ['inspect', inspect({ host: secret }, { depth: 9, showHidden: true })],
    ['a template', `${secret}`],
    ['a copy for another thread', inspect(structuredClone({ ...secret }), { depth: 9 })],
    ['the secret itself, posted', inspect(structuredClone(secret), { depth: 9, showHidden: true })],
  ])('%s', (_name, text) => {
    expect(text).not.toContain(hidden)
    expect(text).not.toMatch(/KeyObject|0001020304|00 01 02 03/)
  })
})

test.each(SECRET_BYTES)('%i bytes are generated, each time others', (bytes) => {
  const [one, other] = [Secret.generate(bytes, 'sha-256'), Secret.generate(bytes, 'sha-256')]
  expect(parsed(one.reveal()).equals(one)).toBe(true)
  expect(one.equals(other)).toBe(false)
  expect(one.bytes).toBe(bytes)
})

test('the same bytes with another transform are another secret', () => {
  expect(parsed(GOOD).equals(parsed(GOOD.replace(':01:', ':00:')))).toBe(false)
})
