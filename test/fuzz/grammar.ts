/**
 * PDUs that are nearly right: every field of every PDU, and of what they carry, with values that are next to the
 * limits; digests made right again, so that what is wrong is looked at. attack.ts sends them.
 *
 * Invariant: the same Random gives the same bytes.
 */
import { AUTH_RECEIVE, AUTH_SEND, authCommand, head, negotiate } from '../authentication-bytes.ts'
import {
  abort, asyncEventRequest, compare, connect, connectData, copy, copyRanges, datasetManagement, disconnect, flush, fused,
  getFeatures, getLogPage, identify, keepAlive, propertyGet, propertySet, rangeList, read, setFeatures, sqe, stampSgl,
  verify, write, writeZeroes,
} from '../command-bytes.ts'
import { information, informationEntry } from '../information-bytes.ts'
import type { Random } from '../random.ts'
import { capsuleCmd, crc32c, h2cData, h2cTermReq, icReq, type Digests } from '../wire-bytes.ts'

/** [offset, width] of every field, by PDU type. */
const COMMON: readonly Field[] = [[0, 1], [1, 1], [2, 1], [3, 1], [4, 4]]
const FIELDS: Record<number, readonly Field[]> = {
  0: [...COMMON, [8, 2], [10, 1], [11, 1], [12, 4], [16, 4], [124, 4]],
  2: [...COMMON, [8, 2], [10, 4], [14, 4]],
  // The capsule's command: opcode, flags, CID, NSID, MPTR, SGL1 address, length, type, CDW10 to 15.
  4: [...COMMON, [8, 1], [9, 1], [10, 2], [12, 4], [24, 8], [32, 8], [40, 4], [47, 1], [48, 4], [52, 4], [56, 4],
    [60, 4], [64, 4], [68, 4]],
  6: [...COMMON, [8, 2], [10, 2], [12, 4], [16, 4], [20, 4]],
}
const HEADER_BYTES: Record<number, number> = { 0: 128, 2: 24, 4: 72, 6: 24 }

type Field = readonly [offset: number, width: number]
export type Names = { readonly subnqn: string; readonly hostnqn: string; readonly hostid: Buffer; readonly cntlid: number }

/** One PDU, spoilt or not, or what passes for one. */
export function nearlyRight(random: Random, names: Names, digests: Digests): Buffer {
  const pdu = sensible(random, names, digests)
  const type = pdu.readUInt8(0)
  const fields = FIELDS[type] ?? COMMON
  for (let count = random.below(4); count > 0; count--) change(random, pdu, random.pick(fields))
  const headerBytes = HEADER_BYTES[type] ?? 24
  const payload = pdu.length - headerBytes
  if (payload > 8 && random.chance(40)) {
    for (let count = 1 + random.below(4); count > 0; count--) {
      const width = random.pick([1, 2, 4])
      change(random, pdu, [headerBytes + random.below(payload - width), width])
    }
  }
  if (random.chance(85)) seal(pdu, headerBytes)
  const dice = random.below(40)
  if (dice === 0) return pdu.subarray(0, random.below(pdu.length))
  if (dice === 1) return Buffer.concat([pdu, pdu])
  if (dice === 2) return Buffer.concat([pdu, random.bytes(random.below(64))])
  if (dice === 3) return random.bytes(1 + random.below(200))
  return pdu
}

/** A value next to a limit, or any. */
function change(random: Random, bytes: Buffer, [offset, width]: Field): void {
  if (offset + width > bytes.length) return
  if (width === 8) return void bytes.writeBigUInt64LE(wide(random), offset)
  const most = 2 ** (8 * width) - 1
  const now = bytes.readUIntLE(offset, width)
  const value = random.pick([
    0, 1, most, most - 1, (most + 1) / 2, (most + 1) / 2 - 1, now + 1, now - 1, now * 2, now + 4, now ^ (1 << random.below(8)),
    random.below(256), 4096, 8192, 65536, 131072, bytes.length, random.below(0x7fffffff),
  ])
  bytes.writeUIntLE(((value % (most + 1)) + most + 1) % (most + 1), offset, width)
}

function wide(random: Random): bigint {
  const value = random.pick([0n, 1n, (1n << 63n) - 1n, 1n << 63n, (1n << 64n) - 1n, 1n << 32n, 1n << 53n])
  return (value + BigInt(random.below(3))) & ((1n << 64n) - 1n)
}

/** Digests that are there become right. */
function seal(pdu: Buffer, headerBytes: number): void {
  const flags = pdu.readUInt8(1)
  const pdo = pdu.readUInt8(3)
  if ((flags & 1) !== 0 && pdu.length >= headerBytes + 4) {
    pdu.writeUInt32LE(crc32c(pdu.subarray(0, headerBytes)), headerBytes)
  }
  if ((flags & 2) === 0 || pdu.length < pdo + 4 || pdo < headerBytes) return
  pdu.writeUInt32LE(crc32c(pdu.subarray(pdo, pdu.length - 4)), pdu.length - 4)
}

function sensible(random: Random, names: Names, digests: Digests): Buffer {
  const cid = random.below(40)
  const slba = random.below(2000)
  const blocks = 1 + random.below(random.pick([4, 64, 300]))
  const nsid = 1 + random.below(2)
  const inCapsule = (command: Buffer, data: Buffer): Buffer => {
    command.writeUInt16LE(cid, 2)
    return capsuleCmd(stampSgl(command, 1, data.length), data, digests)
  }
  const asking = (command: Buffer, bytes: number): Buffer => {
    command.writeUInt16LE(cid, 2)
    return capsuleCmd(stampSgl(command, 0x5a, bytes), null, digests)
  }
  const payload = Buffer.alloc(512 * (1 + random.below(12)), random.below(256))
  return random.pick([
    () => asking(read(nsid, slba, blocks), blocks * 512),
    () => asking(write(nsid, slba, blocks), blocks * 512),
    () => inCapsule(write(nsid, slba, payload.length / 512), payload),
    () => inCapsule(compare(nsid, slba, payload.length / 512), payload),
    () => asking(compare(nsid, slba, blocks), blocks * 512),
    () => asking(writeZeroes(nsid, slba, blocks), 0),
    () => asking(flush(nsid), 0),
    () => asking(verify(nsid, slba, blocks), 0),
    () => inCapsule(datasetManagement(nsid, 2), rangeList([{ slba, blocks }, { slba: slba + blocks, blocks: 1 }])),
    () => inCapsule(copy(nsid, slba, 2), copyRanges([{ slba: 4000, blocks }, { slba: 5000, blocks: 8 }])),
    () => inCapsule(fused(compare(nsid, slba, 1), 1), payload.subarray(0, 512)),
    () => inCapsule(fused(write(nsid, slba, 1), 2), payload.subarray(0, 512)),
    () => asking(identify(random.below(32), nsid), 4096),
    () => asking(getLogPage(random.pick([1, 2, 3, 4, 5, 6, 12, 13, 0x70, 0x80]), 1024, random.below(3) * 512), 4096),
    () => asking(getFeatures(random.below(256)), 4096),
    () => asking(setFeatures(random.below(256), random.below(65536)), 0),
    () => asking(asyncEventRequest(), 0),
    () => asking(abort(random.below(3), random.below(40)), 0),
    () => asking(keepAlive(), 0),
    () => asking(propertyGet(random.pick([0, 8, 0x14, 0x1c, 0x40]), random.pick([4, 8])), 0),
    () => asking(propertySet(random.pick([0x14, 0x20, 0]), random.pick([0x460001, 0x460000, 0x464001, 1])), 0),
    () => asking(disconnect(), 0),
    () => inCapsule(connect({ qid: random.below(4), sqsize: random.below(200) }), connectData(names)),
    () => inCapsule(authCommand(AUTH_SEND, 72), negotiate(random.below(65536))),
    () => inCapsule(authCommand(AUTH_SEND, 80), head(80, random.below(2), random.pick([0, 2, 4, 0xf0]), 1)),
    () => asking(authCommand(AUTH_RECEIVE, 4096), 4096),
    () => inCapsule(sqe(0x21, 0, [0, 0]), information({}, informationEntry())),
    () => inCapsule(sqe(random.pick([0x0d, 0x11, 0x15]), nsid, [random.below(4), 1]), Buffer.alloc(16, 1)),
    () => asking(sqe(0x0e, nsid, [255, 1]), 1024),
    () => asking(sqe(random.below(256), nsid, [random.below(65536), random.below(65536)]), 4096),
    () => h2cData({ cccid: cid, ttag: random.below(24), datao: 0, data: payload }, digests),
    () => h2cData({ cccid: cid, ttag: random.below(24), datao: 512, data: payload, last: false }, digests),
    () => h2cTermReq(1 + random.below(7), random.below(128), Buffer.alloc(24)),
    () => icReq({ hpda: random.below(32), dgst: random.below(4), maxr2t: random.below(8) }),
  ])()
}
