/**
 * Connections: handshake, deadlines, waiting, and the end, after which nothing may be left.
 */
import { describe, expect, test } from 'vitest'
import { PENDING, STALL, WANTS_DATA } from '../../../src/device/device.ts'
import { PHASE } from '../../../src/tcp/connection.ts'
import { HANDSHAKE_MS } from '../../../src/tcp/connections.ts'
import { LINGER_MS } from '../../../src/tcp/terminate.ts'
import { SLOT, type Slot } from '../../../src/reactor/slots.ts'
import { sqe, stampSgl } from '../../command-bytes.ts'
import { C2H_TERM_REQ, IC_RESP, R2T, capsuleCmd, cqeOf, h2cData, icReq, r2tOf, termReqOf } from '../../wire-bytes.ts'
import { WireRig } from './wire-rig.ts'

const NOTHING_IN_USE = { slots: 0, pages: 0, adminPages: 0, tags: 0 }
const FINISH = 2
const CLOSE = 4

function command(opcode: number, cid: number, bytes: number): Buffer {
  const entry = stampSgl(sqe(opcode, 1), 0x5a, bytes)
  entry.writeUInt16LE(cid, 2)
  return capsuleCmd(entry)
}

describe('the handshake', () => {
  test.each([0, 1, 2, 3])('digests %i are answered in kind, in one PDU', (dgst) => {
    const rig = new WireRig()
    const connection = rig.open()
    rig.feed(connection, icReq({ dgst, hpda: 31, maxr2t: 0xffff_ffff }))
    const [answer, ...rest] = rig.sent(connection)
    expect([answer!.type, answer!.bytes.length, answer!.bytes[11], rest.length]).toEqual([IC_RESP, 128, dgst, 0])
    expect([answer!.bytes[10], answer!.bytes.readUInt32LE(12) >= 4096]).toEqual([0, true])
    expect(connection).toMatchObject({
      phase: PHASE.JOINING, headerDigestBytes: dgst & 1 ? 4 : 0, dataDigestBytes: dgst & 2 ? 4 : 0,
      transfersMax: 65536, dataPadBytes: 128 - 24 - (dgst & 1 ? 4 : 0),
    })
  })

  test.each([[{ pfv: 1 }, 8], [{ hpda: 32 }, 10]])('%o is refused at byte %i', (fields, fei) => {
    const rig = new WireRig()
    const connection = rig.open()
    rig.feed(connection, icReq(fields))
    const [answer] = rig.sent(connection)
    expect([answer!.type, termReqOf(answer!).fes, termReqOf(answer!).fei]).toEqual([C2H_TERM_REQ, 1, fei])
    expect(rig.flags(connection) & FINISH).toBe(FINISH)
  })

  test('a command before it is out of sequence', () => {
    const rig = new WireRig()
    const connection = rig.open()
    rig.feed(connection, command(0, 1, 0))
    expect(termReqOf(rig.sent(connection)[0]!).fes).toBe(2)
    expect(rig.asked).toEqual([])
  })
})

describe('deadlines', () => {
  test('of ICReq, then of Connect', () => {
    const rig = new WireRig()
    const [silent, talker] = [rig.open(), rig.open()]
    rig.connections.tick(HANDSHAKE_MS - 1)
    rig.feed(talker, icReq())
    rig.connections.tick(HANDSHAKE_MS)
    expect([silent.phase, talker.phase]).toEqual([PHASE.CLOSING, PHASE.JOINING])
    rig.connections.tick(2 * HANDSHAKE_MS - 1)
    expect(talker.phase).toBe(PHASE.JOINING)
    rig.connections.tick(2 * HANDSHAKE_MS)
    expect(talker.phase).toBe(PHASE.CLOSING)
    for (const connection of [silent, talker]) rig.closed(connection)
    expect(rig.gone.filter((each) => !each.includes('left'))).toEqual([
      '0: no ICReq came in time after the connection was opened', '1: no Connect came in time after the handshake',
    ])
  })

  test('none for a connection that is live, or is being decided on', () => {
    const rig = new WireRig()
    const [live, admitting] = [rig.live(), rig.live()]
    admitting.phase = PHASE.ADMITTING
    rig.connections.tick(10 * HANDSHAKE_MS)
    expect([live.phase, admitting.phase]).toEqual([PHASE.LIVE, PHASE.ADMITTING])
  })

  test('a host has a while to close after it was told to, also where the clock wraps', () => {
    const rig = new WireRig()
    const connection = rig.live()
    rig.now(0x7fff_fff0)
    rig.connections.dismissAll('the target stops')
    expect([connection.phase, rig.flags(connection)]).toEqual([PHASE.TERMINATING, FINISH])
    rig.connections.tick((0x7fff_fff0 + LINGER_MS - 1) | 0)
    expect(connection.phase).toBe(PHASE.TERMINATING)
    rig.connections.tick((0x7fff_fff0 + LINGER_MS) | 0)
    expect([connection.phase, rig.flags(connection)]).toEqual([PHASE.CLOSING, CLOSE])
  })
})

describe('dropping', () => {
  test.each([[false, [1]], [true, [0, 1]]])('the queues of a controller, admin too: %s', (admin, dropped) => {
    const rig = new WireRig()
    const connections = [rig.live(), rig.live(), rig.live()]
    for (const [index, [controller, qid]] of [[5, 0], [5, 1], [6, 1]].entries()) {
      Object.assign(connections[index]!.queue, { controller: { index: controller }, qid })
    }
    rig.connections.drop(5, admin, 'why')
    expect(connections.flatMap((each, index) => (each.phase === PHASE.TERMINATING ? [index] : []))).toEqual(dropped)
    expect(connections[1]!.reason).toBe('why')
  })

  test('a queue that its host disconnects is answered first', () => {
    const rig = new WireRig()
    const connection = rig.live()
    rig.executor.start = (_slot, queue) => {
      queue.leaving = true
      return 0
    }
    rig.feed(connection, command(0, 1, 0))
    expect([connection.phase, rig.flags(connection)]).toEqual([PHASE.TERMINATING, FINISH])
    expect(rig.sent(connection).map((pdu) => cqeOf(pdu).cid)).toEqual([1])
  })
})

describe('the end', () => {
  test('gives back what a command holds, in whatever state it is', () => {
    const rig = new WireRig({}, { transferBytes: 512 })
    const connection = rig.live({ transfersMax: 4 })
    const outcomes = new Map([[1, WANTS_DATA], [2, PENDING], [3, STALL], [4, 0], [5, PENDING]])
    rig.executor.start = (slot) => {
      const outcome = outcomes.get(slot.cid)!
      if (outcome !== STALL) slot.own(rig.buffers.take(4096))
      if (slot.cid === 5) slot.enter(SLOT.HELD)
      return outcome
    }
    rig.executor.again = () => STALL
    rig.feed(
      connection, command(1, 1, 4096), command(1, 2, 512), command(1, 3, 512), command(2, 4, 512), command(0, 5, 0),
    )
    expect(rig.slots.all.slice(0, 5).map((slot) => slot.state)).toEqual([
      SLOT.RECEIVING, SLOT.EXECUTING, SLOT.HELD, SLOT.SENDING, SLOT.HELD,
    ])
    rig.end(connection, 104)
    rig.closed(connection)
    // What a device has it keeps, with its buffer, until it is done.
    expect(rig.inUse()).toEqual({ slots: 1, pages: 1, adminPages: 0, tags: 0 })
    expect(rig.gone.filter((each) => !each.includes('left'))).toEqual(['0: the host reset the connection'])
    const last = rig.slots.all.find((slot) => slot.state === SLOT.EXECUTING)!
    expect(last.connection).toBe(-1)
    rig.completer.finish(last, 0)
    expect(rig.inUse()).toEqual(NOTHING_IN_USE)
    // The index is used again, and knows nothing of this.
    const next = rig.live()
    expect([next.index, next.serial, next.slotCount]).toEqual([0, 2, 0])
    rig.connections.retry()
    expect(rig.queued(next)).toEqual([])
  })

  test('an answer for the connection before does not reach the next with its index', () => {
    const rig = new WireRig()
    rig.executor.start = () => PENDING
    const first = rig.live()
    rig.feed(first, command(0, 1, 0))
    const slot = rig.slots.all[0]!
    rig.end(first)
    rig.closed(first)
    const second = rig.live()
    expect(second.index).toBe(first.index)
    rig.completer.finish(slot, 0)
    expect([rig.queued(second), second.slotCount]).toEqual([[], 0])
  })

  test('what came before the host went is executed; no answer is sent', () => {
    const rig = new WireRig()
    const connection = rig.live()
    rig.arena.words[connection.control] = 2
    rig.feed(connection, command(0, 1, 0))
    expect(rig.asked).toEqual(['start 0 cid 1'])
    expect([connection.phase, rig.flags(connection)]).toEqual([PHASE.CLOSING, CLOSE])
    expect(connection.reason).toBe('')
  })

  test('a data transfer that is cut off leaves no tag, and answers its Abort', () => {
    const rig = new WireRig()
    const connection = rig.live()
    Object.assign(connection.queue, { controller: { index: 3 } })
    rig.feed(connection, command(1, 1, 8192))
    const [r2t] = rig.sent(connection).map(r2tOf)
    rig.feed(connection, h2cData({ cccid: 1, ttag: r2t!.ttag, datao: 0, data: Buffer.alloc(8192) }).subarray(0, 999))
    rig.aborts.request(
      { type: 'abort', replyTo: 2, slot: 9, controller: 3, qid: 1, cid: 1 }, [connection.queue], () => false,
    )
    expect(rig.posted).toEqual([])
    rig.end(connection)
    rig.closed(connection)
    expect(rig.posted).toEqual([{ type: 'aborted', replyTo: 2, slot: 9, done: true }])
    expect(rig.inUse()).toEqual(NOTHING_IN_USE)
    const next = rig.live()
    expect([next.payloadTag, next.placingBytes]).toEqual([-1, 0])
  })

  test('is told to the control plane when this reactor has done with it, and not before', () => {
    const rig = new WireRig()
    const connection = rig.live()
    rig.end(connection)
    expect(rig.gone).toEqual([])
    rig.closed(connection)
    // The control plane may give the controller's row to another as soon as it hears.
    expect(rig.gone).toEqual(['queue 0 left', '0: '])
    expect([connection.phase, rig.connections.openCount, rig.released]).toEqual([PHASE.FREE, 0, [0]])
    expect(rig.connections.find(0, connection.serial)).toBeNull()
  })

  test('an index without room is the answer of the shim', () => {
    const rig = new WireRig({ connections: 1 })
    rig.open()
    expect(rig.connections.adopt(8, { address: '', port: 0 }, '')).toBe(-28)
    expect(rig.connections.openCount).toBe(1)
  })
})

describe('waiting for buffers', () => {
  test('small commands that come later do not take what a large one waits for', () => {
    const rig = new WireRig({ bufferBytes: 16 * 4096 }, { keepPages: 1 })
    const [large, small] = [rig.live(), rig.live()]
    const take = (slot: Slot): number => {
      const at = rig.buffers.take(slot.bytes, slot.keepPages)
      if (at === -1) return STALL
      slot.own(at)
      return WANTS_DATA
    }
    rig.executor.start = take
    rig.executor.again = take
    const taken = Array.from({ length: 4 }, () => rig.buffers.take(4096))
    rig.feed(large, command(1, 1, 4 * 4096))
    for (const at of taken.splice(0, 2)) rig.buffers.give(at)
    for (let cid = 2; cid < 8; cid++) rig.feed(small, command(1, cid, 512))
    expect(rig.queued(small)).toEqual([])
    for (const at of taken) rig.buffers.give(at)
    rig.connections.retry()
    expect(rig.queued(large).map((pdu) => r2tOf(pdu).cccid)).toEqual([1])
    // One page is kept, and as many have to stay free as it holds: two of the four that are left.
    expect(rig.queued(small).map((pdu) => r2tOf(pdu).cccid)).toEqual([2, 3])
  })

  /** Buffers that a test allows one by one; commands take one each. */
  function scarce(rig: WireRig) {
    const state = { allowed: 0 }
    const take = (slot: { own: (at: number) => void }): number => {
      if (state.allowed === 0) return STALL
      state.allowed--
      slot.own(rig.buffers.take(4096))
      return WANTS_DATA
    }
    rig.executor.start = take
    rig.executor.again = take
    return state
  }

  test('first come, first served, over connections; commands behind are not held up', () => {
    const rig = new WireRig()
    const [first, second] = [rig.live(), rig.live()]
    const state = scarce(rig)
    rig.feed(first, command(1, 1, 512))
    rig.feed(second, command(1, 2, 512))
    rig.feed(first, command(1, 3, 512))
    expect(rig.unread(first)).toBe(0)
    state.allowed = 2
    rig.connections.retry()
    expect(rig.queued(first).map((pdu) => r2tOf(pdu).cccid)).toEqual([1])
    expect(rig.queued(second).map((pdu) => r2tOf(pdu).cccid)).toEqual([2])
    state.allowed = 1
    rig.connections.retry()
    expect(rig.queued(first).map((pdu) => [pdu.type, r2tOf(pdu).cccid])).toEqual([[R2T, 1], [R2T, 3]])
  })

  test('a connection that goes takes its commands out, the others keep their order', () => {
    const rig = new WireRig()
    const [first, second] = [rig.live(), rig.live()]
    const state = scarce(rig)
    for (const cid of [1, 2, 3, 4]) rig.feed(cid % 2 === 0 ? second : first, command(1, cid, 512))
    rig.end(first)
    rig.closed(first)
    expect(rig.inUse().slots).toBe(2)
    state.allowed = 9
    rig.connections.retry()
    expect(rig.queued(second).map((pdu) => r2tOf(pdu).cccid)).toEqual([2, 4])
    expect(state.allowed).toBe(7)
  })
})
