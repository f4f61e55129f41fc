/**
 * Namespace Management and Namespace Attachment, as far as a reactor has to do with them: it decodes them, and the
 * control plane executes them (src/inventory.ts). admin calls it.
 * NVMe Base 2.0, Namespace Management, Namespace Attachment; NVM Command Set 1.0, Host Software Specified Fields
 *
 * Invariant: what leaves here has the form that the specification gives it; whether it can be done is not looked at.
 */
import type { Slot } from '../reactor/slots.ts'
import type { InventoryTask } from '../subsystem/pool.ts'
import { CONTROLLER_LIST, CONTROLLER_LIST_MAX, NAMESPACE_REQUEST, NAMESPACE_REQUEST_BYTES } from '../wire/identify.ts'
import { layoutOf } from '../wire/layout.ts'
import {
  ADMIN_OPCODE, NAMESPACE_ATTACHMENT_SEL, NAMESPACE_MANAGEMENT, NAMESPACE_MANAGEMENT_SEL, SQE,
} from '../wire/sqe.ts'
import { STATUS } from '../wire/status.ts'
import { takeU64 } from '../wire/value.ts'

const SEL_MASK = 0xf

/** SEL is at the same place in both. Bytes that the command has to bring; 0: none. sqe: byte offset of the entry in view. */
export function inventoryBytes({ opcode }: Pick<Slot, 'opcode'>, view: DataView, sqe: number): number {
  const sel = view.getUint8(sqe + NAMESPACE_MANAGEMENT.sel) & SEL_MASK
  if (opcode === ADMIN_OPCODE.NAMESPACE_ATTACHMENT) {
    const known = sel === NAMESPACE_ATTACHMENT_SEL.ATTACH || sel === NAMESPACE_ATTACHMENT_SEL.DETACH
    return known ? layoutOf(CONTROLLER_LIST).bytes : 0
  }
  return sel === NAMESPACE_MANAGEMENT_SEL.CREATE ? NAMESPACE_REQUEST_BYTES : 0
}

/** The task for the control plane, or the status that refuses the command. */
export function inventoryTask(
  { opcode, bytes }: Pick<Slot, 'opcode' | 'bytes'>, view: DataView, sqe: number, payload: Uint8Array,
): InventoryTask | number {
  const nsid = view.getUint32(sqe + SQE.nsid, true)
  const sel = view.getUint8(sqe + NAMESPACE_MANAGEMENT.sel) & SEL_MASK
  if (payload.length === 0) {
    const deletes = opcode === ADMIN_OPCODE.NAMESPACE_MANAGEMENT && sel === NAMESPACE_MANAGEMENT_SEL.DELETE
    if (!deletes) return STATUS.INVALID_FIELD
    return bytes === 0 ? { kind: 'delete', nsid } : STATUS.DATA_SGL_LENGTH_INVALID
  }
  const data = new DataView(payload.buffer, payload.byteOffset, payload.byteLength)
  if (opcode === ADMIN_OPCODE.NAMESPACE_ATTACHMENT) {
    const count = data.getUint16(CONTROLLER_LIST.count, true)
    if (count > CONTROLLER_LIST_MAX) return STATUS.CONTROLLER_LIST_INVALID
    const cntlids = Array.from({ length: count }, (_, k) => data.getUint16(CONTROLLER_LIST.cntlids + 2 * k, true))
    return { kind: sel === NAMESPACE_ATTACHMENT_SEL.ATTACH ? 'attach' : 'detach', nsid, cntlids }
  }
  // The controller chooses the NSID.
  if (nsid !== 0) return STATUS.INVALID_FIELD
  const field = NAMESPACE_REQUEST
  return {
    kind: 'create', nsid,
    request: {
      csi: view.getUint8(sqe + NAMESPACE_MANAGEMENT.csi), nsze: takeU64(data, field.nsze), ncap: takeU64(data, field.ncap),
      flbas: data.getUint8(field.flbas), dps: data.getUint8(field.dps), nmic: data.getUint8(field.nmic),
      anagrpid: data.getUint32(field.anagrpid, true), nvmsetid: data.getUint16(field.nvmsetid, true),
      endgid: data.getUint16(field.endgid, true), lbstm: takeU64(data, field.lbstm),
    },
  }
}
