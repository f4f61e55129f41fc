/**
 * Metrics: a report as families for Prometheus. The metrics server asks for them; docs/grafana.json goes by these
 * names.
 *
 * Rates are for Prometheus to make: IOPS are the rate of weft_command_duration_seconds_count, and the mean number
 * of commands under way is that of its _sum. Invariant: a name that was published keeps its meaning.
 */
import { CLASSES } from '../controller/tally.ts'
import { BUCKETS, startUs } from '../reactor/histogram.ts'
import { Exposition, type Form, type Labels } from './exposition.ts'
import type { HostReport, NamespaceReport, ReactorReport, Report } from './report.ts'

const US_A_SECOND = 1e6
/** Buckets that are shown: to each power of two, from 1 µs to 16.8 s. */
const POWERS = 25

export function metricsText(report: Report, form: Form): string {
  const out = new Exposition(form)
  out.begin({ name: 'weft_build', type: 'info', help: 'The version that runs.' })
  out.sample({ version: report.version, node: process.version }, 1)
  namespaceFamilies(out, report)
  hostFamilies(out, report.hosts)
  reactorFamilies(out, report.reactors)
  processFamilies(out, report)
  return out.text()
}

type Labelled = { readonly labels: Labels; readonly of: NamespaceReport }

function namespaceFamilies(out: Exposition, { subsystems }: Report): void {
  const all: Labelled[] = subsystems.flatMap(({ nqn, namespaces }) =>
    namespaces.map((of) => ({ labels: { subsystem: nqn, namespace: of.nsid }, of })))
  out.begin({
    name: 'weft_namespace_size_bytes', type: 'gauge', unit: 'bytes', help: 'Size of a namespace.',
  })
  for (const { labels, of } of all) out.sample({ ...labels, kind: of.kind }, of.bytes)
  out.begin({
    name: 'weft_data_bytes', type: 'counter', unit: 'bytes',
    help: 'Data that hosts have read from a namespace and written to it.',
  })
  for (const { labels, of } of all) {
    out.sample({ ...labels, direction: 'read' }, of.readBytes)
    out.sample({ ...labels, direction: 'write' }, of.writtenBytes)
  }
  out.begin({
    name: 'weft_command_errors', type: 'counter', help: 'Commands that did not succeed, by NVMe status.',
  })
  for (const { labels, of } of all) {
    for (const [status, count] of Object.entries(of.errors)) {
      out.sample({ ...labels, status: status.toLowerCase() }, count)
    }
  }
  out.begin({
    name: 'weft_command_duration_seconds', type: 'histogram', unit: 'seconds',
    help: 'Time from when a command has come to when its answer is queued, in steps of a reactor\'s turn.',
  })
  for (const each of all) durations(out, each)
}

function durations(out: Exposition, { labels, of }: Labelled): void {
  for (const command of CLASSES) {
    const { count, sumUs, buckets } = of.commands[command]
    if (count === 0 && command !== 'read' && command !== 'write') continue
    const bounds: number[] = []
    const counts: number[] = []
    let bucket = 0
    for (let power = 0; power < POWERS; power++) {
      const endUs = 2 ** power
      let sum = 0
      while (bucket < BUCKETS && startUs(bucket + 1) <= endUs) sum += buckets[bucket++]!
      bounds.push(endUs / US_A_SECOND)
      counts.push(sum)
    }
    const rest = buckets.slice(bucket).reduce((sum, each) => sum + each, 0)
    out.histogram({ ...labels, command }, bounds, counts, rest, sumUs / US_A_SECOND)
  }
}

function hostFamilies(out: Exposition, hosts: readonly HostReport[]): void {
  const each = (value: (host: HostReport) => number): void => {
    for (const host of hosts) {
      const { hostNqn, subsystem, controller } = host
      out.sample({ subsystem, host: hostNqn, controller }, value(host))
    }
  }
  out.begin({ name: 'weft_host_commands', type: 'counter', help: 'I/O commands of a host that were answered.' })
  each(({ commands }) => commands)
  out.begin({
    name: 'weft_host_data_bytes', type: 'counter', unit: 'bytes', help: 'Data of a host\'s I/O commands.',
  })
  each(({ bytes }) => bytes)
  out.begin({
    name: 'weft_host_queue_depth', type: 'gauge', help: 'I/O commands of a host that are not answered yet.',
  })
  each(({ outstanding }) => outstanding)
  out.begin({ name: 'weft_host_queues', type: 'gauge', help: 'I/O queues of a host.' })
  each(({ queues }) => queues)
}

function reactorFamilies(out: Exposition, reactors: readonly ReactorReport[]): void {
  type Of = (one: ReactorReport) => number
  const family = (
    type: 'counter' | 'gauge', name: string, help: string, value: Of, unit?: 'bytes' | 'seconds',
  ): void => {
    out.begin({ name: `weft_${name}`, type, help, ...(unit && { unit }) })
    for (const one of reactors) out.sample({ reactor: one.reactor }, value(one))
  }
  family('gauge', 'connections', 'TCP connections of a reactor.', (one) => one.connections)
  family('counter', 'reactor_open_seconds', 'Time since a reactor was started.',
    (one) => one.openUs / US_A_SECOND, 'seconds')
  family('counter', 'reactor_busy_seconds', 'What of it was not spent waiting: its rate is the busy share.',
    (one) => one.busyUs / US_A_SECOND, 'seconds')
  family('counter', 'reactor_turns', 'Turns of a reactor\'s loop.', (one) => one.turns)
  family('counter', 'reactor_syscalls', 'Calls of the kernel.', (one) => one.syscalls)
  family('counter', 'reactor_commands', 'Commands answered, those of admin queues among them.', (one) => one.commands)
  family('counter', 'reactor_collections', 'Garbage collections.', (one) => one.collections)
  family('counter', 'reactor_received_bytes', 'Bytes from the network.', (one) => one.receivedBytes, 'bytes')
  family('counter', 'reactor_sent_bytes', 'Bytes to the network.', (one) => one.sentBytes, 'bytes')
  family('gauge', 'reactor_slots', 'Commands that a reactor can have at a time.', (one) => one.slots)
  family('gauge', 'reactor_slots_used', 'Commands that it has.', (one) => one.slotsUsed)
  family('gauge', 'reactor_buffer_bytes', 'Memory for data of commands.', (one) => one.bufferBytes, 'bytes')
  family('gauge', 'reactor_buffer_used_bytes', 'What of it is in use.', (one) => one.bufferBytesUsed, 'bytes')
}

function processFamilies(out: Exposition, { startedMs, residentBytes, cpuUs }: Report): void {
  out.begin({
    name: 'process_start_time_seconds', type: 'gauge', unit: 'seconds', help: 'When it started, since 1970.',
  })
  out.sample({}, startedMs / 1000)
  out.begin({ name: 'process_resident_memory_bytes', type: 'gauge', unit: 'bytes', help: 'Resident memory.' })
  out.sample({}, residentBytes)
  out.begin({
    name: 'process_cpu_seconds', type: 'counter', unit: 'seconds', help: 'Processor time of all threads.',
  })
  out.sample({}, cpuUs / US_A_SECOND)
}
