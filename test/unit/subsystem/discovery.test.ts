/**
 * Discovery log: who sees what, at which address, and the bytes of one entry.
 */
import { describe, expect, test } from 'vitest'
import { discoveryLog } from '../../../src/subsystem/discovery.ts'
import type {
  Endpoint, SubsystemSnapshot, TargetSnapshot,
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
  inCapsuleBytes: 0, queueDepthMax: 128, ioQueuesMax: 8,
})

const target = (...subsystems: SubsystemSnapshot[]): TargetSnapshot => ({
  generation: 0x1_0000_0002, firmware: '0.1.0',
  subsystems: [subsystem(DISCOVERY, [on('0.0.0.0', 8009)], null, 'discovery'), ...subsystems],
})

type Listed = { subtype: number; nqn: string; address: string; port: string; family: number }

/** Decoded by hand, at the offsets of the specification. */
function listed(log: Uint8Array): Listed[] {
  const data = Buffer.from(log.buffer)
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
  listed(discoveryLog(target(subsystem('nqn.a', endpoints)), HOST, reached)).slice(1)
    .map((entry) => `${entry.address} ${entry.port}`)

test('the header', () => {
  const data = Buffer.from(discoveryLog(target(subsystem('nqn.a', [on('0.0.0.0')])), HOST, REACHED)
    .buffer)
  expect(data.length).toBe(3 * 1024)
  expect(data.toString('hex', 0, 24)).toBe(
    '0200000001000000' + '0200000000000000' + '0000' + '000000000000')
  expect(data.subarray(24, 1024).every((byte) => byte === 0)).toBe(true)
})

test('the first entry is the discovery subsystem, at the address that was reached', () => {
  const data = Buffer.from(discoveryLog(target(), HOST, REACHED).buffer)
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
  const data = Buffer.from(discoveryLog(target(subsystem('nqn.a', [on('0.0.0.0')])), HOST, REACHED)
    .buffer)
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
    const entries = listed(discoveryLog(some, host, REACHED))
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
    const log = discoveryLog(target(subsystem('nqn.a', [on('::')])), HOST, on('fe80::1%eth0', 8009))
    expect(listed(log).map(({ address, family }) => [address, family]))
      .toEqual([['fe80::1', 2], ['fe80::1', 2]])
  })
})

test('subsystems on one endpoint have one port id; another endpoint has another', () => {
  const data = Buffer.from(discoveryLog(target(
    subsystem('nqn.a', [on('192.0.2.5'), on('192.0.2.5', 4421)]),
    subsystem('nqn.b', [on('192.0.2.5')]),
  ), HOST, REACHED).buffer)
  const ids = [1, 2, 3, 4].map((index) => data.readUInt16LE(1024 * index + 4))
  expect(ids).toEqual([1, 2, 3, 2])
})
