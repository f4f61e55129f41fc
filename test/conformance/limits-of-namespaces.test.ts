/**
 * Limits of a namespace: what is beyond them is answered later, and answered well; what has none never notices.
 * NVMe Base 2.0, 3.4: a controller may execute commands in any order, and completes each of them.
 */
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { compare, flush, read, write } from '../command-bytes.ts'
import { NQN, configuration, startDaemon, type Daemon, type NamespaceConfig } from '../daemon.ts'
import type { Completion } from '../host-queue.ts'
import { openSession } from '../host-session.ts'
import { closeWires } from '../host.ts'

const FREE: NamespaceConfig = { nsid: 2, memory: '16M' }
const COUNT = 12
/** A command in two seconds: far less than what a test asks for while it watches. */
const ALMOST_NOTHING = { iops: 1, bandwidth: 4096 }

const serving = (qos?: NamespaceConfig['qos'], medium: object = { memory: '16M' }) => configuration({
  subsystems: [{ nqn: NQN, hosts: 'any', namespaces: [{ nsid: 1, ...medium, ...(qos && { qos }) }, FREE] }],
})

let daemon: Daemon
beforeAll(async () => { daemon = await startDaemon(serving()) })
afterAll(() => daemon.stop())
afterEach(closeWires)

/** Answers in the order in which they came. */
function watched(answers: Promise<Completion>[]): { count: number } {
  const seen = { count: 0 }
  for (const each of answers) void each.then(() => { seen.count++ }, () => {})
  return seen
}

const blocks = Buffer.alloc(8192, 0x5a)

test.each<[string, (queue: Awaited<ReturnType<typeof open>>, k: number) => Promise<Completion>]>([
  ['reads', (queue) => queue.submit(read(1, 0, 16), { receive: 8192 })],
  ['writes with data in the capsule', (queue, k) => queue.submit(write(1, 16 * k, 16), { send: blocks })],
  ['compares', (queue) => queue.submit(compare(1, 2000, 16), { send: Buffer.alloc(8192) })],
])('%s beyond the limit wait, are in nobody\'s way, and end well when it is lifted', async (_what, submit) => {
  await daemon.reload(serving(ALMOST_NOTHING))
  const queue = await open()
  const answers = Array.from({ length: COUNT }, (_, k) => submit(queue, k))
  const seen = watched(answers)
  await queue.must(write(2, 0, 16), { send: blocks })
  await queue.must(read(2, 0, 16), { receive: 8192 })
  await queue.must(flush(1))
  expect(seen.count).toBeLessThan(COUNT)
  await daemon.reload(serving())
  for (const { status } of await Promise.all(answers)) expect(status).toBe('0/00h')
})

test('large writes, whose data are asked for, wait before they are', async () => {
  await daemon.reload(serving(ALMOST_NOTHING))
  const queue = await open()
  const data = Buffer.alloc(64 << 10, 7)
  const answers = Array.from({ length: COUNT }, (_, k) => queue.submit(write(1, 128 * k, 128), {
    send: data, inCapsule: false,
  }))
  const seen = watched(answers)
  await queue.must(read(2, 0, 16), { receive: 8192 })
  expect(seen.count).toBeLessThan(COUNT)
  await daemon.reload(serving())
  for (const { status } of await Promise.all(answers)) expect(status).toBe('0/00h')
  const { data: back } = await queue.must(read(1, 128 * (COUNT - 1), 128), { receive: 64 << 10 })
  expect(back.equals(data)).toBe(true)
})

test('commands wait in turn, and all of them get through', async () => {
  await daemon.reload(serving({ iops: 200 }))
  const queue = await open()
  for (let k = 0; k < COUNT; k++) await queue.must(write(1, k, 1), { send: Buffer.alloc(512, k) })
  const answers = Array.from({ length: COUNT }, (_, k) => queue.submit(read(1, k, 1), { receive: 512 }))
  for (const [k, { data }] of (await Promise.all(answers)).entries()) expect(data[0]).toBe(k)
})

test('a host that goes while its commands wait leaves nothing behind', async () => {
  await daemon.reload(serving(ALMOST_NOTHING))
  const queue = await open()
  const answers = Array.from({ length: COUNT }, () => queue.submit(read(1, 0, 16), { receive: 8192 }))
  for (const each of answers) each.catch(() => {})
  await queue.must(read(2, 0, 16), { receive: 8192 })
  await closeWires()
  await expect.poll(() => daemon.slotsInUse(), { timeout: 15_000 }).toBe(0)
})

async function open() {
  const session = await openSession(daemon.endpoint, { subnqn: NQN }, 1)
  return session.queue(1)
}
