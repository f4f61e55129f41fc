/**
 * Where a command is wrong: bytes of entries written by hand.
 */
import { expect, test } from 'vitest'
import { whereOfAdmin, whereOfIo } from '../../../src/controller/location.ts'
import { getFeatures, getLogPage, identify, setFeatures, sqe } from '../../command-bytes.ts'

const INVALID_FIELD = 0x4002

const where = (entry: Buffer, status: number): [location: number, opcode: number] => {
  const padded = Buffer.concat([Buffer.alloc(8), entry])
  const word = whereOfAdmin(status, new DataView(padded.buffer, padded.byteOffset, padded.length), 8)
  return [word & 0xffff, word >>> 16]
}

test.each<[string, Buffer, number, number]>([
  ['an opcode', sqe(0xc7), 0x4001, 0],
  ['an NSID', identify(0, 7), 0x400b, 4],
  ['a length of the SGL', identify(1), 0x400f, 32],
  ['a CNS', identify(0x7f), INVALID_FIELD, 40],
  ['a command set', identify(6, 0, 2), INVALID_FIELD, 47],
  ['a controller', identify(0x1c), INVALID_FIELD, 42],
  ['a log', getLogPage(0xc0, 1), 0x4109, 40],
  ['an offset', getLogPage(1, 1, 0x1_0000_0000), INVALID_FIELD, 48],
  ['a length', getLogPage(1, 0x100_0000), INVALID_FIELD, 42],
  ['a feature', setFeatures(0x7f), INVALID_FIELD, 40],
  ['a value', setFeatures(0x06, 5), INVALID_FIELD, 44],
  ['to be saved, bit 7', setFeatures(0x06, 5, true), 0x410d, 43 | 7 << 8],
  ['a select', getFeatures(0x06, 0, 5), INVALID_FIELD, 41],
  ['nothing in particular', sqe(0x08), 0x4103, 0xffff],
])('%s', (_name, entry, status, location) => {
  expect(where(entry, status)).toEqual([location, entry[0]])
})

test.each([
  [0x02, 0x4080, 40], [0x01, INVALID_FIELD, 48], [0x09, INVALID_FIELD, 0xffff], [0x02, 0x281, 0xffff], [0xff, 0x4001, 0],
])('I/O opcode %i, status %i: %i', (opcode, status, location) => {
  expect(whereOfIo(opcode, status)).toBe(location | opcode << 16)
})
