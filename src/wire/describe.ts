/**
 * Describes wire structures in text, for traces, logs and failing tests: never on the hot path.
 * Reads the tables of this folder; nothing is described anywhere else.
 *
 *   describe(view, at, R2T)  →  R2T { type: 9, …, cccid: 5, ttag: 1, r2to: 0, r2tl: 131072 }
 *   describePdu(view, at)    →  the same, by the type of the PDU, with its command or completion
 *
 * Fields that are zero are left out when reserved and shown otherwise; a field of more than 8
 * bytes is shown as text where it is text, else as hexadecimal digits without its trailing zeroes.
 */
import { CONNECT, FABRICS, FABRICS_TYPE, PROPERTY_GET, PROPERTY_SET } from './fabrics.ts'
import { CQE } from './cqe.ts'
import { layoutOf } from './layout.ts'
import type { LayoutField } from './layout.ts'
import { CAPSULE_CMD, CAPSULE_RESP, CH, PDUS } from './pdu.ts'
import {
  ABORT, ADMIN_OPCODE, DSM, FABRICS_OPCODE, GET_FEATURES, GET_LOG_PAGE, IDENTIFY, IO_OPCODE,
  READ_WRITE, SET_FEATURES, SQE,
} from './sqe.ts'
import { describeStatus } from './status.ts'

/** The structure at `at` as one line; bytes that the view does not have are shown as missing. */
export function describe(view: DataView, at: number, declared: object): string {
  const { name, fields } = layoutOf(declared)
  const shown = []
  for (const field of fields) {
    const text = describeField(view, at + field.offset, field)
    if (text === '0' && field.name.startsWith('rsvd')) continue
    shown.push(`${field.name}: ${text}`)
  }
  return `${name} { ${shown.join(', ')} }`
}

/** A whole PDU, by its type. Of a capsule also the command or completion in it. */
export function describePdu(view: DataView, at: number, queue: 'admin' | 'io' = 'admin'): string {
  const type = view.getUint8(at + CH.type)
  const rules = PDUS.find((row) => row.type === type)
  if (rules === undefined) return `unknown PDU: ${describe(view, at, CH)}`
  const head = `${rules.name} ${describe(view, at, CH)}`
  if (rules.header === CAPSULE_CMD) {
    return `${head} ${describeSqe(view, at + CAPSULE_CMD.sqe, queue)}`
  }
  if (rules.header === CAPSULE_RESP) return `${head} ${describeCqe(view, at + CAPSULE_RESP.cqe)}`
  return describe(view, at, rules.header)
}

/** A command, by its opcode and, of Fabrics commands, by its type. */
export function describeSqe(view: DataView, at: number, queue: 'admin' | 'io'): string {
  const { name, declared } = namedSqe(view, at, queue)
  return `${name}: ${describe(view, at, declared)}`
}

/** The name of a command, and its layout. */
export function namedSqe(view: DataView, at: number, queue: 'admin' | 'io'): { name: string; declared: object } {
  const opcode = view.getUint8(at + SQE.opcode)
  if (opcode === FABRICS_OPCODE) {
    const type = view.getUint8(at + FABRICS.fctype)
    return { name: nameOf(FABRICS_TYPE, type), declared: FABRICS_LAYOUTS.get(type) ?? FABRICS }
  }
  const layouts = queue === 'admin' ? ADMIN_LAYOUTS : IO_LAYOUTS
  const names = queue === 'admin' ? ADMIN_OPCODE : IO_OPCODE
  return { name: nameOf(names, opcode), declared: layouts.get(opcode) ?? SQE }
}

/** A completion, with its status in words. */
export function describeCqe(view: DataView, at: number): string {
  const code = view.getUint16(at + CQE.status, true) >> 1
  return `${describe(view, at, CQE)} ${describeStatus(code)}`
}

const FABRICS_LAYOUTS = new Map<number, object>([
  [FABRICS_TYPE.CONNECT, CONNECT], [FABRICS_TYPE.PROPERTY_GET, PROPERTY_GET],
  [FABRICS_TYPE.PROPERTY_SET, PROPERTY_SET],
])
const ADMIN_LAYOUTS = new Map<number, object>([
  [ADMIN_OPCODE.IDENTIFY, IDENTIFY], [ADMIN_OPCODE.GET_LOG_PAGE, GET_LOG_PAGE],
  [ADMIN_OPCODE.SET_FEATURES, SET_FEATURES], [ADMIN_OPCODE.GET_FEATURES, GET_FEATURES],
  [ADMIN_OPCODE.ABORT, ABORT],
])
const IO_LAYOUTS = new Map<number, object>([
  [IO_OPCODE.READ, READ_WRITE], [IO_OPCODE.WRITE, READ_WRITE], [IO_OPCODE.COMPARE, READ_WRITE],
  [IO_OPCODE.WRITE_ZEROES, READ_WRITE], [IO_OPCODE.DATASET_MANAGEMENT, DSM],
])

function nameOf(codes: Readonly<Record<string, number>>, value: number): string {
  const found = Object.entries(codes).find((entry) => entry[1] === value)
  return found === undefined ? `unknown ${value.toString(16)}h` : found[0]
}

function describeField(view: DataView, at: number, field: LayoutField): string {
  if (at + field.width > view.byteLength) return 'missing'
  if (field.width === 1) return String(view.getUint8(at))
  if (field.width === 2) return String(view.getUint16(at, true))
  if (field.width === 4) return String(view.getUint32(at, true))
  if (field.width === 8) return String(view.getBigUint64(at, true))
  const bytes = new Uint8Array(view.buffer, view.byteOffset + at, field.width)
  let end = bytes.length
  while (end > 0 && bytes[end - 1] === 0) end -= 1
  const used = bytes.subarray(0, end)
  if (end === 0) return '0'
  if (used.every((byte) => byte >= 0x20 && byte < 0x7f)) {
    return `'${String.fromCharCode(...used).trimEnd()}'`
  }
  return Array.from(used, (byte) => byte.toString(16).padStart(2, '0')).join(' ')
}
