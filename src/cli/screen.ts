/**
 * What `weft status` and `weft top` show: two reports, one a while after the other, as a screen of text.
 * status-command.ts asks for the reports. Everything is told for the time between the two.
 *
 * Hosts choose their names: what could move the cursor is shown as a code. Nothing is wider than `columns`.
 */
import { formatSize } from '../config/size.ts'
import { endpointText } from '../control/log.ts'
import type { HostReport, NamespaceReport, ReactorReport, Report } from '../control/report.ts'
import { printable } from '../control/text.ts'
import type { CommandClass } from '../controller/tally.ts'
import { quantileUs } from '../reactor/histogram.ts'
import { LATENCY_HEADS, latencyRows, since, timeText } from './latency.ts'

const MIB = 1 << 20

type Row = readonly string[]

export function screenText(before: Report, after: Report, columns: number): string {
  const seconds = Math.max(0.001, (after.atMs - before.atMs) / 1000)
  const lines = [
    headText(before, after), '',
    ...table(['LISTENER', 'SERVICE'], after.listeners.map((each) => [endpointText(each), each.service])), '',
    ...table(
      ['SUBSYSTEM', 'NS', 'STORAGE', 'SIZE', 'READ/S', 'MIB/S', 'P99', 'WRITE/S', 'MIB/S', 'P99', 'ERRORS'],
      after.subsystems.flatMap(({ nqn, namespaces }) => namespaces.map((each) => namespaceRow(
        nqn, before.subsystems.find((former) => former.nqn === nqn)?.namespaces
          .find(({ nsid }) => nsid === each.nsid), each, seconds,
      ))),
    ), '',
    ...latencyLines(before, after),
    ...table(
      ['HOST', 'ADDRESS', 'SUBSYSTEM', 'QUEUES', 'IO/S', 'MIB/S', 'DEPTH'],
      after.hosts.map((each) => hostRow(
        before.hosts.find((former) => former.controller === each.controller), each, seconds,
      )),
    ), '',
    ...table(
      ['REACTOR', 'BUSY', 'IO/S', 'CONNECTIONS', 'COMMANDS', 'BUFFERS'],
      after.reactors.map((each, k) => reactorRow(before.reactors[k], each, seconds)),
    ),
  ]
  return lines.map((line) => `${line.slice(0, columns).trimEnd()}\n`).join('')
}

function headText(before: Report, after: Report): string {
  const cpu = (after.cpuUs - before.cpuUs) / Math.max(1, (after.atMs - before.atMs) * 10)
  return `weft ${after.version}, up ${durationText(after.atMs - after.startedMs)}, `
    + `${formatRounded(after.residentBytes)} of memory, ${cpu.toFixed(0)}% of a processor`
}

/** None where there was no command. */
function latencyLines(before: Report, after: Report): string[] {
  const rows = latencyRows(before.subsystems, after.subsystems)
  return rows.length === 0 ? [] : [...table(LATENCY_HEADS, rows), '']
}

function namespaceRow(
  nqn: string, before: NamespaceReport | undefined, after: NamespaceReport, seconds: number,
): Row {
  const of = (name: CommandClass): readonly [count: string, p99: string] => {
    const [former, now] = [before?.commands[name], after.commands[name]]
    return [rate(former?.count ?? 0, now.count, seconds), timeText(quantileUs(since(former, now), 0.99))]
  }
  const [read, write] = [of('read'), of('write')]
  const errors = Object.values(after.errors).reduce((sum, each) => sum + each, 0)
  return [
    nqn, String(after.nsid), after.path === '' ? after.kind : after.path, formatRounded(after.bytes),
    read[0], mebibytes(before?.readBytes, after.readBytes, seconds), read[1],
    write[0], mebibytes(before?.writtenBytes, after.writtenBytes, seconds), write[1], String(errors),
  ]
}

function hostRow(before: HostReport | undefined, after: HostReport, seconds: number): Row {
  const { hostNqn, address, subsystem, queues, commands, bytes, outstanding } = after
  return [
    hostNqn, address, subsystem, String(queues), rate(before?.commands ?? 0, commands, seconds),
    mebibytes(before?.bytes, bytes, seconds), String(outstanding),
  ]
}

function reactorRow(before: ReactorReport | undefined, after: ReactorReport, seconds: number): Row {
  const open = after.openUs - (before?.openUs ?? 0)
  const busy = after.busyUs - (before?.busyUs ?? 0)
  return [
    String(after.reactor), `${open <= 0 ? 0 : Math.min(100, Math.round(100 * busy / open))}%`,
    rate(before?.commands ?? 0, after.commands, seconds), String(after.connections),
    `${after.slotsUsed} of ${after.slots}`, `${formatRounded(after.bufferBytesUsed)} of ${formatRounded(after.bufferBytes)}`,
  ]
}

/** Columns as wide as what is in them; numbers stand to the right. */
export function table(heads: Row, rows: readonly Row[]): string[] {
  const shown = [heads, ...rows.map((row) => row.map(printable))]
  const widths = heads.map((_, column) => Math.max(...shown.map((row) => row[column]!.length)))
  const isNumber = heads.map((_, column) => rows.length !== 0 && rows.every((row) => /^[-\d]/.test(row[column]!)
    && !row[column]!.includes(':') && !row[column]!.includes('of')))
  return shown.map((row) => row.map((text, column) =>
    isNumber[column] ? text.padStart(widths[column]!) : text.padEnd(widths[column]!)).join('  '))
}

function rate(before: number, after: number, seconds: number): string {
  return Math.max(0, (after - before) / seconds).toFixed(0)
}

function mebibytes(before: number | undefined, after: number, seconds: number): string {
  return Math.max(0, (after - (before ?? 0)) / seconds / MIB).toFixed(1)
}

function formatRounded(bytes: number): string {
  return bytes < MIB ? formatSize(bytes) : formatSize(Math.round(bytes / MIB) * MIB)
}

function durationText(milliseconds: number): string {
  const minutes = Math.floor(milliseconds / 60_000)
  const [days, hours] = [Math.floor(minutes / 1440), Math.floor(minutes / 60) % 24]
  if (days !== 0) return `${days} d ${hours} h`
  return hours !== 0 ? `${hours} h ${minutes % 60} min` : `${minutes} min`
}
