/**
 * Get Log Page: every page that there is, any offset, any length.
 * NVMe Base 2.0, Get Log Page command; the discovery log has a file of its own.
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { DISCOVERY_NQN, getFeatures, getLogPage, identify, read, sqe, write } from '../command-bytes.ts'
import { NQN, startDaemon, type Daemon } from '../daemon.ts'
import { openSession, type Session } from '../host-session.ts'
import { closeWires } from '../host.ts'

const PAGES: readonly (readonly [lid: number, bytes: number])[] = [
  [0x00, 1024], [0x01, 64], [0x02, 512], [0x03, 512], [0x05, 4096],
]
const GLOBAL_NSID = 0xffffffff

let daemon: Daemon

beforeAll(async () => {
  daemon = await startDaemon()
})
afterAll(() => daemon.stop())
afterEach(closeWires)

const open = (queues = 0): Promise<Session> =>
  openSession(daemon.endpoint, { subnqn: NQN }, queues)

async function page(at: Session, lid: number, bytes: number, lpo = 0): Promise<Buffer> {
  const command = getLogPage(lid, bytes / 4, lpo, { nsid: GLOBAL_NSID })
  return (await at.admin.must(command, { receive: bytes })).data
}

async function refusal(at: Session, lid: number, bytes: number, lpo = 0): Promise<string> {
  const command = getLogPage(lid, bytes / 4, lpo, { nsid: GLOBAL_NSID })
  return (await at.admin.submit(command, { receive: bytes })).status
}

/** Reads it in pieces of `pieceBytes` and joins them. */
async function inPieces(at: Session, lid: number, bytes: number, pieceBytes: number) {
  const parts: Buffer[] = []
  for (let lpo = 0; lpo < bytes; lpo += pieceBytes) {
    parts.push(await page(at, lid, Math.min(pieceBytes, bytes - lpo), lpo))
  }
  return Buffer.concat(parts)
}

test('LOG-01: the pages that LID 00h names can be read, the others cannot', async () => {
  const at = await open()
  const supported = await page(at, 0x00, 1024)
  for (const [lid] of PAGES) expect(supported.readUInt32LE(4 * lid) & 1, `LID ${lid}`).toBe(1)
  for (const lid of [0x04, 0x06, 0x09, 0x0c, 0x13, 0x70, 0x80, 0xc0, 0xff]) {
    const status = await refusal(at, lid, 64)
    expect(status, `LID ${lid}`).toBe(supported.readUInt32LE(4 * lid) & 1 ? '0/00h' : '1/09h')
  }
})

test('LOG-01: on a discovery controller 70h is one of them', async () => {
  const at = await openSession(daemon.endpoint, { subnqn: DISCOVERY_NQN }, 0)
  const status = await refusal(at, 0x00, 1024)
  if (status === '0/00h') expect((await page(at, 0, 1024)).readUInt32LE(4 * 0x70) & 1).toBe(1)
  else expect(status).toBe('1/09h')
})

describe('errors (LID 01h)', () => {
  test('LOG-02: a read beyond the namespace', async () => {
    const at = await open(1)
    const queue = at.queue(1)
    const slba = 0x123456789a
    const failed = await queue.submit(read(1, slba, 8), { receive: 4096 })
    expect(failed.status).toBe('0/80h')
    const entry = await page(at, 0x01, 64)
    expect(Number(entry.readBigUInt64LE(0)), 'count').toBeGreaterThan(0)
    expect(entry.readUInt16LE(8), 'SQID').toBe(1)
    expect(entry.readUInt16LE(10), 'CID').toBe(failed.cid)
    expect((entry.readUInt16LE(12) >>> 1) & 0x7ff, 'status').toBe(0x80)
    expect(Number(entry.readBigUInt64LE(16)), 'LBA').toBe(slba)
    expect(entry.readUInt32LE(24), 'NSID').toBe(1)
  })

  test('LOG-02: newest first, counted, and the older ones kept', async () => {
    const at = await open(1)
    const queue = at.queue(1)
    for (const slba of [1, 2, 3]) {
      await queue.submit(read(1, 2 ** 40 + slba, 1), { receive: 512 })
    }
    const entries = await page(at, 0x01, 3 * 64)
    const lbas = [0, 64, 128].map((offset) => Number(entries.readBigUInt64LE(offset + 16)))
    expect(lbas).toEqual([2 ** 40 + 3, 2 ** 40 + 2, 2 ** 40 + 1])
    const counts = [0, 64, 128].map((offset) => Number(entries.readBigUInt64LE(offset)))
    expect(counts).toEqual([counts[0], (counts[0] ?? 0) - 1, (counts[0] ?? 0) - 2])
  })

  test('LOG-02: an admin command is there with SQID 0', async () => {
    const at = await open()
    const failed = await at.admin.submit(sqe(0xc7))
    expect(failed.status).toBe('0/01h')
    const entry = await page(at, 0x01, 64)
    expect(entry.readUInt16LE(8)).toBe(0)
    expect(entry.readUInt16LE(10)).toBe(failed.cid)
  })

  test('LOG-02: the log has as many entries as ELPE says', async () => {
    const at = await open()
    const { data } = await at.admin.must(identify(1), { receive: 4096 })
    const bytes = (data.readUInt8(262) + 1) * 64
    expect((await page(at, 0x01, bytes)).length).toBe(bytes)
    expect(await refusal(at, 0x01, 64, bytes + 64)).toBe('0/02h')
  })
})

describe('health (LID 02h)', () => {
  const counters = async (at: Session) => {
    const data = await page(at, 0x02, 512)
    const at128 = (offset: number): number => Number(data.readBigUInt64LE(offset))
    return { read: at128(32), written: at128(48), reads: at128(64), writes: at128(80), data }
  }

  test('LOG-03: reads and writes are counted', async () => {
    const at = await open(1)
    const before = await counters(at)
    const send = Buffer.alloc(512_000)
    for (let index = 0; index < 4; index += 1) {
      await at.queue(1).must(write(1, 0, 1000), { send, inCapsule: false })
      await at.queue(1).must(read(1, 0, 1000), { receive: send.length })
    }
    const after = await counters(at)
    expect(after.reads - before.reads).toBe(4)
    expect(after.writes - before.writes).toBe(4)
    // Units of 512,000 bytes, rounded up: 4 more, or 5 over a boundary.
    expect(after.read - before.read).toBeGreaterThanOrEqual(4)
    expect(after.read - before.read).toBeLessThanOrEqual(5)
    expect(after.written - before.written).toBeGreaterThanOrEqual(4)
    expect(after.written - before.written).toBeLessThanOrEqual(5)
  })

  test('LOG-03: no critical warning, spare 100 %, a plausible temperature', async () => {
    const { data } = await counters(await open())
    expect(data.readUInt8(0), 'critical warning').toBe(0)
    expect(data.readUInt8(3), 'available spare').toBe(100)
    expect(data.readUInt8(5), 'percentage used').toBe(0)
  })
})

test('LOG-04: firmware slots', async () => {
  const at = await open()
  const data = await page(at, 0x03, 512)
  const { data: controller } = await at.admin.must(identify(1), { receive: 4096 })
  expect(data.readUInt8(0) & 7, 'AFI').toBe(1)
  expect(data.subarray(8, 16)).toEqual(controller.subarray(64, 72))
  expect(data.subarray(16).every((byte) => byte === 0)).toBe(true)
})

test('LOG-05: commands supported', async () => {
  const data = await page(await open(), 0x05, 4096)
  const admin = (opcode: number): number => data.readUInt32LE(4 * opcode) & 1
  const io = (opcode: number): number => data.readUInt32LE(1024 + 4 * opcode) & 1
  for (const opcode of [0x02, 0x06, 0x08, 0x09, 0x0a, 0x0c, 0x18]) {
    expect(admin(opcode), `admin ${opcode}`).toBe(1)
  }
  for (const opcode of [0x00, 0x01, 0x02, 0x05, 0x08, 0x09]) {
    expect(io(opcode), `I/O ${opcode}`).toBe(1)
  }
  for (const opcode of [0x00, 0x01, 0x04, 0x05, 0x10]) expect(admin(opcode)).toBe(0)
  for (const opcode of [0x03, 0x79, 0x7a, 0x7d]) expect(io(opcode)).toBe(0)
  for (const opcode of [0x01, 0x08, 0x09]) {
    expect(data.readUInt32LE(1024 + 4 * opcode) & 2, 'LBCC').toBe(2)
  }
})

describe('offsets', () => {
  test.each([0x00, 0x03, 0x05])('LOG-06: LID %i in pieces', async (lid) => {
    const at = await open()
    const bytes = PAGES.find(([known]) => known === lid)?.[1] ?? 0
    const whole = await page(at, lid, bytes)
    for (const pieceBytes of [4, 20, 100, 512]) {
      if (bytes / pieceBytes > 300) continue
      expect((await inPieces(at, lid, bytes, pieceBytes)).equals(whole)).toBe(true)
    }
  })

  test.each(PAGES)('LOG-07: LID %i beyond its %i bytes', async (lid, bytes) => {
    const at = await open()
    const end = lid === 0x01 ? 256 * 64 : bytes
    expect(await refusal(at, lid, 64, end + 4)).toBe('0/02h')
    expect(await refusal(at, lid, 64, 2 ** 32)).toBe('0/02h')
    expect(await refusal(at, lid, 64, 2 ** 32 + 64)).toBe('0/02h')
    expect(await refusal(at, lid, 64, 2 ** 52)).toBe('0/02h')
  })

  test.each([0x00, 0x02, 0x03, 0x05])('LOG-07: LID %i, a tail filled with zeroes', async (lid) => {
    const at = await open()
    const bytes = PAGES.find(([known]) => known === lid)?.[1] ?? 0
    const tail = await page(at, lid, 4096, bytes - 4)
    expect(tail.subarray(4).every((byte) => byte === 0)).toBe(true)
  })

  test.each([1, 2, 3, 6])('LOG-08: LPO %i', async (lpo) => {
    const at = await open()
    for (const [lid] of PAGES) expect(await refusal(at, lid, 64, lpo)).toBe('0/02h')
  })
})

test.each([0x11, 0x40, 0x71, 0x82, 0xbf])('LOG-09: LID %i', async (lid) => {
  expect(await refusal(await open(), lid, 64)).toBe('1/09h')
})

test.each([
  ['shorter', 508],
  ['longer', 516],
])('LOG-10: an SGL that is %s than NUMD says', async (_name, receive) => {
  const { admin } = await open()
  expect((await admin.submit(getLogPage(2, 128), { receive })).status).toBe('0/0Fh')
})

test('LOG-06: a length far beyond the page', async () => {
  const data = await page(await open(), 0x02, 65536)
  expect(data.subarray(512).every((byte) => byte === 0)).toBe(true)
})

describe('persistent events', () => {
  const [READ, ESTABLISH, RELEASE] = [0, 1, 2]
  const get = (at: Session, lsp: number, bytes = 512, lpo = 0) =>
    at.admin.submit(getLogPage(0x0d, bytes / 4, lpo, { nsid: GLOBAL_NSID, lsp }), { receive: bytes })

  test('LOG-17: within a context, and only one', async () => {
    const at = await open()
    const status = async (lsp: number): Promise<string> => (await get(at, lsp)).status
    expect([await status(READ), await status(RELEASE)]).toEqual(['0/0Ch', '0/00h'])
    expect([await status(ESTABLISH), await status(READ), await status(ESTABLISH)]).toEqual(
      ['0/00h', '0/00h', '0/0Ch'])
    expect([await status(RELEASE), await status(READ)]).toEqual(['0/00h', '0/0Ch'])
    expect(await status(3)).toBe('0/02h')
    const other = await open()
    expect((await get(other, ESTABLISH)).status, 'each controller has its own').toBe('0/00h')
  })

  test('LOG-18: header and events', async () => {
    const at = await open()
    const header = (await get(at, ESTABLISH)).data
    const bytes = Number(header.readBigUInt64LE(8))
    expect([header[0], header[16], header.readUInt16LE(18)]).toEqual([0x0d, 2, 492])
    const { data: controller } = await at.admin.must(identify(1), { receive: 4096 })
    expect([bytes > 512, bytes <= controller.readUInt32LE(352) * 65536, controller.readUInt8(261) & 0x10]).toEqual(
      [true, true, 0x10])
    expect(header.subarray(56, 116).equals(controller.subarray(4, 64)), 'SN, MN').toBe(true)
    expect(header.subarray(116, 372).equals(controller.subarray(768, 1024)), 'SUBNQN').toBe(true)
    const whole = (await get(at, READ, Math.ceil(bytes / 4) * 4)).data
    let [offset, count] = [512, 0]
    while (offset < bytes) {
      expect((header[480 + (whole[offset]! >> 3)]! >> (whole[offset]! & 7)) & 1, 'its type is in the bitmap').toBe(1)
      offset += whole.readUInt8(offset + 2) + 3 + whole.readUInt16LE(offset + 22)
      count++
    }
    expect([offset, count]).toEqual([bytes, header.readUInt32LE(4)])
    const piece = (await get(at, READ, 40, 508)).data
    expect(piece.equals(whole.subarray(508, 548))).toBe(true)
    expect((await get(at, READ, 4, Math.ceil(bytes / 4) * 4 + 4)).status).toBe('0/02h')
  })
})

describe('NSID, CSI, OT', () => {
  const status = async (at: Session, lid: number, nsid: number): Promise<string> =>
    (await at.admin.submit(getLogPage(lid, 16, 0, { nsid }), { receive: 64 })).status

  test('LOG-12: of a namespace', async () => {
    const at = await open()
    for (const lid of [0x00, 0x01, 0x03, 0x04, 0x05, 0x12]) {
      expect(await status(at, lid, 1), `LID ${lid}`).toBe('0/02h')
      for (const nsid of [0, GLOBAL_NSID]) expect(await status(at, lid, nsid), `LID ${lid}`).toBe('0/00h')
    }
  })

  test('LOG-11: health of a namespace', async () => {
    const at = await open(1)
    const { data } = await at.admin.must(identify(1), { receive: 4096 })
    expect(data.readUInt8(261) & 1, 'LPA').toBe(1)
    const reads = async (nsid: number): Promise<number> =>
      Number((await at.admin.must(getLogPage(2, 128, 0, { nsid }), { receive: 512 })).data.readBigUInt64LE(64))
    const before = await reads(1)
    await at.queue(1).must(read(1, 0, 1), { receive: 512 })
    expect(await reads(1)).toBe(before + 1)
    expect(await status(at, 0x02, 77)).toBe('0/0Bh')
  })

  test('LOG-15: an index, and a command set that is not there', async () => {
    const at = await open()
    const withCdw14 = async (lid: number, cdw14: number): Promise<string> => {
      const command = getLogPage(lid, 16, 0, { nsid: GLOBAL_NSID })
      command.writeUInt32LE(cdw14, 56)
      return (await at.admin.submit(command, { receive: 64 })).status
    }
    for (const lid of [0x00, 0x01, 0x02, 0x03, 0x05]) expect(await withCdw14(lid, 1 << 23)).toBe('0/02h')
    expect(await withCdw14(0x05, 0)).toBe('0/00h')
    expect(await withCdw14(0x05, 0x0200_0000)).toBe('0/02h')
  })
})

test.each<[string, Buffer, number, { status: number; nsid: number; location: number; opcode: number }]>([
  ['an NSID that is not there', read(9, 0, 1), 512, { status: 0x0b, nsid: 9, location: 4, opcode: 2 }],
  ['a length that is not that of the blocks', read(1, 0, 1), 1024, { status: 0x0f, nsid: 1, location: 32, opcode: 2 }],
  ['blocks beyond the end', read(1, 2 ** 40, 1), 512, { status: 0x80, nsid: 1, location: 40, opcode: 2 }],
  ['an opcode that is not there', sqe(0x7a, 1), 0, { status: 0x01, nsid: 1, location: 0, opcode: 0x7a }],
])('LOG-13: %s', async (_name, command, receive, wanted) => {
  const at = await open(1)
  const { admin } = at
  await at.queue(1).submit(command, receive === 0 ? {} : { receive })
  const entry = await page(at, 0x01, 64)
  expect({
    status: (entry.readUInt16LE(12) >>> 1) & 0x7ff, nsid: entry.readUInt32LE(24), location: entry.readUInt16LE(14),
    opcode: entry.readUInt8(31),
  }).toEqual(wanted)
  expect([entry.readUInt8(29), entry.readUInt8(30), entry.readUInt8(63)], 'TRTYPE, CSI, version').toEqual([3, 0, 1])
  await admin.submit(identify(0, 0xffff_fff0), { receive: 4096 })
  const second = await page(at, 0x01, 64)
  expect([second.readUInt16LE(8), second.readUInt16LE(14), second.readUInt32LE(24)], 'SQID, location, NSID')
    .toEqual([0, 4, 0xffff_fff0])
  expect(Number(second.readBigUInt64LE(0)), 'counted on').toBe(Number(entry.readBigUInt64LE(0)) + 1)
})

test('LOG-16: LID 12h and Get Features agree', async () => {
  const at = await open()
  const { data } = await at.admin.must(getLogPage(0x12, 256), { receive: 1024 })
  for (let fid = 0; fid < 256; fid++) {
    const { status, dw0 } = await at.admin.submit(getFeatures(fid, 0, 3))
    const word = data.readUInt32LE(4 * fid)
    expect(word & 1, `FID ${fid}`).toBe(status === '0/00h' ? 1 : 0)
    if (status !== '0/00h') continue
    const ofNamespaces = (dw0 & 2) !== 0
    expect(word >>> 20, `FID ${fid}: scope`).toBe(ofNamespaces ? 1 : 2)
  }
})
