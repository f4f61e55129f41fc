/**
 * A namespace with zones, as hosts see it: what Identify and the logs say, reports, actions, writes and appends, on two
 * reactors, against a fake controller that keeps the zones' states.       Zoned Namespace Command Set 1.1
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import {
  asyncEventRequest, getLogPage, identify, propertyGet, read, setFeatures, sqe, verify, write, writeZeroes,
} from '../command-bytes.ts'
import { closeWires } from '../host.ts'
import { openAdmin, openSession, setCc, type Session, waitForCsts } from '../host-session.ts'
import { FAKE_DEFAULTS } from '../nvme/device.ts'
import { SERVED_NQN, serveFake, type Served } from '../nvme/served.ts'

const MEDIUM = FAKE_DEFAULTS.namespaces[0]!
/** 16 zones of 512 blocks, of which 448 can be written. */
const ZONED = {
  ...MEDIUM, nsid: 2, csi: 2, zoned: { blocks: 512, capacity: 448, extension: 1, open: 4, ozcs: 0, zasl: 2 },
}
const [ZONE, CAPACITY] = [512, 448]
const [CLOSE, FINISH, OPEN, RESET, EXTENSION] = [1, 2, 3, 4, 0x10]
const ALL = 0x100
/** CC.CSS 110b besides what every host says. */
const CC_ALL_SETS = 0x00460061

const send = (slba: number, cdw13: number): Buffer => sqe(0x79, 2, [slba, 0, 0, cdw13])
const receive = (slba: number, bytes: number, cdw13 = 0, nsid = 2): Buffer =>
  sqe(0x7a, nsid, [slba, 0, bytes / 4 - 1, cdw13])
const append = (zslba: number, blocks: number, cdw12 = 0): Buffer => sqe(0x7d, 2, [zslba, 0, (blocks - 1) | cdw12])

function pattern(bytes: number, seed: number): Buffer {
  return Buffer.from(Uint8Array.from({ length: bytes }, (_, at) => (at * 13 + (at >> 8) + seed) & 0xff))
}

let served: Served
let session: Session

beforeAll(async () => {
  served = await serveFake({ namespaces: [MEDIUM, ZONED], cssIocs: true, mdts: 5 }, [['--pci', '03:00.0/2']])
  session = await openAdmin(served.endpoint, { subnqn: SERVED_NQN })
  await setCc(session.admin, CC_ALL_SETS)
  await waitForCsts(session.admin, 1, 1)
  for (const qid of [1, 2]) await session.connectIo(qid)
})
afterAll(async () => {
  await closeWires()
  await served.stop()
})
afterEach(async () => {
  await session.queue(1).must(send(0, RESET | ALL))
  expect(served.device.violations).toEqual([])
})

/** State and write pointer of the zone that begins at a block. */
async function zoneAt(slba: number): Promise<{ state: number; pointer: number }> {
  const { data } = await session.queue(2).must(receive(slba, 128), { receive: 128 })
  return { state: data[65]! >> 4, pointer: Number(data.readBigUInt64LE(88)) }
}

async function statusOf(command: Buffer, transfer: { send?: Buffer; receive?: number; inCapsule?: boolean } = {}): Promise<string> {
  return (await session.queue(1).submit(command, transfer)).status
}

describe('what hosts are told', () => {
  test('ZNS-01 CAP, CC.CSS and CNS 1Ch', async () => {
    const { dw1 } = await session.admin.must(propertyGet(0, 8))
    expect(dw1 >>> (43 - 32) & 1).toBe(1)
    const { data } = await session.admin.must(identify(0x1c, 0).fill(0xff, 42, 44), { receive: 4096 })
    expect(data.readBigUInt64LE(0)).toBe(0b101n)
  })

  test('ZNS-02 Identify of command set 2', async () => {
    const ask = async (cns: number, nsid: number, csi: number): Promise<Buffer> =>
      (await session.admin.must(identify(cns, nsid, csi), { receive: 4096 })).data
    const data = await ask(0x05, 2, 2)
    expect(data.readUInt16LE(2)).toBe(0)
    expect([data.readUInt32LE(4), data.readUInt32LE(8), data.readUInt32LE(12)]).toEqual([0xffff_ffff, 3, 77])
    expect([data.readBigUInt64LE(2816), data[2824]]).toEqual([BigInt(ZONE), 1])
    expect((await ask(0x06, 0, 2))[0]).toBe(2)
    const descriptors = await ask(0x03, 2, 0)
    expect(descriptors.includes(Buffer.from([4, 1, 0, 0, 2]))).toBe(true)
    const listed = await ask(0x07, 0, 2)
    expect([listed.readUInt32LE(0), listed.readUInt32LE(4)]).toEqual([2, 0])
    expect((await ask(0x07, 0, 0)).readUInt32LE(0)).toBe(1)
    // The size of a command is the device's, so that none is cut: 2^5 pages.
    expect((await ask(0x01, 0, 0))[77]).toBe(5)
    expect((await session.admin.submit(identify(0x05, 1, 2), { receive: 4096 })).status).toBe('1/29h')
  })

  test('ZNS-03 a host that enabled the NVM command set alone sees no zones', async () => {
    const plain = await openSession(served.endpoint, { subnqn: SERVED_NQN }, 1)
    const { data } = await plain.admin.must(identify(0x02, 0), { receive: 4096 })
    expect([data.readUInt32LE(0), data.readUInt32LE(4)]).toEqual([1, 0])
    await plain.end()
  })

  test('ZNS-04 the effects log of each command set', async () => {
    const log = async (csi: number): Promise<Buffer> => {
      const command = getLogPage(0x05, 1024)
      command[59] = csi
      return (await session.admin.must(command, { receive: 4096 })).data
    }
    const [nvm, zones] = [await log(0), await log(2)]
    expect([0x79, 0x7a, 0x7d, 0x01].map((opcode) => zones.readUInt32LE(1024 + 4 * opcode) & 3)).toEqual([3, 1, 3, 3])
    expect([0x79, 0x7a, 0x7d].map((opcode) => nvm.readUInt32LE(1024 + 4 * opcode))).toEqual([0, 0, 0])
  })
})

describe('zones', () => {
  test('ZNS-05 a report: from a zone on, of a state, partial or counted whole, with nothing behind it', async () => {
    await session.queue(1).must(send(ZONE * 3, OPEN))
    for (let k = 0; k < 4; k++) await session.queue(1).must(write(1, 0, 8), { send: Buffer.alloc(4096, 0xff), inCapsule: false })
    const report = async (slba: number, bytes: number, cdw13: number): Promise<Buffer> =>
      (await session.queue(1).must(receive(slba, bytes, cdw13), { receive: bytes })).data
    const whole = await report(0, 4096, 0)
    expect(whole.readBigUInt64LE(0)).toBe(16n)
    expect([whole[64], whole[65]! >> 4, whole.readBigUInt64LE(72)]).toEqual([2, 1, BigInt(CAPACITY)])
    expect(whole[64 + 3 * 64 + 1]! >> 4).toBe(3)
    expect(whole.subarray(64 + 16 * 64).every((byte) => byte === 0)).toBe(true)
    const some = await report(ZONE * 10, 64 + 2 * 64, 0)
    expect([some.readBigUInt64LE(0), some.readBigUInt64LE(80)]).toEqual([6n, BigInt(ZONE * 10)])
    expect((await report(ZONE * 10, 64 + 2 * 64, 1 << 16)).readBigUInt64LE(0)).toBe(2n)
    const open = await report(0, 4096, 3 << 8)
    expect([open.readBigUInt64LE(0), open.readBigUInt64LE(80)]).toEqual([1n, BigInt(ZONE * 3)])
  })

  test('ZNS-06 ZNS-07 an extension is set, and in the extended report', async () => {
    const extension = pattern(64, 9)
    for (const [inCapsule, slba] of [[true, ZONE], [false, 2 * ZONE]] as const) {
      await session.queue(1).must(send(slba, EXTENSION), { send: extension, inCapsule })
      const { data } = await session.queue(1).must(receive(slba, 64 + 128, 1), { receive: 192 })
      expect(data[65]! >> 4).toBe(4)
      expect(data.subarray(128).equals(extension)).toBe(true)
    }
  })

  test('ZNS-07 open, close, finish, reset; all at once', async () => {
    for (const [action, state] of [[OPEN, 3], [CLOSE, 4], [FINISH, 0xe], [RESET, 1]] as const) {
      await session.queue(1).must(send(ZONE * 5, action))
      expect((await zoneAt(ZONE * 5)).state).toBe(state)
    }
    expect(await statusOf(send(ZONE * 5, CLOSE))).toBe('1/BFh')
    for (const zone of [1, 2, 3, 4]) await session.queue(1).must(send(ZONE * zone, OPEN))
    expect(await statusOf(send(ZONE * 6, OPEN))).toBe('1/BEh')
    await session.queue(1).must(send(0, RESET | ALL))
    expect((await zoneAt(ZONE * 4)).state).toBe(1)
  })

  test('ZNS-08 writes go to the write pointer, and nowhere else', async () => {
    const data = pattern(65536, 1)
    await session.queue(1).must(write(2, ZONE, 128), { send: data, inCapsule: false })
    await session.queue(2).must(write(2, ZONE + 128, 128), { send: data, inCapsule: false })
    expect(await zoneAt(ZONE)).toEqual({ state: 2, pointer: ZONE + 256 })
    expect(await statusOf(write(2, ZONE, 8), { send: data.subarray(0, 4096) })).toBe('1/BCh')
    const { data: back } = await session.queue(1).must(read(2, ZONE + 128, 128), { receive: 65536 })
    expect(back.equals(data)).toBe(true)
    await session.queue(1).must(send(ZONE, FINISH))
    expect(await statusOf(write(2, ZONE + 256, 8), { send: data.subarray(0, 4096) })).toBe('1/B9h')
  })

  test('ZNS-09 appends from two queues: each is where its completion says', async () => {
    const blocks = 4
    const all = Array.from({ length: 64 }, async (_, k) => {
      const data = pattern(blocks * 512, k)
      const { dw0, dw1 } = await session.queue(1 + k % 2).must(append(ZONE * 7, blocks), { send: data, inCapsule: k % 3 !== 0 })
      expect(dw1).toBe(0)
      return { lba: dw0, data }
    })
    const done = await Promise.all(all)
    expect(new Set(done.map(({ lba }) => lba)).size).toBe(64)
    for (const { lba, data } of done) {
      expect(lba >= ZONE * 7 && lba < ZONE * 7 + 256).toBe(true)
      const { data: back } = await session.queue(1).must(read(2, lba, blocks), { receive: blocks * 512 })
      expect(back.equals(data)).toBe(true)
    }
    expect((await zoneAt(ZONE * 7)).pointer).toBe(ZONE * 7 + 256)
    // ZASL: 2^2 pages of 4096 bytes.
    expect(await statusOf(append(ZONE * 8, 33), { send: pattern(33 * 512, 1), inCapsule: false })).toBe('0/02h')
    expect(await statusOf(append(ZONE * 8 + 1, 1), { send: pattern(512, 1) })).toBe('0/02h')
  })

  test('ZNS-09 Force Unit Access of an append reaches the device', async () => {
    served.device.seen.length = 0
    await session.queue(1).must(append(ZONE, 1, 0x40000000), { send: pattern(512, 1) })
    expect(served.device.seen.find(({ opcode }) => opcode === 0x7d)!.control & 0x4000).toBe(0x4000)
  })

  test('ZNS-10 a read, and a Verify, of several zones', async () => {
    expect(await statusOf(read(2, ZONE - 8, 16), { receive: 8192 })).toBe('1/B8h')
    expect(await statusOf(verify(2, ZONE - 8, 16))).toBe('1/B8h')
  })

  test('ZNS-11 Write Zeroes at the write pointer, in one command or in many', async () => {
    const data = pattern(4096, 3)
    await session.queue(1).must(write(2, 0, 8), { send: data })
    await session.queue(1).must(writeZeroes(2, 8, 440))
    expect((await zoneAt(0)).state).toBe(0xe)
    const { data: back } = await session.queue(1).must(read(2, 0, 16), { receive: 8192 })
    expect(back.subarray(0, 4096).equals(data)).toBe(true)
    expect(back.subarray(4096).every((byte) => byte === 0)).toBe(true)
    expect(await statusOf(writeZeroes(2, ZONE * 2 + 8, 8))).toBe('1/BCh')
    expect(await statusOf(writeZeroes(2, ZONE * 2, ZONE + 1))).toBe('1/B8h')
  })
})

describe('changed zones', () => {
  const log = async (nsid: number, rae: boolean): Promise<Buffer> =>
    (await session.admin.must(getLogPage(0xbf, 1024, 0, { nsid, rae }), { receive: 4096 })).data

  test('ZNS-14 an event, and the log that names them once', async () => {
    expect((await session.admin.must(identify(0x01, 0), { receive: 4096 })).data.readUInt32LE(92) >>> 27 & 1).toBe(1)
    await session.admin.must(setFeatures(0x0b, 1 << 27))
    const told = session.admin.must(asyncEventRequest(), { held: true })
    served.device.changedZones.push(3 * ZONE, 9 * ZONE)
    served.device.event(2, 0xef, 0xbf, 2)
    const { dw0, dw1 } = await told
    expect([dw0, dw1]).toEqual([0xbfef02, 2])
    for (const rae of [true, false]) {
      const data = await log(2, rae)
      expect([data.readUInt16LE(0), data.readBigUInt64LE(8), data.readBigUInt64LE(16)])
        .toEqual([2, BigInt(3 * ZONE), BigInt(9 * ZONE)])
    }
    expect((await log(2, false)).every((byte) => byte === 0)).toBe(true)
    served.device.changedZones.push(...Array.from({ length: 600 }, () => ZONE))
    served.device.event(2, 0xef, 0xbf, 2)
    await session.admin.must(asyncEventRequest(), { held: true })
    expect((await log(2, false)).readUInt16LE(0)).toBe(0xffff)
    expect((await session.admin.submit(getLogPage(0xbf, 1024, 0, { nsid: 1 }), { receive: 4096 })).status).toBe('0/02h')
  })
})

describe('what is refused', () => {
  test('ZNS-12 zone commands on a namespace without zones', async () => {
    expect(await statusOf(receive(0, 4096, 0, 1), { receive: 4096 })).toBe('0/01h')
    expect(await statusOf(sqe(0x79, 1, [0, 0, 0, RESET]))).toBe('0/01h')
    expect(await statusOf(sqe(0x7d, 1, [0, 0, 0]), { send: pattern(512, 1) })).toBe('0/01h')
    expect(await statusOf(sqe(0x7c, 2, [0, 0, 0]))).toBe('0/01h')
  })

  test('ZNS-13 fields, lengths, places', async () => {
    served.device.seen.length = 0
    const bytes = 4096
    for (const [command, transfer, status] of [
      [send(0, 0x11), {}, '0/02h'], [send(0, 0x3f), {}, '0/02h'], [send(0, OPEN | 0x200), {}, '0/02h'],
      [send(0, EXTENSION | ALL), { send: pattern(64, 1) }, '0/02h'],
      [send(0, EXTENSION), { send: pattern(128, 1) }, '0/0Fh'],
      [send(8192, RESET), {}, '0/80h'],
      [receive(8192, bytes), { receive: bytes }, '0/80h'], [receive(0, bytes, 2), { receive: bytes }, '0/02h'],
      [receive(0, 32), { receive: 32 }, '0/02h'], [receive(0, 2 * bytes), { receive: bytes }, '0/0Fh'],
      [append(8192, 1), { send: pattern(512, 1) }, '0/80h'],
      [append(0, 2), { send: pattern(512, 1) }, '0/0Fh'],
    ] as const) {
      expect.soft(await statusOf(command, transfer), command.subarray(0, 64).toString('hex')).toBe(status)
    }
    expect(served.device.seen.filter(({ qid }) => qid !== 0)).toEqual([])
  })
})
