/**
 * Hosts ask for logs of 1 MiB, one after another, and read none of them. Others connect, identify and read
 * logs meanwhile.
 */
import { afterEach, beforeEach, test } from 'vitest'
import { getLogPage, identify, read } from '../command-bytes.ts'
import { NQN, startDaemon, type Daemon } from '../daemon.ts'
import { openSession } from '../host-session.ts'
import { closeWires } from '../host.ts'

const MIB = 1 << 20
const LOGS = 24

let daemon: Daemon

beforeEach(async () => {
  daemon = await startDaemon()
})
afterEach(async () => {
  await closeWires()
  await daemon.stop()
})

async function hoarder(): Promise<void> {
  const { admin } = await openSession(daemon.endpoint, { subnqn: NQN }, 0)
  admin.wire.pause()
  const capsules = Array.from({ length: LOGS }, () =>
    admin.capsule(getLogPage(0x02, MIB / 4), { receive: MIB }))
  await admin.wire.send(...capsules)
}

test.each([[1], [8], [24]])('%i hosts', async (count) => {
  for (let index = 0; index < count; index += 1) await hoarder()
  for (let round = 0; round < 5; round += 1) {
    const session = await openSession(daemon.endpoint, { subnqn: NQN })
    await session.admin.must(identify(1), { receive: 4096 })
    await session.admin.must(getLogPage(0x02, 128), { receive: 512 })
    await session.queue(1).must(read(1, 0, 8), { receive: 4096 })
    await session.end()
  }
})
