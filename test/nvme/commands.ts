/**
 * What the fake controller does with commands: Identify, features, logs, queues; blocks in memory. Answers are
 * written by hand, byte by byte, not by the tables of src/wire.    NVMe Base 2.0; NVM Command Set 1.0
 */
import type { FakeNvme } from './device.ts'
import { type FakeZoned, FakeZones } from './zones.ts'

export type Command = {
  readonly qid: number
  readonly opcode: number
  readonly psdt: number
  readonly cid: number
  readonly nsid: number
  readonly prp1: number
  readonly prp2: number
  readonly slba: number
  readonly nlb: number
  readonly control: number
  readonly cdw10: number
  readonly cdw11: number
  readonly cdw12: number
  readonly cdw13: number
}

export type FakeMedium = {
  readonly nsid: number
  readonly blockBytes: number
  readonly blockCount: number
  readonly dlfeat: number
  readonly noiob: number
  readonly metadataBytes: number
  readonly csi: number
  /** Of command set 2. */
  readonly zoned?: FakeZoned
}

const [FLUSH, WRITE, READ, COMPARE, WRITE_ZEROES, DSM, VERIFY] = [0x00, 0x01, 0x02, 0x05, 0x08, 0x09, 0x0c]
const [ZONE_SEND, ZONE_RECEIVE, ZONE_APPEND] = [0x79, 0x7a, 0x7d]
const [INVALID_OPCODE, INVALID_FIELD, INVALID_NAMESPACE, LBA_OUT_OF_RANGE] = [0x4001, 0x4002, 0x400b, 0x4080]
const [WRITE_FAULT, UNRECOVERED_READ, COMPARE_FAILURE] = [0x280, 0x281, 0x4285]

type Namespace = { readonly medium: FakeMedium; readonly bytes: Uint8Array; readonly zones: FakeZones | null }

/** The blocks of all namespaces. */
export class NamespaceMedia {
  readonly all: ReadonlyMap<number, Namespace>

  constructor(namespaces: readonly FakeMedium[]) {
    this.all = new Map(namespaces.map((medium) =>
      [medium.nsid, {
        medium, bytes: new Uint8Array(medium.blockBytes * medium.blockCount),
        zones: medium.zoned === undefined ? null : new FakeZones(medium.zoned, medium.blockCount),
      }]))
  }

  blocks(nsid: number, lba: number, count: number): Uint8Array {
    const { medium, bytes } = this.all.get(nsid)!
    return bytes.subarray(lba * medium.blockBytes, (lba + count) * medium.blockBytes)
  }
}

/** The status of an I/O command. */
export function executeIo(device: FakeNvme, command: Command): number {
  const namespace = device.media.all.get(command.nsid)
  if (command.opcode === FLUSH) return 0
  if (namespace === undefined) return INVALID_NAMESPACE
  const { medium, zones } = namespace
  if (zones !== null && [ZONE_SEND, ZONE_RECEIVE].includes(command.opcode)) return aboutZones(device, command, zones)
  if (command.opcode === DSM) return deallocate(device, command)
  if (command.slba + command.nlb > medium.blockCount) return LBA_OUT_OF_RANGE
  const refused = zones === null ? 0 : inZone(device, command, zones)
  if (refused !== 0) return refused
  const bytes = command.nlb * medium.blockBytes
  const blocks = device.media.blocks(command.nsid, command.slba, command.nlb)
  const bad = Array.from({ length: command.nlb }, (_, k) => command.slba + k).some((lba) => device.faults.bad.has(lba))
  const withData = [WRITE, READ, COMPARE, ZONE_APPEND].includes(command.opcode)
  if (withData && device.options.mdts !== 0 && bytes > 4096 * 2 ** device.options.mdts) return INVALID_FIELD
  if (withData && medium.noiob !== 0
    && Math.floor(command.slba / medium.noiob) !== Math.floor((command.slba + command.nlb - 1) / medium.noiob)) {
    device.violations.push(`blocks from ${command.slba} cross the boundary`)
  }
  switch (command.opcode) {
    case READ:
      if (bad) return UNRECOVERED_READ
      copy(device.runs(command, bytes), (run, at) => run.set(blocks.subarray(at, at + run.length)))
      return 0
    case WRITE:
      if (bad) return WRITE_FAULT
      copy(device.runs(command, bytes), (run, at) => blocks.set(run, at))
      return 0
    case ZONE_APPEND:
      if (zones === null) return INVALID_OPCODE
      copy(device.runs(command, bytes), (run, at) =>
        device.media.blocks(command.nsid, device.appended, command.nlb).set(run, at))
      return 0
    case COMPARE: {
      let same = true
      copy(device.runs(command, bytes), (run, at) => {
        same = same && Buffer.compare(run, blocks.subarray(at, at + run.length)) === 0
      })
      return same ? 0 : COMPARE_FAILURE
    }
    case WRITE_ZEROES:
      blocks.fill(0)
      return 0
    case VERIFY:
      return bad ? UNRECOVERED_READ : 0
    default:
      return INVALID_OPCODE
  }
}

/** Blocks of a command on a namespace with zones: 0, or why not. device.appended is where an append goes. */
function inZone(device: FakeNvme, { opcode, slba, nlb }: Command, zones: FakeZones): number {
  if (opcode === READ || opcode === VERIFY || opcode === COMPARE) return zones.read(slba, nlb)
  if (![WRITE, WRITE_ZEROES, ZONE_APPEND].includes(opcode)) return 0
  const { status, at } = zones.write(slba, nlb, opcode === ZONE_APPEND)
  device.appended = at
  return status
}

function aboutZones(device: FakeNvme, command: Command, zones: FakeZones): number {
  if (command.opcode === ZONE_SEND) {
    const bytes = (command.cdw13 & 0xff) === 0x10 ? zones.zoned.extension * 64 : 0
    const extension = bytes === 0 ? new Uint8Array(0) : Buffer.concat(device.runs(command, bytes))
    return zones.manage(command.slba, command.cdw13, extension)
  }
  const bytes = (command.cdw12 + 1) * 4
  const page = zones.report(command.slba, command.cdw13, bytes)
  // What is behind the report it leaves as it is.
  copy(device.runs(command, page.length), (run, at) => run.set(page.subarray(at, at + run.length)))
  return 0
}

function copy(runs: readonly Uint8Array[], each: (run: Uint8Array, at: number) => void): void {
  let at = 0
  for (const run of runs) {
    each(run, at)
    at += run.length
  }
}

function deallocate(device: FakeNvme, command: Command): number {
  if ((command.cdw11 & 4) === 0) return 0
  const ranges = (command.cdw10 & 0xff) + 1
  const bytes = Buffer.concat(device.runs(command, 16 * ranges))
  for (let at = 0; at < bytes.length; at += 16) {
    const [count, lba] = [bytes.readUInt32LE(at + 4), Number(bytes.readBigUInt64LE(at + 8))]
    const { medium } = device.media.all.get(command.nsid)!
    if (lba + count > medium.blockCount) return LBA_OUT_OF_RANGE
    // A device whose deallocated blocks read as zeroes, and one of which nothing is known.
    device.media.blocks(command.nsid, lba, count).fill((medium.dlfeat & 7) === 1 ? 0 : 0xd5)
  }
  return 0
}

type Answer = { readonly status: number; readonly dw0: number }

/** null: it is answered later. */
export function executeAdmin(device: FakeNvme, command: Command): Answer | null {
  const done = (status = 0, dw0 = 0): Answer => ({ status, dw0 })
  const depth = (command.cdw10 >>> 16) + 1
  const qid = command.cdw10 & 0xffff
  switch (command.opcode) {
    case 0x05:
      device.createCq(qid, command.prp1, depth, (command.cdw11 & 2) === 0 ? -1 : command.cdw11 >>> 16)
      return done(depth > device.options.mqes + 1 ? 0x4102 : 0)
    case 0x01:
      return done(device.createSq(qid, command.prp1, depth, command.cdw11 >>> 16) ? 0 : 0x4100)
    case 0x06:
      return done(identify(device, command))
    case 0x02:
      return done(logPage(device, command))
    case 0x08:
      return done(0, device.abort(command.cdw10 & 0xffff, command.cdw10 >>> 16) ? 0 : 1)
    case 0x09:
      if ((command.cdw10 & 0xff) !== 0x07) return done()
      return done(0, (device.options.queues - 1) | (device.options.queues - 1) << 16)
    case 0x0c:
      device.await(command)
      return null
    default:
      return done(INVALID_OPCODE)
  }
}

/** Composite temperature of the SMART log, in kelvin, and other numbers that tests look for. */
export const FAKE_SMART = { temperature: 311, spare: 97, used: 4, hours: 1234, mediaErrors: 3 }

/** Status of the newest entry of the error log. */
export const FAKE_ERROR = 0x281

function logPage(device: FakeNvme, command: Command): number {
  const page = Buffer.alloc(((command.cdw10 >>> 16) + 1) * 4)
  if ((command.cdw10 & 0xff) === 0x02) {
    page.writeUInt16LE(FAKE_SMART.temperature, 1)
    page[3] = FAKE_SMART.spare
    page[5] = FAKE_SMART.used
    page.writeUInt32LE(FAKE_SMART.hours, 128)
    page.writeUInt32LE(FAKE_SMART.mediaErrors, 160)
  } else if ((command.cdw10 & 0xff) === 0x01) {
    page.writeUInt16LE(FAKE_ERROR << 1, 12)
  } else if ((command.cdw10 & 0xff) === 0xbf) {
    const zones = device.changedZones.splice(0)
    page.writeUInt16LE(zones.length > 511 ? 0xffff : zones.length, 0)
    for (const [index, slba] of zones.slice(0, 511).entries()) page.writeBigUInt64LE(BigInt(slba), 8 + 8 * index)
  } else if (![0x04].includes(command.cdw10 & 0xff)) return 0x4109
  copy(device.runs(command, page.length), (run, at) => run.set(page.subarray(at, at + run.length)))
  return 0
}

function identify(device: FakeNvme, command: Command): number {
  const page = Buffer.alloc(4096)
  const cns = command.cdw10 & 0xff
  const namespace = device.media.all.get(command.nsid)?.medium
  if (cns === 0x01) putController(page, device)
  else if (cns === 0x02) [...device.media.all.keys()].forEach((nsid, at) => page.writeUInt32LE(nsid, 4 * at))
  else if (cns === 0x00 && namespace !== undefined) putNamespace(page, namespace)
  else if (cns === 0x03 && namespace !== undefined) page.set([4, 1, 0, 0, namespace.csi])
  else if (cns === 0x06 && command.cdw11 >>> 24 === 2) page[0] = device.zoned?.zasl ?? 0
  else if (cns === 0x06) page.set([1, 1, 0, 0, 0, 1, 0, 0])
  else if (cns === 0x05 && namespace?.zoned !== undefined) putZones(page, namespace.zoned)
  else if (cns !== 0x00) return INVALID_FIELD
  copy(device.runs(command, 4096), (run, at) => run.set(page.subarray(at, at + run.length)))
  return 0
}

function putController(page: Buffer, { options }: FakeNvme): void {
  page.write(options.serial.padEnd(20), 4, 'latin1')
  page.write('Fake controller'.padEnd(40), 24, 'latin1')
  page.write('1.0'.padEnd(8), 64, 'latin1')
  page[77] = options.mdts
  page[111] = 1
  page[259] = 3
  page.writeUInt32LE(options.oaes, 92)
  page[512] = 0x66
  page[513] = 0x44
  page.writeUInt32LE(Math.max(...options.namespaces.map(({ nsid }) => nsid)), 516)
  page.writeUInt16LE(options.oncs, 520)
  page[525] = options.vwc
  page.writeUInt32LE(options.sgls, 536)
}

function putNamespace(page: Buffer, medium: FakeMedium): void {
  for (const at of [0, 8, 16]) page.writeBigUInt64LE(BigInt(medium.blockCount), at)
  page[33] = medium.dlfeat
  page.writeUInt16LE(medium.noiob, 46)
  page.writeUInt16LE(medium.metadataBytes, 128)
  page[130] = Math.log2(medium.blockBytes)
}

function putZones(page: Buffer, { blocks, extension, open, ozcs }: FakeZoned): void {
  page.writeUInt16LE(ozcs, 2)
  page.writeUInt32LE(0xffff_ffff, 4)
  page.writeUInt32LE(open - 1, 8)
  page.writeUInt32LE(77, 12)
  page.writeBigUInt64LE(BigInt(blocks), 2816)
  page[2824] = extension
}
