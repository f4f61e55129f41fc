/**
 * Data to the host and completions: C2HData, LAST, SUCCESS, CapsuleResp, SQHD.
 * NVMe/TCP Transport 1.0a, C2H data transfer; NVMe over Fabrics 1.1, submission queue flow control.
 *
 *   C2HData 8 CCCID · 12 DATAO · 16 DATAL     CQE in CapsuleResp: 8 DW0 · 12 DW1 · 16 SQHD · 20 CID
 */
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { flush, getLogPage, identify, read, write } from '../command-bytes.ts'
import { NQN, startDaemon, type Daemon } from '../daemon.ts'
import { CATTR_NO_FLOW_CONTROL, openSession, tryConnect } from '../host-session.ts'
import { Wire, closeWires } from '../host.ts'
import { CAPSULE_RESP, C2H_DATA, FLAG_LAST, FLAG_SUCCESS } from '../wire-bytes.ts'

let daemon: Daemon

beforeAll(async () => {
  daemon = await startDaemon()
})
afterAll(() => daemon.stop())
afterEach(closeWires)

const open = (cattr = 0) => openSession(daemon.endpoint, { subnqn: NQN, cattr })

test.each([512, 4096, 65536, 131072, 1048576])(
  'DAT-12: %i bytes arrive in order, LAST once', async (bytes) => {
    const queue = (await open()).queue(1)
    const done = await queue.must(read(1, 0, bytes / 512), { receive: bytes })
    const last = done.c2h.map((pdu) => (pdu.flags & FLAG_LAST) !== 0)
    expect(last.indexOf(true)).toBe(last.length - 1)
    expect(done.c2h.reduce((sum, pdu) => sum + pdu.data.length, 0)).toBe(bytes)
  })

test('DAT-13: no SUCCESS flag, and a CapsuleResp, while flow control is on', async () => {
  const queue = (await open()).queue(1)
  for (let index = 0; index < 10; index += 1) {
    const done = await queue.must(read(1, index, 8), { receive: 4096 })
    expect(done.bySuccessFlag).toBe(false)
    expect(done.c2h.every((pdu) => (pdu.flags & FLAG_SUCCESS) === 0)).toBe(true)
  }
})

test('DAT-14: with flow control off a read ends with SUCCESS and nothing follows', async () => {
  const queue = (await open(CATTR_NO_FLOW_CONTROL)).queue(1)
  const done = await queue.must(read(1, 0, 64), { receive: 32768 })
  expect(done.bySuccessFlag).toBe(true)
  const cid = queue.takeCid()
  await queue.wire.send(queue.capsule(flush(1), {}, cid))
  const next = await queue.wire.next()
  expect(next.type).toBe(CAPSULE_RESP)
  expect(next.bytes.readUInt16LE(20)).toBe(cid)
})

test('DAT-14: writes are still answered with CapsuleResp', async () => {
  const queue = (await open(CATTR_NO_FLOW_CONTROL)).queue(1)
  const done = await queue.must(write(1, 0, 8), { send: Buffer.alloc(4096) })
  expect(done.bySuccessFlag).toBe(false)
})

test.each([0, CATTR_NO_FLOW_CONTROL])(
  'DAT-15: a failed read brings no data (CATTR %i)', async (cattr) => {
    const queue = (await open(cattr)).queue(1)
    const cid = queue.takeCid()
    await queue.wire.send(queue.capsule(read(1, 2 ** 40, 8), { receive: 4096 }, cid))
    const pdu = await queue.wire.next()
    expect(pdu.type).toBe(CAPSULE_RESP)
    const done = await queue.submit(read(99, 0, 8), { receive: 4096 })
    expect([done.status, done.c2h.length]).toEqual(['0/0Bh', 0])
  })

test('DAT-16: SQHD on the I/O queue, over several rounds', async () => {
  const sqsize = 7
  const own = await openSession(daemon.endpoint, { subnqn: NQN }, 0)
  const io = await own.connectIo(1, { sqsize })
  let before = (await io.must(flush(1))).sqhd
  for (let index = 0; index < 3 * (sqsize + 1); index += 1) {
    const { sqhd } = await io.must(read(1, 0, 1), { receive: 512 })
    expect(sqhd).toBe((before + 1) % (sqsize + 1))
    before = sqhd
  }
})

test('DAT-16: SQHD on the admin queue', async () => {
  const { admin } = await open()
  let before = (await admin.must(identify(1), { receive: 4096 })).sqhd
  for (let index = 0; index < 70; index += 1) {
    const { sqhd } = await admin.must(getLogPage(2, 128), { receive: 512 })
    expect(sqhd).toBe((before + 1) % 32)
    before = sqhd
  }
})

test('DAT-17: SQHD FFFFh answers Connect with flow control off', async () => {
  const wire = await Wire.initialized(daemon.endpoint)
  const wish = { subnqn: NQN, cattr: CATTR_NO_FLOW_CONTROL }
  const { completion } = await tryConnect(wire, wish)
  expect([completion.status, completion.sqhd]).toEqual(['0/00h', 0xffff])
})

test('DAT-17: and is not FFFFh with flow control on', async () => {
  const wire = await Wire.initialized(daemon.endpoint)
  const { completion } = await tryConnect(wire, { subnqn: NQN })
  expect(completion.sqhd).toBeLessThan(32)
})

test('DAT-18: SQSIZE + 1 commands at once, and one more for each that ends', async () => {
  const own = await openSession(daemon.endpoint, { subnqn: NQN }, 0)
  const sqsize = 15
  const queue = await own.connectIo(1, { sqsize })
  let left = 400
  const lane = async (): Promise<void> => {
    while (left > 0) {
      left -= 1
      await queue.must(read(1, left, 8), { receive: 4096 })
    }
  }
  await Promise.all(Array.from({ length: sqsize + 1 }, lane))
})

test('DAT-18: SQSIZE + 1 writes that all wait for their data', async () => {
  const own = await openSession(daemon.endpoint, { subnqn: NQN }, 0)
  const queue = await own.connectIo(1, { sqsize: 31 })
  const send = Buffer.alloc(65536, 0x77)
  await Promise.all(Array.from({ length: 32 }, (_, index) =>
    queue.must(write(1, index * 128, 128), { send, inCapsule: false })))
})

test.each([4, 20, 512, 4096])('DAT-19: a log page of %i bytes is just that', async (bytes) => {
  const { admin } = await open()
  const done = await admin.must(getLogPage(2, bytes / 4), { receive: bytes })
  expect(done.c2h.map((pdu) => pdu.type)).toContain(C2H_DATA)
  expect(done.c2h.reduce((sum, pdu) => sum + pdu.data.length, 0)).toBe(bytes)
})
