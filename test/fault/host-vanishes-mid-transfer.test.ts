/**
 * A host is gone while data move: half an R2T answered, a read half received, both many times over.
 * Slots, transfer tags, buffers and connections must all come back.
 */
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { keepAlive, read, write } from '../command-bytes.ts'
import { NQN, configuration, startDaemon, type Daemon } from '../daemon.ts'
import { openSession } from '../host-session.ts'
import { closeWires } from '../host.ts'
import { R2T, h2cData, r2tOf } from '../wire-bytes.ts'

const ROUNDS = 40
const BLOCKS = 2048

let daemon: Daemon

beforeAll(async () => {
  // 32 MiB of buffers: a round that loses its own would starve the later ones.
  daemon = await startDaemon(configuration({ limits: { connections: 32, buffers: '32M' } }))
})
afterAll(() => daemon.stop())
afterEach(closeWires)

test('half way through its H2CData', async () => {
  const witness = await openSession(daemon.endpoint, { subnqn: NQN })
  for (let round = 0; round < ROUNDS; round += 1) {
    const session = await openSession(daemon.endpoint, { subnqn: NQN })
    const queue = session.queue(1)
    const send = Buffer.alloc(BLOCKS * 512, round)
    const capsules = Array.from({ length: 8 }, () =>
      queue.capsule(write(1, 0, BLOCKS), { send, inCapsule: false }))
    await queue.wire.send(...capsules)
    const pdu = await queue.wire.next()
    expect(pdu.type).toBe(R2T)
    const { cccid, ttag } = r2tOf(pdu)
    const whole = h2cData({ cccid, ttag, datao: 0, data: send.subarray(0, 65536), last: false })
    await queue.wire.send(whole.subarray(0, 1 + ((round * 1637) % whole.length)))
    if (round % 2 === 0) queue.wire.reset()
    await session.end()
    await witness.queue(1).must(read(1, 8192, 8), { receive: 4096 })
  }
  const send = Buffer.alloc(BLOCKS * 512, 0x5a)
  await Promise.all(Array.from({ length: 16 }, (_, index) =>
    witness.queue(1).must(write(1, index * BLOCKS, BLOCKS), { send, inCapsule: false })))
})

test('half way through what it reads', async () => {
  const witness = await openSession(daemon.endpoint, { subnqn: NQN })
  for (let round = 0; round < ROUNDS; round += 1) {
    const session = await openSession(daemon.endpoint, { subnqn: NQN })
    const queue = session.queue(1)
    const capsules = Array.from({ length: 16 }, () =>
      queue.capsule(read(1, 0, BLOCKS), { receive: BLOCKS * 512 }))
    await queue.wire.send(...capsules)
    if (round % 3 === 0) await queue.wire.next()
    if (round % 2 === 0) queue.wire.reset()
    await session.end()
  }
  await Promise.all(Array.from({ length: 32 }, (_, index) =>
    witness.queue(1).must(read(1, index, BLOCKS), { receive: BLOCKS * 512 })))
  await witness.admin.must(keepAlive())
})

test('its admin connection goes while its I/O queue is busy', async () => {
  for (let round = 0; round < 10; round += 1) {
    const session = await openSession(daemon.endpoint, { subnqn: NQN }, 2)
    for (const queue of session.io) {
      const capsules = Array.from({ length: 16 }, () =>
        queue.capsule(read(1, 0, BLOCKS), { receive: BLOCKS * 512 }))
      await queue.wire.send(...capsules)
    }
    session.admin.wire.reset()
    for (const queue of session.io) await queue.wire.closed()
    await session.end()
  }
  const after = await openSession(daemon.endpoint, { subnqn: NQN }, 2)
  await after.queue(2).must(read(1, 0, BLOCKS), { receive: BLOCKS * 512 })
  await closeWires()
  await expect.poll(() => daemon.slotsInUse()).toBe(0)
})
