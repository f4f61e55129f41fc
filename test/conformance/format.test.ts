/**
 * Format NVM: another block size, and secure erasing, while hosts are connected.
 * NVMe Base 2.0, 5.27; NVM Command Set 1.0, Identify Namespace.
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { statSync } from 'node:fs'
import { join } from 'node:path'
import {
  asyncEventRequest, datasetManagement, format, getLogPage, identify, rangeList, read, setFeatures, write,
  writeUncorrectable,
} from '../command-bytes.ts'
import {
  NQN, configuration, removeDirectory, startDaemon, temporaryDirectory, type Daemon, type DaemonConfig,
  type NamespaceConfig,
} from '../daemon.ts'
import { openSession, type Session } from '../host-session.ts'
import { closeWires } from '../host.ts'
import { keys, resvAcquire, resvRegister } from '../reservation-bytes.ts'
import { cqeOf, h2cData, r2tOf } from '../wire-bytes.ts'

const BYTES = 8 * 1024 * 1024
const SECURE = 0x200

let daemon: Daemon
let directory: string

const NAMED: NamespaceConfig = { nsid: 6, use: 'disk' }

const serving = (named: NamespaceConfig): DaemonConfig => configuration({
  reactors: 2,
  state: join(directory, 'state'),
  devices: { disk: { file: join(directory, 'disk'), size: '8M' } },
  subsystems: [{
    nqn: NQN,
    hosts: 'any',
    namespaces: [
      { nsid: 1, memory: '8M' }, { nsid: 2, file: join(directory, 'file'), size: '8M', block: 4096 },
      { nsid: 3, null: '8M' }, { nsid: 4, memory: '8M' }, { nsid: 9, memory: '8M', readOnly: true },
      // Next to nothing in a second.
      { nsid: 5, memory: '8M', qos: { iops: 1, bandwidth: 4096 } }, named,
    ],
  }],
})
const start = (): Promise<Daemon> => startDaemon(serving(NAMED))

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

/** What a host sees of the namespace. */
async function shapeOf({ admin }: Session, nsid: number): Promise<{ blocks: number; bytes: number; formats: number[] }> {
  const { data } = await admin.must(identify(0, nsid), { receive: 4096 })
  const formats = Array.from({ length: data.readUInt8(25) + 1 }, (_, at) => 2 ** data.readUInt8(128 + 4 * at + 2))
  expect(data.readUInt8(32), 'FPI').toBe(0x80)
  return { blocks: Number(data.readBigUInt64LE(0)), bytes: formats[data.readUInt8(26) & 15]!, formats }
}

test('MED-05: what it says it can do', async () => {
  const { data } = await (await open()).admin.must(identify(1), { receive: 4096 })
  expect([data.readUInt16LE(256) & 2, data.readUInt8(524)], 'OACS, FNA').toEqual([2, 8])
})

describe.each([[1, 512], [2, 4096], [3, 512]])('namespace %i', (nsid, first) => {
  test('MED-06: it has blocks of the other size then, on every queue of every host, and nothing in them', async () => {
    const [one, two] = [await open(), await open()]
    const other = first === 512 ? 4096 : 512
    expect(await shapeOf(one, nsid)).toEqual({ blocks: BYTES / first, bytes: first, formats: [512, 4096] })
    await one.queue(1).must(write(nsid, 3, 1), { send: Buffer.alloc(first, 1) })
    await one.queue(1).must(writeUncorrectable(nsid, 1, 1))
    await one.admin.must(format(nsid, other === 4096 ? 1 : 0))
    for (const session of [one, two]) {
      expect(await shapeOf(session, nsid)).toEqual({ blocks: BYTES / other, bytes: other, formats: [512, 4096] })
      for (const queue of session.io) {
        for (const lba of [0, 1, 3, BYTES / other - 1]) {
          const { data } = await queue.must(read(nsid, lba, 1), { receive: other })
          expect(data.equals(Buffer.alloc(other)), `block ${lba}`).toBe(true)
        }
        expect((await queue.submit(read(nsid, BYTES / other, 1), { receive: other })).status).toBe('0/80h')
        expect((await queue.submit(read(nsid, 0, 1), { receive: first })).status).toBe('0/0Fh')
      }
    }
    await one.queue(2).must(write(nsid, BYTES / other - 1, 1), { send: Buffer.alloc(other, 2) })
    await one.admin.must(format(nsid, (first === 4096 ? 1 : 0) | SECURE))
    expect((await shapeOf(two, nsid)).bytes).toBe(first)
    const { data } = await two.queue(1).must(read(nsid, BYTES / first - 1, 1), { receive: first })
    expect(data.equals(Buffer.alloc(first))).toBe(true)
  })
})

test('MED-06: a file gives its space back', async () => {
  const session = await open()
  for (let lba = 0; lba < 1024; lba += 16) {
    await session.queue(1).must(write(2, lba, 16), { send: Buffer.alloc(65536, 3), inCapsule: false })
  }
  const blocks = (): number => statSync(join(directory, 'file')).blocks
  const before = blocks()
  await session.admin.must(format(2, 1 | SECURE))
  expect([before > blocks() * 2, statSync(join(directory, 'file')).size]).toEqual([true, BYTES])
})

test('IDY-21: NUSE grows with what is written, and falls with what is deallocated', async () => {
  const { admin, io } = await open()
  const useOf = async (nsid: number): Promise<{ thin: boolean; used: number; capacity: number }> => {
    const { data } = await admin.must(identify(0, nsid), { receive: 4096 })
    return {
      thin: (data.readUInt8(24) & 1) === 1, used: Number(data.readBigUInt64LE(16)), capacity: Number(data.readBigUInt64LE(8)),
    }
  }
  for (const nsid of [1, 3]) expect(await useOf(nsid)).toEqual({ thin: false, used: BYTES / 512, capacity: BYTES / 512 })
  const { thin, used, capacity } = await useOf(6)
  if (!thin) return expect(used, 'no holes here').toBe(capacity)
  const soon = { timeout: 20_000 }
  await expect.poll(async () => (await useOf(6)).used, soon).toBeLessThan(256)
  for (let lba = 0; lba < 2048; lba += 128) await io[0]!.must(write(6, lba, 128), { send: Buffer.alloc(65536, 1), inCapsule: false })
  await expect.poll(async () => (await useOf(6)).used, soon).toBeGreaterThanOrEqual(2048)
  await io[0]!.must(datasetManagement(6, 1), { send: rangeList([{ slba: 0, blocks: 2048 }]) })
  await expect.poll(async () => (await useOf(6)).used, soon).toBeLessThan(256)
})

test('MED-07: other hosts are told', async () => {
  const [one, two] = [await open(), await open()]
  const event = two.admin.submit(asyncEventRequest(), { held: true })
  await two.admin.must(setFeatures(0x0b, 0x100))
  await one.admin.must(format(4, 1))
  expect((await event).dw0).toBe(0x00040002)
  const { data } = await two.admin.must(getLogPage(4, 1024), { receive: 4096 })
  expect([data.readUInt32LE(0), data.readUInt32LE(4)]).toEqual([4, 0])
})

test('MED-08: what is refused changes nothing', async () => {
  const session = await open()
  await session.queue(1).must(write(1, 0, 1), { send: Buffer.alloc(512, 4) })
  const statuses = [
    format(1, 2), format(1, 0x1000), format(1, 0x20), format(1, 0x400), format(1, 0x600),
    format(0xffffffff, 0), format(0, 0), format(77, 0), format(9, 0),
  ].map(async (command) => (await session.admin.submit(command)).status)
  expect(await Promise.all(statuses)).toEqual([
    '1/0Ah', '1/0Ah', '1/0Ah', '0/02h', '0/02h', '0/02h', '0/0Bh', '0/0Bh', '0/20h',
  ])
  const { data } = await session.queue(2).must(read(1, 0, 1), { receive: 512 })
  expect(data.equals(Buffer.alloc(512, 4))).toBe(true)
})

test('MED-09: commands whose data come late do not meet the new blocks', async () => {
  const session = await open()
  const queue = session.queue(1)
  const data = Buffer.alloc(4096, 9)
  const cid = queue.takeCid()
  await queue.wire.send(queue.capsule(write(2, 5, 1), { send: data, inCapsule: false }, cid))
  const { cccid, ttag } = r2tOf(await queue.wire.next())
  await session.admin.must(format(2, 0))
  await queue.wire.send(h2cData({ cccid, ttag, datao: 0, data, last: true }, queue.wire.digests))
  expect(cqeOf(await queue.wire.next()).status).toBe('0/84h')
  const there = await session.queue(2).must(read(2, 40, 16), { receive: 8192 })
  expect(there.data.equals(Buffer.alloc(8192))).toBe(true)
  await session.admin.must(format(2, 1))
})

test('MED-09: nor do those that wait for their turn', async () => {
  const session = await open()
  const queue = session.queue(1)
  const waiting = Array.from({ length: 12 }, (_, lba) => queue.submit(write(5, lba, 1), { send: Buffer.alloc(512, 9) }))
  // Behind them in the queue: they have been looked at when it is answered.
  await queue.must(read(3, 0, 1), { receive: 512 })
  await session.admin.must(format(5, 1 | SECURE))
  const statuses = (await Promise.all(waiting)).map(({ status }) => status)
  expect(statuses).toContain('0/84h')
  expect(statuses.filter((each) => each !== '0/84h' && each !== '0/00h')).toEqual([])
  const { data } = await session.queue(2).must(read(5, 0, 2), { receive: 8192 })
  expect(data.equals(Buffer.alloc(8192))).toBe(true)
})

test('MED-08: a host that may not write may not format', async () => {
  const [one, two] = [await open(), await open()]
  await one.queue(1).must(resvRegister(4, 0), { send: keys(0n, 5n) })
  await one.queue(1).must(resvAcquire(4, 0, 1), { send: keys(5n, 0n) })
  expect((await two.admin.submit(format(4, 0))).status).toBe('0/83h')
  await one.admin.must(format(4, 0))
  expect((await two.queue(1).submit(write(4, 0, 1), { send: Buffer.alloc(512) })).status, 'still reserved').toBe('0/83h')
})

test('MED-10: the block size is kept over a restart; another namespace on the same device has the device\'s', async () => {
  const before = await open()
  await before.admin.must(format(2, 0))
  await before.queue(1).must(write(2, 1000, 1), { send: Buffer.alloc(512, 6) })
  await before.admin.must(format(6, 1))
  await before.queue(1).must(write(6, 100, 1), { send: Buffer.alloc(4096, 8) })
  await daemon.stop()
  daemon = await start()
  const after = await open()
  const [large, small] = [
    { blocks: BYTES / 4096, bytes: 4096, formats: [512, 4096] }, { blocks: BYTES / 512, bytes: 512, formats: [512, 4096] },
  ]
  expect(await shapeOf(after, 2)).toEqual(small)
  const { data } = await after.queue(1).must(read(2, 1000, 1), { receive: 512 })
  expect(data.equals(Buffer.alloc(512, 6))).toBe(true)
  expect(await shapeOf(after, 6)).toEqual(large)
  await daemon.reload(serving({ nsid: 7, use: 'disk' }))
  const other = await open()
  expect(await shapeOf(other, 7)).toEqual(small)
  const there = await other.queue(1).must(read(7, 800, 8), { receive: 4096 })
  expect(there.data.equals(Buffer.alloc(4096, 8)), 'in the same bytes').toBe(true)
  await daemon.reload(serving(NAMED))
  expect(await shapeOf(await open(), 6)).toEqual(large)
})
