/**
 * The fabrics executor: what a queue takes before Connect and after it, and where each command goes. What the
 * fields of Connect mean, what properties hold and how a host authenticates have tests of their own.
 */
import { describe, expect, test } from 'vitest'
import { Authentications } from '../../../src/controller/authentication.ts'
import { FabricsExecutor } from '../../../src/controller/fabrics.ts'
import { Properties } from '../../../src/controller/properties.ts'
import { Queue } from '../../../src/controller/queue.ts'
import { CONTROLLER_STATE } from '../../../src/controller/shared.ts'
import { PENDING, STALL, WANTS_DATA } from '../../../src/device/device.ts'
import { Buffers } from '../../../src/reactor/buffers.ts'
import type { JoinRequest } from '../../../src/reactor/messages.ts'
import { type Slot, Slots } from '../../../src/reactor/slots.ts'
import { connect, connectData, disconnect, propertyGet, propertySet, sqe } from '../../command-bytes.ts'
import { fakeArena } from '../reactor/fake-arena.ts'
import { ownerOf } from '../reactor/owner.ts'
import { HOST, HOST_ID, controllerOf, sharedBlock } from './association.ts'

const CONNECT_DATA_BYTES = 1024
const SUBSYSTEM = 'nqn.2026-01.com.example:disks'
const [CAP, VS, CC, CSTS] = [0x00, 0x08, 0x14, 0x1c]
const ENABLE = 0x0046_0001
const INVALID_OPCODE = 0x4001
const INVALID_FIELD = 0x4002
const SEQUENCE_ERROR = 0x400c
const LENGTH_INVALID = 0x400f
const INVALID_PARAMETERS = 0x182
const INCOMPATIBLE_FORMAT = 0x4180
const INVALID_QUEUE_TYPE = 0x4185

const DATA = connectData({ hostid: Buffer.from(HOST_ID, 'hex'), subnqn: SUBSYSTEM, hostnqn: HOST })

/** qid: of a queue that has joined; null = it has not. */
function rig(qid: number | null = null) {
  const arena = fakeArena()
  const shared = sharedBlock()
  const slots = new Slots(8)
  const pages = new Buffers(arena.buffersAt, 1 << 16)
  const joins: [slot: number, request: JoinRequest][] = []
  const told: string[] = []
  const properties = new Properties(shared, () => told.push('empty'), () => told.push('reset'))
  const fabrics = new FabricsExecutor(
    arena, pages, properties, 128, (slot, _queue, request) => joins.push([slot.index, request]),
    new Authentications(arena, { take: () => -1 } as unknown as Buffers, shared, () => told.push('carry')),
  )
  const { controller, admin } = controllerOf()
  const queue = new Queue(0)
  if (qid !== null) Object.assign(queue, { controller, qid, depth: 32 })
  const start = (entry: Buffer, bytes = 0, direction = bytes === 0 ? 0 : 1) => {
    arena.bytes.set(entry, arena.scratchAt)
    const slot = Object.assign(slots.take(ownerOf()), { opcode: 0x7f, bytes, direction, cid: 5 })
    return { slot, outcome: fabrics.start(slot, queue, arena.scratchAt >> 2) }
  }
  const run = (slot: Slot, data: Buffer): number => {
    arena.bytes.set(data, slot.buffer)
    // The receive ring goes on: what is needed later was taken along.
    arena.bytes.fill(0xff, arena.scratchAt, arena.scratchAt + 64)
    return fabrics.run(slot, queue)
  }
  const state = (): number => shared.words[controller.stateWord]!
  return { arena, pages, queue, controller, admin, joins, told, start, run, state }
}

describe('Connect', () => {
  test('waits for its data, then for the control plane', () => {
    const { start, run, joins } = rig()
    const { slot, outcome } = start(connect({ sqsize: 31, kato: 5000 }), CONNECT_DATA_BYTES)
    expect([outcome, slot.readable]).toEqual([WANTS_DATA, 1])
    expect(run(slot, DATA)).toBe(PENDING)
    expect(joins).toMatchObject([[slot.index, { qid: 0, depth: 32, subsystemNqn: SUBSYSTEM, keepAliveMs: 5000 }]])
  })

  test('with wrong fields is answered without asking anybody', () => {
    const { start, run, joins } = rig()
    const small = start(connect({ sqsize: 0 }), CONNECT_DATA_BYTES).slot
    expect([run(small, DATA), small.dw0, joins]).toEqual([INVALID_PARAMETERS, 44, []])
    const format = start(connect({ recfmt: 1 }), CONNECT_DATA_BYTES).slot
    expect(run(format, DATA)).toBe(INCOMPATIBLE_FORMAT)
  })

  test.each([[0, 0], [1020, 1], [1028, 1], [CONNECT_DATA_BYTES, 2]])('%i bytes, direction %i', (bytes, direction) => {
    expect(rig().start(connect(), bytes, direction).outcome).toBe(LENGTH_INVALID)
  })

  test('asks again where no page is free', () => {
    const { start, pages } = rig()
    while (pages.take(4096) !== -1);
    expect(start(connect(), CONNECT_DATA_BYTES).outcome).toBe(STALL)
  })

  test('a second one, also when both were sent before the first was answered', () => {
    expect(rig(0).start(connect(), CONNECT_DATA_BYTES).outcome).toBe(SEQUENCE_ERROR)
    const { start, run, queue, controller, joins } = rig()
    const [first, second] = [start(connect(), CONNECT_DATA_BYTES).slot, start(connect(), CONNECT_DATA_BYTES).slot]
    expect(run(first, DATA)).toBe(PENDING)
    Object.assign(queue, { controller })
    expect([run(second, DATA), joins.length]).toEqual([SEQUENCE_ERROR, 1])
  })
})

test.each([
  ['Property Get', propertyGet(CAP, 8)], ['Property Set', propertySet(CC, ENABLE)], ['Disconnect', disconnect()],
  ['Authentication Send', sqe(0x7f, 5)], ['Authentication Receive', sqe(0x7f, 6)], ['no such type', sqe(0x7f, 9)],
])('before Connect, %s comes too early', (_name, entry) => {
  expect(rig().start(entry).outcome).toBe(SEQUENCE_ERROR)
})

describe('properties', () => {
  test('are read, 4 and 8 bytes', () => {
    const { start } = rig(0)
    const version = start(propertyGet(VS, 4))
    expect([version.outcome, version.slot.dw0, version.slot.dw1]).toEqual([0, 0x20000, 0])
    const { outcome, slot } = start(propertyGet(CAP, 8))
    expect([outcome, slot.dw0 & 0xffff, slot.dw1 & 0x20]).toEqual([0, 127, 0x20])
  })

  test('CC enables, and disabling resets and empties', () => {
    const { start, state, told } = rig(0)
    expect([start(propertySet(CC, ENABLE)).outcome, state()]).toEqual([0, CONTROLLER_STATE.READY])
    expect(start(propertyGet(CSTS, 4)).slot.dw0 & 1).toBe(1)
    expect([start(propertySet(CC, ENABLE & ~1)).outcome, state(), told]).toEqual(
      [0, CONTROLLER_STATE.DISABLED, ['reset', 'empty']])
  })

  test('wrong sizes, offsets, and what is read only', () => {
    const { start } = rig(0)
    for (const entry of [propertyGet(CAP, 4), propertyGet(VS, 8), propertyGet(0x40, 4), propertySet(CC, 0, 8),
      propertySet(VS, 1)]) expect(start(entry).outcome).toBe(INVALID_FIELD)
  })

  test('belong to the admin queue', () => {
    const { start } = rig(2)
    expect([start(propertyGet(VS, 4)).outcome, start(propertySet(CC, ENABLE)).outcome]).toEqual(
      [INVALID_OPCODE, INVALID_OPCODE])
  })
})

describe('Disconnect', () => {
  test('of an I/O queue: it leaves', () => {
    const { start, queue } = rig(2)
    expect([start(disconnect()).outcome, queue.leaving]).toEqual([0, true])
  })

  test('of the admin queue, or in another format', () => {
    const [admin, io] = [rig(0), rig(2)]
    expect([admin.start(disconnect()).outcome, io.start(disconnect(1)).outcome]).toEqual(
      [INVALID_QUEUE_TYPE, INCOMPATIBLE_FORMAT])
    expect([admin.queue.leaving, io.queue.leaving]).toEqual([false, false])
  })
})

test.each([0x02, 0x03, 0x07, 0xc0, 0xff])('type %i does not exist', (type) => {
  expect(rig(0).start(sqe(0x7f, type)).outcome).toBe(INVALID_OPCODE)
})
