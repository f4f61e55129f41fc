/** The DNS records of a discovery service: per interface, and per question. */
import type { NetworkInterfaceInfo } from 'node:os'
import { describe, expect, test } from 'vitest'
import {
  answersTo, interfacePlans, labelOf, serviceRecords, takesName, withdrawn,
} from '../../../src/discovery/service-records.ts'

const four = (address: string, internal = false): NetworkInterfaceInfo =>
  ({ address, netmask: '', mac: '', internal, cidr: `${address}/24`, family: 'IPv4' })
const six = (address: string, internal = false): NetworkInterfaceInfo =>
  ({ address, netmask: '', mac: '', internal, cidr: `${address}/64`, family: 'IPv6', scopeid: 2 })

const INTERFACES = {
  lo: [four('127.0.0.1', true), six('::1', true)],
  eth0: [four('192.0.2.5'), six('2001:db8::5')],
  eth1: [six('fe80::7')],
}
const on = (address: string, port = 8009) => ({ address, port })
const plans = (...endpoints: { address: string; port: number }[]): unknown[] =>
  interfacePlans(endpoints, INTERFACES).map(({ name, addresses, port }) => [name, port, ...addresses])

describe('where it is announced', () => {
  test.each<[string, ReturnType<typeof on>[], unknown[]]>([
    ['the IPv4 wildcard', [on('0.0.0.0')], [['eth0', 8009, '192.0.2.5']]],
    ['both wildcards', [on('::'), on('0.0.0.0')],
      [['eth0', 8009, '192.0.2.5', '2001:db8::5'], ['eth1', 8009, 'fe80::7']]],
    ['one address', [on('2001:DB8::5')], [['eth0', 8009, '2001:db8::5']]],
    ['loopback alone', [on('127.0.0.1'), on('::1')], []],
    ['an address that this machine has not', [on('198.51.100.1')], []],
    ['of several ports the first that is there', [on('127.0.0.1'), on('192.0.2.5', 4420)],
      [['eth0', 4420, '192.0.2.5']]],
  ])('%s', (_what, endpoints, wanted) => {
    expect(plans(...endpoints)).toEqual(wanted)
  })
})

const [PLAN] = interfacePlans([on('0.0.0.0'), on('::')], INTERFACES)
const SERVICE = { nqn: 'nqn.2026-01.example:discovery', central: false, endpoints: [] }
const RECORDS = serviceRecords(SERVICE, PLAN!, 'weft on box', 'weft-box')
const NAMED = 'weft on box._nvme-disc._tcp.local'

test('the records', () => {
  expect(RECORDS.map(({ name, type, flush = false, data }) => [name, type, flush, data])).toEqual([
    ['_nvme-disc._tcp.local', 'PTR', false, NAMED],
    ['_ddc._sub._nvme-disc._tcp.local', 'PTR', false, NAMED],
    ['_services._dns-sd._udp.local', 'PTR', false, '_nvme-disc._tcp.local'],
    [NAMED, 'SRV', true, { priority: 0, weight: 0, port: 8009, target: 'weft-box.local' }],
    [NAMED, 'TXT', true, ['p=tcp', 'nqn=nqn.2026-01.example:discovery']],
    ['weft-box.local', 'A', true, '192.0.2.5'], ['weft-box.local', 'AAAA', true, '2001:db8::5'],
  ])
  const central = serviceRecords({ ...SERVICE, central: true }, PLAN!, 'a', 'b')
  expect(central[1]!.name).toBe('_cdc._sub._nvme-disc._tcp.local')
  expect(labelOf('box.example.com')).toBe('box')
})

test('are withdrawn with a TTL of 0, but for the type, which others may have too', () => {
  expect(withdrawn(RECORDS).map(({ type, ttl }) => `${type} ${ttl}`))
    .toEqual(['PTR 0', 'PTR 0', 'SRV 0', 'TXT 0', 'A 0', 'AAAA 0'])
})

describe('questions', () => {
  const ask = (name: string, type: string, answers: { ttl: number; data: string }[] = []): string[] | null => {
    const known = answers.map((each) => ({ name, type, ...each }))
    const answer = answersTo(RECORDS, { questions: [{ name, type }], answers: known })
    if (answer === null) return null
    return [...answer.answers!.map(({ type: each }) => each), '+', ...answer.additionals!.map(({ type: each }) => each)]
  }

  test.each<[string, string, string[] | null]>([
    ['_NVMe-disc._tcp.local', 'PTR', ['PTR', '+', 'SRV', 'TXT', 'A', 'AAAA']],
    ['_ddc._sub._nvme-disc._tcp.local', 'PTR', ['PTR', '+', 'SRV', 'TXT', 'A', 'AAAA']],
    [NAMED, 'SRV', ['SRV', '+', 'A', 'AAAA']], [NAMED, 'ANY', ['SRV', 'TXT', '+', 'A', 'AAAA']],
    ['weft-box.local', 'AAAA', ['AAAA', '+']], ['_nvme-disc._tcp.local', 'SRV', null],
    ['_http._tcp.local', 'PTR', null],
  ])('%s %s', (name, type, wanted) => {
    expect(ask(name, type)).toEqual(wanted)
  })

  test('what the asker knows for long enough is not told again', () => {
    expect(ask('_nvme-disc._tcp.local', 'PTR', [{ ttl: 2250, data: NAMED }])).toBe(null)
    expect(ask('_nvme-disc._tcp.local', 'PTR', [{ ttl: 2249, data: NAMED }])).not.toBe(null)
  })
})

test('a name is taken by another port or machine, not by ourselves', () => {
  const taken = (port: number, target: string): boolean => takesName(
    { answers: [{ name: NAMED.toUpperCase(), type: 'SRV', data: { port, target } }] },
    NAMED, 8009, 'weft-box.local')
  expect([taken(8009, 'WEFT-box.local'), taken(8010, 'weft-box.local'), taken(8009, 'other.local')])
    .toEqual([false, true, true])
})
