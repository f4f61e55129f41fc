/**
 * Identify: the fields that hosts decide by, and the lists.
 * NVMe Base 2.0, Identify command; NVM Command Set 1.0, Identify Namespace. The values that
 * Linux and SPDK refuse are tested for.
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { DISCOVERY_NQN, identify, propertyGet, sqe } from '../command-bytes.ts'
import { NQN, configuration, startDaemon, type Daemon } from '../daemon.ts'
import { PROPERTY_VS, getProperty, openSession, type Session } from '../host-session.ts'
import { closeWires } from '../host.ts'

const NSIDS = [1, 2, 5]
const MEMORY_BYTES = 64 * 1024 * 1024

let daemon: Daemon

beforeAll(async () => {
  daemon = await startDaemon(configuration({
    subsystems: [{
      nqn: NQN,
      hosts: 'any',
      namespaces: [
        { nsid: 1, memory: '64M' },
        { nsid: 2, memory: '64M', block: 4096 },
        { nsid: 5, null: '1T' },
      ],
    }],
  }))
})
afterAll(() => daemon.stop())
afterEach(closeWires)

const open = (subnqn = NQN): Promise<Session> => openSession(daemon.endpoint, { subnqn }, 0)

async function identified(at: Session, cns: number, nsid = 0, csi = 0): Promise<Buffer> {
  const { data } = await at.admin.must(identify(cns, nsid, csi), { receive: 4096 })
  return data
}

async function refusal(at: Session, cns: number, nsid = 0, csi = 0): Promise<string> {
  return (await at.admin.submit(identify(cns, nsid, csi), { receive: 4096 })).status
}

const zero = (bytes: Buffer): boolean => bytes.every((byte) => byte === 0)

describe('controller (CNS 01h)', () => {
  test('IDY-01: CNTLID at 78 and VER at 80', async () => {
    const at = await open()
    const data = await identified(at, 1)
    expect(data.readUInt16LE(78)).toBe(at.admin.cntlid)
    expect(data.readUInt32LE(80)).toBe(await getProperty(at.admin, PROPERTY_VS))
  })

  test.each([
    ['SN', 4, 24],
    ['MN', 24, 64],
    ['FR', 64, 72],
  ])('IDY-02: %s at %i', async (_name, from, to) => {
    const text = (await identified(await open(), 1)).subarray(from, to).toString('latin1')
    expect(text).toMatch(/^[!-~][ -~]*$/)
    expect(text).not.toMatch(/^ *$/)
  })

  test('IDY-03: MDTS at 77', async () => {
    const mdts = (await identified(await open(), 1)).readUInt8(77)
    expect(mdts === 0 || mdts >= 8).toBe(true)
  })

  test('IDY-04: what fabrics hosts refuse to do without', async () => {
    const at = await open()
    const data = await identified(at, 1)
    const { dw0 } = await at.admin.must(propertyGet(0, 8))
    expect(data.readUInt8(111), 'CNTRLTYPE').toBe(1)
    expect(data.readUInt16LE(320), 'KAS').toBeGreaterThan(0)
    expect(data.readUInt8(512), 'SQES').toBe(0x66)
    expect(data.readUInt8(513), 'CQES').toBe(0x44)
    expect(data.readUInt16LE(514), 'MAXCMD').toBeGreaterThanOrEqual((dw0 & 0xffff) + 1)
    expect(data.readUInt32LE(516), 'NN').toBeGreaterThanOrEqual(5)
    expect([1, 2], 'SGLS 1:0').toContain(data.readUInt32LE(536) & 3)
    expect(data.readUInt32LE(536) & 0x100000, 'SGLS 20').not.toBe(0)
    expect(data.readUInt32LE(1792), 'IOCCSZ').toBeGreaterThanOrEqual(4 + 4096 / 16)
    expect(data.readUInt32LE(1796), 'IORCSZ').toBe(1)
    expect(data.readUInt16LE(1800), 'ICDOFF').toBe(0)
    expect(data.readUInt8(1803), 'MSDBD').toBe(1)
    const subnqn = data.subarray(768, 1024)
    expect(subnqn.subarray(0, subnqn.indexOf(0)).toString()).toBe(NQN)
  })

  test('IDY-05: what the target says it does', async () => {
    const data = await identified(await open(), 1)
    expect(data.readUInt8(76) & 2, 'CMIC: several controllers').toBe(2)
    expect(data.readUInt32LE(96) & 1, 'CTRATT: 128-bit HOSTID').toBe(1)
    expect(data.readUInt32LE(96) & 0x40, 'CTRATT: traffic based keep alive').toBe(0x40)
    expect(data.readUInt8(259), 'AERL').toBeGreaterThanOrEqual(3)
    expect(data.readUInt8(261) & 6, 'LPA: effects, offsets').toBe(6)
    const oncs = data.readUInt16LE(520)
    expect(oncs & 0x1af, 'ONCS: compare, write uncorrectable, DSM, write zeroes, reservations, verify, copy').toBe(0x1af)
    expect(oncs & 0xfe00, 'ONCS: nothing that is not there').toBe(0)
    expect(data.readUInt16LE(522), 'FUSES').toBe(1)
    expect(data.readUInt8(525) & 6, 'VWC: says what FFFFFFFFh does').toBeGreaterThanOrEqual(4)
    expect(data.readUInt16LE(1804) & 1, 'OFCS: Disconnect').toBe(1)
  })

  test('IDY-14: of discovery', async () => {
    const at = await open(DISCOVERY_NQN)
    const data = await identified(at, 1)
    expect(data.readUInt8(111)).toBe(2)
    expect(data.readUInt16LE(78)).toBe(at.admin.cntlid)
    expect(data.readUInt8(261) & 4, 'LPA: offsets').toBe(4)
    expect(data.subarray(768, 768 + DISCOVERY_NQN.length).toString()).toBe(DISCOVERY_NQN)
    expect(await refusal(at, 0, 1)).toBe('0/02h')
  })
})

describe('namespaces (CNS 00h)', () => {
  test.each([
    [1, 9, MEMORY_BYTES / 512],
    [2, 12, MEMORY_BYTES / 4096],
    [5, 9, 2 ** 31],
  ])('IDY-06: NSID %i has blocks of 2^%i bytes, %i of them', async (nsid, shift, blocks) => {
    const data = await identified(await open(), 0, nsid)
    expect(Number(data.readBigUInt64LE(0)), 'NSZE').toBe(blocks)
    expect(Number(data.readBigUInt64LE(8)), 'NCAP').toBe(blocks)
    expect(Number(data.readBigUInt64LE(16)), 'NUSE').toBeLessThanOrEqual(blocks)
    const index = data.readUInt8(26) & 0xf
    expect(index, 'FLBAS').toBeLessThanOrEqual(data.readUInt8(25))
    expect(data.readUInt16LE(128 + 4 * index), 'MS').toBe(0)
    expect(data.readUInt8(128 + 4 * index + 2), 'LBADS').toBe(shift)
    expect(data.readUInt8(30) & 1, 'NMIC: shared').toBe(1)
    expect(zero(data.subarray(104, 120)), 'NGUID').toBe(false)
  })

  test.each([3, 4, 6, 1000])('IDY-07: NSID %i, which is not there', async (nsid) => {
    const at = await open()
    const nn = (await identified(at, 1)).readUInt32LE(516)
    // An NSID above NN is not valid; one below it is merely inactive.
    if (nsid > nn) expect(['0/00h', '0/0Bh']).toContain(await refusal(at, 0, nsid))
    else expect(zero(await identified(at, 0, nsid))).toBe(true)
  })

  test.each([0, 0xffffffff])('IDY-07: NSID %i', async (nsid) => {
    expect(await refusal(await open(), 0, nsid)).toBe('0/0Bh')
  })
})

describe('lists', () => {
  test.each([0, 1, 2, 4, 5, 1000, 0xfffffffd])('IDY-08: active above %i', async (above) => {
    const data = await identified(await open(), 2, above)
    const listed = Array.from({ length: 1024 }, (_, index) => data.readUInt32LE(4 * index))
    const wanted = NSIDS.filter((nsid) => nsid > above)
    expect(listed.slice(0, wanted.length)).toEqual(wanted)
    expect(zero(data.subarray(4 * wanted.length))).toBe(true)
  })

  test.each([0xfffffffe, 0xffffffff])('IDY-08: NSID %i', async (nsid) => {
    expect(await refusal(await open(), 2, nsid)).toBe('0/0Bh')
  })

  test.each(NSIDS)('IDY-09: descriptors of NSID %i', async (nsid) => {
    const at = await open()
    const data = await identified(at, 3, nsid)
    const lengths = new Map<number, Buffer>()
    let offset = 0
    while (offset < 4096 && data.readUInt8(offset + 1) !== 0) {
      const bytes = data.readUInt8(offset + 1)
      lengths.set(data.readUInt8(offset), data.subarray(offset + 4, offset + 4 + bytes))
      expect(data.readUInt16LE(offset + 2), 'reserved').toBe(0)
      offset += 4 + bytes
    }
    expect(zero(data.subarray(offset)), 'nothing after the last').toBe(true)
    expect(lengths.get(3)?.length, 'UUID').toBe(16)
    expect(lengths.get(2)?.length, 'NGUID').toBe(16)
    expect(lengths.get(4), 'CSI').toEqual(Buffer.from([0]))
    expect(lengths.get(2)).toEqual((await identified(at, 0, nsid)).subarray(104, 120))
  })

  test.each([0, 3, 0xffffffff])('IDY-09: descriptors of NSID %i', async (nsid) => {
    expect(await refusal(await open(), 3, nsid)).toBe('0/0Bh')
  })

  test('IDY-13: the same through another controller, different for each namespace', async () => {
    const [one, other] = [await open(), await open()]
    const seen = new Set<string>()
    for (const nsid of NSIDS) {
      const data = await identified(one, 3, nsid)
      expect((await identified(other, 3, nsid)).equals(data)).toBe(true)
      seen.add(data.toString('hex'))
    }
    expect(seen.size).toBe(NSIDS.length)
  })
})

describe('by command set', () => {
  test('IDY-10: CNS 06h CSI 0', async () => {
    expect((await identified(await open(), 6, 0, 0)).length).toBe(4096)
  })

  test('IDY-10: CNS 05h CSI 0', async () => {
    expect((await identified(await open(), 5, 1, 0)).length).toBe(4096)
  })

  test.each([5, 6])('IDY-10: CNS %i of a command set that is not there', async (cns) => {
    const at = await open()
    expect(await refusal(at, cns, cns === 5 ? 1 : 0, 2)).toBe('0/02h')
    expect(await refusal(at, cns, cns === 5 ? 1 : 0, 0x7f)).toBe('0/02h')
  })

  test('IDY-18: CNS 07h lists the same NSIDs as CNS 02h, from any one on', async () => {
    const at = await open()
    for (const above of [0, 1, 4, 5]) {
      const data = await identified(at, 7, above, 0)
      expect(data).toEqual(await identified(at, 2, above))
      expect(data.readUInt32LE(0), 'the first one above').toBe(NSIDS.find((nsid) => nsid > above) ?? 0)
    }
    expect(await refusal(at, 7, 0, 2), 'a command set that is not there').toBe('0/02h')
    expect(await refusal(at, 7, 0xffffffff, 0)).toBe('0/0Bh')
  })

  test('IDY-20: CNS 16h has one entry for all LBA formats, and CTRATT says so', async () => {
    const at = await open()
    expect((await identified(at, 1)).readUInt32LE(96) & 0x80, 'CTRATT: namespace granularity').toBe(0x80)
    const data = await identified(at, 0x16)
    expect([data.readUInt32LE(0), data.readUInt8(4)], 'attributes, NUM').toEqual([0, 0])
    expect([data.readBigUInt64LE(32), data.readBigUInt64LE(40)], 'NSG, NCG').toEqual([4096n, 4096n])
    expect(zero(data.subarray(48))).toBe(true)
  })

  test('IDY-19: CNS 1Ch names one combination, the NVM command set alone', async () => {
    const at = await open()
    const combinations = async (cntid: number): Promise<Buffer> =>
      (await at.admin.must(sqe(0x06, 0, [0x1c + cntid * 0x10000]), { receive: 4096 })).data
    for (const cntid of [0xffff, at.admin.cntlid]) {
      const data = await combinations(cntid)
      expect([data.readBigUInt64LE(0), data.subarray(8).every((byte) => byte === 0)]).toEqual([1n, true])
    }
    const other = await at.admin.submit(sqe(0x06, 0, [0x1c + (at.admin.cntlid + 1) * 0x10000]), { receive: 4096 })
    expect(other.status).toBe('0/02h')
  })

  test('IDY-11: CNS 08h', async () => {
    const data = await identified(await open(), 8, 1)
    expect(data.readUInt8(1) & 1, 'NMIC').toBe(1)
    expect(data.readUInt8(14) & 1, 'NSTAT').toBe(1)
  })

  test('IDY-11: CNS 08h of NSIDs that are never valid', async () => {
    const at = await open()
    expect(await refusal(at, 8, 0xffffffff)).toBe('0/0Bh')
    expect(await refusal(at, 8, 0)).toBe('0/0Bh')
  })

  test.each([0x04, 0x09, 0x15, 0x7f, 0xc0, 0xff])('IDY-12: CNS %i', async (cns) => {
    expect(await refusal(await open(), cns, 1)).toBe('0/02h')
  })
})

describe('what is allocated and attached', () => {
  const listed = (data: Buffer): number[] =>
    Array.from({ length: data.readUInt16LE(0) }, (_, index) => data.readUInt16LE(2 + 2 * index))
  const controllers = async (at: Session, cns: number, nsid: number, cntid: number) =>
    listed((await at.admin.must(sqe(0x06, nsid, [cns + cntid * 0x10000]), { receive: 4096 })).data)

  test('IDY-15: controllers, from any CNTID on', async () => {
    const [one, other] = [await open(), await open()]
    const cntlids = [one.admin.cntlid, other.admin.cntlid]
    const [low, high] = [Math.min(...cntlids), Math.max(...cntlids)]
    for (const [cns, nsid] of [[0x13, 0], [0x12, 2]] as const) {
      expect(await controllers(one, cns, nsid, low)).toEqual([low, high])
      expect(await controllers(one, cns, nsid, low + 1)).toEqual([high])
      expect(await controllers(one, cns, nsid, high + 1)).toEqual([])
    }
    await other.admin.wire.destroy()
    await expect.poll(() => controllers(one, 0x13, 0, 0)).toEqual([one.admin.cntlid])
    expect(await refusal(one, 0x12, 3)).toBe('0/0Bh')
    expect(await refusal(one, 0x12, 0xffffffff)).toBe('0/02h')
  })

  test('IDY-16: the same as what is active', async () => {
    const at = await open()
    for (const [allocated, active, nsids] of [
      [0x10, 0x02, [0, 1, 5]], [0x1a, 0x07, [0, 1, 5]], [0x11, 0x00, [1, 3, 5]], [0x1b, 0x05, [1, 5]],
    ] as const) {
      for (const nsid of nsids) {
        expect(await identified(at, allocated, nsid)).toEqual(await identified(at, active, nsid))
      }
    }
    expect(await refusal(at, 0x1a, 0, 2)).toBe('0/02h')
  })
})

test.each(NSIDS)('IDY-17: hints of NSID %i agree with each other', async (nsid) => {
  const data = await identified(await open(), 0, nsid)
  const [nawun, nawupf, nabsn, nabspf] = [34, 36, 40, 44].map((at) => data.readUInt16LE(at) + 1)
  const [npwg, npwa, npdg, npda, nows] = [64, 66, 68, 70, 72].map((at) => data.readUInt16LE(at) + 1)
  expect(data.readUInt8(24) & 0x10, 'OPTPERF').toBe(0x10)
  expect([npwg! % npwa!, npdg! % npda!, nows! % npwg!]).toEqual([0, 0, 0])
  expect(nawun).toBeGreaterThanOrEqual(nawupf!)
  if ((data.readUInt8(24) & 2) !== 0) expect([nabsn! >= nawun!, nabspf! >= nawupf!]).toEqual([true, true])
  else expect([nawun, nawupf, nabsn, nabspf], 'NSFEAT says nothing of them').toEqual([1, 1, 1, 1])
})
