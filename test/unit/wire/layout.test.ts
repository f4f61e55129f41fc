/**
 * Layouts: that a wrong declaration does not load, and says which field is wrong.
 * The real tables are checked in golden.test.ts against bytes written by hand.
 */
import { describe, expect, test } from 'vitest'
import {
  bits, bitsOf, isBits, isLayout, layout, layoutOf, putBits, takeBits,
} from '../../../src/wire/layout.ts'

describe('layout', () => {
  test('offsets are plain numbers, and the object is frozen', () => {
    const made = layout('T', 8, { type: [0, 1], rsvd1: [1, 3], plen: [4, 4] })
    expect(made).toEqual({ type: 0, rsvd1: 1, plen: 4 })
    expect(Object.isFrozen(made)).toBe(true)
    const plen: 4 = made.plen
    expect(plen).toBe(4)
  })

  test('layoutOf knows what was declared', () => {
    const made = layout('T', 4, { fes: [0, 2], fei: [2, 2] })
    expect(layoutOf(made)).toEqual({
      name: 'T', bytes: 4,
      fields: [{ name: 'fes', offset: 0, width: 2 }, { name: 'fei', offset: 2, width: 2 }],
    })
    expect(isLayout(made)).toBe(true)
    expect(isLayout({ fes: 0, fei: 2 })).toBe(false)
    expect(() => layoutOf({})).toThrow('not made by layout()')
  })

  test.each([
    ['a gap', 8, { type: [0, 1], plen: [4, 4] }, 'plen leaves a gap: it starts at 4, not 1'],
    ['a gap at the start', 4, { plen: [2, 2] }, 'plen leaves a gap: it starts at 2, not 0'],
    ['an overlap', 8, { fes: [0, 2], fei: [1, 4] }, 'fei overlaps: it starts at 1, not at 2'],
    ['an end too early', 9, { cid: [0, 8] }, 'cid ends at 8, not at 9'],
    ['an end too late', 7, { cid: [0, 8] }, 'cid ends at 8, not at 7'],
    ['no fields', 4, {}, '(none) ends at 0, not at 4'],
    ['an empty field', 1, { type: [0, 0] }, 'type has no valid place: [0, 0]'],
    ['half a byte', 1, { type: [0, 0.5] }, 'type has no valid place: [0, 0.5]'],
    ['a misnamed reserved field', 2, { a: [0, 1], rsvd2: [1, 1] }, 'rsvd2 should be called rsvd1'],
  ] as const)('%s does not load', (_name, bytes, fields, message) => {
    expect(() => layout('BROKEN', bytes, fields)).toThrow(`layout BROKEN: field ${message}`)
  })
})

describe('bits', () => {
  test('takes and puts, in either half of a 64-bit word', () => {
    const made = bits('B', 64, { low: [0, 16], flag: [31, 1], high: [37, 1], top: [52, 4] })
    expect(takeBits(0x8000_1234, made.low)).toBe(0x1234)
    expect(takeBits(0x8000_1234, made.flag)).toBe(1)
    expect(takeBits(1 << 5, made.high)).toBe(1)
    expect(putBits(made.flag, 1)).toBe(0x8000_0000)
    expect(putBits(made.top, 3)).toBe(0x0030_0000)
    expect(bitsOf(made).fields.map((field) => field.bit)).toEqual([0, 31, 37, 52])
    expect(isBits(made)).toBe(true)
    expect(isBits({})).toBe(false)
  })

  test('a field of all 32 bits', () => {
    expect(takeBits(-1, [0, 32])).toBe(-1)
    expect(takeBits(-1, [0, 31])).toBe(0x7fff_ffff)
  })

  test.each([
    ['an overlap', 8, { a: [0, 2], b: [1, 1] }, 'field b overlaps'],
    ['a field outside', 8, { a: [7, 2] }, 'field a does not fit 8 bits'],
    ['a field over the middle', 64, { a: [30, 4] }, 'field a crosses a 32-bit boundary'],
  ] as const)('%s does not load', (_name, width, fields, message) => {
    expect(() => bits('BROKEN', width, fields)).toThrow(message)
  })
})
