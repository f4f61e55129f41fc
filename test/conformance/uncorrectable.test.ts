/**
 * Write Uncorrectable: blocks that cannot be read until they are written.
 * NVM Command Set 1.0, 3.2.7.
 *
 * Memory, files and the null device, queues on two reactors.
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { once } from 'node:events'
import { join } from 'node:path'
import {
  compare, copy, copyRanges, datasetManagement, fused, identify, rangeList, read, verify, write,
  writeUncorrectable, writeZeroes,
} from '../command-bytes.ts'
import {
  NQN, configuration, removeDirectory, startDaemon, temporaryDirectory, type Daemon,
} from '../daemon.ts'
import { openSession, type Session } from '../host-session.ts'
import { closeWires } from '../host.ts'

const BYTES = 512
const UNRECOVERED = '2/81h'

let daemon: Daemon
let directory: string

const start = (): Promise<Daemon> => startDaemon(configuration({
  reactors: 2,
  state: join(directory, 'state'),
  subsystems: [{
    nqn: NQN,
    hosts: 'any',
    namespaces: [
      { nsid: 1, memory: '8M' }, { nsid: 2, file: join(directory, 'file'), size: '8M' }, { nsid: 3, null: '8M' },
      { nsid: 9, memory: '8M', readOnly: true },
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
const send = Buffer.alloc(BYTES, 0x5a)

describe.each([[1, 'memory'], [2, 'file'], [3, 'null']])('namespace %i: %s', (nsid) => {
  test('MED-01: they cannot be read by any command through any queue', async () => {
    const session = await open()
    expect((await session.admin.must(identify(1), { receive: 4096 })).data.readUInt16LE(520) & 2).toBe(2)
    await session.queue(1).must(writeUncorrectable(nsid, 100, 3))
    for (const queue of session.io) {
      const [refused, beside, first] = [
        await Promise.all([
          queue.submit(read(nsid, 102, 1), { receive: BYTES }),
          queue.submit(read(nsid, 99, 2), { receive: 2 * BYTES }),
          queue.submit(compare(nsid, 100, 1), { send: Buffer.alloc(BYTES) }),
          queue.submit(verify(nsid, 0, 101)),
          queue.submit(copy(nsid, 200, 1), { send: copyRanges([{ slba: 102, blocks: 2 }]) }),
        ]),
        await Promise.all([
          queue.submit(read(nsid, 99, 1), { receive: BYTES }), queue.submit(read(nsid, 103, 1), { receive: BYTES }),
          queue.submit(verify(nsid, 103, 100)),
        ]),
        await Promise.all([
          queue.submit(fused(compare(nsid, 101, 1), 1), { send: Buffer.alloc(BYTES) }),
          queue.submit(fused(write(nsid, 101, 1), 2), { send }),
        ]),
      ]
      expect(refused.map(({ status }) => status)).toEqual(Array(5).fill(UNRECOVERED))
      expect(beside.map(({ status }) => status)).toEqual(Array(3).fill('0/00h'))
      expect(first.map(({ status }) => status)).toEqual([UNRECOVERED, '0/09h'])
    }
  })

  test('MED-02: they can be read once they were written', async () => {
    const session = await open()
    const [one, two] = [session.queue(1), session.queue(2)]
    await one.must(writeUncorrectable(nsid, 300, 10))
    await one.must(datasetManagement(nsid, 1), { send: rangeList([{ slba: 300, blocks: 10 }]) })
    const states = async (): Promise<string> => {
      const each = await Promise.all(Array.from({ length: 10 }, (_, at) =>
        two.submit(read(nsid, 300 + at, 1), { receive: BYTES })))
      return each.map(({ status }) => status === '0/00h' ? '.' : status === UNRECOVERED ? 'x' : '?').join('')
    }
    expect(await states(), 'deallocated').toBe('xxxxxxxxxx')
    await one.must(write(nsid, 301, 1), { send })
    expect(await states(), 'written in the capsule').toBe('x.xxxxxxxx')
    await two.must(write(nsid, 302, 1), { send, inCapsule: false })
    expect(await states(), 'written by R2T').toBe('x..xxxxxxx')
    await one.must(writeZeroes(nsid, 304, 2))
    expect(await states(), 'zeroed').toBe('x..x..xxxx')
    await two.must(copy(nsid, 308, 1), { send: copyRanges([{ slba: 0, blocks: 2 }]) })
    expect(await states(), 'copied to').toBe('x..x..xx..')
    await one.must(write(nsid, 299, 12), { send: Buffer.alloc(12 * BYTES, 1) })
    expect(await states(), 'written with those beside them').toBe('..........')
    const { data } = await two.must(read(nsid, 300, 1), { receive: BYTES })
    expect(data).toEqual(Buffer.alloc(BYTES, nsid === 3 ? 0 : 1))
  })

  test('MED-03: what cannot be marked', async () => {
    const queue = (await open()).queue(1)
    const blocks = 8 * 1024 * 1024 / BYTES
    const statuses = [
      await queue.submit(writeUncorrectable(nsid, blocks, 1)), await queue.submit(writeUncorrectable(nsid, blocks - 1, 2)),
      await queue.submit(writeUncorrectable(nsid, 2n ** 63n, 1)),
      await queue.submit(writeUncorrectable(9, 0, 1)), await queue.submit(writeUncorrectable(77, 0, 1)),
    ]
    expect(statuses.map(({ status }) => status)).toEqual(['0/80h', '0/80h', '0/80h', '0/20h', '0/0Bh'])
    await queue.must(writeUncorrectable(nsid, blocks - 1, 1))
    expect((await queue.submit(read(nsid, blocks - 1, 1), { receive: BYTES })).status).toBe(UNRECOVERED)
  })
})

test('MED-04: what was marked in a file is so in the next run too, what was written is not', async () => {
  const before = (await open()).queue(1)
  await before.must(writeUncorrectable(2, 1000, 4))
  await before.must(write(2, 1001, 1), { send })
  const gone = once(daemon.child, 'exit')
  daemon.child.kill('SIGKILL')
  await gone
  daemon = await start()
  const queue = (await open()).queue(2)
  const statuses = await Promise.all([999, 1000, 1001, 1002, 1003, 1004].map((lba) =>
    queue.submit(read(2, lba, 1), { receive: BYTES })))
  expect(statuses.map(({ status }) => status))
    .toEqual(['0/00h', UNRECOVERED, '0/00h', UNRECOVERED, UNRECOVERED, '0/00h'])
  await queue.must(read(1, 100, 1), { receive: BYTES })
})
