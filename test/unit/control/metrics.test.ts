/**
 * Metrics: both forms, read by a strict reader; and the server that offers them.
 */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { afterEach, describe, expect, test } from 'vitest'
import type { Form } from '../../../src/control/exposition.ts'
import { metricsText } from '../../../src/control/metrics.ts'
import { MetricsServer } from '../../../src/control/metrics-server.ts'
import type { ClassReport, Report } from '../../../src/control/report.ts'
import { CLASSES, type CommandClass } from '../../../src/controller/tally.ts'
import { BUCKETS, bucketOf } from '../../../src/reactor/histogram.ts'
import { readMetrics } from './open-metrics.ts'

const NQN = 'nqn.2026-01.example:a"b\\c\nd'
const FORMS: Form[] = ['openmetrics', 'prometheus']

function timed(...times: number[]): ClassReport {
  const buckets = new Array<number>(BUCKETS).fill(0)
  for (const us of times) buckets[bucketOf(us)]! += 1
  return { count: times.length, sumUs: times.reduce((sum, us) => sum + us, 0), buckets }
}

function report(): Report {
  const none = Object.fromEntries(CLASSES.map((name) => [name, timed()])) as Record<CommandClass, ClassReport>
  return {
    version: '1.2.3', atMs: 1000, startedMs: 500, residentBytes: 4096, cpuUs: 1_500_000,
    listeners: [{ address: '127.0.0.1', port: 4420, service: 'nvm' }],
    subsystems: [{
      nqn: NQN,
      namespaces: [{
        nsid: 1, kind: 'memory', path: '', bytes: 1 << 20, readBytes: 8192, writtenBytes: 512,
        commands: { ...none, read: timed(0, 0, 1, 3, 100, 2 ** 27), flush: timed(7) },
        errors: { LBA_OUT_OF_RANGE: 2 },
      }],
    }],
    hosts: [{
      hostNqn: 'nqn.h', address: '192.0.2.7:1', subsystem: NQN, controller: 3, queues: 2, commands: 9, bytes: 4608,
      outstanding: 4,
    }],
    reactors: [{
      reactor: 0, openUs: 2e6, busyUs: 1e6, turns: 5, syscalls: 6, receivedBytes: 7, sentBytes: 8, commands: 10,
      collections: 1, connections: 3, slots: 4096, slotsUsed: 4, bufferBytes: 1 << 20, bufferBytesUsed: 4096,
    }],
  }
}

describe.each(FORMS)('%s', (form) => {
  const read = (of = report()) => readMetrics(metricsText(of, form), form)
  const value = (name: string, labels: Record<string, string>): number => {
    const all = [...read().values()].flatMap(({ samples }) => samples)
    const found = all.filter((each) => each.name === name
      && Object.entries(labels).every(([label, text]) => each.labels[label] === text))
    expect(found, `${name} ${JSON.stringify(labels)}`).toHaveLength(1)
    return found[0]!.value
  }

  test('is right by the letter, whatever names hosts and subsystems have', () => {
    expect(read().size).toBeGreaterThan(20)
    expect(value('weft_data_bytes_total', { subsystem: NQN, namespace: '1', direction: 'read' })).toBe(8192)
  })

  test('is right with nothing in it', () => {
    expect(read({ ...report(), subsystems: [], hosts: [], reactors: [] }).size).toBeGreaterThan(20)
  })

  test('counts each time in the buckets from its own on', () => {
    const below = (le: string): number => value('weft_command_duration_seconds_bucket', { command: 'read', le })
    expect([below('1e-06'), below('2e-06'), below('4e-06'), below('6.4e-05'), below('0.000128'), below('+Inf')])
      .toEqual([2, 3, 4, 4, 5, 6])
    expect(value('weft_command_duration_seconds_count', { command: 'flush' })).toBe(1)
    expect(value('weft_command_duration_seconds_sum', { command: 'flush' })).toBeCloseTo(7e-6, 12)
  })

  test('says errors by status, hosts with their queue depth, and what a reactor is busy for', () => {
    expect(value('weft_command_errors_total', { status: 'lba_out_of_range' })).toBe(2)
    expect(value('weft_host_queue_depth', { host: 'nqn.h', controller: '3' })).toBe(4)
    expect(value('weft_reactor_busy_seconds_total', { reactor: '0' })).toBe(1)
    expect(value('process_cpu_seconds_total', {})).toBe(1.5)
  })
})

describe('docs/grafana.json', () => {
  type Panel = { id: number; gridPos: Record<'x' | 'y' | 'w' | 'h', number>; targets?: { expr: string }[] }
  const text = readFileSync(fileURLToPath(new URL('../../../docs/grafana.json', import.meta.url)), 'utf8')
  const { panels, templating } = JSON.parse(text) as { panels: Panel[]; templating: { list: { query: unknown }[] } }
  const queries = [
    ...panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr)), JSON.stringify(templating.list),
  ].map((query) => query.replace(/"[^"]*\$[^"]*"/g, '""'))
  const families = readMetrics(metricsText(report(), 'openmetrics'), 'openmetrics')
  const samples = [...families.values()].flatMap((each) => each.samples)

  test('asks for samples that there are, with labels that they have', () => {
    const named = queries.flatMap((query) => [...query.matchAll(/\b((?:weft|process)_[a-z_]+)(?:\{([^}]*)\})?/g)])
    expect(named.length).toBeGreaterThan(25)
    for (const [asked, name, matchers = ''] of named) {
      const found = samples.filter((each) => each.name === name)
      expect(found, asked).not.toEqual([])
      const labels = [...matchers.matchAll(/(\w+)=/g)].map(([, label]) => label!).filter((label) => label !== 'instance')
      expect(Object.keys(found[0]!.labels), asked).toEqual(expect.arrayContaining(labels))
    }
  })

  test('shows every family that there is', () => {
    const unseen = [...families].filter(([, { samples: own }]) =>
      !own.some(({ name }) => queries.some((query) => new RegExp(`\\b${name}\\b`).test(query))))
    expect(unseen.map(([name]) => name)).toEqual([])
  })

  test('groups by labels that there are', () => {
    const labels = new Set(samples.flatMap((each) => Object.keys(each.labels)).concat('instance'))
    const grouped = queries.flatMap((query) => [...query.matchAll(/\b(?:by|on) \(([^)]*)\)/g)].flatMap(([, list]) => list!.split(', ')))
    expect(grouped.filter((label) => !labels.has(label))).toEqual([])
  })

  test('has panels of different numbers that do not overlap', () => {
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length)
    for (const { gridPos: one, id } of panels) {
      const over = panels.filter(({ gridPos: other, id: also }) => also !== id && one.x < other.x + other.w
        && other.x < one.x + one.w && one.y < other.y + other.h && other.y < one.y + one.h)
      expect([id, over.map((each) => each.id), one.x + one.w <= 24]).toEqual([id, [], true])
    }
  })
})

describe('the server', () => {
  const said: string[] = []
  const stuck: { reactor: number; forMs: number }[] = []
  const observer = { report, stuck: () => stuck, ready: true }
  const log = { notice: (line: string) => { said.push(line) }, failure: (line: string) => { said.push(line) } }
  const anywhere = { address: '127.0.0.1', port: 0 }
  let server = new MetricsServer(observer, log)
  const get = (path: string, init?: RequestInit) => fetch(`http://127.0.0.1:${server.endpoint!.port}${path}`, init)

  afterEach(() => {
    server.stop()
    server = new MetricsServer(observer, log)
    stuck.length = 0
    observer.ready = true
    said.length = 0
  })

  test('offers the form that is asked for', async () => {
    await server.start(anywhere)
    const plain = await get('/metrics')
    expect(plain.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8')
    readMetrics(await plain.text(), 'prometheus')
    const accept = 'application/openmetrics-text;version=1.0.0,text/plain;q=0.5'
    const open = await get('/metrics', { headers: { accept } })
    expect(open.headers.get('content-type')).toBe('application/openmetrics-text; version=1.0.0; charset=utf-8')
    readMetrics(await open.text(), 'openmetrics')
  })

  test('says that it is well and ready, and when it is not', async () => {
    await server.start(anywhere)
    expect([(await get('/healthz')).status, (await get('/readyz')).status]).toEqual([200, 200])
    stuck.push({ reactor: 1, forMs: 6000 })
    observer.ready = false
    const ill = await get('/healthz')
    expect([ill.status, await ill.text()]).toEqual([503, 'Reactor 1 has not turned for 6000 ms.\n'])
    expect((await get('/readyz')).status).toBe(503)
  })

  test('has nothing else, and takes nothing', async () => {
    await server.start(anywhere)
    expect((await get('/')).status).toBe(404)
    expect((await get('/metrics', { method: 'POST', body: 'x' })).status).toBe(405)
    const head = await get('/metrics', { method: 'HEAD' })
    expect([head.status, await head.text()]).toEqual([200, ''])
  })

  test('a port that is taken is said, at the start and while serving', async () => {
    await server.start(anywhere)
    const taken = server.endpoint!
    const second = new MetricsServer(observer, log)
    await expect(second.start(taken)).rejects.toThrow(/Metrics cannot be offered on 127\.0\.0\.1:\d+ \(EADDRINUSE\)/)
    await second.configure({ address: '127.0.0.1', port: taken.port })
    second.stop()
    await second.configure(taken)
    expect(said.at(-1)).toMatch(/EADDRINUSE.*Choose another/)
  })

  test('goes somewhere else, and away', async () => {
    await server.start(anywhere)
    const first = server.endpoint!.port
    await server.configure({ address: '127.0.0.2', port: 0 })
    expect(server.endpoint).toMatchObject({ address: '127.0.0.2' })
    await expect(fetch(`http://127.0.0.1:${first}/readyz`)).rejects.toThrow()
    await server.configure(null)
    expect([server.endpoint, said.at(-1)]).toEqual([null, 'Metrics are not offered any more.'])
  })
})
