/**
 * Asymmetric namespace access: paths, their change counts, the log. The log's bytes are written by hand.
 */
import { expect, test } from 'vitest'
import {
  type AnaChoice, ALWAYS_OPTIMIZED, anaLog, anaPaths, changedPaths, listenerKey, pathState, refusalOf,
} from '../../../src/subsystem/ana.ts'

const FIRST = '192.0.2.1 4420'
const SECOND = '192.0.2.2 4420'
const NAMESPACES = [{ nsid: 3, anaGroup: 7 }, { nsid: 1, anaGroup: 1 }, { nsid: 2, anaGroup: 7 }]
const BOTH = new Map<string, AnaChoice>([
  [FIRST, ALWAYS_OPTIMIZED],
  [SECOND, { others: 'non-optimized', groups: { 7: 'inaccessible' } }],
])
const seven = (state: AnaChoice['others']): ReadonlyMap<string, AnaChoice> =>
  new Map([...BOTH, [SECOND, { others: 'non-optimized', groups: { 7: state } }]])

test('a path has each group that has namespaces, with the state of its listener', () => {
  const paths = anaPaths(NAMESPACES, BOTH, [])
  expect(paths).toEqual([
    { listener: FIRST, changeCount: 1, groups: [
      { group: 1, state: 'optimized', changeCount: 1, nsids: [1] },
      { group: 7, state: 'optimized', changeCount: 1, nsids: [2, 3] },
    ] },
    { listener: SECOND, changeCount: 1, groups: [
      { group: 1, state: 'non-optimized', changeCount: 1, nsids: [1] },
      { group: 7, state: 'inaccessible', changeCount: 1, nsids: [2, 3] },
    ] },
  ])
})

test('a count grows when what it stands for changes, and at no other time', () => {
  const before = anaPaths(NAMESPACES, BOTH, [])
  expect(anaPaths(NAMESPACES, BOTH, before)).toEqual(before)
  const after = anaPaths(NAMESPACES, seven('change'), before)
  expect(after.map(({ changeCount }) => changeCount)).toEqual([1, 2])
  expect(after[1]!.groups.map(({ changeCount }) => changeCount)).toEqual([1, 2])
  const more = anaPaths([...NAMESPACES, { nsid: 9, anaGroup: 1 }], seven('change'), after)
  expect(more.map(({ changeCount }) => changeCount)).toEqual([2, 3])
  expect(more[1]!.groups.map(({ changeCount }) => changeCount)).toEqual([3, 2])
})

test('a count never goes back, also when a group loses its last namespace and gets one again', () => {
  const one = anaPaths(NAMESPACES, BOTH, [])
  const two = anaPaths(NAMESPACES.slice(1, 2), BOTH, one)
  const three = anaPaths(NAMESPACES, BOTH, two)
  expect([one, two, three].map((paths) => paths[0]!.changeCount)).toEqual([1, 2, 3])
  expect(two[0]!.groups.map(({ group }) => group)).toEqual([1])
  expect(three[0]!.groups.map(({ changeCount }) => changeCount)).toEqual([1, 3])
})

test('the log: counts, groups, states, NSIDs; groups only leaves the NSIDs out', () => {
  const paths = anaPaths(NAMESPACES, seven('persistent-loss'), anaPaths(NAMESPACES, BOTH, []))
  const group = (id: number, count: number, changes: number, state: number): number[] => [
    id, 0, 0, 0, count, 0, 0, 0, changes, 0, 0, 0, 0, 0, 0, 0, state, ...new Array<number>(15).fill(0),
  ]
  const head = [2, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0]
  const said = (path: typeof paths[0] | undefined, groupsOnly: boolean): number[] => {
    const log = anaLog(path, groupsOnly, 1024)
    expect(log.length, 'room for all groups and namespaces').toBe(16 + 128 * 32 + 1024 * 4)
    return [...log.subarray(0, log.findLastIndex((byte) => byte !== 0) + 1)]
  }
  expect(said(paths[1], false)).toEqual([
    ...head, ...group(1, 1, 1, 2), 1, 0, 0, 0, ...group(7, 2, 2, 4), 2, 0, 0, 0, 3,
  ])
  expect(said(paths[1], true)).toEqual([...head, ...group(1, 0, 1, 2), ...group(7, 0, 2, 4).slice(0, 17)])
  expect(said(undefined, false)).toEqual([])
})

test('states that refuse have a path status that may be retried elsewhere', () => {
  const states = ['optimized', 'non-optimized', 'inaccessible', 'persistent-loss', 'change'] as const
  expect(states.map(refusalOf)).toEqual([0, 0, 0x302, 0x301, 0x303])
})

test('a listener that is not there leads nowhere', () => {
  const paths = anaPaths(NAMESPACES, BOTH, [])
  expect(pathState(paths, SECOND, 7)).toBe('inaccessible')
  expect(pathState(paths, FIRST, 7)).toBe('optimized')
  expect(pathState(paths, listenerKey({ address: '::1', port: 1 }), 7)).toBe('inaccessible')
})

test('news is a namespace with another state or group, not one that comes or goes', () => {
  const before = anaPaths(NAMESPACES, BOTH, [])
  const news = (namespaces: typeof NAMESPACES, choices = BOTH): string[] =>
    changedPaths(before, anaPaths(namespaces, choices, before))
  expect(news(NAMESPACES)).toEqual([])
  expect(news(NAMESPACES, seven('change') as typeof BOTH)).toEqual([SECOND])
  expect(news([...NAMESPACES, { nsid: 9, anaGroup: 1 }])).toEqual([])
  expect(news(NAMESPACES.slice(1))).toEqual([])
  expect(news([{ nsid: 3, anaGroup: 1 }, ...NAMESPACES.slice(1)])).toEqual([FIRST, SECOND])
  const third = new Map([...BOTH, ['192.0.2.3 4420', ALWAYS_OPTIMIZED]])
  expect(news(NAMESPACES, third), 'nobody came through a listener that is new').toEqual([])
})
