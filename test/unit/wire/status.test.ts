/**
 * Status codes: their numbers, as a completion carries them, and their words, as a log does.
 */
import { expect, test } from 'vitest'
import {
  DO_NOT_RETRY, STATUS, STATUS_ROWS, describeStatus,
} from '../../../src/wire/status.ts'

test.each([
  ['SUCCESS', 0x0000], ['INVALID_OPCODE', 0x4001], ['INVALID_FIELD', 0x4002],
  ['INVALID_NAMESPACE', 0x400b], ['ABORT_REQUESTED', 0x0007], ['LBA_OUT_OF_RANGE', 0x4080],
  ['DATA_SGL_LENGTH_INVALID', 0x400f], ['SGL_DESCRIPTOR_TYPE_INVALID', 0x4011],
  ['TRANSIENT_TRANSPORT_ERROR', 0x0022], ['INVALID_LOG_PAGE', 0x4109],
  ['INVALID_QUEUE_ID', 0x4101], ['CONNECT_INVALID_PARAMETERS', 0x0182],
  ['CONNECT_INVALID_HOST', 0x4184], ['COMPARE_FAILURE', 0x4285], ['WRITE_FAULT', 0x0280],
  ['INTERNAL_PATH_ERROR', 0x0300], ['NAMESPACE_WRITE_PROTECTED', 0x4020],
] as const)('%s is %i without the phase bit', (name, code) => {
  expect(STATUS[name]).toBe(code)
})

test('a media fault or a bad LBA is not what Linux takes for unsupported', () => {
  const unsupported = [STATUS.INVALID_OPCODE, STATUS.INVALID_FIELD, STATUS.INVALID_NAMESPACE]
  for (const code of [STATUS.LBA_OUT_OF_RANGE, STATUS.WRITE_FAULT, STATUS.UNRECOVERED_READ_ERROR]) {
    expect(unsupported).not.toContain(code)
  }
})

test('described', () => {
  expect(describeStatus(STATUS.LBA_OUT_OF_RANGE)).toBe('LBA Out of Range (0/80h), do not retry: '
    + 'the command reaches beyond the end of the namespace')
  expect(describeStatus(STATUS.SUCCESS)).toMatch(/^Successful Completion \(0\/00h\): /)
  expect(describeStatus(0x07ff)).toBe('Unknown Status (7/FFh)')
  expect(describeStatus(STATUS.LBA_OUT_OF_RANGE & ~DO_NOT_RETRY)).not.toContain('do not retry')
})

test('numbers that NVM and Fabrics commands share are told apart by who asks', () => {
  const code = STATUS.INCOMPATIBLE_FORMAT
  expect(code).toBe(STATUS.CONFLICTING_ATTRIBUTES)
  expect(describeStatus(code)).toMatch(/^Conflicting Attributes/)
  expect(describeStatus(code, true)).toMatch(/^Incompatible Format/)
})

test('every row has a name of its own, fits the field, and says what it means', () => {
  expect(new Set(STATUS_ROWS.map(([name]) => name)).size).toBe(STATUS_ROWS.length)
  for (const [name, sct, sc, dnr, text] of STATUS_ROWS) {
    expect(sct, name).toBeLessThan(8)
    expect(sc, name).toBeLessThan(256)
    expect([0, 1], name).toContain(dnr)
    expect(text, name).toMatch(/^[A-Z][^:]+: [^:]+$/)
  }
})
