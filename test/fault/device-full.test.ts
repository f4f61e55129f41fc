/**
 * The file system under a sparse file is full: the write that finds no room fails with 0/81h
 * Capacity Exceeded, what is there stays, and room that is made can be used. Needs the right to
 * mount.
 */
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { datasetManagement, flush, rangeList, read, write } from '../command-bytes.ts'
import {
  NQN, configuration, removeDirectory, startDaemon, temporaryDirectory, type Daemon,
} from '../daemon.ts'
import { openSession } from '../host-session.ts'
import { closeWires } from '../host.ts'

const MIB = 1 << 20
const ROOM = 8

/** A file system of ROOM MiB, or null where one may not be mounted. */
function smallFileSystem(): string | null {
  const directory = temporaryDirectory()
  try {
    const options = `size=${ROOM}m`
    execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'weft-test', directory], { stdio: 'pipe' })
    return directory
  } catch {
    removeDirectory(directory)
    return null
  }
}

const directory = smallFileSystem()

describe.skipIf(directory === null)('a file system of 8 MiB', () => {
  let daemon: Daemon

  beforeAll(async () => {
    daemon = await startDaemon(configuration({
      subsystems: [{
        nqn: NQN,
        hosts: 'any',
        namespaces: [
          { nsid: 1, file: join(directory ?? '', 'disk'), size: '64M', block: 4096 },
          { nsid: 2, memory: '8M' },
        ],
      }],
    }))
  })
  afterAll(async () => {
    await daemon.stop()
    if (directory === null) return
    execFileSync('umount', [directory])
    removeDirectory(directory)
  })
  afterEach(closeWires)

  test('0/81h where there is no room, and room after deallocating', async () => {
    const queue = (await openSession(daemon.endpoint, { subnqn: NQN })).queue(1)
    const statuses: string[] = []
    for (let mib = 0; mib < 2 * ROOM; mib += 1) {
      const send = Buffer.alloc(MIB, mib + 1)
      const done = await queue.submit(write(1, mib * 256, 256), { send, inCapsule: false })
      statuses.push(done.status)
    }
    const full = statuses.indexOf('0/81h')
    expect(full).toBeGreaterThan(0)
    expect(new Set(statuses.slice(0, full))).toEqual(new Set(['0/00h']))
    expect(new Set(statuses.slice(full))).toEqual(new Set(['0/81h']))
    for (let mib = 0; mib < full; mib += 1) {
      const back = await queue.must(read(1, mib * 256, 256), { receive: MIB })
      expect(back.data.equals(Buffer.alloc(MIB, mib + 1))).toBe(true)
    }
    await queue.must(flush(1))
    await queue.must(read(2, 0, 8), { receive: 4096 })
    const send = rangeList([{ slba: 0, blocks: 512 }])
    await queue.must(datasetManagement(1, 1), { send })
    const data = Buffer.alloc(MIB, 0x7e)
    await queue.must(write(1, 40 * 256, 256), { send: data, inCapsule: false })
    const back = await queue.must(read(1, 40 * 256, 256), { receive: MIB })
    expect(back.data.equals(data)).toBe(true)
  })
})

test.skipIf(directory !== null)('no right to mount here', () => {})
