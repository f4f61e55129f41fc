/**
 * Hosts ask to write much and never send the data that they are asked for. What they hold of the transfer
 * buffers is bounded, others write meanwhile; and when what is left becomes little, they are ended.
 */
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { read, write } from '../command-bytes.ts'
import { NQN, configuration, removeDirectory, startDaemon, temporaryDirectory, type Daemon } from '../daemon.ts'
import { openSession, type Session } from '../host-session.ts'
import { closeWires } from '../host.ts'

const MIB = 1 << 20
const BLOCKS = MIB / 512
const WRITES = 120
const BUFFERS = 32 * MIB

let folder: string
let daemon: Daemon

beforeEach(async () => {
  folder = temporaryDirectory()
  daemon = await startDaemon(configuration({
    limits: { buffers: BUFFERS },
    subsystems: [{ nqn: NQN, namespaces: [{ nsid: 1, file: join(folder, 'disk.img'), size: '64M' }] }],
  }))
})
afterEach(async () => {
  await closeWires()
  await daemon.stop()
  removeDirectory(folder)
})

/** One that wants to write, WRITES times 1 MiB, and goes silent. */
async function hoarder(): Promise<Session> {
  const session = await openSession(daemon.endpoint, { subnqn: NQN })
  const queue = session.queue(1)
  const capsules = Array.from({ length: WRITES }, () =>
    queue.capsule(write(1, 0, BLOCKS), { send: Buffer.alloc(MIB), inCapsule: false }))
  await queue.wire.send(...capsules)
  return session
}

/** Writes 1 MiB and reads it again. */
async function works(session: Session): Promise<void> {
  const data = Buffer.alloc(MIB, 0x5a)
  await session.queue(1).must(write(1, BLOCKS, BLOCKS), { send: data, inCapsule: false })
  const { data: found } = await session.queue(1).must(read(1, BLOCKS, BLOCKS), { receive: MIB })
  expect(found.equals(data)).toBe(true)
}

test('one: others get buffers, and it is left alone', async () => {
  const witness = await openSession(daemon.endpoint, { subnqn: NQN })
  const silent = await hoarder()
  const held = (): number => silent.queue(1).wire.unread
  await expect.poll(held).toBeGreaterThan(8)
  for (let round = 0; round < 20; round += 1) await works(witness)
  expect(held(), 'as much is left as it had before the last').toBeLessThanOrEqual(BUFFERS / MIB / 2)
  expect(silent.queue(1).wire.hasEnded).toBe(false)
})

test('four: when little is left, they are ended, and others are served at any time', async () => {
  const witness = await openSession(daemon.endpoint, { subnqn: NQN })
  const silent = [await hoarder(), await hoarder(), await hoarder(), await hoarder()]
  for (let round = 0; round < 10; round += 1) await works(witness)
  const ended = (): boolean => silent.some((session) => session.queue(1).wire.hasEnded)
  await expect.poll(ended).toBe(true)
  await daemon.line((line) => /neither sent nor read/.test(JSON.stringify(line)), 'it says why')
  await works(witness)
  await closeWires()
  await expect.poll(() => daemon.slotsInUse()).toBe(0)
})
