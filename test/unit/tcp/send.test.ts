/**
 * Send: the words of each kind of entry, written out by hand, and the ring that they are in.
 */
import { describe, expect, test } from 'vitest'
import { SLOT, type Slot } from '../../../src/reactor/slots.ts'
import type { Connection } from '../../../src/tcp/connection.ts'
import { REGION, type Agreed, WireRig } from './wire-rig.ts'

/** A command of a live connection that is about to be answered. */
function rig(agreed: Agreed = {}, more: { flowControlOff?: boolean; align?: number } = {}) {
  const wires = new WireRig({ txEntries: 64 })
  const connection = wires.live(agreed)
  if (more.align !== undefined) connection.agree(agreed.header ?? false, agreed.data ?? false, more.align, 1)
  connection.queue.flowControlOff = more.flowControlOff ?? false
  const command = (cid: number, fields: Partial<Slot> = {}): Slot => {
    return Object.assign(wires.slots.take(connection), { cid, bytes: 0, direction: 0 }, fields)
  }
  const hold = (slot: Slot): Slot => {
    slot.own(wires.buffers.take(4096))
    return slot
  }
  return { wires, connection, command, hold }
}

const tail = (wires: WireRig, connection: Connection): number => wires.arena.words[connection.control + 5]!
const head = (wires: WireRig, connection: Connection): number => wires.arena.words[connection.control + 4]!

describe('entries', () => {
  test('CapsuleResp: DW0, DW1, SQHD, SQID 0, CID, status with DNR', () => {
    const { wires, connection, command } = rig()
    wires.completer.finish(command(0xabcd, { dw0: -2, dw1: 7 }), 0x4182)
    expect(wires.lastEntry(connection)).toEqual([
      0, 24, 0, 0, 0, 0, 0, 0, 0x0018_0005, 24, -2, 7, 1, (0x8304_abcd | 0), 0, 0,
    ])
  })

  test('CapsuleResp with a header digest', () => {
    const { wires, connection, command } = rig({ header: true, data: true })
    wires.completer.finish(command(1), 0)
    expect(wires.lastEntry(connection).slice(0, 10)).toEqual([1, 24, 0, 0, 0, 0, 0, 0, 0x0018_0105, 28])
  })

  test('C2HData: all of it, LAST, then a CapsuleResp', () => {
    const { wires, connection, command } = rig()
    wires.completer.finish(command(9, { direction: 2, bytes: 512, region: REGION, lo: 4096, hi: 3 }), 0)
    expect(tail(wires, connection)).toBe(2)
    const first = [...wires.arena.words.subarray(connection.txWord, connection.txWord + 16)]
    expect(first.with(7, 0)).toEqual([
      0, 24, 0, REGION, 4096, 3, 512, 0, 0x1818_0407, 24 + 512, 9, 0, 512, 0, 0, 0,
    ])
    expect(wires.lastEntry(connection)[8]).toBe(0x0018_0005)
  })

  test('C2HData with both digests, aligned to 64, SUCCESS instead of a response', () => {
    const { wires, connection, command } = rig({ header: true, data: true }, { flowControlOff: true, align: 64 })
    wires.completer.finish(command(9, { direction: 2, bytes: 512, region: 0, lo: 8192, hi: 0 }), 0)
    expect(tail(wires, connection)).toBe(1)
    expect(wires.lastEntry(connection).with(7, 0)).toEqual([
      3, 24, 36, 0, 8192, 0, 512, 0, 0x4018_0f07, 64 + 512 + 4, 9, 0, 512, 0, 0, 0,
    ])
  })

  test.each([{ dw0: 1 }, { dw1: 1 }])('with %o SUCCESS would lose it', (fields) => {
    const { wires, connection, command } = rig({}, { flowControlOff: true })
    wires.completer.finish(command(9, { direction: 2, bytes: 512, region: REGION, ...fields }), 0)
    expect(tail(wires, connection)).toBe(2)
  })

  test('a command that failed sends no data', () => {
    const { wires, connection, command } = rig({}, { flowControlOff: true })
    wires.completer.finish(command(9, { direction: 2, bytes: 512, region: REGION }), 0x281)
    expect([tail(wires, connection), wires.lastEntry(connection)[8]]).toEqual([1, 0x0018_0005])
  })

  test('R2T: CID, tag, offset, length', () => {
    const { wires, connection, command } = rig({ header: true })
    wires.sender.requestData(command(0xfffe), 0xfffd, 65536, 131072)
    expect(wires.lastEntry(connection)).toEqual([
      1, 24, 0, 0, 0, 0, 0, 0, 0x0018_0109, 28, (0xfffd_fffe | 0), 65536, 131072, 0, 0, 0,
    ])
  })

  test('SQHD counts entries modulo the depth, and is FFFFh, then 0, without flow control', () => {
    const { wires, connection, command } = rig()
    connection.queue.depth = 3
    const sqhd = (): number => {
      wires.completer.finish(command(1), 0)
      return wires.lastEntry(connection)[12]!
    }
    expect([sqhd(), sqhd(), sqhd(), sqhd()]).toEqual([1, 2, 0, 1])
    connection.queue.flowControlOff = true
    expect([sqhd(), sqhd(), sqhd()]).toEqual([0xffff, 0, 0])
  })
})

describe('the ring', () => {
  test('an entry that is used again keeps nothing of a payload', () => {
    const { wires, connection, command } = rig()
    for (let round = 0; round < 3; round++) {
      wires.completer.finish(command(round, { direction: 2, bytes: 512, region: REGION, lo: 4096 }), 0)
      expect(wires.sent(connection).map((pdu) => pdu.plen)).toEqual([24 + 512, 24])
      wires.completer.finish(command(round), 0)
      wires.sender.requestData(command(round), 3, 0, 512)
      expect(wires.sent(connection).map((pdu) => pdu.plen)).toEqual([24, 24])
      wires.sender.sendArena(connection, wires.arena.scratchAt, 128)
      wires.arena.words[(wires.arena.scratchAt >> 2) + 1] = 128
      expect(wires.sent(connection).map((pdu) => pdu.plen)).toEqual([128])
    }
  })

  test('starts over when all has left, and only then', () => {
    const { wires, connection, command } = rig()
    const words = wires.arena.words
    for (const cid of [1, 2, 3]) wires.completer.finish(command(cid), 0)
    words[connection.control + 4] = 2
    wires.connections.ready(connection.index)
    expect([head(wires, connection), tail(wires, connection), connection.releasedCount]).toEqual([2, 3, 2])
    words[connection.control + 4] = 3
    wires.connections.ready(connection.index)
    expect([head(wires, connection), tail(wires, connection), connection.releasedCount]).toEqual([0, 0, 0])
  })

  test('its counts wrap', () => {
    const { wires, connection, command } = rig()
    const words = wires.arena.words
    for (const word of [4, 5]) words[connection.control + word] = 0x7fff_fffe
    connection.releasedCount = 0x7fff_fffe
    for (let cid = 0; cid < 5; cid++) wires.completer.finish(command(cid), 0)
    expect(tail(wires, connection)).toBe(0x8000_0003 | 0)
    expect(wires.sender.hasRoom(connection)).toBe(true)
    words[connection.control + 4] = 0x8000_0001 | 0
    wires.connections.ready(connection.index)
    expect(connection.releasedCount).toBe(0x8000_0001 | 0)
  })

  test('a buffer comes back when its entry has left, in whichever steps', () => {
    const { wires, connection, command, hold } = rig()
    const slots = [1, 2, 3].map((cid) => hold(command(cid, { direction: 2, bytes: 512 })))
    for (const slot of slots) wires.completer.finish(slot, 0)
    wires.completer.finish(command(4), 0)
    expect([wires.inUse().slots, wires.inUse().pages]).toEqual([3, 3])
    for (const [left, pages] of [[1, 3], [2, 2], [5, 1], [6, 0], [7, 0]]) {
      wires.arena.words[connection.control + 4] = left!
      wires.connections.ready(connection.index)
      expect(wires.inUse().pages, `${left} entries have left`).toBe(pages)
    }
    expect([wires.inUse().slots, connection.slotCount, connection.heldCount]).toEqual([0, 0, 0])
  })

  test('what never leaves is given back too', () => {
    const { wires, connection, command, hold } = rig()
    for (const cid of [1, 2]) wires.completer.finish(hold(command(cid, { direction: 2, bytes: 512 })), 0)
    wires.arena.words[connection.control + 4] = 1
    wires.closed(connection)
    expect(wires.inUse()).toEqual({ slots: 0, pages: 0, adminPages: 0, tags: 0 })
  })

  test('admission stops before it is full: every slot can answer, and a C2HTermReq fits', () => {
    const { wires, connection, command } = rig()
    const slots: Slot[] = []
    while (wires.sender.hasRoom(connection) && wires.slots.freeCount > 1) slots.push(command(slots.length))
    for (const slot of slots) {
      wires.completer.finish(Object.assign(slot, { direction: 2, bytes: 512, region: REGION }), 0)
    }
    wires.sender.sendArena(connection, 4096, 152)
    expect(tail(wires, connection)).toBeLessThanOrEqual(64)
    expect(wires.sender.hasRoom(connection)).toBe(false)
  })

  test('one entry too many is our own mistake', () => {
    const { wires, connection } = rig()
    for (let count = 0; count < 64; count++) wires.sender.sendArena(connection, 4096, 1)
    expect(() => wires.sender.sendArena(connection, 4096, 1)).toThrow('the send ring has room')
  })

  test('a connection is listed once a turn', () => {
    const { wires, connection, command } = rig()
    const other = wires.live()
    wires.turn()
    wires.completer.finish(command(1), 0)
    wires.completer.finish(command(2), 0)
    wires.sender.touch(other)
    const { words, touchedAt } = wires.arena
    expect([words[8], words[touchedAt >> 2], words[(touchedAt >> 2) + 1]]).toEqual([2, connection.index, other.index])
  })
})

test('a slot that holds nothing is free at once, one with a buffer when it has left', () => {
  const { wires, connection, command, hold } = rig()
  const [plain, held] = [command(1), hold(command(2))]
  wires.completer.finish(plain, 0)
  wires.completer.finish(held, 0)
  expect([plain.state, held.state]).toEqual([SLOT.FREE, SLOT.SENDING])
  wires.sent(connection)
  expect(held.state).toBe(SLOT.FREE)
})
