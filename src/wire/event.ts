/**
 * Asynchronous events: what a completion of an Asynchronous Event Request can say. Tables only;
 * src/controller/events.ts decides when it does.       NVMe Base 2.0, Asynchronous Event Request
 *
 *   DW0 │ type 2:0 │ info 15:8 │ lid 23:16 │      lid: the log that tells more, and clears the event
 */
import { ASYNC_EVENT_BITS } from './feature.ts'
import { bits, putBits } from './layout.ts'
import { LID } from './log-page.ts'

export const EVENT_DW0 = bits('ASYNC_EVENT', 32, { type: [0, 3], info: [8, 8], lid: [16, 8] })

export const EVENT_TYPE = Object.freeze({ ERROR: 0, SMART: 1, NOTICE: 2, IO_COMMAND_SET: 6 })

export type AsyncEvent = {
  readonly type: number
  readonly info: number
  readonly lid: number
  /** Bit of feature 0Bh that the host sets to be told; 0 = it is told in any case. */
  readonly mask: number
}

const { ERROR, SMART, NOTICE, IO_COMMAND_SET } = EVENT_TYPE
const { namespaceAttributes, ana, zones, discoveryLog } = ASYNC_EVENT_BITS

/** SMART_…: the mask is the bit of the critical warning. */
export const EVENT = Object.freeze({
  DIAGNOSTIC_FAILURE: { type: ERROR, info: 2, lid: LID.ERRORS, mask: 0 },
  PERSISTENT_INTERNAL_ERROR: { type: ERROR, info: 3, lid: LID.ERRORS, mask: 0 },
  TRANSIENT_INTERNAL_ERROR: { type: ERROR, info: 4, lid: LID.ERRORS, mask: 0 },
  SMART_SPARE: { type: SMART, info: 2, lid: LID.SMART, mask: 1 << 0 },
  SMART_TEMPERATURE: { type: SMART, info: 1, lid: LID.SMART, mask: 1 << 1 },
  SMART_DEGRADED: { type: SMART, info: 0, lid: LID.SMART, mask: 1 << 2 },
  SMART_READ_ONLY: { type: SMART, info: 0, lid: LID.SMART, mask: 1 << 3 },
  SMART_BACKUP: { type: SMART, info: 0, lid: LID.SMART, mask: 1 << 4 },
  NAMESPACE_ATTRIBUTES: {
    type: NOTICE, info: 0x00, lid: LID.CHANGED_NAMESPACES, mask: putBits(namespaceAttributes, 1),
  },
  ANA: { type: NOTICE, info: 0x03, lid: LID.ANA, mask: putBits(ana, 1) },
  /** DW1 of the completion is the NSID. */
  ZONES: { type: NOTICE, info: 0xef, lid: LID.CHANGED_ZONES, mask: putBits(zones, 1) },
  DISCOVERY_LOG: { type: NOTICE, info: 0xf0, lid: LID.DISCOVERY, mask: putBits(discoveryLog, 1) },
  RESERVATION_LOG: { type: IO_COMMAND_SET, info: 0, lid: LID.RESERVATION_NOTICES, mask: 0 },
  SANITIZE_COMPLETED: { type: IO_COMMAND_SET, info: 1, lid: LID.SANITIZE, mask: 0 },
} satisfies Record<string, AsyncEvent>)

export type EventName = keyof typeof EVENT
