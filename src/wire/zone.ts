/**
 * Zones: what the Zoned Namespace command set adds to commands (sqe.ts has their entries), Identify and logs. Tables
 * only; src/nvme decodes what a device says, src/controller fills what hosts are told.   Zoned Namespace Command Set 1.1
 *
 *   a namespace │ zone 0 │ zone 1 │ …      each: capacity ≤ size; written from its start to its write pointer
 *
 * Blocks and zones are addressed by LBA; a zone by its first one.
 */
import { bits, layout } from './layout.ts'

/** zsaso: with a write pointer in a random write area, which nothing here has. */
export const ZONE_SEND_CDW13 = bits('ZONE_MANAGEMENT_SEND CDW13', 32, { zsa: [0, 8], all: [8, 1], zsaso: [9, 1] })
/** zsa. */
export const ZONE_ACTION = Object.freeze({
  CLOSE: 1, FINISH: 2, OPEN: 3, RESET: 4, OFFLINE: 5, SET_EXTENSION: 0x10, FLUSH_RANDOM: 0x11,
})

/** partial: the count of zones is that of the descriptors which were returned. */
export const ZONE_RECEIVE_CDW13 = bits('ZONE_MANAGEMENT_RECEIVE CDW13', 32, {
  zra: [0, 8], zrasf: [8, 8], partial: [16, 1],
})
/** zra. */
export const ZONE_REPORT_KIND = Object.freeze({ REPORT: 0, EXTENDED: 1 })

/** What a report begins with; descriptors follow, with extensions behind each where it is an extended one. */
export const ZONE_REPORT = layout('ZONE_REPORT', 64, { count: [0, 8], rsvd8: [8, 56] })
export const ZONE_REPORT_BYTES = 64
/** zt: 3:0, 2 = written in sequence. zs: 7:4, see ZONE_STATE. */
export const ZONE_DESCRIPTOR = layout('ZONE_DESCRIPTOR', 64, {
  zt: [0, 1], zs: [1, 1], za: [2, 1], zai: [3, 1], rsvd4: [4, 4], zcap: [8, 8], zslba: [16, 8], wp: [24, 8],
  rsvd32: [32, 32],
})
export const ZONE_STATE = Object.freeze({
  EMPTY: 1, IMPLICITLY_OPEN: 2, EXPLICITLY_OPEN: 3, CLOSED: 4, READ_ONLY: 0xd, FULL: 0xe, OFFLINE: 0xf,
})

/** CNS 05h, CSI 2. mar, mor: 0-based, FFFFFFFFh = no limit. lbafe: 64 of 16 bytes. */
export const ZONED_NAMESPACE = layout('ZONED_NAMESPACE', 4096, {
  zoc: [0, 2], ozcs: [2, 2], mar: [4, 4], mor: [8, 4], rrl: [12, 4], frl: [16, 4], rrl1: [20, 4], rrl2: [24, 4],
  rrl3: [28, 4], frl1: [32, 4], frl2: [36, 4], frl3: [40, 4], numzrwa: [44, 4], zrwafg: [48, 2], zrwas: [50, 2],
  zrwacap: [52, 1], rsvd53: [53, 2763], lbafe: [2816, 1024], vendor: [3840, 256],
})
/** variable: capacities may change. excursions: zones may become full by themselves, to be told by an event. */
export const ZOC_BITS = bits('ZOC', 16, { variable: [0, 1], excursions: [1, 1] })
/** razb: a Read may cross zones. */
export const OZCS_BITS = bits('OZCS', 16, { razb: [0, 1], zrwa: [1, 1] })
/** Of an LBA format. zdes: bytes of an extension, in 64. */
export const ZONED_FORMAT = layout('ZONED_FORMAT', 16, { zsze: [0, 8], zdes: [8, 1], rsvd9: [9, 7] })
export const ZONE_EXTENSION_UNIT_BYTES = 64

/** CNS 06h, CSI 2. zasl: of one Zone Append, 2^n × 4 KiB; 0 = as MDTS. */
export const ZONED_CONTROLLER = layout('ZONED_CONTROLLER', 4096, { zasl: [0, 1], rsvd1: [1, 4095] })

/** LID BFh, of one namespace: zones that have changed by themselves. count FFFFh: more than fit, and none is named. */
export const CHANGED_ZONES = layout('CHANGED_ZONES', 4096, { count: [0, 2], rsvd2: [2, 6], zslbas: [8, 4088] })
export const CHANGED_ZONES_MAX = 511
export const CHANGED_ZONES_TOO_MANY = 0xffff
