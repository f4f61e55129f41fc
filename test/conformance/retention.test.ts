/**
 * What is retained across power cycles: a daemon that ends in order, and one that is killed.
 * NVMe Base 2.0, SMART / Health Information.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { getLogPage, read, write } from '../command-bytes.ts'
import {
  NQN, configuration, removeDirectory, startDaemon, temporaryDirectory, type Daemon,
} from '../daemon.ts'
import { openSession } from '../host-session.ts'
import { closeWires } from '../host.ts'

const UNIT_BYTES = 512_000
const folders: string[] = []
let daemon: Daemon | null = null

afterEach(async () => {
  closeWires()
  await daemon?.kill()
  for (const folder of folders.splice(0)) removeDirectory(folder)
})

async function run(state: string): Promise<Daemon> {
  daemon = await startDaemon(configuration({
    state, subsystems: [{ nqn: NQN, hosts: 'any', namespaces: [{ nsid: 1, null: '1G' }] }],
  }))
  return daemon
}

async function health(from: Daemon) {
  const at = await openSession(from.endpoint, { subnqn: NQN }, 0)
  const { data } = await at.admin.must(getLogPage(2, 128), { receive: 512 })
  const field = (offset: number): number => Number(data.readBigUInt64LE(offset))
  return {
    unitsRead: field(32), unitsWritten: field(48), reads: field(64), writes: field(80), powerCycles: field(112),
    unsafeShutdowns: field(144), errors: field(176),
  }
}

/** Types of the persistent events, newest first. */
async function events(from: Daemon): Promise<number[]> {
  const at = await openSession(from.endpoint, { subnqn: NQN }, 0)
  const command = getLogPage(0x0d, 16384, 0, { lsp: 1 })
  const { data } = await at.admin.must(command, { receive: 65536 })
  const types = []
  for (let offset = 512; types.length < data.readUInt32LE(4);) {
    types.push(data.readUInt8(offset))
    offset += data.readUInt8(offset + 2) + 3 + data.readUInt16LE(offset + 22)
  }
  return types
}
const [SNAPSHOT, POWER_ON, HARDWARE_ERROR] = [1, 4, 5]

/** 3 reads, 2 writes of a unit each, and 1 error. */
async function use(from: Daemon): Promise<void> {
  const at = await openSession(from.endpoint, { subnqn: NQN }, 1)
  const queue = at.queue(1)
  for (let k = 0; k < 3; k++) await queue.must(read(1, 0, 1000), { receive: UNIT_BYTES })
  for (let k = 0; k < 2; k++) {
    await queue.must(write(1, 0, 1000), { send: Buffer.alloc(UNIT_BYTES), inCapsule: false })
  }
  await queue.submit(read(1, 2 ** 40, 1), { receive: 512 })
}

test('LOG-14: a run that ends in order', async () => {
  const state = temporaryDirectory()
  folders.push(state)
  const first = await run(state)
  await use(first)
  expect(await health(first)).toEqual({
    unitsRead: 3, unitsWritten: 2, reads: 3, writes: 2, powerCycles: 1, unsafeShutdowns: 0, errors: 1,
  })
  closeWires()
  await first.stop()
  const second = await run(state)
  await use(second)
  expect(await health(second)).toEqual({
    unitsRead: 6, unitsWritten: 4, reads: 6, writes: 4, powerCycles: 2, unsafeShutdowns: 0, errors: 2,
  })
})

test('LOG-19: events of a run that ended in order, and of one that was killed', async () => {
  const state = temporaryDirectory()
  folders.push(state)
  const first = await run(state)
  await use(first)
  closeWires()
  await first.stop()
  const second = await run(state)
  expect((await events(second)).slice(-3)).toEqual([POWER_ON, SNAPSHOT, POWER_ON])
  const runs = (): number => readFileSync(join(state, `${NQN.replace(':', '%3A')}.events.json`), 'utf8')
    .split(`"type": ${POWER_ON},`).length - 1
  await expect.poll(runs).toBe(2)
  closeWires()
  await second.kill()
  const third = await run(state)
  expect((await events(third)).filter((type) => type !== SNAPSHOT)).toEqual(
    [POWER_ON, HARDWARE_ERROR, POWER_ON, POWER_ON])
})

test('LOG-14: a run that is killed', async () => {
  const state = temporaryDirectory()
  folders.push(state)
  const first = await run(state)
  await use(first)
  // Written when the first host comes: a run that is killed before has had none.
  await expect.poll(() => readdirSync(state).some((name) => name.endsWith('.health.json'))).toBe(true)
  closeWires()
  await first.kill()
  const second = await run(state)
  expect(await health(second)).toMatchObject({ powerCycles: 2, unsafeShutdowns: 1 })
  closeWires()
  await second.stop()
  const third = await run(state)
  expect(await health(third)).toMatchObject({ powerCycles: 3, unsafeShutdowns: 1 })
})
