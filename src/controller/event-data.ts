/**
 * The data of persistent events, one function a type, for whoever records an event in history.ts.
 * NVMe Base 2.0, Persistent Event Log; layouts in wire/persistent-event.ts.
 *
 * Invariant: what is returned has the length of the event's layout.
 */
import type { NamespaceSnapshot } from '../subsystem/subsystem.ts'
import { layoutOf } from '../wire/layout.ts'
import {
  FORMAT_END_EVENT, FORMAT_START_EVENT, HARDWARE_ERROR_EVENT, NAMESPACE_EVENT, POWER_ON_EVENT,
  RESET_OF, SANITIZE_END_EVENT, SANITIZE_START_EVENT, TIMESTAMP_EVENT,
} from '../wire/persistent-event.ts'
import { putPadded, putU64 } from '../wire/value.ts'

const SELECT_DELETE = 1
const SHARED = 1
const ANY_CONTROLLER = 0xffff

function blank(...layouts: readonly object[]): DataView {
  return new DataView(new ArrayBuffer(layouts.reduce((sum, each) => sum + layoutOf(each).bytes, 0)))
}

const bytesOf = (view: DataView): Uint8Array => new Uint8Array(view.buffer)

/** The target has started. nowMs: milliseconds since 1970. */
export function poweredOn(firmware: string, powerCycles: number, nowMs: number): Uint8Array {
  const view = blank(POWER_ON_EVENT, RESET_OF)
  const at = layoutOf(POWER_ON_EVENT).bytes
  putPadded(view, POWER_ON_EVENT.fr, at, firmware)
  view.setUint16(at + RESET_OF.cntlid, ANY_CONTROLLER, true)
  view.setUint32(at + RESET_OF.cycles, powerCycles, true)
  putU64(view, at + RESET_OF.ts, Math.floor(nowMs))
  return bytesOf(view)
}

/** code: HARDWARE_ERROR. */
export function hardwareError(code: number): Uint8Array {
  const view = blank(HARDWARE_ERROR_EVENT)
  view.setUint16(HARDWARE_ERROR_EVENT.code, code, true)
  return bytesOf(view)
}

/** previous: 8 bytes, the Timestamp until now. resetMs: since the controller was enabled. */
export function timestampChanged(previous: Uint8Array, resetMs: number): Uint8Array {
  const view = blank(TIMESTAMP_EVENT)
  bytesOf(view).set(previous.subarray(0, 8), TIMESTAMP_EVENT.previous)
  putU64(view, TIMESTAMP_EVENT.resetMs, resetMs)
  return bytesOf(view)
}

export function namespaceChanged(namespace: NamespaceSnapshot, isDeleted: boolean): Uint8Array {
  const view = blank(NAMESPACE_EVENT)
  const field = NAMESPACE_EVENT
  view.setUint32(field.cdw10, isDeleted ? SELECT_DELETE : 0, true)
  view.setUint32(field.nsid, namespace.nsid, true)
  if (isDeleted) return bytesOf(view)
  putU64(view, field.nsze, namespace.blockCount)
  putU64(view, field.ncap, namespace.blockCount)
  view.setUint8(field.nmic, SHARED)
  return bytesOf(view)
}

/** cdw10: of Format NVM. */
export function formatStarted(nsid: number, fna: number, cdw10: number): Uint8Array {
  const view = blank(FORMAT_START_EVENT)
  view.setUint32(FORMAT_START_EVENT.nsid, nsid, true)
  view.setUint8(FORMAT_START_EVENT.fna, fna)
  view.setUint32(FORMAT_START_EVENT.cdw10, cdw10, true)
  return bytesOf(view)
}

/** status: of wire/status.ts, 0 = done. */
export function formatEnded(nsid: number, status: number): Uint8Array {
  const view = blank(FORMAT_END_EVENT)
  view.setUint32(FORMAT_END_EVENT.nsid, nsid, true)
  view.setUint8(FORMAT_END_EVENT.result, status === 0 ? 0 : 1)
  view.setUint32(FORMAT_END_EVENT.status, status, true)
  return bytesOf(view)
}

/** cdw10, cdw11: of Sanitize. */
export function sanitizeStarted(sanicap: number, cdw10: number, cdw11: number): Uint8Array {
  const view = blank(SANITIZE_START_EVENT)
  view.setUint32(SANITIZE_START_EVENT.sanicap, sanicap, true)
  view.setUint32(SANITIZE_START_EVENT.cdw10, cdw10, true)
  view.setUint32(SANITIZE_START_EVENT.cdw11, cdw11, true)
  return bytesOf(view)
}

/** sprog, sstat: as in the sanitize log. */
export function sanitizeEnded(sprog: number, sstat: number): Uint8Array {
  const view = blank(SANITIZE_END_EVENT)
  view.setUint16(SANITIZE_END_EVENT.sprog, sprog, true)
  view.setUint16(SANITIZE_END_EVENT.sstat, sstat, true)
  return bytesOf(view)
}
