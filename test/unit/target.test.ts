/**
 * The target as a whole, within this process: what it says of itself, and that a start that fails and
 * a stop give everything back.
 */
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, describe, expect, test } from 'vitest'
import type { Config, NamespaceConfig } from '../../src/config/config.ts'
import { StartError } from '../../src/config/start-error.ts'
import type { Log } from '../../src/control/log.ts'
import { ANY_CONTROLLER } from '../../src/subsystem/subsystem.ts'
import { startTarget, version, type Target } from '../../src/target.ts'

const folder = mkdtempSync(join(tmpdir(), 'weft-target-'))
const running = new Set<Target>()
const servers = new Set<net.Server>()
afterAll(() => rmSync(folder, { recursive: true }))
afterEach(async () => {
  for (const target of running) await target.stop()
  for (const server of servers) server.close()
  running.clear()
  servers.clear()
})

const MIB = 1 << 20
const file = (name: string): NamespaceConfig['backing'] =>
  ({ kind: 'file', path: join(folder, name), bytes: MIB, create: true })

function config(backing: NamespaceConfig['backing'], more: Partial<Config> = {}): Config {
  return {
    reactors: 1, cpus: null, poll: false, engine: 'auto',
    limits: {
      connections: 8, queueDepth: 128, ioQueues: 4, inCapsuleBytes: 8192, maxTransferBytes: MIB, bufferBytes: 16 * MIB,
    },
    listeners: [{ address: '127.0.0.1', port: 0 }], discovery: [], discoveryRequired: false,
    control: { path: null, required: false },
    discoveryService: {
      nqn: 'nqn.2014-08.org.nvmexpress.discovery', hosts: null, keys: [], central: false, referrals: [],
      announce: false, register: [],
    },
    state: join(folder, 'state'),
    subsystems: [{
      nqn: 'nqn.2026-01.com.example:disks', serial: 'S', model: 'M', hosts: null, keys: [],
      controllers: ANY_CONTROLLER,
      namespaces: [{ nsid: 1, backing, blockBytes: 512, uuid: '', nguid: '', readOnly: false, anaGroup: 1 }],
    }],
    ...more,
  }
}

/** Lines of the log, by event. */
function journal(): { log: Log; told: string[] } {
  const told: string[] = []
  const log = new Proxy({}, { get: (_target, event: string) => (what: unknown) => {
    told.push(typeof what === 'string' ? `${event}: ${what}` : event)
  } })
  return { log: log as Log, told }
}

async function start(backing: NamespaceConfig['backing'], more: Partial<Config> = {}) {
  const { log, told } = journal()
  const target = await startTarget(config(backing, more), log)
  running.add(target)
  return { target, told }
}

async function stop(target: Target): Promise<void> {
  running.delete(target)
  await target.stop()
}

/** A port that somebody else listens on. */
async function takenPort(): Promise<number> {
  const server = net.createServer()
  servers.add(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return (server.address() as net.AddressInfo).port
}

/** How a TCP connection to it ends. */
const connecting = (port: number): Promise<string> => new Promise((resolve) => {
  const socket = net.connect({ host: '127.0.0.1', port })
  socket.once('connect', () => resolve('connected'))
  socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? ''))
})

test('what it says of itself', async () => {
  const { target, told } = await start(file('facts'), { reactors: 2 })
  expect(target).toMatchObject({
    reactors: 2, discovery: [],
    namespaces: [{
      subsystem: 'nqn.2026-01.com.example:disks', nsid: 1, kind: 'file', path: join(folder, 'facts'), bytes: MIB,
      blockBytes: 512, volatile: false,
    }],
  })
  expect(target.listeners[0]!.port).toBeGreaterThan(0)
  expect(['io_uring', 'epoll']).toContain(target.engine)
  expect(told).toContain('listening')
  expect(statSync(join(folder, 'facts')).size).toBe(MIB)
  expect(version()).toMatch(/^\d+\.\d+\.\d+/)
})

test('memory is lost when it stops, and it says so', async () => {
  const { target } = await start({ kind: 'memory', bytes: MIB })
  expect(target.namespaces).toMatchObject([{ kind: 'memory', path: '', volatile: true }])
})

describe('stopping', () => {
  test('closes its ports and unlocks its files, with a host connected', async () => {
    const first = await start(file('again'))
    const { port } = first.target.listeners[0]!
    const socket = net.connect({ host: '127.0.0.1', port })
    const ended = new Promise((resolve) => socket.once('close', resolve))
    socket.on('error', () => {})
    socket.resume()
    await new Promise((resolve) => socket.once('connect', resolve))
    await stop(first.target)
    await ended
    expect(await connecting(port)).toBe('ECONNREFUSED')
    expect(first.told.filter((each) => each.startsWith('failure') || each.startsWith('warning: A reactor'))).toEqual([])
    await start(file('again'))
  })

  test('while it runs, nobody else gets its file', async () => {
    await start(file('locked'))
    await expect(start(file('locked'))).rejects.toThrow('in use by another process')
  })
})

describe('a start that fails', () => {
  test('at a port leaves no file locked', async () => {
    const listeners = [{ address: '127.0.0.1', port: await takenPort() }]
    await expect(start(file('port'), { listeners })).rejects.toThrow(StartError)
    await start(file('port'))
  })

  test('at a processor leaves no port open and no file locked', async () => {
    const probe = await start({ kind: 'null', bytes: MIB })
    const { port } = probe.target.listeners[0]!
    await stop(probe.target)
    const listeners = [{ address: '127.0.0.1', port }]
    await expect(start(file('cpu'), { cpus: [1023], listeners })).rejects.toThrow('processor 1023')
    expect(await connecting(port)).toBe('ECONNREFUSED')
    await start(file('cpu'))
  })

  test('at the second file leaves the first unlocked', async () => {
    const { subsystems } = config(file('first'))
    const second = { ...subsystems[0]!.namespaces[0]!, nsid: 2, backing: file('no such folder/second') }
    const both = [{ ...subsystems[0]!, namespaces: [subsystems[0]!.namespaces[0]!, second] }]
    await expect(start(file('first'), { subsystems: both })).rejects.toThrow('does not exist')
    await start(file('first'))
  })
})

describe('a discovery port that is taken', () => {
  test('is done without, where nobody asked for it', async () => {
    const { target, told } = await start({ kind: 'null', bytes: MIB }, {
      discovery: [{ address: '127.0.0.1', port: await takenPort() }],
    })
    expect(target.discovery).toEqual([])
    expect(told.some((each) => each.startsWith('warning') && each.includes('Discovery'))).toBe(true)
  })

  test('is a reason not to start, where somebody did', async () => {
    const discovery = [{ address: '127.0.0.1', port: await takenPort() }]
    await expect(start({ kind: 'null', bytes: MIB }, { discovery, discoveryRequired: true })).rejects.toThrow(StartError)
  })
})
