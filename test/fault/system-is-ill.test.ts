/**
 * A system that fails under the daemon, by a library of the tests' own that is preloaded into it: sectors that cannot
 * be read or written, syncs that fail, a time of day that jumps. Hosts are told the truth, nothing else suffers, and
 * what heals works again.
 */
import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { FUA, compare, flush, getFeatures, keepAlive, read, write } from '../command-bytes.ts'
import {
  NQN, configuration, removeDirectory, startDaemon, temporaryDirectory, type Daemon,
} from '../daemon.ts'
import { openSession } from '../host-session.ts'
import { closeWires } from '../host.ts'

const SOURCE = fileURLToPath(new URL('./preload/preload.c', import.meta.url))
const DAY_SECONDS = 86_400
const BLOCK_BYTES = 512
/** Where the sectors are ill. */
const [BAD, BAD_BLOCKS] = [1024, 16]

let daemon: Daemon
let directory: string
let illness: string

beforeAll(async () => {
  directory = temporaryDirectory()
  illness = join(directory, 'illness')
  const library = join(directory, 'preload.so')
  execFileSync(process.env['CC'] ?? 'cc', ['-O1', '-shared', '-fPIC', '-o', library, SOURCE])
  writeFileSync(illness, '')
  // The calls of a ring do not pass through the C library, those of epoll's helpers do.
  daemon = await startDaemon(configuration({
    engine: 'epoll',
    subsystems: [{ nqn: NQN, hosts: 'any', namespaces: [
      { nsid: 1, file: join(directory, 'disk'), size: '8M' }, { nsid: 2, memory: '1M' },
    ] }],
  }), ['env', `LD_PRELOAD=${library}`, `WEFT_ILLNESS=${illness}`])
})
beforeEach(() => writeFileSync(illness, ''))
afterEach(closeWires)
afterAll(async () => {
  await daemon.stop()
  removeDirectory(directory)
})

test('sectors fail: their commands end with a media error, all others go on, and data are not lost', async () => {
  const session = await openSession(daemon.endpoint, { subnqn: NQN })
  const queue = session.queue(1)
  const [old, next] = [Buffer.alloc(8 * BLOCK_BYTES, 0x11), Buffer.alloc(8 * BLOCK_BYTES, 0x22)]
  await queue.must(write(1, BAD, 8), { send: old })
  writeFileSync(illness, `sectors ${BAD * BLOCK_BYTES} ${(BAD + BAD_BLOCKS) * BLOCK_BYTES}`)
  expect((await queue.submit(read(1, BAD, 8), { receive: 8 * BLOCK_BYTES })).status).toBe('2/81h')
  expect((await queue.submit(write(1, BAD, 8), { send: next })).status).toBe('2/80h')
  expect((await queue.submit(write(1, BAD, 8, FUA), { send: next })).status).toBe('2/80h')
  expect((await queue.submit(compare(1, BAD, 8), { send: next })).status).toBe('2/81h')
  // One block before and one behind.
  for (const slba of [BAD - 1, BAD + BAD_BLOCKS]) {
    await queue.must(write(1, slba, 1, FUA), { send: next.subarray(0, BLOCK_BYTES) })
    const { data } = await queue.must(read(1, slba, 1), { receive: BLOCK_BYTES })
    expect(data.equals(next.subarray(0, BLOCK_BYTES))).toBe(true)
  }
  await queue.must(read(2, 0, 8), { receive: 8 * BLOCK_BYTES })
  writeFileSync(illness, '')
  const { data } = await queue.must(read(1, BAD, 8), { receive: 8 * BLOCK_BYTES })
  expect(data.equals(old)).toBe(true)
})

test('a sync fails: so does the Flush, and the next one tells of its own sync', async () => {
  const queue = (await openSession(daemon.endpoint, { subnqn: NQN })).queue(1)
  await queue.must(write(1, 0, 1), { send: Buffer.alloc(BLOCK_BYTES, 3) })
  writeFileSync(illness, 'sync')
  expect((await queue.submit(flush(1))).status).toBe('2/80h')
  await queue.must(flush(2))
  writeFileSync(illness, '')
  await queue.must(flush(1))
})

test.each([DAY_SECONDS, -30 * DAY_SECONDS])('the time of day jumps by %i s: no host notices', async (seconds) => {
  const session = await openSession(daemon.endpoint, { subnqn: NQN, kato: 5000 })
  const queue = session.queue(1)
  writeFileSync(illness, `clock ${seconds}`)
  for (let round = 0; round < 20; round++) {
    await session.admin.must(keepAlive())
    await queue.must(write(1, round, 1), { send: Buffer.alloc(BLOCK_BYTES, round) })
  }
  await daemon.statistics()
  const said = new Date(daemon.lines.at(-1)!['time'] as string | number).getTime()
  expect(Math.abs(said - Date.now()), 'the daemon sees the other time').toBeGreaterThan(DAY_SECONDS * 500)
  // The Timestamp feature counts from the start of the controller, by a clock that does not jump.
  const { data } = await session.admin.must(getFeatures(0x0e), { receive: 8 })
  expect(data.readUIntLE(0, 6)).toBeLessThan(DAY_SECONDS * 1000)
  writeFileSync(illness, '')
  await session.admin.must(keepAlive())
})
