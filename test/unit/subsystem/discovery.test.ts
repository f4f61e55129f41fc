/**
 * Discovery log: who sees what, at which address, and the bytes of one entry.
 */
import { describe, expect, test } from 'vitest'
import {
  discoveryLog, logDiffers, nextGeneration, portsWith, type DiscoveryWish,
} from '../../../src/subsystem/discovery.ts'
import {
  ANY_CONTROLLER, type DiscoverySnapshot, type Endpoint, type RegisteredEntry, type SubsystemSnapshot,
  type TargetSnapshot,
} from '../../../src/subsystem/subsystem.ts'

const DISCOVERY = 'nqn.2014-08.org.nvmexpress.discovery'
const HOST = 'nqn.2014-08.org.nvmexpress:uuid:00000000-0000-0000-0000-000000000001'
const REACHED: Endpoint = { address: '192.0.2.5', port: 8009 }

const on = (address: string, port = 4420): Endpoint => ({ address, port })

const subsystem = (
  nqn: string, endpoints: readonly Endpoint[], hosts: readonly string[] | null = null,
  kind: SubsystemSnapshot['kind'] = 'nvm',
): SubsystemSnapshot => ({
  nqn, kind, endpoints, hosts, serial: 'S', model: 'M', namespaces: [], mdtsBytes: 1 << 20,
  inCapsuleBytes: 0, queueDepthMax: 128, ioQueuesMax: 8, controllers: ANY_CONTROLLER, paths: [],
})

const target = (...nvm: SubsystemSnapshot[]): TargetSnapshot => {
  const service = subsystem(DISCOVERY, [on('0.0.0.0', 8009)], null, 'discovery')
  const subsystems = [service, ...nvm]
  return {
    generation: 0x1_0000_0002, firmware: '0.1.0', subsystems,
    discovery: { referrals: [], registered: [], ports: portsWith([], subsystems) },
  }
}

/** With what else the discovery service tells. */
const telling = (
  changes: Partial<DiscoverySnapshot>, ...nvm: SubsystemSnapshot[]
): TargetSnapshot => {
  const plain = target(...nvm)
  return { ...plain, discovery: { ...plain.discovery, ...changes } }
}

const PLAIN: DiscoveryWish = { extended: false, portLocal: false }

const logOf = (
  told: TargetSnapshot, host = HOST, reached = REACHED, wish: Partial<DiscoveryWish> = {},
): Buffer => Buffer.from(discoveryLog(told, host, reached, { ...PLAIN, ...wish }).buffer)

type Listed = { subtype: number; nqn: string; address: string; port: string; family: number }

/** Decoded by hand, at the offsets of the specification. */
function listed(data: Buffer): Listed[] {
  expect(data.length).toBe(1024 * (1 + Number(data.readBigUInt64LE(8))))
  return Array.from({ length: data.length / 1024 - 1 }, (_, index) => {
    const entry = data.subarray(1024 * (index + 1), 1024 * (index + 2))
    const text = (from: number, to: number): string =>
      entry.toString('latin1', from, to).replace(/[ \0]+$/, '')
    return {
      subtype: entry[2]!, nqn: text(256, 512), address: text(512, 768), port: text(32, 64),
      family: entry[1]!,
    }
  })
}

const addresses = (endpoints: readonly Endpoint[], reached = REACHED): string[] =>
  listed(logOf(target(subsystem('nqn.a', endpoints)), HOST, reached)).slice(1)
    .map((entry) => `${entry.address} ${entry.port}`)

test('the header', () => {
  const data = logOf(target(subsystem('nqn.a', [on('0.0.0.0')])))
  expect(data.length).toBe(3 * 1024)
  expect(data.toString('hex', 0, 24)).toBe(
    '0200000001000000' + '0200000000000000' + '0000' + '0000' + '000c0000')
  expect(data.subarray(24, 1024).every((byte) => byte === 0)).toBe(true)
})

test('the first entry is the discovery subsystem, at the address that was reached', () => {
  const data = logOf(target())
  expect(data.length).toBe(2048)
  const entry = data.subarray(1024)
  expect(entry.toString('hex', 0, 12)).toBe('03010304' + '0100' + 'ffff' + '2000' + '0300')
  expect(entry.toString('latin1', 32, 64)).toBe('8009'.padEnd(32))
  expect(entry.toString('latin1', 256, 512)).toBe(DISCOVERY.padEnd(256, '\0'))
  expect(entry.toString('latin1', 512, 768)).toBe('192.0.2.5'.padEnd(256))
  expect(entry.subarray(768).every((byte) => byte === 0), 'no TLS').toBe(true)
  expect(entry.subarray(12, 32).every((byte) => byte === 0)).toBe(true)
  expect(entry.subarray(64, 256).every((byte) => byte === 0)).toBe(true)
})

test('an NVM subsystem', () => {
  const data = logOf(target(subsystem('nqn.a', [on('0.0.0.0')])))
  const entry = data.subarray(2048)
  expect(entry.toString('hex', 0, 12)).toBe('03010204' + '0200' + 'ffff' + '2000' + '0000')
  expect(listed(data)[1]).toEqual({
    subtype: 2, nqn: 'nqn.a', address: '192.0.2.5', port: '4420', family: 1,
  })
})

describe('who may see what', () => {
  const some = target(
    subsystem('nqn.open', [on('192.0.2.5')]), subsystem('nqn.mine', [on('192.0.2.5')], [HOST]),
    subsystem('nqn.other', [on('192.0.2.5')], ['nqn.someone']),
    subsystem('nqn.nobody', [on('192.0.2.5')], []),
  )

  test.each([
    [HOST, ['nqn.open', 'nqn.mine']], ['nqn.someone', ['nqn.open', 'nqn.other']],
    [HOST.toUpperCase(), ['nqn.open']],
  ])('%s', (host, nqns) => {
    const entries = listed(logOf(some, host))
    expect(entries.map((entry) => entry.nqn)).toEqual([DISCOVERY, ...nqns])
  })
})

describe('addresses', () => {
  test.each([
    ['every endpoint', [on('192.0.2.5'), on('192.0.2.6', 4421)],
      ['192.0.2.5 4420', '192.0.2.6 4421']],
    ['a wildcard', [on('0.0.0.0')], ['192.0.2.5 4420']],
    ['the wildcard of the other family', [on('::')], []],
    ['an address of the other family', [on('2001:db8::1')], ['2001:db8::1 4420']],
    ['one address twice', [on('0.0.0.0'), on('192.0.2.5'), on('0.0.0.0', 4421)],
      ['192.0.2.5 4420', '192.0.2.5 4421']],
    ['loopback, for a host from elsewhere', [on('127.0.0.1'), on('::1')], []],
  ] as const)('%s', (_name, endpoints, wanted) => {
    expect(addresses(endpoints)).toEqual(wanted)
  })

  test('a host on the same machine sees loopback too', () => {
    const endpoints = [on('0.0.0.0'), on('::1'), on('192.0.2.5')]
    expect(addresses(endpoints, on('127.0.0.1', 8009)))
      .toEqual(['::1 4420', '192.0.2.5 4420', '127.0.0.1 4420'])
  })

  test('IPv6: family 2, without the zone', () => {
    const log = logOf(target(subsystem('nqn.a', [on('::')])), HOST, on('fe80::1%eth0', 8009))
    expect(listed(log).map(({ address, family }) => [address, family]))
      .toEqual([['fe80::1', 2], ['fe80::1', 2]])
  })
})

test('subsystems on one endpoint have one port id; another endpoint has another', () => {
  const data = logOf(target(
    subsystem('nqn.a', [on('192.0.2.5'), on('192.0.2.5', 4421)]),
    subsystem('nqn.b', [on('192.0.2.5')]),
  ))
  const ids = [1, 2, 3, 4].map((index) => data.readUInt16LE(1024 * index + 4))
  expect(ids).toEqual([1, 2, 3, 2])
})

describe('referrals', () => {
  const there = on('198.51.100.7', 8010)
  const referral = { endpoint: there, nqn: DISCOVERY, hosts: null }

  test('come last, without a port of ours and without promises', () => {
    const data = logOf(telling({ referrals: [referral] }, subsystem('nqn.a', [on('0.0.0.0')])))
    expect(listed(data).at(-1)).toEqual({
      subtype: 1, nqn: DISCOVERY, address: '198.51.100.7', port: '8010', family: 1,
    })
    expect(data.toString('hex', 3072, 3084)).toBe('03010100' + '0000' + 'ffff' + '2000' + '0000')
  })

  test('are told to those hosts alone that they are for', () => {
    const told = telling({ referrals: [{ ...referral, hosts: ['nqn.someone'] }] })
    expect(listed(logOf(told))).toHaveLength(1)
    expect(listed(logOf(told, 'nqn.someone'))).toHaveLength(2)
  })
})

describe('what a host may ask for', () => {
  const endpoints = [on('0.0.0.0'), on('192.0.2.6', 4421), on('192.0.2.5', 4422)]
  const attributes = Uint8Array.from([1, 0, 4, 0, 0x61, 0x62, 0x63, 0x64])
  const registered = [{
    entity: 'nqn.there', kind: 'subsystem' as const, base: new Uint8Array(1024).fill(7), attributeCount: 1, attributes,
  }]
  const told = telling({
    registered, referrals: [{ endpoint: on('198.51.100.7'), nqn: DISCOVERY, hosts: null }],
  }, subsystem('nqn.a', endpoints))

  test('port local: what is at the address that it reached', () => {
    const data = logOf(told, HOST, REACHED, { portLocal: true })
    expect(listed(data).map(({ address, port }) => `${address} ${port}`))
      .toEqual(['192.0.2.5 8009', '192.0.2.5 4422', '192.0.2.5 4420'])
    expect(data[18], 'DLPF').toBe(2)
  })

  test('extended: 8 bytes and the attributes behind each entry', () => {
    const data = logOf(told, HOST, REACHED, { extended: true })
    expect(data[18], 'DLPF').toBe(1)
    expect(data.readUInt32LE(20), 'TDLPL').toBe(data.length)
    expect(data.length).toBe(1024 + 6 * 1032 + 8)
    const at = [0, 1, 2, 3, 4].map((index) => 2048 + 1032 * index)
    for (const tail of at) expect(data.toString('hex', tail, tail + 8)).toBe('0804000000000000')
    const last = 1024 + 1032 * 5
    expect([data[last + 2], data.readUInt32LE(last + 1024)]).toEqual([7, 1040])
    expect(data.toString('hex', last + 1028, last + 1040)).toBe('01000000' + '01000400' + '61626364')
  })

  test('extended: what people call it, filled up with spaces to a multiple of 4', () => {
    const labelled = { ...subsystem('nqn.a', [on('0.0.0.0')]), label: 'backup' }
    const data = logOf(target(labelled), HOST, REACHED, { extended: true })
    const at = 1024 + 1032
    expect(data.length).toBe(at + 1032 + 12)
    expect(data.toString('hex', at + 1024, at + 1036)).toBe('14040000' + '01000000' + '02000800')
    expect(data.toString('latin1', at + 1036)).toBe('backup  ')
    const plain = logOf(target(labelled))
    expect(plain.equals(logOf(target(subsystem('nqn.a', [on('0.0.0.0')]))))).toBe(true)
  })

  test('neither: registered entries are as they were registered', () => {
    const data = logOf(told)
    expect(data.length).toBe(1024 * 7)
    expect(data.subarray(1024 * 6).every((byte) => byte === 7)).toBe(true)
  })
})

describe('a change', () => {
  const before = target(subsystem('nqn.a', [on('192.0.2.5')]), subsystem('nqn.b', [], [HOST]))
  const changed = (...nvm: SubsystemSnapshot[]): TargetSnapshot => nextGeneration(before, {
    ...before, subsystems: [before.subsystems[0]!, ...nvm],
  })
  const [, a, b] = before.subsystems

  test('of nothing that is told leaves the generation', () => {
    const after = changed({ ...a!, mdtsBytes: 1 }, b!)
    expect(after.generation).toBe(before.generation)
    expect(logDiffers(before, after, HOST)).toBe(false)
  })

  test.each<[string, SubsystemSnapshot[], boolean, boolean]>([
    ['a subsystem more', [a!, b!, subsystem('nqn.c', [on('192.0.2.5')])], true, true],
    ['a subsystem less', [b!], true, true],
    ['another label', [{ ...a!, label: 'backup' }, b!], true, true],
    ['an endpoint more', [{ ...a!, endpoints: [on('192.0.2.5'), on('192.0.2.6')] }, b!], true, true],
    ['another host for a private one', [a!, { ...b!, hosts: [HOST, 'nqn.x'] }], false, false],
    ['the only host of a private one gone', [a!, { ...b!, hosts: [] }], true, false],
  ])('%s', (_what, nvm, forHost, forOthers) => {
    const after = changed(...nvm)
    expect(after.generation).toBe(before.generation + 1)
    expect(logDiffers(before, after, HOST)).toBe(forHost)
    expect(logDiffers(before, after, 'nqn.someone')).toBe(forOthers)
  })

  test('of what is registered, but not of hosts, nor of the same once more', () => {
    const withEntries = (...registered: RegisteredEntry[]): TargetSnapshot =>
      nextGeneration(before, { ...before, discovery: { ...before.discovery, registered } })
    const entry: RegisteredEntry = {
      entity: 'nqn.there', kind: 'subsystem', base: new Uint8Array(1024), attributeCount: 0,
      attributes: new Uint8Array(0),
    }
    const one = withEntries(entry)
    expect([one.generation, logDiffers(before, one, HOST)]).toEqual([before.generation + 1, true])
    const host = withEntries({ ...entry, kind: 'host' })
    expect([host.generation, logDiffers(before, host, HOST)]).toEqual([before.generation, false])
    const again = nextGeneration(one, {
      ...one, discovery: { ...one.discovery, registered: [{ ...entry, base: entry.base.slice() }] },
    })
    expect(again.generation).toBe(one.generation)
    const other = nextGeneration(one, {
      ...one, discovery: { ...one.discovery, registered: [{ ...entry, base: new Uint8Array(1024).fill(1) }] },
    })
    expect([other.generation, logDiffers(one, other, HOST)]).toEqual([one.generation + 1, true])
  })

  test('keeps port ids: those of endpoints that have gone are not given to others', () => {
    const gone = changed({ ...a!, endpoints: [] })
    const other = nextGeneration(gone, {
      ...gone, subsystems: [gone.subsystems[0]!, { ...a!, endpoints: [on('192.0.2.6')] }],
    })
    expect(logOf(other).readUInt16LE(2048 + 4)).toBe(3)
    const back = nextGeneration(other, { ...other, subsystems: before.subsystems })
    expect(logOf(back).readUInt16LE(2048 + 4)).toBe(2)
  })
})

test('a subsystem of static controllers says so', () => {
  const controllers = { kind: 'static', first: 1, last: 8 } as const
  const log = logOf(target(
    { ...subsystem('nqn.a', [on('0.0.0.0')]), controllers }, subsystem('nqn.b', [on('0.0.0.0')]),
  ))
  const cntlids = [1, 2, 3].map((entry) => log.readUInt16LE(1024 * entry + 6))
  expect(cntlids).toEqual([0xffff, 0xfffe, 0xffff])
})
