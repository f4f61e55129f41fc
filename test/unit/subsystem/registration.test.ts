/** Registrations: what may be registered, what becomes of it, and when it goes. */
import { describe, expect, test } from 'vitest'
import { Registrations, type Registrant } from '../../../src/subsystem/registration.ts'
import type { RegisteredEntry, TargetSnapshot } from '../../../src/subsystem/subsystem.ts'
import {
  information, informationEntry as entry, type EntryFields, type HeaderFields,
} from '../../information-bytes.ts'

const [REGISTER, DEREGISTER, UPDATE] = [0, 1, 2]
const HOST = 'nqn.2026-01.example:registrant'
const INVALID_FIELD = 0x4002
const INVALID_INFORMATION = 0x412f
const NO_ROOM = 0x4132

function rig() {
  let target: TargetSnapshot = {
    generation: 1, firmware: '', subsystems: [],
    discovery: { referrals: [], registered: [], ports: [] },
  }
  let published = 0
  const said: string[] = []
  const registrations = new Registrations(async (next) => {
    target = next(target)
    published++
  }, (sentence) => said.push(sentence))
  const association = { hostNqn: HOST, address: '192.0.2.20:51234', keepAliveMs: 30_000 }
  const manage = (task: number, data: Buffer, more: Partial<Registrant> | null = null): Promise<number> =>
    registrations.manage(task, data, more === null ? association : { ...association, ...more })
  const registered = (): readonly RegisteredEntry[] => target.discovery.registered
  const names = (): string[] => registered().map(({ base }) =>
    Buffer.from(base).toString('latin1', 256, 512).replace(/\0+$/, '').replace(/^.*:/, ''))
  return {
    registrations, association, manage, registered, names, said, published: () => published,
  }
}

const named = (name: string, more: EntryFields = {}): Buffer =>
  entry({ subnqn: `nqn.2026-01.example:${name}`, ...more })
const told = (...entries: Buffer[]): Buffer => information({}, ...entries)

describe('tasks', () => {
  test('register adds, update replaces, deregister takes out; a publication each', async () => {
    const { manage, names, registered, published, said } = rig()
    expect(await manage(REGISTER, information({ ename: 'rack 7' }, named('a'), named('b')))).toBe(0)
    expect(await manage(REGISTER, told(named('c')))).toBe(0)
    expect(names()).toEqual(['a', 'b', 'c'])
    expect(await manage(UPDATE, told(named('b', { asqsz: 128 })))).toBe(0)
    expect(names()).toEqual(['a', 'b', 'c'])
    expect(Buffer.from(registered()[1]!.base).readUInt16LE(8)).toBe(128)
    expect(await manage(DEREGISTER, told(named('a')))).toBe(0)
    expect(names()).toEqual(['b', 'c'])
    expect(await manage(DEREGISTER, told())).toBe(0)
    expect(names()).toEqual([])
    expect(published()).toBe(5)
    expect(said[0]).toBe(`${HOST} (rack 7) at 192.0.2.20 registered: 2 entries now.`)
    expect(said[3]).toBe(`${HOST} at 192.0.2.20 deregistered: 2 entries now.`)
  })

  test('an update of what is not there changes nothing', async () => {
    const { manage, names } = rig()
    await manage(REGISTER, told(named('a')))
    const data = told(named('a', { asqsz: 128 }), named('b'))
    expect(await manage(UPDATE, data)).toBe(INVALID_INFORMATION)
    expect(names()).toEqual(['a'])
  })

  test('an entry is known by transport, address, port and name', async () => {
    const { manage, registered } = rig()
    await manage(REGISTER, told(
      named('a'), named('a', { trsvcid: '4421' }), named('a', { traddr: '192.0.2.21' }),
      named('a', { trtype: 1 }), named('a', { asqsz: 64 }),
    ))
    expect(registered()).toHaveLength(4)
  })

  test.each([3, 15])('task %i is none', async (task) => {
    expect(await rig().manage(task, told(named('a')))).toBe(INVALID_FIELD)
  })
})

describe('what belongs to whom', () => {
  test('hosts do not change what others registered', async () => {
    const { manage, names } = rig()
    await manage(REGISTER, told(named('a')))
    expect(await manage(DEREGISTER, told(), { hostNqn: 'nqn.other' })).toBe(0)
    expect(names()).toEqual(['a'])
  })

  test('a host speaks for itself only, and is not a subsystem', async () => {
    const { manage, registered } = rig()
    const itself: HeaderFields = { etype: 1, entfmt: 2 }
    const host = entry({
      subtype: 0, asqsz: 0, trsvcid: '', traddr: '', subnqn: HOST, attributes: [[1, 'x'.repeat(16)]],
    })
    expect(await manage(REGISTER, information({ ...itself, eid: 'nqn.x' }, host))).toBe(INVALID_INFORMATION)
    expect(await manage(REGISTER, information(itself, host))).toBe(0)
    expect(registered()).toMatchObject([{ kind: 'host', entity: HOST, attributeCount: 1 }])
    const address = Buffer.from(registered()[0]!.base).toString('latin1', 512, 768)
    expect(address).toBe('192.0.2.20'.padEnd(256))
  })

  test.each([
    ['[2001:db8::20]:51234', '2001:db8::20'], ['[fe80::20%eth0]:51234', 'fe80::20'],
  ])('from %s an entry without an address is at %s', async (address, traddr) => {
    const { manage, registered } = rig()
    expect(await manage(REGISTER, told(named('a', { adrfam: 2, traddr: '' })), { address })).toBe(0)
    expect(Buffer.from(registered()[0]!.base).toString('latin1', 512, 768).trimEnd()).toBe(traddr)
  })

  test('what somebody who stays registered goes with the connection', async () => {
    const { manage, names, registrations, association } = rig()
    await manage(REGISTER, told(named('a')))
    await registrations.forget({ ...association })
    expect(names()).toEqual(['a'])
    await registrations.forget(association)
    expect(names()).toEqual([])
  })

  test('without a keep-alive time it stays', async () => {
    const { manage, names, registrations, association } = rig()
    await manage(REGISTER, told(named('a')), { keepAliveMs: 0 })
    await registrations.forget(association)
    expect(names()).toEqual(['a'])
  })

  test('what two of one name registered goes with each of them', async () => {
    const { manage, names, registrations, association } = rig()
    await manage(REGISTER, told(named('a')))
    await manage(REGISTER, told(named('b')), {})
    await registrations.forget(association)
    expect(names()).toEqual(['b'])
  })

  test('a host that is a target too registers both', async () => {
    const { manage, registered } = rig()
    await manage(REGISTER, information({ eid: HOST }, named('a')))
    const host = entry({ subtype: 0, trsvcid: '', subnqn: HOST })
    await manage(REGISTER, information({ etype: 1, eid: HOST }, host))
    expect(registered().map(({ kind }) => kind)).toEqual(['subsystem', 'host'])
  })

  test('who comes back and registers again keeps it when the old connection goes', async () => {
    const { manage, names, registrations, association } = rig()
    await manage(REGISTER, told(named('a')))
    await manage(REGISTER, told(named('a')), {})
    await registrations.forget(association)
    expect(names()).toEqual(['a'])
  })
})

describe('headers', () => {
  test.each<[string, HeaderFields]>([
    ['TDL beyond the data', { tdl: 2049 }], ['TDL shorter than the header', { tdl: 1023 }],
    ['NUMENT beyond TDL', { nument: 2 }], ['NUMENT 2^53', { nument: 0xffff_ffff }],
    ['ENTFMT 0', { entfmt: 0 }], ['ENTFMT 3', { entfmt: 3 }],
    ['ENTFMT 2, with basic entries', { entfmt: 2 }], ['ETYPE 0', { etype: 0 }],
    ['ETYPE 4', { etype: 4 }], ['EKTYPE 0', { ektype: 0 }], ['no EID', { eid: '' }],
    ['an EID of 224 bytes', { eid: 'n'.repeat(224) }],
  ])('%s', async (_what, header) => {
    const { manage, published } = rig()
    expect(await manage(REGISTER, information(header, entry()))).toBe(INVALID_FIELD)
    expect(published()).toBe(0)
  })

  test('nothing to register', async () => {
    expect(await rig().manage(REGISTER, told())).toBe(INVALID_FIELD)
  })

  test('less than a header', async () => {
    expect(await rig().manage(REGISTER, Buffer.alloc(1020))).toBe(0x400f)
  })
})

describe('entries', () => {
  test.each<[string, EntryFields]>([
    ['of a transport without numeric addresses', { trtype: 2 }],
    ['at a name', { traddr: 'example.com' }], ['of another family', { adrfam: 2 }],
    ['without a port', { trsvcid: '' }], ['with a port too high', { trsvcid: '65536' }],
    ['with a port that is no number', { trsvcid: '44x' }], ['without a name', { subnqn: '' }],
    ['with an admin queue too small', { asqsz: 31 }], ['of no type', { subtype: 0 }],
    ['of an unknown type', { subtype: 4 }],
  ])('%s', async (_what, fields) => {
    const { manage, published } = rig()
    expect(await manage(REGISTER, told(entry(), entry(fields)))).toBe(INVALID_INFORMATION)
    expect(published()).toBe(0)
  })

  test('padded with NULs come out padded with spaces', async () => {
    const { manage, registered } = rig()
    const bytes = entry()
    for (const field of [bytes.subarray(32, 64), bytes.subarray(512, 768)]) {
      for (const [at, byte] of field.entries()) if (byte === 0x20) field[at] = 0
    }
    expect(await manage(REGISTER, told(bytes))).toBe(0)
    const base = Buffer.from(registered()[0]!.base)
    expect(base.toString('latin1', 32, 64)).toBe('4420'.padEnd(32))
    expect(base.toString('latin1', 512, 768)).toBe('192.0.2.20'.padEnd(256))
  })

  test('the discovery service of another is referred to, and tells something else', async () => {
    const { manage, registered } = rig()
    await manage(REGISTER, told(entry({ subtype: 3, eflags: 3 })))
    const base = Buffer.from(registered()[0]!.base)
    expect([base[2], base.readUInt16LE(10)]).toEqual([1, 2])
  })

  test('attributes are kept as they are', async () => {
    const { manage, registered } = rig()
    const bytes = entry({ attributes: [[2, 'shelf 12'], [3, 'room']] })
    expect(await manage(REGISTER, information({ entfmt: 2 }, bytes))).toBe(0)
    expect(registered()[0]).toMatchObject({ attributeCount: 2 })
    expect(Buffer.from(registered()[0]!.attributes).equals(bytes.subarray(1032))).toBe(true)
  })

  test.each<[string, (bytes: Buffer) => void]>([
    ['TEL and an attribute beyond the data', (bytes) => {
      bytes.writeUInt32LE(1052, 1024)
      bytes.writeUInt16LE(2, 1028)
    }],
    ['TEL shorter than the entry', (bytes) => { bytes.writeUInt32LE(1028, 1024) }],
    ['TEL longer than the attributes', (bytes) => { bytes.writeUInt16LE(0, 1028) }],
    ['more attributes than there are', (bytes) => { bytes.writeUInt16LE(2, 1028) }],
    ['an attribute of 0 bytes', (bytes) => { bytes.writeUInt16LE(0, 1034) }],
    ['an attribute that is no multiple of 4', (bytes) => { bytes.writeUInt16LE(7, 1034) }],
    ['an attribute beyond the entry', (bytes) => { bytes.writeUInt16LE(12, 1034) }],
  ])('%s', async (_what, spoil) => {
    const bytes = entry({ attributes: [[2, 'shelf 12']] })
    expect(bytes.length).toBe(1044)
    spoil(bytes)
    expect(await rig().manage(REGISTER, information({ entfmt: 2 }, bytes))).toBe(INVALID_INFORMATION)
  })
})

test('512 entries of one, 4096 of all', async () => {
  const { manage, registered } = rig()
  const many = (count: number): Buffer =>
    told(...Array.from({ length: count }, (_, at) => named(`many-${at}`)))
  expect(await manage(REGISTER, many(513))).toBe(NO_ROOM)
  const full = many(512)
  for (let host = 0; host < 8; host++) {
    expect(await manage(REGISTER, full, { hostNqn: `nqn.${host}` })).toBe(0)
  }
  expect(registered()).toHaveLength(4096)
  expect(await manage(REGISTER, told(named('one')), { hostNqn: 'nqn.8' })).toBe(NO_ROOM)
  expect(await manage(REGISTER, full, { hostNqn: 'nqn.7' }), 'the same again').toBe(0)
})
