/**
 * Commands as bytes, written by hand for the tests: 64-byte SQEs and the data structures that
 * travel with them. test → command-bytes; imports nothing of src/.
 * NVMe Base 2.0, NVMe over Fabrics 1.1.
 *
 *   0 opcode · 1 flags · 2 CID · 4 NSID · 40 CDW10 … 63
 *   24 SGL1: address (8), length (4), reserved (3), identifier (1)
 *
 * CID and SGL1 stay zero here: whoever submits the command knows them.
 */

/** PSDT 01b: hosts of NVMe/TCP always say that the data pointer is an SGL. */
const PSDT_SGL = 0x40

export const DISCOVERY_NQN = 'nqn.2014-08.org.nvmexpress.discovery'

/** An SQE with its opcode, NSID and CDW10 to CDW15. */
export function sqe(opcode: number, nsid = 0, cdw: readonly number[] = []): Buffer {
  const bytes = Buffer.alloc(64)
  bytes.writeUInt8(opcode, 0)
  bytes.writeUInt8(PSDT_SGL, 1)
  bytes.writeUInt32LE(nsid >>> 0, 4)
  for (const [index, value] of cdw.entries()) bytes.writeUInt32LE(value >>> 0, 40 + 4 * index)
  return bytes
}

/** SGL1: id 0x01 = in-capsule data block, 0x5A = transport data block. */
export function stampSgl(bytes: Buffer, id: number, length: number, address = 0): Buffer {
  bytes.writeBigUInt64LE(BigInt(address), 24)
  bytes.writeUInt32LE(length, 32)
  bytes.writeUInt8(id, 39)
  return bytes
}

// ---- fabrics: opcode 7Fh, FCTYPE at byte 4

export function connect(
  fields: { recfmt?: number; qid?: number; sqsize?: number; cattr?: number; kato?: number } = {},
): Buffer {
  const bytes = sqe(0x7f, 0x01)
  bytes.writeUInt16LE(fields.recfmt ?? 0, 40)
  bytes.writeUInt16LE(fields.qid ?? 0, 42)
  bytes.writeUInt16LE(fields.sqsize ?? 31, 44)
  bytes.writeUInt8(fields.cattr ?? 0, 46)
  bytes.writeUInt32LE(fields.kato ?? 0, 48)
  return bytes
}

/** Connect data: HOSTID 0, CNTLID 16, SUBNQN 256, HOSTNQN 512; 1024 bytes. */
export function connectData(fields: {
  hostid: Buffer
  cntlid?: number
  subnqn: string
  hostnqn: string
}): Buffer {
  const bytes = Buffer.alloc(1024)
  fields.hostid.copy(bytes, 0, 0, 16)
  bytes.writeUInt16LE(fields.cntlid ?? 0xffff, 16)
  bytes.write(fields.subnqn, 256, 256, 'utf8')
  bytes.write(fields.hostnqn, 512, 256, 'utf8')
  return bytes
}

export function propertyGet(ofst: number, bytes: 4 | 8): Buffer {
  const command = sqe(0x7f, 0x04)
  command.writeUInt8(bytes === 8 ? 1 : 0, 40)
  command.writeUInt32LE(ofst, 44)
  return command
}

export function propertySet(ofst: number, value: number, bytes: 4 | 8 = 4): Buffer {
  const command = sqe(0x7f, 0x00)
  command.writeUInt8(bytes === 8 ? 1 : 0, 40)
  command.writeUInt32LE(ofst, 44)
  command.writeUInt32LE(value >>> 0, 48)
  return command
}

/** Fabrics Disconnect: RECFMT at 40. */
export function disconnect(recfmt = 0): Buffer {
  const command = sqe(0x7f, 0x08)
  command.writeUInt16LE(recfmt, 40)
  return command
}

// ---- admin

export function identify(cns: number, nsid = 0, csi = 0): Buffer {
  return sqe(0x06, nsid, [cns, csi * 0x1000000])
}

/** numd is a count of dwords here, not 0's based; lpo in bytes. */
export function getLogPage(
  lid: number,
  dwords: number,
  lpo = 0,
  fields: { nsid?: number; rae?: boolean; lsp?: number } = {},
): Buffer {
  const numd = dwords - 1
  const cdw10 = lid + (fields.lsp ?? 0) * 0x100 + (fields.rae ? 0x8000 : 0) +
    (numd & 0xffff) * 0x10000
  const cdw11 = numd >>> 16
  return sqe(0x02, fields.nsid ?? 0, [cdw10, cdw11, lpo % 2 ** 32, Math.floor(lpo / 2 ** 32)])
}

export function getFeatures(fid: number, cdw11 = 0, select = 0): Buffer {
  return sqe(0x0a, 0, [fid + select * 0x100, cdw11])
}

/** Format NVM: CDW10 as it is. */
export function format(nsid: number, cdw10: number): Buffer {
  return sqe(0x80, nsid, [cdw10])
}

/** Sanitize: CDW10 as it is; pattern: CDW11. */
export function sanitize(cdw10: number, pattern = 0): Buffer {
  return sqe(0x84, 0, [cdw10, pattern])
}

export function setFeatures(fid: number, cdw11 = 0, save = false): Buffer {
  return sqe(0x09, 0, [fid + (save ? 0x80000000 : 0), cdw11])
}

export function keepAlive(): Buffer {
  return sqe(0x18)
}

export function asyncEventRequest(): Buffer {
  return sqe(0x0c)
}

export function abort(sqid: number, cid: number): Buffer {
  return sqe(0x08, 0, [sqid + cid * 0x10000])
}

// ---- I/O. slba may be a bigint, to say what a host must not; blocks is not 0's based.

function onBlocks(opcode: number, nsid: number, slba: number | bigint, blocks: number, cdw12 = 0) {
  const bytes = sqe(opcode, nsid, [0, 0, (blocks - 1 + cdw12) >>> 0])
  bytes.writeBigUInt64LE(BigInt(slba), 40)
  return bytes
}

export const FUA = 0x40000000
export const DEAC = 0x02000000

export function read(nsid: number, slba: number | bigint, blocks: number, cdw12 = 0): Buffer {
  return onBlocks(0x02, nsid, slba, blocks, cdw12)
}

export function write(nsid: number, slba: number | bigint, blocks: number, cdw12 = 0): Buffer {
  return onBlocks(0x01, nsid, slba, blocks, cdw12)
}

export function compare(nsid: number, slba: number | bigint, blocks: number): Buffer {
  return onBlocks(0x05, nsid, slba, blocks)
}

export function writeZeroes(
  nsid: number,
  slba: number | bigint,
  blocks: number,
  cdw12 = 0,
): Buffer {
  return onBlocks(0x08, nsid, slba, blocks, cdw12)
}

export function flush(nsid: number): Buffer {
  return sqe(0x00, nsid)
}

/** Dataset Management; ranges is not 0's based; attributes bit 2 = deallocate. */
export function datasetManagement(nsid: number, ranges: number, attributes = 4): Buffer {
  return sqe(0x09, nsid, [ranges - 1, attributes])
}

/** Ranges for Dataset Management: CATTR 4, NLB 4 (not 0's based), SLBA 8 each. */
export function rangeList(ranges: readonly { slba: number | bigint; blocks: number }[]): Buffer {
  const bytes = Buffer.alloc(16 * ranges.length)
  for (const [index, range] of ranges.entries()) {
    bytes.writeUInt32LE(range.blocks, 16 * index + 4)
    bytes.writeBigUInt64LE(BigInt(range.slba), 16 * index + 8)
  }
  return bytes
}

export function verify(nsid: number, slba: number | bigint, blocks: number): Buffer {
  return onBlocks(0x0c, nsid, slba, blocks)
}

export function writeUncorrectable(nsid: number, slba: number | bigint, blocks: number): Buffer {
  return onBlocks(0x04, nsid, slba, blocks)
}

/** Copy to slba; ranges is not 0's based. */
export function copy(
  nsid: number, slba: number | bigint, ranges: number, format = 0, cdw12 = 0,
): Buffer {
  return onBlocks(0x19, nsid, slba, ranges, cdw12 + format * 0x100)
}

/** Source ranges for Copy: SLBA at 8, NLB (0's based) at 16; 32 bytes each, in format 1 40. */
export function copyRanges(
  ranges: readonly { slba: number | bigint; blocks: number }[], format: 0 | 1 = 0,
): Buffer {
  const rangeBytes = format === 0 ? 32 : 40
  const bytes = Buffer.alloc(rangeBytes * ranges.length)
  for (const [index, range] of ranges.entries()) {
    bytes.writeBigUInt64LE(BigInt(range.slba), rangeBytes * index + 8)
    bytes.writeUInt16LE(range.blocks - 1, rangeBytes * index + 16)
  }
  return bytes
}

/** FUSE bits of byte 1: 01b first, 10b second. */
export function fused(command: Buffer, fuse: 1 | 2 | 3): Buffer {
  command.writeUInt8(command.readUInt8(1) | fuse, 1)
  return command
}
