/** The bench's own parts: cases, peers, ratios, and what it prints. Nothing is measured here. */
import { describe, expect, test } from 'vitest'
import { CASES, connectionCases, depthCases } from '../../../bench/cases.ts'
import type { LoadResult } from '../../../bench/load.ts'
import { mediansOf, ratiosTo } from '../../../bench/matrix.ts'
import { casesTable } from '../../../bench/print.ts'
import { parsePeer } from '../../../bench/target.ts'
import { warmUpMs } from '../../../bench/life.ts'

function run(iops: number, p99 = 1000, watchedSeconds = 0): LoadResult {
  return {
    iops, mibPerSecond: iops / 256, commands: iops, seconds: 1, failed: 0, errors: {},
    latencyNs: { min: 1, mean: 1, p50: p99 / 2, p90: 1, p99, p999: 2 * p99, p9999: 1, max: 1 },
    verified: 0, differing: 0, waitingPercent: 20, userSeconds: 0, systemSeconds: 0,
    watchedSeconds, connectMs: 1, controllers: 1,
  }
}

test('case names are unique, over all kinds of cases', () => {
  const names = [...CASES, ...depthCases(), ...connectionCases()].map(({ name }) => name)
  expect(new Set(names).size).toBe(names.length)
})

test('the four connections have 128 commands outstanding in all', () => {
  const { words } = CASES.find(({ name }) => name.includes('4 connections'))!
  const after = (word: string): number => Number(words[words.indexOf(word) + 1])
  expect(after('--depth') * after('--connections')).toBe(128)
})

describe('a peer', () => {
  test('is HOST:PORT/NQN', () => {
    expect(parsePeer('127.0.0.1:4420/nqn.2024-01.org.example:a:b/c', 7)).toEqual({
      name: 'peer', address: '127.0.0.1', port: 4420, nqn: 'nqn.2024-01.org.example:a:b/c', pid: 7,
    })
  })
  test('may be an IPv6 address in brackets', () => {
    expect(parsePeer('[::1]:4420/nqn.2024-01.org.example:a', null).address).toBe('::1')
  })
  test.each(['127.0.0.1/nqn.x', 'host:0/nqn.x', 'host:70000/nqn.x', 'host:4420', 'host:4420/x'])(
    '%s is refused with what is allowed', (text) => {
      expect(() => parsePeer(text, null)).toThrow(/allowed: HOST:PORT\/NQN/)
    })
})

test('CPU time is per command, and unknown when the process is', () => {
  expect(mediansOf([run(1000, 1, 0.5)]).cpuNs).toBe(500_000)
  expect(mediansOf([run(1000)]).cpuNs).toBeNaN()
})

test('ratios are medians of pairs, for IOPS and for latencies', () => {
  const ratios = ratiosTo([run(300, 50), run(30, 500), run(3, 5)], [run(200, 100), run(20, 1000),
    run(1, 10)])
  expect(ratios).toMatchObject({ iops: 1.5, p99: 0.5, p50: 0.5 })
})

test('the table says where weft does not reach its aim, and why a case was not run', () => {
  const one = CASES[0]!
  const text = casesTable([
    { case: one, runs: { weft: [run(140)], peer: [run(100)] }, refusals: {} },
    { case: one, runs: { weft: [run(160)], peer: [run(100)] }, refusals: {} },
    { case: one, runs: { weft: [run(1)] }, refusals: { peer: 'load: no namespace 2' } },
  ])
  expect(text).toMatch(/peer .* 1\.40 .* 1\.5 ✗/)
  expect(text).toMatch(/peer .* 1\.60 .* 1\.5 ✓/)
  expect(text).toContain('not run: load: no namespace 2')
})

test('warm-up ends with the first interval at 95 % of the final speed', () => {
  expect(warmUpMs([10, 60, 96, 100, 101, 100, 99, 100])).toBe(300)
  expect(warmUpMs([])).toBeNaN()
})
