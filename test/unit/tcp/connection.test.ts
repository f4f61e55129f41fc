/**
 * Connection: what digests and alignment make of our headers, and that an index that is used again
 * starts afresh.
 */
import { describe, expect, test } from 'vitest'
import { Connection, PHASE } from '../../../src/tcp/connection.ts'
import { fakeArena } from '../reactor/fake-arena.ts'

const fresh = (index = 1): Connection => new Connection(index, fakeArena(), 64, 65536)

/** Header digest, data digest, alignment in bytes → PDO, flags of C2HData. */
const CASES: [boolean, boolean, number, number, number][] = [
  [false, false, 4, 24, 0x04], [true, false, 4, 28, 0x05], [false, true, 4, 24, 0x06], [true, true, 4, 28, 0x07],
  [false, false, 8, 24, 0x04], [true, false, 8, 32, 0x05], [false, false, 16, 32, 0x04], [true, true, 16, 32, 0x07],
  [false, false, 28, 28, 0x04], [true, true, 28, 28, 0x07], [false, false, 64, 64, 0x04],
  [true, true, 64, 64, 0x07], [false, false, 128, 128, 0x04], [true, true, 128, 128, 0x07],
  [true, false, 20, 40, 0x05], [false, false, 0, 24, 0x04],
]

describe.each(CASES)('header digest %s, data digest %s, aligned to %i', (header, data, unit, pdo, flags) => {
  const connection = fresh()
  connection.agree(header, data, unit, 3)

  test('C2HData', () => {
    expect(connection.dataWord0 >>> 0).toBe((0x07 | (flags << 8) | (24 << 16) | (pdo << 24)) >>> 0)
    expect(connection.dataPadBytes).toBe(pdo - 24 - (header ? 4 : 0))
    expect(connection.dataOverheadBytes, 'PLEN without the data').toBe(pdo + (data ? 4 : 0))
    expect(connection.dataTxFlags).toBe((header ? 1 : 0) | (data ? 2 : 0))
  })

  test('the others have no data: no alignment, no data digest', () => {
    expect(connection.shortWord0).toBe((header ? 0x100 : 0) | (24 << 16))
    expect(connection.shortBytes).toBe(header ? 28 : 24)
    expect(connection.shortTxFlags).toBe(header ? 1 : 0)
  })

  test('what is expected of the host', () => {
    expect([connection.headerDigestBytes, connection.dataDigestBytes]).toEqual([header ? 4 : 0, data ? 4 : 0])
    expect(connection.transfersMax).toBe(3)
  })
})

test('places are those of its index', () => {
  const arena = fakeArena()
  const connection = new Connection(3, arena, 64, 65536)
  expect(connection.control).toBe(arena.connectionsAt / 4 + 3 * 16)
  expect(connection.txWord).toBe(arena.txAt / 4 + 3 * 64 * 16)
  expect(connection.rxAt).toBe(arena.rxAt + 3 * 2 * 65536)
})

test('used again, nothing is left of the one before but the count', () => {
  const arena = fakeArena()
  const connection = new Connection(0, arena, 64, 65536)
  connection.reset(arena.words)
  const before = structuredClone({ ...connection, queue: { ...connection.queue } })
  connection.agree(true, true, 64, 100)
  Object.assign(connection, {
    phase: PHASE.CLOSING, reason: 'x', slotCount: 5, heldCount: 2, stalled: 1, payloadTag: 4, payloadBytes: 9,
    placingBytes: 7, releasedCount: 11, remote: 'y',
  })
  Object.assign(connection.queue, { qid: 3, depth: 9, flowControlOff: true, head: 5, leaving: true })
  connection.queue.takeOffHead()
  connection.reset(arena.words)
  expect({ ...connection, queue: { ...connection.queue } }).toEqual({ ...before, serial: before.serial + 1 })
  expect(connection.queue.takeOffHead(), 'SQHD of a Connect response without flow control').toBe(0xffff)
})
