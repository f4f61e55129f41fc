/**
 * The process has no descriptor left: connections that cannot be accepted wait or fail, those that are there go on,
 * and when some leave others come in.
 */
import { execFileSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { read } from '../command-bytes.ts'
import { NQN, configuration, startDaemon, type Daemon } from '../daemon.ts'
import { openSession } from '../host-session.ts'
import { Wire, closeWires } from '../host.ts'

const MORE = 6
const CROWD = 24

let daemon: Daemon

beforeAll(async () => {
  daemon = await startDaemon(configuration({ limits: { connections: 64 } }))
})
afterAll(() => daemon.stop())
afterEach(closeWires)

test('those that are there go on, and others come in when some have left', async () => {
  const pid = String(daemon.child.pid)
  const witness = await openSession(daemon.endpoint, { subnqn: NQN })
  const taken = new Set(readdirSync(`/proc/${pid}/fd`).map(Number))
  let limit = 0
  for (let free = 0; free < MORE; limit++) if (!taken.has(limit)) free++
  execFileSync('prlimit', ['--pid', pid, `--nofile=${limit}:`])
  const crowd = await Promise.all(Array.from({ length: CROWD }, () => Wire.open(daemon.endpoint)))
  let answered = 0
  const greetings = crowd.map((wire) => wire.initialize().then(() => { answered++ }, () => {}))
  await expect.poll(() => answered, { timeout: 20_000 }).toBeGreaterThan(0)
  await witness.queue(1).must(read(1, 0, 8), { receive: 4096 })
  expect(answered, 'there are not descriptors for all').toBeLessThan(CROWD)
  await Promise.all(crowd.map((wire) => wire.destroy()))
  await Promise.allSettled(greetings)
  await witness.queue(1).must(read(1, 8, 8), { receive: 4096 })
  const again = async (): Promise<boolean> => openSession(daemon.endpoint, { subnqn: NQN }).then(() => true, () => false)
  await expect.poll(again, { timeout: 20_000 }).toBe(true)
})
