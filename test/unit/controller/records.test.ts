/**
 * Records: what a run finds of the ones before, what it leaves to the next, and when it warns.
 */
import { describe, expect, test } from 'vitest'
import { type KeptHealth, Records } from '../../../src/controller/records.ts'
import { COUNT, HEALTH, type Shared } from '../../../src/controller/shared.ts'
import type { SubsystemSnapshot } from '../../../src/subsystem/subsystem.ts'
import { LIMITS, namespaceSnapshot, sharedBlock, subsystemSnapshot } from './association.ts'

const NQN = subsystemSnapshot().nqn
const SECOND_MS = 1000
const DEGRADED = 4
const READ_ONLY = 8

const namespace = (nsid: number, more = {}) => namespaceSnapshot(nsid, { uuid: `uuid-${nsid}`, ...more })
const TWO = subsystemSnapshot({ namespaces: [namespace(1), namespace(2)] })

/** A run of the target. files: what it finds, and leaves. */
function run(files: Map<string, KeptHealth>, subsystems: readonly SubsystemSnapshot[] = [TWO]) {
  const shared = sharedBlock(2)
  const saves: KeptHealth[] = []
  const records = new Records(shared, LIMITS.subsystems, {
    load: (nqn) => files.get(nqn) ?? null,
    save: async (nqn, health) => {
      files.set(nqn, health)
      saves.push(health)
    },
  }, 0)
  records.adopt(subsystems)
  const count = (counter: number, which: number, amount: number, reactor = 0): void => {
    shared.counters[shared.counterAt(reactor, counter) + which]! += amount
  }
  const health = (which: number): number => shared.health[shared.healthAt(1) + which]!
  return { shared, records, saves, count, health }
}

const totals = (shared: Shared, counter: number): number[] =>
  [COUNT.READS, COUNT.WRITES, COUNT.READ_BYTES, COUNT.WRITTEN_BYTES, COUNT.MEDIA_ERRORS]
    .map((which) => shared.total(counter, which))

describe('over restarts', () => {
  test('counters, errors and times continue', async () => {
    const files = new Map<string, KeptHealth>()
    const first = run(files)
    first.records.use(NQN)
    first.count(0, COUNT.READS, 3)
    first.count(0, COUNT.READS, 4, 1)
    first.count(1, COUNT.WRITTEN_BYTES, 4096)
    first.shared.words[first.shared.row(0) + 8] = 1
    first.shared.logError(0, 1, 1, 1, 0, 1, 0)
    first.records.tick(1500)
    await first.records.close(2500)
    expect(files.get(NQN)).toMatchObject({
      running: false, powerCycles: 1, unsafeShutdowns: 0, powerOnMs: 2500, busyMs: 1500, errors: 1,
    })
    const second = run(files)
    expect(totals(second.shared, 0)).toEqual([7, 0, 0, 0, 0])
    expect(totals(second.shared, 1)).toEqual([0, 0, 0, 4096, 0])
    expect([HEALTH.POWER_CYCLES, HEALTH.UNSAFE_SHUTDOWNS, HEALTH.POWER_ON_MS, HEALTH.BUSY_MS].map(second.health))
      .toEqual([2, 0, 2500, 1500])
    expect(second.shared.errors(1)).toBe(1)
  })

  test('a run that was killed is an unsafe shutdown, once', async () => {
    const files = new Map<string, KeptHealth>()
    run(files).records.use(NQN)
    expect(files.get(NQN)!.running).toBe(true)
    const second = run(files)
    expect(second.health(HEALTH.UNSAFE_SHUTDOWNS)).toBe(1)
    await second.records.close(10)
    expect(run(files).health(HEALTH.UNSAFE_SHUTDOWNS)).toBe(1)
  })

  test('nothing is kept before a host has used the subsystem', async () => {
    const files = new Map<string, KeptHealth>()
    const { records, saves } = run(files)
    for (let ms = 0; ms < 200 * SECOND_MS; ms += SECOND_MS) records.tick(ms)
    await records.close(0)
    expect(saves).toEqual([])
  })

  test('a start that fails before the first second is not a run', () => {
    const files = new Map<string, KeptHealth>()
    run(files).records.use(NQN)
    files.set(NQN, { ...files.get(NQN)!, running: false })
    const { saves, records } = run(files)
    expect(saves).toEqual([])
    records.tick(SECOND_MS)
    expect(saves.map(({ running }) => running)).toEqual([true])
  })

  test('it is written once a minute while it is used, once an hour while it is not', () => {
    const { records, saves, count } = run(new Map())
    records.use(NQN)
    records.use(NQN)
    const pass = (from: number, to: number): void => {
      for (let second = from; second < to; second++) records.tick(second * SECOND_MS)
    }
    pass(0, 100)
    expect(saves.length, 'idle').toBe(1)
    count(0, COUNT.OTHERS, 1)
    pass(100, 180)
    count(0, COUNT.READS, 1)
    pass(180, 7000)
    expect(saves.map(({ powerOnMs }) => powerOnMs / SECOND_MS)).toEqual([0, 100, 180, 3780])
  })

  test('a namespace that is gone stays in the sum of its subsystem', () => {
    const files = new Map<string, KeptHealth>()
    const first = run(files)
    first.count(0, COUNT.READS, 5)
    first.count(1, COUNT.READS, 7)
    first.records.use(NQN)
    const second = run(files, [subsystemSnapshot({ namespaces: [namespace(2)] })])
    expect([totals(second.shared, 1)[0], second.health(HEALTH.REMOVED + COUNT.READS)]).toEqual([7, 5])
  })
})

describe('while it runs', () => {
  test('the counters of a namespace that goes are handed on at zero', () => {
    const { records, shared, count, health } = run(new Map())
    count(0, COUNT.WRITES, 9, 1)
    count(1, COUNT.WRITES, 1)
    records.adopt([subsystemSnapshot({ namespaces: [namespace(2)] })])
    expect(health(HEALTH.REMOVED + COUNT.WRITES)).toBe(9)
    records.adopt([subsystemSnapshot({ namespaces: [namespace(2), namespace(3, { counter: 0 })] })])
    expect(totals(shared, 0)).toEqual([0, 0, 0, 0, 0])
    count(0, COUNT.WRITES, 2)
    expect([totals(shared, 0)[1], totals(shared, 1)[1], health(HEALTH.REMOVED + COUNT.WRITES)]).toEqual([2, 1, 9])
    expect(records.keptOf(NQN, true)!.namespaces['uuid-3']!.writes).toBe(2)
  })

  test('a subsystem that goes gives its row back, and is written', () => {
    const { records, saves } = run(new Map())
    records.use(NQN)
    const other = subsystemSnapshot({ nqn: 'nqn.2026-01.com.example:other' })
    records.adopt([other])
    expect([records.rowOf(NQN), records.rowOf(other.nqn)]).toEqual([0, 1])
    expect(saves.map(({ running }) => running)).toEqual([true, false])
  })

  test('seconds in which commands were executed are busy', () => {
    const { records, count, health } = run(new Map())
    records.tick(SECOND_MS)
    count(1, COUNT.OTHERS, 1)
    records.tick(2 * SECOND_MS)
    records.tick(3 * SECOND_MS)
    expect(health(HEALTH.BUSY_MS)).toBe(SECOND_MS)
  })

  test('more subsystems than rows', () => {
    const many = Array.from({ length: LIMITS.subsystems + 1 }, (_, index) => subsystemSnapshot({ nqn: `nqn:${index}` }))
    expect(() => run(new Map(), many)).toThrow('more than 1024 subsystems')
  })
})

describe('warnings', () => {
  test('a medium that fails again and again, until it has not for a while', () => {
    const { records, shared, count, health } = run(new Map())
    let ms = 0
    const tick = () => records.tick(ms += SECOND_MS)
    const warning = () => [health(HEALTH.WARNING), shared.counters[shared.keptAt(0) + COUNT.WARNING],
      shared.counters[shared.keptAt(1) + COUNT.WARNING]]
    count(0, COUNT.MEDIA_ERRORS, 2)
    expect([tick(), warning()]).toEqual([[], [0, 0, 0]])
    count(0, COUNT.MEDIA_ERRORS, 8, 1)
    expect(tick()).toEqual([{ nqn: NQN, degraded: true, readOnly: false }])
    expect(warning()).toEqual([DEGRADED, DEGRADED, 0])
    expect(tick(), 'told once').toEqual([])
    for (let index = 0; index < 200; index++) tick()
    expect(warning()).toEqual([0, 0, 0])
    count(0, COUNT.MEDIA_ERRORS, 20)
    expect(tick()).toHaveLength(1)
  })

  test('media errors of earlier runs are none of now', () => {
    const files = new Map<string, KeptHealth>()
    const first = run(files)
    first.count(0, COUNT.MEDIA_ERRORS, 1000)
    first.records.use(NQN)
    expect(run(files).records.tick(SECOND_MS)).toEqual([])
  })

  test('read-only: the subsystem when all of its media are that should not be', () => {
    const third = namespace(3, { readOnly: true })
    const { records, shared, health } = run(
      new Map(), [subsystemSnapshot({ namespaces: [namespace(1), namespace(2), third] })])
    for (const nsid of [1, 3]) records.mediumReadOnly(NQN, nsid)
    expect(records.tick(SECOND_MS)).toEqual([])
    expect([0, 1, 2].map((each) => shared.counters[shared.keptAt(each) + COUNT.WARNING])).toEqual([READ_ONLY, 0, 0])
    records.mediumReadOnly(NQN, 2)
    records.mediumReadOnly('nqn:none', 2)
    expect(records.tick(2 * SECOND_MS)).toEqual([{ nqn: NQN, degraded: false, readOnly: true }])
    expect(health(HEALTH.WARNING)).toBe(READ_ONLY)
  })
})
