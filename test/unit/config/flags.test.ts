/** The command line as a configuration: order, belonging, and mistakes that name their flag. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { configFromFlags } from '../../../src/config/flags.ts'
import type { Flag } from '../../../src/config/flags.ts'
import { ConfigError } from '../../../src/config/mistake.ts'
import { parseEndpoint } from '../../../src/config/endpoint.ts'
import { HOST_SECRET } from '../../authentication-bytes.ts'

const AROUND = { machineId: 'm', cpuCount: 4, folder: '/srv', state: '/state' }
const NQN = 'nqn.2026-01.com.example:disks'
const folder = mkdtempSync(join(tmpdir(), 'weft-flags-'))
afterAll(() => rmSync(folder, { recursive: true }))

/** '--file a --read-only' */
function flagsOf(line: string): Flag[] {
  const flags: { name: string; value: string }[] = []
  for (const word of line.split(' ').filter((each) => each !== '')) {
    if (word.startsWith('--')) flags.push({ name: word, value: '' })
    else flags.at(-1)!.value = word
  }
  return flags
}

function read(line: string) {
  return configFromFlags(flagsOf(line), AROUND)
}

function mistakesOf(line: string): string[] {
  try {
    read(line)
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    return error.message.split('\n').slice(1).map((each) => each.trim())
  }
  throw new Error('the command line has no mistake')
}

function namespacesOf(line: string) {
  return read(line).subsystems[0]!.namespaces
}

test('nothing at all is 1 GiB of memory on 127.0.0.1:4420', () => {
  const config = read('')
  expect(config.subsystems).toHaveLength(1)
  expect(config.subsystems[0]!.namespaces).toMatchObject([
    { nsid: 1, backing: { kind: 'memory', bytes: 1024 ** 3 }, blockBytes: 512 },
  ])
  expect(config.listeners).toEqual([{ address: '127.0.0.1', port: 4420 }])
  expect(config.discovery).toEqual([{ address: '127.0.0.1', port: 8009 }])
})

describe('namespaces', () => {
  test('are numbered in the order of different flags', () => {
    const line = '--null 1T --file a --size 1G --memory 1M --device /dev/x --file b'
    expect(namespacesOf(line).map(({ nsid, backing }) => [nsid, backing])).toEqual([
      [1, { kind: 'null', bytes: 1024 ** 4 }],
      [2, { kind: 'file', path: '/srv/a', bytes: 1024 ** 3, create: true }],
      [3, { kind: 'memory', bytes: 1024 ** 2 }],
      [4, { kind: 'device', path: '/dev/x' }],
      [5, { kind: 'file', path: '/srv/b', bytes: null, create: false }],
    ])
  })

  test('--block and --read-only belong to the one before them', () => {
    const line = '--memory 1M --block 4096 --memory 2M --read-only --memory 3M'
    expect(namespacesOf(line).map(({ blockBytes, readOnly }) => [blockBytes, readOnly])).toEqual([
      [4096, false], [512, true], [512, false],
    ])
  })

  test('--block before all is for all', () => {
    const line = '--block 4096 --memory 1M --memory 2M --block 512 --memory 3M'
    expect(namespacesOf(line).map(({ blockBytes }) => blockBytes)).toEqual([4096, 512, 4096])
  })
})

test('keys belong to the host before them', () => {
  const [one, other] = [join(folder, 'one'), join(folder, 'other')]
  for (const path of [one, other]) writeFileSync(path, HOST_SECRET, { mode: 0o600 })
  const line = `--host ${NQN}1 --hosts ${NQN}2,${NQN}3 --controller-key ${other} --host-key ${one}`
  const [subsystem] = read(line).subsystems
  expect(subsystem!.hosts).toEqual([`${NQN}1`, `${NQN}2`, `${NQN}3`])
  expect(subsystem!.keys).toHaveLength(1)
  expect(subsystem!.keys[0]!.nqn).toBe(`${NQN}3`)
  expect(subsystem!.keys[0]!.controllerKey!.reveal()).toBe(HOST_SECRET)
})

test('the rest', () => {
  const config = read(`--nqn ${NQN} --host ${NQN}1 --host ${NQN}2 --serial S --model M `
    + '--reactors 2 --cpus 1,3 --poll --engine epoll --queue-depth 32 --max-transfer 128K '
    + '--in-capsule 8K --listen [::]:1 --listen 4421 --listen 192.0.2.1 --discovery [::1]:9')
  expect(config).toMatchObject({
    reactors: 2, cpus: [1, 3], poll: true, engine: 'epoll',
    limits: { queueDepth: 32, maxTransferBytes: 131072, inCapsuleBytes: 8192 },
    listeners: [
      { address: '::', port: 1 }, { address: '0.0.0.0', port: 4421 },
      { address: '192.0.2.1', port: 4420 },
    ],
    discovery: [{ address: '::1', port: 9 }],
    subsystems: [{ nqn: NQN, hosts: [`${NQN}1`, `${NQN}2`], serial: 'S', model: 'M' }],
  })
  expect(read('--cpus 4-6').cpus).toEqual([4, 5, 6])
  expect(read('--discovery off').discovery).toEqual([])
  const named = '--discovery-nqn nqn.2026-01.com.example:discovery'
  const endpoint = [{ address: '::1', port: 9 }]
  for (const line of [`${named} --discovery [::1]:9`, `--discovery [::1]:9 ${named}`]) {
    expect(read(line).discovery).toEqual(endpoint)
    expect(read(line).discoveryService.nqn).toBe('nqn.2026-01.com.example:discovery')
  }
  expect(read('--referral 192.0.2.7 --referral [::1]:1').discoveryService.referrals).toMatchObject([
    { endpoint: { address: '192.0.2.7', port: 8009 } }, { endpoint: { address: '::1', port: 1 } },
  ])
  expect(mistakesOf('--referral 8009')[0]).toMatch(/^--referral 8009: found "8009", allowed: ADDR/)
  expect(mistakesOf('--referral 0.0.0.0:1')[0]).toMatch(/^--referral 0\.0\.0\.0:1: found/)
  expect(read('--hosts any').subsystems[0]!.hosts).toBeNull()
  expect(read(`--hosts ${NQN}1,${NQN}2`).subsystems[0]!.hosts).toEqual([`${NQN}1`, `${NQN}2`])
})

describe('with --config', () => {
  const path = join(folder, 'weft.json')
  writeFileSync(path, JSON.stringify({
    reactors: 1, limits: { queueDepth: 64 }, listeners: [{ address: '127.0.0.1', port: 1 }],
    subsystems: [{ nqn: NQN, namespaces: [{ file: 'disk.img' }] }],
  }))

  test('flags change what is in the file', () => {
    const config = read(`--config ${path} --reactors 2 --max-transfer 64K --listen 127.0.0.1:2`)
    expect(config).toMatchObject({
      reactors: 2, limits: { queueDepth: 64, maxTransferBytes: 65536 },
      listeners: [{ address: '127.0.0.1', port: 2 }],
      subsystems: [{ namespaces: [{ backing: { path: join(folder, 'disk.img') } }] }],
    })
  })

  test('flags that say what to serve are refused', () => {
    const found = mistakesOf(`--config ${path} --memory 1M --nqn ${NQN} --block 512`)
    expect(found).toHaveLength(3)
    expect(found[0]).toBe(`--memory 1M: not together with --config: write it in ${path} instead`)
  })
})

describe('mistakes name their flag', () => {
  test.each([
    ['--memory 12Q', '--memory 12Q: found "12Q", allowed: a size'],
    ['--memory 1M --block 100', '--block 100: found 100, allowed: 512 or 4096'],
    ['--size 1G', '--size 1G: found "no namespace before it", allowed: after --file'],
    ['--memory 1M --size 1M', '--size 1M: found "1M", allowed: nothing: "memory" is the size'],
    ['--reactors two', '--reactors: found "two", allowed: a whole number'],
    ['--cpus 1,x', '--cpus: found "x", allowed: a whole number'],
    ['--cpus 3-1', '--cpus: found "3-1", allowed: a whole number'],
    ['--engine fast', '--engine: found "fast", allowed: "auto"'],
    ['--listen localhost:1', '--listen localhost:1: found "localhost", allowed: a numeric'],
    ['--listen a:b:', '--listen a:b:: found "a:b:", allowed: a numeric'],
    ['--listen x:y', '--listen x:y: found "x:y", allowed: ADDRESS:PORT'],
    ['--listen 1 --listen 99999', '--listen 99999: found 99999, allowed: a whole number'],
    ['--nqn disks', '--nqn: found "disks", allowed: a name'],
    ['--host disks', '--host: found "disks", allowed: a name'],
    ['--host-key a', '--host-key a: found "no host before it", allowed: after --host'],
    [`--host ${NQN}1 --host-key /nonexistent`, '--host-key /nonexistent: there is no file /nonexistent'],
    [`--host ${NQN}1 --controller-key /nonexistent`, '--controller-key /nonexistent: there is no file'],
    ['--max-transfer 3M', '--max-transfer: found "3M", allowed: a size'],
  ])('%s', (line, sentence) => {
    expect(mistakesOf(line).join('\n')).toContain(sentence)
  })

  test('all at once', () => {
    expect(mistakesOf('--reactors 0 --memory x --listen y --engine z')).toHaveLength(4)
  })
})

test.each([
  ['4420', { address: null, port: 4420 }], ['192.0.2.1', { address: '192.0.2.1', port: null }],
  ['192.0.2.1:5', { address: '192.0.2.1', port: 5 }], ['::1', { address: '::1', port: null }],
  ['[::1]', { address: '::1', port: null }], ['[::1]:5', { address: '::1', port: 5 }],
  ['host:5', { address: 'host', port: 5 }], ['', null], [':5', null], ['[::1', null],
  ['host:', null], ['a b', null],
])('the address %s', (text, parsed) => {
  expect(parseEndpoint(text)).toEqual(parsed)
})

test('state: relative to where the command is given, also beside a file', () => {
  expect(read('').state).toBe('/state')
  expect(read('--state kept').state).toBe('/srv/kept')
  const path = join(folder, 'state.json')
  writeFileSync(path, JSON.stringify({ state: 'here', subsystems: [] }))
  expect(read(`--config ${path}`).state).toBe(join(folder, 'here'))
  expect(read(`--config ${path} --state kept`).state).toBe('/srv/kept')
  expect(mistakesOf('--state')).toEqual(['--state: found "", allowed: a path'])
})

describe('--pool', () => {
  test('is what hosts create namespaces of, beside others or alone', () => {
    const [alone] = read('--pool disks/pool:img:1T').subsystems
    expect([alone!.pool, alone!.namespaces]).toEqual([{ path: '/srv/disks/pool:img', bytes: 1024 ** 4 }, []])
    const [both] = read('--memory 1M --pool /pool:64M').subsystems
    expect([both!.pool, both!.namespaces.length]).toEqual([{ path: '/pool', bytes: 64 * 1024 ** 2 }, 1])
  })

  test('names what is wrong with it', () => {
    expect(mistakesOf('--pool pool')).toEqual([expect.stringMatching(/^--pool pool: .*PATH:SIZE/)])
    expect(mistakesOf('--pool pool:100K')).toEqual([expect.stringMatching(/^--pool pool:100K: .*a multiple of 1 MiB/)])
    expect(mistakesOf('--file a --size 1M --pool a:1M')).toEqual([expect.stringMatching(/one that no other namespace has/)])
  })
})
