/**
 * Digests: right ones, wrong ones, and what a wrong one costs.
 * NVMe/TCP Transport 1.0a: a wrong header digest is fatal to the connection, a wrong data digest
 * to the command only.
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { keepAlive, read, stampSgl, write } from '../command-bytes.ts'
import { NQN, startDaemon, type Daemon } from '../daemon.ts'
import { openSession } from '../host-session.ts'
import { closeWires, expectTermReq } from '../host.ts'
import {
  R2T, capsuleCmd, crc32c, cqeOf, digestBytes, h2cData, r2tOf, type Digests,
} from '../wire-bytes.ts'

const BLOCK_BYTES = 512
const BOTH: Digests = { header: true, data: true }

let daemon: Daemon

beforeAll(async () => {
  daemon = await startDaemon()
})
afterAll(() => daemon.stop())
afterEach(closeWires)

const session = (digests: Digests) => openSession(daemon.endpoint, { subnqn: NQN, digests })

/** Data in which every 32-bit word differs from its neighbours. */
function pattern(bytes: number, seed: number): Buffer {
  const data = Buffer.alloc(bytes)
  for (let at = 0; at < bytes; at += 4) data.writeUInt32LE((at * 2654435761 + seed) >>> 0, at)
  return data
}

test('DIG-01: known values of CRC32C', () => {
  expect(crc32c(Buffer.from('123456789'))).toBe(0xe3069283)
  expect(crc32c(Buffer.alloc(32))).toBe(0x8a9136aa)
  expect(crc32c(Buffer.alloc(32, 0xff))).toBe(0x62a8ab43)
  expect(digestBytes(Buffer.alloc(32))).toEqual(Buffer.from('aa36918a', 'hex'))
  const response = Buffer.from('050118001c000000' + '00'.repeat(8) + '0100000034120000', 'hex')
  expect(digestBytes(response)).toEqual(Buffer.from('7ed491ba', 'hex'))
})

test.each([
  { header: true, data: false },
  { header: false, data: true },
  BOTH,
])('DIG-02: on R2T, C2HData and CapsuleResp with %o', async (digests) => {
  const queue = (await session(digests)).queue(1)
  const data = pattern(32768, 1)
  const written = await queue.must(write(1, 0, 64), { send: data, inCapsule: false })
  expect(written.r2ts.length).toBeGreaterThan(0)
  const back = await queue.must(read(1, 0, 64), { receive: 32768 })
  expect(back.c2h.length).toBeGreaterThan(0)
  expect(back.data.equals(data)).toBe(true)
})

describe('a wrong HDGST', () => {
  test.each([
    ['without data digests', { header: true, data: false }],
    ['with data digests', BOTH],
  ])('DIG-03: of a capsule, %s', async (_name, digests) => {
    const { wire } = (await session(digests)).queue(1)
    const sent = capsuleCmd(stampSgl(read(1, 0, 1), 0x5a, 512), null, digests)
    sent.writeUInt8(sent.readUInt8(72) ^ 1, 72)
    await wire.send(sent)
    await expectTermReq(wire, { fes: 3, sent, headerBytes: 72 })
  })

  test('DIG-03: one flipped bit of the header itself', async () => {
    const { wire } = (await session(BOTH)).queue(1)
    const sent = capsuleCmd(stampSgl(read(1, 0, 1), 0x5a, 512), null, BOTH)
    sent.writeUInt8(sent.readUInt8(50) ^ 0x80, 50)
    await wire.send(sent)
    await expectTermReq(wire, { fes: 3, sent })
  })

  test('DIG-03: of H2CData', async () => {
    const queue = (await session(BOTH)).queue(1)
    const cid = queue.takeCid()
    await queue.wire.send(queue.capsule(write(1, 0, 64), { send: pattern(32768, 2),
      inCapsule: false }, cid))
    const { ttag } = r2tOf(await queue.wire.next())
    const sent = h2cData({ cccid: cid, ttag, datao: 0, data: pattern(1024, 2), last: false }, BOTH)
    sent.writeUInt32LE((sent.readUInt32LE(24) ^ 0x10000) >>> 0, 24)
    await queue.wire.send(sent)
    await expectTermReq(queue.wire, { fes: 3, sent, headerBytes: 24 })
  })

  test('DIG-03: on the admin queue', async () => {
    const { wire } = (await session(BOTH)).admin
    const sent = capsuleCmd(stampSgl(keepAlive(), 0x5a, 0), null, BOTH)
    sent.writeUInt32LE(0, 72)
    await wire.send(sent)
    await expectTermReq(wire, { fes: 3, sent })
  })
})

describe.each([
  { header: false, data: true },
  BOTH,
])('a wrong DDGST with %o', (digests) => {
  test('DIG-04: of in-capsule data', async () => {
    const queue = (await session(digests)).queue(1)
    const send = pattern(4096, 3)
    const cid = queue.takeCid()
    const capsule = queue.capsule(write(1, 0, 8), { send }, cid)
    const last = capsule.length - 1
    capsule.writeUInt8(capsule.readUInt8(last) ^ 0xff, last)
    const done = queue.expectAnswer(cid, { send })
    await queue.wire.send(capsule)
    expect((await done).status).toBe('0/22h')
    expect((await done).dnr).toBe(false)
    await queue.must(write(1, 0, 8), { send })
    expect((await queue.must(read(1, 0, 8), { receive: 4096 })).data.equals(send)).toBe(true)
  })

  test('DIG-05: of one H2CData among several', async () => {
    const queue = (await session(digests)).queue(1)
    const send = pattern(32768, 4)
    const cid = queue.takeCid()
    await queue.wire.send(queue.capsule(write(1, 0, 64), { send, inCapsule: false }, cid))
    let sentBytes = 0
    while (sentBytes < send.length) {
      const pdu = await queue.wire.next()
      expect(pdu.type).toBe(R2T)
      const { ttag, r2to, r2tl } = r2tOf(pdu)
      for (let at = r2to; at < r2to + r2tl; at += 8192) {
        const end = Math.min(at + 8192, r2to + r2tl)
        const data = send.subarray(at, end)
        const fields = { cccid: cid, ttag, datao: at, data, last: end === r2to + r2tl }
        const bytes = h2cData(fields, digests)
        if (at === 8192) bytes.writeUInt8(bytes.readUInt8(bytes.length - 2) ^ 1, bytes.length - 2)
        await queue.wire.send(bytes)
        sentBytes = end
      }
    }
    const cqe = cqeOf(await queue.wire.next())
    expect([cqe.cid, cqe.status]).toEqual([cid, '0/22h'])
    await queue.must(write(1, 0, 64), { send, inCapsule: false })
    const back = await queue.must(read(1, 0, 64), { receive: send.length })
    expect(back.data.equals(send)).toBe(true)
  })

  test('DIG-04: and the next capsule, right behind it, succeeds', async () => {
    const queue = (await session(digests)).queue(1)
    const send = pattern(512, 5)
    const cid = queue.takeCid()
    const capsule = queue.capsule(write(1, 0, 1), { send }, cid)
    capsule.writeUInt8(capsule.readUInt8(capsule.length - 5) ^ 1, capsule.length - 5)
    const done = queue.expectAnswer(cid, { send })
    await queue.wire.send(capsule, queue.capsule(write(1, 0, 1), { send }, queue.takeCid()))
    expect((await done).status).toBe('0/22h')
    const second = cqeOf(await queue.wire.next())
    expect(second.status).toBe('0/00h')
  })
})

describe.each([
  { header: false, data: false },
  { header: true, data: false },
  { header: false, data: true },
  BOTH,
])('data with digests %o', (digests) => {
  test.each([512, 1024, 4096, 16384, 16896, 65536, 131072, 1048576])(
    'DIG-06: %i bytes there and back', async (bytes) => {
      const queue = (await session(digests)).queue(1)
      const send = pattern(bytes, bytes)
      const blocks = bytes / BLOCK_BYTES
      await queue.must(write(1, 8, blocks), { send, inCapsule: bytes <= 16384 })
      const back = await queue.must(read(1, 8, blocks), { receive: bytes })
      expect(back.data.equals(send)).toBe(true)
    })
})
