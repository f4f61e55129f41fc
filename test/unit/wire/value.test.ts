/**
 * Values: 64-bit numbers, text and identifiers, in both directions.
 */
import { expect, test } from 'vitest'
import {
  putHex, putNqn, putPadded, putU64, takeNqn, takePadded, takeU64,
} from '../../../src/wire/value.ts'

const blank = (bytes: number): DataView => new DataView(new ArrayBuffer(bytes))
const hex = (view: DataView): string => Buffer.from(view.buffer).toString('hex')

test('numbers of 64 bits are little-endian', () => {
  const view = blank(8)
  putU64(view, 0, 0x12_3456_789a)
  expect(hex(view)).toBe('9a78563412000000')
  expect(takeU64(view, 0)).toBe(0x12_3456_789a)
  putU64(view, 0, Number.MAX_SAFE_INTEGER)
  expect(takeU64(view, 0)).toBe(Number.MAX_SAFE_INTEGER)
})

test('a number that is not a safe integer is NaN', () => {
  const view = blank(8)
  view.setUint32(4, 0x0020_0000, true)
  expect(takeU64(view, 0)).toBeNaN()
})

test('padded text', () => {
  const view = blank(8)
  putPadded(view, 0, 6, 'weft')
  expect(hex(view)).toBe('7765667420200000')
  expect(takePadded(view, 0, 8)).toBe('weft')
  putPadded(view, 0, 3, 'too long')
  expect(takePadded(view, 0, 8)).toBe('toot')
})

test('NQNs end with a NUL, even when they are too long', () => {
  const view = blank(8)
  putNqn(view, 0, 8, 'nqn.ü')
  expect(hex(view)).toBe('6e716e2ec3bc0000')
  expect(takeNqn(view, 0, 8)).toBe('nqn.ü')
  putNqn(view, 0, 8, '123456789')
  expect(takeNqn(view, 0, 8)).toBe('1234567')
})

test('NQNs without a NUL, or that are no UTF-8, are null', () => {
  const view = blank(4)
  new Uint8Array(view.buffer).fill(0x61)
  expect(takeNqn(view, 0, 4)).toBeNull()
  view.setUint8(0, 0xff)
  view.setUint8(3, 0)
  expect(takeNqn(view, 0, 4)).toBeNull()
})

test('identifiers keep the order of their digits', () => {
  const view = blank(16)
  putHex(view, 0, '00112233-4455-6677-8899-aabbccddeeff')
  expect(hex(view)).toBe('00112233445566778899aabbccddeeff')
})
