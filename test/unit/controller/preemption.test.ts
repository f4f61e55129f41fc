/**
 * What hosts had begun on a namespace when it was reserved against them: waited for, marked, or left alone.
 */
import { beforeEach, describe, expect, test } from 'vitest'
import { Preemptions } from '../../../src/controller/preemption.ts'
import { reservationGuard, reservationStatus, RightsTable } from '../../../src/controller/rights.ts'
import { GUARD } from '../../../src/controller/guard.ts'
import { Namespace } from '../../../src/namespace/namespace.ts'
import { SLOT, type Slot, Slots } from '../../../src/reactor/slots.ts'
import type { Device } from '../../../src/device/device.ts'
import { controllerOf, HOST_ID, namespaceSnapshot } from './association.ts'
import { ownerOf } from '../reactor/owner.ts'

const [READ, WRITE, COMPARE, REGISTER] = [0x02, 0x01, 0x05, 0x0d]
const FIRST_HALF = 0x100
const [MINE, OTHERS] = ['aa', 'bb']
const LATE_MS = 2000

let slots: Slots
let hosts: Map<Slot, string | null>
let told: string[]
let now: number
let preemptions: Preemptions

const namespace = (nsid: number): Namespace =>
  new Namespace(namespaceSnapshot(nsid, { uuid: `uuid-${nsid}` }), {} as Device, 0)

beforeEach(() => {
  slots = new Slots(32)
  hosts = new Map()
  told = []
  now = 5
  preemptions = new Preemptions({
    slots, namespaces: [namespace(1), namespace(2)], hostOf: (slot) => hosts.get(slot) ?? null,
    aborts: { preempt: (slot) => told.push(`preempt ${slot.cid}`) },
    pairs: { abort: (slot, status) => told.push(`pair ${slot.cid} ${status.toString(16)}`) > 0 },
    dismiss: (slot, reason) => told.push(`dismiss ${slot.cid}: ${reason}`),
    wake: () => told.push('wake'), nowMs: () => now,
  })
})

let cid = 0
beforeEach(() => { cid = 0 })

function command(
  opcode: number, state: number, host: string | null, more: { index?: number; buffer?: number } = {},
): Slot {
  const slot = slots.take(ownerOf(3))
  hosts.set(slot, host)
  Object.assign(slot, { opcode, namespace: more.index ?? 0, buffer: more.buffer ?? 4096, cid: ++cid })
  if (state !== SLOT.EXECUTING) slot.enter(state)
  return slot
}

function free(slot: Slot): void {
  slot.buffer = -1
  slots.free(slot)
}

const done = (): void => { told.push('done') }
const direct = { buffer: -1 }

test('everything that has begun ends, whoever sent it, and nothing is marked', () => {
  const running = command(READ, SLOT.EXECUTING, MINE!)
  const intoBlocks = command(WRITE, SLOT.RECEIVING, OTHERS!, direct)
  for (const state of [SLOT.RECEIVING, SLOT.HELD]) command(WRITE, state, MINE!)
  command(READ, SLOT.EXECUTING, MINE!, { index: 1 })
  preemptions.settle('uuid-1', done)
  const poll = (): boolean => {
    preemptions.poll()
    preemptions.poll()
    return told.includes('done')
  }
  expect(poll()).toBe(false)
  free(running)
  expect(poll()).toBe(false)
  now += LATE_MS + 1
  preemptions.poll()
  expect(told.at(-1)).toMatch(/^dismiss 2: /)
  free(intoBlocks)
  expect([poll(), told.some((each) => /^(preempt|pair)/.test(each))]).toEqual([true, false])
})

describe('Preempt and Abort', () => {
  const abort = (): void => preemptions.abort('uuid-1', [OTHERS!], done)

  test('is done two turns later where nothing is in the way: copies have been performed', () => {
    abort()
    expect([preemptions.waiting, told]).toEqual([true, ['wake']])
    preemptions.poll()
    expect(told).toEqual(['wake', 'wake'])
    preemptions.poll()
    expect([preemptions.waiting, told]).toEqual([false, ['wake', 'wake', 'done']])
  })

  test('marks what waits for its data or a buffer', () => {
    command(WRITE, SLOT.RECEIVING, OTHERS!)
    command(COMPARE, SLOT.RECEIVING, OTHERS!)
    command(READ, SLOT.HELD, OTHERS!)
    command(COMPARE | FIRST_HALF, SLOT.HELD, OTHERS!)
    abort()
    expect(told).toEqual(['preempt 1', 'preempt 2', 'preempt 3', 'pair 4 1b', 'wake'])
    preemptions.poll()
    preemptions.poll()
    expect(told.at(-1)).toBe('done')
  })

  test('leaves other hosts, other namespaces, reservation commands and answers alone', () => {
    command(WRITE, SLOT.RECEIVING, MINE!)
    command(WRITE, SLOT.RECEIVING, OTHERS!, { index: 1 })
    command(WRITE, SLOT.EXECUTING, MINE!)
    command(REGISTER, SLOT.EXECUTING, OTHERS!)
    command(READ, SLOT.SENDING, OTHERS!)
    abort()
    preemptions.poll()
    preemptions.poll()
    expect(told).toEqual(['wake', 'wake', 'done'])
  })

  test.each([OTHERS!, null])('waits for what a device has, of host %s', (host) => {
    const slot = command(WRITE, SLOT.EXECUTING, host)
    abort()
    for (let poll = 0; poll < 5; poll += 1) preemptions.poll()
    now += 10 * LATE_MS
    preemptions.poll()
    expect(told).toEqual(['wake'])
    free(slot)
    preemptions.poll()
    preemptions.poll()
    expect(told).toEqual(['wake', 'wake', 'done'])
  })

  test('does not wait for the next command in the same slot', () => {
    free(command(WRITE, SLOT.EXECUTING, OTHERS!))
    const first = command(WRITE, SLOT.EXECUTING, OTHERS!)
    abort()
    free(first)
    const next = command(WRITE, SLOT.EXECUTING, OTHERS!)
    expect(next).toBe(first)
    preemptions.poll()
    preemptions.poll()
    expect(told.at(-1)).toBe('done')
  })

  test('still waits when the connection has gone meanwhile', () => {
    const slot = command(WRITE, SLOT.EXECUTING, OTHERS!)
    abort()
    slot.owner = null
    preemptions.poll()
    preemptions.poll()
    expect(told).toEqual(['wake'])
  })

  test('waits for data that go into the blocks, but not for ever', () => {
    const slot = command(WRITE, SLOT.RECEIVING, OTHERS!, direct)
    abort()
    now += LATE_MS
    preemptions.poll()
    expect(told).toEqual(['wake'])
    now += 1
    preemptions.poll()
    expect(told[1]).toMatch(/^dismiss 1: it does not send its data/)
    slots.free(slot)
    preemptions.poll()
    preemptions.poll()
    expect(told.at(-1)).toBe('done')
  })
})

describe('a reservation', () => {
  const reserve = (): void => preemptions.reserve('uuid-1', [MINE!], done)

  test('waits for data that go into the blocks, of those who may not write any more', () => {
    const slot = command(WRITE, SLOT.RECEIVING, OTHERS!, direct)
    reserve()
    preemptions.poll()
    preemptions.poll()
    expect(told).toEqual(['wake'])
    slots.free(slot)
    preemptions.poll()
    preemptions.poll()
    expect(told.at(-1)).toBe('done')
  })

  test('waits for nothing else, and marks nothing', () => {
    command(WRITE, SLOT.RECEIVING, MINE!, direct)
    command(WRITE, SLOT.RECEIVING, OTHERS!)
    command(WRITE, SLOT.EXECUTING, OTHERS!)
    command(READ, SLOT.HELD, OTHERS!, direct)
    command(WRITE, SLOT.RECEIVING, OTHERS!, { ...direct, index: 1 })
    reserve()
    preemptions.poll()
    preemptions.poll()
    expect(told).toEqual(['wake', 'wake', 'done'])
  })
})

describe('rights', () => {
  const [NONE, READS, WRITES, BOTH] = [0, 1, 2, 3]
  const CONFLICT = 0x4083

  test('by access, of those who have all of them and of others', () => {
    const table = new RightsTable()
    const at = namespace(1)
    const statusOf = (host: string): number[] =>
      [NONE, READS, WRITES, BOTH].map((access) => reservationStatus(at, host, access!))
    expect(statusOf('x')).toEqual([0, 0, 0, 0])
    table.adopt({ uuid: 'uuid-1', rights: { full: ['a', 'b'], othersRead: true } }, [null, at])
    expect([statusOf('b'), statusOf('x')]).toEqual([[0, 0, 0, 0], [0, 0, CONFLICT, CONFLICT]])
    expect(at.guards).toBe(GUARD.RESERVATION)
    table.adopt({ uuid: 'uuid-1', rights: { full: ['a'], othersRead: false } }, [at])
    expect(statusOf('b')).toEqual([0, CONFLICT, CONFLICT, CONFLICT])
    table.adopt({ uuid: 'uuid-1', rights: null }, [at])
    expect([statusOf('b'), at.guards]).toEqual([[0, 0, 0, 0], 0])
  })

  test('are there for a namespace that comes later, or again', () => {
    const table = new RightsTable()
    table.adopt({ uuid: 'uuid-1', rights: { full: [], othersRead: true } }, [])
    expect(table.attach(namespace(1)).guards).toBe(GUARD.RESERVATION)
    expect(table.attach(namespace(2)).guards).toBe(0)
  })

  test('the guard knows the host by its identifier, and halves of pairs by their opcode', () => {
    const table = new RightsTable()
    const at = namespace(1)
    const { controller } = controllerOf()
    const guard = (opcode: number): number => reservationGuard({ opcode } as Slot, controller, at)
    table.adopt({ uuid: 'uuid-1', rights: { full: ['x'], othersRead: true } }, [at])
    expect([READ, COMPARE | FIRST_HALF, WRITE, WRITE | 0x200, REGISTER].map((opcode) => guard(opcode!)))
      .toEqual([0, 0, CONFLICT, CONFLICT, 0])
    table.adopt({ uuid: 'uuid-1', rights: { full: [HOST_ID], othersRead: true } }, [at])
    expect(guard(WRITE)).toBe(0)
  })
})
