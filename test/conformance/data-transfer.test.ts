/**
 * Data from the host: R2T and H2CData, every legal split and every illegal one.
 * NVMe/TCP Transport 1.0a: Ready to Transfer, H2C data transfer.
 *
 *   R2T      8 CCCID · 10 TTAG · 12 R2TO · 16 R2TL
 *   H2CData  8 CCCID · 10 TTAG · 12 DATAO · 16 DATAL
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { keepAlive, read, write } from '../command-bytes.ts'
import { NQN, startDaemon, type Daemon } from '../daemon.ts'
import type { HostQueue } from '../host-queue.ts'
import { openSession } from '../host-session.ts'
import { closeWires, expectTermReq, type Negotiation } from '../host.ts'
import { CAPSULE_RESP, R2T, cqeOf, h2cData, r2tOf, type Pdu } from '../wire-bytes.ts'

let daemon: Daemon

beforeAll(async () => {
  daemon = await startDaemon()
})
afterAll(() => daemon.stop())
afterEach(closeWires)

async function ioQueue(wish: Negotiation = {}): Promise<HostQueue> {
  return (await openSession(daemon.endpoint, { subnqn: NQN, ...wish })).queue(1)
}

function pattern(bytes: number, seed: number): Buffer {
  const data = Buffer.alloc(bytes)
  for (let at = 0; at < bytes; at += 4) data.writeUInt32LE((at * 40503 + seed * 977) >>> 0, at)
  return data
}

type Asked = { cccid: number; ttag: number; r2to: number; r2tl: number }

/** Sends a write that must be asked for, and takes its first R2T. */
async function askedWrite(queue: HostQueue, data: Buffer, slba = 0): Promise<Asked> {
  const cid = queue.takeCid()
  const command = write(1, slba, data.length / 512)
  await queue.wire.send(queue.capsule(command, { send: data, inCapsule: false }, cid))
  const pdu = await queue.wire.next()
  expect(pdu.type).toBe(R2T)
  const asked = r2tOf(pdu)
  expect(asked.cccid).toBe(cid)
  return asked
}

/** The completion of `cid`, when nothing else is expected. */
async function statusOf(queue: HostQueue, cid: number): Promise<string> {
  const pdu: Pdu = await queue.wire.next()
  expect(pdu.type).toBe(CAPSULE_RESP)
  const cqe = cqeOf(pdu)
  expect(cqe.cid).toBe(cid)
  return cqe.status
}

async function expectOnMedium(queue: HostQueue, slba: number, data: Buffer): Promise<void> {
  const back = await queue.must(read(1, slba, data.length / 512), { receive: data.length })
  expect(back.data.equals(data)).toBe(true)
}

describe('what the target asks for', () => {
  test.each([512, 4096, 20480, 65536, 262144, 1048576])(
    'DAT-01: %i bytes are asked for once', async (bytes) => {
      const queue = await ioQueue()
      const send = pattern(bytes, 1)
      const done = await queue.must(write(1, 0, bytes / 512), { send, inCapsule: false })
      const asked = done.r2ts.map(r2tOf)
      expect(asked.reduce((sum, one) => sum + one.r2tl, 0)).toBe(bytes)
      await expectOnMedium(queue, 0, send)
    })

  test.each([0, 1, 3])('DAT-03: MAXR2T %i, and nothing more until it is answered', async (most) => {
    const queue = await ioQueue({ maxr2t: most })
    const send = pattern(1 << 20, 2)
    const cid = queue.takeCid()
    const command = write(1, 0, 2048)
    await queue.wire.send(queue.capsule(command, { send, inCapsule: false }, cid))
    let sentBytes = 0
    const pending: Asked[] = []
    while (sentBytes < send.length) {
      if (pending.length === 0) pending.push(r2tOf(await queue.wire.next()))
      // A round trip of another command: what the target had to say by then has arrived.
      await roundTrip(queue, pending)
      expect(pending.length).toBeLessThanOrEqual(most + 1)
      const oldest = pending.shift() as Asked
      const data = send.subarray(oldest.r2to, oldest.r2to + oldest.r2tl)
      for (const bytes of pieces({ ...oldest, cccid: cid }, data, queue.wire.maxH2cDataBytes)) {
        await queue.wire.send(bytes)
      }
      sentBytes += oldest.r2tl
    }
    expect(await statusOf(queue, cid)).toBe('0/00h')
    await expectOnMedium(queue, 0, send)
  })
})

/** Sends a read, takes everything up to its completion, keeps R2Ts in `pending`. */
async function roundTrip(queue: HostQueue, pending: Asked[]): Promise<void> {
  const cid = queue.takeCid()
  await queue.wire.send(queue.capsule(read(1, 0, 1), { receive: 512 }, cid))
  for (;;) {
    const pdu = await queue.wire.next()
    if (pdu.type === R2T) pending.push(r2tOf(pdu))
    if (pdu.type === CAPSULE_RESP && cqeOf(pdu).cid === cid) return
  }
}

function pieces(asked: Asked, data: Buffer, pieceBytes: number): Buffer[] {
  const pdus: Buffer[] = []
  for (let at = 0; at < data.length; at += pieceBytes) {
    const part = data.subarray(at, at + pieceBytes)
    const last = at + part.length === data.length
    const { cccid, ttag } = asked
    pdus.push(h2cData({ cccid, ttag, datao: asked.r2to + at, data: part, last }))
  }
  return pdus
}

describe('legal splits', () => {
  test.each([4, 512, 516, 4096, 5000, 65536])(
    'DAT-02: H2CData of %i bytes each', async (pieceBytes) => {
      const queue = await ioQueue()
      const send = pattern(pieceBytes < 512 ? 4096 : 131072, pieceBytes)
      const transfer = { send, inCapsule: false, h2cBytes: pieceBytes }
      await queue.must(write(1, 16, send.length / 512), transfer)
      await expectOnMedium(queue, 16, send)
    })

  test.each([
    ['byte by byte', [1]],
    ['with its header in two', [12, 4108]],
    ['in odd pieces', [23, 1, 500, 3]],
  ])('DAT-02: one H2CData of 4096 bytes %s', async (_name, sizes) => {
    const queue = await ioQueue()
    const send = pattern(4096, 3)
    const asked = await askedWrite(queue, send)
    const bytes = h2cData({ cccid: asked.cccid, ttag: asked.ttag, datao: 0, data: send })
    await queue.wire.trickle(bytes, sizes)
    expect(await statusOf(queue, asked.cccid)).toBe('0/00h')
    await expectOnMedium(queue, 0, send)
  })

  test('DAT-02: H2CData and the next capsule in one write', async () => {
    const queue = await ioQueue()
    const send = pattern(8192, 4)
    const asked = await askedWrite(queue, send)
    const next = queue.takeCid()
    const capsule = queue.capsule(read(1, 512, 1), { receive: 512 }, next)
    await queue.wire.send(...pieces(asked, send, 4096), capsule)
    expect(await statusOf(queue, asked.cccid)).toBe('0/00h')
    await queue.wire.next()
    expect(await statusOf(queue, next)).toBe('0/00h')
    await expectOnMedium(queue, 0, send)
  })

  test('DAT-04: eight writes, their H2CData taking turns', async () => {
    const queue = await ioQueue()
    const writes: { send: Buffer; asked: Asked; pdus: Buffer[] }[] = []
    for (let index = 0; index < 8; index += 1) {
      const send = pattern(32768, 100 + index)
      const asked = await askedWrite(queue, send, index * 64)
      expect(asked.r2tl).toBe(32768)
      writes.push({ send, asked, pdus: pieces(asked, send, 4096) })
    }
    for (let turn = 0; turn < 8; turn += 1) {
      for (const one of writes) await queue.wire.send(one.pdus[turn] as Buffer)
    }
    const seen = new Set<number>()
    for (let index = 0; index < 8; index += 1) {
      const cqe = cqeOf(await queue.wire.next())
      expect(cqe.status).toBe('0/00h')
      seen.add(cqe.cid)
    }
    expect(seen).toEqual(new Set(writes.map((one) => one.asked.cccid)))
    for (const [index, one] of writes.entries()) await expectOnMedium(queue, index * 64, one.send)
  })

  test('DAT-04: a hundred writes and reads at once', async () => {
    const queue = await ioQueue()
    const commands = Array.from({ length: 50 }, (_, index) => {
      const send = pattern(index % 2 ? 4096 : 24576, index)
      const at = 1000 + index * 64
      const inCapsule = index % 4 === 1
      return { at, send, done: queue.must(write(1, at, send.length / 512), { send, inCapsule }) }
    })
    const reads = Array.from({ length: 50 }, () => queue.must(read(1, 0, 8), { receive: 4096 }))
    await Promise.all([...commands.map((command) => command.done), ...reads])
    for (const command of commands) await expectOnMedium(queue, command.at, command.send)
  })
})

describe('illegal H2CData', () => {
  test.each([0, 0xffff, 0x1234])('DAT-05: TTAG %i while nothing was asked', async (ttag) => {
    const { wire } = await ioQueue()
    const sent = h2cData({ cccid: 0, ttag, datao: 0, data: Buffer.alloc(512) })
    await wire.send(sent)
    await expectTermReq(wire, { fes: 2, sent, headerBytes: 24 })
  })

  test('DAT-05: every TTAG but the one that was given', async () => {
    for (const step of [1, -1, 256]) {
      const queue = await ioQueue()
      const send = pattern(32768, 5)
      const asked = await askedWrite(queue, send)
      const ttag = (asked.ttag + step) & 0xffff
      const sent = h2cData({ cccid: asked.cccid, ttag, datao: 0, data: send })
      await queue.wire.send(sent)
      await expectTermReq(queue.wire, { fes: 2, sent })
    }
  })

  test('DAT-05: the TTAG of a transfer that has ended', async () => {
    const queue = await ioQueue()
    const send = pattern(4096, 6)
    const asked = await askedWrite(queue, send)
    const sent = h2cData({ cccid: asked.cccid, ttag: asked.ttag, datao: 0, data: send })
    await queue.wire.send(sent)
    expect(await statusOf(queue, asked.cccid)).toBe('0/00h')
    await queue.wire.send(sent)
    await expectTermReq(queue.wire, { fes: 2, sent })
  })

  test('DAT-05: the TTAG of another connection', async () => {
    const session = await openSession(daemon.endpoint, { subnqn: NQN }, 2)
    const send = pattern(4096, 7)
    const asked = await askedWrite(session.queue(1), send)
    const sent = h2cData({ cccid: asked.cccid, ttag: asked.ttag, datao: 0, data: send })
    await session.queue(2).wire.send(sent)
    await expectTermReq(session.queue(2).wire, { fes: 2, sent })
    await session.queue(1).wire.send(sent)
    expect(await statusOf(session.queue(1), asked.cccid)).toBe('0/00h')
    await session.admin.must(keepAlive())
  })

  /** Sends one spoilt H2CData for a write of 32 KiB and expects the end of the connection. */
  async function expectRefused(
    spoil: (asked: Asked) => Buffer,
    expected: { fes: number | number[]; fei?: number | number[] },
  ): Promise<void> {
    const queue = await ioQueue()
    const asked = await askedWrite(queue, pattern(32768, 8))
    const sent = spoil(asked)
    void queue.wire.send(sent)
    await expectTermReq(queue.wire, { ...expected, sent })
  }

  const data = Buffer.alloc(4096)

  test('DAT-06: another CCCID', () =>
    expectRefused(({ cccid, ttag }) => h2cData({ cccid: cccid + 1, ttag, datao: 0, data }),
      { fes: 2 }))

  test.each([4, 4096, 32768, 0xfffffffc])('DAT-07: DATAO %i instead of 0', (datao) =>
    expectRefused(({ cccid, ttag }) => h2cData({ cccid, ttag, datao, data, last: false }),
      { fes: 4 }))

  test('DAT-07: the same bytes a second time', async () => {
    const queue = await ioQueue()
    const { cccid, ttag } = await askedWrite(queue, pattern(32768, 9))
    const sent = h2cData({ cccid, ttag, datao: 0, data, last: false })
    await queue.wire.send(sent, sent)
    await expectTermReq(queue.wire, { fes: 4, sent })
  })

  test('DAT-08: one dword more than was asked', () =>
    expectRefused(
      ({ cccid, ttag, r2tl }) => h2cData({ cccid, ttag, datao: 0, data: Buffer.alloc(r2tl + 4) }),
      { fes: 4 }))

  test('DAT-09: no data', () =>
    expectRefused(
      ({ cccid, ttag }) => h2cData({ cccid, ttag, datao: 0, data: Buffer.alloc(0), last: false }),
      { fes: 1, fei: [4, 16] }))

  test.each([0, 4092, 4100, 0xffffffff])('DAT-09: DATAL %i with 4096 bytes', (datal) =>
    expectRefused(({ cccid, ttag }) => h2cData({ cccid, ttag, datao: 0, data, datal, last: false }),
      { fes: 1, fei: [4, 16] }))

  test('DAT-10: LAST although more was asked', () =>
    expectRefused(({ cccid, ttag }) => h2cData({ cccid, ttag, datao: 0, data, last: true }),
      { fes: 1, fei: 1 }))

  test('DAT-10: all that was asked, without LAST', () =>
    expectRefused(
      ({ cccid, ttag, r2tl }) =>
        h2cData({ cccid, ttag, datao: 0, data: Buffer.alloc(r2tl), last: false }),
      { fes: 1, fei: 1 }))

  test('DAT-05: H2CData for a read', async () => {
    const queue = await ioQueue()
    const { cid } = await queue.must(read(1, 0, 1), { receive: 512 })
    const sent = h2cData({ cccid: cid, ttag: 0, datao: 0, data: Buffer.alloc(512) })
    await queue.wire.send(sent)
    await expectTermReq(queue.wire, { fes: 2, sent })
  })

  test('DAT-11: more than MAXH2CDATA in one PDU', async () => {
    const queue = await ioQueue()
    const bytes = queue.wire.maxH2cDataBytes + 512
    const { cccid, ttag } = await askedWrite(queue, Buffer.alloc(1 << 20))
    const sent = h2cData({ cccid, ttag, datao: 0, data: Buffer.alloc(bytes), last: false })
    void queue.wire.send(sent)
    await expectTermReq(queue.wire, { fes: [1, 4, 5], sent })
  })
})
