/**
 * Namespace write protection: feature 84h, what it forbids, and how long it lasts.
 * NVMe Base 2.0, 8.12.
 */
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { join } from 'node:path'
import {
  asyncEventRequest, compare, copy, copyRanges, datasetManagement, flush, fused, getFeatures, getLogPage,
  identify, rangeList, read, setFeatures, verify, write, writeZeroes,
} from '../command-bytes.ts'
import {
  NQN, configuration, removeDirectory, startDaemon, temporaryDirectory, type Daemon,
} from '../daemon.ts'
import { openSession, type Session } from '../host-session.ts'
import { closeWires } from '../host.ts'

let daemon: Daemon
let directory: string

const start = (): Promise<Daemon> => startDaemon(configuration({
  reactors: 2,
  state: join(directory, 'state'),
  subsystems: [{
    nqn: NQN,
    hosts: 'any',
    namespaces: [
      { nsid: 1, memory: '8M' }, { nsid: 2, memory: '8M' }, { nsid: 3, memory: '8M' },
      { nsid: 4, memory: '8M' }, { nsid: 9, memory: '8M', readOnly: true },
    ],
  }],
}))

beforeAll(async () => {
  directory = temporaryDirectory()
  daemon = await start()
})
afterAll(async () => {
  await daemon.stop()
  removeDirectory(directory)
})
afterEach(closeWires)

const open = (): Promise<Session> => openSession(daemon.endpoint, { subnqn: NQN }, 2)

/** Set Features 84h for a namespace. */
function protect(nsid: number, state: number): Buffer {
  const command = setFeatures(0x84, state)
  command.writeUInt32LE(nsid, 4)
  return command
}

async function stateOf({ admin }: Session, nsid: number, select = 0): Promise<number> {
  const command = getFeatures(0x84, 0, select)
  command.writeUInt32LE(nsid, 4)
  return (await admin.must(command)).dw0
}

async function attributes({ admin }: Session, nsid: number): Promise<number> {
  return (await admin.must(identify(0, nsid), { receive: 4096 })).data.readUInt8(99) & 1
}

const send = Buffer.alloc(512, 1)

test('FEA-12: nothing is written any more, by any command on any queue of any host', async () => {
  const [one, two] = [await open(), await open()]
  await one.admin.must(protect(1, 1))
  expect([await stateOf(one, 1), await stateOf(two, 1), await attributes(two, 1)]).toEqual([1, 1, 1])
  for (const queue of [...one.io, ...two.io]) {
    const refused = await Promise.all([
      queue.submit(write(1, 0, 1), { send }), queue.submit(write(1, 0, 1), { send, inCapsule: false }),
      queue.submit(writeZeroes(1, 0, 1)),
      queue.submit(datasetManagement(1, 1), { send: rangeList([{ slba: 0, blocks: 1 }]) }),
      queue.submit(copy(1, 8, 1), { send: copyRanges([{ slba: 0, blocks: 1 }]) }),
    ])
    expect(refused.map(({ status }) => status)).toEqual(Array(5).fill('0/20h'))
    const pair = await Promise.all([
      queue.submit(fused(compare(1, 0, 1), 1), { send: Buffer.alloc(512) }),
      queue.submit(fused(write(1, 0, 1), 2), { send }),
    ])
    expect(pair.map(({ status }) => status)).toEqual(['0/09h', '0/20h'])
    await queue.must(read(1, 0, 1), { receive: 512 })
    await queue.must(verify(1, 0, 1))
    await queue.must(flush(1))
    await queue.must(write(2, 0, 1), { send })
  }
  await two.admin.must(protect(1, 0))
  await one.queue(1).must(write(1, 0, 1), { send })
  expect(await attributes(one, 1)).toBe(0)
})

test('FEA-12: other hosts are told that an attribute has changed', async () => {
  const [one, two] = [await open(), await open()]
  const event = two.admin.submit(asyncEventRequest(), { held: true })
  await two.admin.must(setFeatures(0x0b, 0x100))
  await one.admin.must(protect(2, 1))
  expect((await event).dw0).toBe(0x00040002)
  const { data } = await two.admin.must(getLogPage(4, 1024), { receive: 4096 })
  expect([data.readUInt32LE(0), data.readUInt32LE(4)]).toEqual([2, 0])
  await one.admin.must(protect(2, 0))
})

test('FEA-12: what it says it can do, and what it refuses', async () => {
  const session = await open()
  const { admin } = session
  expect((await admin.must(identify(1), { receive: 4096 })).data.readUInt8(531), 'NWPC').toBe(7)
  expect([await stateOf(session, 2, 3), await stateOf(session, 2, 1)], 'capabilities, default').toEqual([6, 0])
  expect((await admin.submit(protect(2, 4))).status).toBe('0/02h')
  expect((await admin.submit(protect(99, 1))).status).toBe('0/0Bh')
  expect((await admin.submit(protect(0xffffffff, 1))).status).toBe('0/0Bh')
  expect((await admin.submit(setFeatures(0x84, 1, true))).status).toBe('1/0Dh')
  expect(await stateOf(session, 9), 'by configuration').toBe(1)
  expect((await admin.submit(protect(9, 0))).status).toBe('1/0Eh')
})

test('FEA-13: protection is kept over a restart, except until a power cycle', async () => {
  const before = await open()
  for (const [nsid, state] of [[1, 1], [2, 2], [3, 3]] as const) await before.admin.must(protect(nsid, state))
  expect((await before.admin.submit(protect(2, 0))).status).toBe('1/0Eh')
  expect((await before.admin.submit(protect(3, 0))).status).toBe('1/0Eh')
  await daemon.stop()
  daemon = await start()
  const after = await open()
  expect(await Promise.all([1, 2, 3, 4].map((nsid) => stateOf(after, nsid)))).toEqual([1, 0, 3, 0])
  expect((await after.queue(1).submit(write(1, 0, 1), { send })).status).toBe('0/20h')
  await after.queue(1).must(write(2, 0, 1), { send })
  expect((await after.admin.submit(protect(3, 0))).status).toBe('1/0Eh')
  await after.admin.must(protect(1, 0))
  await after.queue(2).must(write(1, 0, 1), { send })
})
