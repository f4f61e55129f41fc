/**
 * Connect: what the first command of a queue says, decoded, and everything about it that one reactor can
 * check by itself. The control plane (subsystem/access.ts) checks the rest.   NVMe over Fabrics, 3.3
 *
 *   SQE: RECFMT QID SQSIZE CATTR KATO          data, 1024 B: HOSTID CNTLID SUBNQN HOSTNQN
 *
 * Invariant: a NQN that leaves here ends with a NUL within its 256 bytes and has 1 to 223 bytes.
 */
import { isUtf8 } from 'node:buffer'
import type { Arena } from '../reactor/arena.ts'
import type { JoinRequest } from '../reactor/messages.ts'
import {
  CATTR_NO_SQ_FLOW, CONNECT, CONNECT_DATA, NQN_BYTES, NQN_BYTES_MAX,
} from '../wire/fabrics.ts'
import { STATUS } from '../wire/status.ts'

/** Bit 16 of the completion's dword 0: IPO is an offset into the data, not into the SQE. */
const IN_DATA = 1 << 16
export const ADMIN_DEPTH_MAX = 4096

/** Dword 0 of Connect Invalid Parameters. ipo: byte offset of the field that is wrong. */
export function inCommand(ipo: number): number {
  return ipo
}

export function inData(ipo: number): number {
  return ipo | IN_DATA
}

export type Refusal = { readonly status: number; readonly dw0: number }

/** Decodes the SQE at sqeAt and the data at dataAt (arena offsets). */
export function decodeConnect(
  arena: Arena, sqeAt: number, dataAt: number, queueDepthMax: number,
): JoinRequest | Refusal {
  const view = arena.view
  if (view.getUint16(sqeAt + CONNECT.recfmt, true) !== 0) {
    return { status: STATUS.INCOMPATIBLE_FORMAT, dw0: 0 }
  }
  const qid = view.getUint16(sqeAt + CONNECT.qid, true)
  const sqsize = view.getUint16(sqeAt + CONNECT.sqsize, true)
  if (sqsize === 0 || sqsize >= (qid === 0 ? ADMIN_DEPTH_MAX : queueDepthMax)) {
    return { status: STATUS.CONNECT_INVALID_PARAMETERS, dw0: inCommand(CONNECT.sqsize) }
  }
  const subsystemNqn = readNqn(arena, dataAt + CONNECT_DATA.subnqn)
  if (subsystemNqn === null) return badData(CONNECT_DATA.subnqn)
  const hostNqn = readNqn(arena, dataAt + CONNECT_DATA.hostnqn)
  if (hostNqn === null) return badData(CONNECT_DATA.hostnqn)
  const hostIdAt = dataAt + CONNECT_DATA.hostid
  return {
    qid,
    depth: sqsize + 1,
    cntlid: view.getUint16(dataAt + CONNECT_DATA.cntlid, true),
    keepAliveMs: qid === 0 ? view.getUint32(sqeAt + CONNECT.kato, true) : 0,
    flowControlOff: (view.getUint8(sqeAt + CONNECT.cattr) & CATTR_NO_SQ_FLOW) !== 0,
    hostNqn,
    hostId: Buffer.from(arena.bytes.subarray(hostIdAt, hostIdAt + 16)).toString('hex'),
    subsystemNqn,
  }
}

function badData(ipo: number): Refusal {
  return { status: STATUS.CONNECT_INVALID_PARAMETERS, dw0: inData(ipo) }
}

/** The NQN at an arena offset, or null when it is empty, too long, not ended, or not UTF-8. */
function readNqn(arena: Arena, at: number): string | null {
  const field = arena.bytes.subarray(at, at + NQN_BYTES)
  const bytes = field.indexOf(0)
  if (bytes < 1 || bytes > NQN_BYTES_MAX) return null
  const name = field.slice(0, bytes)
  // Two names that differ in a byte must not become one: no byte is replaced, none left out.
  return isUtf8(name) ? new TextDecoder('utf-8', { ignoreBOM: true }).decode(name) : null
}
