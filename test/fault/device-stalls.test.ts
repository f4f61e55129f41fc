/**
 * The medium does not answer for a while: the file system under a file is frozen. Commands for it
 * wait, all others go on, and when it answers again nothing is lost.
 */
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { abort, keepAlive, read, write } from '../command-bytes.ts'
import {
  NQN, configuration, removeDirectory, startDaemon, temporaryDirectory, type Daemon,
} from '../daemon.ts'
import { openSession } from '../host-session.ts'
import { closeWires } from '../host.ts'
import { freeze, mountFileSystem, thaw, unmountFileSystem } from '../loop-device.ts'

const MIB = 1 << 20
const directory = temporaryDirectory()
const mountPoint = mountFileSystem(directory, 64 * MIB)

afterAll(() => {
  unmountFileSystem(mountPoint)
  removeDirectory(directory)
})

describe.skipIf(mountPoint === null).each(['uring', 'epoll'] as const)('%s', (engine) => {
  const mounted = mountPoint ?? ''
  let daemon: Daemon

  beforeAll(async () => {
    daemon = await startDaemon(configuration({
      engine,
      subsystems: [{
        nqn: NQN,
        hosts: 'any',
        namespaces: [
          { nsid: 1, file: join(mounted, engine), size: '16M', block: 4096 },
          { nsid: 2, memory: '8M' },
        ],
      }],
    }))
  })
  afterAll(() => daemon.stop())
  afterEach(closeWires)

  test('writes wait, the other namespace is served on the same queue, all end', async () => {
    const session = await openSession(daemon.endpoint, { subnqn: NQN })
    const queue = session.queue(1)
    freeze(mounted)
    const writes: Promise<{ status: string }>[] = []
    try {
      for (let index = 0; index < 16; index += 1) {
        const send = Buffer.alloc(8192, index + 1)
        writes.push(queue.submit(write(1, 2 * index, 2), { send, inCapsule: index % 2 === 0 }))
      }
      for (let index = 0; index < 50; index += 1) {
        await queue.must(read(2, index, 8), { receive: 4096 })
        await session.admin.must(keepAlive())
      }
      expect(queue.outstanding.size, 'none of the writes has ended').toBe(16)
      const { dw0 } = await session.admin.must(abort(1, [...queue.outstanding.keys()][0] ?? 0))
      expect(dw0 & 1, 'what the device has is not aborted').toBe(1)
    } finally {
      thaw(mounted)
    }
    for (const done of await Promise.all(writes)) expect(done.status).toBe('0/00h')
    for (let index = 0; index < 16; index += 1) {
      const back = await queue.must(read(1, 2 * index, 2), { receive: 8192 })
      expect(back.data.equals(Buffer.alloc(8192, index + 1))).toBe(true)
    }
  })

  test('the host goes while its writes wait; another one finds all in order', async () => {
    const gone = await openSession(daemon.endpoint, { subnqn: NQN })
    const stays = await openSession(daemon.endpoint, { subnqn: NQN })
    freeze(mounted)
    try {
      const send = Buffer.alloc(4096, 0x77)
      const queue = gone.queue(1)
      for (let index = 0; index < 8; index += 1) void queue.submit(write(1, 100, 1), { send })
      await gone.admin.must(keepAlive())
      await gone.end()
      for (let index = 0; index < 20; index += 1) {
        await stays.queue(1).must(read(2, 0, 8), { receive: 4096 })
      }
    } finally {
      thaw(mounted)
    }
    await stays.queue(1).must(write(1, 100, 1), { send: Buffer.alloc(4096, 0x12) })
    await stays.queue(1).must(read(1, 100, 1), { receive: 4096 })
  })
})

test.skipIf(mountPoint !== null)('no right to mount here', () => {})
