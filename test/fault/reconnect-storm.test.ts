/**
 * Hosts come and go without pause, on two reactors, in the middle of everything: enabled or not,
 * with I/O under way, by reset, by Disconnect, by shutdown. Nothing is lost and nothing is left
 * over.
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { disconnect, keepAlive, read, write } from '../command-bytes.ts'
import { NQN, configuration, startDaemon, type Daemon } from '../daemon.ts'
import {
  CC_DISABLE, CC_ENABLE, openAdmin, openSession, setCc, someHost, type Session,
} from '../host-session.ts'
import { closeWires } from '../host.ts'
import { Random } from '../random.ts'

const LANES = 6
const ROUNDS = 25

describe.each(['uring', 'epoll'] as const)('%s', (engine) => {
  let daemon: Daemon

  beforeAll(async () => {
    daemon = await startDaemon(configuration({ reactors: 2, engine }))
  })
  afterAll(() => daemon.stop())
  afterEach(closeWires)

  /** Commands of all kinds, none waited for. */
  function busy(session: Session): void {
    const swallow = (): void => {}
    for (const queue of session.io) {
      for (let index = 0; index < 8; index += 1) {
        const send = Buffer.alloc(65536, index)
        queue.submit(write(1, index * 128, 128), { send, inCapsule: false }).catch(swallow)
        queue.submit(read(1, index * 128, 2048), { receive: 1 << 20 }).catch(swallow)
      }
    }
  }

  async function visit(random: Random): Promise<void> {
    const identity = someHost()
    const wish = { subnqn: NQN, identity }
    if (random.chance(15)) {
      const session = await openAdmin(daemon.endpoint, wish)
      await session.end()
      return
    }
    const session = await openSession(daemon.endpoint, wish, 1 + random.below(3))
    if (random.chance(70)) busy(session)
    const leave = random.pick([
      async () => session.admin.wire.reset(),
      async () => session.queue(1).wire.reset(),
      async () => setCc(session.admin, CC_DISABLE),
      async () => setCc(session.admin, CC_ENABLE | 0x4000),
      async () => void session.queue(1).submit(disconnect()).catch(() => {}),
      async () => {},
    ])
    await leave()
    await session.end()
  }

  test('a hundred and fifty visits in six lanes', async () => {
    const witness = await openSession(daemon.endpoint, { subnqn: NQN }, 2)
    const send = Buffer.alloc(4096, 0x5c)
    await witness.queue(1).must(write(1, 120_000, 8), { send })
    const lanes = Array.from({ length: LANES }, async (_, lane) => {
      const random = new Random(1000 + lane)
      for (let round = 0; round < ROUNDS; round += 1) await visit(random)
    })
    let done = false
    const all = Promise.all(lanes).finally(() => (done = true))
    while (!done) {
      const back = await witness.queue(2).must(read(1, 120_000, 8), { receive: 4096 })
      expect(back.data.equals(send)).toBe(true)
      await witness.admin.must(keepAlive())
    }
    await all
    await closeWires()
    await expect.poll(() => daemon.slotsInUse()).toBe(0)
  })
})
