/**
 * PDUs as bytes, written by hand for the tests. test → wire-bytes; imports nothing of src/.
 * NVMe/TCP Transport 1.0a, PDU structure: every offset is a decimal byte from the start of the PDU.
 *
 *   ┌ CH 8 B ┬ PSH hlen-8 ┬ HDGST 0|4 ┬ PAD → pdo ┬ DATA ┬ DDGST 0|4 ┐
 *
 * Invariant: nothing here shares a table, a constant or a checksum with the target, so that a wrong
 * offset in the target cannot be wrong here in the same way.
 */

export const IC_REQ = 0x00
export const IC_RESP = 0x01
export const H2C_TERM_REQ = 0x02
export const C2H_TERM_REQ = 0x03
export const CAPSULE_CMD = 0x04
export const CAPSULE_RESP = 0x05
export const H2C_DATA = 0x06
export const C2H_DATA = 0x07
export const R2T = 0x09

export const FLAG_HDGST = 0x01
export const FLAG_DDGST = 0x02
export const FLAG_LAST = 0x04
export const FLAG_SUCCESS = 0x08

/** Which digests a connection negotiated. */
export type Digests = { readonly header: boolean; readonly data: boolean }
export const NO_DIGESTS: Digests = { header: false, data: false }

/** CRC32C, one bit at a time: slow, and too short to be wrong unnoticed. */
function crc32cOfByte(byte: number): number {
  let crc = byte
  for (let bit = 0; bit < 8; bit += 1) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1
  return crc >>> 0
}

const CRC_OF_BYTE = Uint32Array.from({ length: 256 }, (_, byte) => crc32cOfByte(byte))

/** Castagnoli, reflected, initial value and final exclusive-or all ones. */
export function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff
  for (const byte of bytes) crc = (crc >>> 8) ^ (CRC_OF_BYTE[(crc ^ byte) & 0xff] ?? 0)
  return (crc ^ 0xffffffff) >>> 0
}

/** The four bytes of a digest as they travel: little-endian. */
export function digestBytes(covered: Uint8Array): Buffer {
  const digest = Buffer.alloc(4)
  digest.writeUInt32LE(crc32c(covered), 0)
  return digest
}

function commonHeader(type: number, flags: number, hlen: number, pdo: number, plen: number) {
  const header = Buffer.alloc(hlen)
  header.writeUInt8(type, 0)
  header.writeUInt8(flags, 1)
  header.writeUInt8(hlen, 2)
  header.writeUInt8(pdo, 3)
  header.writeUInt32LE(plen, 4)
  return header
}

/** Initialize Connection Request: 128 bytes. */
export function icReq(
  fields: { pfv?: number; hpda?: number; dgst?: number; maxr2t?: number } = {},
): Buffer {
  const pdu = commonHeader(IC_REQ, 0, 128, 0, 128)
  pdu.writeUInt16LE(fields.pfv ?? 0, 8)
  pdu.writeUInt8(fields.hpda ?? 0, 10)
  pdu.writeUInt8(fields.dgst ?? 0, 11)
  pdu.writeUInt32LE(fields.maxr2t ?? 0, 12)
  return pdu
}

/**
 * Header, digest, padding, data, digest. `header` is HLEN bytes whose common header is filled in
 * here, but for the type. pdo: where the data begins; the earliest place when absent.
 */
function assemble(header: Buffer, data: Buffer | null, digests: Digests, pdo?: number): Buffer {
  const hlen = header.length
  const headerEnd = hlen + (digests.header ? 4 : 0)
  const dataAt = data === null ? 0 : (pdo ?? headerEnd)
  const dataDigest = data !== null && digests.data
  const plen = data === null ? headerEnd : dataAt + data.length + (dataDigest ? 4 : 0)
  const flags = header.readUInt8(1) | (digests.header ? FLAG_HDGST : 0) |
    (dataDigest ? FLAG_DDGST : 0)
  header.writeUInt8(flags, 1)
  header.writeUInt8(hlen, 2)
  header.writeUInt8(dataAt, 3)
  header.writeUInt32LE(plen, 4)
  const parts = [header]
  if (digests.header) parts.push(digestBytes(header))
  if (data !== null) {
    parts.push(Buffer.alloc(Math.max(0, dataAt - headerEnd)), data)
    if (dataDigest) parts.push(digestBytes(data))
  }
  return Buffer.concat(parts)
}

/** CapsuleCmd: HLEN 72, the 64-byte SQE at 8, in-capsule data at PDO. */
export function capsuleCmd(
  sqe: Buffer,
  data: Buffer | null = null,
  digests: Digests = NO_DIGESTS,
  pdo?: number,
): Buffer {
  const header = commonHeader(CAPSULE_CMD, 0, 72, 0, 72)
  sqe.copy(header, 8, 0, 64)
  return assemble(header, data, digests, pdo)
}

/** H2CData: HLEN 24; CCCID 8, TTAG 10, DATAO 12, DATAL 16. */
export function h2cData(
  fields: {
    cccid: number
    ttag: number
    datao: number
    data: Buffer
    last?: boolean
    datal?: number
    pdo?: number
  },
  digests: Digests = NO_DIGESTS,
): Buffer {
  const header = commonHeader(H2C_DATA, fields.last === false ? 0 : FLAG_LAST, 24, 0, 24)
  header.writeUInt16LE(fields.cccid, 8)
  header.writeUInt16LE(fields.ttag, 10)
  header.writeUInt32LE(fields.datao, 12)
  header.writeUInt32LE(fields.datal ?? fields.data.length, 16)
  return assemble(header, fields.data, digests, fields.pdo)
}

/** H2CTermReq: HLEN 24; FES 8, FEI 10 (four bytes, not aligned), then the header it is about. */
export function h2cTermReq(fes: number, fei: number, offending: Buffer): Buffer {
  const header = commonHeader(H2C_TERM_REQ, 0, 24, 0, 24 + offending.length)
  header.writeUInt16LE(fes, 8)
  header.writeUInt32LE(fei, 10)
  return Buffer.concat([header, offending])
}

/** A common header alone, for PDUs that should not exist; `bytes` zero bytes follow it. */
export function barePdu(type: number, hlen: number, plen: number, bytes: number): Buffer {
  const pdu = Buffer.alloc(8 + bytes)
  pdu.writeUInt8(type, 0)
  pdu.writeUInt8(hlen, 2)
  pdu.writeUInt32LE(plen, 4)
  return pdu
}

/** Puts a right HDGST after the header again, when a test has changed a field of it. */
export function resealHeader(pdu: Buffer, hlen: number): Buffer {
  pdu.writeUInt32LE(crc32c(pdu.subarray(0, hlen)), hlen)
  return pdu
}

/** A PDU that the target sent, taken apart. Digests are kept for the test to check. */
export type Pdu = {
  readonly type: number
  readonly flags: number
  readonly hlen: number
  readonly pdo: number
  readonly plen: number
  readonly bytes: Buffer
  /** From the data offset to the end, without the data digest; empty when there is none. */
  readonly data: Buffer
  readonly headerDigest: number | null
  readonly dataDigest: number | null
}

/** `bytes` is exactly one PDU. Its flags, not the negotiation, say which digests it carries. */
export function parsePdu(bytes: Buffer): Pdu {
  const type = bytes.readUInt8(0)
  const flags = bytes.readUInt8(1)
  const hlen = bytes.readUInt8(2)
  const pdo = bytes.readUInt8(3)
  const plen = bytes.readUInt32LE(4)
  const headerDigest = flags & FLAG_HDGST ? bytes.readUInt32LE(hlen) : null
  const dataDigest = flags & FLAG_DDGST ? bytes.readUInt32LE(plen - 4) : null
  const dataEnd = dataDigest === null ? plen : plen - 4
  const dataAt = type === C2H_TERM_REQ ? hlen : pdo
  const data = dataAt === 0 ? bytes.subarray(0, 0) : bytes.subarray(dataAt, dataEnd)
  return { type, flags, hlen, pdo, plen, bytes, data, headerDigest, dataDigest }
}

/** Terminate request, decoded: FES at 8, FEI at 10 (unaligned), ten reserved bytes at 14. */
export function termReqOf(pdu: Pdu): { fes: number; fei: number; reserved: Buffer } {
  const bytes = pdu.bytes
  const [fes, fei] = [bytes.readUInt16LE(8), bytes.readUInt32LE(10)]
  return { fes, fei, reserved: bytes.subarray(14, 24) }
}

/** R2T: CCCID 8, TTAG 10, R2TO 12, R2TL 16. */
export function r2tOf(pdu: Pdu): { cccid: number; ttag: number; r2to: number; r2tl: number } {
  const bytes = pdu.bytes
  return {
    cccid: bytes.readUInt16LE(8),
    ttag: bytes.readUInt16LE(10),
    r2to: bytes.readUInt32LE(12),
    r2tl: bytes.readUInt32LE(16),
  }
}

/** C2HData: CCCID 8, DATAO 12, DATAL 16. */
export function c2hDataOf(pdu: Pdu): { cccid: number; datao: number; datal: number } {
  const bytes = pdu.bytes
  return {
    cccid: bytes.readUInt16LE(8),
    datao: bytes.readUInt32LE(12),
    datal: bytes.readUInt32LE(16),
  }
}

/** The CQE in a CapsuleResp begins at 8: DW0 8, DW1 12, SQHD 16, SQID 18, CID 20, status 22. */
export type Cqe = {
  readonly dw0: number
  readonly dw1: number
  readonly sqhd: number
  readonly sqid: number
  readonly cid: number
  /** Status code type, slash, status code in hexadecimal: '0/0Bh'. */
  readonly status: string
  readonly dnr: boolean
}

export function cqeOf(pdu: Pdu): Cqe {
  const bytes = pdu.bytes
  const word = bytes.readUInt16LE(22)
  const sc = (word >>> 1) & 0xff
  const sct = (word >>> 9) & 7
  return {
    dw0: bytes.readUInt32LE(8),
    dw1: bytes.readUInt32LE(12),
    sqhd: bytes.readUInt16LE(16),
    sqid: bytes.readUInt16LE(18),
    cid: bytes.readUInt16LE(20),
    status: `${sct}/${sc.toString(16).toUpperCase().padStart(2, '0')}h`,
    dnr: (word & 0x8000) !== 0,
  }
}
