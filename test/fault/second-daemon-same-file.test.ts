/**
 * Two daemons, one file: the second one may not start, and says why. The first one goes on. When it
 * has gone, the file is free.
 */
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { read, write } from '../command-bytes.ts'
import {
  NQN, configuration, removeDirectory, spawnDaemon, startDaemon, temporaryDirectory, type Daemon,
} from '../daemon.ts'
import { openSession } from '../host-session.ts'
import { closeWires } from '../host.ts'

let directory: string
let path: string
let first: Daemon

const config = () => configuration({
  subsystems: [{ nqn: NQN, hosts: 'any', namespaces: [{ nsid: 1, file: path, size: '16M' }] }],
})

beforeAll(async () => {
  directory = temporaryDirectory()
  path = join(directory, 'disk')
  first = await startDaemon(config())
})
afterAll(async () => {
  await first.kill()
  removeDirectory(directory)
})
afterEach(closeWires)

test('the second one is refused with the name of the file, and the first one does not notice',
  async () => {
    const send = Buffer.alloc(4096, 0x66)
    const queue = (await openSession(first.endpoint, { subnqn: NQN })).queue(1)
    await queue.must(write(1, 0, 8), { send })
    const second = spawnDaemon(config())
    expect(await second.exit()).toBeGreaterThan(0)
    const said = second.text + JSON.stringify(second.lines)
    expect(said).toContain(path)
    expect(said).not.toMatch(/\bat .*\.ts:\d+/)
    expect(second.lines.some((line) => line['event'] === 'ready')).toBe(false)
    const back = await queue.must(read(1, 0, 8), { receive: 4096 })
    expect(back.data.equals(send)).toBe(true)
  })

test('after the first one has stopped it starts, with the data', async () => {
  await first.stop()
  const second = await startDaemon(config())
  const queue = (await openSession(second.endpoint, { subnqn: NQN })).queue(1)
  const back = await queue.must(read(1, 0, 8), { receive: 4096 })
  expect(back.data.equals(Buffer.alloc(4096, 0x66))).toBe(true)
  await closeWires()
  await second.stop()
})
