/**
 * A thousand hosts are connected and say nothing. Each costs little memory, and all are there afterwards.
 */
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { identify } from '../command-bytes.ts'
import { NQN, configuration, startDaemon, type Daemon } from '../daemon.ts'
import { enable, openAdmin, type Session } from '../host-session.ts'
import { closeWires } from '../host.ts'

const HOSTS = 1000
const AT_A_TIME = 50
/** Of the daemon's memory, for each of them. */
const BYTES_MAX = 64 * 1024

let daemon: Daemon

beforeAll(async () => {
  daemon = await startDaemon(configuration({ reactors: 2 }))
})
afterAll(() => daemon.stop())
afterEach(closeWires)

async function connected(): Promise<Session> {
  const session = await openAdmin(daemon.endpoint, { subnqn: NQN })
  await enable(session.admin)
  await session.admin.must(identify(1), { receive: 4096 })
  return session
}

test('a thousand', async () => {
  const first = await connected()
  const before = await daemon.residentBytes()
  const sessions: Session[] = [first]
  while (sessions.length < HOSTS) {
    const count = Math.min(AT_A_TIME, HOSTS - sessions.length)
    sessions.push(...await Promise.all(Array.from({ length: count }, connected)))
  }
  const each = ((await daemon.residentBytes()) - before) / (HOSTS - 1)
  expect(each).toBeLessThan(BYTES_MAX)
  expect(new Set(sessions.map(({ admin }) => admin.cntlid)).size).toBe(HOSTS)
  for (const { admin } of sessions) await admin.must(identify(1), { receive: 4096 })
})
