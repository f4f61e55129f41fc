/**
 * Writes docs/WIRE.md from the tables of src/wire:   node test/wire-docs.ts
 * test/unit/wire/wire-docs.test.ts calls wireDocument() and fails when the file is not up to date.
 *
 * One section a module, in the order of what is on the wire: PDU, command, completion, then what
 * the commands carry. Nothing is written here that a table does not say.
 */
import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import * as authentication from '../src/wire/authentication.ts'
import * as cqe from '../src/wire/cqe.ts'
import * as discoveryInformation from '../src/wire/discovery-information.ts'
import * as event from '../src/wire/event.ts'
import * as fabrics from '../src/wire/fabrics.ts'
import * as feature from '../src/wire/feature.ts'
import * as identify from '../src/wire/identify.ts'
import { bitsOf, isBits, isLayout, layoutOf } from '../src/wire/layout.ts'
import * as logPage from '../src/wire/log-page.ts'
import * as pcie from '../src/wire/pcie.ts'
import * as pdu from '../src/wire/pdu.ts'
import * as persistentEvent from '../src/wire/persistent-event.ts'
import * as reservation from '../src/wire/reservation.ts'
import * as sqe from '../src/wire/sqe.ts'
import { STATUS_ROWS, describeStatus, STATUS } from '../src/wire/status.ts'
import * as zone from '../src/wire/zone.ts'

export const WIRE_DOCUMENT = fileURLToPath(new URL('../docs/WIRE.md', import.meta.url))

const MODULES: readonly (readonly [title: string, file: string, tables: object])[] = [
  ['PDUs', 'pdu.ts', pdu], ['Commands', 'sqe.ts', sqe],
  ['Fabrics', 'fabrics.ts', fabrics], ['Persistent events', 'persistent-event.ts', persistentEvent],
  ['Authentication', 'authentication.ts', authentication],
  ['Completions', 'cqe.ts', cqe], ['Identify', 'identify.ts', identify],
  ['Log pages', 'log-page.ts', logPage],
  ['Discovery information', 'discovery-information.ts', discoveryInformation],
  ['Features', 'feature.ts', feature], ['Asynchronous events', 'event.ts', event],
  ['Reservations', 'reservation.ts', reservation], ['NVMe over PCIe', 'pcie.ts', pcie],
  ['Zones', 'zone.ts', zone],
]

export function wireDocument(): string {
  const sections = MODULES.map(([title, file, tables]) => section(title, file, tables))
  return [
    '# What is on the wire', '',
    'Generated from the tables in `src/wire` by `node test/wire-docs.ts`; edit those instead.',
    'Offsets and widths are in bytes, bits are numbered from the lowest, all numbers are',
    'little-endian. Names are those of the specification; `rsvd` and an offset is reserved.', '',
    ...sections, statusSection(),
  ].join('\n')
}

function section(title: string, file: string, tables: object): string {
  const layouts: string[] = []
  const words: string[] = []
  const codes: string[] = []
  const constants: string[] = []
  // A module's exports come in another order from node than from the test runner.
  const exported = Object.entries(tables).toSorted(([a], [b]) => (a < b ? -1 : 1))
  for (const [name, value] of exported) {
    if (isLayout(value)) layouts.push(layoutTable(value))
    else if (isBits(value)) words.push(bitsRow(value))
    else if (Array.isArray(value)) codes.push(rowsTable(name, value))
    else if (isTable(value)) codes.push(rowsTable(name, rowsOf(value)))
    else if (typeof value === 'number') constants.push(`\`${name}\` ${value}`)
    else codes.push(codesLine(name, value))
  }
  const parts = [`## ${title} (\`src/wire/${file}\`)`, ...layouts]
  if (words.length > 0) {
    parts.push(['### Bit fields', '', '| word | bits |', '|---|---|', ...words].join('\n'))
  }
  if (codes.length > 0) parts.push('### Codes', ...codes)
  if (constants.length > 0) parts.push('### Constants', `${constants.join(' · ')}`)
  return `${parts.join('\n\n')}\n`
}

function layoutTable(declared: object): string {
  const { name, bytes, fields } = layoutOf(declared)
  const rows = fields.map((field) => `| ${field.offset} | ${field.width} | ${field.name} |`)
  return [
    `### ${name}, ${bytes} bytes`, '', '| offset | width | field |', '|---:|---:|---|', ...rows,
  ].join('\n')
}

function bitsRow(declared: object): string {
  const { name, width, fields } = bitsOf(declared)
  const shown = fields.map(({ name: field, bit, width: bits }) =>
    `${bits === 1 ? bit : `${bit + bits - 1}:${bit}`} ${field}`)
  return `| ${name} (${width} bits) | ${shown.join(' · ')} |`
}

const shown = (value: unknown): string => {
  if (typeof value === 'number') return `${value.toString(16).toUpperCase().padStart(2, '0')}h`
  if (isLayout(value)) return layoutOf(value as object).name
  return typeof value === 'boolean' ? (value ? 'yes' : 'no') : String(value)
}

/** Tables with sentences: all rows have the same keys. */
function rowsTable(name: string, rows: readonly Record<string, unknown>[]): string {
  const keys = Object.keys(rows[0] ?? {})
  return [
    `\`${name}\``, '', `| ${keys.join(' | ')} |`, `|${'---|'.repeat(keys.length)}`,
    ...rows.map((row) => `| ${keys.map((key) => shown(row[key])).join(' | ')} |`),
  ].join('\n')
}

/** An object of rows, each with a name. */
function isTable(value: unknown): value is Record<string, Record<string, unknown>> {
  return typeof value === 'object' && value !== null && Object.values(value).every((row) => typeof row === 'object')
}

function rowsOf(table: Record<string, Record<string, unknown>>): Record<string, unknown>[] {
  return Object.entries(table).map(([name, row]) => ({ name, ...row }))
}

function codesLine(name: string, codes: Readonly<Record<string, unknown>>): string {
  const list = Object.entries(codes).map(([code, value]) => `${code} ${shown(value)}`)
  return `\`${name}\`: ${list.join(' · ')}`
}

function statusSection(): string {
  const rows = STATUS_ROWS.map(([name, sct, sc, dnr, text]) => {
    const code = `${sct}/${shown(sc)}`
    return `| ${code} | ${name} | ${dnr === 1 ? 'no' : 'yes'} | ${text} |`
  })
  return [
    '## Status codes (`src/wire/status.ts`)', '',
    `Logs show them like this: ${describeStatus(STATUS.LBA_OUT_OF_RANGE)}.`, '',
    '| SCT/SC | name | may be retried | meaning |', '|---|---|---|---|', ...rows, '',
  ].join('\n')
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  writeFileSync(WIRE_DOCUMENT, wireDocument())
}
