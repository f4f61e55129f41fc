/** tracer: one trace at a time, read by time over all reactors, and over when nobody reads it. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { Tracer } from '../../../src/control/tracer.ts'
import type { Change, TracedReactor } from '../../../src/reactor/messages.ts'
import { numberOf } from '../../../src/reactor/number.ts'
import { TRACE, TraceRing } from '../../../src/reactor/trace-ring.ts'
import type { ControllerRecord } from '../../../src/subsystem/access.ts'

const ANYBODY = { host: null, address: null }
let traces: (readonly TracedReactor[] | null)[] = []

/** A host with its admin queue on reactor 0 and an I/O queue on reactor 1, which was started again. */
const controller = { hostNqn: 'nqn.h', subsystem: { nqn: 'nqn.s' }, queues: new Map([
  [0, { reactor: 0, connection: 4, serial: 5, qid: 0 }], [1, { reactor: numberOf(1, 2), connection: 6, serial: 7, qid: 1 }],
]) } as unknown as ControllerRecord

const make = (): Tracer => new Tracer({
  reactorCount: 2, controllers: () => [controller],
  change: (change: Change) => {
    if (change.kind === 'trace') traces.push(change.reactors)
    return Promise.resolve()
  },
})

beforeEach(() => { vi.useFakeTimers() })
afterEach(() => {
  vi.useRealTimers()
  traces = []
})

test('each reactor is told its own connections, with who is there', async () => {
  await make().start({ host: 'nqn.h', address: null })
  const who = { hostNqn: 'nqn.h', subsystem: 'nqn.s' }
  expect(traces[0]!.map(({ known }) => known)).toMatchObject([
    [{ connection: 4, serial: 5, qid: 0, ...who }], [{ connection: 6, serial: 7, qid: 1, ...who }],
  ])
})

test('what the reactors wrote is read in the order of its time, once, with what was left out', async () => {
  const tracer = make()
  const id = (await tracer.start(ANYBODY))!
  const rings = traces[0]!.map(({ ring }) => new TraceRing(ring as SharedArrayBuffer))
  const write = (reactor: number, timeMs: number): void => rings[reactor]!.write(
    { kind: TRACE.SENT, connection: 1, serial: 1, timeMs, streamAt: 0, wireBytes: 1 }, Buffer.alloc(1), 0, 1)
  for (const [reactor, timeMs] of [[1, 1], [0, 2], [1, 3], [0, 4]] as const) write(reactor, timeMs)
  expect(tracer.read(id, 100)!.records.map(({ reactor, timeMs }) => [reactor, timeMs])).toEqual([[1, 1], [0, 2], [1, 3], [0, 4]])
  expect(tracer.read(id, 100)).toEqual({ records: [], droppedCount: 0 })
  for (let k = 0; k < 100_000; k++) write(0, k)
  expect(tracer.read(id, 100)!.droppedCount).toBeGreaterThan(0)
})

test('there is one at a time, and another after it', async () => {
  const tracer = make()
  const id = (await tracer.start(ANYBODY))!
  expect(await tracer.start(ANYBODY)).toBeNull()
  expect([await tracer.stop(id + 1), tracer.read(id + 1, 1)]).toEqual([false, null])
  expect([await tracer.stop(id), traces.at(-1), tracer.read(id, 1)]).toEqual([true, null, null])
  expect(await tracer.start(ANYBODY)).toBe(id + 1)
})

test('it ends when it is not read for 15 seconds, and not while it is', async () => {
  const tracer = make()
  const id = (await tracer.start(ANYBODY))!
  for (let k = 0; k < 5; k++) {
    await vi.advanceTimersByTimeAsync(10_000)
    expect(tracer.read(id, 1)).not.toBeNull()
  }
  await vi.advanceTimersByTimeAsync(15_000)
  expect([tracer.read(id, 1), traces.at(-1)]).toEqual([null, null])
})
