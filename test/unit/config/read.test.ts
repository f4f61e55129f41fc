/** From a written configuration to a complete one, and every mistake at once. */
import { describe, expect, test } from 'vitest'
import type { Config } from '../../../src/config/config.ts'
import { ConfigError } from '../../../src/config/mistake.ts'
import { readConfig } from '../../../src/config/read.ts'

const AROUND = { machineId: 'm', cpuCount: 4, folder: '/srv', state: '/state' }
const NQN = 'nqn.2026-01.com.example:disks'
const WELL_KNOWN = 'nqn.2014-08.org.nvmexpress.discovery'

function read(input: unknown): Config {
  return readConfig(input, 'weft.json', AROUND)
}

/** The lines below the first one. */
function mistakesOf(input: unknown): string[] {
  try {
    read(input)
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    return error.message.split('\n').slice(1).map((line) => line.trim())
  }
  throw new Error('the configuration has no mistake')
}

function withNamespaces(...namespaces: unknown[]) {
  return { subsystems: [{ nqn: NQN, namespaces }] }
}

describe('what is left out', () => {
  test('gets its default', () => {
    const config = read({ subsystems: [] })
    expect(config).toEqual({
      reactors: 3, cpus: null, poll: false, engine: 'auto',
      limits: {
        connections: 1024, queueDepth: 1024, ioQueues: 128, inCapsuleBytes: 16384,
        maxTransferBytes: 1048576, bufferBytes: 67108864,
      },
      listeners: [{ address: '127.0.0.1', port: 4420 }],
      discovery: [{ address: '127.0.0.1', port: 8009 }],
      discoveryRequired: false, state: '/state', control: { path: null, required: false },
      discoveryService: {
        nqn: WELL_KNOWN, hosts: null, keys: [], central: false, referrals: [], announce: false, register: [],
      },
      subsystems: [],
    })
  })

  test('one processor has one reactor', () => {
    const around = { ...AROUND, cpuCount: 1 }
    expect(readConfig({ subsystems: [] }, '', around).reactors).toBe(1)
  })

  test('cpus alone say how many reactors there are', () => {
    expect(read({ cpus: [5, 6], subsystems: [] }).reactors).toBe(2)
  })

  test('namespaces get the numbers that are free, in order', () => {
    const config = read(withNamespaces({ memory: '1M' }, { nsid: 1, memory: '2M' }, { null: '1T' }))
    expect(config.subsystems[0]!.namespaces.map(({ nsid, backing }) => [nsid, backing])).toEqual([
      [1, { kind: 'memory', bytes: 2097152 }],
      [2, { kind: 'memory', bytes: 1048576 }],
      [3, { kind: 'null', bytes: 1099511627776 }],
    ])
  })

  test('discovery is offered on each address that is listened on', () => {
    const listeners = [
      { address: '192.0.2.1' }, { address: '192.0.2.1', port: 4421 }, { address: '::' },
    ]
    expect(read({ listeners, subsystems: [] }).discovery).toEqual([
      { address: '192.0.2.1', port: 8009 }, { address: '::', port: 8009 },
    ])
  })

  test('a discovery endpoint that is a listener is not repeated', () => {
    const same = [{ address: '127.0.0.1', port: 4420 }]
    const config = read({ listeners: same, discovery: same, subsystems: [] })
    expect(config.discovery).toEqual([])
    expect(config.discoveryRequired).toBe(true)
  })

  test('a discovery service has the well-known name, referrals theirs and its port', () => {
    const nqn = 'nqn.2026-01.com.example:discovery'
    const referrals = [
      { address: '192.0.2.7' }, { address: '192.0.2.8', port: 1, subnqn: nqn, hosts: [NQN] },
    ]
    const config = read({ discovery: { nqn }, referrals, subsystems: [] })
    expect(config.discovery).toEqual([{ address: '127.0.0.1', port: 8009 }])
    expect(config.discoveryRequired).toBe(false)
    expect(config.discoveryService).toMatchObject({
      nqn,
      referrals: [
        { endpoint: { address: '192.0.2.7', port: 8009 }, nqn: WELL_KNOWN, hosts: null },
        { endpoint: { address: '192.0.2.8', port: 1 }, nqn, hosts: [NQN] },
      ],
    })
  })

  test('the object says where discovery is offered as the list does', () => {
    const listeners = [{ address: '192.0.2.1', port: 9 }]
    const config = read({ discovery: { listeners }, subsystems: [] })
    expect([config.discovery, config.discoveryRequired]).toEqual([listeners, true])
    expect(read({ discovery: { listeners: false }, subsystems: [] }).discovery).toEqual([])
  })

  test('a file is created when a size is given, unless it is read only', () => {
    const config = read(withNamespaces(
      { file: 'a', size: '1M' }, { file: 'b' }, { file: 'c', size: '1M', readOnly: true },
    ))
    expect(config.subsystems[0]!.namespaces.map(({ backing }) => backing)).toEqual([
      { kind: 'file', path: '/srv/a', bytes: 1048576, create: true },
      { kind: 'file', path: '/srv/b', bytes: null, create: false },
      { kind: 'file', path: '/srv/c', bytes: 1048576, create: false },
    ])
  })

  test('identifiers are derived, and given ones kept in lower case', () => {
    const uuid = '6C1E7C2E-4F4B-8A6B-9D3E-0F5A7B1C2D3E'
    const [one, two] = read(withNamespaces({ memory: '1M' }, { memory: '1M', uuid }))
      .subsystems[0]!.namespaces
    expect(one!.uuid).toMatch(/^[0-9a-f-]{36}$/)
    expect(two!.uuid).toBe(uuid.toLowerCase())
    expect(one!.nguid).not.toBe(two!.nguid)
    expect(read(withNamespaces({ memory: '1M' })).subsystems[0]!.namespaces[0]!.uuid)
      .toBe(one!.uuid)
  })

  test('a device decides its block size itself', () => {
    const [namespace] = read(withNamespaces({ device: '/dev/x' })).subsystems[0]!.namespaces
    expect(namespace!.blockBytes).toBeNull()
  })
})

test('asymmetric access: a state for a listener, or for groups of it', () => {
  const { listeners, subsystems } = read({
    listeners: [
      { address: '192.0.2.1', ana: 'inaccessible' }, { address: '192.0.2.2', ana: { 2: 'change' } },
      { address: '192.0.2.3' },
    ],
    subsystems: [{ nqn: NQN, namespaces: [{ memory: '1M' }, { memory: '1M', anaGroup: 2 }] }],
  })
  expect(listeners).toEqual([
    { address: '192.0.2.1', port: 4420, ana: { others: 'inaccessible', groups: {} } },
    { address: '192.0.2.2', port: 4420, ana: { others: 'optimized', groups: { 2: 'change' } } },
    { address: '192.0.2.3', port: 4420 },
  ])
  expect(subsystems[0]!.namespaces.map(({ anaGroup }) => anaGroup)).toEqual([1, 2])
})

test('a whole configuration is taken as it is', () => {
  const config = read({
    reactors: 2, cpus: [2, 3], poll: true, engine: 'epoll',
    limits: { connections: 10, queueDepth: 64, ioQueues: 4, inCapsule: '4K', maxTransfer: '2M',
      buffers: '16M' },
    listeners: [{ address: '0.0.0.0', port: 1 }], discovery: false, state: 'kept', control: 'weft.sock',
    subsystems: [{
      nqn: NQN, serial: 'S1', model: 'M 1', hosts: [NQN], namespaces: [],
      controllers: 'static', minCntlid: 7, maxCntlid: 9,
    }],
  })
  expect(config).toEqual({
    reactors: 2, cpus: [2, 3], poll: true, engine: 'epoll',
    limits: { connections: 10, queueDepth: 64, ioQueues: 4, inCapsuleBytes: 4096,
      maxTransferBytes: 2097152, bufferBytes: 16777216 },
    listeners: [{ address: '0.0.0.0', port: 1 }], discovery: [], discoveryRequired: false,
    discoveryService: {
      nqn: WELL_KNOWN, hosts: null, keys: [], central: false, referrals: [], announce: false, register: [],
    },
    state: '/srv/kept', control: { path: '/srv/weft.sock', required: true },
    subsystems: [{
      nqn: NQN, serial: 'S1', model: 'M 1', hosts: [NQN], keys: [], namespaces: [],
      controllers: { kind: 'static', first: 7, last: 9 },
    }],
  })
})

describe('mistakes', () => {
  test('all are reported at once, with place, what was found and what is allowed', () => {
    const found = mistakesOf({
      reactors: 0, engine: 'fast', listeners: [{ address: 'localhost', port: 99999 }],
      subsystems: [{ nqn: 'disks', namespaces: [{ memory: '12Q' }, {}] }],
    })
    expect(found).toHaveLength(7)
    expect(found).toContain('reactors: found 0, allowed: a whole number from 1 to 256')
    expect(found).toContain('engine: found "fast", allowed: "auto", "uring" or "epoll"')
    expect(found).toContain('subsystems[0].namespaces[1]: found nothing, '
      + 'allowed: exactly one of memory, null, file, device, pci and use')
    expect(found.join('\n')).toMatch(/listeners\[0\]\.address: found "localhost", allowed: a num/)
    expect(found.join('\n')).toMatch(/listeners\[0\]\.port: found 99999, allowed: a whole number/)
    expect(found.join('\n')).toMatch(/subsystems\[0\]\.nqn: found "disks", allowed: a name such/)
    expect(found.join('\n')).toMatch(/namespaces\[0\]\.memory: found "12Q", allowed: a size/)
  })

  test.each([
    [{ reactor: 2 }, 'unknown key "reactor", did you mean "reactors"?'],
    [{ lisetners: [] }, 'unknown key "lisetners", did you mean "listeners"?'],
    [{ zebra: 1 }, 'unknown key "zebra", allowed: reactors, cpus'],
    [{ limits: { maxTranfer: 1 } }, 'limits: unknown key "maxTranfer", did you mean "maxTransfer"?'],
    [{ listeners: { address: '::' } }, 'listeners: found {"address":"::"}, allowed: a list'],
    [{ discovery: true }, 'discovery: found true, allowed: false, a list of'],
    [{ discovery: { nqm: 'a' } }, 'discovery: unknown key "nqm", did you mean "nqn"?'],
    [{ discovery: { nqn: 'a' } }, 'discovery.nqn: found "a", allowed: a name such'],
    [{ discovery: { listeners: [] } }, 'discovery.listeners: found [], allowed: false, or at'],
    [{ discovery: { nqn: NQN }, subsystems: [{ nqn: NQN }] },
      `discovery.nqn: found "${NQN}", allowed: a name that no subsystem has`],
    [{ announce: 'yes' }, 'announce: found "yes", allowed: true or false'],
    [{ register: [{ address: 'cdc' }] }, 'register[0].address: found "cdc", allowed: a numeric'],
    [{ register: [{ address: '::1' }, { address: '::1' }] }, 'each address and port once'],
    [{ referrals: [{ address: '::' }] }, 'referrals[0].address: found "::", allowed: a numeric'],
    [{ referrals: [{ address: '::1', port: 0 }] }, 'referrals[0].port: found 0, allowed: a whole'],
    [{ referrals: [{ address: '::1', subnqn: 'x' }] }, 'referrals[0].subnqn: found "x"'],
    [{ referrals: [{ address: '::1' }, { address: '::1' }] }, 'each address and port once'],
    [{ cpus: [1, 1] }, 'cpus[1]: found 1, allowed: each processor once'],
    [{ cpus: [1, 2], reactors: 3 }, 'cpus: found [1,2], allowed: 3 processors'],
    [{ limits: { maxTransfer: '3M' } }, 'limits.maxTransfer: found "3M", allowed: a size'],
    [{ limits: { inCapsule: 1000 } }, 'limits.inCapsule: found 1000, allowed: a size'],
    [{ limits: { connections: 8, ioQueues: 8 } }, 'limits.ioQueues: found 8, allowed: less than'],
    [{ listeners: [{ address: '::', port: 1 }, { address: '::', port: 1 }] },
      'listeners[1]: found ":: 1", allowed: each address and port once'],
    [{ subsystems: [{ nqn: NQN }, { nqn: NQN }] }, `subsystems[1].nqn: found "${NQN}", allowed`],
    [{ subsystems: [{}, {}] }, 'subsystems[1].nqn: found "left out more than once"'],
    [{ subsystems: [{ label: 'x'.repeat(257) }] }, 'subsystems[0].label: found'],
    [{ subsystems: [{ label: 'caf\u00e9' }] }, 'allowed: 1 to 256 printable ASCII'],
    [{ subsystems: [{ serial: 'x'.repeat(21) }] }, 'subsystems[0].serial: found "xxx'],
    [{ subsystems: [{ nqn: 'nqn.2014-08.org.nvmexpress.discovery' }] }, 'subsystems[0].nqn: found'],
  ])('%j', (input, sentence) => {
    expect(mistakesOf({ subsystems: [], ...input }).join('\n')).toContain(sentence)
  })

  test.each([
    [{ memory: '1M', file: 'a' }, 'found ["memory","file"], allowed: exactly one of'],
    [{ memory: '1M', size: '1M' }, '.size: found "1M", allowed: nothing: "memory" is the size'],
    [{ device: '/dev/x', size: '1M' }, '.size: found "1M", allowed: nothing: a device has its size'],
    [{ file: 'a', create: true }, '.size: found nothing, allowed: the size of the file to create'],
    [{ file: 'a', size: '1M', create: true, readOnly: true }, '.create: found true, allowed: false'],
    [{ memory: 5000 }, '.memory: found 5000, allowed: a multiple of the block size, 512 bytes'],
    [{ memory: '4608', block: 4096 }, '.memory: found "4608", allowed: a multiple of the block'],
    [{ memory: '1M', block: 1024 }, '.block: found 1024, allowed: 512 or 4096'],
    [{ memory: '1M', nsid: 0 }, '.nsid: found 0, allowed: a whole number from 1 to 1024'],
    [{ memory: '1M', uuid: 'x' }, '.uuid: found "x", allowed: a UUID'],
    [{ memory: '1M', nguid: '0'.repeat(32) }, '.nguid: found "0000'],
  ])('of a namespace: %j', (namespace, sentence) => {
    expect(mistakesOf(withNamespaces(namespace)).join('\n')).toContain(sentence)
  })

  test.each<[Record<string, unknown>[], string]>([
    [[{ minCntlid: 9, maxCntlid: 8 }], 'subsystems[0].maxCntlid: found 8, allowed: at least minCntlid (9)'],
    [[{ minCntlid: 0 }], 'subsystems[0].minCntlid: found 0, allowed: a whole number from 1 to 65519'],
    [[{ controllers: 'static' }], 'subsystems[0].controllers: found "static", allowed: together with'],
    [[{ controllers: 'some' }], 'subsystems[0].controllers: found "some", allowed: "dynamic" or "static"'],
    [[{ controllers: 'static', minCntlid: 5, maxCntlid: 9 }, { controllers: 'static', minCntlid: 9, maxCntlid: 9 }],
      'subsystems[1].minCntlid: found 9, allowed: above 9, as 5 to 9 are those of another subsystem'],
    [[{ controllers: 'static', minCntlid: 5, maxCntlid: 9 }, { minCntlid: 6, maxCntlid: 8 }],
      'subsystems[1].maxCntlid: found 8, allowed: more: all from 6 to 8 are static controllers'],
  ])('CNTLIDs: %j', (subsystems, sentence) => {
    const named = subsystems.map((each, index) => ({ nqn: `${NQN}${index}`, ...each }))
    expect(mistakesOf({ subsystems: named }).join('\n')).toContain(sentence)
  })

  test.each<[Record<string, unknown>, string]>([
    [{ listeners: [{ address: '::1', ana: 'best' }] }, 'listeners[0].ana: found "best", allowed: one of "optimized"'],
    [{ listeners: [{ address: '::1', ana: { 0: 'change' } }] }, 'listeners[0].ana'],
    [{ listeners: [{ address: '::1', ana: { 129: 'change' } }] }, 'listeners[0].ana'],
    [{ discovery: [{ address: '::1', ana: 'change' }] }, 'discovery'],
    [withNamespaces({ memory: '1M', anaGroup: 129 }), '.anaGroup: found 129, allowed: a whole number from 1 to 128'],
  ])('asymmetric access: %j', (input, sentence) => {
    expect(mistakesOf({ subsystems: [], ...input }).join('\n')).toContain(sentence)
  })

  test('4096 connections of depth 1024 fit a reactor', () => {
    const limits = { connections: 4096, queueDepth: 1024 }
    expect(read({ subsystems: [], limits }).limits).toMatchObject(limits)
  })

  test.each<[Record<string, unknown>, RegExp]>([
    [{ connections: 4096, inCapsule: '256K' }, /^limits\.connections: found 4096, allowed: at most 8\d\d: a reactor has 2 GiB, and each connection takes 2\.25 MiB of it with a queueDepth of 1024 and 256 KiB inCapsule/],
    [{ connections: 1, buffers: '2031M', inCapsule: '256K' }, /^limits\.buffers: found "1\.98 GiB", allowed: less: a reactor has 2 GiB/],
  ])('what does not fit a reactor: %j', (limits, sentence) => {
    expect(mistakesOf({ subsystems: [], limits }).join('\n')).toMatch(sentence)
  })

  test('two namespaces with one number, identifier or medium', () => {
    const uuid = '6c1e7c2e-4f4b-8a6b-9d3e-0f5a7b1c2d3e'
    const found = mistakesOf({ subsystems: [
      { nqn: NQN, namespaces: [{ nsid: 1, file: 'a', uuid }, { nsid: 1, memory: '1M' }] },
      { nqn: `${NQN}2`, namespaces: [{ nsid: 1, file: 'a' },
        { memory: '1M', uuid: uuid.toUpperCase() }] },
    ] })
    expect(found.map((line) => line.split(':')[0])).toEqual([
      'subsystems[0].namespaces[1].nsid', 'subsystems[1].namespaces[1].uuid',
      'subsystems[1].namespaces[0].file',
    ])
  })

  test.each([[null], [[]], ['text'], [7]])('%j is no configuration', (input) => {
    expect(mistakesOf(input)[0]).toMatch(/^\(top level\): found .*, allowed: an object with/)
  })
})
