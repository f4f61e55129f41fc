/**
 * Media that are being formatted or sanitized: what is refused meanwhile, and with which status. The catalogue marks
 * namespaces when the target changes; guard, io and admin ask; log-page has the sanitize log.
 * NVMe Base 2.0, 5.27 Format NVM, 8.20 Sanitize Operations
 *
 * Invariant: `barred` of a namespace is not 0 exactly while its medium is being erased, or may not be used.
 */
import { isReadOnly, type NamespaceTable } from '../namespace/namespace.ts'
import type { SubsystemSnapshot } from '../subsystem/subsystem.ts'
import type { UpkeepTask } from '../subsystem/upkeep.ts'
import { putBits, takeBits } from '../wire/layout.ts'
import { SANITIZE_LOG, SANITIZE_LOG_BYTES, SSTAT, SSTAT_BITS } from '../wire/sanitize.ts'
import { ACCESS, ADMIN_OPCODE, NSID_ALL, SANITIZE_CDW10, SQE } from '../wire/sqe.ts'
import { STATUS } from '../wire/status.ts'
import type { Controller } from './controller.ts'
import { GUARD } from './guard.ts'
import { reservationStatus } from './rights.ts'

const NSID_WORD = SQE.nsid >> 2
const CDW10_WORD = SQE.cdw10 >> 2
const NOT_RUNNING = 0xffff
/** The time that it takes is not told. */
const NO_ESTIMATE = 0xffff_ffff

/** The status that commands on the media of a subsystem end with, or 0. */
function sanitizeStatus({ sanitize }: SubsystemSnapshot): number {
  if (sanitize === undefined) return 0
  if (sanitize.status === 'running') return STATUS.SANITIZE_IN_PROGRESS
  return sanitize.locked ? STATUS.SANITIZE_FAILED : 0
}

/** Sets or clears the bits of each namespace of a subsystem. */
export function markMedia(subsystem: SubsystemSnapshot, table: NamespaceTable): void {
  const sanitizing = sanitizeStatus(subsystem)
  for (const namespace of table) {
    if (namespace === null) continue
    const formatting = namespace.snapshot.formatting !== undefined
    namespace.guards &= ~(GUARD.FORMATTING | GUARD.SANITIZING)
    if (formatting) namespace.guards |= GUARD.FORMATTING
    if (sanitizing !== 0) namespace.guards |= GUARD.SANITIZING
    namespace.barred = sanitizing !== 0 ? sanitizing : formatting ? STATUS.FORMAT_IN_PROGRESS : 0
  }
}

/** The status that an admin command is refused with because of the media, or 0. */
export function mediaRefusal(controller: Controller, opcode: number, nsid: number): number {
  const { subsystem } = controller
  if (opcode === ADMIN_OPCODE.SANITIZE) {
    if (subsystem.sanitize?.status === 'running') return STATUS.SANITIZE_IN_PROGRESS
    if (subsystem.namespaces.some(({ formatting }) => formatting !== undefined)) return STATUS.FORMAT_IN_PROGRESS
    if (subsystem.namespaces.some((each) => isReadOnly(each))) return STATUS.NAMESPACE_WRITE_PROTECTED
    return conflict(controller, () => true)
  }
  const isInventory = opcode === ADMIN_OPCODE.NAMESPACE_MANAGEMENT || opcode === ADMIN_OPCODE.NAMESPACE_ATTACHMENT
  if (opcode !== ADMIN_OPCODE.FORMAT_NVM && !isInventory) return 0
  const sanitizing = sanitizeStatus(subsystem)
  if (sanitizing !== 0 || isInventory) return sanitizing
  const wanted = nsid >>> 0
  // FNA: one namespace at a time.
  if (wanted === NSID_ALL) return STATUS.INVALID_FIELD
  const namespace = subsystem.namespaces.find((each) => each.nsid === wanted)
  if (namespace === undefined) return STATUS.INVALID_NAMESPACE
  if (namespace.formatting !== undefined) return STATUS.FORMAT_IN_PROGRESS
  if (isReadOnly(namespace)) return STATUS.NAMESPACE_WRITE_PROTECTED
  return conflict(controller, (each) => each === wanted)
}

/** Format NVM or Sanitize, as the control plane gets it. w: word index of the entry. */
export function mediaTask(opcode: number, words: Int32Array, w: number): UpkeepTask {
  const nsid = words[w + NSID_WORD]! >>> 0
  const cdw10 = words[w + CDW10_WORD]! >>> 0
  if (opcode === ADMIN_OPCODE.FORMAT_NVM) return { kind: 'format', nsid, cdw10 }
  return { kind: 'sanitize', nsid, cdw10, cdw11: words[w + CDW10_WORD + 1]! >>> 0 }
}

/** Whoever may not write may not erase. */
function conflict({ namespaces, hostId }: Controller, concerned: (nsid: number) => boolean): number {
  for (const namespace of namespaces) {
    if (namespace === null || !concerned(namespace.nsid)) continue
    const status = reservationStatus(namespace, hostId, ACCESS.WRITES)
    if (status !== 0) return status
  }
  return 0
}

/** LID 81h. */
export function sanitizeLog({ sanitize }: SubsystemSnapshot): Uint8Array {
  const view = new DataView(new ArrayBuffer(SANITIZE_LOG_BYTES))
  view.setUint16(SANITIZE_LOG.sprog, sanitize?.status === 'running' ? sanitize.progress : NOT_RUNNING, true)
  view.setUint16(SANITIZE_LOG.sstat, sstatOf(sanitize), true)
  view.setUint32(SANITIZE_LOG.scdw10, sanitize?.cdw10 ?? 0, true)
  for (const at of ['eto', 'etbe', 'etce', 'etond', 'etbend', 'etcend'] as const) {
    view.setUint32(SANITIZE_LOG[at], NO_ESTIMATE, true)
  }
  return new Uint8Array(view.buffer)
}

/** Each piece of a medium gets all of its passes before the next, so that they are complete at the end only. */
export function sstatOf(sanitize: SubsystemSnapshot['sanitize']): number {
  if (sanitize === undefined) return putBits(SSTAT_BITS.status, SSTAT.NEVER)
  const status = { running: SSTAT.RUNNING, done: SSTAT.DONE, failed: SSTAT.FAILED }[sanitize.status]
  const overwrite = takeBits(sanitize.cdw10, SANITIZE_CDW10.sanact) === 3
  const passes = overwrite && sanitize.status === 'done' ? takeBits(sanitize.cdw10, SANITIZE_CDW10.owpass) || 16 : 0
  return putBits(SSTAT_BITS.status, status) | putBits(SSTAT_BITS.passes, passes)
}
