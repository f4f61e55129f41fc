/**
 * The catalogue: what a change of the target makes of tables and controllers, and when a namespace that has
 * gone is in use no more.
 */
import { describe, expect, test } from 'vitest'
import { Catalogue, tableOf } from '../../../src/controller/catalogue.ts'
import type { Device } from '../../../src/device/device.ts'
import { Namespace, type NamespaceTable } from '../../../src/namespace/namespace.ts'
import { SLOT, Slots } from '../../../src/reactor/slots.ts'
import type { NamespaceSnapshot, SubsystemSnapshot } from '../../../src/subsystem/subsystem.ts'
import { namespaceSnapshot, subsystemSnapshot } from './association.ts'
import { ownerOf } from '../reactor/owner.ts'

const NQN = subsystemSnapshot().nqn
const OTHER = 'nqn.2026-01.com.example:other'
const MEMORY = { kind: 'memory', region: 9 } as const

function rig() {
  const slots = new Slots(8)
  const opened: number[] = []
  const renewed: { subsystem: SubsystemSnapshot; table: NamespaceTable }[] = []
  const used = new Set<number>()
  const catalogue = new Catalogue({
    namespaces: new Array<Namespace | null>(8).fill(null), slots, refersTo: (region) => used.has(region),
    renewed: (subsystem, table) => renewed.push({ subsystem, table }),
    open: (_subsystem, snapshot) => {
      opened.push(snapshot.index)
      return new Namespace(snapshot, {} as Device, 0)
    },
  })
  const adopt = (...subsystems: SubsystemSnapshot[]): void =>
    catalogue.adopt({ ...catalogue.target, subsystems })
  const adoptNamespaces = (...namespaces: NamespaceSnapshot[]): void => adopt(subsystemSnapshot({ namespaces }))
  const nsids = (nqn = NQN): number[] =>
    catalogue.tables.get(nqn)!.flatMap((each, nsid) => each === null ? [] : [nsid])
  const ticks = (count: number): void => { for (let k = 0; k < count; k++) catalogue.tick() }
  return { slots, opened, renewed, used, catalogue, adopt, adoptNamespaces, nsids, ticks }
}

describe('a change of the target', () => {
  test('opens what is new, keeps what is there, and hides what has gone', () => {
    const { catalogue, adoptNamespaces, opened, nsids } = rig()
    adoptNamespaces(namespaceSnapshot(1), namespaceSnapshot(2))
    const [, first] = catalogue.tables.get(NQN)!
    adoptNamespaces(namespaceSnapshot(1), namespaceSnapshot(3))
    expect(opened).toEqual([0, 1, 2])
    expect(nsids()).toEqual([1, 3])
    expect(catalogue.tables.get(NQN)![1]).toBe(first)
    expect(catalogue.namespaces[1], 'commands that have begun still find it').not.toBeNull()
  })

  test('another size is another object, with the guards of the one before', () => {
    const { catalogue, adoptNamespaces } = rig()
    adoptNamespaces(namespaceSnapshot(1))
    catalogue.namespaces[0]!.guards = 24
    adoptNamespaces(namespaceSnapshot(1, { index: 4, blockCount: 77 }))
    expect(catalogue.tables.get(NQN)![1]).toMatchObject({ index: 4, blockCount: 77, guards: 24 })
    expect(catalogue.namespaces[0]!.blockCount).toBe(1000)
  })

  test('other facts reach the namespace that is there', () => {
    const { catalogue, adoptNamespaces, opened } = rig()
    adoptNamespaces(namespaceSnapshot(1))
    adoptNamespaces(namespaceSnapshot(1, { readOnly: true }))
    expect([catalogue.namespaces[0]!.readOnly, opened.length]).toEqual([true, 1])
  })

  test('a subsystem that has gone leaves its controllers without namespaces', () => {
    const { catalogue, adopt, renewed } = rig()
    const other = subsystemSnapshot({ nqn: OTHER, namespaces: [namespaceSnapshot(1, { index: 5, counter: 5 })] })
    adopt(subsystemSnapshot(), other)
    expect(renewed.map(({ subsystem }) => subsystem.nqn)).toEqual([NQN, OTHER])
    renewed.length = 0
    adopt(subsystemSnapshot())
    expect(renewed[0]).toMatchObject({ subsystem: { nqn: OTHER, namespaces: [] }, table: [null] })
    expect([catalogue.subsystems.has(OTHER), catalogue.tables.has(OTHER)]).toEqual([false, false])
  })
})

describe('a namespace is retired', () => {
  test('after the last command that began on it, and one turn later', () => {
    const { slots, catalogue, adoptNamespaces, ticks } = rig()
    adoptNamespaces(namespaceSnapshot(1))
    adoptNamespaces()
    const slot = slots.take(ownerOf())
    slot.namespace = 0
    let done = 0
    catalogue.retire([0], () => done++)
    for (const state of [SLOT.RECEIVING, SLOT.EXECUTING]) {
      slot.enter(state)
      ticks(3)
      expect(done).toBe(0)
    }
    slot.enter(SLOT.SENDING)
    ticks(1)
    expect([done, catalogue.namespaces[0] === null]).toEqual([0, false])
    ticks(3)
    expect([done, catalogue.namespaces[0]]).toEqual([1, null])
  })

  test('not while something still refers to its memory', () => {
    const { catalogue, adoptNamespaces, ticks, used } = rig()
    adoptNamespaces(namespaceSnapshot(1, { device: MEMORY }), namespaceSnapshot(2))
    adoptNamespaces()
    const done: number[] = []
    used.add(MEMORY.region)
    catalogue.retire([1], () => done.push(1))
    catalogue.retire([0], () => done.push(0))
    ticks(1)
    used.delete(MEMORY.region)
    ticks(1)
    used.add(MEMORY.region)
    ticks(1)
    expect(done, 'quiet means two turns in a row').toEqual([1])
    used.delete(MEMORY.region)
    ticks(2)
    expect(done).toEqual([1, 0])
  })
})

test('a table of namespaces has holes where there are none', () => {
  const namespaces = [{ nsid: 2 }, { nsid: 5 }] as Namespace[]
  const subsystem = subsystemSnapshot({
    namespaces: [namespaceSnapshot(2, { index: 0 }), namespaceSnapshot(5, { index: 1 })],
  })
  expect(tableOf(subsystem, namespaces)).toEqual([null, null, namespaces[0], null, null, namespaces[1]])
  expect(tableOf(subsystemSnapshot(), [])).toEqual([null])
})
