/**
 * The live changes of a target within this process, one by one: what each makes of its configuration and of
 * what is open, and which mistakes are refused.
 */
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Config, NamespaceConfig } from '../../src/config/config.ts'
import { readConfig } from '../../src/config/read.ts'
import type { Log } from '../../src/control/log.ts'
import { startTarget, type Target } from '../../src/target.ts'

const NQN = 'nqn.2026-01.com.example:disks'
const OTHER = 'nqn.2026-01.com.example:other'
const HERE = { address: '127.0.0.1', port: 0 }
const THERE = { address: '127.0.0.2', port: 0 }
const MIB = 1 << 20
const folder = mkdtempSync(join(tmpdir(), 'weft-live-'))
const log = new Proxy({}, { get: () => () => {} }) as Log

const config = (namespaces: object[], nqn = NQN): Config => readConfig({
  reactors: 2, discovery: false, listeners: [HERE], limits: { connections: 8, buffers: '16M' },
  subsystems: [{ nqn, namespaces }],
}, 'weft.json', { machineId: 'm', cpuCount: 2, folder, state: join(folder, 'state') })
const namespace = (written: object): NamespaceConfig => config([written]).subsystems[0]!.namespaces[0]!

const START = config([{ memory: '4M' }])
let target: Target

beforeAll(async () => { target = await startTarget(START, log) })
afterAll(async () => {
  await target.stop()
  rmSync(folder, { recursive: true })
})
beforeEach(() => target.live.update(START))

const present = (): [nsid: number, bytes: number][] => target.namespaces.map(({ nsid, bytes }) => [nsid, bytes])

describe('namespaces', () => {
  test('are added, resized and removed', async () => {
    const { live } = target
    await live.addNamespace(NQN, namespace({ nsid: 3, file: 'disk', size: '1M' }))
    await live.addNamespace(NQN, namespace({ nsid: 2, null: '1G' }))
    expect(live.config.subsystems[0]!.namespaces.map(({ nsid }) => nsid)).toEqual([1, 2, 3])
    await live.resizeNamespace(NQN, 3, 2 * MIB)
    await live.resizeNamespace(NQN, 1, MIB)
    expect(present().toSorted()).toEqual([[1, MIB], [2, 1024 * MIB], [3, 2 * MIB]])
    expect(statSync(join(folder, 'disk')).size).toBe(2 * MIB)
    await live.removeNamespace(NQN, 3)
    await live.removeNamespace(NQN, 1)
    expect(present()).toEqual([[2, 1024 * MIB]])
  })

  test('many times, with numbers that are used again', async () => {
    const { live } = target
    for (let k = 0; k < 100; k += 1) {
      const changes = [
        live.addNamespace(NQN, namespace({ nsid: 2, memory: '1M' })), live.resizeNamespace(NQN, 2, 2 * MIB),
        live.removeNamespace(NQN, 2),
      ]
      await Promise.all(changes)
    }
    expect(present()).toEqual([[1, 4 * MIB]])
  })

  test.each([
    ['there already', () => target.live.addNamespace(NQN, namespace({ nsid: 1, null: '1G' })), 'is there already'],
    ['of nobody', () => target.live.addNamespace(OTHER, namespace({ nsid: 2, null: '1G' })), `There is no subsystem ${OTHER}`],
    ['with the name of another', () => target.live.addNamespace(NQN, { ...namespace({ nsid: 2, null: '1G' }),
      uuid: START.subsystems[0]!.namespaces[0]!.uuid }), 'UUID or NGUID of another'],
    ['not there', () => target.live.removeNamespace(NQN, 7), 'There is no namespace 7'],
    ['not there to be resized', () => target.live.resizeNamespace(NQN, 7, MIB), 'There is no namespace 7'],
    ['of no size', () => target.live.resizeNamespace(NQN, 1, null), 'needs a size'],
    ['of more memory than there can be', () => target.live.resizeNamespace(NQN, 1, 2 ** 50), 'ENOMEM'],
    ['in a file that is not there', () => target.live.addNamespace(NQN, namespace({ nsid: 2, file: 'missing' })), 'does not exist'],
  ] as const)('refused: %s', async (_name, change, message) => {
    await expect(change()).rejects.toThrow(message)
    expect(present()).toEqual([[1, 4 * MIB]])
    expect(target.live.config).toEqual(START)
  })
})

test('a change that fails does not stop those after it', async () => {
  const { live } = target
  const [failed, done] = await Promise.allSettled([
    live.removeNamespace(NQN, 9), live.addNamespace(NQN, namespace({ nsid: 9, null: '1G' })),
  ])
  expect([failed.status, done.status]).toEqual(['rejected', 'fulfilled'])
  expect(present().map(([nsid]) => nsid)).toEqual([1, 9])
})

test('subsystems and their hosts', async () => {
  const { live } = target
  const subsystem = config([{ null: '1G' }], OTHER).subsystems[0]!
  await live.addSubsystem(subsystem)
  await expect(live.addSubsystem(subsystem)).rejects.toThrow('There is a subsystem')
  await live.allowHosts(OTHER, ['nqn.2026-01.com.example:host'])
  expect(live.config.subsystems[1]!.hosts).toEqual(['nqn.2026-01.com.example:host'])
  await live.allowHosts(OTHER, null)
  await live.removeSubsystem(OTHER)
  await expect(live.removeSubsystem(OTHER)).rejects.toThrow('There is no subsystem')
  await expect(live.allowHosts(OTHER, null)).rejects.toThrow('There is no subsystem')
  expect(live.config.subsystems.map(({ nqn }) => nqn)).toEqual([NQN])
})

test('listeners, for all or for discovery alone', async () => {
  const { live } = target
  await live.addListener(THERE)
  await live.addListener(THERE, true)
  expect([target.listeners.length, target.discovery.length]).toEqual([2, 1])
  const { port } = target.listeners[1]!
  await expect(live.addListener({ ...THERE, port })).rejects.toThrow('Another program listens')
  await live.removeListener(THERE)
  expect([target.listeners.map(({ address }) => address), target.discovery]).toEqual([['127.0.0.1'], []])
  await live.addListener({ ...THERE, port })
  await expect(live.addListener({ ...THERE, port })).rejects.toThrow('listens on')
  await live.removeListener({ ...THERE, port })
  await expect(live.removeListener({ ...THERE, port })).rejects.toThrow('There is no listener')
})
