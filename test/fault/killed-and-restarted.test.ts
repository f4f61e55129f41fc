/**
 * kill -9 and a restart: hosts that come back find the same volume, by every identity that they
 * compare, with everything that was written.
 */
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { FUA, identify, read, write } from '../command-bytes.ts'
import {
  NQN, configuration, removeDirectory, startDaemon, temporaryDirectory, type Daemon,
} from '../daemon.ts'
import { openSession } from '../host-session.ts'
import { closeWires, type Endpoint } from '../host.ts'

let directory: string

beforeAll(() => {
  directory = temporaryDirectory()
})
afterAll(() => removeDirectory(directory))
afterEach(closeWires)

const config = () => configuration({
  subsystems: [{
    nqn: NQN,
    hosts: 'any',
    namespaces: [
      { nsid: 1, file: join(directory, 'disk'), size: '16M' },
      { nsid: 2, memory: '8M' },
      { nsid: 3, null: '1G' },
    ],
  }],
})

/** Serial, model, and the descriptors of every namespace. */
async function identities(endpoint: Endpoint): Promise<string[]> {
  const { admin } = await openSession(endpoint, { subnqn: NQN }, 0)
  const controller = (await admin.must(identify(1), { receive: 4096 })).data
  const found = [controller.subarray(4, 64).toString('latin1')]
  for (const nsid of [1, 2, 3]) {
    const { data } = await admin.must(identify(3, nsid), { receive: 4096 })
    found.push(data.toString('hex'))
    const namespace = (await admin.must(identify(0, nsid), { receive: 4096 })).data
    found.push(namespace.subarray(104, 128).toString('hex'))
  }
  return found
}

test('three times over', async () => {
  let before: string[] | undefined
  for (let life = 1; life <= 3; life += 1) {
    const daemon: Daemon = await startDaemon(config())
    try {
      const found = await identities(daemon.endpoint)
      expect(found).toEqual(before ?? found)
      before = found
      const queue = (await openSession(daemon.endpoint, { subnqn: NQN })).queue(1)
      if (life > 1) {
        const back = await queue.must(read(1, 64, 8), { receive: 4096 })
        expect(back.data.equals(Buffer.alloc(4096, life - 1))).toBe(true)
      }
      await queue.must(write(1, 64, 8, FUA), { send: Buffer.alloc(4096, life) })
    } finally {
      await daemon.kill()
    }
  }
})

test('a host that reconnects to the same port', async () => {
  const first = await startDaemon(config())
  const session = await openSession(first.endpoint, { subnqn: NQN })
  const listeners = [first.endpoint]
  await first.kill()
  await session.admin.wire.closed()
  const second = await startDaemon({ ...config(), listeners })
  expect(second.endpoint).toEqual(first.endpoint)
  const again = await openSession(second.endpoint, session.wish)
  await again.queue(1).must(read(1, 0, 1), { receive: 512 })
  await closeWires()
  await second.stop()
})
