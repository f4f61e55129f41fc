/**
 * A host asks for much and reads nothing. The target may not hold more than it was given for that,
 * others are served meanwhile, and when the host reads again it gets all of it.
 */
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { read, write } from '../command-bytes.ts'
import { NQN, startDaemon, type Daemon } from '../daemon.ts'
import { openSession } from '../host-session.ts'
import { closeWires } from '../host.ts'

const MIB = 1 << 20
const BLOCKS = MIB / 512
const READS = 100
/** Far more than sockets and a connection's own memory, far less than what is asked for. */
const GROWTH_BYTES_MAX = 64 * MIB

let daemon: Daemon

beforeAll(async () => {
  daemon = await startDaemon()
})
afterAll(() => daemon.stop())
afterEach(closeWires)

test('a hundred reads of 1 MiB, unread', async () => {
  const witness = await openSession(daemon.endpoint, { subnqn: NQN })
  const data = Buffer.alloc(MIB, 0x42)
  await witness.queue(1).must(write(1, 0, BLOCKS), { send: data, inCapsule: false })
  const silent = await openSession(daemon.endpoint, { subnqn: NQN })
  const queue = silent.queue(1)
  const before = await daemon.residentBytes()
  queue.wire.pause()
  const reads = Array.from({ length: READS }, () =>
    queue.submit(read(1, 0, BLOCKS), { receive: MIB }))
  for (let index = 0; index < 200; index += 1) {
    await witness.queue(1).must(read(1, index, 8), { receive: 4096 })
  }
  await witness.queue(1).must(write(1, 4096, BLOCKS), { send: data, inCapsule: false })
  expect((await daemon.residentBytes()) - before).toBeLessThan(GROWTH_BYTES_MAX)
  queue.wire.resume()
  for (const done of await Promise.all(reads)) {
    expect(done.status).toBe('0/00h')
    expect(done.data.equals(data)).toBe(true)
  }
})

test('many hosts that never read again, then gone', async () => {
  const witness = await openSession(daemon.endpoint, { subnqn: NQN })
  const before = await daemon.residentBytes()
  const sessions = await Promise.all(Array.from({ length: 8 }, () =>
    openSession(daemon.endpoint, { subnqn: NQN })))
  for (const session of sessions) {
    const queue = session.queue(1)
    queue.wire.pause()
    const capsules = Array.from({ length: 60 }, () =>
      queue.capsule(read(1, 0, BLOCKS), { receive: MIB }))
    await queue.wire.send(...capsules)
  }
  for (let index = 0; index < 100; index += 1) {
    await witness.queue(1).must(read(1, index, 8), { receive: 4096 })
  }
  expect((await daemon.residentBytes()) - before).toBeLessThan(8 * GROWTH_BYTES_MAX)
  await Promise.all(sessions.map((session) => session.end()))
  await witness.queue(1).must(read(1, 0, BLOCKS), { receive: MIB })
})
