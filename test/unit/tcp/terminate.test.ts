/**
 * The end of a connection by a C2HTermReq or an H2CTermReq: nothing more is admitted, nothing more is
 * sent, and nothing is left.
 */
import { expect, test } from 'vitest'
import { PENDING, STALL, WANTS_DATA } from '../../../src/device/device.ts'
import { PHASE, type Connection } from '../../../src/tcp/connection.ts'
import { sqe, stampSgl } from '../../command-bytes.ts'
import { C2H_TERM_REQ, capsuleCmd, h2cTermReq, icReq, termReqOf } from '../../wire-bytes.ts'
import { WireRig } from './wire-rig.ts'

const NOTHING_IN_USE = { slots: 0, pages: 0, adminPages: 0, tags: 0 }

/** A command with its CID: 0 Flush, 1 Write. */
function command(opcode: number, cid: number, bytes: number): Buffer {
  const entry = stampSgl(sqe(opcode, 1), 0x5a, bytes)
  entry.writeUInt16LE(cid, 2)
  return capsuleCmd(entry)
}

const flush = (cid: number): Buffer => command(0, cid, 0)
const write = (cid: number, bytes: number): Buffer => command(1, cid, bytes)

function expectTermReq(rig: WireRig, connection: Connection, fes: number): void {
  const pdus = rig.sent(connection)
  expect(pdus.map((pdu) => pdu.type)).toEqual([C2H_TERM_REQ])
  expect(termReqOf(pdus[0]!).fes).toBe(fes)
  expect(connection.phase).toBe(PHASE.TERMINATING)
}

test('nothing is admitted after a C2HTermReq, and nothing is sent behind it', () => {
  const rig = new WireRig()
  const connection = rig.live()
  rig.feed(connection, write(1, 512))
  rig.sent(connection)
  rig.feed(connection, icReq(), flush(2))
  expectTermReq(rig, connection, 2)
  rig.feed(connection, flush(3))
  expect(rig.sent(connection)).toEqual([])
  expect(rig.asked).toEqual(['start 1 cid 1'])
  expect(rig.unread(connection)).toBe(0)
  rig.closed(connection)
  expect([rig.inUse(), rig.released]).toEqual([NOTHING_IN_USE, [connection.index]])
})

test('a command that waited for a buffer asks for no data behind a C2HTermReq', () => {
  const rig = new WireRig()
  const connection = rig.live()
  rig.executor.start = () => STALL
  rig.executor.again = () => STALL
  rig.feed(connection, write(1, 512), icReq())
  expectTermReq(rig, connection, 2)
  rig.executor.again = (slot) => {
    slot.own(rig.buffers.take(512))
    return WANTS_DATA
  }
  rig.connections.retry()
  expect(rig.sent(connection)).toEqual([])
  rig.closed(connection)
  expect(rig.inUse()).toEqual(NOTHING_IN_USE)
})

test('of an answer that came too late, there is no more to send', () => {
  const rig = new WireRig()
  const connection = rig.live()
  rig.executor.start = () => PENDING
  rig.feed(connection, flush(1), icReq())
  const slot = rig.slots.all.find((each) => each.cid === 1)!
  expectTermReq(rig, connection, 2)
  rig.completer.finish(slot, 0)
  expect(rig.sent(connection)).toEqual([])
  expect(rig.inUse().slots).toBe(0)
})

test('H2CTermReq: no answer, the reason is kept', () => {
  const rig = new WireRig()
  const connection = rig.live()
  rig.feed(connection, h2cTermReq(3, 0x1234, Buffer.alloc(24)), flush(1))
  expect(rig.sent(connection)).toEqual([])
  expect(connection.reason).toMatch(/^the host ended the connection: Header Digest Error/)
  expect(rig.asked).toEqual([])
})

test.each([0x00000000, 0x0000_0007, 0x8000_0000, 0xffff_ffff])('PLEN %i of each type', (plen) => {
  for (const type of [0, 2, 4, 6, 9, 0x7f]) {
    const rig = new WireRig()
    const connection = rig.live()
    const pdu = Buffer.alloc(200)
    pdu.writeUInt8(type, 0)
    pdu.writeUInt8(type === 4 ? 72 : 24, 2)
    pdu.writeUInt32LE(plen, 4)
    rig.feed(connection, pdu)
    expect(connection.phase, `type ${type}`).toBe(PHASE.TERMINATING)
    rig.closed(connection)
    expect(rig.inUse()).toEqual(NOTHING_IN_USE)
  }
})
