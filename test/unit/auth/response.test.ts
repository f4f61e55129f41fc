/**
 * Responses, against known answers of another implementation: every hash, with and without a group.
 */
import { expect, test } from 'vitest'
import { type Question, controllerResponse, hostResponse } from '../../../src/auth/response.ts'
import { Secret } from '../../../src/auth/secret.ts'
import { AUTH_HASHES } from '../../../src/wire/authentication.ts'
import { CONTROLLER_SECRET, HOST, RESPONSES, SUBSYSTEM, TRANSFORMED } from './vectors.ts'

function rising(from: number, bytes: number): Buffer {
  return Buffer.from(Array.from({ length: bytes }, (_, at) => (from + at) & 0xff))
}

const sharedOf = (bits: number): Buffer | null => (bits === 0 ? null
  : Buffer.from(Array.from({ length: bits / 8 }, (_, at) => (7 * at + 1) & 0xff)))

test.each(RESPONSES)('hash %i, group of %i bits', (id, bits, host, controller) => {
  const row = AUTH_HASHES.find((each) => each.id === id)!
  const text = TRANSFORMED.find(([transform, bytes]) => transform === id && bytes === 32)![2]
  const question = (from: number, seqnum: number): Question => ({
    hash: row.hash, challenge: rising(from, row.bytes), shared: sharedOf(bits), seqnum, tid: 0x1234,
  })
  const hostKey = (Secret.parse(text) as Secret).keyFor(HOST)
  expect(hostResponse(hostKey, question(0x40, 1), HOST, SUBSYSTEM).toString('hex')).toBe(host)
  const controllerKey = (Secret.parse(CONTROLLER_SECRET) as Secret).keyFor(SUBSYSTEM)
  expect(controllerResponse(controllerKey, question(0x80, 7), HOST, SUBSYSTEM).toString('hex')).toBe(controller)
})

test('the reference has the first of them, and the same secret as it is', () => {
  const question: Question = { hash: 'sha256', challenge: rising(0x40, 32), shared: null, seqnum: 1, tid: 0x1234 }
  const plain = Secret.parse('DHHC-1:00:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh+KfiaR:') as Secret
  expect(hostResponse(plain.keyFor(HOST), question, HOST, SUBSYSTEM).toString('hex'))
    .toBe('18147524ba8113fce6c5d72054ef7465f77022435eb95b18af43f6a8dfbfdf10')
})
