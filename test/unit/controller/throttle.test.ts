/**
 * Throttles: how many commands get through in how much time, of whom, and what waits. The clock is a number.
 */
import { describe, expect, test } from 'vitest'
import type { Controller } from '../../../src/controller/controller.ts'
import { HOST, Tally, tallyBytes } from '../../../src/controller/tally.ts'
import { Throttles } from '../../../src/controller/throttle.ts'
import type { Device } from '../../../src/device/device.ts'
import { Namespace } from '../../../src/namespace/namespace.ts'
import { SLOT, type Slot, Slots } from '../../../src/reactor/slots.ts'
import { H } from '../../../src/shim/abi.ts'
import type { NamespaceLimits } from '../../../src/subsystem/subsystem.ts'
import { LIMITS, namespaceSnapshot } from './association.ts'

const NQN = 'nqn.2026-01.com.example:disks'
const [WRITE, READ] = [1, 2]
const TURN_US = 100
const SECOND_TURNS = 1_000_000 / TURN_US
const THROTTLED = 64
const KIB = 1024

/** A host that always has `depth` commands under way, or asks for `everyTurns` one. */
type Load = { name: string; opcode?: number; bytes?: number; depth?: number; everyTurns?: number }

class Rig {
  readonly done = new Map<string, number>()
  readonly bytes = new Map<string, number>()
  readonly reactors: { throttles: Throttles; words: Int32Array; namespace: Namespace; slots: Slots }[]
  readonly tally: Tally
  readonly aborted = new Set<number>()
  #turns = 0

  constructor(limits: NamespaceLimits | undefined, reactorCount = 1) {
    this.tally = new Tally(new ArrayBuffer(tallyBytes(LIMITS, reactorCount)), LIMITS, reactorCount)
    this.reactors = Array.from({ length: reactorCount }, (_, reactor) => {
      const words = new Int32Array(16)
      const throttles: Throttles = new Throttles({
        words, tally: this.tally, reactor, release: (slot) => this.#answer(reactor, slot),
        aborts: { wants: (slot) => slot === -1 ? this.aborted.size !== 0 : this.aborted.has(slot) },
      })
      const namespace = new Namespace(namespaceSnapshot(1, { limits }), {} as Device, 0)
      throttles.renew(NQN, [null, namespace])
      return { throttles, words, namespace, slots: new Slots(4096) }
    })
  }

  limit(limits: NamespaceLimits | undefined): void {
    for (const { throttles, namespace } of this.reactors) {
      namespace.update({ ...namespace.snapshot, limits })
      throttles.renew(NQN, [null, namespace])
    }
  }

  /** A command of a host; true when it waits. */
  submit({ name, opcode = READ, bytes = 4096 }: Load, reactor = 0, connection = 0): boolean {
    const { slots, throttles, namespace } = this.reactors[reactor]!
    const owner = { index: connection, sends: true, slotCount: 0, commandCount: 0, transferredBlocks: 0, name }
    const slot = Object.assign(slots.take(owner), { opcode, bytes, namespace: 0 })
    const controller = { hostId: name, index: name.charCodeAt(0) % 4 } as Controller
    if (throttles.delays(slot, controller, namespace)) return true
    this.#answer(reactor, slot)
    return false
  }

  /** One list of loads for each reactor. */
  run(turns: number, ...loads: Load[][]): void {
    for (let turn = 0; turn < turns; turn++) {
      this.#turns++
      for (const [reactor, { throttles, words }] of this.reactors.entries()) {
        words[H.NOW_US] = (this.#turns * TURN_US) | 0
        if (throttles.waiting !== 0) throttles.poll()
        for (const load of loads[reactor] ?? []) this.#offer(load, reactor)
        if (turn % 200 === 0) throttles.tick()
      }
    }
  }

  #offer(load: Load, reactor: number): void {
    const waiting = this.#waiting(load.name, reactor)
    if (load.everyTurns !== undefined) {
      if (this.#turns % load.everyTurns === 0) this.submit(load, reactor)
    } else for (let k = waiting; k < (load.depth ?? 8); k++) if (this.submit(load, reactor)) continue
  }

  #waiting(name: string, reactor: number): number {
    return this.reactors[reactor]!.slots.all.slice(0, 256).concat(this.reactors[reactor]!.slots.all.slice(-256))
      .filter((slot) => slot.state === SLOT.HELD && (slot.owner as unknown as { name: string }).name === name).length
  }

  #answer(reactor: number, slot: Slot): void {
    const { name } = slot.owner as unknown as { name: string }
    this.done.set(name, (this.done.get(name) ?? 0) + 1)
    this.bytes.set(name, (this.bytes.get(name) ?? 0) + slot.bytes)
    this.reactors[reactor]!.slots.free(slot)
  }
}

const SECONDS = 4
const TURNS = SECONDS * SECOND_TURNS / 10
const RUN_S = TURNS * TURN_US / 1e6
/** What may be had at once after a time without commands, in seconds. */
const BURST_S = 0.05

function expectRate(count: number, rate: number, burst = 1): void {
  expect(count).toBeLessThanOrEqual(rate * (RUN_S + BURST_S) + burst)
  expect(count).toBeGreaterThanOrEqual(rate * RUN_S * 0.95 - burst)
}

describe('what gets through', () => {
  test.each([50, 1000, 5000])('%i commands a second, whatever they are', (iops) => {
    const rig = new Rig({ iops })
    rig.run(TURNS, [{ name: 'a' }, { name: 'b', opcode: WRITE }])
    expectRate(rig.done.get('a')! + rig.done.get('b')!, iops, 2)
  })

  test('so many bytes a second, of small and large commands', () => {
    const bandwidth = 20_000 * KIB
    const rig = new Rig({ bandwidth })
    rig.run(TURNS, [{ name: 'a', bytes: 4 * KIB }, { name: 'b', bytes: 128 * KIB }])
    expectRate(rig.bytes.get('a')! + rig.bytes.get('b')!, bandwidth, 128 * KIB)
  })

  test('reads and writes apart, neither in the way of the other', () => {
    const rig = new Rig({ readIops: 2000, writeIops: 100 })
    rig.run(TURNS, [{ name: 'r' }, { name: 'w', opcode: WRITE }])
    expectRate(rig.done.get('r')!, 2000)
    expectRate(rig.done.get('w')!, 100)
  })

  test('the least of several limits counts', () => {
    const rig = new Rig({ iops: 5000, readBandwidth: 400 * 4096 })
    rig.run(TURNS, [{ name: 'a' }])
    expectRate(rig.done.get('a')!, 400)
  })

  test('everything, where there is no limit of its kind', () => {
    const rig = new Rig({ writeIops: 1 })
    for (let k = 0; k < 100; k++) expect(rig.submit({ name: 'a' })).toBe(false)
    expect(new Rig(undefined).reactors[0]!.namespace.guards).toBe(0)
  })
})

describe('between hosts', () => {
  test('one that asks for more gets no more than one that always asks', () => {
    const rig = new Rig({ iops: 1000 })
    rig.run(TURNS, [{ name: 'a', depth: 32 }, { name: 'b', depth: 4 }])
    // But for what the first one had at once, when it was alone.
    expect(Math.abs(rig.done.get('a')! - rig.done.get('b')!)).toBeLessThanOrEqual(1000 * BURST_S)
  })

  test('bytes are shared as bytes: large commands do not get more of them', () => {
    const rig = new Rig({ bandwidth: 20_000 * KIB })
    rig.run(TURNS, [{ name: 'a', bytes: 4 * KIB }, { name: 'b', bytes: 64 * KIB }])
    const [a, b] = [rig.bytes.get('a')!, rig.bytes.get('b')!]
    expect(Math.abs(a - b)).toBeLessThanOrEqual(3 * 64 * KIB)
  })

  test('one that asks for little gets that, and the others the rest', () => {
    const rig = new Rig({ iops: 1000 })
    rig.run(TURNS, [{ name: 'a' }, { name: 'c', everyTurns: 100 }])
    expect(rig.done.get('c')!).toBeGreaterThanOrEqual(TURNS / 100 - 2)
    expectRate(rig.done.get('a')! + rig.done.get('c')!, 1000, 2)
  })

  test('on two reactors: together no more than the limit, each the same', () => {
    const rig = new Rig({ iops: 2000 }, 2)
    rig.run(TURNS, [{ name: 'a' }], [{ name: 'b' }])
    // Until shares are made, a reactor does not know of the other.
    expectRate(rig.done.get('a')! + rig.done.get('b')!, 2000, 40)
    expect(Math.abs(rig.done.get('a')! - rig.done.get('b')!)).toBeLessThan(0.1 * 2000 * RUN_S)
  })

  test('on two reactors: what one does not use is the other\'s', () => {
    const rig = new Rig({ iops: 2000 }, 2)
    rig.run(TURNS, [{ name: 'a' }], [])
    rig.done.clear()
    rig.run(TURNS, [{ name: 'a' }], [])
    expectRate(rig.done.get('a')!, 2000, 10)
  })

  test('on two reactors: a host with queues on both has one share', () => {
    const rig = new Rig({ iops: 2000 }, 2)
    // 'a' is controller 1, 'b' 2.
    for (const reactor of [0, 1]) rig.tally.doubles[rig.tally.hostAt(reactor, 1) + HOST.QUEUES] = 1
    rig.tally.doubles[rig.tally.hostAt(1, 2) + HOST.QUEUES] = 1
    rig.run(TURNS, [{ name: 'a' }], [{ name: 'a' }, { name: 'b' }])
    rig.done.clear()
    rig.run(TURNS, [{ name: 'a' }], [{ name: 'a' }, { name: 'b' }])
    // By weight the second reactor has three quarters, of which each host gets one half.
    expect(rig.done.get('b')!).toBeGreaterThan(0.3 * 2000 * RUN_S)
    expectRate(rig.done.get('a')! + rig.done.get('b')!, 2000, 10)
  })
})

describe('what waits', () => {
  test('is in order, and goes on when the limit is lifted', () => {
    const rig = new Rig({ iops: 1 })
    expect([1, 2, 3].map(() => rig.submit({ name: 'a' }))).toEqual([false, true, true])
    const { throttles, namespace } = rig.reactors[0]!
    expect([throttles.waiting, namespace.guards, throttles.dueUs(50)]).toEqual([2, THROTTLED, 50])
    rig.limit(undefined)
    expect([rig.done.get('a'), throttles.waiting, namespace.guards]).toEqual([3, 0, 0])
  })

  test('goes on when its namespace goes', () => {
    const rig = new Rig({ iops: 1 })
    for (let k = 0; k < 5; k++) rig.submit({ name: 'a' })
    rig.reactors[0]!.throttles.renew(NQN, [])
    expect(rig.done.get('a')).toBe(5)
  })

  test('goes by another limit at once', () => {
    const rig = new Rig({ iops: 10 })
    rig.run(10, [{ name: 'a' }])
    rig.limit({ iops: 1000 })
    rig.done.clear()
    rig.run(TURNS, [{ name: 'a' }])
    expectRate(rig.done.get('a')!, 1000, 2)
  })

  test('is forgotten with its connection, and only that', () => {
    const rig = new Rig({ iops: 1 })
    rig.submit({ name: 'a' })
    for (const connection of [1, 2, 1]) rig.submit({ name: 'a' }, 0, connection)
    const { throttles } = rig.reactors[0]!
    throttles.forget(1)
    expect(throttles.waiting).toBe(1)
    rig.limit(undefined)
    expect(rig.done.get('a')).toBe(2)
  })

  test('waits no longer when it is to be aborted', () => {
    const rig = new Rig({ iops: 1 })
    for (let k = 0; k < 3; k++) rig.submit({ name: 'a' })
    const { throttles, slots } = rig.reactors[0]!
    throttles.poll()
    expect(rig.done.get('a')).toBe(1)
    rig.aborted.add(slots.all.find(({ state }) => state === SLOT.HELD)!.index)
    throttles.poll()
    expect([rig.done.get('a'), throttles.waiting]).toEqual([2, 1])
  })

  test('is due when its tokens are there, and not before', () => {
    const rig = new Rig({ iops: 1000 })
    rig.run(1, [{ name: 'a', depth: 100 }])
    const { throttles, words } = rig.reactors[0]!
    const due = throttles.dueUs(100_000)
    expect(due).toBeGreaterThan(0)
    expect(due).toBeLessThanOrEqual(1000)
    const before = rig.done.get('a')!
    words[H.NOW_US]! += due + 1
    throttles.poll()
    expect(rig.done.get('a')).toBe(before + 1)
  })
})
