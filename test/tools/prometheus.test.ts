/** The metrics as Prometheus' own client library reads them (its parsers, in Python), in both of their forms. */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { configuration, startDaemon, NQN, type Daemon } from '../daemon.ts'
import { openSession } from '../host-session.ts'
import { closeWires } from '../host.ts'
import { tool } from './tool.ts'

/** Families as JSON: name, type, unit, and samples as [name, labels, value]. */
const READ = `
import json, sys
from prometheus_client.parser import text_string_to_metric_families as prometheus
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
families = {'prometheus': prometheus, 'openmetrics': openmetrics}[sys.argv[1]](sys.stdin.read())
json.dump([[f.name, f.type, f.unit, [[s.name, s.labels, s.value] for s in f.samples]] for f in families], sys.stdout)
`
/** The one that the package is for; there may be others. */
const PYTHON = '/usr/bin/python3'

type Sample = [name: string, labels: Record<string, string>, value: number]
type Family = [name: string, type: string, unit: string, samples: Sample[]]

const ACCEPT = { openmetrics: 'application/openmetrics-text; version=1.0.0', prometheus: 'text/plain' }

let daemon: Daemon
let url = ''

beforeAll(async () => {
  daemon = await startDaemon(configuration({ metrics: { address: '127.0.0.1', port: 0 } }))
  const { metrics } = await daemon.line((line) => line['metrics'] !== undefined, 'it offered metrics')
  url = `http://127.0.0.1:${(metrics as { port: number }).port}/metrics`
  await openSession(daemon.endpoint, { subnqn: NQN }, 1)
})
afterAll(async () => {
  await closeWires()
  await daemon.stop()
})

test.each(['openmetrics', 'prometheus'] as const)('%s is read without a complaint', async (form) => {
  const text = await (await fetch(url, { headers: { accept: ACCEPT[form] } })).text()
  const families = JSON.parse(tool(PYTHON, ['-c', READ, form], text)) as Family[]
  const of = (name: string): Family => families.find(([each]) => each === name)!
  expect(families.length).toBeGreaterThan(20)
  expect(families.filter(([, type]) => type === 'unknown' || type === 'unset')).toEqual([])
  expect(of('weft_data_bytes')[1]).toBe('counter')
  const [, type, , samples] = of('weft_command_duration_seconds')
  expect(type).toBe('histogram')
  const labels = { subsystem: NQN, namespace: '1', command: 'read' }
  expect(samples).toContainEqual(['weft_command_duration_seconds_bucket', { ...labels, le: '+Inf' }, expect.any(Number)])
  expect(of('weft_host_queues')[3]).toEqual([['weft_host_queues', expect.objectContaining({ subsystem: NQN }), 1]])
  if (form === 'openmetrics') expect(of('process_cpu_seconds')[2]).toBe('seconds')
})
