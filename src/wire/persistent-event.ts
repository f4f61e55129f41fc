/**
 * The persistent event log, LID 0Dh: what has happened to a subsystem through all of its life.
 * Tables only; src/controller/history.ts keeps the events.   NVMe Base 2.0, Persistent Event Log
 *
 *   ┌ header 512 ┬ event header 24 ┬ event data el - vsil ┬ event header 24 ┬ … ┐   newest first
 *
 * An event ends ehl + 3 + el bytes after it began. Numbers are little-endian.
 */
import { bits, layout } from './layout.ts'

/** lhl: length of the header, but its first 20 bytes. seb: a bit for each type of event. */
export const PERSISTENT_LOG = layout('PERSISTENT_LOG', 512, {
  lid: [0, 1], rsvd1: [1, 3], tnev: [4, 4], tll: [8, 8], lrev: [16, 1], rsvd17: [17, 1],
  lhl: [18, 2], ts: [20, 8], poh: [28, 16], pcc: [44, 8], vid: [52, 2], ssvid: [54, 2],
  sn: [56, 20], mn: [76, 40], subnqn: [116, 256], gnum: [372, 2], rci: [374, 4],
  rsvd378: [378, 102], seb: [480, 32],
})
export const PERSISTENT_LOG_BYTES = 512
export const PERSISTENT_LOG_REVISION = 2
export const PERSISTENT_LOG_LHL = 492
/** exists: a host has a reporting context. */
export const RCI_BITS = bits('RCI', 32, { port: [0, 16], portType: [16, 2], exists: [18, 1] })

/** ehl: length of what follows it, 21. el: length of what follows the header. */
export const PERSISTENT_EVENT = layout('PERSISTENT_EVENT', 24, {
  type: [0, 1], revision: [1, 1], ehl: [2, 1], ehai: [3, 1], cntlid: [4, 2], ets: [6, 8],
  pelpid: [14, 2], rsvd16: [16, 4], vsil: [20, 2], el: [22, 2],
})
export const PERSISTENT_EVENT_BYTES = 24
export const PERSISTENT_EVENT_EHL = 21

export const PERSISTENT_EVENT_TYPE = Object.freeze({
  HEALTH: 0x01, FIRMWARE: 0x02, TIMESTAMP: 0x03, POWER_ON: 0x04, HARDWARE_ERROR: 0x05,
  NAMESPACE: 0x06, FORMAT_START: 0x07, FORMAT_END: 0x08, SANITIZE_START: 0x09,
  SANITIZE_END: 0x0a, FEATURE: 0x0b, TELEMETRY: 0x0c, TEMPERATURE: 0x0d,
})

/** LSP of Get Log Page. */
export const CONTEXT_ACTION = Object.freeze({ READ: 0, ESTABLISH: 1, RELEASE: 2 })

/** POWER_ON: the firmware, then one RESET_OF a controller. */
export const POWER_ON_EVENT = layout('POWER_ON_EVENT', 8, { fr: [0, 8] })
export const RESET_OF = layout('RESET_OF', 36, {
  cntlid: [0, 2], activation: [2, 1], busy: [3, 1], rsvd4: [4, 12], cycles: [16, 4],
  onMs: [20, 8], ts: [28, 8],
})

/** HARDWARE_ERROR. */
export const HARDWARE_ERROR_EVENT = layout('HARDWARE_ERROR_EVENT', 4, {
  code: [0, 2], rsvd2: [2, 2],
})
export const HARDWARE_ERROR = Object.freeze({ UNSAFE_SHUTDOWN: 8 })

/** TIMESTAMP: what it was before, and how long ago the controller was reset. */
export const TIMESTAMP_EVENT = layout('TIMESTAMP_EVENT', 16, { previous: [0, 8], resetMs: [8, 8] })

/** NAMESPACE: cdw10 is that of Namespace Management, 0 created, 1 deleted. */
export const NAMESPACE_EVENT = layout('NAMESPACE_EVENT', 48, {
  cdw10: [0, 4], rsvd4: [4, 4], nsze: [8, 8], rsvd16: [16, 8], ncap: [24, 8], flbas: [32, 1],
  dps: [33, 1], nmic: [34, 1], rsvd35: [35, 1], anagrpid: [36, 4], nvmsetid: [40, 2],
  endgid: [42, 2], nsid: [44, 4],
})

export const FORMAT_START_EVENT = layout('FORMAT_START_EVENT', 12, {
  nsid: [0, 4], fna: [4, 1], rsvd5: [5, 3], cdw10: [8, 4],
})
/** status: 0 = done; info: bytes of the completion, status: its status field. */
export const FORMAT_END_EVENT = layout('FORMAT_END_EVENT', 12, {
  nsid: [0, 4], fpi: [4, 1], result: [5, 1], info: [6, 2], status: [8, 4],
})
export const SANITIZE_START_EVENT = layout('SANITIZE_START_EVENT', 12, {
  sanicap: [0, 4], cdw10: [4, 4], cdw11: [8, 4],
})
export const SANITIZE_END_EVENT = layout('SANITIZE_END_EVENT', 8, {
  sprog: [0, 2], sstat: [2, 2], info: [4, 2], rsvd6: [6, 2],
})
