/** Differences: what a running target takes over, and what becomes of a namespace. */
import { describe, expect, test } from 'vitest'
import type { Config, NamespaceConfig } from '../../../src/config/config.ts'
import { changeable, fateOf, fixedDifferences } from '../../../src/config/difference.ts'
import { readConfig } from '../../../src/config/read.ts'

const NQN = 'nqn.2026-01.com.example:disks'
const AROUND = { machineId: 'm', cpuCount: 4, folder: '/etc', state: '/var/lib/weft' }
const config = (more: object = {}, subsystem: object = {}): Config => readConfig({
  subsystems: [{ nqn: NQN, namespaces: [{ memory: '1G' }], ...subsystem }], ...more,
}, 'weft.json', AROUND)

describe('what takes a new start', () => {
  test('is named as it is written, and stays as it is', () => {
    const before = config()
    const after = config({
      reactors: 2, poll: true, engine: 'epoll', limits: { queueDepth: 64, ioQueues: 3 }, state: '/srv/state',
      discovery: { nqn: 'nqn.2026-01.com.example:discovery' },
      listeners: [{ address: '127.0.0.1', port: 4444 }],
    }, { serial: 'OTHER', model: 'Other', hosts: ['nqn.2026-01.com.example:host'] })
    expect(fixedDifferences(before, after)).toEqual([
      'reactors', 'poll', 'engine', 'state', 'limits.queueDepth', 'limits.ioQueues', 'discovery.nqn',
      `serial of ${NQN}`, `model of ${NQN}`,
    ])
    const served = changeable(before, after)
    expect(fixedDifferences(before, served)).toEqual([])
    expect(served).toMatchObject({
      listeners: [{ address: '127.0.0.1', port: 4444 }],
      subsystems: [{ hosts: ['nqn.2026-01.com.example:host'], model: 'weft' }],
    })
  })

  test('is nothing of what can be changed, nor of a subsystem that is new', () => {
    const after = config({
      listeners: [{ address: '0.0.0.0' }], subsystems: [{ nqn: `${NQN}-2`, serial: 'NEW', namespaces: [] }],
    })
    expect(fixedDifferences(config(), after)).toEqual([])
    expect(changeable(config(), after).subsystems[0]!.serial).toBe('NEW')
  })
})

describe('a namespace', () => {
  const namespace = (written: object): NamespaceConfig => config({}, { namespaces: [written] }).subsystems[0]!.namespaces[0]!
  test.each([
    ['the same', { memory: '1G' }, { memory: '1G' }, 'same'],
    ['its size written otherwise', { memory: '1G' }, { memory: '1024M' }, 'same'],
    ['that may be created or not', { file: 'a', size: '1G' }, { file: 'a', size: '1G', create: false }, 'same'],
    ['in another ANA group', { memory: '1G' }, { memory: '1G', anaGroup: 2 }, 'same'],
    ['of another size', { memory: '1G' }, { memory: '2G' }, 'resized'],
    ['a file of another size', { file: 'a', size: '2G' }, { file: 'a', size: '1G' }, 'resized'],
    ['a file whose size is its own now', { file: 'a', size: '2G' }, { file: 'a', create: false }, 'resized'],
    ['of another kind', { memory: '1G' }, { null: '1G' }, 'replaced'],
    ['in another file', { file: 'a' }, { file: 'b' }, 'replaced'],
    ['with other blocks', { memory: '1G' }, { memory: '1G', block: 4096 }, 'replaced'],
    ['read-only', { file: 'a' }, { file: 'a', readOnly: true }, 'replaced'],
    ['with another name', { memory: '1G' }, { memory: '1G', uuid: '6c1e7c2e-4f4b-8a6b-9d3e-0f5a7b1c2d3e' }, 'replaced'],
  ])('%s', (_name, before, after, fate) => {
    expect(fateOf(namespace(before), namespace(after))).toBe(fate)
  })
})
