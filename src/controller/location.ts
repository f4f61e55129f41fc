/**
 * Where a command is wrong: the Parameter Error Location of the error log, from the status and the
 * entry itself. admin and io call it for a command that has failed.
 * NVMe Base 2.0, Error Information Log Entry
 *
 *   location: byte of the submission queue entry │ bit << 8
 *   where, as it is kept: location │ opcode << 16
 *
 * Invariant: a location is told only where the status leaves no doubt which field is meant.
 */
import { CNS } from '../wire/identify.ts'
import { LOCATION_NONE } from '../wire/log-page.ts'
import {
  ADMIN_OPCODE, GET_FEATURES, GET_LOG_PAGE, IDENTIFY, IO_OPCODE, READ_WRITE, SET_FEATURES, SQE,
} from '../wire/sqe.ts'
import { STATUS } from '../wire/status.ts'
import { takeU64 } from '../wire/value.ts'
import { supportedFeatures } from './features.ts'

const SAVE_BIT = 7

/** By status: the field that it is about, whatever the command. */
const FIELDS = new Map<number, number>([
  [STATUS.INVALID_OPCODE, SQE.opcode],
  [STATUS.INVALID_NAMESPACE, SQE.nsid],
  [STATUS.FEATURE_NOT_NAMESPACE_SPECIFIC, SQE.nsid],
  [STATUS.DATA_SGL_LENGTH_INVALID, SQE.sglLength],
  [STATUS.LBA_OUT_OF_RANGE, READ_WRITE.slba],
  [STATUS.INVALID_LOG_PAGE, GET_LOG_PAGE.lid],
  [STATUS.FEATURE_NOT_SAVEABLE, SET_FEATURES.sv | SAVE_BIT << 8],
  [STATUS.FEATURE_NOT_CHANGEABLE, SET_FEATURES.fid],
  [STATUS.KEEP_ALIVE_INVALID, SET_FEATURES.cdw11],
])
/** Commands whose invalid field is their number of blocks. */
const WITH_NLB: ReadonlySet<number> = new Set([
  IO_OPCODE.READ, IO_OPCODE.WRITE, IO_OPCODE.COMPARE, IO_OPCODE.VERIFY, IO_OPCODE.WRITE_ZEROES,
])

/** What the error log keeps of where an I/O command is wrong. */
export function whereOfIo(opcode: number, status: number): number {
  const invalid = status === STATUS.INVALID_FIELD && WITH_NLB.has(opcode)
  return (invalid ? READ_WRITE.nlb : FIELDS.get(status) ?? LOCATION_NONE) | opcode << 16
}

/** The same of an admin command. sqe: byte offset of its entry in view. */
export function whereOfAdmin(status: number, view: DataView, sqe: number): number {
  const opcode = view.getUint8(sqe + SQE.opcode)
  const location = status === STATUS.INVALID_FIELD
    ? invalidField(opcode, view, sqe) : FIELDS.get(status) ?? LOCATION_NONE
  return location | opcode << 16
}

function invalidField(opcode: number, view: DataView, sqe: number): number {
  switch (opcode) {
    case ADMIN_OPCODE.IDENTIFY:
      return ofIdentify(view.getUint8(sqe + IDENTIFY.cns), view.getUint8(sqe + IDENTIFY.csi))
    case ADMIN_OPCODE.GET_LOG_PAGE:
      return ofLogPage(view, sqe)
    case ADMIN_OPCODE.SET_FEATURES:
      if (!isFeature(view.getUint8(sqe + SET_FEATURES.fid))) return SET_FEATURES.fid
      return SET_FEATURES.cdw11
    case ADMIN_OPCODE.GET_FEATURES: {
      if (!isFeature(view.getUint8(sqe + GET_FEATURES.fid))) return GET_FEATURES.fid
      return (view.getUint8(sqe + GET_FEATURES.sel) & 7) > 3 ? GET_FEATURES.sel : GET_FEATURES.cdw11
    }
    default:
      return LOCATION_NONE
  }
}

const isFeature = (fid: number): boolean => supportedFeatures('nvm').includes(fid)

function ofIdentify(cns: number, csi: number): number {
  if (cns === CNS.COMMAND_SETS) return IDENTIFY.cntid
  const byCommandSet = cns === CNS.NAMESPACE_OF_COMMAND_SET || cns === CNS.CONTROLLER_OF_COMMAND_SET
    || cns === CNS.ACTIVE_NAMESPACES_OF_COMMAND_SET
  return byCommandSet && csi !== 0 ? IDENTIFY.csi : IDENTIFY.cns
}

/** An offset can be wrong in any log, a length only where the offset is not. */
function ofLogPage(view: DataView, sqe: number): number {
  const offset = takeU64(view, sqe + GET_LOG_PAGE.lpo)
  return offset === 0 ? GET_LOG_PAGE.numdl : GET_LOG_PAGE.lpo
}
