/** What a host sees of a subsystem, and who is told when that changes. */
import { expect, test } from 'vitest'
import type { TargetSnapshot } from '../../../src/subsystem/subsystem.ts'
import { seesNumber, viewNews, viewOf } from '../../../src/subsystem/view.ts'
import { HOST, namespaceSnapshot, subsystemSnapshot } from '../controller/association.ts'

const OTHER = 'nqn.2026-01.com.example:other-host'
const group = (number: number, nsids: number[]) =>
  ({ group: number, state: 'optimized' as const, changeCount: 1, nsids })

const target = (...hosts: (string[] | undefined)[]): TargetSnapshot => ({
  generation: 1, firmware: '', discovery: { referrals: [], registered: [], ports: [] },
  subsystems: [subsystemSnapshot({ namespaces: hosts.map((each, k) => namespaceSnapshot(k + 1, { hosts: each })) })],
})

test('a host that sees everything is shown the subsystem itself', () => {
  const subsystem = subsystemSnapshot({ namespaces: [namespaceSnapshot(1), namespaceSnapshot(2, { hosts: [HOST] })] })
  expect(viewOf(subsystem, HOST)).toBe(subsystem)
  expect(viewOf(subsystem, OTHER).namespaces.map(({ nsid }) => nsid)).toEqual([1])
  expect([1, 2, 3].map((nsid) => seesNumber(OTHER, subsystem, nsid))).toEqual([true, false, false])
})

test('paths have what is left in their groups, and no group without a namespace', () => {
  const subsystem = subsystemSnapshot({
    namespaces: [namespaceSnapshot(1), namespaceSnapshot(2, { hosts: [] }), namespaceSnapshot(3, { hosts: [] })],
    paths: [{ listener: 'x', changeCount: 1, groups: [group(1, [1, 2]), group(2, [3])] }],
  })
  expect(viewOf(subsystem, HOST).paths[0]!.groups).toEqual([group(1, [1])])
})

test('those are concerned for whom it is another way than before', () => {
  const [news, ...more] = viewNews(target([HOST], [HOST]), target([OTHER], [HOST]))
  expect(more).toEqual([])
  expect(news).toMatchObject({ nsid: 1, hosts: [OTHER] })
  expect([HOST, OTHER, `${OTHER}2`].map(news!.concerns)).toEqual([true, true, false])
  const [opened] = viewNews(target([HOST]), target(undefined))
  expect([HOST, OTHER].map(opened!.concerns)).toEqual([false, true])
  expect(viewNews(target([HOST, OTHER]), target([OTHER, HOST])), 'the order says nothing').toEqual([])
})

test('namespaces that come or go are not its news', () => {
  expect(viewNews(target(), target([HOST]))).toEqual([])
  expect(viewNews(target([HOST]), target())).toEqual([])
})
