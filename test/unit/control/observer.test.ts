/**
 * The observer, end to end: what a host does over its sockets is what /metrics says, from all reactors together.
 */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { compare, flush, read, verify, write } from '../../command-bytes.ts'
import { NQN, configuration, startDaemon, type Daemon } from '../../daemon.ts'
import { openSession } from '../../host-session.ts'
import { closeWires } from '../../host.ts'
import { readMetrics } from './open-metrics.ts'

const QUEUES = 2
const WAIT_MS = 10_000

let daemon: Daemon
let port = 0

beforeAll(async () => {
  daemon = await startDaemon({
    ...configuration({ reactors: 2 }), metrics: { address: '127.0.0.1', port: 0 },
  })
  const { metrics } = await daemon.line((line) => line['metrics'] !== undefined, 'it offers metrics')
  port = (metrics as { port: number }).port
})
afterAll(async () => {
  await closeWires()
  await daemon.stop()
})

/** Samples by name, command and what else tells them apart, summed over the rest. */
async function samples(): Promise<Map<string, number>> {
  const response = await fetch(`http://127.0.0.1:${port}/metrics`, {
    headers: { accept: 'application/openmetrics-text' },
  })
  const families = readMetrics(await response.text(), 'openmetrics')
  const sums = new Map<string, number>()
  for (const { name, labels, value } of [...families.values()].flatMap((each) => each.samples)) {
    const which = labels['le'] ?? labels['direction'] ?? labels['status']
    const key = [name, labels['command'], which].filter(Boolean).join(' ')
    sums.set(key, (sums.get(key) ?? 0) + value)
  }
  return sums
}

test('what a host did is what is counted, once the reactors have said so', async () => {
  const session = await openSession(daemon.endpoint, { subnqn: NQN }, QUEUES)
  for (const qid of [1, 2]) {
    const queue = session.queue(qid)
    await queue.must(write(1, qid, 1), { send: Buffer.alloc(512, qid) })
    await queue.must(read(1, qid, 1), { receive: 512 })
    await queue.must(read(1, qid, 1), { receive: 512 })
    await queue.must(flush(1))
  }
  await session.queue(1).must(compare(1, 1, 1), { send: Buffer.alloc(512, 1) })
  await session.queue(2).must(verify(1, 2, 1))
  expect((await session.queue(1).submit(read(1, 2 ** 31, 1), { receive: 512 })).status).toBe('0/80h')
  const wanted: Record<string, number> = {
    'weft_command_duration_seconds_count read': 5, 'weft_command_duration_seconds_count write': 2,
    'weft_command_duration_seconds_count flush': 2, 'weft_command_duration_seconds_count compare': 1,
    'weft_command_duration_seconds_count verify': 1, 'weft_command_duration_seconds_bucket read +Inf': 5,
    'weft_data_bytes_total read': 5 * 512, 'weft_data_bytes_total write': 2 * 512,
    'weft_command_errors_total lba_out_of_range': 1,
    // The Connects of the queues, with their data, are commands as well, but of no namespace.
    'weft_host_commands_total': 11 + QUEUES, 'weft_host_data_bytes_total': 8 * 512 + QUEUES * 1024,
    'weft_host_queues': QUEUES, 'weft_host_queue_depth': 0,
    'weft_connections': QUEUES + 1,
  }
  await expect.poll(async () => {
    const all = await samples()
    return Object.fromEntries(Object.keys(wanted).map((key) => [key, all.get(key)]))
  }, { timeout: WAIT_MS }).toEqual(wanted)
  expect((await samples()).get('weft_reactor_busy_seconds_total')).toBeGreaterThan(0)
  expect((await samples()).has('weft_command_duration_seconds_count other')).toBe(false)
})

test('it is well and ready, and a reload ends the metrics', async () => {
  const at = (path: string) => fetch(`http://127.0.0.1:${port}${path}`)
  expect([(await at('/healthz')).status, (await at('/readyz')).status]).toEqual([200, 200])
  await daemon.reload(configuration({ reactors: 2 }))
  await expect(at('/readyz')).rejects.toThrow()
})
