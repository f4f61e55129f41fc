/**
 * I/O commands: which check refuses what, in which order; what a device is asked; what is counted.
 */
import { describe, expect, test } from 'vitest'
import { IO_COMMANDS } from '../../../src/controller/commands.ts'
import { GUARD } from '../../../src/controller/guard.ts'
import { CONTROLLER_STATE, COUNT } from '../../../src/controller/shared.ts'
import { PENDING, STALL, WANTS_DATA } from '../../../src/device/device.ts'
import { SLOT } from '../../../src/reactor/slots.ts'
import { sqe } from '../../command-bytes.ts'
import { BLOCKS, COMPARE, COPY, DSM, FLUSH, READ, VERIFY, WRITE, WRITE_ZEROES, rig } from './io-rig.ts'

const FABRICS = 0x7f
const FUA = 0x4000_0000
const DEAC = 0x0200_0000
const INVALID_OPCODE = 0x4001
const INVALID_FIELD = 0x4002
const INVALID_NAMESPACE = 0x400b
const SEQUENCE_ERROR = 0x400c
const LENGTH_INVALID = 0x400f
const WRITE_PROTECTED = 0x4020
const OUT_OF_RANGE = 0x4080
const WRITE_FAULT = 0x280
const MEDIA = [WRITE_FAULT, 0x281]

describe('refused', () => {
  test.each([CONTROLLER_STATE.NONE, CONTROLLER_STATE.DISABLED, CONTROLLER_STATE.GONE])(
    'while the controller is in state %i', (state) => {
      const { start, shared, controller, asked } = rig()
      shared.words[controller.stateWord] = state
      expect([start(READ, 1).outcome, start(FLUSH, -1).outcome, asked]).toEqual([SEQUENCE_ERROR, SEQUENCE_ERROR, []])
    },
  )

  test('before the queue has joined', () => {
    const { start, queue } = rig()
    queue.controller = null
    expect(start(READ, 1).outcome).toBe(SEQUENCE_ERROR)
  })

  test.each([0, 3, 5, 1000, 0x7fff_ffff, 0xffff_fffe, 0xffff_ffff])('for namespace %i', (nsid) => {
    const { start, asked } = rig()
    expect([start(READ, nsid).outcome, asked]).toEqual([INVALID_NAMESPACE, []])
  })

  test.each([3, 0x1d, 0x7e, 0x80, 0xff])('opcode %i', (opcode) => {
    expect(rig().start(opcode, 1).outcome).toBe(INVALID_OPCODE)
  })

  test.each([READ, WRITE, COMPARE])('opcode %i beyond the end, or with other bytes than its blocks have', (opcode) => {
    const { start, asked } = rig()
    expect([
      start(opcode, 1, BLOCKS).outcome, start(opcode, 1, BLOCKS - 1, 1, 1024).outcome,
      start(opcode, 1, 2 ** 53 + 2).outcome, start(opcode, 1, 2 ** 63).outcome,
    ]).toEqual([OUT_OF_RANGE, OUT_OF_RANGE, OUT_OF_RANGE, OUT_OF_RANGE])
    expect([0, 511, 513, 1024].map((bytes) => start(opcode, 1, 0, 0, bytes).outcome)).toEqual(
      Array(4).fill(LENGTH_INVALID),
    )
    expect(start(opcode, 1, 0, 2048, 2049 * 512).outcome).toBe(INVALID_FIELD)
    expect(asked).toEqual([])
  })

  test('writing to what is read-only', () => {
    const { start, run, asked } = rig()
    const dsm = sqe(DSM, 2, [0, 4])
    expect([
      start(WRITE, 2, 0, 0, 4096).outcome, start(WRITE_ZEROES, 2, 0, 0, 0).outcome, run(DSM, dsm, 16).outcome,
    ]).toEqual([WRITE_PROTECTED, WRITE_PROTECTED, WRITE_PROTECTED])
    start(READ, 2, 999, 0, 4096)
    start(COMPARE, 2, 0, 0, 4096)
    start(FLUSH, 2, 0, 0, 0)
    expect(asked).toEqual(['2 read 999+1', '2 placeCompare 0+1', '2 flush'])
  })

  test('Write Zeroes with data', () => {
    expect(rig().start(WRITE_ZEROES, 1, 0, 7, 4096).outcome).toBe(LENGTH_INVALID)
  })

  test('is in the log of the controller, and counted', () => {
    const { start, errors, count } = rig()
    start(READ, 1, BLOCKS)
    start(READ, 9)
    expect([errors(), count(COUNT.ERRORS), count(COUNT.MEDIA_ERRORS)]).toEqual([2, 1, 0])
  })
})

describe('a device is asked', () => {
  test.each<[number, number, number, string]>([
    [READ, 7, 4096, 'read'], [WRITE, 7, 4096, 'place'], [COMPARE, 7, 4096, 'placeCompare'],
  ])('opcode %i', (opcode, cdw12, bytes, what) => {
    const { start, asked } = rig()
    const { slot, outcome } = start(opcode, 1, BLOCKS - 8, cdw12, bytes)
    expect([outcome, asked, slot.namespace]).toEqual([PENDING, [`1 ${what} ${BLOCKS - 8}+8`], 0])
  })

  test('64 Ki blocks of zeroes, kept or given back', () => {
    const { start, asked } = rig()
    start(WRITE_ZEROES, 1, 5, 0xffff, 0)
    start(WRITE_ZEROES, 1, 5, DEAC, 0)
    expect(asked).toEqual(['1 zero 5+65536 false', '1 zero 5+1 true'])
  })

  test('for the medium by FUA, or since the host switched the cache off; not for reads', () => {
    const { start, asked, shared, controller } = rig()
    start(WRITE, 1, 0, FUA)
    start(WRITE_ZEROES, 1, 0, FUA, 0)
    shared.words[controller.writeThroughWord] = 1
    start(WRITE, 1)
    start(WRITE_ZEROES, 1, 0, 0, 0)
    start(READ, 1)
    expect(asked).toEqual([
      '1 place 0+1 fua', '1 zero 0+1 fua false', '1 place 0+1 fua', '1 zero 0+1 fua false', '1 read 0+1',
    ])
  })

  test('to verify what a command may at most', () => {
    const { start, asked } = rig()
    start(VERIFY, 1, 3, 0xffff, 0)
    start(VERIFY, 2, 3, 7, 0)
    expect(asked).toEqual(['1 verify 3+65536', '2 verify 3+8'])
  })

  test('to flush one namespace, or all', () => {
    const { start, io, queue, asked } = rig()
    start(FLUSH, 4, 0, 0, 0)
    const { slot, outcome } = start(FLUSH, 0xffff_ffff, 0, 0, 0)
    expect(outcome).toBe(PENDING)
    expect([io.resume(slot, 0, queue), io.resume(slot, 0, queue), io.resume(slot, 0, queue)]).toEqual([
      PENDING, PENDING, 0,
    ])
    expect(asked).toEqual(['4 flush', '1 flush', '2 flush', '4 flush'])
  })

  test('to flush all, until one fails', () => {
    const { start, io, queue, asked, count } = rig()
    const { slot } = start(FLUSH, 0xffff_ffff, 0, 0, 0)
    io.resume(slot, 0, queue)
    expect(io.resume(slot, WRITE_FAULT, queue)).toBe(WRITE_FAULT)
    expect([asked.length, count(COUNT.MEDIA_ERRORS, 1)]).toEqual([2, 1])
    const again = start(FLUSH, 1, 0, 0, 0)
    expect([io.resume(again.slot, 0, queue), asked.length]).toEqual([0, 3])
  })

  test('again for a buffer', () => {
    const { start, io, asked, say } = rig()
    say(STALL)
    const slots = [READ, WRITE, COMPARE].map((opcode) => start(opcode, 1, 9))
    expect(slots.map(({ outcome }) => outcome)).toEqual([STALL, STALL, STALL])
    say(WANTS_DATA)
    asked.length = 0
    expect(slots.map(({ slot }) => io.again(slot))).toEqual([WANTS_DATA, WANTS_DATA, WANTS_DATA])
    expect(asked).toEqual(['1 read 9+1', '1 place 9+1', '1 placeCompare 9+1'])
  })
})

test('data are there: written, compared', () => {
  const { start, io, queue, asked } = rig()
  for (const opcode of [WRITE, COMPARE]) {
    const { slot } = start(opcode, 1, 3)
    expect(io.run(slot, queue)).toBe(PENDING)
  }
  expect(asked).toEqual(['1 place 3+1', '1 write 3+1', '1 placeCompare 3+1', '1 compare 3+1'])
})

test('ranges are deallocated one after the other', () => {
  const { run, io, queue, arena, asked } = rig()
  const { slot, outcome } = run(DSM, sqe(DSM, 1, [1, 4]), 32)
  expect(outcome).toBe(WANTS_DATA)
  for (const [index, lba] of [5, 9].entries()) {
    arena.view.setUint32(slot.buffer + 16 * index + 4, 2, true)
    arena.view.setUint32(slot.buffer + 16 * index + 8, lba, true)
  }
  expect([io.run(slot, queue), io.resume(slot, 0, queue), io.resume(slot, 0, queue)]).toEqual([PENDING, PENDING, 0])
  expect(asked).toEqual(['1 deallocate 5+2', '1 deallocate 9+2'])
})

describe('Copy', () => {
  const RANGES = [[5, 2], [BLOCKS - 1, 1]] as const
  const begin = (cdw12 = 0) => {
    const all = rig()
    const { slot, outcome } = all.run(COPY, sqe(COPY, 1, [700, 0, RANGES.length - 1 + cdw12]), 32 * RANGES.length)
    expect(outcome).toBe(WANTS_DATA)
    for (const [index, [lba, count]] of RANGES.entries()) {
      all.arena.view.setBigUint64(slot.buffer + 32 * index + 8, BigInt(lba), true)
      all.arena.view.setUint16(slot.buffer + 32 * index + 16, count - 1, true)
    }
    return { ...all, slot }
  }

  test('reads all ranges, then writes them', () => {
    const { io, slot, queue, asked } = begin()
    const outcomes = [io.run(slot, queue), io.resume(slot, 0, queue), io.resume(slot, 0, queue), io.resume(slot, 0, queue)]
    expect(outcomes).toEqual([PENDING, PENDING, PENDING, 0])
    const at = slot.buffer
    expect(asked).toEqual([`1 fetch 5+2 ${at}`, `1 fetch ${BLOCKS - 1}+1 ${at + 1024}`, `1 store 700+3 ${at}`])
  })

  test('onto the medium by FUA; what is read has no FUA', () => {
    const { io, slot, queue, asked } = begin(FUA)
    for (io.run(slot, queue); io.resume(slot, 0, queue) === PENDING;);
    expect(asked.map((what) => what.includes('fua'))).toEqual([false, false, true])
  })

  test('a source that cannot be read leaves the target as it was', () => {
    const { io, slot, queue, asked } = begin()
    io.run(slot, queue)
    expect([io.resume(slot, 0x281, queue), asked.length]).toEqual([0x281, 1])
  })

  test('waits for a buffer', () => {
    const { io, slot, run } = begin()
    for (let k = 0; k < 15; k++) run(COPY, sqe(COPY, 1), 32)
    const last = run(COPY, sqe(COPY, 1), 32)
    expect([last.outcome, io.again(last.slot), slot.readable]).toEqual([STALL, STALL, 1])
  })
})

describe('while somebody has blocks 10 to 19 for himself', () => {
  const held = () => {
    const all = rig()
    all.holds.begin(1, 0, 10, 10, () => {})
    return all
  }

  test('a read, and zeroing, of them waits without data, and goes on when asked again', () => {
    const { start, io, holds, asked } = held()
    const slots = [start(READ, 1, 19), start(WRITE_ZEROES, 1, 5, 7, 0), start(WRITE_ZEROES, 1, 10, DEAC | FUA, 0)]
    expect(slots.map(({ outcome }) => outcome)).toEqual([STALL, STALL, STALL])
    expect([slots.map(({ slot }) => io.again(slot)), asked]).toEqual([[STALL, STALL, STALL], []])
    holds.end(1, 0)
    for (const { slot } of slots) io.again(slot)
    expect(asked).toEqual(['1 read 19+1', '1 zero 5+8 false', '1 zero 10+1 fua true'])
  })

  test('what lies elsewhere, or is wrong, does not wait', () => {
    const { start, asked } = held()
    start(READ, 1, 9)
    start(READ, 4, 12)
    start(WRITE_ZEROES, 1, 20, 0, 0)
    expect(asked).toEqual(['1 read 9+1', '4 read 12+1', '1 zero 20+1 false'])
    expect([start(READ, 1, 12, 0, 1024).outcome, start(READ, 1, BLOCKS).outcome]).toEqual([LENGTH_INVALID, OUT_OF_RANGE])
  })

  test('a write waits when its data have come', () => {
    const { start, io, queue, holds, asked, proceeded } = held()
    const { slot } = start(WRITE, 1, 12)
    slot.own(4096)
    expect([io.run(slot, queue), asked, slot.state]).toEqual([PENDING, ['1 place 12+1'], SLOT.HELD])
    holds.end(1, 0)
    expect(proceeded).toEqual([77])
    io.proceed(slot, queue)
    expect(asked.at(-1)).toBe('1 write 12+1')
  })
})

describe('counted', () => {
  test('reads and writes, once each, though they waited for a buffer', () => {
    const { start, io, queue, count, say } = rig()
    say(STALL)
    const [reading, writing] = [start(READ, 1, 0, 7, 4096), start(WRITE, 1, 0, 1, 1024)]
    say(PENDING)
    io.again(reading.slot)
    io.again(writing.slot)
    io.run(writing.slot, queue)
    expect([COUNT.READS, COUNT.READ_BYTES, COUNT.WRITES, COUNT.WRITTEN_BYTES].map((which) => count(which))).toEqual([
      1, 4096, 1, 1024,
    ])
  })

  test.each(MEDIA)('a medium that failed with %i', (status) => {
    const { start, io, queue, count, errors } = rig()
    const { slot } = start(READ, 1)
    expect(io.resume(slot, status, queue)).toBe(status)
    expect([count(COUNT.ERRORS), count(COUNT.MEDIA_ERRORS), errors()]).toEqual([1, 1, 1])
  })

  test('nothing for a host that has gone', () => {
    const { start, io, errors } = rig()
    const { slot } = start(READ, 1)
    expect([io.resume(slot, WRITE_FAULT, null), errors()]).toEqual([WRITE_FAULT, 0])
  })

  test('each command is a sign of life', () => {
    const { start, arena, shared, controller } = rig()
    arena.words[2] = 4321
    start(FLUSH, 1, 0, 0, 0)
    expect(shared.words[controller.stampWord]).toBe(4321)
  })
})

test('a command is executed exactly when it has a row in the table of commands', () => {
  const opcodes = Array.from({ length: 256 }, (_, opcode) => opcode)
  const executed = opcodes.filter((opcode) => rig().start(opcode, 1).outcome !== INVALID_OPCODE)
  const listed = IO_COMMANDS.map((each) => each.opcode).filter((opcode) => opcode !== FABRICS)
  expect(executed).toEqual(listed.toSorted((left, right) => left - right))
})

describe('a guard', () => {
  test('is asked only where its bit is set, and its status ends the command before anything is counted', () => {
    const { start, guards, namespaces, asked, count, errors } = rig()
    guards.set(GUARD.RESERVATION, (slot) => slot.opcode === WRITE ? 0x83 : 0)
    expect(start(WRITE, 1).outcome).toBe(PENDING)
    namespaces[0]!.guards = GUARD.RESERVATION
    expect([start(WRITE, 1).outcome, start(WRITE, 4).outcome, start(READ, 1).outcome]).toEqual([0x83, PENDING, PENDING])
    expect(asked).toEqual(['1 place 0+1', '4 place 0+1', '1 read 0+1'])
    expect([count(COUNT.READS), errors()]).toEqual([1, 1])
  })

  test('the first one in their order decides', () => {
    const { start, guards, namespaces } = rig()
    guards.set(GUARD.WRITE_PROTECTED, () => 0x20)
    guards.set(GUARD.ANA, () => 0x302)
    namespaces[0]!.guards = GUARD.WRITE_PROTECTED | GUARD.ANA
    expect(start(READ, 1).outcome).toBe(0x302)
    guards.set(GUARD.ANA, () => 0)
    expect(start(READ, 1).outcome).toBe(0x20)
  })
})

test('what Compare reads counts as read', () => {
  const { start, io, queue, count } = rig()
  const { slot } = start(COMPARE, 1)
  expect(count(COUNT.READS)).toBe(0)
  io.run(slot, queue)
  expect([count(COUNT.READS), count(COUNT.READ_BYTES), count(COUNT.WRITES)]).toEqual([1, 512, 0])
})
