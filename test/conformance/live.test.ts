/**
 * Changes while hosts are connected: namespaces, listeners, subsystems and hosts come and go, and hosts are
 * told by events, the changed namespace list and the discovery log.
 * NVMe Base 2.0, Asynchronous Event Request, Changed Namespace List; NVMe over Fabrics, Discovery.
 */
import { statSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import {
  DISCOVERY_NQN, asyncEventRequest, getFeatures, getLogPage, identify, keepAlive, read, setFeatures, write,
} from '../command-bytes.ts'
import {
  NQN, configuration, removeDirectory, startDaemon, temporaryDirectory, type Daemon, type DaemonConfig,
  type NamespaceConfig,
} from '../daemon.ts'
import type { Completion } from '../host-queue.ts'
import {
  CC_DISABLE, enable, openSession, setCc, someHost, tryConnect, waitForCsts, type Session,
} from '../host-session.ts'
import { Wire, closeWires } from '../host.ts'

const NAMESPACE_ATTRIBUTES = 1 << 8
const NAMESPACE_EVENT = 0x040002
const DISCOVERY_CHANGES = 0x80000000
const DISCOVERY_EVENT = 0x70f002
const MIB = 1 << 20

const folder = temporaryDirectory()
afterAll(() => removeDirectory(folder))

const ONE: NamespaceConfig = { nsid: 1, memory: '64M' }
const TWO: NamespaceConfig = { nsid: 2, memory: '16M' }

const serving = (...namespaces: NamespaceConfig[]): DaemonConfig =>
  configuration({ reactors: 2, subsystems: [{ nqn: NQN, hosts: 'any', namespaces }] })

let daemon: Daemon

beforeAll(async () => {
  daemon = await startDaemon(serving(ONE))
})
afterAll(() => daemon.stop())
afterEach(closeWires)

const open = (subnqn = NQN, queues = 1): Promise<Session> => openSession(daemon.endpoint, { subnqn }, queues)

const nsids = async ({ admin }: Session): Promise<number[]> => {
  const { data } = await admin.must(identify(2), { receive: 4096 })
  return Array.from({ length: 1024 }, (_, k) => data.readUInt32LE(4 * k)).filter((nsid) => nsid !== 0)
}
const changed = async ({ admin }: Session, rae = false): Promise<number[]> => {
  const { data } = await admin.must(getLogPage(4, 1024, 0, { rae }), { receive: 4096 })
  return Array.from({ length: 1024 }, (_, k) => data.readUInt32LE(4 * k)).filter((nsid) => nsid !== 0)
}
const blocks = async ({ admin }: Session, nsid: number): Promise<number> => {
  const { data } = await admin.must(identify(0, nsid), { receive: 4096 })
  return Number(data.readBigUInt64LE(0))
}
const hold = (at: Session): Promise<Completion> => at.admin.submit(asyncEventRequest(), { held: true })

describe('namespace events', () => {
  beforeEach(() => daemon.reload(serving(ONE)))

  test('AEN-04: a namespace that is added is told, and is there', async () => {
    const at = await open()
    await at.admin.must(setFeatures(0x0b, NAMESPACE_ATTRIBUTES))
    const event = hold(at)
    await daemon.reload(serving(ONE, TWO))
    expect((await event).dw0).toBe(NAMESPACE_EVENT)
    expect(await changed(at)).toEqual([2])
    expect(await changed(at), 'reading forgets').toEqual([])
    expect(await nsids(at)).toEqual([1, 2])
    await at.queue(1).must(write(2, 0, 1), { send: Buffer.alloc(512, 7) })
  })

  test('AEN-04 LIV-02: one that is removed is told, and later commands do not find it', async () => {
    await daemon.reload(serving(ONE, TWO))
    const at = await open()
    await at.admin.must(setFeatures(0x0b, NAMESPACE_ATTRIBUTES))
    const event = hold(at)
    await daemon.reload(serving(ONE))
    expect((await event).dw0).toBe(NAMESPACE_EVENT)
    expect(await changed(at)).toEqual([2])
    expect(await nsids(at)).toEqual([1])
    expect((await at.queue(1).submit(read(2, 0, 1), { receive: 512 })).status).toBe('0/0Bh')
    await at.queue(1).must(read(1, 0, 1), { receive: 512 })
  })

  test('AEN-04 LIV-02: another size is told, and Identify and the range know it', async () => {
    await daemon.reload(serving(ONE, TWO))
    const at = await open()
    await at.admin.must(setFeatures(0x0b, NAMESPACE_ATTRIBUTES))
    const event = hold(at)
    await daemon.reload(serving(ONE, { ...TWO, memory: '32M' }))
    expect((await event).dw0).toBe(NAMESPACE_EVENT)
    expect(await blocks(at, 2)).toBe(32 * MIB / 512)
    await at.queue(1).must(write(2, 32 * MIB / 512 - 1, 1), { send: Buffer.alloc(512, 7) })
    await daemon.reload(serving(ONE, { ...TWO, memory: '8M' }))
    expect(await blocks(at, 2)).toBe(8 * MIB / 512)
    expect((await at.queue(1).submit(read(2, 8 * MIB / 512, 1), { receive: 512 })).status).toBe('0/80h')
  })

  test('AEN-04: another one in its place is told as one that went, and one that came', async () => {
    await daemon.reload(serving(ONE, TWO))
    const at = await open()
    await at.admin.must(setFeatures(0x0b, NAMESPACE_ATTRIBUTES))
    const [went, came] = [hold(at), hold(at)]
    const reloaded = daemon.reload(serving(ONE, { nsid: 2, null: '1G' }))
    expect((await went).dw0).toBe(NAMESPACE_EVENT)
    expect(await nsids(at)).toEqual([1])
    expect(await changed(at)).toEqual([2])
    expect((await came).dw0).toBe(NAMESPACE_EVENT)
    expect(await nsids(at)).toEqual([1, 2])
    expect(await blocks(at, 2)).toBe(1024 * MIB / 512)
    await reloaded
  })

  test('AEN-05: masked unless feature 0Bh asks for it; the list knows all the same', async () => {
    const at = await open()
    expect((await at.admin.must(getFeatures(0x0b))).dw0).toBe(0)
    void hold(at)
    await daemon.reload(serving(ONE, TWO))
    await at.admin.must(keepAlive())
    expect(at.admin.outstanding.size).toBe(1)
    expect(await changed(at)).toEqual([2])
  })

  test('AEN-06: what happens while no request is there is told by the next one', async () => {
    const at = await open()
    await at.admin.must(setFeatures(0x0b, NAMESPACE_ATTRIBUTES))
    await daemon.reload(serving(ONE, TWO))
    await daemon.reload(serving(ONE))
    expect((await hold(at)).dw0).toBe(NAMESPACE_EVENT)
    void hold(at)
    await at.admin.must(keepAlive())
    expect(at.admin.outstanding.size, 'several are one').toBe(1)
    expect(await changed(at)).toEqual([2])
  })

  test('AEN-07: told once, until the list is read without RAE', async () => {
    const at = await open()
    await at.admin.must(setFeatures(0x0b, NAMESPACE_ATTRIBUTES))
    const first = hold(at)
    const second = hold(at)
    await daemon.reload(serving(ONE, TWO))
    await first
    await daemon.reload(serving(ONE))
    expect(await changed(at, true)).toEqual([2])
    await daemon.reload(serving(ONE, { ...TWO, nsid: 3 }))
    await at.admin.must(keepAlive())
    expect(at.admin.outstanding.size, 'RAE keeps it told').toBe(1)
    expect(await changed(at)).toEqual([2, 3])
    await daemon.reload(serving(ONE))
    expect((await second).dw0).toBe(NAMESPACE_EVENT)
    expect(await changed(at)).toEqual([3])
  })

  test('AEN-08: a reset of the controller forgets events, list and mask', async () => {
    const at = await open(NQN, 0)
    await at.admin.must(setFeatures(0x0b, NAMESPACE_ATTRIBUTES))
    await daemon.reload(serving(ONE, TWO))
    await setCc(at.admin, CC_DISABLE)
    await waitForCsts(at.admin, 1, 0)
    await enable(at.admin)
    void hold(at)
    await at.admin.must(keepAlive())
    expect(at.admin.outstanding.size).toBe(1)
    expect(await changed(at)).toEqual([])
    expect((await at.admin.must(getFeatures(0x0b))).dw0).toBe(0)
  })

  test('AEN-09: OAES and feature 0Bh agree', async () => {
    const at = await open()
    const { data } = await at.admin.must(identify(1), { receive: 4096 })
    const oaes = data.readUInt32LE(92)
    await at.admin.must(setFeatures(0x0b, (oaes | 0x3f) >>> 0))
    for (let bit = 8; bit < 32; bit += 1) {
      const mask = (1 << bit) >>> 0
      const { status } = await at.admin.submit(setFeatures(0x0b, mask))
      expect(status, `bit ${bit}`).toBe((oaes & mask) === 0 ? '0/02h' : '0/00h')
    }
  })
})

describe('what does not change', () => {
  test('LIV-01: a memory namespace keeps its content, its queues and its host', async () => {
    await daemon.reload(serving(ONE))
    const at = await open(NQN, 2)
    const data = Buffer.alloc(4096, 0x5a)
    await at.queue(1).must(write(1, 100, 8), { send: data })
    await daemon.reload(serving(ONE, TWO, { nsid: 3, null: '1G' }))
    await daemon.reload(serving({ ...ONE, memory: '128M' }, { nsid: 3, null: '2G' }))
    await daemon.reload(serving(ONE))
    expect((await at.queue(2).must(read(1, 100, 8), { receive: 4096 })).data.equals(data)).toBe(true)
    expect(at.admin.wire.hasEnded).toBe(false)
  })

  test('LIV-02: one that was cut off and comes back is zero', async () => {
    await daemon.reload(serving(ONE, TWO))
    const at = await open()
    const last = 16 * MIB / 512 - 1
    await at.queue(1).must(write(2, last, 1), { send: Buffer.alloc(512, 9) })
    await daemon.reload(serving(ONE, { ...TWO, memory: '4M' }))
    await daemon.reload(serving(ONE, TWO))
    expect((await at.queue(1).must(read(2, last, 1), { receive: 512 })).data.every((byte) => byte === 0)).toBe(true)
  })
})

test('LIV-01: files are opened, grow, shrink and move to another namespace', async () => {
  const file = join(folder, 'disk.img')
  const image = { file, size: '8M', block: 512 } as const
  await daemon.reload(serving(ONE, { nsid: 2, ...image }))
  const at = await open()
  const data = Buffer.alloc(512, 0x77)
  await at.queue(1).must(write(2, 8, 1), { send: data })
  await daemon.reload(serving(ONE, { nsid: 2, ...image, size: '16M' }))
  expect([statSync(file).size, await blocks(at, 2)]).toEqual([16 * MIB, 16 * MIB / 512])
  await at.queue(1).must(write(2, 16 * MIB / 512 - 1, 1), { send: data })
  await daemon.reload(serving(ONE, { nsid: 2, ...image, size: '4M' }))
  expect([statSync(file).size, await blocks(at, 2)]).toEqual([4 * MIB, 4 * MIB / 512])
  await daemon.reload(serving(ONE, { nsid: 5, ...image, size: '4M' }))
  expect(await nsids(at)).toEqual([1, 5])
  expect((await at.queue(1).must(read(5, 8, 1), { receive: 512 })).data.equals(data)).toBe(true)
  expect((await at.queue(1).submit(read(2, 8, 1), { receive: 512 })).status).toBe('0/0Bh')
  await daemon.reload(serving(ONE))
})

describe('hosts', () => {
  const [allowed, other] = [someHost('allowed'), someHost('other')]
  const only = (...hosts: string[]): DaemonConfig =>
    configuration({ reactors: 2, subsystems: [{ nqn: NQN, hosts, namespaces: [ONE] }] })

  test('LIV-03: hosts that may not connect any more lose their controllers; others keep theirs', async () => {
    await daemon.reload(serving(ONE))
    const [kept, ended] = await Promise.all([allowed, other].map((identity) =>
      openSession(daemon.endpoint, { subnqn: NQN, identity }, 2)))
    await daemon.reload(only(allowed.hostnqn))
    await Promise.all([ended!.admin, ...ended!.io].map(({ wire }) => wire.closed()))
    expect(ended!.admin.wire.brokenOff, 'in order').toBe(false)
    await kept!.queue(2).must(read(1, 0, 1), { receive: 512 })
    const wire = await Wire.initialized(daemon.endpoint)
    const { completion } = await tryConnect(wire, { subnqn: NQN, identity: other })
    expect(completion.status).toBe('1/84h')
    await daemon.reload(only(allowed.hostnqn, other.hostnqn))
    await openSession(daemon.endpoint, { subnqn: NQN, identity: other }, 1)
    await daemon.reload(serving(ONE))
  })
})

describe('subsystems and listeners', () => {
  const OTHER = 'nqn.2026-01.example:weft-other'
  const both: DaemonConfig = configuration({
    reactors: 2, subsystems: [
      { nqn: NQN, hosts: 'any', namespaces: [ONE] }, { nqn: OTHER, hosts: 'any', namespaces: [{ nsid: 1, memory: '4M' }] },
    ],
  })

  test('AEN-10: a discovery controller is told that its log is another one, whose GENCTR has grown', async () => {
    await daemon.reload(serving(ONE))
    const at = await openSession(daemon.endpoint, { subnqn: DISCOVERY_NQN })
    await at.admin.must(setFeatures(0x0b, DISCOVERY_CHANGES))
    const log = async (): Promise<[generation: number, entries: number]> => {
      const { data } = await at.admin.must(getLogPage(0x70, 256), { receive: 1024 })
      return [Number(data.readBigUInt64LE(0)), Number(data.readBigUInt64LE(8))]
    }
    const before = await log()
    const event = hold(at)
    await daemon.reload(both)
    expect((await event).dw0 >>> 0).toBe(DISCOVERY_EVENT)
    const [between, entries] = await log()
    expect([between > before[0], entries]).toEqual([true, before[1] + 1])
    const next = hold(at)
    await daemon.reload(serving(ONE))
    expect((await next).dw0 >>> 0).toBe(DISCOVERY_EVENT)
    const after = await log()
    expect([after[0] > between, after[1]]).toEqual([true, before[1]])
  })

  test('LIV-03: a subsystem that is removed ends its controllers in order; Connect is refused then', async () => {
    await daemon.reload(both)
    const [going, staying] = await Promise.all([OTHER, NQN].map((subnqn) => open(subnqn, 2)))
    await going!.queue(1).must(read(1, 0, 1), { receive: 512 })
    await daemon.reload(serving(ONE))
    await Promise.all([going!.admin, ...going!.io].map(({ wire }) => wire.closed()))
    expect(going!.admin.wire.brokenOff).toBe(false)
    await staying!.queue(2).must(read(1, 0, 1), { receive: 512 })
    const wire = await Wire.initialized(daemon.endpoint)
    expect((await tryConnect(wire, { subnqn: OTHER })).completion.status).toBe('1/82h')
    await daemon.reload(both)
    await open(OTHER)
    await daemon.reload(serving(ONE))
  })

  test('LIV-03: a listener that is added takes hosts; removed, it ends those that came by it, and no others', async () => {
    await daemon.reload(serving(ONE))
    const listening = daemon.listening.length
    const first = { address: '127.0.0.1', port: 0 }
    const second = { address: '127.0.0.2', port: 0 }
    await daemon.reload({ ...serving(ONE), listeners: [first, second] })
    const added = daemon.listening[listening]!
    expect(added.address).toBe('127.0.0.2')
    const there = await openSession(added, { subnqn: NQN }, 2)
    const here = await open(NQN, 2)
    await there.queue(1).must(read(1, 0, 1), { receive: 512 })
    const lines = await daemon.reload({ ...serving(ONE), listeners: [first] })
    expect(lines).toContain(`No longer listening on 127.0.0.2:${added.port}.`)
    await Promise.all([there.admin, ...there.io].map(({ wire }) => wire.closed()))
    expect(there.admin.wire.brokenOff).toBe(false)
    await here.queue(2).must(read(1, 0, 1), { receive: 512 })
    await expect(Wire.open(added)).rejects.toThrow('ECONNREFUSED')
  })
})

describe('a file that cannot be used', () => {
  beforeEach(() => daemon.reload(serving(ONE)))

  test('with mistakes names all of them, and nothing changes', async () => {
    const at = await open()
    const broken = serving({ nsid: 1 }, { nsid: 2, memory: 'much' })
    const lines = await daemon.reload(broken)
    expect(lines.filter((line) => /: 2 mistakes; nothing was changed\.$/.test(line))).toHaveLength(1)
    await daemon.line((line) => /namespaces\[1\].memory/.test(String(line['message'])), 'the second mistake')
    expect(await nsids(at)).toEqual([1])
    expect((await daemon.reload('{ no')).join()).toMatch(/nothing was changed/)
    await at.queue(1).must(read(1, 0, 1), { receive: 512 })
  })

  test('with something that cannot be opened gives back what was', async () => {
    const at = await open()
    const file = join(folder, 'new.img')
    const lines = await daemon.reload(serving(
      { ...ONE, memory: '128M' }, { nsid: 2, file, size: '4M' }, { nsid: 3, file: join(folder, 'missing') },
    ))
    expect(lines.join()).toMatch(/nothing was changed: .*missing does not exist/)
    expect([await nsids(at), await blocks(at, 1)]).toEqual([[1], 64 * MIB / 512])
    await daemon.reload(serving(ONE, { nsid: 4, file, size: '4M' }))
    expect(await nsids(at), 'it is not locked').toEqual([1, 4])
  })

  test('what takes a new start is said, and the rest is done', async () => {
    const lines = await daemon.reload({ ...serving(ONE, TWO), reactors: 1, limits: { queueDepth: 64 } })
    expect(lines.filter((line) => /takes effect when weft is started again/.test(line)).map((line) => line.split(' ')[0]))
      .toEqual(['reactors', 'limits.queueDepth'])
    expect(await nsids(await open())).toEqual([1, 2])
  })
})
