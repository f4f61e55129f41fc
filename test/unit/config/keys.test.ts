/**
 * The keys of hosts in a configuration: where they may stand, what is wrong with them, and that no message
 * shows one.
 */
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Config } from '../../../src/config/config.ts'
import { keysOf } from '../../../src/config/keys.ts'
import { ConfigError } from '../../../src/config/mistake.ts'
import { readConfig } from '../../../src/config/read.ts'
import { CONTROLLER_SECRET, TRANSFORMED } from '../auth/vectors.ts'

const SECRET = TRANSFORMED[0]![2]
const NQN = 'nqn.2026-01.com.example:disks'
const HOST = 'nqn.2026-01.com.example:host'

let folder = ''
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'weft-keys-'))
  for (const [name, text, mode] of [
    ['good', `${SECRET}\n`, 0o600], ['readable', SECRET, 0o640], ['bad', 'DHHC-1:00:AAEC:\n', 0o600],
    ['large', 'x'.repeat(5000), 0o600],
  ] as const) {
    writeFileSync(join(folder, name), text)
    chmodSync(join(folder, name), mode)
  }
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

function read(hosts: unknown, more: object = {}): Config {
  const around = { machineId: 'm', cpuCount: 2, folder, state: '/state' }
  return readConfig({ ...more, subsystems: [{ nqn: NQN, hosts }] }, 'test', around)
}

function mistakesOf(hosts: unknown, more: object = {}): string {
  try {
    read(hosts, more)
  } catch (error) {
    if (error instanceof ConfigError) return error.message
    throw error
  }
  return ''
}

describe('a host with a key', () => {
  test('is a host that may connect, beside plain ones', () => {
    const config = read(['nqn.2026-01.com.example:plain', { nqn: HOST, key: SECRET }])
    expect(config.subsystems[0]!.hosts).toEqual(['nqn.2026-01.com.example:plain', HOST])
    const [keys, none] = config.subsystems[0]!.keys
    expect(none).toBeUndefined()
    expect(keys).toMatchObject({ nqn: HOST, controllerKey: null, hashes: [3, 2, 1], groups: [5, 4, 3, 2, 1, 0] })
    expect(keys!.key.reveal()).toBe(SECRET)
  })

  test('may have a controller key, and lists in the order of preference', () => {
    const [keys] = read([{
      nqn: HOST, key: SECRET, controllerKey: CONTROLLER_SECRET, hashes: ['sha-256', 'sha-512'],
      dhGroups: ['ffdhe3072', 'null'],
    }]).subsystems[0]!.keys
    expect(keys!.controllerKey!.reveal()).toBe(CONTROLLER_SECRET)
    expect([keys!.hashes, keys!.groups]).toEqual([[1, 3], [2, 0]])
  })

  test('may have them in files, whose paths begin at the folder of the configuration', () => {
    const [keys] = read([{ nqn: HOST, keyFile: 'good', controllerKeyFile: join(folder, 'good') }]).subsystems[0]!.keys
    expect(keys!.key.reveal()).toBe(SECRET)
    expect(keys!.controllerKey!.reveal()).toBe(SECRET)
  })

  test('may be one of the discovery service', () => {
    const config = read('any', { discovery: { hosts: [{ nqn: HOST, key: SECRET }] } })
    expect(config.discoveryService.hosts).toEqual([HOST])
    expect(config.discoveryService.keys[0]!.nqn).toBe(HOST)
  })

  test('is found by subsystem', () => {
    const keys = keysOf(read([{ nqn: HOST, key: SECRET }]))
    expect(keys.get(NQN)!.map(({ nqn }) => nqn)).toEqual([HOST])
    expect(keys.get('nqn.2014-08.org.nvmexpress.discovery')).toEqual([])
  })

  test('without a key is a plain host', () => {
    expect(read([{ nqn: HOST }]).subsystems[0]).toMatchObject({ hosts: [HOST], keys: [] })
  })
})

test.each([
  ['a secret that is none', [{ nqn: HOST, key: SECRET.replace('AAEC', 'AAED') }],
    'subsystems[0].hosts[0].key: its CRC-32 does not match'],
  ['a controller secret that is none', [{ nqn: HOST, key: SECRET, controllerKey: 'DHHC-1:07:AAEC:' }],
    'subsystems[0].hosts[0].controllerKey: its transform is 07'],
  ['a key that is a number', [{ nqn: HOST, key: 12 }], 'hosts[0].key: found (not shown), allowed: a secret in quotes'],
  ['a key twice', [{ nqn: HOST, key: SECRET, keyFile: 'good' }], 'hosts[0].keyFile: found beside key'],
  ['a controller key alone', [{ nqn: HOST, controllerKey: SECRET }], 'hosts[0].key: found nothing, allowed: the secret of the host'],
  ['hashes without a key', [{ nqn: HOST, hashes: ['sha-256'] }], 'hosts[0].key: found nothing'],
  ['an unknown hash', [{ nqn: HOST, key: SECRET, hashes: ['sha-1'] }],
    'hosts[0].hashes[0]: found "sha-1", allowed: a list of at least one of sha-256, sha-384, sha-512'],
  ['a group twice', [{ nqn: HOST, key: SECRET, dhGroups: ['null', 'null'] }], 'hosts[0].dhGroups: found'],
  ['no group', [{ nqn: HOST, key: SECRET, dhGroups: [] }], 'hosts[0].dhGroups: found [], allowed: a list of at least one of null, ffdhe2048'],
  ['a host twice', [{ nqn: HOST, key: SECRET }, HOST], 'hosts[1]: found "nqn.2026-01.com.example:host", allowed: a host that has no key'],
  ['a name that is none', ['host'], 'subsystems[0].hosts[0]: found "host", allowed: a name such as'],
  ['a name that is none, with a key', [{ nqn: 'host', key: SECRET }], 'subsystems[0].hosts[0].nqn: found "host"'],
  ['a word that is not any', 'all', 'subsystems[0].hosts: found "all", allowed: "any", or a list'],
  ['a key by another name', [{ nqn: HOST, secret: SECRET }], 'hosts[0]: unknown key "secret", allowed: nqn, key, keyFile'],
  ['a secret where a name belongs', [SECRET], 'hosts[0]: found "(not shown)"'],
  ['a file that is not there', [{ nqn: HOST, keyFile: 'none' }], 'hosts[0].keyFile: there is no file'],
  ['a file that others may read', [{ nqn: HOST, keyFile: 'readable' }], 'may be used by others than its owner: chmod 600'],
  ['a file with no secret in it', [{ nqn: HOST, keyFile: 'bad' }], 'is no secret: it holds 0 bytes'],
  ['a file that is too large', [{ nqn: HOST, keyFile: 'large' }], 'is no file with one secret in it'],
  ['a folder', [{ nqn: HOST, keyFile: '.' }], 'is no file with one secret in it'],
  ['two mistakes', [{ nqn: HOST, key: 'x' }, { nqn: 'y' }], 'hosts[1].nqn: found "y"'],
])('%s is told', (_name, hosts, sentence) => {
  const found = mistakesOf(hosts)
  expect(found).toContain(sentence)
  expect(found).not.toMatch(/AAEC|AAED|BAUG/)
})

test('a secret is not shown by what stands around it either', () => {
  const found = mistakesOf('any', { discovery: { hosts: { nqn: HOST, key: SECRET } } })
  expect(found).toContain('discovery.hosts: found {"nqn":"nqn.2026-01.com.example:host","key":"(not shown)"}')
  expect(found).not.toMatch(/AAEC/)
})

test('what should be a secret is not shown either', () => {
  expect(mistakesOf({ nqn: HOST, key: 'a word of mine' })).toContain('"key":"(not shown)"')
  expect(mistakesOf([{ nqn: HOST, key: 'a word of mine' }])).not.toContain('of mine')
})

test('a referral has names alone', () => {
  const referrals = [{ address: '192.0.2.1', hosts: [{ nqn: HOST, key: SECRET }] }]
  const found = mistakesOf('any', { referrals })
  expect(found).toMatch(/referrals\[0\]\.hosts/)
  expect(found).not.toMatch(/AAEC/)
})

test('a whole configuration shows no secret', () => {
  const config = read([{ nqn: HOST, key: SECRET, controllerKey: CONTROLLER_SECRET }])
  expect(JSON.stringify(config)).not.toMatch(/AAEC|DHHC/)
  expect(inspect(config, { depth: 20, showHidden: true })).not.toMatch(/AAEC|DHHC|00 01 02/)
})
