/**
 * Features: what Set Features and Get Features change and show. Tables only;
 * src/controller/features.ts keeps the values.     NVMe Base 2.0, Feature Identifiers.
 *
 * Most features are one dword: CDW11 of Set Features, DW0 of the completion of Get Features.
 * Host Behavior Support and Host Identifier are blocks of data instead.
 */
import { bits, layout } from './layout.ts'

export const FID = Object.freeze({
  ARBITRATION: 0x01, POWER_MANAGEMENT: 0x02, TEMPERATURE_THRESHOLD: 0x04, ERROR_RECOVERY: 0x05,
  VOLATILE_WRITE_CACHE: 0x06, NUMBER_OF_QUEUES: 0x07, INTERRUPT_COALESCING: 0x08,
  INTERRUPT_VECTOR: 0x09, WRITE_ATOMICITY: 0x0a, ASYNC_EVENTS: 0x0b, TIMESTAMP: 0x0e,
  KEEP_ALIVE_TIMER: 0x0f, HOST_BEHAVIOUR: 0x16, HOST_IDENTIFIER: 0x81,
  RESERVATION_NOTIFICATION: 0x82, RESERVATION_PERSISTENCE: 0x83, WRITE_PROTECTION: 0x84,
})

/** SEL of Get Features. */
export const FEATURE_SELECT = Object.freeze({ CURRENT: 0, DEFAULT: 1, SAVED: 2, CAPABILITIES: 3 })

/** DW0 of Get Features with SEL 3. */
export const FEATURE_CAPABILITY_BITS = bits('feature capabilities', 32, {
  saveable: [0, 1], namespaceSpecific: [1, 1], changeable: [2, 1],
})

/** FID 04h. tmpth: kelvin; tmpsel: 0 composite, 15 all sensors; thsel: 0 over, 1 under. */
export const TEMPERATURE_BITS = bits('TEMPERATURE_THRESHOLD', 32, {
  tmpth: [0, 16], tmpsel: [16, 4], thsel: [20, 2],
})

/** FID 06h. */
export const WRITE_CACHE_BITS = bits('VOLATILE_WRITE_CACHE', 32, { wce: [0, 1] })

/** FID 07h: 0-based, requested in CDW11, granted in DW0. */
export const QUEUES_BITS = bits('NUMBER_OF_QUEUES', 32, { nsq: [0, 16], ncq: [16, 16] })

/** FID 0Eh. timestamp: milliseconds since 1970-01-01T00:00Z. */
export const TIMESTAMP = layout('TIMESTAMP', 8, { timestamp: [0, 6], attributes: [6, 1], rsvd7: [7, 1] })
export const TIMESTAMP_BYTES = 8
/** synch 1: it may have stood still. origin 0: counted from 0 since a reset; 1: since a host set it. */
export const TIMESTAMP_BITS = bits('TIMESTAMP attributes', 8, { synch: [0, 1], origin: [1, 3] })

/** FID 0Bh. smart: the critical warnings. */
export const ASYNC_EVENT_BITS = bits('ASYNC_EVENTS', 32, {
  smart: [0, 8], namespaceAttributes: [8, 1], firmwareActivation: [9, 1], telemetry: [10, 1],
  ana: [11, 1], zones: [27, 1], discoveryLog: [31, 1],
})

/** FID 16h. acre: the host honours CRD. etdas, lbafee: extended telemetry, extended formats. */
export const HOST_BEHAVIOUR = layout('HOST_BEHAVIOUR', 512, {
  acre: [0, 1], etdas: [1, 1], lbafee: [2, 1], rsvd3: [3, 509],
})
export const HOST_BEHAVIOUR_BYTES = 512

/** FID 81h. EXHID, bit 0 of CDW11, asks for the 128-bit form: the only one on a fabric. */
export const HOST_IDENTIFIER = layout('HOST_IDENTIFIER', 16, { hostid: [0, 16] })
export const HOST_IDENTIFIER_BYTES = 16
export const EXHID = 1

/** FID 84h, of a namespace: what it is now, and in CDW11 what it shall be. */
export const WRITE_PROTECTION = Object.freeze({
  NONE: 0, PROTECTED: 1, UNTIL_POWER_CYCLE: 2, PERMANENT: 3,
})
export const WRITE_PROTECTION_BITS = bits('WRITE_PROTECTION', 32, { wps: [0, 3] })
