/**
 * Asymmetric access on a reactor: which namespaces are marked, and what is refused through which path.
 */
import { describe, expect, test } from 'vitest'
import { adminRefusal, anaGuard, hidesUse, markPaths } from '../../../src/controller/ana.ts'
import { GUARD } from '../../../src/controller/guard.ts'
import type { Device } from '../../../src/device/device.ts'
import { Namespace } from '../../../src/namespace/namespace.ts'
import { Slot } from '../../../src/reactor/slots.ts'
import { type AnaName, ALWAYS_OPTIMIZED, anaPaths } from '../../../src/subsystem/ana.ts'
import { controllerOf, namespaceSnapshot, subsystemSnapshot } from './association.ts'

const HERE = '192.0.2.1 4420'
const THERE = '192.0.2.2 4420'
const INACCESSIBLE = 0x302
const LOST = 0x301
const TRANSITION = 0x303
const [GET, SET, IDENTIFY, FORMAT] = [0x0a, 0x09, 0x06, 0x80]
const [WRITE_CACHE, RESERVATION_MASK, ERROR_RECOVERY] = [0x06, 0x82, 0x05]

/** Namespaces 1 and 2, of groups 1 and 2; group 2 has this state here. */
function rig(state: AnaName) {
  const snapshots = [namespaceSnapshot(1), namespaceSnapshot(2, { anaGroup: 2 })]
  const choices = new Map([
    [HERE, { others: 'optimized', groups: { 2: state } } as const], [THERE, ALWAYS_OPTIMIZED],
  ])
  const subsystem = subsystemSnapshot({ namespaces: snapshots, paths: anaPaths(snapshots, choices, []) })
  const table = [null, ...snapshots.map((each) => new Namespace(each, {} as Device, 0))]
  markPaths(subsystem, table)
  const through = (listener: string) =>
    Object.assign(controllerOf().controller, { subsystem, namespaces: table, listener })
  const guard = (listener: string, nsid: number) => anaGuard(new Slot(0), through(listener), table[nsid]!)
  const admin = (opcode: number, fid: number, nsid: number) => adminRefusal(through(HERE), opcode, fid, nsid)
  return { subsystem, table, through, guard, admin }
}

test.each<[AnaName, number]>([
  ['optimized', 0], ['non-optimized', 0], ['inaccessible', INACCESSIBLE], ['persistent-loss', LOST],
  ['change', TRANSITION],
])('%s: I/O of the group through the listener ends with %i, no other does', (state, status) => {
  const { guard, table } = rig(state)
  expect(table.map((each) => each?.guards)).toEqual([undefined, 0, status === 0 ? 0 : GUARD.ANA])
  expect([guard(HERE, 2), guard(THERE, 2), guard(HERE, 1), guard(THERE, 1)]).toEqual([status, 0, 0, 0])
})

test('a path that works again clears the mark, and leaves those of others', () => {
  const { table, subsystem } = rig('inaccessible')
  table[2]!.guards |= GUARD.RESERVATION
  const paths = anaPaths(subsystem.namespaces, new Map([[HERE, ALWAYS_OPTIMIZED]]), subsystem.paths)
  markPaths({ ...subsystem, paths }, table)
  expect(table[2]!.guards).toBe(GUARD.RESERVATION)
})

describe('admin commands', () => {
  test.each<[AnaName, number[]]>([
    ['optimized', [0, 0, 0, 0, 0, 0]],
    ['inaccessible', [INACCESSIBLE, INACCESSIBLE, INACCESSIBLE, 0, 0, 0]],
    ['change', [TRANSITION, TRANSITION, TRANSITION, 0, 0, 0]],
    ['persistent-loss', [LOST, LOST, LOST, LOST, 0, 0]],
  ])('%s', (state, expected) => {
    const { admin } = rig(state)
    expect([
      admin(GET, RESERVATION_MASK, 2), admin(SET, ERROR_RECOVERY, 2), admin(FORMAT, 0, 2),
      admin(SET, WRITE_CACHE, 2), admin(GET, WRITE_CACHE, 2), admin(IDENTIFY, 0, 2),
    ]).toEqual(expected)
  })

  test('what names no namespace, all of them, one of another group, or one that is not there', () => {
    const { admin } = rig('inaccessible')
    const asked = [0, -1, 1, 3, 5000].map((nsid) => admin(SET, ERROR_RECOVERY, nsid))
    expect(asked).toEqual([0, 0, 0, 0, 0])
  })
})

test('how much a namespace uses cannot be told through a path that does not lead to it', () => {
  const states = ['optimized', 'non-optimized', 'inaccessible', 'persistent-loss', 'change'] as const
  expect(states.map((state) => hidesUse(rig(state).through(HERE), 2))).toEqual([false, false, true, true, false])
  expect(hidesUse(rig('inaccessible').through(THERE), 2)).toBe(false)
})
