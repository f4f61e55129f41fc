/**
 * Paths: what is configured and what is set since, in snapshots; whom a change concerns.
 */
import { expect, test } from 'vitest'
import { listenerKey, pathState } from '../../../src/subsystem/ana.ts'
import { checkWish, pathNews, Paths } from '../../../src/subsystem/paths.ts'
import type { TargetSnapshot } from '../../../src/subsystem/subsystem.ts'
import { namespaceSnapshot, subsystemSnapshot } from '../controller/association.ts'

const ONE = { address: '192.0.2.1', port: 4420 }
const TWO = { address: '192.0.2.2', port: 4420 }
const [A, B] = ['nqn.2026-01.com.example:a', 'nqn.2026-01.com.example:b']
const namespaces = [namespaceSnapshot(1), namespaceSnapshot(2, { anaGroup: 2 })]
const PLAIN: TargetSnapshot = {
  generation: 1, firmware: '', discovery: { referrals: [], registered: [], ports: [] },
  subsystems: [
    subsystemSnapshot({ nqn: A, endpoints: [ONE, TWO], namespaces }),
    subsystemSnapshot({ nqn: B, endpoints: [TWO], namespaces }),
    subsystemSnapshot({ nqn: 'nqn.discovery', kind: 'discovery', endpoints: [ONE] }),
  ],
}
const NQNS = [A, B]

/** "a1 a2, b1 …": the states of both groups at each listener. */
function states(target: TargetSnapshot): Record<string, string> {
  return Object.fromEntries(target.subsystems.flatMap(({ nqn, paths }) => paths.map(({ listener }) =>
    [`${nqn.at(-1)} ${listener.split(' ')[0]!.at(-1)}`, [1, 2].map((group) =>
      pathState(paths, listener, group)).join(' ')])))
}

function rig() {
  const paths = new Paths()
  paths.configure(ONE, { others: 'optimized', groups: { 2: 'change' } })
  paths.configure(TWO, { others: 'non-optimized', groups: {} })
  return paths
}

test('what is configured holds for every subsystem of the listener, discovery aside', () => {
  const target = rig().complete(PLAIN)
  expect(states(target)).toEqual({
    'a 1': 'optimized change', 'a 2': 'non-optimized non-optimized', 'b 2': 'non-optimized non-optimized',
  })
  expect(target.subsystems[2]!.paths).toEqual([])
})

test('set: of one subsystem or all, of one group or all; the rest stays', () => {
  const paths = rig()
  paths.set({ listener: TWO, subsystem: A, group: 2, state: 'inaccessible' }, NQNS)
  expect(states(paths.complete(PLAIN))).toMatchObject({
    'a 2': 'non-optimized inaccessible', 'b 2': 'non-optimized non-optimized',
  })
  paths.set({ listener: TWO, state: 'optimized' }, NQNS)
  expect(states(paths.complete(PLAIN))).toEqual({
    'a 1': 'optimized change', 'a 2': 'optimized optimized', 'b 2': 'optimized optimized',
  })
})

test('a configuration that is read again changes what it says anew, and nothing else', () => {
  const paths = rig()
  paths.set({ listener: TWO, state: 'inaccessible' }, NQNS)
  paths.configure(TWO, { others: 'non-optimized', groups: {} })
  expect(states(paths.complete(PLAIN))).toMatchObject({ 'a 2': 'inaccessible inaccessible' })
  paths.configure(TWO, { others: 'optimized', groups: {} })
  expect(states(paths.complete(PLAIN))).toMatchObject({ 'a 2': 'optimized optimized' })
})

test('a change concerns the controllers of its subsystem and listener', () => {
  const paths = rig()
  const before = paths.complete(PLAIN)
  paths.set({ listener: TWO, subsystem: B, state: 'inaccessible' }, NQNS)
  const concerned = pathNews(before, paths.complete(before))
  const ask = (nqn: string, endpoint: typeof ONE): boolean =>
    concerned!({ subsystem: { nqn }, listener: listenerKey(endpoint) })
  expect(pathNews(before, before)).toBeNull()
  expect([ask(A, ONE), ask(A, TWO), ask(B, TWO)]).toEqual([false, false, true])
})

test.each([
  [{ listener: { address: '192.0.2.3', port: 4420 } }, 'There is no listener 192.0.2.3 port 4420.'],
  [{ listener: ONE, subsystem: 'nqn.x' }, 'There is no subsystem nqn.x.'],
  [{ listener: ONE, subsystem: 'nqn.discovery' }, 'There is no subsystem nqn.discovery.'],
  [{ listener: ONE, subsystem: B }, 'There is no listener 192.0.2.1 port 4420.'],
  [{ listener: ONE, group: 129 }, 'ANA groups are numbered from 1 to 128.'],
])('no such path: %j', (wish, sentence) => {
  expect(() => checkWish({ ...wish, state: 'optimized' }, PLAIN)).toThrow(sentence)
})
