/**
 * A reactor dies of a mistake of our own: the daemon says why and ends with a status that tells its service manager
 * to start it again; what was flushed is there when it has.
 */
import { writeFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { FUA, read, write } from '../command-bytes.ts'
import { NQN, configuration, removeDirectory, startDaemon, temporaryDirectory } from '../daemon.ts'
import { openSession } from '../host-session.ts'
import { closeWires } from '../host.ts'

const IMPORTED = fileURLToPath(new URL('./preload/dies.mjs', import.meta.url))

let directory: string
beforeAll(() => {
  directory = temporaryDirectory()
})
afterEach(closeWires)
afterAll(() => removeDirectory(directory))

test('it says why, ends, and serves the same data when it is started again', async () => {
  const death = join(directory, 'death')
  const config = configuration({
    reactors: 2, subsystems: [{ nqn: NQN, hosts: 'any', namespaces: [{ nsid: 1, file: join(directory, 'disk'), size: '8M' }] }],
  })
  const wrapper = ['env', `WEFT_DEATH=${death}`]
  const daemon = await startDaemon(config, wrapper, ['--import', IMPORTED])
  const session = await openSession(daemon.endpoint, { subnqn: NQN })
  const send = Buffer.alloc(4096, 0x5a)
  await session.queue(1).must(write(1, 0, 8, FUA), { send })
  writeFileSync(death, '')
  expect(await daemon.exit()).not.toBe(0)
  expect(JSON.stringify(daemon.lines) + daemon.text).toContain('an invariant that tests broke')
  await session.admin.wire.closed()
  rmSync(death)
  const next = await startDaemon(config, wrapper, ['--import', IMPORTED])
  const { data } = await (await openSession(next.endpoint, { subnqn: NQN })).queue(1).must(read(1, 0, 8), { receive: 4096 })
  expect(data.equals(send)).toBe(true)
  await closeWires()
  await next.stop()
})
