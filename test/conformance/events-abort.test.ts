/**
 * Asynchronous Event Requests and Abort.
 * NVMe Base 2.0, Asynchronous Event Request command, Abort command.
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import {
  DISCOVERY_NQN, abort, asyncEventRequest, compare, fused, identify, keepAlive, read, write,
} from '../command-bytes.ts'
import { NQN, startDaemon, type Daemon } from '../daemon.ts'
import {
  CC_DISABLE, enable, openSession, setCc, waitForCsts, type Session,
} from '../host-session.ts'
import { closeWires, expectTermReq } from '../host.ts'
import { R2T, cqeOf, h2cData, r2tOf } from '../wire-bytes.ts'

let daemon: Daemon

beforeAll(async () => {
  daemon = await startDaemon()
})
afterAll(() => daemon.stop())
afterEach(closeWires)

const open = (subnqn = NQN, queues = 0): Promise<Session> =>
  openSession(daemon.endpoint, { subnqn }, queues)

/** Holds `count` requests; the CIDs they took. */
function hold(at: Session, count: number) {
  return Array.from({ length: count }, () => {
    const cid = at.admin.nextCid
    return { cid, done: at.admin.submit(asyncEventRequest(), { held: true }) }
  })
}

const asynchronousLimit = async (at: Session): Promise<number> => {
  const { data } = await at.admin.must(identify(1), { receive: 4096 })
  return data.readUInt8(259) + 1
}

describe.each([NQN, DISCOVERY_NQN])('asynchronous events of %s', (subnqn) => {
  test('AEN-01: held, while other commands go on', async () => {
    const at = await open(subnqn)
    const [held] = hold(at, 1)
    for (let index = 0; index < 20; index += 1) await at.admin.must(keepAlive())
    expect(at.admin.outstanding.has(held?.cid ?? -1)).toBe(true)
  })

  test('AEN-02: one more than AERL + 1', async () => {
    const at = await open(subnqn)
    const limit = await asynchronousLimit(at)
    const held = hold(at, limit)
    const beyond = await at.admin.submit(asyncEventRequest())
    expect(beyond.status).toBe('1/05h')
    expect(held.every(({ cid }) => at.admin.outstanding.has(cid))).toBe(true)
    await at.admin.must(keepAlive())
  })
})

test('AEN-03: discarded on disable, and there is room again', async () => {
  const at = await open()
  const limit = await asynchronousLimit(at)
  const held = hold(at, limit)
  await setCc(at.admin, CC_DISABLE)
  await waitForCsts(at.admin, 1, 0)
  for (const { cid, done } of held) {
    if (!at.admin.outstanding.has(cid)) expect((await done).status).toBe('0/07h')
  }
  await enable(at.admin)
  const again = hold(at, limit)
  await at.admin.must(keepAlive())
  expect(again.every(({ cid }) => at.admin.outstanding.has(cid))).toBe(true)
})

describe('Abort', () => {
  test('ABT-01: of a held event request, and of no other', async () => {
    const at = await open()
    const held = hold(at, 3)
    const victim = held[1]
    if (victim === undefined) throw new Error('nothing held')
    const done = await at.admin.must(abort(0, victim.cid))
    expect(done.dw0 & 1).toBe(0)
    expect((await victim.done).status).toBe('0/07h')
    await at.admin.must(keepAlive())
    expect(at.admin.outstanding.size).toBe(2)
    const [replacement] = hold(at, 1)
    await at.admin.must(keepAlive())
    expect(at.admin.outstanding.has(replacement?.cid ?? -1)).toBe(true)
  })

  test.each([
    ['a CID that is not in use', 0, 0xfff0],
    ['a CID that is not in use on an I/O queue', 1, 0xfff0],
    ['a queue that is not connected', 9, 0],
    ['a queue that cannot be', 0xffff, 0],
  ])('ABT-02: %s', async (_name, sqid, cid) => {
    const at = await open(NQN, 1)
    const done = await at.admin.must(abort(sqid, cid))
    expect(done.dw0 & 1).toBe(1)
    await at.queue(1).must(read(1, 0, 1), { receive: 512 })
  })

  test('ABT-02: a command that has completed', async () => {
    const at = await open(NQN, 1)
    const { cid } = await at.queue(1).must(read(1, 0, 1), { receive: 512 })
    expect((await at.admin.must(abort(1, cid))).dw0 & 1).toBe(1)
  })

  test('ABT-02: itself', async () => {
    const at = await open()
    expect((await at.admin.must(abort(0, at.admin.nextCid))).dw0 & 1).toBe(1)
  })

  test('ABT-04: half of a fused pair, which waits for the other half', async () => {
    const at = await open(NQN, 1)
    const queue = at.queue(1)
    const send = Buffer.alloc(512, 7)
    await queue.must(write(1, 5, 1), { send })
    const cid = queue.nextCid
    const first = queue.submit(fused(compare(1, 5, 1), 1), { send })
    // It has come when what was sent after it on another queue is answered, and when this has, too.
    for (let trip = 0; trip < 50; trip += 1) await at.admin.must(keepAlive())
    expect((await at.admin.must(abort(1, cid))).dw0 & 1).toBe(0)
    expect((await first).status).toBe('0/07h')
    const second = await queue.submit(fused(write(1, 5, 1), 2), { send: Buffer.alloc(512, 8) })
    expect(second.status).toBe('0/09h')
    expect((await queue.must(read(1, 5, 1), { receive: 512 })).data.equals(send)).toBe(true)
  })

  test('ABT-03: writes whose data the host has not sent yet', async () => {
    const at = await open(NQN, 1)
    const queue = at.queue(1)
    const [before, send] = [Buffer.alloc(8192, 0x11), Buffer.alloc(8192, 0x99)]
    for (let attempt = 0; attempt < 100; attempt += 1) {
      await queue.must(write(1, 0, 16), { send: before })
      const cid = queue.takeCid()
      await queue.wire.send(queue.capsule(write(1, 0, 16), { send, inCapsule: false }, cid))
      const asked = await queue.wire.next()
      expect(asked.type).toBe(R2T)
      const { ttag } = r2tOf(asked)
      const aborting = at.admin.must(abort(1, cid))
      // Round trips give the Abort the time to reach the queue; whether it did, its answer tells.
      for (let trip = 0; trip < attempt; trip += 1) await at.admin.must(keepAlive())
      const data = h2cData({ cccid: cid, ttag, datao: 0, data: send })
      await queue.wire.send(data)
      const written = cqeOf(await queue.wire.next())
      expect(written.cid).toBe(cid)
      const done = ((await aborting).dw0 & 1) === 0
      expect(written.status).toBe(done ? '0/07h' : '0/00h')
      if (!done) continue
      await queue.wire.send(data)
      await expectTermReq(queue.wire, { fes: 2, sent: data })
      return
    }
    throw new Error('no Abort ever came in time')
  })
})
