/**
 * Sanitize: everything in a subsystem is erased, and hosts see how far that is.
 * NVMe Base 2.0, 5.24 and 8.20.
 */
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { once } from 'node:events'
import { join } from 'node:path'
import {
  asyncEventRequest, compare, flush, format, getFeatures, getLogPage, identify, read, sanitize, setFeatures, write,
  writeUncorrectable,
} from '../command-bytes.ts'
import {
  NQN, configuration, removeDirectory, startDaemon, temporaryDirectory, type Daemon, type SubsystemConfig,
} from '../daemon.ts'
import { openSession, type Session } from '../host-session.ts'
import { closeWires } from '../host.ts'

const BLOCK_ERASE = 2
const OVERWRITE = 3
const AUSE = 8
const NDAS = 0x200
/** SSTAT. */
const [NEVER, DONE, RUNNING, FAILED] = [0, 1, 2, 3]

/** One subsystem each: what one of them does concerns no other. */
const NQNS = {
  all: NQN, protected: `${NQN}-protected`, restricted: `${NQN}-restricted`, unrestricted: `${NQN}-unrestricted`,
  interrupted: `${NQN}-interrupted`,
}

let daemon: Daemon
let directory: string

const large = (): SubsystemConfig => ({
  nqn: `${NQN}-large`, hosts: 'any', namespaces: [{ nsid: 2, file: join(directory, 'large'), size: '2G' }],
})
const start = (...subsystems: SubsystemConfig[]): Promise<Daemon> =>
  startDaemon(configuration({ reactors: 2, state: join(directory, 'state'), subsystems }))

const keptAt = (nqn: string): string => join(directory, 'state', `${encodeURIComponent(nqn)}.sanitize.json`)
function keep(nqn: string, state: Record<string, unknown>): void {
  writeFileSync(keptAt(nqn), JSON.stringify({ what: 'sanitize', version: 1, subsystem: nqn, state }))
}

beforeAll(async () => {
  directory = temporaryDirectory()
  mkdirSync(join(directory, 'state'))
  keep(NQNS.restricted, { status: 'failed', cdw10: BLOCK_ERASE, cdw11: 0, locked: true })
  keep(NQNS.unrestricted, { status: 'failed', cdw10: BLOCK_ERASE | AUSE, cdw11: 0, locked: true })
  keep(NQNS.interrupted, { status: 'running', cdw10: BLOCK_ERASE, cdw11: 0, locked: false })
  writeFileSync(join(directory, 'interrupted'), Buffer.alloc(8 << 20, 7))
  const memory = { nsid: 1, memory: '8M' }
  daemon = await start(
    { nqn: NQNS.all, hosts: 'any', namespaces: [
      memory, { nsid: 2, file: join(directory, 'file'), size: '8M' }, { nsid: 3, null: '8M' },
    ] },
    { nqn: NQNS.protected, hosts: 'any', namespaces: [memory, { nsid: 9, memory: '8M', readOnly: true }] },
    { nqn: NQNS.restricted, hosts: 'any', namespaces: [memory] },
    { nqn: NQNS.unrestricted, hosts: 'any', namespaces: [memory] },
    { nqn: NQNS.interrupted, hosts: 'any', namespaces: [{ nsid: 1, file: join(directory, 'interrupted') }] },
    large(),
  )
})
afterAll(async () => {
  await daemon.stop()
  removeDirectory(directory)
})
afterEach(closeWires)

const open = (nqn: string): Promise<Session> => openSession(daemon.endpoint, { subnqn: nqn }, 2)
const send = Buffer.alloc(512, 0x5a)

type Log = { progress: number; status: number; passes: number; cdw10: number }
async function logOf({ admin }: Session, rae = true): Promise<Log> {
  const { data } = await admin.must(getLogPage(0x81, 128, 0, { rae }), { receive: 512 })
  const sstat = data.readUInt16LE(2)
  return { progress: data.readUInt16LE(0), status: sstat & 7, passes: (sstat >> 3) & 31, cdw10: data.readUInt32LE(4) }
}

/** The event that a sanitize ends with. */
function ended({ admin }: Session): Promise<number> {
  return admin.submit(asyncEventRequest(), { held: true }).then(({ dw0 }) => dw0)
}

const COMPLETED = 0x00810106

test('MED-13: what is refused, and begins nothing', async () => {
  expect((await (await open(NQNS.protected)).admin.submit(sanitize(BLOCK_ERASE))).status).toBe('0/20h')
  const session = await open(NQNS.all)
  const statuses = await Promise.all([0, 4, 5, 7, BLOCK_ERASE | NDAS].map((cdw10) => session.admin.submit(sanitize(cdw10))))
  expect(statuses.map(({ status }) => status)).toEqual(Array(5).fill('0/02h'))
  await session.admin.must(sanitize(1))
  expect(await logOf(session)).toEqual({ progress: 0xffff, status: NEVER, passes: 0, cdw10: 0 })
})

test('MED-11: a block erase', async () => {
  const [one, two] = [await open(NQNS.all), await open(NQNS.all)]
  const { data } = await one.admin.must(identify(1), { receive: 4096 })
  expect(data.readUInt32LE(328), 'SANICAP').toBe(0x60000006)
  for (const nsid of [1, 2]) await one.queue(1).must(write(nsid, 77, 1), { send })
  await one.queue(1).must(writeUncorrectable(2, 5, 1))
  const events = [ended(one), ended(two)]
  await one.admin.must(sanitize(BLOCK_ERASE))
  expect(await Promise.all(events)).toEqual([COMPLETED, COMPLETED])
  expect(await logOf(two, false)).toEqual({ progress: 0xffff, status: DONE, passes: 0, cdw10: BLOCK_ERASE })
  const queues = [...one.io, ...two.io]
  for (const queue of queues) {
    for (const [nsid, lba] of [[1, 77], [2, 77], [2, 5]] as const) {
      expect((await queue.must(read(nsid, lba, 1), { receive: 512 })).data.equals(Buffer.alloc(512))).toBe(true)
    }
  }
  for (const queue of queues) for (const nsid of [1, 2, 3]) await queue.must(write(nsid, 77, 1), { send })
})

test('MED-11: an overwrite, after which nothing is allocated', async () => {
  const session = await open(NQNS.all)
  for (const nsid of [1, 2]) await session.queue(1).must(write(nsid, 77, 1), { send })
  const event = ended(session)
  await session.admin.must(sanitize(OVERWRITE | 2 << 4 | 0x100, 0xa5a5a5a5))
  expect(await event).toBe(COMPLETED)
  expect(await logOf(session)).toMatchObject({ status: DONE, passes: 2 })
  for (const nsid of [1, 2]) {
    expect((await session.queue(2).must(read(nsid, 77, 1), { receive: 512 })).data.equals(Buffer.alloc(512))).toBe(true)
  }
  expect(statSync(join(directory, 'file'))).toMatchObject({ size: 8 << 20, blocks: 0 })
})

/** As a run that failed has left it. */
async function failed(nqn: string): Promise<Session> {
  const session = await open(nqn)
  expect((await logOf(session)).status).toBe(FAILED)
  expect((await session.queue(1).submit(read(1, 0, 1), { receive: 512 })).status).toBe('0/1Ch')
  expect((await session.admin.submit(format(1, 0))).status).toBe('0/1Ch')
  return session
}

test('MED-15: a failure in the restricted mode', async () => {
  const session = await failed(NQNS.restricted)
  expect((await session.admin.submit(sanitize(1))).status).toBe('0/1Ch')
  expect((await session.admin.submit(sanitize(BLOCK_ERASE | AUSE))).status).toBe('0/1Ch')
  const event = ended(session)
  await session.admin.must(sanitize(BLOCK_ERASE))
  await event
  await session.queue(1).must(read(1, 0, 1), { receive: 512 })
})

test('MED-15: a failure in the unrestricted mode', async () => {
  const session = await failed(NQNS.unrestricted)
  await session.admin.must(sanitize(1))
  await session.queue(1).must(read(1, 0, 1), { receive: 512 })
  expect((await logOf(session)).status).toBe(FAILED)
  expect(JSON.parse(readFileSync(keptAt(NQNS.unrestricted), 'utf8'))).toMatchObject({ state: { locked: false } })
})

test('MED-14: one that an earlier run has not finished is finished', async () => {
  const session = await open(NQNS.interrupted)
  while ((await logOf(session)).status === RUNNING) { /* Each is a round trip. */ }
  expect(await logOf(session)).toMatchObject({ status: DONE, cdw10: BLOCK_ERASE })
  const { data } = await session.queue(1).must(read(1, 0, 8), { receive: 4096 })
  expect(data.equals(Buffer.alloc(4096))).toBe(true)
  expect(readFileSync(join(directory, 'interrupted')).equals(Buffer.alloc(8 << 20))).toBe(true)
})

test('MED-12 MED-14: what is refused meanwhile, and that it goes on after a kill', async () => {
  const session = await open(large().nqn)
  await session.queue(1).must(write(2, 77, 1), { send })
  // 16 passes of 2 GiB: what follows is over long before.
  await session.admin.must(sanitize(OVERWRITE, 0x11223344))
  const io = await Promise.all([
    session.queue(1).submit(read(2, 77, 1), { receive: 512 }), session.queue(2).submit(write(2, 0, 1), { send }),
    session.queue(2).submit(write(2, 0, 1), { send, inCapsule: false }),
    session.queue(1).submit(flush(2)), session.queue(1).submit(flush(0xffffffff)),
    session.queue(2).submit(compare(2, 0, 1), { send }), session.queue(2).submit(writeUncorrectable(2, 0, 1)),
  ])
  expect(io.map(({ status }) => status)).toEqual(Array(7).fill('0/1Dh'))
  for (const command of [format(2, 0), sanitize(BLOCK_ERASE), sanitize(1)]) {
    expect((await session.admin.submit(command)).status).toBe('0/1Dh')
  }
  const before = await logOf(session)
  expect(before).toMatchObject({ status: RUNNING, cdw10: OVERWRITE })
  await session.admin.must(getFeatures(0x06))
  await session.admin.must(setFeatures(0x0b, 0x100))
  await session.admin.must(identify(0, 2), { receive: 4096 })
  while ((await logOf(session)).progress <= before.progress) { /* Each is a round trip. */ }
  const gone = once(daemon.child, 'exit')
  daemon.child.kill('SIGKILL')
  await gone
  daemon = await start(large())
  const again = await open(large().nqn)
  expect(await logOf(again)).toMatchObject({ status: RUNNING, cdw10: OVERWRITE })
  expect((await again.queue(1).submit(read(2, 77, 1), { receive: 512 })).status).toBe('0/1Dh')
})
