/**
 * PDU headers: every malformed one, what the target answers, and that nobody else notices.
 * NVMe/TCP Transport 1.0a: PDU common header, Terminate Connection Request, error handling.
 *
 *   0 type · 1 flags · 2 HLEN · 3 PDO · 4 PLEN
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { identify, keepAlive, read, setFeatures, stampSgl, write } from '../command-bytes.ts'
import { NQN, startDaemon, type Daemon } from '../daemon.ts'
import type { HostQueue } from '../host-queue.ts'
import { openSession, type Session } from '../host-session.ts'
import { closeWires, expectTermReq, type Wire } from '../host.ts'
import {
  H2C_TERM_REQ, barePdu, capsuleCmd, h2cData, h2cTermReq, resealHeader,
} from '../wire-bytes.ts'

let daemon: Daemon

beforeAll(async () => {
  daemon = await startDaemon()
})
afterAll(() => daemon.stop())
afterEach(closeWires)

const session = (): Promise<Session> => openSession(daemon.endpoint, { subnqn: NQN })

/** A CapsuleCmd that nothing is wrong with, to spoil. */
const goodCapsule = (): Buffer => capsuleCmd(stampSgl(read(1, 0, 8), 0x5a, 4096))

/** An H2CData that nothing is wrong with but that nobody asked for. */
const goodH2cData = (): Buffer => h2cData({ cccid: 1, ttag: 1, datao: 0, data: Buffer.alloc(512) })

/** A CapsuleCmd with 512 bytes of data in it. */
const dataCapsule = (): Buffer =>
  capsuleCmd(stampSgl(write(1, 0, 1), 0x01, 512), Buffer.alloc(512))

describe('a type that is no PDU', () => {
  test.each([0x08, 0x0a, 0x0b, 0x0c, 0x7f, 0xff])('PDU-01: type %i', async (type) => {
    const { wire } = (await session()).queue(1)
    const sent = barePdu(type, 24, 24, 16)
    await wire.send(sent)
    await expectTermReq(wire, { fes: 1, fei: 0, sent })
  })

  test.each([
    ['ICResp', 0x01, 128],
    ['C2HTermReq', 0x03, 24],
    ['CapsuleResp', 0x05, 24],
    ['C2HData', 0x07, 24],
    ['R2T', 0x09, 24],
  ])('PDU-02: %s from the host', async (_name, type, bytes) => {
    const { wire } = (await session()).queue(1)
    const sent = barePdu(type, bytes, bytes, bytes - 8)
    await wire.send(sent)
    await expectTermReq(wire, { fes: 1, fei: 0, sent })
  })
})

describe('a wrong HLEN', () => {
  test.each([
    ['CapsuleCmd', goodCapsule, 0],
    ['CapsuleCmd', goodCapsule, 24],
    ['CapsuleCmd', goodCapsule, 71],
    ['CapsuleCmd', goodCapsule, 73],
    ['CapsuleCmd', goodCapsule, 255],
    ['H2CData', goodH2cData, 0],
    ['H2CData', goodH2cData, 23],
    ['H2CData', goodH2cData, 28],
    ['H2CData', goodH2cData, 72],
  ])('PDU-03: %s with HLEN %3$i', async (_name, good, hlen) => {
    const { wire } = (await session()).queue(1)
    const sent = good()
    sent.writeUInt8(hlen, 2)
    await wire.send(sent)
    await expectTermReq(wire, { fes: 1, fei: 2, sent })
  })

  test('PDU-03: on the admin queue too', async () => {
    const { wire } = (await session()).admin
    const sent = capsuleCmd(stampSgl(keepAlive(), 0x5a, 0))
    sent.writeUInt8(64, 2)
    await wire.send(sent)
    await expectTermReq(wire, { fes: 1, fei: 2, sent })
  })
})

describe('a wrong PLEN', () => {
  test.each([
    ['CapsuleCmd', goodCapsule, 0],
    ['CapsuleCmd', goodCapsule, 7],
    ['CapsuleCmd', goodCapsule, 71],
    ['H2CData', goodH2cData, 0],
    ['H2CData', goodH2cData, 23],
  ])('PDU-04: %s with PLEN %3$i, shorter than its header', async (_name, good, plen) => {
    const { wire } = (await session()).queue(1)
    const sent = good()
    sent.writeUInt32LE(plen, 4)
    await wire.send(sent)
    await expectTermReq(wire, { fes: 1, fei: 4, sent })
  })

  test.each([
    ['CapsuleCmd', dataCapsule, 0xffffffff],
    ['CapsuleCmd', dataCapsule, 0x7fffffff],
    ['CapsuleCmd', dataCapsule, 0x80000000],
    ['H2CData', goodH2cData, 0xffffffff],
  ])('PDU-04: %s with PLEN %3$i, longer than any', async (name, good, plen) => {
    const { wire } = (await session()).queue(1)
    const sent = good()
    sent.writeUInt32LE(plen, 4)
    await wire.send(sent)
    // For a capsule the limit of in-capsule data says the same as a wrong PLEN.
    await expectTermReq(wire, name === 'CapsuleCmd' ? { fes: [1, 5], sent } : { fes: [1, 2], sent })
  })

  test('PDU-04: a header digest that PLEN has no room for', async () => {
    const { admin } = await session()
    const wish = { subnqn: NQN, digests: { header: true, data: false } }
    const { wire } = (await openSession(daemon.endpoint, wish)).queue(1)
    const sent = capsuleCmd(stampSgl(read(1, 0, 8), 0x5a, 4096), null, wish.digests)
    sent.writeUInt32LE(72, 4)
    await wire.send(resealHeader(sent, 72))
    await expectTermReq(wire, { fes: 1, fei: 4, sent })
    await admin.must(keepAlive())
  })
})

describe('a wrong PDO', () => {
  test.each([
    ['CapsuleCmd', dataCapsule, 71],
    ['CapsuleCmd', dataCapsule, 24],
    ['CapsuleCmd', dataCapsule, 74],
    ['H2CData', goodH2cData, 23],
    ['H2CData', goodH2cData, 26],
    ['H2CData', goodH2cData, 8],
  ])('PDU-05: %s with PDO %3$i', async (_name, good, pdo) => {
    const { wire } = (await session()).queue(1)
    const sent = good()
    sent.writeUInt8(pdo, 3)
    await wire.send(sent)
    await expectTermReq(wire, { fes: 1, fei: 3, sent })
  })

  test('PDU-05: CapsuleCmd with a PDO beyond the PDU', async () => {
    const { wire } = (await session()).queue(1)
    const sent = capsuleCmd(stampSgl(write(1, 0, 1), 0x01, 8), Buffer.alloc(8))
    sent.writeUInt8(84, 3)
    await wire.send(sent)
    // PLEN leaves no room for what PDO says: either field may be called wrong.
    await expectTermReq(wire, { fes: 1, fei: [3, 4], sent })
  })
})

describe('digest flags', () => {
  test.each([
    ['HDGSTF although header digests are off', { header: false, data: false }, 0x01],
    ['DDGSTF although data digests are off', { header: false, data: false }, 0x02],
    ['no HDGSTF although header digests are on', { header: true, data: false }, 0x00],
    ['no DDGSTF although data digests are on', { header: false, data: true }, 0x00],
  ])('PDU-06: %s', async (_name, digests, flags) => {
    const { wire } = (await openSession(daemon.endpoint, { subnqn: NQN, digests })).queue(1)
    const sent = capsuleCmd(stampSgl(write(1, 0, 1), 0x01, 512), Buffer.alloc(512), digests)
    sent.writeUInt8(flags, 1)
    await wire.send(digests.header ? resealHeader(sent, 72) : sent)
    await expectTermReq(wire, { fes: 1, fei: 1, sent })
  })
})

describe('termination', () => {
  test.each([
    { header: false, data: false },
    { header: true, data: true },
  ])('PDU-07: C2HTermReq after %o', async (digests) => {
    const { wire } = (await openSession(daemon.endpoint, { subnqn: NQN, digests })).queue(1)
    const fields = { cccid: 7, ttag: 0x7777, datao: 0, data: Buffer.alloc(512, 1) }
    const sent = h2cData(fields, digests)
    await wire.send(sent)
    await expectTermReq(wire, { fes: 2, sent, headerBytes: 24 })
  })

  test('PDU-08: what follows the malformed PDU is neither answered nor turned into a reset',
    async () => {
      const { wire, queue } = await ioQueue()
      const sent = barePdu(0xff, 24, 24, 16)
      const capsules = Buffer.alloc(1 << 20)
      const one = queue.capsule(read(1, 0, 8), { receive: 4096 })
      for (let at = 0; at + one.length <= capsules.length; at += one.length) one.copy(capsules, at)
      void wire.send(sent, capsules)
      await expectTermReq(wire, { fes: 1, fei: 0, sent })
    })

  test('PDU-09: the target closes by itself', async () => {
    const { wire } = (await session()).queue(1)
    wire.holdsOpen = true
    await wire.send(barePdu(0xff, 24, 24, 16))
    expect((await wire.next()).type).toBe(0x03)
    await wire.closed(40_000)
    // Its FIN came; that it then gives up on ours shows when a write finds nobody.
    await expect.poll(async () => {
      await wire.send(Buffer.alloc(8))
      return wire.brokenOff
    }, { timeout: 40_000 }).toBe(true)
  })

  test('PDU-10: neither the other queue of the association nor another host notices', async () => {
    const mine = await openSession(daemon.endpoint, { subnqn: NQN }, 2)
    const other = await session()
    const sent = goodCapsule()
    sent.writeUInt8(1, 2)
    await mine.queue(1).wire.send(sent)
    await expectTermReq(mine.queue(1).wire, { fes: 1, fei: 2, sent })
    await mine.queue(2).must(read(1, 0, 8), { receive: 4096 })
    await mine.admin.must(keepAlive())
    await other.queue(1).must(read(1, 0, 8), { receive: 4096 })
  })

  test.each([1, 2, 3, 4, 5, 6, 0xffff])('PDU-11: H2CTermReq with FES %i', async (fes) => {
    const { wire } = (await session()).queue(1)
    await wire.send(h2cTermReq(fes, 3, Buffer.alloc(24)))
    await wire.closed()
    expect(wire.unread).toBe(0)
  })

  test.each([
    ['PLEN 153', 24, 153],
    ['PLEN 8', 24, 8],
    ['PLEN 4 GiB', 24, 0xffffffff],
    ['HLEN 23', 23, 48],
  ])('PDU-12: H2CTermReq with %s', async (_name, hlen, plen) => {
    const { wire } = (await session()).queue(1)
    await wire.send(barePdu(H2C_TERM_REQ, hlen, plen, 145))
    wire.finish()
    await wire.closed()
  })
})

describe('framing', () => {
  test.each([
    ['byte by byte', [1]],
    ['in sevens', [7]],
    ['between header and the rest', [8, 64]],
    ['inside PLEN', [5, 1, 66]],
  ])('PDU-13: capsules split %s', async (_name, sizes) => {
    const { queue, wire } = await ioQueue()
    const capsules = [0, 1, 2].map((slba) => {
      const answer = { receive: 512 }
      const cid = queue.takeCid()
      const bytes = queue.capsule(read(1, slba, 1), answer, cid)
      return { bytes, done: queue.expectAnswer(cid, answer) }
    })
    await wire.trickle(Buffer.concat(capsules.map((capsule) => capsule.bytes)), sizes)
    for (const capsule of capsules) expect((await capsule.done).status).toBe('0/00h')
  })

  test('PDU-13: ICReq, Connect and what follows it, in one write', async () => {
    const { admin } = await session()
    const commands = Array.from({ length: 16 }, () => {
      const answer = { receive: 4096 }
      const cid = admin.takeCid()
      const bytes = admin.capsule(identify(1), answer, cid)
      return { bytes, done: admin.expectAnswer(cid, answer) }
    })
    await admin.wire.send(...commands.map((command) => command.bytes))
    for (const command of commands) expect((await command.done).status).toBe('0/00h')
  })

  test('PDU-13: a capsule with data, then the next capsule in the same byte stream', async () => {
    const { queue, wire } = await ioQueue()
    const data = Buffer.alloc(2048, 0xa5)
    const first = queue.takeCid()
    const second = queue.takeCid()
    const writing = queue.expectAnswer(first, { send: data })
    const features = queue.expectAnswer(second, {})
    const bytes = Buffer.concat([
      queue.capsule(write(1, 0, 4), { send: data }, first),
      queue.capsule(setFeatures(0x07), {}, second),
    ])
    await wire.trickle(bytes, [100, 1, 999])
    expect((await writing).status).toBe('0/00h')
    expect((await features).status).not.toBe('0/00h')
  })
})

async function ioQueue(): Promise<{ wire: Wire; queue: HostQueue }> {
  const queue = (await session()).queue(1)
  return { wire: queue.wire, queue }
}
