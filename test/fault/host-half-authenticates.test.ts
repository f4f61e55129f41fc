/**
 * Hosts that begin to authenticate and stop there, one or a flood of them. Each is ended in its time; nobody
 * else notices, and nothing is left.
 */
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { HOST_KEY, HOST_SECRET, head, negotiate, receiveMessage, sendMessage } from '../authentication-bytes.ts'
import { keepAlive, read, write } from '../command-bytes.ts'
import { configuration, startDaemon, type Daemon } from '../daemon.ts'
import { authenticate, begin } from '../host-authentication.ts'
import { Session, enable, openAdmin, openSession, someHost } from '../host-session.ts'
import { Wire, closeWires } from '../host.ts'

const SUBSYSTEM = 'nqn.2026-01.example:guarded'
/** The least that a step may take. */
const KATO = 5000
const END_WAIT_MS = 40_000
const FLOOD = 40
const FLOOD_STOPS_AT = ['Connect', 'Negotiate', 'Challenge', 'Failure'] as const

const [KEYED, FREE] = [someHost('keyed'), someHost('free')]
const NAMES = { hostnqn: KEYED.hostnqn, subnqn: SUBSYSTEM }

let daemon: Daemon

beforeAll(async () => {
  const hosts = [{ nqn: KEYED.hostnqn, key: HOST_SECRET }, FREE.hostnqn]
  daemon = await startDaemon(configuration({
    reactors: 2, limits: { connections: 64 },
    subsystems: [{ nqn: SUBSYSTEM, hosts, namespaces: [{ nsid: 1, memory: '16M' }] }],
  }))
})
afterAll(() => daemon.stop())
afterEach(closeWires)

/** An admin queue that stops in the middle of it. */
async function stopAt(stage: (typeof FLOOD_STOPS_AT)[number]): Promise<Wire> {
  const { admin } = await openAdmin(daemon.endpoint, { subnqn: SUBSYSTEM, identity: KEYED, kato: KATO })
  if (stage === 'Negotiate') await sendMessage(admin, negotiate(1, { groups: [5] }))
  if (stage === 'Challenge') await begin(admin, 1, { groups: [5] })
  if (stage === 'Failure') await sendMessage(admin, head(16, 7, 7, 1))
  return admin.wire
}

test.each(FLOOD_STOPS_AT)('after %s', async (stage) => {
  const wire = await stopAt(stage)
  await wire.closed(END_WAIT_MS)
})

test('on an I/O queue, which ends alone', async () => {
  const wish = { subnqn: SUBSYSTEM, identity: KEYED, kato: KATO }
  const session = await openAdmin(daemon.endpoint, wish)
  await authenticate(session.admin, { names: NAMES })
  await enable(session.admin)
  const io = await session.connectIo(1)
  await begin(io, 1)
  const alive = stayAlive(session)
  await io.wire.closed(END_WAIT_MS)
  alive.stop()
  expect(session.admin.wire.hasEnded).toBe(false)
})

test('again on a queue that was open: the association ends', async () => {
  const wish = { subnqn: SUBSYSTEM, identity: KEYED, kato: KATO }
  const session = await openAdmin(daemon.endpoint, wish)
  await authenticate(session.admin, { names: NAMES })
  await enable(session.admin)
  const io = await session.connectIo(1)
  await authenticate(io, { names: NAMES })
  await begin(io, 2)
  const alive = stayAlive(session)
  await Promise.all([io.wire.closed(END_WAIT_MS), session.admin.wire.closed(END_WAIT_MS)])
  alive.stop()
})

test('a flood of them delays nobody for ever, and leaves nothing', async () => {
  const neighbour = await openSession(daemon.endpoint, { subnqn: SUBSYSTEM, identity: FREE })
  const stuck = await Promise.all(Array.from({ length: FLOOD }, (_, index) =>
    stopAt(FLOOD_STOPS_AT[index % FLOOD_STOPS_AT.length]!)))
  // All of them at once, and one that means it.
  const bytes = Buffer.alloc(4096, 0x77)
  await neighbour.queue(1).must(write(1, 0, 8), { send: bytes })
  const honest = await openAdmin(daemon.endpoint, { subnqn: SUBSYSTEM, identity: KEYED })
  await authenticate(honest.admin, { names: NAMES, key: HOST_KEY })
  await enable(honest.admin)
  expect((await neighbour.queue(1).must(read(1, 0, 8), { receive: 4096 })).data.equals(bytes)).toBe(true)
  await Promise.all(stuck.map((wire) => wire.closed(END_WAIT_MS)))
  await Promise.all([honest.end(), neighbour.end()])
  await expect.poll(() => daemon.slotsInUse()).toBe(0)
})

test('hosts that vanish while values are calculated for them', async () => {
  const gone = await Promise.all(Array.from({ length: 12 }, async () => {
    const { admin } = await openAdmin(daemon.endpoint, { subnqn: SUBSYSTEM, identity: KEYED })
    await sendMessage(admin, negotiate(1, { groups: [5] }))
    const answer = receiveMessage(admin)
    answer.catch(() => {})
    admin.wire.reset()
    return answer.then(() => 1, () => 0)
  }))
  expect(gone).toHaveLength(12)
  await expect.poll(() => daemon.slotsInUse()).toBe(0)
  await openSession(daemon.endpoint, { subnqn: SUBSYSTEM, identity: FREE })
})

/** The host is there, it only does not go on. */
function stayAlive(session: Session): { stop(): void } {
  const timer = setInterval(() => {
    if (!session.admin.wire.hasEnded) void session.admin.submit(keepAlive()).catch(() => {})
  }, 1000)
  return { stop: () => clearInterval(timer) }
}
