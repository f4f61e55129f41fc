/**
 * The admin executor: which command gets which answer, and what it leaves behind. The tables behind it have tests
 * of their own (identify, log-page, features, events, commands).
 */
import { describe, expect, test } from 'vitest'
import { errorsOf } from '../../../src/controller/health.ts'
import { ROW } from '../../../src/controller/shared.ts'
import { PENDING, STALL, WANTS_DATA } from '../../../src/device/device.ts'
import { abort, asyncEventRequest, getFeatures, getLogPage, identify, keepAlive, setFeatures, sqe }
  from '../../command-bytes.ts'
import { adminRig } from './admin-rig.ts'

const INVALID_OPCODE = 0x4001
const INVALID_FIELD = 0x4002
const SEQUENCE_ERROR = 0x400c
const LENGTH_INVALID = 0x400f
const ABORTED = 0x07
const AER_LIMIT = 0x4105
const EVENTS = 0x0d
const [READ, ESTABLISH, RELEASE] = [0, 1, 2]

describe('before anything else', () => {
  test('a controller that is not enabled takes Keep Alive alone', () => {
    const { start, enable, shared, controller, tick } = adminRig()
    enable(false)
    tick(5)
    expect([start(keepAlive()).outcome, start(identify(1), 4096).outcome]).toEqual([0, SEQUENCE_ERROR])
    expect(shared.words[controller.stampWord], 'but it has been heard of').toBe(5)
    expect(errorsOf(shared, controller)).toEqual([])
  })

  test('a queue without a controller, or without its admin state, says so', () => {
    const { start, queue, controller } = adminRig()
    controller.admin = null
    expect(start(keepAlive()).outcome).toBe(SEQUENCE_ERROR)
    Object.assign(queue, { controller: null })
    expect(start(keepAlive()).outcome).toBe(SEQUENCE_ERROR)
  })

  test('what is refused is in the error log', () => {
    const { start, shared, controller } = adminRig()
    const { slot } = start(sqe(0xc7, 5))
    expect(errorsOf(shared, controller)).toEqual([{
      count: 1, sqid: 0, cid: slot.cid, status: INVALID_OPCODE, location: 0, opcode: 0xc7, lba: 0, nsid: 5,
    }])
  })
})

describe('Identify', () => {
  test('has 4096 bytes, no more and no less', () => {
    const { start, ask } = adminRig()
    expect([0, 4092, 4100, 8192].map((bytes) => start(identify(1), bytes).outcome)).toEqual(Array(4).fill(LENGTH_INVALID))
    expect(ask(identify(1), 4096).readUInt16LE(78), 'CNTLID').toBe(17)
  })

  test('asks again where no page is free', () => {
    const { start, pages } = adminRig()
    while (pages.take(4096) !== -1);
    expect(start(identify(1), 4096).outcome).toBe(STALL)
  })
})

describe('Get Log Page', () => {
  test('any dword length, filled with zeroes after the end', () => {
    const { ask } = adminRig()
    const whole = ask(getLogPage(3, 128), 512)
    expect(ask(getLogPage(3, 1, 8), 4)).toEqual(whole.subarray(8, 12))
    const far = ask(getLogPage(3, 300, 500), 1200)
    expect([far.subarray(0, 12), far.subarray(12)]).toEqual([whole.subarray(500), Buffer.alloc(1188)])
  })

  test('the length has to be that of the SGL, and not beyond MDTS', () => {
    const { start } = adminRig()
    expect([start(getLogPage(3, 128), 508).outcome, start(getLogPage(3, 128), 516).outcome]).toEqual(
      [LENGTH_INVALID, LENGTH_INVALID])
    expect(start(getLogPage(3, (1 << 18) + 1), (1 << 20) + 4).outcome).toBe(INVALID_FIELD)
  })

  test('offsets beyond the end, not of dwords, or of an index', () => {
    const { start } = adminRig()
    for (const lpo of [516, 2 ** 32, 2 ** 53 + 2, 2]) {
      expect(start(getLogPage(3, 1, lpo), 4).outcome, `offset ${lpo}`).toBe(INVALID_FIELD)
    }
    const indexed = getLogPage(3, 1)
    indexed.writeUInt8(0x80, 58)
    expect(start(indexed, 4).outcome).toBe(INVALID_FIELD)
  })
})

describe('the persistent event log', () => {
  const log = Uint8Array.from({ length: 600 }, (_, index) => index & 0xff)
  const get = (lsp: number, dwords = 128, lpo = 0) => getLogPage(EVENTS, dwords, lpo, { lsp })

  test('nothing is read without a context', () => {
    const { start } = adminRig()
    expect(start(get(READ), 512).outcome).toBe(SEQUENCE_ERROR)
  })

  test('a context is what the control plane said when it was established', () => {
    const { start, posted, executor, queue, answerOf, ask } = adminRig()
    const { slot, outcome } = start(get(ESTABLISH, 128, 4), 512)
    expect([outcome, posted]).toEqual([PENDING, [
      { type: 'read-history', reactor: 3, slot: slot.index, controller: 1 },
    ]])
    expect(executor.establish(slot, queue, log)).toBe(0)
    expect([...answerOf(slot)]).toEqual([...log.subarray(4, 516)])
    expect([...ask(get(READ, 10, 588), 40).subarray(0, 16)]).toEqual([...log.subarray(588), 0, 0, 0, 0])
  })

  test('only one, until it is released, which may be done twice', () => {
    const { start, executor, queue, admin } = adminRig()
    const [first, second] = [start(get(ESTABLISH), 512), start(get(ESTABLISH), 512)]
    expect(executor.establish(first.slot, queue, log)).toBe(0)
    expect(executor.establish(second.slot, queue, log)).toBe(SEQUENCE_ERROR)
    expect(start(get(ESTABLISH), 512).outcome).toBe(SEQUENCE_ERROR)
    expect([start(get(RELEASE), 512).outcome, admin.eventContext]).toEqual([0, null])
    expect(start(get(RELEASE), 512).outcome).toBe(0)
    expect(start(get(READ), 512).outcome).toBe(SEQUENCE_ERROR)
  })

  test('is not established by a command that fails, or whose host has gone', () => {
    const { start, executor, queue, admin, controller } = adminRig()
    expect(executor.establish(start(get(ESTABLISH, 1, 604), 4).slot, queue, log)).toBe(INVALID_FIELD)
    expect(start(get(ESTABLISH), 508).outcome).toBe(LENGTH_INVALID)
    expect(start(get(3), 512).outcome).toBe(INVALID_FIELD)
    expect(admin.eventContext).toBeNull()
    const { slot } = start(get(ESTABLISH), 512)
    expect(executor.establish(slot, null, log)).toBe(ABORTED)
    controller.admin = null
    expect(executor.establish(slot, queue, log)).toBe(ABORTED)
  })
})

describe('features', () => {
  test('one dword: set, got, and what I/O goes by', () => {
    const { start, shared, controller } = adminRig()
    const word = (which: number): number => shared.words[shared.row(controller.index) + which]!
    expect([start(setFeatures(0x06, 0)).outcome, word(ROW.WRITE_THROUGH)]).toEqual([0, 1])
    expect(start(getFeatures(0x06)).slot.dw0).toBe(0)
    expect([start(setFeatures(0x07, 0x0002_0002)).slot.dw0, word(ROW.GRANTED)]).toEqual([0x0002_0002, 3])
  })

  test('data of the host: asked for, then set', () => {
    const { start, run, admin, shared, controller } = adminRig()
    const { slot, outcome } = start(setFeatures(0x16), 512, 1)
    expect(outcome).toBe(WANTS_DATA)
    expect([run(slot, Uint8Array.of(1)), admin.features.hostBehaviour[0]]).toEqual([0, 1])
    const wrong = start(setFeatures(0x16), 512, 1).slot
    expect(run(wrong, Uint8Array.of(9))).toBe(INVALID_FIELD)
    expect(errorsOf(shared, controller)[0]).toMatchObject({ cid: wrong.cid, opcode: 9, location: 44 })
  })

  test('a clock that is set is recorded, with what it showed before', () => {
    const { start, run, posted } = adminRig()
    const setTo = (data: number[]): number => run(start(setFeatures(0x0e), 8, 1).slot, Uint8Array.from(data))
    expect([setTo([0, 0, 0, 0, 0, 1, 0, 0]), setTo([9, 0, 0, 0, 0, 2, 0, 0])]).toEqual([0, 0])
    const records = posted.filter((message) => message.type === 'record')
    expect(records).toMatchObject([{ controller: 1, event: 3 }, { controller: 1, event: 3 }])
    // Milliseconds may have passed between the two.
    expect([...records[1]!.data.subarray(4, 8)]).toEqual([0, 1, 2, 0])
    expect(records.map(({ data }) => data.length)).toEqual([16, 16])
  })

  test('data of the wrong length or direction', () => {
    const { start } = adminRig()
    expect([start(setFeatures(0x16), 508, 1).outcome, start(setFeatures(0x16), 512, 2).outcome]).toEqual(
      [LENGTH_INVALID, LENGTH_INVALID])
    expect(start(getFeatures(0x81, 1), 8).outcome).toBe(LENGTH_INVALID)
  })

  test('data to the host', () => {
    const { ask } = adminRig()
    expect(ask(getFeatures(0x81, 1), 16).toString('hex')).toBe('000102030405060708090a0b0c0d0e0f')
  })
})

describe('Abort', () => {
  test('of an event request: it is answered, and so is the Abort', () => {
    const { start, finished } = adminRig()
    const held = start(asyncEventRequest())
    expect(held.outcome).toBe(PENDING)
    const { slot, outcome } = start(abort(0, held.slot.cid))
    expect([outcome, slot.dw0, finished]).toEqual([0, 0, [[held.slot.cid, ABORTED]]])
  })

  test('of what is not there', () => {
    const { start } = adminRig()
    const { slot, outcome } = start(abort(0, 999))
    expect([outcome, slot.dw0]).toEqual([0, 1])
  })

  test('of an I/O queue is another reactor’s', () => {
    const { start, posted } = adminRig()
    const { slot, outcome } = start(abort(2, 7))
    expect(outcome).toBe(PENDING)
    expect(posted).toMatchObject([{ type: 'abort', slot: slot.index, controller: 1, qid: 2, cid: 7 }])
  })
})

test('four event requests are held, a fifth is refused', () => {
  const { start } = adminRig()
  const outcomes = Array.from({ length: 5 }, () => start(asyncEventRequest()).outcome)
  expect(outcomes).toEqual([PENDING, PENDING, PENDING, PENDING, AER_LIMIT])
})
