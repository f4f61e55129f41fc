/**
 * Namespaces that hosts create in a pool: Namespace Management, Namespace Attachment, and what Identify tells of them.
 * NVMe Base 2.0, Namespace Management, Namespace Attachment; NVM Command Set 1.0, Host Software Specified Fields.
 */
import { statSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { asyncEventRequest, getLogPage, identify, keepAlive, read, setFeatures, sqe, write } from '../command-bytes.ts'
import {
  NQN, configuration, removeDirectory, startDaemon, temporaryDirectory, type Daemon, type DaemonConfig,
} from '../daemon.ts'
import type { Completion } from '../host-queue.ts'
import { openSession, someHost, type Session } from '../host-session.ts'
import { closeWires } from '../host.ts'
import {
  BLOCKS, attach, capacity, cntlidOf, controllerList, controllers, create, deleteNamespace, detach, identified, listed,
  readable, remove, tryCreate, type Request,
} from '../namespace-bytes.ts'
import { keys, resvAcquire, resvRegister } from '../reservation-bytes.ts'

const MIB = 1 << 20
const POOL = 64 * MIB
const BESIDE = 4 * MIB
const PLAIN = 'nqn.2026-01.example:without-pool'
const STATIC = 'nqn.2026-01.example:static-pool'

const folder = temporaryDirectory()
afterAll(() => removeDirectory(folder))

const served = (): DaemonConfig => configuration({
  reactors: 2, state: join(folder, 'state'),
  subsystems: [
    { nqn: NQN, hosts: 'any', namespaces: [{ nsid: 1, memory: '4M' }], pool: { path: join(folder, 'pool'), size: '64M' } },
    { nqn: PLAIN, hosts: 'any', namespaces: [{ nsid: 1, memory: '4M' }] },
    { nqn: STATIC, hosts: 'any', namespaces: [], pool: { path: join(folder, 'static'), size: '16M' },
      controllers: 'static', minCntlid: 100, maxCntlid: 107 },
  ],
})

let daemon: Daemon

beforeAll(async () => { daemon = await startDaemon(served()) })
afterAll(() => daemon.stop())
/** Each test leaves an empty pool. */
afterEach(async () => {
  const at = await open()
  for (const nsid of await listed(at, 0x10)) if (nsid !== 1) await at.admin.must(deleteNamespace(nsid))
  closeWires()
})

const open = (identity = someHost(), subnqn = NQN, cntlid?: number): Promise<Session> =>
  openSession(daemon.endpoint, { subnqn, identity, ...(cntlid === undefined ? {} : { cntlid }) }, 1)

describe('what is announced', () => {
  test('POL-01: OACS bit 3, both commands and their effects, where there is a pool, and nowhere else', async () => {
    for (const [nqn, wanted] of [[NQN, 1], [PLAIN, 0]] as const) {
      const at = await open(someHost(), nqn)
      expect(((await identified(at, 1)).readUInt16LE(256) >>> 3) & 1).toBe(wanted)
      const { data } = await at.admin.must(getLogPage(5, 1024), { receive: 4096 })
      // CSUPP, and NIC: the inventory changes.
      expect([0x0d, 0x15].map((opcode) => data.readUInt32LE(4 * opcode))).toEqual(wanted === 1 ? [9, 9] : [0, 0])
    }
    const plain = await open(someHost(), PLAIN)
    expect((await tryCreate(plain, { nsze: 8 })).status).toBe('0/01h')
    expect(await capacity(plain)).toEqual([0, 0])
  })

  test('POL-02: TNVMCAP is all there is, UNVMCAP what no namespace has, NVMCAP what one has', async () => {
    const at = await open()
    expect(await capacity(at)).toEqual([POOL + BESIDE, POOL])
    // A block more than two granules takes three.
    const nsid = await create(at, { nsze: 2 * MIB / 512 + 1 })
    expect(await capacity(at)).toEqual([POOL + BESIDE, POOL - 3 * MIB])
    const data = await identified(at, 0x11, nsid)
    expect([data.readBigUInt64LE(0), data.readBigUInt64LE(8)]).toEqual([4097n, 4097n])
    expect(data.readBigUInt64LE(48)).toBe(BigInt(3 * MIB))
    expect(await remove(at, nsid)).toBe('0/00h')
    expect(await capacity(at)).toEqual([POOL + BESIDE, POOL])
  })

  test('POL-03: CNS 16h tells granules of 1 MiB, CNS 00h of NSID FFFFFFFFh the formats there are', async () => {
    const at = await open()
    const list = await identified(at, 0x16)
    expect([list.readUInt32LE(0), list[4], list.readBigUInt64LE(32), list.readBigUInt64LE(40)])
      .toEqual([0, 0, BigInt(MIB), BigInt(MIB)])
    const common = await identified(at, 0, 0xffff_ffff)
    expect([common.readBigUInt64LE(0), common[24], common[25]]).toEqual([0n, 0, 1])
    expect([common[130], common[134]]).toEqual([9, 12])
  })
})

describe('creation', () => {
  test('POL-04: the answer has the NSID, the namespace is allocated, and attached to nobody', async () => {
    const [at, other] = [await open(), await open()]
    const nsid = await create(at)
    expect(nsid).toBe(2)
    expect([await listed(at, 0x10), await listed(at, 2)]).toEqual([[1, 2], [1]])
    expect((await identified(other, 0x11, 2)).readBigUInt64LE(0)).toBe(BigInt(BLOCKS))
    expect((await identified(at, 0, 2)).every((byte) => byte === 0), 'inactive').toBe(true)
    expect((await at.admin.submit(identify(3, 2), { receive: 4096 })).status).toBe('0/0Bh')
    expect(await controllers(at, 2)).toEqual([])
    expect(await readable(at, 2)).toBe('0/0Bh')
  })

  test('POL-05: FLBAS chooses the format, NMIC whether it is shared, ANAGRPID the group', async () => {
    const at = await open()
    const nsid = await create(at, { nsze: 1024, flbas: 1, nmic: 0, anagrpid: 3 })
    expect(await attach(at, nsid, cntlidOf(at))).toBe('0/00h')
    const data = await identified(at, 0, nsid)
    expect([data.readBigUInt64LE(0), data[30], data.readUInt32LE(92)]).toEqual([1024n, 0, 3])
    const format = data[26]! & 0xf
    expect(data[128 + 4 * format + 2]).toBe(12)
    await at.queue(1).must(write(nsid, 1023, 1), { send: Buffer.alloc(4096, 9) })
    expect(((await identified(at, 1))[343]! >>> 7) & 1, 'ANACAP').toBe(1)
  })

  test.each<[string, Request, string]>([
    ['no blocks', { nsze: 0 }, '0/02h'],
    ['more capacity than size', { nsze: 8, ncap: 9 }, '0/02h'],
    ['less capacity than size: thin', { nsze: 4096, ncap: 2048 }, '1/1Bh'],
    ['a format that there is not', { nsze: 8, flbas: 2 }, '1/0Ah'],
    ['extended metadata', { nsze: 8, flbas: 0x10 }, '1/0Ah'],
    ['protection information', { nsze: 8, dps: 1 }, '1/0Ah'],
    ['a bit of NMIC that there is not', { nsze: 8, nmic: 3 }, '0/02h'],
    ['an ANA group that there is not', { nsze: 8, anagrpid: 129 }, '1/24h'],
    ['an NVM set', { nsze: 8, nvmsetid: 1 }, '0/02h'],
    ['an endurance group', { nsze: 8, endgid: 1 }, '0/02h'],
    ['more than the pool has', { nsze: POOL / 512 + 1 }, '1/15h'],
    ['more than a number can say', { nsze: 2n ** 64n - 1n }, '1/15h'],
  ])('POL-06: %s is refused, and nothing is created', async (_what, request, status) => {
    const at = await open()
    expect((await tryCreate(at, request)).status).toBe(status)
    expect([await listed(at, 0x10), await capacity(at)]).toEqual([[1], [POOL + BESIDE, POOL]])
  })

  test('POL-06: an NSID, another command set, another SEL and other lengths are refused', async () => {
    const at = await open()
    expect((await tryCreate(at, { nsze: 8 }, sqe(0x0d, 5, [0]))).status).toBe('0/02h')
    expect((await tryCreate(at, { nsze: 8 }, sqe(0x0d, 0, [0, 0x02000000]))).status).toBe('1/29h')
    expect((await tryCreate(at, { nsze: 8 }, sqe(0x0d, 0, [2]))).status).toBe('0/02h')
    expect((await at.admin.submit(sqe(0x0d, 0, [0]), { send: Buffer.alloc(2048) })).status).toBe('0/0Fh')
    expect((await at.admin.submit(sqe(0x15, 1, [2]), { send: controllerList(1) })).status).toBe('0/02h')
    expect(await listed(at, 0x10)).toEqual([1])
  })

  test('POL-07: all that UNVMCAP tells can be had in one piece, however namespaces came and went', async () => {
    const at = await open()
    const nsids: number[] = []
    for (let k = 0; k < 8; k++) nsids.push(await create(at))
    expect((await tryCreate(at, { nsze: 1 })).status).toBe('1/15h')
    for (const k of [1, 4, 6]) expect(await remove(at, nsids[k]!)).toBe('0/00h')
    const [, free] = await capacity(at)
    expect(free).toBe(24 * MIB)
    expect(await create(at, { nsze: free / 512 }), 'the lowest NSID that is free').toBe(nsids[1])
    expect((await capacity(at))[1]).toBe(0)
  })
})

describe('attachment', () => {
  test('POL-08: the controllers of the list have the namespace, and no other', async () => {
    const [one, two, three] = [await open(), await open(), await open()]
    const nsid = await create(one)
    expect(await attach(one, nsid, ...[cntlidOf(one), cntlidOf(two)].sort((a, b) => a - b))).toBe('0/00h')
    expect(await controllers(three, nsid)).toEqual([cntlidOf(one), cntlidOf(two)].sort((a, b) => a - b))
    await one.queue(1).must(write(nsid, 7, 1), { send: Buffer.alloc(512, 0x5a) })
    expect((await two.queue(1).must(read(nsid, 7, 1), { receive: 512 })).data).toEqual(Buffer.alloc(512, 0x5a))
    expect(await readable(three, nsid)).toBe('0/0Bh')
    expect([await listed(one, 2), await listed(three, 2), await listed(three, 0x10)]).toEqual([[1, nsid], [1], [1, nsid]])
    const { data } = await three.admin.must(getLogPage(0x0c, 256), { receive: 1024 })
    expect([data.readUInt16LE(8), data.readUInt32LE(20), data.readUInt32LE(48)], 'its ANA log').toEqual([1, 1, 1])
  })

  test('POL-09: detached, commands do not find it, and what began before is over', async () => {
    const [one, two] = [await open(), await open()]
    const nsid = await create(one)
    await attach(one, nsid, ...[cntlidOf(one), cntlidOf(two)].sort((a, b) => a - b))
    const pending = Array.from({ length: 16 }, (_, k) =>
      one.queue(1).submit(write(nsid, k, 1), { send: Buffer.alloc(512, k) }))
    expect(await detach(two, nsid, cntlidOf(one))).toBe('0/00h')
    for (const each of await Promise.all(pending)) expect(['0/00h', '0/0Bh']).toContain(each.status)
    expect(await readable(one, nsid)).toBe('0/0Bh')
    expect([await readable(two, nsid), await controllers(one, nsid)]).toEqual(['0/00h', [cntlidOf(two)]])
    expect((await one.admin.submit(identify(3, nsid), { receive: 4096 })).status).toBe('0/0Bh')
  })

  test('POL-10: attached already, not attached, lists that are none, and namespaces that there are not', async () => {
    const at = await open()
    const nsid = await create(at)
    const own = cntlidOf(at)
    expect(await detach(at, nsid, own)).toBe('1/1Ah')
    expect(await attach(at, nsid, own)).toBe('0/00h')
    expect(await attach(at, nsid, own)).toBe('1/18h')
    expect(await attach(at, 1, own), 'a configured one').toBe('1/18h')
    expect(await attach(at, nsid)).toBe('1/1Ch')
    expect(await detach(at, nsid, own, own)).toBe('1/1Ch')
    expect(await detach(at, nsid, own + 1, own)).toBe('1/1Ch')
    expect(await detach(at, nsid, 60_000)).toBe('1/1Ch')
    expect([await attach(at, 900, own), await attach(at, 0, own)]).toEqual(['0/0Bh', '0/0Bh'])
    expect(await attach(at, 0xffff_ffff, own)).toBe('0/02h')
    expect(await controllers(at, nsid), 'nothing of it was done').toEqual([own])
  })

  test('POL-11: a private namespace is attached to one controller at a time', async () => {
    const host = someHost()
    const [one, two, other] = [await open(host), await open(host), await open()]
    const nsid = await create(one, { nmic: 0 })
    const all = [one, two, other].map(cntlidOf).sort((a, b) => a - b)
    expect(await attach(one, nsid, ...all)).toBe('1/19h')
    expect(await attach(one, nsid, cntlidOf(one))).toBe('0/00h')
    expect([await attach(two, nsid, cntlidOf(two)), await attach(one, nsid, cntlidOf(other))]).toEqual(['1/19h', '1/19h'])
    const late = await open(host)
    expect(await controllers(one, nsid), 'not a new one of the same host either').toEqual([cntlidOf(one)])
    expect(await readable(late, nsid)).toBe('0/0Bh')
    expect(await detach(other, nsid, cntlidOf(one))).toBe('0/00h')
    expect(await attach(other, nsid, cntlidOf(other))).toBe('0/00h')
    expect(await controllers(other, nsid)).toEqual([cntlidOf(other)])
  })

  test('POL-12: with the dynamic model a host keeps what it has: its next controller begins with it', async () => {
    const host = someHost()
    const [first, stranger] = [await open(host), await open()]
    const nsid = await create(first)
    await attach(first, nsid, cntlidOf(first))
    const second = await open(host)
    expect(await readable(second, nsid), 'a controller of the same host').toBe('0/00h')
    expect(await detach(second, nsid, cntlidOf(first))).toBe('0/00h')
    expect([await readable(first, nsid), await readable(second, nsid)]).toEqual(['0/0Bh', '0/00h'])
    await first.end()
    const third = await open(host)
    expect(await readable(third, nsid)).toBe('0/00h')
    await detach(stranger, nsid, ...[cntlidOf(second), cntlidOf(third)].sort((a, b) => a - b))
    expect(await readable(await open(host), nsid), 'no controller of the host has it any more').toBe('0/0Bh')
    expect(await readable(stranger, nsid)).toBe('0/0Bh')
  })

  test('POL-12: one that is configured is attached to all until it is detached', async () => {
    const host = someHost()
    const [at, stranger] = [await open(host), await open()]
    expect(await detach(stranger, 1, cntlidOf(at))).toBe('0/00h')
    expect([await readable(at, 1), await readable(stranger, 1)]).toEqual(['0/0Bh', '0/00h'])
    expect(await readable(await open(host), 1)).toBe('0/0Bh')
    expect(await attach(at, 1, cntlidOf(at))).toBe('0/00h')
    expect(await readable(await open(host), 1)).toBe('0/00h')
  })

  test('POL-13: with the static model a controller keeps what it has, whoever uses it', async () => {
    const at = await open(someHost(), STATIC, 100)
    const nsid = await create(at)
    expect(await attach(at, nsid, 100, 103)).toBe('0/00h')
    expect(await attach(at, nsid, 108)).toBe('1/1Ch')
    await at.end()
    const [same, other] = [await open(someHost(), STATIC, 103), await open(someHost(), STATIC, 104)]
    expect([await readable(same, nsid), await readable(other, nsid)]).toEqual(['0/00h', '0/0Bh'])
    expect(await controllers(other, nsid)).toEqual([103])
    expect(await remove(other, nsid)).toBe('0/00h')
  })
})

describe('events', () => {
  const ATTRIBUTES = 0x100
  const EVENT = 0x040002
  const changed = async ({ admin }: Session): Promise<number[]> => {
    const { data } = await admin.must(getLogPage(4, 1024), { receive: 4096 })
    return Array.from({ length: 1024 }, (_, k) => data.readUInt32LE(4 * k)).filter((nsid) => nsid !== 0)
  }
  const listening = async (at: Session): Promise<{ event: Promise<Completion> }> => {
    await at.admin.must(setFeatures(0x0b, ATTRIBUTES))
    return { event: at.admin.submit(asyncEventRequest(), { held: true }) }
  }

  test('POL-14: controllers that get or lose a namespace are told, those that do not are not', async () => {
    const [one, two, three] = [await open(), await open(), await open()]
    const told = [await listening(one), await listening(two), await listening(three)]
    void told[2]
    const nsid = await create(one)
    await attach(one, nsid, ...[cntlidOf(one), cntlidOf(two)].sort((a, b) => a - b))
    expect((await told[1]!.event).dw0).toBe(EVENT)
    expect(await changed(two)).toEqual([nsid])
    const again = await listening(two)
    expect(await remove(one, nsid)).toBe('0/00h')
    expect((await again.event).dw0).toBe(EVENT)
    expect(await changed(two)).toEqual([nsid])
    await three.admin.must(keepAlive())
    expect([one.admin.outstanding.size, three.admin.outstanding.size], 'who asked, and who has nothing to do with it')
      .toEqual([1, 1])
    expect([await changed(one), await changed(three)]).toEqual([[], []])
  })
})

describe('deletion', () => {
  test('POL-15: the namespace is gone for all, with I/O under way, and its blocks are not seen again', async () => {
    const at = await open()
    const nsid = await create(at, { nsze: POOL / 512 })
    await attach(at, nsid, cntlidOf(at))
    const secret = Buffer.alloc(4096, 0xee)
    const pending = Array.from({ length: 32 }, (_, k) => at.queue(1).submit(write(nsid, 8 * k, 8), { send: secret }))
    expect(await remove(at, nsid)).toBe('0/00h')
    for (const each of await Promise.all(pending)) expect(['0/00h', '0/0Bh']).toContain(each.status)
    expect([await readable(at, nsid), await listed(at, 0x10)]).toEqual(['0/0Bh', [1]])
    expect(await remove(at, nsid)).toBe('0/0Bh')
    const next = await create(at, { nsze: POOL / 512 })
    await attach(at, next, cntlidOf(at))
    for (let k = 0; k < 32; k++) {
      const { data } = await at.queue(1).must(read(next, 8 * k, 8), { receive: 4096 })
      expect(data.every((byte) => byte === 0)).toBe(true)
    }
    expect(statSync(join(folder, 'pool')).size).toBeGreaterThanOrEqual(POOL)
  })

  test('POL-16: FFFFFFFFh deletes all, where hosts created all; configured ones are not theirs to delete', async () => {
    const at = await open()
    await create(at)
    expect([await remove(at, 1), await remove(at, 0xffff_ffff)]).toEqual(['0/15h', '0/15h'])
    expect(await listed(at, 0x10)).toEqual([1, 2])
    const fixed = await open(someHost(), STATIC, 105)
    await create(fixed, { nsze: 8 })
    await create(fixed, { nsze: 8 })
    expect(await remove(fixed, 0xffff_ffff)).toBe('0/00h')
    expect(await listed(fixed, 0x10)).toEqual([])
  })

  test('POL-17: a reservation of another host forbids deleting, attaching and detaching', async () => {
    const [holder, other] = [await open(), await open()]
    const nsid = await create(holder)
    await attach(holder, nsid, ...[cntlidOf(holder), cntlidOf(other)].sort((a, b) => a - b))
    await holder.queue(1).must(resvRegister(nsid, 0), { send: keys(0n, 7n) })
    await holder.queue(1).must(resvAcquire(nsid, 0, 1), { send: keys(7n, 0n) })
    expect(await remove(other, nsid)).toBe('0/83h')
    expect(await detach(other, nsid, cntlidOf(holder))).toBe('0/83h')
    expect(await remove(holder, nsid)).toBe('0/00h')
    const next = await create(other)
    expect(next).toBe(nsid)
    expect(await remove(other, next), 'the next one has none').toBe('0/00h')
  })

  test('POL-18: a namespace that is write protected is not deleted', async () => {
    const at = await open()
    const nsid = await create(at)
    await attach(at, nsid, cntlidOf(at))
    const protect = (state: number): Buffer => sqe(0x09, nsid, [0x84, state])
    await at.admin.must(protect(1))
    expect(await remove(at, nsid)).toBe('0/20h')
    await at.admin.must(protect(0))
    expect(await remove(at, nsid)).toBe('0/00h')
  })
})

describe('restarts', () => {
  test('POL-19: namespaces, their data and who has them survive a kill of the daemon', async () => {
    const [host, other] = [someHost(), someHost()]
    const at = await open(host)
    const nsid = await create(at)
    await attach(at, nsid, cntlidOf(at))
    const gone = await create(at)
    await at.queue(1).must(write(nsid, 3, 1, 0x40000000), { send: Buffer.alloc(512, 0x77) })
    const before = await identified(at, 3, nsid)
    expect(await remove(at, gone)).toBe('0/00h')
    const [total, free] = await capacity(at)
    await daemon.kill()
    daemon = await startDaemon(served())
    const [again, stranger] = [await open(host), await open(other)]
    expect([await listed(again, 2), await listed(stranger, 2), await listed(stranger, 0x10)])
      .toEqual([[1, nsid], [1], [1, nsid]])
    expect((await again.queue(1).must(read(nsid, 3, 1), { receive: 512 })).data).toEqual(Buffer.alloc(512, 0x77))
    expect(await identified(again, 3, nsid), 'the same UUID and NGUID').toEqual(before)
    expect(await capacity(again)).toEqual([total, free])
  })

  test('POL-19: a reload leaves them as they are, and says so of a pool that it cannot change', async () => {
    const at = await open()
    const nsid = await create(at)
    const next = served()
    next.subsystems![0]!.pool = { path: join(folder, 'pool'), size: '128M' }
    expect((await daemon.reload(next)).join('\n')).toMatch(/pool of .* takes effect when weft is started again/)
    expect([await listed(at, 0x10), (await capacity(at))[0]]).toEqual([[1, nsid], POOL + BESIDE])
    next.subsystems![0]!.namespaces.push({ nsid, memory: '4M' })
    expect((await daemon.reload(next)).join('\n')).toMatch(/nothing was changed: A host created namespace 2 /)
    await daemon.reload(served())
    expect(await listed(at, 0x10)).toEqual([1, nsid])
  })
})
