/**
 * Receive: PDUs in any piece, at any place of the ring; what waits, and what a host may not do.
 */
import { describe, expect, test } from 'vitest'
import { PENDING, STALL } from '../../../src/device/device.ts'
import { PHASE, type Connection } from '../../../src/tcp/connection.ts'
import { sqe, stampSgl } from '../../command-bytes.ts'
import {
  C2H_TERM_REQ, CAPSULE_RESP, R2T, capsuleCmd, cqeOf, h2cData, r2tOf, termReqOf,
  type Digests, type Pdu,
} from '../../wire-bytes.ts'
import { WireRig } from './wire-rig.ts'

const NOTHING_IN_USE = { slots: 0, pages: 0, adminPages: 0, tags: 0 }
const BOTH: Digests = { header: true, data: true }

const pattern = (bytes: number, seed = 1): Buffer =>
  Buffer.from(Uint8Array.from({ length: bytes }, (_, index) => (index * 7 + (index >> 8) + seed) & 0xff))

/** A command with its CID: 0 Flush, 1 Write, 2 Read. */
function command(opcode: number, cid: number, bytes: number, inCapsule = false): Buffer {
  const entry = stampSgl(sqe(opcode, 1), inCapsule ? 0x01 : 0x5a, bytes)
  entry.writeUInt16LE(cid, 2)
  return entry
}

const flush = (cid: number, digests?: Digests): Buffer => capsuleCmd(command(0, cid, 0), null, digests)
const write = (cid: number, bytes: number, digests?: Digests): Buffer =>
  capsuleCmd(command(1, cid, bytes), null, digests)
const cids = (pdus: readonly Pdu[]): number[] =>
  pdus.filter((pdu) => pdu.type === CAPSULE_RESP).map((pdu) => cqeOf(pdu).cid)

function expectTermReq(rig: WireRig, connection: Connection, fes: number): void {
  const pdus = rig.sent(connection)
  expect(pdus.map((pdu) => pdu.type)).toEqual([C2H_TERM_REQ])
  expect(termReqOf(pdus[0]!).fes).toBe(fes)
  expect(connection.phase).toBe(PHASE.TERMINATING)
}

describe('capsules', () => {
  test('come in one byte at a time', () => {
    const rig = new WireRig()
    const connection = rig.live()
    for (const byte of Buffer.concat([flush(1), flush(2)])) rig.feed(connection, Uint8Array.of(byte))
    expect(cids(rig.sent(connection))).toEqual([1, 2])
    expect(rig.inUse()).toEqual(NOTHING_IN_USE)
  })

  test.each([1, 2, 3])('come at an address that is %i above a multiple of 4', (shift) => {
    const rig = new WireRig()
    const connection = rig.live()
    const shifted = capsuleCmd(command(1, 1, 512 + shift, true), pattern(512 + shift))
    rig.feed(connection, shifted, flush(2), capsuleCmd(command(1, 3, 512, true), pattern(512, 9)))
    expect(cids(rig.sent(connection))).toEqual([1, 2, 3])
    expect(rig.region.subarray(3 * 4096, 3 * 4096 + 512)).toEqual(new Uint8Array(pattern(512, 9)))
  })

  test('go round the ring many times', () => {
    const rig = new WireRig({ rxBytes: 65536 })
    const connection = rig.live({ header: true, data: true })
    for (let cid = 1; cid <= 60; cid++) {
      rig.feed(connection, capsuleCmd(command(1, cid, 8000, true), pattern(8000, cid), BOTH))
      expect(cids(rig.sent(connection))).toEqual([cid])
      expect(rig.region.subarray(cid * 4096, cid * 4096 + 8000)).toEqual(new Uint8Array(pattern(8000, cid)))
    }
    expect(rig.inUse()).toEqual(NOTHING_IN_USE)
  })

  test('data in a capsule that are damaged are not executed', () => {
    const rig = new WireRig()
    const connection = rig.live({ header: true, data: true })
    const capsule = capsuleCmd(command(1, 5, 512, true), pattern(512), BOTH)
    capsule[200]! ^= 1
    rig.feed(connection, capsule)
    expect(rig.sent(connection).map((pdu) => cqeOf(pdu).status)).toEqual(['0/22h'])
    expect([rig.asked, rig.inUse()]).toEqual([[], NOTHING_IN_USE])
  })

  test('wait, with all that follows, while a Connect is decided on', () => {
    const rig = new WireRig()
    const connection = rig.live()
    connection.phase = PHASE.ADMITTING
    rig.feed(connection, flush(1))
    expect([rig.asked, rig.unread(connection)]).toEqual([[], 72])
    connection.phase = PHASE.LIVE
    rig.connections.stall(connection)
    rig.connections.retry()
    expect(cids(rig.sent(connection))).toEqual([1])
  })

  test('with data wait for a buffer, and are executed once', () => {
    const rig = new WireRig()
    const connection = rig.live()
    const start = rig.executor.start
    rig.executor.start = () => STALL
    rig.feed(connection, capsuleCmd(command(1, 1, 512, true), pattern(512)), flush(2))
    rig.connections.retry()
    expect([rig.unread(connection), connection.slotCount, rig.inUse()]).toEqual([72 + 512 + 72, 0, NOTHING_IN_USE])
    rig.executor.start = start
    rig.connections.retry()
    expect(cids(rig.sent(connection))).toEqual([1, 2])
    expect(rig.asked.filter((each) => each.startsWith('run'))).toEqual(['run 1 cid 1'])
  })

  test('wait while a turn has no room for a copy', () => {
    const rig = new WireRig({ copiesMax: 2 })
    const connection = rig.live()
    rig.feed(connection, ...[1, 2, 3].map((cid) => capsuleCmd(command(1, cid, 512, true), pattern(512, cid))))
    expect(cids(rig.sent(connection))).toEqual([1, 2])
    expect(cids(rig.sent(connection))).toEqual([3])
    for (const cid of [1, 2, 3]) expect(rig.region[cid * 4096]).toBe(pattern(1, cid)[0])
  })

  test('wait while the send ring has no room for their answers', () => {
    const rig = new WireRig({ txEntries: 64 })
    const connection = rig.live()
    rig.feed(connection, ...Array.from({ length: 100 }, (_, cid) => flush(cid)))
    const first = rig.sent(connection)
    expect(first.length).toBeLessThanOrEqual(64)
    const rest = rig.sent(connection)
    expect(cids([...first, ...rest])).toEqual(Array.from({ length: 100 }, (_, cid) => cid))
  })
})

describe('H2CData', () => {
  /** Where a Write with CID 1 was asked for. */
  function asked(rig: WireRig, connection: Connection, bytes: number) {
    rig.feed(connection, write(1, bytes, { header: connection.headerDigestBytes !== 0, data: false }))
    return rig.sent(connection).map(r2tOf)
  }

  test.each([1, 3, 512, 5000, 8192])('in pieces of %i bytes, partly placed', (piece) => {
    const rig = new WireRig()
    const connection = rig.live()
    const [r2t] = asked(rig, connection, 8192)
    const data = pattern(8192)
    const pdu = h2cData({ cccid: 1, ttag: r2t!.ttag, datao: 0, data })
    for (let at = 0; at < pdu.length; at += piece) {
      rig.feed(connection, pdu.subarray(at, at + piece))
      rig.turn()
    }
    expect(cids(rig.sent(connection))).toEqual([1])
    expect(rig.region.subarray(4096, 4096 + 8192)).toEqual(new Uint8Array(data))
    expect(rig.inUse()).toEqual(NOTHING_IN_USE)
  })

  test('the rest of a large payload is placed, and what follows is not lost', () => {
    const rig = new WireRig()
    const connection = rig.live()
    const [r2t] = asked(rig, connection, 32768)
    const pdu = h2cData({ cccid: 1, ttag: r2t!.ttag, datao: 0, data: pattern(32768) })
    rig.feed(connection, pdu.subarray(0, 1000))
    expect(rig.placing(connection)).toBe(24 + 32768 - 1000)
    rig.turn()
    rig.feed(connection, pdu.subarray(1000, 20000))
    expect(rig.placing(connection)).toBe(24 + 32768 - 20000)
    rig.feed(connection, pdu.subarray(20000), flush(2))
    expect(cids(rig.sent(connection))).toEqual([1, 2])
    expect(rig.region.subarray(4096, 4096 + 32768)).toEqual(new Uint8Array(pattern(32768)))
  })

  test('in several PDUs for one R2T, each with its digest', () => {
    const rig = new WireRig()
    const connection = rig.live({ header: true, data: true })
    const [r2t] = asked(rig, connection, 6000)
    const data = pattern(6000)
    for (const [from, to] of [[0, 100], [100, 4097], [4097, 6000]]) {
      rig.feed(connection, h2cData({
        cccid: 1, ttag: r2t!.ttag, datao: from!, data: data.subarray(from, to), last: to === 6000,
      }, BOTH))
    }
    expect(cids(rig.sent(connection))).toEqual([1])
    expect(rig.region.subarray(4096, 10096)).toEqual(new Uint8Array(data))
  })

  test('one of them damaged: the command fails when all have come, and does not run', () => {
    const rig = new WireRig()
    const connection = rig.live({ header: true, data: true })
    const [r2t] = asked(rig, connection, 1024)
    const first = h2cData({ cccid: 1, ttag: r2t!.ttag, datao: 0, data: pattern(512), last: false }, BOTH)
    first[100]! ^= 1
    rig.feed(connection, first)
    expect(rig.queued(connection)).toEqual([])
    rig.feed(connection, h2cData({ cccid: 1, ttag: r2t!.ttag, datao: 512, data: pattern(512) }, BOTH))
    expect(rig.sent(connection).map((pdu) => cqeOf(pdu).status)).toEqual(['0/22h'])
    expect(rig.asked).toEqual(['start 1 cid 1'])
    expect(rig.inUse()).toEqual(NOTHING_IN_USE)
  })

  test('waits while a turn has no room for a copy', () => {
    const rig = new WireRig({ copiesMax: 2 })
    const connection = rig.live()
    const [r2t] = asked(rig, connection, 1600)
    const pieces = [0, 400, 800, 1200].map((datao) => h2cData({
      cccid: 1, ttag: r2t!.ttag, datao, data: pattern(1600).subarray(datao, datao + 400), last: datao === 1200,
    }))
    rig.feed(connection, ...pieces)
    expect([rig.unread(connection) > 400, rig.queued(connection)]).toEqual([true, []])
    rig.connections.retry()
    expect(cids(rig.sent(connection))).toEqual([1])
    expect(rig.region.subarray(4096, 4096 + 1600)).toEqual(new Uint8Array(pattern(1600)))
  })

  test('of several commands in any order', () => {
    const rig = new WireRig()
    const connection = rig.live()
    rig.feed(connection, write(1, 512), write(2, 512), write(3, 512))
    const r2ts = rig.sent(connection).map(r2tOf)
    for (const cid of [3, 1, 2]) {
      const { ttag } = r2ts.find((each) => each.cccid === cid)!
      rig.feed(connection, h2cData({ cccid: cid, ttag, datao: 0, data: pattern(512, cid) }))
    }
    expect(cids(rig.sent(connection))).toEqual([3, 1, 2])
  })

  test('several R2Ts at a time: never more than two, pieces in order, all of the data', () => {
    const rig = new WireRig({}, { transferBytes: 1024 })
    const connection = rig.live({ transfersMax: 8 })
    const data = pattern(5000)
    const open = asked(rig, connection, 5000)
    let next = 0
    while (open.length !== 0) {
      expect(open.length).toBeLessThanOrEqual(2)
      const { ttag, r2to, r2tl } = open.shift()!
      expect(r2to).toBe(next)
      next += r2tl
      rig.feed(connection, h2cData({ cccid: 1, ttag, datao: r2to, data: data.subarray(r2to, next) }))
      open.push(...rig.sent(connection).filter((pdu) => pdu.type === R2T).map(r2tOf))
    }
    expect(next).toBe(5000)
    expect(rig.region.subarray(4096, 9096)).toEqual(new Uint8Array(data))
    expect(rig.inUse()).toEqual(NOTHING_IN_USE)
  })

  test('a host that answers R2Ts which it cannot have read is made to wait', () => {
    const rig = new WireRig({ txEntries: 64 }, { transferBytes: 512 })
    const connection = rig.live({ transfersMax: 8 })
    const total = 512 * 200
    rig.feed(connection, write(1, total))
    const open = rig.queued(connection).map(r2tOf)
    let answered = 0
    // Nothing leaves the send ring: each R2T stays in it, and the next ones come behind.
    while (open.length !== 0 && answered < 150) {
      const { ttag, r2to, r2tl } = open.shift()!
      const before = rig.queued(connection).length
      rig.feed(connection, h2cData({ cccid: 1, ttag, datao: r2to, data: pattern(r2tl) }))
      open.push(...rig.queued(connection).slice(before).map(r2tOf))
      answered++
    }
    expect(answered).toBeLessThan(64)
    expect(connection.phase).toBe(PHASE.LIVE)
    // It reads them after all, and everything goes on.
    for (let rest = rig.sent(connection); rest.length !== 0; rest = rig.sent(connection)) {
      const unanswered = rest.map(r2tOf).filter((each) => each.r2to >= answered * 512)
      for (const { ttag, r2to, r2tl } of unanswered) {
        rig.feed(connection, h2cData({ cccid: 1, ttag, datao: r2to, data: pattern(r2tl) }))
        answered++
      }
      if (answered === 200) break
    }
    expect(cids(rig.sent(connection))).toEqual([1])
  })

  test.each<[string, number, (ttag: number) => Buffer]>([
    ['a tag that was never given', 2, (ttag) => h2cData({ cccid: 1, ttag: ttag + 1, datao: 0, data: pattern(8) })],
    ['the largest tag', 2, () => h2cData({ cccid: 1, ttag: 0xffff, datao: 0, data: pattern(8) })],
    ['another command', 2, (ttag) => h2cData({ cccid: 2, ttag, datao: 0, data: pattern(8) })],
    ['an offset behind', 4, (ttag) => h2cData({ cccid: 1, ttag, datao: 8, data: pattern(8), last: false })],
    ['an offset of 2^32 - 8', 4, (ttag) => h2cData({ cccid: 1, ttag, datao: 0xffff_fff8, data: pattern(8) })],
    ['more than was asked for', 4, (ttag) => h2cData({ cccid: 1, ttag, datao: 0, data: pattern(1028) })],
    ['LAST too early', 1, (ttag) => h2cData({ cccid: 1, ttag, datao: 0, data: pattern(8) })],
    ['no LAST at the end', 1, (ttag) => h2cData({ cccid: 1, ttag, datao: 0, data: pattern(1024), last: false })],
    ['DATAL that is not PLEN', 1, (ttag) => h2cData({ cccid: 1, ttag, datao: 0, data: pattern(8), datal: 4 })],
  ])('%s ends the connection', (_what, fes, pdu) => {
    const rig = new WireRig()
    const connection = rig.live()
    const [r2t] = asked(rig, connection, 1024)
    rig.feed(connection, pdu(r2t!.ttag))
    expectTermReq(rig, connection, fes)
    rig.closed(connection)
    expect(rig.inUse()).toEqual(NOTHING_IN_USE)
  })

  test('a tag that is closed is no tag any more', () => {
    const rig = new WireRig()
    const connection = rig.live()
    const [r2t] = asked(rig, connection, 512)
    const pdu = h2cData({ cccid: 1, ttag: r2t!.ttag, datao: 0, data: pattern(512) })
    rig.feed(connection, pdu)
    expect(cids(rig.sent(connection))).toEqual([1])
    rig.feed(connection, pdu)
    expectTermReq(rig, connection, 2)
  })

  test("another connection's tag is refused, and its owner goes on", () => {
    const rig = new WireRig()
    const [owner, thief] = [rig.live(), rig.live()]
    const [r2t] = asked(rig, owner, 512)
    const pdu = h2cData({ cccid: 1, ttag: r2t!.ttag, datao: 0, data: pattern(512) })
    rig.feed(thief, pdu)
    expectTermReq(rig, thief, 2)
    rig.feed(owner, pdu)
    expect(cids(rig.sent(owner))).toEqual([1])
  })

  test('of a Connect that did not bring its data in the capsule', () => {
    const rig = new WireRig()
    const connection = rig.live()
    connection.phase = PHASE.JOINING
    rig.executor.run = () => {
      connection.phase = PHASE.ADMITTING
      return PENDING
    }
    const [r2t] = asked(rig, connection, 1024)
    rig.feed(connection, h2cData({ cccid: 1, ttag: r2t!.ttag, datao: 0, data: pattern(1024) }))
    expect(rig.asked).toEqual(['start 1 cid 1', 'run 1 cid 1'])
    expect(connection.phase).toBe(PHASE.ADMITTING)
  })

  test('of a second Connect waits until the first was decided on', () => {
    const rig = new WireRig()
    const connection = rig.live()
    connection.phase = PHASE.JOINING
    rig.executor.run = () => {
      connection.phase = PHASE.ADMITTING
      return PENDING
    }
    rig.feed(connection, write(1, 512), write(2, 512))
    for (const { cccid, ttag } of rig.sent(connection).map(r2tOf)) {
      rig.feed(connection, h2cData({ cccid, ttag, datao: 0, data: pattern(512) }))
    }
    expect(rig.asked.filter((each) => each.startsWith('run'))).toEqual(['run 1 cid 1'])
    expect([connection.phase, rig.unread(connection)]).toEqual([PHASE.ADMITTING, 24 + 512])
  })
})
