/**
 * DH-HMAC-CHAP: the messages that Authentication Send and Receive carry. Tables only; src/auth
 * makes and checks them.                               NVMe Base 2.0, 8.13.5 (DH-HMAC-CHAP)
 *
 *   host ─▶ NEGOTIATE, REPLY, SUCCESS2, FAILURE2     controller ─▶ CHALLENGE, SUCCESS1, FAILURE1
 *
 * Each message begins with the fields of AUTH_HEADER; what follows a layout is of variable length.
 */
import { layout } from './layout.ts'

const HEADER = { authType: [0, 1], authId: [1, 1], rsvd2: [2, 2], tid: [4, 2] } as const

/** The security protocol of both commands, and its specifics: SECP, SPSP0 and SPSP1. */
export const SECP_NVME = 0xe9
export const SPSP = 1
/** The largest message: a negotiation with 255 descriptors has 16,328 bytes. */
export const AUTH_BYTES_MAX = 16384

export const AUTH_TYPE = Object.freeze({ COMMON: 0, DH_CHAP: 1 })
export const AUTH_ID = Object.freeze({
  NEGOTIATE: 0x00, CHALLENGE: 0x01, REPLY: 0x02, SUCCESS1: 0x03, SUCCESS2: 0x04,
  FAILURE2: 0xf0, FAILURE1: 0xf1,
})

export const AUTH_HEADER = layout('AUTH_HEADER', 6, HEADER)

/** scC: 0 = no secure channel. Then napd descriptors. */
export const AUTH_NEGOTIATE = layout('AUTH_NEGOTIATE', 8, { ...HEADER, scC: [6, 1], napd: [7, 1] })
export const AUTH_NEGOTIATE_BYTES = 8

/** A protocol that the host offers: halen hash identifiers and dhlen group identifiers. */
export const AUTH_DESCRIPTOR = layout('AUTH_DESCRIPTOR', 64, {
  authid: [0, 1], rsvd1: [1, 1], halen: [2, 1], dhlen: [3, 1], hashes: [4, 30], groups: [34, 30],
})
export const AUTH_DESCRIPTOR_BYTES = 64
export const AUTH_IDS_MAX = 30
export const AUTH_PROTOCOL_DH_CHAP = 1

/** Then CVAL, hl bytes, and the controller's DH value, dhvlen bytes. */
export const AUTH_CHALLENGE = layout('AUTH_CHALLENGE', 16, {
  ...HEADER, hl: [6, 1], rsvd7: [7, 1], hashid: [8, 1], dhgid: [9, 1], dhvlen: [10, 2],
  seqnum: [12, 4],
})
/** Then RVAL and CVAL, hl bytes each, and the host's DH value. cvalid 1: CVAL is a challenge. */
export const AUTH_REPLY = layout('AUTH_REPLY', 16, {
  ...HEADER, hl: [6, 1], rsvd7: [7, 1], cvalid: [8, 1], rsvd9: [9, 1], dhvlen: [10, 2],
  seqnum: [12, 4],
})
/** Then RVAL, hl bytes, where rvalid is 1. Linux wants hl in any case. */
export const AUTH_SUCCESS1 = layout('AUTH_SUCCESS1', 16, {
  ...HEADER, hl: [6, 1], rsvd7: [7, 1], rvalid: [8, 1], rsvd9: [9, 7],
})
export const AUTH_SUCCESS2 = layout('AUTH_SUCCESS2', 16, { ...HEADER, rsvd6: [6, 10] })
/** What CHALLENGE, REPLY, SUCCESS1 and SUCCESS2 have before their values. */
export const AUTH_FIXED_BYTES = 16

export const AUTH_FAILURE = layout('AUTH_FAILURE', 8, { ...HEADER, rc: [6, 1], rce: [7, 1] })
export const AUTH_FAILURE_BYTES = 8
/** The one reason code; what it is about is in rce. */
export const AUTH_FAILED = 1
export const AUTH_FAULT = Object.freeze({
  FAILED: 1, PROTOCOL_UNUSABLE: 2, CHANNEL_MISMATCH: 3, HASH_UNUSABLE: 4, GROUP_UNUSABLE: 5,
  INCORRECT_PAYLOAD: 6, INCORRECT_MESSAGE: 7,
})
export const AUTH_FAULTS = Object.freeze([
  { rce: 1, name: 'FAILED', text: 'authentication failed' },
  { rce: 2, name: 'PROTOCOL_UNUSABLE', text: 'authentication protocol not usable' },
  { rce: 3, name: 'CHANNEL_MISMATCH', text: 'secure channel concatenation mismatch' },
  { rce: 4, name: 'HASH_UNUSABLE', text: 'hash function not usable' },
  { rce: 5, name: 'GROUP_UNUSABLE', text: 'DH group not usable' },
  { rce: 6, name: 'INCORRECT_PAYLOAD', text: 'incorrect payload' },
  { rce: 7, name: 'INCORRECT_MESSAGE', text: 'incorrect protocol message' },
])

/** Hash functions; bytes: of their values. `hash` is what OpenSSL calls it. */
export const AUTH_HASHES = Object.freeze([
  { id: 1, name: 'sha-256', hash: 'sha256', bytes: 32 },
  { id: 2, name: 'sha-384', hash: 'sha384', bytes: 48 },
  { id: 3, name: 'sha-512', hash: 'sha512', bytes: 64 },
])
/** DH groups of RFC 7919; bytes: of their values. */
export const AUTH_GROUPS = Object.freeze([
  { id: 0, name: 'null', bytes: 0 },
  { id: 1, name: 'ffdhe2048', bytes: 256 },
  { id: 2, name: 'ffdhe3072', bytes: 384 },
  { id: 3, name: 'ffdhe4096', bytes: 512 },
  { id: 4, name: 'ffdhe6144', bytes: 768 },
  { id: 5, name: 'ffdhe8192', bytes: 1024 },
])
