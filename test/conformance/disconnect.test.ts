/**
 * Fabrics Disconnect: a host gives one I/O queue back.
 * NVMe over Fabrics 1.1, Disconnect command; announced in OFCS of Identify Controller.
 */
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { disconnect, keepAlive, read, write } from '../command-bytes.ts'
import { NQN, startDaemon, type Daemon } from '../daemon.ts'
import { openSession, tryConnect } from '../host-session.ts'
import { Wire, closeWires } from '../host.ts'

let daemon: Daemon

beforeAll(async () => {
  daemon = await startDaemon()
})
afterAll(() => daemon.stop())
afterEach(closeWires)

const open = (queues: number) => openSession(daemon.endpoint, { subnqn: NQN }, queues)

test('DIS-01: an I/O queue, which can be connected again', async () => {
  const session = await open(2)
  const queue = session.queue(1)
  await queue.must(disconnect())
  await queue.wire.destroy()
  const wish = session.ioWish(1)
  const wire = await Wire.initialized(daemon.endpoint)
  const again = await tryConnect(wire, wish)
  expect(again.completion.status).toBe('0/00h')
  await again.queue.must(read(1, 0, 1), { receive: 512 })
  await session.queue(2).must(read(1, 0, 1), { receive: 512 })
  await session.admin.must(keepAlive())
})

test('DIS-01: commands that the host left behind do not hold it up', async () => {
  const session = await open(1)
  const queue = session.queue(1)
  const transfer = { send: Buffer.alloc(65536), inCapsule: false }
  const capsules = Array.from({ length: 8 }, () => queue.capsule(write(1, 0, 128), transfer))
  const cid = queue.takeCid()
  await queue.wire.send(...capsules, queue.capsule(disconnect(), {}, cid))
  queue.wire.finish()
  await queue.wire.closed()
  const wish = session.ioWish(1)
  const connected = async (): Promise<string> => {
    const wire = await Wire.initialized(daemon.endpoint)
    return (await tryConnect(wire, wish)).completion.status
  }
  await expect.poll(connected).toBe('0/00h')
})

test('DIS-02: the admin queue', async () => {
  const session = await open(1)
  expect((await session.admin.submit(disconnect())).status).not.toBe('0/00h')
  await session.admin.must(keepAlive())
  await session.queue(1).must(read(1, 0, 1), { receive: 512 })
})

test('DIS-03: a RECFMT that does not exist', async () => {
  const session = await open(1)
  expect((await session.queue(1).submit(disconnect(1))).status).toBe('1/80h')
  await session.queue(1).must(read(1, 0, 1), { receive: 512 })
})
