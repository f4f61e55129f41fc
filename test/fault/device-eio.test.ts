/**
 * A file loses its end underneath the daemon, as when a medium loses sectors: reads there fail, and
 * the host is told so with a media error. Everything else goes on.
 */
import { truncateSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { compare, keepAlive, read, write } from '../command-bytes.ts'
import {
  NQN, configuration, removeDirectory, startDaemon, temporaryDirectory, type Daemon,
} from '../daemon.ts'
import { openSession } from '../host-session.ts'
import { closeWires } from '../host.ts'

const MIB = 1 << 20
const LOST_SLBA = (32 * MIB) / 512

describe.each(['uring', 'epoll'] as const)('%s', (engine) => {
  let daemon: Daemon
  let directory: string
  let path: string

  beforeAll(async () => {
    directory = temporaryDirectory()
    path = join(directory, 'disk')
    daemon = await startDaemon(configuration({
      engine,
      subsystems: [{
        nqn: NQN,
        hosts: 'any',
        namespaces: [{ nsid: 1, file: path, size: '64M' }, { nsid: 2, memory: '8M' }],
      }],
    }))
  })
  afterAll(async () => {
    await daemon.stop()
    removeDirectory(directory)
  })
  afterEach(closeWires)

  test('reads and compares of what is lost fail with 2/81h, all else succeeds', async () => {
    const session = await openSession(daemon.endpoint, { subnqn: NQN })
    const queue = session.queue(1)
    const send = Buffer.alloc(65536, 0x37)
    await queue.must(write(1, 0, 128), { send, inCapsule: false })
    await queue.must(write(1, LOST_SLBA, 128), { send, inCapsule: false })
    truncateSync(path, 16 * MIB)
    const lost = await queue.submit(read(1, LOST_SLBA, 128), { receive: 65536 })
    expect([lost.status, lost.c2h.length]).toEqual(['2/81h', 0])
    const compared = await queue.submit(compare(1, LOST_SLBA, 8), { send: send.subarray(0, 4096) })
    expect(compared.status).toBe('2/81h')
    const kept = await queue.must(read(1, 0, 128), { receive: 65536 })
    expect(kept.data.equals(send)).toBe(true)
    await queue.must(read(2, 0, 8), { receive: 4096 })
    await session.admin.must(keepAlive())
    await daemon.line((line) => line['event'] === 'deviceError' && line['namespace'] === 1,
      'a line about the device')
  })

  test('a hundred failures make the log no longer than a few lines', async () => {
    const queue = (await openSession(daemon.endpoint, { subnqn: NQN })).queue(1)
    const failed = await Promise.all(Array.from({ length: 100 }, () =>
      queue.submit(read(1, LOST_SLBA, 8), { receive: 4096 })))
    expect(new Set(failed.map((done) => done.status))).toEqual(new Set(['2/81h']))
    await daemon.statistics()
    const lines = daemon.lines.filter((line) => line['event'] === 'deviceError')
    expect(lines.length).toBeLessThan(20)
  })
})
