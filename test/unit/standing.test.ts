/** standing: what a reactor that starts later than the others is told. */
import { expect, test } from 'vitest'
import { TraceRing } from '../../src/reactor/trace-ring.ts'
import { Standing } from '../../src/standing.ts'

test('a trace goes on, without the connections that the one before had, until it ends', () => {
  const standing = new Standing(undefined)
  const ring = TraceRing.of(1024).memory
  const wish = { host: 'nqn.h', address: null }
  const known = [{ connection: 1, serial: 2, hostNqn: 'nqn.h', subsystem: 'nqn.s', qid: 1 }]
  standing.note({ kind: 'trace', reactors: [{ wish, ring, known }] })
  expect(standing.changes).toEqual([{ kind: 'trace', reactors: [{ wish, ring, known: [] }] }])
  standing.note({ kind: 'trace', reactors: null })
  expect(standing.changes).toEqual([])
})
