/**
 * Submission queue entries: what each I/O command does to blocks.
 */
import { expect, test } from 'vitest'
import { accessOf } from '../../../src/wire/sqe.ts'

test('opcodes that read, write, or do both; all others touch no blocks', () => {
  const opcodesOf = (access: number): number[] =>
    [...Array(256).keys()].filter((opcode) => accessOf(opcode) === access)
  expect(opcodesOf(1)).toEqual([0x02, 0x05, 0x0c, 0x7a])
  expect(opcodesOf(2)).toEqual([0x00, 0x01, 0x04, 0x08, 0x09, 0x79, 0x7d])
  expect(opcodesOf(3)).toEqual([0x19])
  expect([0x0d, 0x0e, 0x11, 0x15, 0x7f].map(accessOf)).toEqual([0, 0, 0, 0, 0])
})
