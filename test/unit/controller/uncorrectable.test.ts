/**
 * Blocks that cannot be read: who marks them, what is refused, what heals them, and when that is answered; media
 * that are being erased.
 */
import { describe, expect, test } from 'vitest'
import { COUNT } from '../../../src/controller/shared.ts'
import { PENDING } from '../../../src/device/device.ts'
import { BLOCKS, COMPARE, READ, VERIFY, WRITE, WRITE_ZEROES, rig } from './io-rig.ts'

const WRITE_UNCORRECTABLE = 4
const LENGTH_INVALID = 0x400f
const WRITE_PROTECTED = 0x4020
const OUT_OF_RANGE = 0x4080
const WRITE_FAULT = 0x280
const UNRECOVERED = 0x281

describe('blocks that cannot be read', () => {
  test('Write Uncorrectable is the control plane\'s to do, and writes nothing', () => {
    const { start, asked, tasks } = rig()
    expect(start(WRITE_UNCORRECTABLE, 1, 5, 2, 0).outcome).toBe(PENDING)
    expect([tasks, asked]).toEqual([[['mark', 1, 5, 3]], []])
    expect(start(WRITE_UNCORRECTABLE, 1, BLOCKS, 0, 0).outcome).toBe(OUT_OF_RANGE)
    expect(start(WRITE_UNCORRECTABLE, 1, 5, 0, 512).outcome).toBe(LENGTH_INVALID)
    expect(start(WRITE_UNCORRECTABLE, 2, 0, 0, 0).outcome).toBe(WRITE_PROTECTED)
  })

  test('commands that read them are refused, those beside them are not', () => {
    const { start, namespaces, asked, count } = rig()
    namespaces[0]!.update({ ...namespaces[0]!.snapshot, defects: [5, 7] })
    const outcomes = [READ, COMPARE].map((opcode) => [4, 5, 6, 7].map((lba) => start(opcode, 1, lba).outcome))
    expect(outcomes).toEqual(Array(2).fill([PENDING, UNRECOVERED, UNRECOVERED, PENDING]))
    expect(start(VERIFY, 1, 0, 5, 0).outcome).toBe(UNRECOVERED)
    expect([asked.length, count(COUNT.MEDIA_ERRORS)]).toEqual([4, 5])
  })

  test('a write goes onto the medium, and is answered when they can be read', () => {
    const { start, io, queue, namespaces, asked, tasks, say } = rig()
    namespaces[0]!.update({ ...namespaces[0]!.snapshot, defects: [5, 7] })
    const { slot } = start(WRITE, 1, 6)
    io.run(slot, queue)
    expect(asked).toEqual(['1 place 6+1 fua', '1 write 6+1 fua'])
    expect([io.resume(slot, WRITE_FAULT, queue), tasks]).toEqual([WRITE_FAULT, []])
    expect([io.resume(slot, 0, queue), tasks]).toEqual([PENDING, [['heal', 1, 6, 1]]])
    const beside = start(WRITE, 1, 7).slot
    io.run(beside, queue)
    expect([io.resume(beside, 0, queue), tasks.length]).toEqual([0, 1])
    say(0)
    expect([start(WRITE_ZEROES, 1, 0, 9, 0).outcome, tasks[1]]).toEqual([PENDING, ['heal', 1, 0, 10]])
  })
})

test('commands that have waited for data, a buffer or their turn find a medium barred, and ask nothing of it', () => {
  const FORMAT_IN_PROGRESS = 0x84
  const { start, io, queue, namespaces, asked, errors } = rig()
  const { slot } = start(WRITE, 1, 6)
  const { slot: waiting } = start(READ, 1, 6)
  asked.length = 0
  namespaces[0]!.barred = FORMAT_IN_PROGRESS
  const outcomes = [
    io.run(slot, queue), io.proceed(slot, queue), io.again(slot), io.again(waiting), io.released(waiting, queue),
  ]
  expect([outcomes, asked]).toEqual([Array(5).fill(FORMAT_IN_PROGRESS), []])
  expect(errors(), 'in the error log').toBeGreaterThan(0)
  namespaces[0]!.barred = 0
  io.again(waiting)
  expect(asked).toEqual(['1 read 6+1'])
})
