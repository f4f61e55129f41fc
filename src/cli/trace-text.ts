/**
 * PDUs of a trace as lines for a person: when, which connection, which way, what. trace-command.ts feeds it.
 *
 *   12:00:01.123456 192.0.2.7:51234 q1 ▶ READ cid 5 nsid 1 slba 8 nlb 7
 *   12:00:01.123571 192.0.2.7:51234 q1 ◀ C2HData cid 5 offset 0 bytes 4096 last success · READ, 115 µs
 *
 * Fields have the names of the tables in src/wire; those that are 0 are left out, but for a few without which a
 * command cannot be told.
 */
import { printable } from '../control/text.ts'
import type { TraceFacts } from '../reactor/trace-ring.ts'
import type { TraceAnswerRecord } from '../rpc/methods/trace.ts'
import { CQE } from '../wire/cqe.ts'
import { namedSqe } from '../wire/describe.ts'
import { layoutOf } from '../wire/layout.ts'
import {
  C2H_DATA, CAPSULE_CMD, CAPSULE_RESP, CH, FES_TABLE, H2C_DATA, ICREQ, ICRESP, PDUS, PDU_FLAG, PDU_TYPE, R2T, TERM_REQ,
} from '../wire/pdu.ts'
import { SQE } from '../wire/sqe.ts'
import { describeStatus } from '../wire/status.ts'

/** Of a command and of its head: said elsewhere, or of no use to a reader. */
const SILENT = new Set(['opcode', 'flags', 'cid', 'fctype', 'sglAddress', 'sglLength', 'sglId', 'mptr', 'cdw2', 'cdw3'])
const ALWAYS = new Set(['nsid', 'slba', 'nlb', 'qid', 'fid', 'lid', 'cns', 'ofst'])
/** Commands of a connection that are not answered yet; further ones have no name in their answers. */
const OPEN_MAX = 4096

type Command = { readonly name: string; readonly atMs: number }
type Known = TraceFacts & { readonly commands: Map<number, Command> }

const NOBODY: TraceFacts = { remote: '?', local: '?', hostNqn: '', subsystem: '', qid: -1 }

export class TraceText {
  readonly #connections = new Map<string, Known>()

  /** With its newline. */
  line(record: TraceAnswerRecord): string {
    const { kind, connection, time_ms: atMs } = record
    if (kind === 'connection') return this.#named(record)
    const known = this.#connections.get(connection) ?? { ...NOBODY, commands: new Map<number, Command>() }
    const way = { received: '▶', sent: '◀', ended: '·' }[kind]
    const head = `${clock(atMs)} ${known.remote} ${queueText(known)} ${way} `
    if (kind === 'ended') {
      this.#connections.delete(connection)
      return `${head}ended${record.reason === '' ? '' : `: ${printable(record.reason ?? '')}`}\n`
    }
    const bytes = Buffer.from(record.header ?? '', 'base64')
    return `${head}${pduText(new DataView(bytes.buffer, bytes.byteOffset, bytes.length), record, known)}\n`
  }

  #named({ connection, time_ms: atMs, facts = NOBODY }: TraceAnswerRecord): string {
    const commands = this.#connections.get(connection)?.commands ?? new Map<number, Command>()
    this.#connections.set(connection, { ...facts, commands })
    const who = facts.hostNqn === '' ? 'host not known yet'
      : `${printable(facts.hostNqn)} on ${printable(facts.subsystem)}`
    return `${clock(atMs)} ${facts.remote} ${queueText(facts)} · at ${facts.local}: ${who}\n`
  }
}

function queueText({ qid }: TraceFacts): string {
  return qid === -1 ? 'q?' : `q${qid}`
}

/** Local time, in microseconds. */
function clock(atMs: number): string {
  const at = new Date(atMs)
  const parts = [at.getHours(), at.getMinutes(), at.getSeconds()].map((part) => String(part).padStart(2, '0'))
  return `${parts.join(':')}.${String(Math.floor(atMs * 1000) % 1e6).padStart(6, '0')}`
}

function pduText(view: DataView, record: TraceAnswerRecord, known: Known): string {
  const type = view.byteLength === 0 ? -1 : view.getUint8(CH.type)
  const rules = PDUS.find((each) => each.type === type)
  const complete = rules !== undefined && view.byteLength >= layoutOf(rules.header).bytes
  if (!complete) return `${record.bytes} bytes that are no PDU: ${hexText(view)}`
  const flags = view.getUint8(CH.flags)
  const marks = `${(flags & PDU_FLAG.LAST) === 0 ? '' : ' last'}${(flags & PDU_FLAG.SUCCESS) === 0 ? '' : ' success'}`
  switch (type) {
    case PDU_TYPE.CAPSULE_CMD: return commandText(view, record, known)
    case PDU_TYPE.CAPSULE_RESP: return responseText(view, record, known)
    case PDU_TYPE.H2C_DATA: {
      const [cid, ttag] = [view.getUint16(H2C_DATA.cccid, true), view.getUint16(H2C_DATA.ttag, true)]
      return `H2CData cid ${cid} ttag ${ttag} ${rangeText(view, H2C_DATA.datao, H2C_DATA.datal)}${marks}`
    }
    case PDU_TYPE.C2H_DATA: {
      const cid = view.getUint16(C2H_DATA.cccid, true)
      const done = (flags & PDU_FLAG.SUCCESS) === 0 ? '' : doneText(cid, record, known)
      return `C2HData cid ${cid} ${rangeText(view, C2H_DATA.datao, C2H_DATA.datal)}${marks}${done}`
    }
    case PDU_TYPE.R2T: {
      const [cid, ttag] = [view.getUint16(R2T.cccid, true), view.getUint16(R2T.ttag, true)]
      return `R2T cid ${cid} ttag ${ttag} ${rangeText(view, R2T.r2to, R2T.r2tl)}`
    }
    case PDU_TYPE.ICREQ: return `ICReq ${fieldsText(view, 0, ICREQ)}`.trimEnd()
    case PDU_TYPE.ICRESP: return `ICResp ${fieldsText(view, 0, ICRESP)}`
    default: {
      const fes = view.getUint16(TERM_REQ.fes, true)
      const row = FES_TABLE.find((each) => each.fes === fes)
      const what = row === undefined ? `fes ${fes}` : `${row.name}: ${row.text}`
      return `${rules.name} ${what} (fei ${view.getUint32(TERM_REQ.fei, true)})`
    }
  }
}

function commandText(view: DataView, record: TraceAnswerRecord, { qid, commands }: Known): string {
  const cid = view.getUint16(CAPSULE_CMD.sqe + SQE.cid, true)
  // Before anything is known of it, a queue carries Connect alone.
  const { name, declared } = namedSqe(view, CAPSULE_CMD.sqe, qid > 0 ? 'io' : 'admin')
  if (commands.size < OPEN_MAX) commands.set(cid, { name, atMs: record.time_ms })
  const dataBytes = view.getUint8(CH.pdo) === 0 ? 0 : view.getUint32(CH.plen, true) - view.getUint8(CH.pdo)
  const data = dataBytes === 0 ? '' : `, ${dataBytes} bytes with it`
  return `${name} cid ${cid} ${fieldsText(view, CAPSULE_CMD.sqe, declared)}`.trimEnd() + data
}

function responseText(view: DataView, record: TraceAnswerRecord, known: Known): string {
  const at = CAPSULE_RESP.cqe
  const [cid, code] = [view.getUint16(at + CQE.cid, true), view.getUint16(at + CQE.status, true) >> 1]
  const result = view.getUint32(at, true)
  const value = result === 0 ? '' : ` dw0 ${result.toString(16)}h`
  return `CapsuleResp cid ${cid}${value} ${code === 0 ? 'success' : describeStatus(code)}${doneText(cid, record, known)}`
}

/** Which command that ends, and how long it took. */
function doneText(cid: number, { time_ms: atMs }: TraceAnswerRecord, { commands }: Known): string {
  const command = commands.get(cid)
  commands.delete(cid)
  return command === undefined ? '' : ` · ${command.name}, ${Math.round((atMs - command.atMs) * 1000)} µs`
}

function rangeText(view: DataView, offsetAt: number, bytesAt: number): string {
  return `offset ${view.getUint32(offsetAt, true)} bytes ${view.getUint32(bytesAt, true)}`
}

function fieldsText(view: DataView, at: number, declared: object): string {
  const shown: string[] = []
  const common = at === 0 ? new Set(Object.keys(CH)) : SILENT
  for (const { name, offset, width } of layoutOf(declared).fields) {
    if (name.startsWith('rsvd') || common.has(name) || width > 8) continue
    const value = width === 8 ? view.getBigUint64(at + offset, true) : BigInt(numberAt(view, at + offset, width))
    if (value !== 0n || ALWAYS.has(name)) shown.push(`${name} ${value}`)
  }
  return shown.join(' ')
}

function numberAt(view: DataView, at: number, width: number): number {
  if (width === 1) return view.getUint8(at)
  return width === 2 ? view.getUint16(at, true) : view.getUint32(at, true)
}

function hexText(view: DataView): string {
  return Buffer.from(view.buffer, view.byteOffset, Math.min(view.byteLength, 32)).toString('hex')
}
