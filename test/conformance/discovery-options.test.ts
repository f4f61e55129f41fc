/**
 * Discovery: what a service may tell and be asked for besides the plain list.
 * NVMe Base 2.0, Discovery Log Page: referrals, extended and port local entries, unique NQN.
 *
 *   LSP 0 EXTDLPE · 1 PLEO · 2 ALLSUBE        header: 18 DLPF · 20 TDLPL
 *   extended entry: 1024 bytes, then 0 TEL (4) · 4 NUMEXAT (2) · 6 reserved (2)
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { DISCOVERY_NQN, getLogPage, identify } from '../command-bytes.ts'
import { NQN, configuration, startDaemon, type Daemon } from '../daemon.ts'
import { openSession, someHost, tryConnect, type Identity, type Session } from '../host-session.ts'
import { Wire, closeWires, type Endpoint } from '../host.ts'

const OWN_NQN = 'nqn.2026-01.example:discovery'
const REFERRED_NQN = 'nqn.2026-01.example:other-discovery'
const LISTED_HOST = 'nqn.2026-01.example:listed'
const ENTRY_BYTES = 1024

let daemon: Daemon

beforeAll(async () => {
  daemon = await startDaemon(configuration({
    listeners: [
      { address: '127.0.0.1', port: 0 }, { address: '127.0.0.1', port: 0 },
      { address: '127.0.0.3', port: 0 },
    ],
    discovery: { nqn: OWN_NQN, listeners: [{ address: '127.0.0.2', port: 0 }] },
    referrals: [
      { address: '192.0.2.7' }, { address: '2001:db8::7', port: 8010, subnqn: REFERRED_NQN },
      { address: '192.0.2.8', hosts: [LISTED_HOST] },
    ],
  }))
})
afterAll(() => daemon.stop())
afterEach(closeWires)

const discovery = (): Endpoint => daemon.listening.find((at) => at.address === '127.0.0.2')!

const open = (endpoint: Endpoint, identity: Identity = someHost()): Promise<Session> =>
  openSession(endpoint, { subnqn: DISCOVERY_NQN, identity }, 0)

/** The whole log. lsp: what is asked for. */
async function log(at: Session, lsp = 0): Promise<Buffer> {
  const read = async (bytes: number, lpo = 0): Promise<Buffer> => {
    const command = getLogPage(0x70, bytes / 4, lpo)
    command.writeUInt8(command.readUInt8(41) | lsp, 41)
    return (await at.admin.must(command, { receive: bytes })).data
  }
  return read((await read(ENTRY_BYTES)).readUInt32LE(20))
}

const text = (bytes: Buffer): string => bytes.toString('latin1').replace(/[\0 ]+$/, '')

type Entry = { subtype: number; nqn: string; place: string; family: number; bytes: Buffer }

function entries(data: Buffer, entryBytes = ENTRY_BYTES): Entry[] {
  return Array.from({ length: Number(data.readBigUInt64LE(8)) }, (_, index) => {
    const bytes = data.subarray(ENTRY_BYTES + entryBytes * index).subarray(0, entryBytes)
    const place = `${text(bytes.subarray(512, 768))} ${text(bytes.subarray(32, 64))}`
    return {
      subtype: bytes.readUInt8(2), nqn: text(bytes.subarray(256, 512)), place,
      family: bytes.readUInt8(1), bytes,
    }
  })
}

describe('referrals', () => {
  test('DSC-10: are listed with their address, port and name', async () => {
    const found = entries(await log(await open(discovery()))).filter((at) => at.subtype === 1)
    expect(found.map(({ nqn, place, family }) => [nqn, place, family])).toEqual([
      [DISCOVERY_NQN, '192.0.2.7 8009', 1], [REFERRED_NQN, '2001:db8::7 8010', 2],
    ])
    for (const { bytes } of found) {
      expect(bytes.readUInt16LE(6), 'CNTLID').toBe(0xffff)
      expect(bytes.readUInt16LE(8), 'ASQSZ').toBeGreaterThanOrEqual(32)
      expect(bytes.readUInt8(3), 'TREQ: not known').toBe(0)
    }
  })

  test('DSC-10: for a host that another referral is for', async () => {
    const at = await open(discovery(), { ...someHost(), hostnqn: LISTED_HOST })
    const found = entries(await log(at)).filter((entry) => entry.subtype === 1)
    expect(found.map((entry) => entry.place)).toContain('192.0.2.8 8009')
  })
})

describe('choices', () => {
  test('DSC-11: extended entries', async () => {
    const at = await open(discovery())
    const plain = await log(at)
    const data = await log(at, 1)
    const count = Number(data.readBigUInt64LE(8))
    expect([data.readUInt8(18), data.readUInt32LE(20)]).toEqual([1, data.length])
    expect(data.length).toBe(ENTRY_BYTES + count * 1032)
    for (const [index, { bytes }] of entries(data, 1032).entries()) {
      const same = plain.subarray(ENTRY_BYTES * (index + 1), ENTRY_BYTES * (index + 2))
      expect(bytes.subarray(0, ENTRY_BYTES).equals(same)).toBe(true)
      expect(bytes.toString('hex', 1024), 'TEL 1032, NUMEXAT 0').toBe('0804000000000000')
    }
    expect([plain.readUInt8(18), plain.readUInt32LE(20)]).toEqual([0, plain.length])
  })

  test('DSC-11: the label of a subsystem is an attribute of its entries', async () => {
    const labelled = await startDaemon(configuration({
      subsystems: [{ nqn: NQN, hosts: 'any', label: 'tape 7', namespaces: [{ nsid: 1, null: '1G' }] }],
    }))
    try {
      const data = await log(await open(labelled.endpoint), 1)
      const at = ENTRY_BYTES + 1032 + 1024
      expect([data.readUInt32LE(at), data.readUInt16LE(at + 4)], 'TEL, NUMEXAT').toEqual([1044, 1])
      expect([data.readUInt16LE(at + 8), data.readUInt16LE(at + 10)], 'type, length').toEqual([2, 8])
      expect(data.toString('latin1', at + 12)).toBe('tape 7  ')
    } finally {
      await labelled.stop()
    }
  })

  test('DSC-12: port local entries', async () => {
    const [one, two] = daemon.listening
    const data = await log(await open(one!), 2)
    expect(data.readUInt8(18)).toBe(2)
    expect(entries(data).map(({ subtype, place }) => `${subtype} ${place}`)).toEqual([
      `3 127.0.0.1 ${one!.port}`, `2 127.0.0.1 ${one!.port}`, `2 127.0.0.1 ${two!.port}`,
    ])
  })

  test('DSC-13: what may be chosen, and what is not there', async () => {
    const at = await open(discovery())
    const supported = (await at.admin.must(getLogPage(0, 256), { receive: 1024 })).data
    expect(supported.readUInt16LE(4 * 0x70 + 2)).toBe(3)
    // ALLSUBE is not among them: DLPF says that it was not heeded.
    expect((await log(at, 4)).readUInt8(18)).toBe(0)
  })
})

describe('a name of its own', () => {
  test('DSC-14: in the log and in Identify', async () => {
    const at = await open(discovery())
    const [first] = entries(await log(at))
    expect([first!.subtype, first!.nqn]).toEqual([3, OWN_NQN])
    const page = (await at.admin.must(identify(1), { receive: 4096 })).data
    expect(text(page.subarray(768, 1024))).toBe(OWN_NQN)
  })

  test('DSC-14: Connect', async () => {
    const wire = await Wire.initialized(discovery(), {})
    const { completion } = await tryConnect(wire, { subnqn: OWN_NQN })
    expect(completion.status).toBe('0/00h')
  })
})

test('DSC-15: an I/O queue of a controller that came in by another port', async () => {
  const io = await openSession(daemon.listening[0]!, { subnqn: NQN }, 1)
  const wire = await Wire.initialized(discovery(), {})
  const { completion } = await tryConnect(wire, io.ioWish(2))
  expect(completion.status).toBe('1/82h')
})

test('DSC-15: an I/O queue, of the discovery controller and of a subsystem', async () => {
  const at = await open(discovery())
  for (const [subnqn, status] of [[DISCOVERY_NQN, '1/82h'], [NQN, '1/82h']] as const) {
    const wire = await Wire.initialized(discovery(), {})
    const { completion } = await tryConnect(wire, at.ioWish(1, { subnqn }))
    expect(completion.status).toBe(status)
  }
})
