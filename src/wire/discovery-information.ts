/**
 * Discovery information: extended discovery log entries, and the Discovery Information Management
 * command that registers entries with a central discovery controller. Tables only;
 * subsystem/discovery-information.ts reads them, subsystem/discovery.ts and discovery/ write them.
 * NVMe Base 2.0, Discovery log; Discovery Information Management command.
 *
 *   data:   ┌ header 1024: who registers ┬ entry ┬ entry …        (basic: 1024 bytes each)
 *   entry:  ┌ as in the discovery log 1024 ┬ TEL NUMEXAT 8 ┬ attribute ┬ attribute …    (extended)
 */
import { layout } from './layout.ts'

/** Behind the 1024 bytes of an entry. tel: bytes of the whole entry. numexat: attributes. */
export const EXTENDED_ENTRY_TAIL = layout('EXTENDED_ENTRY_TAIL', 8, {
  tel: [0, 4], numexat: [4, 2], rsvd6: [6, 2],
})
export const EXTENDED_ENTRY_TAIL_BYTES = 8

/** An attribute; exatlen bytes of value follow, filled up to a multiple of 4. */
export const EXTENDED_ATTRIBUTE = layout('EXTENDED_ATTRIBUTE', 4, {
  exattype: [0, 2], exatlen: [2, 2],
})
export const EXTENDED_ATTRIBUTE_BYTES = 4
export const EXATTYPE = Object.freeze({ HOST_ID: 1, SYMBOLIC_NAME: 2, SYMBOLIC_NAME_UTF8: 3 })

/** The header of the data. tdl: bytes of all of it. eid: the NQN of who registers. */
export const DISCOVERY_INFORMATION = layout('DISCOVERY_INFORMATION', 1024, {
  tdl: [0, 4], rsvd4: [4, 4], nument: [8, 8], entfmt: [16, 2], etype: [18, 2], portlcl: [20, 1],
  rsvd21: [21, 1], ektype: [22, 2], eid: [24, 256], ename: [280, 256], ever: [536, 64],
  rsvd600: [600, 424],
})
export const DISCOVERY_INFORMATION_BYTES = 1024
export const ENAME_BYTES = 256
export const EVER_BYTES = 64

export const ENTFMT = Object.freeze({ BASIC: 1, EXTENDED: 2 })
/** Who registers: a host, a direct or a central discovery controller. */
export const ETYPE = Object.freeze({ HOST: 1, DIRECT: 2, CENTRAL: 3 })
/** The one key type that there is: an entry is known by all that says where it is. */
export const EKTYPE_ALL = 0x5f

/** TAS. */
export const DIM_TASK = Object.freeze({ REGISTER: 0, DEREGISTER: 1, UPDATE: 2 })
