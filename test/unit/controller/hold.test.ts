/**
 * Holds: what is waited for, what waits, and that both end.
 */
import { describe, expect, test } from 'vitest'
import { Holds } from '../../../src/controller/hold.ts'
import type { Device } from '../../../src/device/device.ts'
import { STALL, WANTS_DATA } from '../../../src/device/device.ts'
import { Namespace } from '../../../src/namespace/namespace.ts'
import { Buffers } from '../../../src/reactor/buffers.ts'
import { SLOT, type Slot, Slots } from '../../../src/reactor/slots.ts'
import { namespaceSnapshot } from './association.ts'

const HELD = 32
const [FLUSH, WRITE, READ, DSM, VERIFY, COPY] = [0, 1, 2, 9, 12, 0x19]
const [SLOT_COUNT, PAGE] = [8, 4096]

function rig() {
  const slots = new Slots(SLOT_COUNT)
  const buffers = new Buffers(0, 4 * PAGE)
  const done: string[] = []
  const sending: number[][] = []
  const namespaces = [0, 1].map((index) => new Namespace(
    namespaceSnapshot(1, { index, device: { kind: 'memory', region: 7 } }), {} as Device, 0,
  ))
  const holds = new Holds({
    slots, buffers, namespaces, proceed: (slot) => done.push(`proceed ${slot.cid}`),
    wake: () => done.push('wake'),
    sendsFrom: (region, from, end) => sending.some(([in_, at]) => in_ === region && at! >= from && at! < end),
  })
  const slot = (opcode: number, lba: number, more: Partial<Slot> = {}): Slot => Object.assign(
    slots.take({ index: 2, sends: true, slotCount: 0, commandCount: 0, transferredBlocks: 0 }),
    { opcode, lbaLo: lba, blockCount: 4, namespace: 0, bytes: 2048, cid: opcode, ...more },
  )
  /** Blocks 10 to 19 of namespace 0. */
  const begin = (): void => holds.begin(5, 0, 10, 10, () => done.push('held'))
  const take = (): string[] => done.splice(0)
  return { holds, slots, buffers, namespaces, sending, slot, begin, take }
}

describe('held', () => {
  test('when nothing was in the way for a whole turn, once', () => {
    const { holds, namespaces, begin, take } = rig()
    begin()
    expect([namespaces.map(({ guards }) => guards), holds.draining, take()]).toEqual([[HELD, 0], true, ['wake']])
    holds.poll()
    expect([take(), holds.draining]).toEqual([['held'], false])
    holds.poll()
    holds.end(5, 0)
    expect([take(), namespaces[0]!.guards]).toEqual([[], 0])
  })

  test.each<[string, number, number, Partial<Slot>]>([
    ['a read of its first block', READ, 7, {}], ['a read of its last', READ, 19, {}],
    ['a write that the host still sends, into the blocks', WRITE, 12, { state: SLOT.RECEIVING }],
    ['ranges that may come to it', DSM, 500, {}], ['a copy', COPY, 500, {}],
  ])('not while there is %s', (_what, opcode, lba, more) => {
    const { holds, slots, slot, begin, take } = rig()
    const busy = slot(opcode, lba, more)
    begin()
    holds.poll()
    holds.poll()
    expect(take()).toEqual([])
    busy.state = SLOT.EXECUTING
    slots.free(busy)
    holds.poll()
    holds.poll()
    expect(take()).toEqual(['wake', 'held'])
  })

  test('not while an answer is sent from its blocks', () => {
    const { holds, sending, begin, take } = rig()
    sending.push([7, 10 * 512], [6, 10 * 512])
    begin()
    holds.poll()
    expect(take()).toEqual([])
    sending[0] = [7, 20 * 512]
    holds.poll()
    holds.poll()
    expect(take()).toEqual(['wake', 'held'])
  })

  test.each<[string, number, number, Partial<Slot>]>([
    ['the block before', READ, 6, {}], ['the block after', WRITE, 20, {}],
    ['another namespace', READ, 12, { namespace: 1 }], ['what waits', READ, 12, { state: SLOT.HELD }],
    ['a write whose data are in a buffer', WRITE, 12, { state: SLOT.RECEIVING, buffer: 0 }],
    ['a flush', FLUSH, 12, {}], ['a verify', VERIFY, 12, {}],
  ])('in spite of %s', (_what, opcode, lba, more) => {
    const { holds, slot, begin, take } = rig()
    slot(opcode, lba, more)
    begin()
    holds.poll()
    expect(take()).toEqual(['wake', 'held'])
  })

  test('given up: said at once, so that nobody waits for it', () => {
    const { holds, slot, begin, take } = rig()
    slot(READ, 12)
    begin()
    holds.end(4, 0)
    expect([take(), holds.draining]).toEqual([[], true])
    holds.end(5, 0)
    expect([take(), holds.draining]).toEqual([['held'], false])
  })
})

describe('parked', () => {
  test('with its data, until the blocks are let go, in order', () => {
    const { holds, slot, begin, take } = rig()
    begin()
    const waiting = [slot(WRITE, 12, { buffer: 0 }), slot(DSM, 500, { buffer: 0 })]
    expect(waiting.map((each) => holds.parks(each))).toEqual([true, true])
    expect(waiting.map(({ state }) => state)).toEqual([SLOT.HELD, SLOT.HELD])
    take()
    holds.end(5, 0)
    expect(take()).toEqual(['held', 'proceed 1', 'proceed 9'])
    expect(waiting.map(({ state }) => state)).toEqual([SLOT.EXECUTING, SLOT.EXECUTING])
  })

  test('not what lies elsewhere, and not what is waited for', () => {
    const { holds, slot, begin } = rig()
    begin()
    const slots = [slot(WRITE, 20, { buffer: 0 }), slot(WRITE, 12), slot(WRITE, 12, { namespace: 1, buffer: 0 })]
    expect(slots.map((each) => holds.parks(each))).toEqual([false, false, false])
  })

  test('no more when its connection has gone', () => {
    const { holds, slot, begin, take } = rig()
    begin()
    holds.parks(slot(WRITE, 12, { buffer: 0 }))
    holds.forget(1)
    holds.forget(2)
    take()
    holds.end(5, 0)
    expect(take()).toEqual(['held'])
  })

  test('a buffer for what would go straight into the blocks', () => {
    const { holds, buffers, slot } = rig()
    const kept = slot(WRITE, 12)
    expect([holds.keep(kept), kept.buffer, kept.lo]).toEqual([WANTS_DATA, 0, 0])
    while (buffers.take(1) !== -1);
    expect(holds.keep(slot(WRITE, 12))).toBe(STALL)
  })
})
