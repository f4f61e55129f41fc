/**
 * Get and Set Features: 06h, 07h, 0Bh, 0Fh, 16h, 81h.
 * NVMe Base 2.0, features; NVMe over Fabrics 1.1, host identifier.
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { DISCOVERY_NQN, getFeatures, identify, setFeatures } from '../command-bytes.ts'
import { NQN, startDaemon, type Daemon } from '../daemon.ts'
import { openSession, someHost, type Session } from '../host-session.ts'
import { closeWires } from '../host.ts'

let daemon: Daemon

beforeAll(async () => {
  daemon = await startDaemon()
})
afterAll(() => daemon.stop())
afterEach(closeWires)

const open = (queues = 0): Promise<Session> =>
  openSession(daemon.endpoint, { subnqn: NQN, kato: 60_000 }, queues)

describe('number of queues (07h)', () => {
  test.each([0, 1, 3])('FEA-01: %i and as many, 0\'s based', async (count) => {
    const { admin } = await open()
    const done = await admin.must(setFeatures(0x07, count + count * 0x10000))
    expect(done.dw0 & 0xffff).toBe(count)
    expect(done.dw0 >>> 16).toBe(count)
    expect((await admin.must(getFeatures(0x07))).dw0).toBe(done.dw0)
  })

  test('FEA-01: more than there are', async () => {
    const { admin } = await open()
    const done = await admin.must(setFeatures(0x07, 0xfffefffe))
    expect(done.dw0 & 0xffff).toBeLessThan(0xfffe)
    expect(done.dw0 >>> 16).toBe(done.dw0 & 0xffff)
  })

  test.each([0x0000ffff, 0xffff0000, 0xffffffff])('FEA-01: CDW11 %i', async (cdw11) => {
    const { admin } = await open()
    expect((await admin.submit(setFeatures(0x07, cdw11))).status).toBe('0/02h')
  })

  test('FEA-02: after an I/O queue was connected', async () => {
    const { admin } = await open(1)
    expect((await admin.submit(setFeatures(0x07, 0x00010001))).status).toBe('0/0Ch')
  })
})

describe('timestamp (0Eh)', () => {
  test('FEA-11: goes on from what was set, on this controller alone', async () => {
    const { admin } = await open()
    expect((await admin.must(identify(1), { receive: 4096 })).data.readUInt16LE(520) & 0x40, 'ONCS').toBe(0x40)
    const send = Buffer.from('ff00000000010000', 'hex')
    await admin.must(setFeatures(0x0e), { send })
    const { data } = await admin.must(getFeatures(0x0e), { receive: 8 })
    expect(data.readUIntLE(0, 6)).toBeGreaterThanOrEqual(send.readUIntLE(0, 6))
    expect([data.readUInt8(6), data.readUInt8(7)], 'set by a host').toEqual([2, 0])
    const other = await open()
    expect((await other.admin.must(getFeatures(0x0e), { receive: 8 })).data.readUInt8(6)).toBe(0)
  })

  test('FEA-11: without its 8 bytes', async () => {
    const { admin } = await open()
    expect((await admin.submit(setFeatures(0x0e))).status).toBe('0/0Fh')
    expect((await admin.submit(setFeatures(0x0e), { send: Buffer.alloc(16) })).status).toBe('0/0Fh')
  })
})

describe('asynchronous event configuration (0Bh)', () => {
  test('FEA-03: reads back', async () => {
    const { admin } = await open()
    const oaes = (await admin.must(identify(1), { receive: 4096 })).data.readUInt32LE(92)
    for (const value of [0, oaes, oaes & 0x100]) {
      await admin.must(setFeatures(0x0b, value))
      expect((await admin.must(getFeatures(0x0b))).dw0).toBe(value >>> 0)
    }
  })

  test('FEA-03: a bit that does not exist', async () => {
    const { admin } = await open()
    expect((await admin.submit(setFeatures(0x0b, 0x00400000))).status).toBe('0/02h')
  })

  test('FEA-03: on a discovery controller', async () => {
    const { admin } = await openSession(daemon.endpoint, { subnqn: DISCOVERY_NQN }, 0)
    await admin.must(setFeatures(0x0b, 0))
    expect((await admin.must(getFeatures(0x0b))).dw0).toBe(0)
  })
})

describe('keep-alive timer (0Fh)', () => {
  test.each([10_000, 15_001, 120_000])('FEA-04: %i ms', async (kato) => {
    const { admin } = await open()
    const { data } = await admin.must(identify(1), { receive: 4096 })
    const unit = data.readUInt16LE(320) * 100
    await admin.must(setFeatures(0x0f, kato))
    const { dw0 } = await admin.must(getFeatures(0x0f))
    expect(dw0).toBeGreaterThanOrEqual(kato)
    expect(dw0).toBeLessThan(kato + unit)
  })
})

describe('volatile write cache (06h)', () => {
  test('FEA-05: bit 0 says whether it is on; off is done or refused, never ignored', async () => {
    const { admin } = await open()
    const vwc = (await admin.must(identify(1), { receive: 4096 })).data.readUInt8(525)
    const before = (await admin.must(getFeatures(0x06))).dw0
    expect(before & ~1).toBe(0)
    if ((vwc & 1) === 0) expect(before).toBe(0)
    const off = await admin.submit(setFeatures(0x06, 0))
    if (off.status === '0/00h') expect((await admin.must(getFeatures(0x06))).dw0).toBe(0)
    else expect(['1/0Eh', '0/02h']).toContain(off.status)
    const on = await admin.submit(setFeatures(0x06, 1))
    if (on.status === '0/00h') expect((await admin.must(getFeatures(0x06))).dw0).toBe(1)
  })
})

describe('host behaviour support (16h)', () => {
  test('FEA-06: 512 bytes', async () => {
    const { admin } = await open()
    const send = Buffer.alloc(512)
    send.writeUInt8(1, 0)
    await admin.must(setFeatures(0x16), { send })
    const back = await admin.must(getFeatures(0x16), { receive: 512 })
    expect(back.data.readUInt8(0)).toBe(1)
    expect(back.data.subarray(3).every((byte) => byte === 0)).toBe(true)
  })

  test('FEA-06: by R2T', async () => {
    const { admin } = await open()
    await admin.must(setFeatures(0x16), { send: Buffer.alloc(512), inCapsule: false })
    const back = await admin.must(getFeatures(0x16), { receive: 512 })
    expect(back.data.readUInt8(0)).toBe(0)
  })

  test('FEA-06: another controller keeps its own', async () => {
    const [one, other] = [await open(), await open()]
    const send = Buffer.alloc(512)
    send.writeUInt8(1, 0)
    await one.admin.must(setFeatures(0x16), { send })
    const back = await other.admin.must(getFeatures(0x16), { receive: 512 })
    expect(back.data.readUInt8(0)).toBe(0)
  })
})

describe('host identifier (81h)', () => {
  test('FEA-07: sixteen bytes with EXHID', async () => {
    const identity = someHost()
    const { admin } = await openSession(daemon.endpoint, { subnqn: NQN, identity }, 0)
    const { data } = await admin.must(getFeatures(0x81, 1), { receive: 16 })
    expect(data.equals(identity.hostid)).toBe(true)
  })

  test('FEA-07: eight bytes are not for fabrics', async () => {
    const { admin } = await open()
    expect((await admin.submit(getFeatures(0x81, 0), { receive: 8 })).status).toBe('0/02h')
  })

  test('FEA-07: it cannot be set', async () => {
    const { admin } = await open()
    const done = await admin.submit(setFeatures(0x81, 1), { send: Buffer.alloc(16, 1) })
    expect(done.status).toBe('0/0Ch')
  })
})

test.each([0x00, 0x0d, 0x40, 0xc0, 0xff])('FEA-08: feature %i', async (fid) => {
  const { admin } = await open()
  expect((await admin.submit(getFeatures(fid))).status).toBe('0/02h')
  expect((await admin.submit(setFeatures(fid, 1))).status).toBe('0/02h')
})

test.each([0x07, 0x0b, 0x0f])('FEA-09: save feature %i', async (fid) => {
  const { admin } = await open()
  const value = fid === 0x0f ? 60_000 : 0
  expect((await admin.submit(setFeatures(fid, value, true))).status).toBe('1/0Dh')
})
