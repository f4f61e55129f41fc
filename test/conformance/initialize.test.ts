/**
 * ICReq and ICResp: what the first 128 bytes in each direction may say.
 * NVMe/TCP Transport 1.0a: Initialize Connection Request and Response.
 *
 *   8 PFV · 10 HPDA / CPDA · 11 DGST · 12 MAXR2T / MAXH2CDATA · 16 … 127 reserved
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { keepAlive, read, stampSgl, write } from '../command-bytes.ts'
import { NQN, startDaemon, type Daemon } from '../daemon.ts'
import { openSession } from '../host-session.ts'
import { Wire, closeWires, expectTermReq } from '../host.ts'
import { IC_RESP, barePdu, capsuleCmd, h2cData, h2cTermReq, icReq } from '../wire-bytes.ts'

let daemon: Daemon

beforeAll(async () => {
  daemon = await startDaemon()
})
afterAll(() => daemon.stop())
afterEach(closeWires)

const open = (): Promise<Wire> => Wire.open(daemon.endpoint)

test('ICR-01: ICResp, byte by byte', async () => {
  const answer = await (await open()).initialize()
  expect(answer.type).toBe(IC_RESP)
  expect([answer.flags, answer.hlen, answer.pdo, answer.plen]).toEqual([0, 128, 0, 128])
  expect(answer.bytes.readUInt16LE(8), 'PFV').toBe(0)
  expect(answer.bytes.subarray(16).equals(Buffer.alloc(112)), 'reserved').toBe(true)
})

test.each([
  { header: false, data: false },
  { header: true, data: false },
  { header: false, data: true },
  { header: true, data: true },
])('ICR-02: digests %o', async (digests) => {
  const answer = await (await open()).initialize({ digests })
  expect(answer.bytes.readUInt8(11)).toBe((digests.header ? 1 : 0) + (digests.data ? 2 : 0))
})

test('ICR-03: CPDA is 0, even when HPDA is not', async () => {
  for (const hpda of [0, 3, 31]) {
    const answer = await (await open()).initialize({ hpda })
    expect(answer.bytes.readUInt8(10)).toBe(0)
  }
})

test('ICR-04: MAXH2CDATA', async () => {
  const answer = await (await open()).initialize()
  const maxH2cData = answer.bytes.readUInt32LE(12)
  expect(maxH2cData).toBeGreaterThanOrEqual(4096)
  expect(maxH2cData % 4).toBe(0)
})

test.each([1, 0x100, 0xffff])('ICR-05: PFV %i', async (pfv) => {
  const wire = await open()
  const sent = icReq({ pfv })
  await wire.send(sent)
  await expectTermReq(wire, { fes: 1, fei: 8, sent })
})

test.each([32, 128, 255])('ICR-06: HPDA %i', async (hpda) => {
  const wire = await open()
  const sent = icReq({ hpda })
  await wire.send(sent)
  await expectTermReq(wire, { fes: 1, fei: 10, sent })
})

describe.each([
  { header: false, data: false },
  { header: true, data: true },
])('with digests %o', (digests) => {
  test.each([0, 1, 7, 15, 31])('ICR-07: data aligned for HPDA %i', async (hpda) => {
    const wish = { subnqn: NQN, hpda, digests }
    const queue = (await openSession(daemon.endpoint, wish)).queue(1)
    const data = Buffer.from(Array.from({ length: 8192 }, (_, index) => (index * 7) & 0xff))
    await queue.must(write(1, 0, 16), { send: data })
    const done = await queue.must(read(1, 0, 16), { receive: 8192 })
    const unit = (hpda + 1) * 4
    for (const pdu of done.c2h) {
      expect(pdu.pdo % unit).toBe(0)
      expect(pdu.pdo).toBe(Math.ceil((digests.header ? 28 : 24) / unit) * unit)
    }
    expect(done.data.equals(data)).toBe(true)
  })
})

test.each([0, 1, 15, 0xffff, 0xffffffff])('ICR-08: MAXR2T %i', async (maxr2t) => {
  const session = await openSession(daemon.endpoint, { subnqn: NQN, maxr2t })
  const data = Buffer.alloc(65536, 0x3c)
  await session.queue(1).must(write(1, 0, 128), { send: data, inCapsule: false })
})

test('ICR-09: a second ICReq, at once', async () => {
  const wire = await open()
  await wire.initialize()
  const sent = icReq()
  await wire.send(sent)
  await expectTermReq(wire, { fes: 2, sent })
})

test('ICR-09: a second ICReq, on a queue that is connected', async () => {
  const { wire } = (await openSession(daemon.endpoint, { subnqn: NQN })).queue(1)
  const sent = icReq()
  await wire.send(sent)
  await expectTermReq(wire, { fes: 2, sent })
})

test.each([
  ['CapsuleCmd', capsuleCmd(stampSgl(keepAlive(), 0x5a, 0))],
  ['H2CData', h2cData({ cccid: 0, ttag: 0, datao: 0, data: Buffer.alloc(64) })],
])('ICR-10: %s before ICReq', async (_name, sent) => {
  const wire = await open()
  await wire.send(sent)
  await expectTermReq(wire, { fes: 2, sent })
})

test('ICR-10: H2CTermReq before ICReq closes', async () => {
  const wire = await open()
  await wire.send(h2cTermReq(1, 0, Buffer.alloc(24)))
  await wire.closed()
})

test('ICR-11: the first segment that arrives is the whole ICResp', async () => {
  const wire = await open()
  await wire.trickle(icReq(), [1])
  await wire.next()
  expect(wire.segments).toEqual([128])
})

test.each([
  ['HLEN', 2, 127, 2],
  ['HLEN', 2, 24, 2],
  ['PLEN', 4, 127, 4],
  ['PLEN', 4, 132, 4],
  ['PLEN', 4, 0, 4],
])('ICR-12: %s at %i is %i', async (name, at, value, fei) => {
  const wire = await open()
  const sent = icReq()
  if (name === 'HLEN') sent.writeUInt8(value, at)
  else sent.writeUInt32LE(value, at)
  await wire.send(sent)
  await expectTermReq(wire, { fes: 1, fei, sent })
})

test('ICR-10: bytes of another protocol end the connection', async () => {
  const wire = await open()
  await wire.send(Buffer.from('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n'.padEnd(200)))
  wire.finish()
  await wire.closed()
})

test('ICR-10: a PDU of an unknown type before ICReq', async () => {
  const wire = await open()
  const sent = barePdu(0x55, 24, 24, 16)
  await wire.send(sent)
  await expectTermReq(wire, { fes: [1, 2], sent })
})
