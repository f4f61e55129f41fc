/**
 * A reactor dies of a mistake of our own: its connections end and nobody else's, the log says why, and another one
 * takes its place, which serves the same data. One that dies again and again ends the daemon, with a status that
 * tells its service manager to start it again.
 */
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, afterEach, beforeEach, expect, test } from 'vitest'
import { FUA, identify, read, write } from '../command-bytes.ts'
import { NQN, configuration, removeDirectory, startDaemon, temporaryDirectory, type Daemon } from '../daemon.ts'
import { openAdmin, openSession, enable, type Session } from '../host-session.ts'
import { Wire, closeWires } from '../host.ts'

const IMPORTED = fileURLToPath(new URL('./preload/dies.mjs', import.meta.url))
const BLOCKS = 8

const directories: string[] = []
let death: string
let daemon: Daemon

beforeEach(async () => {
  const directory = temporaryDirectory()
  directories.push(directory)
  death = join(directory, 'death')
  daemon = await start(directory)
})
afterEach(async () => {
  await closeWires()
  await daemon.kill()
})
afterAll(() => {
  for (const each of directories) removeDirectory(each)
})

const start = (directory: string): Promise<Daemon> => startDaemon(configuration({
  reactors: 2, state: join(directory, 'state'),
  subsystems: [{ nqn: NQN, hosts: 'any', namespaces: [
    { nsid: 1, file: join(directory, 'disk'), size: '8M' }, { nsid: 2, memory: '8M' },
  ] }],
}), ['env', `WEFT_DEATH=${death}`], ['--import', IMPORTED])

/** A connection that takes a place on the reactor with the fewest. */
const placeholder = (): Promise<Wire> => Wire.initialized(daemon.endpoint)

/** Two hosts: one with its admin queue on the first reactor, one with all of its queues on the second. */
async function twoHosts(): Promise<{ first: Session; second: Session }> {
  const first = await openSession(daemon.endpoint, { subnqn: NQN })
  await placeholder()
  const second = await openAdmin(daemon.endpoint, { subnqn: NQN })
  await enable(second.admin)
  await placeholder()
  await second.connectIo(1)
  return { first, second }
}

const saying = (words: RegExp) => (line: Record<string, unknown>): boolean => words.test(String(line['message']))

test('its connections end, the others go on, another one takes its place with the same data', async () => {
  const { first, second } = await twoHosts()
  const [file, memory] = [Buffer.alloc(4096, 0x5a), Buffer.alloc(4096, 0xa5)]
  await first.queue(1).must(write(1, 0, BLOCKS), { send: file })
  await first.queue(1).must(write(2, 0, BLOCKS), { send: memory })
  writeFileSync(death, '0')
  await first.admin.wire.closed()
  await first.queue(1).wire.closed()
  for (let k = 0; k < 50; k++) {
    await second.queue(1).must(write(2, 64, BLOCKS), { send: Buffer.alloc(4096, k) })
    const { data } = await second.queue(1).must(read(2, 64, BLOCKS), { receive: 4096 })
    expect(data.equals(Buffer.alloc(4096, k))).toBe(true)
  }
  await daemon.line(saying(/^Reactor 0 died: an invariant that tests broke\. Its connections end\.$/), 'it says why')
  await daemon.line(saying(/left .*: reactor 0 died\.$/), 'it says whose connections ended')
  await daemon.line(saying(/^Reactor 0 turns again\.$/), 'it says that it turns again')
  for (let k = 0; k < 4; k++) {
    const again = await openSession(daemon.endpoint, { subnqn: NQN }, 2)
    for (const queue of [1, 2]) {
      expect((await again.queue(queue).must(read(1, 0, BLOCKS), { receive: 4096 })).data.equals(file)).toBe(true)
      expect((await again.queue(queue).must(read(2, 0, BLOCKS), { receive: 4096 })).data.equals(memory)).toBe(true)
    }
    await again.end()
  }
  expect(second.admin.wire.hasEnded || second.queue(1).wire.hasEnded).toBe(false)
  await closeWires()
  await expect.poll(() => daemon.slotsInUse()).toBe(0)
  await daemon.stop()
})

test('in the midst of a turn: the other one serves, and it serves itself again', async () => {
  const { second } = await twoHosts()
  await closeWires()
  writeFileSync(death, '1 turn')
  await expect.poll(() => existsSync(death)).toBe(false)
  expect(second.admin.wire.hasEnded).toBe(true)
  // They stay, so that one of them comes to the second reactor, whatever connections that went are counted still.
  for (let k = 0; k < 8; k++) await openAdmin(daemon.endpoint, { subnqn: NQN }).catch(() => null)
  await daemon.line(saying(/^Reactor 1 died: an invariant that tests broke within a turn\./), 'it says why')
  await daemon.line(saying(/^Reactor 1 turns again\.$/), 'it says that it turns again')
  await closeWires()
  const session = await openSession(daemon.endpoint, { subnqn: NQN }, 4)
  for (let queue = 1; queue <= 4; queue++) await session.queue(queue).must(read(1, 0, BLOCKS), { receive: 4096 })
  await session.admin.must(identify(1), { receive: 4096 })
  await closeWires()
  await daemon.stop()
})

test('again and again: the daemon ends with its reason, and another one serves what was flushed', async () => {
  const session = await openSession(daemon.endpoint, { subnqn: NQN })
  const send = Buffer.alloc(4096, 0x5a)
  await session.queue(1).must(write(1, 0, BLOCKS, FUA), { send })
  writeFileSync(death, 'all')
  expect(await daemon.exit()).not.toBe(0)
  const said = JSON.stringify(daemon.lines) + daemon.text
  expect(said).toMatch(/The target failed: reactors died 4 times in \d+ s, the last one of: an invariant that tests broke/)
  await session.admin.wire.closed()
  writeFileSync(death, '')
  daemon = await start(directories.at(-1)!)
  const queue = (await openSession(daemon.endpoint, { subnqn: NQN })).queue(1)
  expect((await queue.must(read(1, 0, BLOCKS), { receive: 4096 })).data.equals(send)).toBe(true)
  await closeWires()
  await daemon.stop()
})
