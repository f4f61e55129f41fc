/**
 * Hosts ask for logs, one after another, and read none of them: long ones and short ones, more than sockets
 * and the memory for admin answers hold. Others connect, identify and read logs meanwhile; one alone never takes so
 * much that it has to be ended.
 */
import { afterEach, beforeEach, expect, test } from 'vitest'
import { getLogPage, identify, read } from '../command-bytes.ts'
import { NQN, startDaemon, type Daemon } from '../daemon.ts'
import { openSession } from '../host-session.ts'
import { closeWires } from '../host.ts'

const MIB = 1 << 20
const SIZES = [MIB, MIB / 4, MIB / 16, MIB / 64, 4096]
/** Of each host. */
const ASKED_BYTES = 24 * MIB

let daemon: Daemon

beforeEach(async () => {
  daemon = await startDaemon()
})
afterEach(async () => {
  await closeWires()
  await daemon.stop()
})

async function hoarder(bytes: number): Promise<void> {
  const { admin } = await openSession(daemon.endpoint, { subnqn: NQN }, 0)
  admin.wire.pause()
  const capsules = Array.from({ length: ASKED_BYTES / bytes }, () =>
    admin.capsule(getLogPage(0x02, bytes / 4), { receive: bytes }))
  await admin.wire.send(...capsules)
}

test.each([[1], [4]])('%i hosts for each size', async (count) => {
  for (let index = 0; index < count; index += 1) {
    for (const bytes of SIZES) await hoarder(bytes)
  }
  for (let round = 0; round < 5; round += 1) {
    const session = await openSession(daemon.endpoint, { subnqn: NQN })
    await session.admin.must(identify(1), { receive: 4096 })
    await session.admin.must(getLogPage(0x02, 128), { receive: 512 })
    await session.queue(1).must(read(1, 0, 8), { receive: 4096 })
    await session.end()
  }
})

test('one host: others get long logs too, and it gets its own when it reads again', async () => {
  const silent = await openSession(daemon.endpoint, { subnqn: NQN }, 0)
  silent.admin.wire.pause()
  const asked = Array.from({ length: ASKED_BYTES / MIB }, () =>
    silent.admin.submit(getLogPage(0x02, MIB / 4), { receive: MIB, held: true }))
  const ends = Promise.allSettled(asked)
  for (let round = 0; round < 5; round += 1) {
    const session = await openSession(daemon.endpoint, { subnqn: NQN }, 0)
    await session.admin.must(identify(1), { receive: 4096 })
    await session.admin.must(getLogPage(0x02, MIB / 4), { receive: MIB })
    await session.end()
  }
  silent.admin.wire.resume()
  for (const end of await ends) {
    expect(end.status === 'fulfilled' ? end.value.status : String(end.reason)).toBe('0/00h')
  }
})
