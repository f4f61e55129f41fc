/**
 * Discovery: the log page as hosts read it, entry by entry.
 * NVMe over Fabrics 1.1, Discovery Log Page and discovery controllers.
 *
 *   header 1024 B: 0 GENCTR (8) · 8 NUMREC (8) · 16 RECFMT (2)      entries of 1024 B follow
 *   entry: 0 TRTYPE · 1 ADRFAM · 2 SUBTYPE · 3 TREQ · 4 PORTID · 6 CNTLID · 8 ASQSZ · 10 EFLAGS
 *          32 TRSVCID (32) · 256 SUBNQN (256) · 512 TRADDR (256) · 768 TSAS
 *
 * Every listener has an address of its own in 127/8, by which the test tells them apart.
 */
import { networkInterfaces } from 'node:os'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import {
  DISCOVERY_NQN, flush, getLogPage, identify, keepAlive, read, sqe,
} from '../command-bytes.ts'
import { NQN, configuration, startDaemon, type Daemon } from '../daemon.ts'
import { openSession, someHost, type Identity, type Session } from '../host-session.ts'
import { closeWires, type Endpoint } from '../host.ts'

const OTHER_NQN = 'nqn.2026-01.example:other'
const PRIVATE_NQN = 'nqn.2026-01.example:private'
const LISTED_HOST = 'nqn.2026-01.example:listed'
const PLAIN = '127.0.0.1'
const DISCOVERY_ADDRESS = '127.0.0.2'
const REACHED = '127.0.0.9'
const LID = 0x70
const ENTRY_BYTES = 1024

const hasIpv6 = Object.values(networkInterfaces()).flat().some((one) => one?.address === '::1')

let daemon: Daemon

beforeAll(async () => {
  daemon = await startDaemon(configuration({
    listeners: [
      { address: PLAIN, port: 0 },
      { address: '0.0.0.0', port: 0 },
      ...(hasIpv6 ? [{ address: '::1', port: 0 }] : []),
    ],
    discovery: [{ address: DISCOVERY_ADDRESS, port: 0 }],
    subsystems: [
      { nqn: NQN, hosts: 'any', namespaces: [{ nsid: 1, memory: '8M' }] },
      { nqn: OTHER_NQN, hosts: 'any', namespaces: [{ nsid: 1, null: '1G' }] },
      { nqn: PRIVATE_NQN, hosts: [LISTED_HOST], namespaces: [{ nsid: 1, null: '1G' }] },
    ],
  }))
})
afterAll(() => daemon.stop())
afterEach(closeWires)

/** Where the listener of that configured address ended up. */
function listener(address: string): Endpoint {
  const found = daemon.listening.find((one) => one.address === address)
  if (found === undefined) throw new Error(`nothing listens on ${address}`)
  return found
}

const discovery = (): Endpoint => listener(DISCOVERY_ADDRESS)
const wildcard = (): Endpoint => ({ address: REACHED, port: listener('0.0.0.0').port })

const open = (endpoint: Endpoint, identity: Identity = someHost()): Promise<Session> =>
  openSession(endpoint, { subnqn: DISCOVERY_NQN, identity }, 0)

async function page(at: Session, bytes: number, lpo = 0): Promise<Buffer> {
  const command = getLogPage(LID, bytes / 4, lpo, { rae: true })
  return (await at.admin.must(command, { receive: bytes })).data
}

type Entry = {
  trtype: number
  adrfam: number
  subtype: number
  cntlid: number
  asqsz: number
  subnqn: string
  traddr: string
  trsvcid: string
  bytes: Buffer
}

const text = (bytes: Buffer): string => bytes.toString('latin1').replace(/[\0 ]+$/, '')

function entryOf(bytes: Buffer): Entry {
  return {
    trtype: bytes.readUInt8(0),
    adrfam: bytes.readUInt8(1),
    subtype: bytes.readUInt8(2),
    cntlid: bytes.readUInt16LE(6),
    asqsz: bytes.readUInt16LE(8),
    trsvcid: text(bytes.subarray(32, 64)),
    subnqn: text(bytes.subarray(256, 512)),
    traddr: text(bytes.subarray(512, 768)),
    bytes,
  }
}

/** The log read whole: what the header says, and its entries. */
async function log(at: Session): Promise<{ generation: number; entries: Entry[] }> {
  const header = await page(at, ENTRY_BYTES)
  const count = Number(header.readBigUInt64LE(8))
  const data = await page(at, ENTRY_BYTES * (count + 1))
  const entries = Array.from({ length: count }, (_, index) =>
    entryOf(data.subarray(ENTRY_BYTES * (index + 1), ENTRY_BYTES * (index + 2))))
  return { generation: Number(header.readBigUInt64LE(0)), entries }
}

const places = (entries: Entry[], subnqn: string): string[] =>
  entries.filter((entry) => entry.subnqn === subnqn)
    .map((entry) => `${entry.traddr} ${entry.trsvcid}`).sort()

test('DSC-01: header, alone and as its first 20 bytes', async () => {
  const at = await open(discovery())
  const header = await page(at, ENTRY_BYTES)
  expect(Number(header.readBigUInt64LE(8))).toBeGreaterThan(0)
  expect(header.readUInt16LE(16), 'RECFMT').toBe(0)
  expect((await page(at, 20)).equals(header.subarray(0, 20))).toBe(true)
})

describe('entries', () => {
  test('DSC-02: every subsystem on every listener', async () => {
    const { entries } = await log(await open(discovery()))
    const wanted = [
      `${PLAIN} ${listener(PLAIN).port}`,
      `${DISCOVERY_ADDRESS} ${wildcard().port}`,
      ...(hasIpv6 ? [`::1 ${listener('::1').port}`] : []),
    ].sort()
    expect(places(entries, NQN)).toEqual(wanted)
    expect(places(entries, OTHER_NQN)).toEqual(wanted)
  })

  test('DSC-02: the discovery service is the first', async () => {
    const { entries } = await log(await open(discovery()))
    const [first] = entries
    expect(first?.subtype).toBe(3)
    expect(first?.subnqn).toBe(DISCOVERY_NQN)
    expect(entries.filter((entry) => entry.subtype === 2).length).toBeGreaterThan(0)
    expect(first?.traddr).toBe(DISCOVERY_ADDRESS)
    expect(first?.trsvcid).toBe(String(discovery().port))
  })

  test('DSC-03: fields', async () => {
    const { entries } = await log(await open(discovery()))
    for (const entry of entries) {
      expect(entry.trtype, 'TCP').toBe(3)
      expect(entry.adrfam).toBe(entry.traddr.includes(':') ? 2 : 1)
      expect([2, 3]).toContain(entry.subtype)
      expect(entry.bytes.readUInt8(3) & 3, 'TREQ: no secure channel required').not.toBe(1)
      expect(entry.cntlid).toBe(0xffff)
      expect(entry.asqsz).toBeGreaterThanOrEqual(32)
      expect(entry.trsvcid).toMatch(/^[1-9][0-9]*$/)
      expect(entry.bytes.readUInt8(768), 'SECTYPE').toBe(0)
      expect(entry.bytes.readUInt8(256 + entry.subnqn.length), 'SUBNQN ends with NUL').toBe(0)
    }
  })

  test('DSC-03: what is listed can be connected to', async () => {
    const { entries } = await log(await open(discovery()))
    for (const entry of entries.filter((one) => one.subtype === 2)) {
      const endpoint = { address: entry.traddr, port: Number(entry.trsvcid) }
      const session = await openSession(endpoint, { subnqn: entry.subnqn })
      await session.queue(1).must(read(1, 0, 1), { receive: 512 })
    }
  })

  test('DSC-05: the address that the host reached, for a wildcard', async () => {
    const { entries } = await log(await open(wildcard()))
    expect(entries.some((entry) => entry.traddr === '0.0.0.0' || entry.traddr === '::')).toBe(false)
    expect(places(entries, NQN)).toContain(`${REACHED} ${wildcard().port}`)
    expect(places(entries, NQN)).toContain(`${PLAIN} ${listener(PLAIN).port}`)
  })
})

describe('reading', () => {
  test.each([4, 20, 1024, 4096])('DSC-04: pieces of %i bytes', async (pieceBytes) => {
    const at = await open(discovery())
    const header = await page(at, ENTRY_BYTES)
    const bytes = ENTRY_BYTES * (Number(header.readBigUInt64LE(8)) + 1)
    const whole = await page(at, bytes)
    const from = pieceBytes < 100 ? bytes - 1024 : 1024
    const parts: Buffer[] = []
    for (let lpo = from; lpo < bytes; lpo += pieceBytes) {
      parts.push(await page(at, Math.min(pieceBytes, bytes - lpo), lpo))
    }
    expect(Buffer.concat(parts).equals(whole.subarray(from))).toBe(true)
  })

  test('DSC-04: 4096 bytes at the last entry end with zeroes', async () => {
    const at = await open(discovery())
    const count = Number((await page(at, 16)).readBigUInt64LE(8))
    const tail = await page(at, 4096, ENTRY_BYTES * count)
    expect(tail.subarray(ENTRY_BYTES).every((byte) => byte === 0)).toBe(true)
    const beyond = getLogPage(LID, 1, ENTRY_BYTES * (count + 1) + 4)
    expect((await at.admin.submit(beyond, { receive: 4 })).status).toBe('0/02h')
  })

  test('DSC-07: GENCTR stays, for this host and for another', async () => {
    const one = await open(discovery())
    const { generation } = await log(one)
    const other = await open(wildcard())
    expect((await log(one)).generation).toBe(generation)
    const before = (await log(other)).generation
    await one.end()
    expect((await log(other)).generation).toBe(before)
  })
})

test('DSC-06: a private subsystem, to its host and to others', async () => {
  const others = await log(await open(discovery()))
  expect(places(others.entries, PRIVATE_NQN)).toEqual([])
  const identity = { ...someHost(), hostnqn: LISTED_HOST }
  const mine = await log(await open(discovery(), identity))
  expect(places(mine.entries, PRIVATE_NQN)).toEqual(places(mine.entries, NQN))
})

test('DSC-08: on the listener of a subsystem', async () => {
  const { entries } = await log(await open(listener(PLAIN)))
  expect(places(entries, NQN)).toContain(`${PLAIN} ${listener(PLAIN).port}`)
})

test('DSC-09: what a discovery controller does not do', async () => {
  const { admin } = await open(discovery())
  for (const opcode of [0x01, 0x0d, 0x80, 0xc0]) {
    expect((await admin.submit(sqe(opcode))).status).toBe('0/01h')
  }
  expect((await admin.submit(getLogPage(2, 128), { receive: 512 })).status).toBe('1/09h')
  expect((await admin.submit(flush(1))).status).toBe('0/01h')
  await admin.must(identify(1), { receive: 4096 })
  await admin.must(keepAlive())
})
