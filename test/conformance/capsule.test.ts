/**
 * Command capsules: SGLs and the data that travel inside.
 * NVMe/TCP Transport 1.0a, Command capsule; NVMe Base 2.0, SGL descriptors.
 *
 *   PDU byte 32 SGL address (8) · 40 SGL length (4) · 47 SGL identifier
 */
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { compare, identify, keepAlive, read, sqe, stampSgl, write } from '../command-bytes.ts'
import { NQN, startDaemon, type Daemon } from '../daemon.ts'
import { openSession, type Session } from '../host-session.ts'
import { closeWires, expectTermReq } from '../host.ts'
import { capsuleCmd } from '../wire-bytes.ts'

let daemon: Daemon

beforeAll(async () => {
  daemon = await startDaemon()
})
afterAll(() => daemon.stop())
afterEach(closeWires)

const session = (): Promise<Session> => openSession(daemon.endpoint, { subnqn: NQN })

/** In-capsule bytes that an I/O queue takes, as Identify Controller says. */
async function inCapsuleBytes(at: Session): Promise<number> {
  const { data } = await at.admin.must(identify(1), { receive: 4096 })
  return data.readUInt32LE(1792) * 16 - 64
}

test.each([1, 512, 4096, 2 ** 32])('CAP-01: SGL offset %i', async (offset) => {
  const queue = (await session()).queue(1)
  const send = Buffer.alloc(512)
  const command = stampSgl(write(1, 0, 1), 0x01, 512, offset)
  expect((await queue.submit(command, { send, ownSgl: true })).status).toBe('0/16h')
  await queue.must(write(1, 0, 1), { send })
})

test.each([
  ['more in the capsule than the SGL says', 512, 1024],
  ['less in the capsule than the SGL says', 1024, 512],
  ['nothing in the capsule', 512, 0],
])('CAP-02: %s', async (_name, length, bytes) => {
  const { wire } = (await session()).queue(1)
  const data = bytes === 0 ? null : Buffer.alloc(bytes)
  const sent = capsuleCmd(stampSgl(write(1, 0, length / 512), 0x01, length), data)
  await wire.send(sent)
  // The field at fault is PLEN, or the length in the SGL.
  await expectTermReq(wire, { fes: 1, fei: [4, 40], sent, headerBytes: 72 })
})

test('CAP-02: data in the capsule of a command whose SGL speaks of a transfer', async () => {
  const { wire } = (await session()).queue(1)
  const sent = capsuleCmd(stampSgl(write(1, 0, 1), 0x5a, 512), Buffer.alloc(512))
  await wire.send(sent)
  await expectTermReq(wire, { fes: 1, sent })
})

test('CAP-03: one block more than IOCCSZ on an I/O queue', async () => {
  const at = await session()
  const bytes = (await inCapsuleBytes(at)) + 512
  const { wire } = at.queue(1)
  const sent = capsuleCmd(stampSgl(write(1, 0, bytes / 512), 0x01, bytes), Buffer.alloc(bytes))
  void wire.send(sent)
  await expectTermReq(wire, { fes: 5, sent })
})

test('CAP-03: on the admin queue, more than any queue takes', async () => {
  const at = await session()
  const bytes = Math.max(8192, await inCapsuleBytes(at)) + 4
  const { wire } = at.admin
  const sent = capsuleCmd(stampSgl(sqe(0x81), 0x01, bytes), Buffer.alloc(bytes))
  void wire.send(sent)
  await expectTermReq(wire, { fes: 5, sent })
})

test.each([
  ['data block, address', 0x00],
  ['data block, transport', 0x0a],
  ['bit bucket', 0x10],
  ['segment', 0x20],
  ['last segment', 0x30],
  ['keyed', 0x40],
  ['keyed, invalidate', 0x4f],
  ['transport, unknown subtype', 0x5f],
  ['vendor', 0xf0],
])('CAP-04: %s (%i)', async (_name, id) => {
  const at = await session()
  const queue = at.queue(1)
  const refused = await queue.submit(stampSgl(read(1, 0, 1), id, 512), { ownSgl: true })
  expect(refused.status).toBe('0/11h')
  const write1 = await queue.submit(stampSgl(write(1, 0, 1), id, 512), { ownSgl: true })
  expect(write1.status).toBe('0/11h')
  const admin = await at.admin.submit(stampSgl(identify(1), id, 4096), { ownSgl: true })
  expect(admin.status).toBe('0/11h')
  await queue.must(read(1, 0, 1), { receive: 512 })
})

test('CAP-05: 8192 bytes with an admin command, even one that is not supported', async () => {
  const { admin } = await session()
  const done = await admin.submit(sqe(0x81), { send: Buffer.alloc(8192, 1) })
  expect(done.status).toBe('0/01h')
  await admin.must(keepAlive())
})

test('CAP-05: 8192 bytes with a fabrics command on an I/O queue', async () => {
  const at = await session()
  const done = await at.queue(1).submit(sqe(0x7f, 0x05), { send: Buffer.alloc(8192, 1) })
  expect(done.status).not.toBe('0/00h')
  await at.queue(1).must(read(1, 0, 1), { receive: 512 })
})

test('CAP-06: a write of IOCCSZ * 16 - 64 bytes, and of less', async () => {
  const at = await session()
  const most = await inCapsuleBytes(at)
  expect(most).toBeGreaterThanOrEqual(4096)
  const queue = at.queue(1)
  for (const bytes of [512, 4096, most - (most % 512)]) {
    const send = Buffer.from(Array.from({ length: bytes }, (_, index) => (index * 13) & 0xff))
    const done = await queue.must(write(1, 0, bytes / 512), { send })
    expect(done.r2ts).toEqual([])
    const back = await queue.must(read(1, 0, bytes / 512), { receive: bytes })
    expect(back.data.equals(send)).toBe(true)
  }
})

test('CAP-06: a compare in the capsule', async () => {
  const queue = (await session()).queue(1)
  const send = Buffer.alloc(1024, 0x42)
  await queue.must(write(1, 100, 2), { send })
  await queue.must(compare(1, 100, 2), { send })
})

test('CAP-07: length 0 where data must move', async () => {
  const at = await session()
  const queue = at.queue(1)
  for (const command of [read(1, 0, 1), write(1, 0, 1), compare(1, 0, 1)]) {
    expect((await queue.submit(command)).status).toBe('0/0Fh')
  }
  await queue.must(read(1, 0, 1), { receive: 512 })
})

test.each([70, 73, 0])('CAP-08: PDO %i', async (pdo) => {
  const { wire } = (await session()).queue(1)
  const sent = capsuleCmd(stampSgl(write(1, 0, 1), 0x01, 512), Buffer.alloc(512))
  sent.writeUInt8(pdo, 3)
  await wire.send(sent)
  await expectTermReq(wire, { fes: 1, fei: 3, sent })
})
