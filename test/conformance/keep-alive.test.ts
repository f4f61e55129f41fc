/**
 * Keep Alive: the timer, what feeds it, what its end costs.
 * NVMe Base 2.0, Keep Alive and Traffic Based Keep Alive.
 *
 * The tests wait for what the target does when its timer runs out; none asserts how long it took.
 */
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { getFeatures, keepAlive, read, sqe } from '../command-bytes.ts'
import { NQN, startDaemon, type Daemon } from '../daemon.ts'
import { openAdmin, openSession, someHost } from '../host-session.ts'
import { closeWires } from '../host.ts'

/** As short as a target may be asked for; it may round up to the unit of KAS. */
const SHORT_KATO = 1000
/** Long enough for a test that gets no processor for a while, and still expires within a test. */
const BUSY_KATO = 2000
const EXPIRY_WAIT_MS = 45_000

let daemon: Daemon

beforeAll(async () => {
  daemon = await startDaemon()
})
afterAll(() => daemon.stop())
afterEach(closeWires)

test('KAL-01: on the admin queue, as often as the host likes', async () => {
  const { admin } = await openSession(daemon.endpoint, { subnqn: NQN, kato: 10_000 }, 0)
  for (let index = 0; index < 50; index += 1) {
    const done = await admin.must(keepAlive())
    expect([done.dw0, done.dw1]).toEqual([0, 0])
  }
})

test('KAL-01: on an I/O queue its opcode is no command', async () => {
  const { io } = await openSession(daemon.endpoint, { subnqn: NQN })
  expect((await io[0]?.submit(sqe(0x18, 1)))?.status).toBe('0/01h')
})

test('KAL-02: admin and I/O connections go, and a log line names the host', async () => {
  const identity = someHost('silent')
  const wish = { subnqn: NQN, kato: SHORT_KATO, identity }
  const session = await openSession(daemon.endpoint, wish, 2)
  await session.queue(1).wire.closed(EXPIRY_WAIT_MS)
  await session.queue(2).wire.closed(EXPIRY_WAIT_MS)
  await session.admin.wire.closed(EXPIRY_WAIT_MS)
  await daemon.line((line) => {
    const text = JSON.stringify(line)
    return text.includes(identity.hostnqn) && /keep.?alive/i.test(text)
  }, 'a line about the keep-alive timer of this host')
})

test('KAL-02: a controller that was never enabled expires too', async () => {
  const { admin } = await openAdmin(daemon.endpoint, { subnqn: NQN, kato: SHORT_KATO })
  await admin.wire.closed(EXPIRY_WAIT_MS)
})

test('KAL-05: the neighbour goes on', async () => {
  const neighbour = await openSession(daemon.endpoint, { subnqn: NQN })
  const silent = await openSession(daemon.endpoint, { subnqn: NQN, kato: SHORT_KATO })
  await silent.admin.wire.closed(EXPIRY_WAIT_MS)
  await neighbour.queue(1).must(read(1, 0, 1), { receive: 512 })
  await neighbour.admin.must(keepAlive())
})

test('KAL-03 KAL-04: I/O keeps one alive, KATO 0 another, while a third expires', async () => {
  const busy = await openSession(daemon.endpoint, { subnqn: NQN, kato: BUSY_KATO })
  const timeless = await openSession(daemon.endpoint, { subnqn: NQN, kato: 0 })
  expect((await timeless.admin.must(getFeatures(0x0f))).dw0).toBe(0)
  // Two that expire one after the other span more than one period of the busy one.
  for (let round = 0; round < 2; round += 1) {
    const silent = await openSession(daemon.endpoint, { subnqn: NQN, kato: SHORT_KATO })
    while (!silent.admin.wire.hasEnded) {
      await busy.queue(1).must(read(1, 0, 1), { receive: 512 })
      // Only to leave the processor to others: the loop ends when the silent one is closed.
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }
  await busy.admin.must(keepAlive())
  await timeless.queue(1).must(read(1, 0, 1), { receive: 512 })
  await timeless.admin.must(keepAlive())
})
