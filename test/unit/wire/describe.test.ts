/**
 * Descriptions: what a trace shows of bytes written by hand.
 */
import { expect, test } from 'vitest'
import { describe, describeCqe, describePdu, describeSqe } from '../../../src/wire/describe.ts'
import { CONNECT_DATA } from '../../../src/wire/fabrics.ts'
import { R2T } from '../../../src/wire/pdu.ts'

const view = (hex: string): DataView =>
  new DataView(Uint8Array.from(Buffer.from(hex.replaceAll(' ', ''), 'hex')).buffer)

const GOLDEN_R2T = '090018001800000005000100000000000000020000000000'

test('an R2T', () => {
  const text = 'R2T { type: 9, flags: 0, hlen: 24, pdo: 0, plen: 24, cccid: 5, ttag: 1, '
    + 'r2to: 0, r2tl: 131072 }'
  expect(describe(view(GOLDEN_R2T), 0, R2T)).toBe(text)
  expect(describePdu(view(GOLDEN_R2T), 0)).toBe(text)
  expect(describePdu(view(`ffff${GOLDEN_R2T}`), 2)).toBe(text)
})

test('reserved bytes show when they are not zero', () => {
  const bad = `${GOLDEN_R2T.slice(0, -2)}07`
  expect(describe(view(bad), 0, R2T)).toContain(`rsvd20: ${0x07000000}`)
})

test('what is cut off is missing', () => {
  expect(describe(view(GOLDEN_R2T.slice(0, 32)), 0, R2T)).toContain('r2to: 0, r2tl: missing')
})

test('text and bytes', () => {
  const data = new DataView(new ArrayBuffer(1024))
  data.setUint8(1, 0xab)
  Buffer.from(data.buffer, 256).write('nqn.x')
  const text = describe(data, 0, CONNECT_DATA)
  expect(text).toContain("hostid: 00 ab, cntlid: 0, subnqn: 'nqn.x', hostnqn: 0 }")
})

test('commands by opcode and queue, and by their Fabrics type', () => {
  const sqe = (head: string): DataView => view(head.padEnd(128, '0'))
  expect(describeSqe(sqe('0240'), 0, 'io')).toMatch(/^READ: READ_WRITE \{ .* slba: 0, nlb: 0,/)
  expect(describeSqe(sqe('0240'), 0, 'admin')).toMatch(/^GET_LOG_PAGE: GET_LOG_PAGE \{ /)
  expect(describeSqe(sqe('7f40000001'), 0, 'io')).toMatch(/^CONNECT: CONNECT \{ .* qid: 0,/)
  expect(describeSqe(sqe('c140'), 0, 'admin')).toMatch(/^unknown c1h: SQE \{ /)
})

test('a completion with its status in words', () => {
  expect(describeCqe(view('00000000 00000000 0300 0000 3412 0181'), 0))
    .toMatch(/cid: 4660, status: 33025 \} LBA Out of Range \(0\/80h\), do not retry: /)
  expect(describePdu(view('0500180018000000 00000000 00000000 0300 0000 3412 0000'), 0))
    .toMatch(/^CapsuleResp CH \{ .* \} CQE \{ .* \} Successful Completion/)
})

test('a PDU of no known type', () => {
  expect(describePdu(view('0800180018000000'), 0)).toMatch(/^unknown PDU: CH \{ type: 8,/)
})
