/** serve: what is said, what a signal does, and the exit status, with a target that is not one. */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { SAME_SIGNAL_MS, STOP_MS, serve } from '../../../src/cli/serve.ts'
import type { ServeParts, ServedTarget } from '../../../src/cli/serve.ts'
import type { Config } from '../../../src/config/config.ts'
import { configFromFlags } from '../../../src/config/flags.ts'
import { ConfigError } from '../../../src/config/mistake.ts'
import { StartError } from '../../../src/config/start-error.ts'
import { createLog } from '../../../src/control/log.ts'

const NQN = 'nqn.2026-01.com.example:disks'
const CONFIG = configFromFlags([
  { name: '--nqn', value: NQN }, { name: '--memory', value: '1G' },
  { name: '--file', value: '/srv/disk.img' }, { name: '--listen', value: '127.0.0.1:0' },
])

/** A target whose stop() and failed the test decides, and everything around it. */
class Stage {
  readonly events: string[] = []
  readonly exits: number[] = []
  readonly messages: string[] = []
  printed = ''
  complained = ''
  signal = (_name: string): void => { throw new Error('nobody listens to signals') }
  stop = (): Promise<void> => Promise.resolve()
  hangUp = (): void => { throw new Error('nobody listens to SIGHUP') }
  read = (): Config => CONFIG
  readonly updates: Config[] = []
  /** What the manager of services was told. */
  readonly told: string[] = []
  pulse = (): Promise<void> => Promise.reject(new Error('nobody watches'))
  drop = (): void => {}
  fail = (_error: Error): void => {}
  start: () => Promise<ServedTarget> = () => Promise.resolve(this.target())
  /** Settles when the target is said to be ready. */
  readonly ready: Promise<void>
  readonly #parts: ServeParts

  constructor() {
    let isReady = (): void => {}
    this.ready = new Promise((resolve) => { isReady = resolve })
    this.#parts = {
      startTarget: () => this.start(),
      openControl: () => Promise.resolve({ close: () => Promise.resolve() }),
      log: createLog({
        format: 'json', level: 'info', colour: false,
        write: (line) => {
          const { event, message } = JSON.parse(line) as { event: string; message: string }
          this.messages.push(message)
          this.events.push(event)
          if (event === 'ready') isReady()
        },
      }),
      print: (text) => { this.printed += text },
      complain: (text) => { this.complained += text },
      command: 'weft',
      onSignal: (stop) => {
        this.signal = stop
        return () => { this.signal = () => { throw new Error('signals are no longer listened to') } }
      },
      reload: {
        source: 'weft.json', apply: async (live) => live.update(this.read()),
        onSignal: (again) => {
          this.hangUp = again
          return () => { this.hangUp = () => { throw new Error('nobody reloads any more') } }
        },
      },
      service: {
        ready: (status) => { this.told.push(`ready ${status}`) }, reloading: () => { this.told.push('reloading') },
        stopping: () => { this.told.push('stopping') }, watch: (pulse) => { this.pulse = pulse },
        handOver: (pid) => { this.told.push(`handOver ${pid}`) },
      },
      drop: () => this.drop(),
      nextSuccession: () => new Promise(() => {}), shim: { pass: () => 0 }, arrived: () => Promise.resolve(),
      exit: (status) => { this.exits.push(status) },
    }
  }

  target(): ServedTarget {
    return {
      listeners: [{ address: '127.0.0.1', port: 4444 }],
      discovery: [{ address: '127.0.0.1', port: 8009 }],
      namespaces: [
        { subsystem: NQN, nsid: 1, kind: 'memory', path: '', bytes: 1024 ** 3, blockBytes: 512,
          volatile: true, note: '' },
        { subsystem: NQN, nsid: 2, kind: 'file', path: '/srv/disk.img', bytes: 10 * 1024 ** 3,
          blockBytes: 4096, volatile: false, note: 'without O_DIRECT' },
      ],
      pulse: () => Promise.resolve(),
      engine: 'io_uring', reactors: 2, cpus: [2, 3],
      stopForNext: () => Promise.resolve([]), inheritance: [],
      live: {
        config: CONFIG,
        update: (config) => {
          this.updates.push(config)
          return Promise.resolve(['reactors'])
        },
      },
      stop: () => this.stop(),
      failed: new Promise((resolve) => { this.fail = resolve }),
    }
  }

  run(): Promise<number> {
    return serve(CONFIG, this.#parts)
  }
}

let stage: Stage
beforeEach(() => {
  stage = new Stage()
  vi.useFakeTimers()
})
afterEach(() => { vi.useRealTimers() })

test('a person reads what is served, how to connect, and that memory is lost', async () => {
  const running = stage.run()
  await stage.ready
  expect(stage.printed).toContain(NQN)
  expect(stage.printed).toContain('namespace 1: 1 GiB of memory, blocks of 512 bytes\n')
  expect(stage.printed).toContain(
    'namespace 2: 10 GiB of file /srv/disk.img, blocks of 4096 bytes; without O_DIRECT\n')
  expect(stage.printed).toContain('2 reactors on CPUs 2, 3, io_uring')
  expect(stage.printed).toContain('discovery on 127.0.0.1:8009, 127.0.0.1:4444')
  expect(stage.printed).toContain('modprobe nvme-tcp\n')
  expect(stage.printed).toContain(`  nvme connect -t tcp -a 127.0.0.1 -s 4444 -n ${NQN}\n`)
  expect(stage.printed).toContain('lost when weft stops')
  expect(stage.printed).toContain('weft serve --device')
  stage.signal('SIGTERM')
  expect(await running).toBe(0)
})

test('SIGTERM stops the target, then the status is 0', async () => {
  let stopped = false
  stage.stop = async () => { stopped = true }
  const running = stage.run()
  await stage.ready
  stage.signal('SIGTERM')
  expect(await running).toBe(0)
  expect(stopped).toBe(true)
  expect(stage.events).toEqual(['ready', 'stopping', 'stopped'])
  expect(() => stage.signal('SIGTERM')).toThrow('no longer listened to')
})

test('the manager of services is told each step, and that it reloads', async () => {
  const running = stage.run()
  await stage.ready
  await expect(stage.pulse()).resolves.toBeUndefined()
  stage.hangUp()
  await vi.waitFor(() => expect(stage.told.length).toBe(3))
  stage.signal('SIGTERM')
  expect(await running).toBe(0)
  const serves = 'ready Serves 2 namespaces on 127.0.0.1:4444.'
  expect(stage.told).toEqual([serves, 'reloading', serves, 'stopping'])
})

test('a user that cannot be become stops what has started', async () => {
  let stopped = false
  stage.stop = async () => { stopped = true }
  stage.drop = () => { throw new StartError('Only root can become weft.', '') }
  expect(await stage.run()).toBe(1)
  expect(stage.complained).toContain('Only root can become weft.')
  expect({ stopped, told: stage.told }).toEqual({ stopped: true, told: [] })
})

describe('a second signal', () => {
  test('ends the process at once', async () => {
    stage.stop = () => new Promise(() => {})
    const running = stage.run()
    await stage.ready
    stage.signal('SIGINT')
    await vi.advanceTimersByTimeAsync(SAME_SIGNAL_MS + 1)
    expect(stage.exits).toEqual([])
    stage.signal('SIGINT')
    expect(stage.exits).toEqual([130])
    await vi.advanceTimersByTimeAsync(STOP_MS)
    await running
  })

  test('that comes with the first one is the same', async () => {
    let stopped = (): void => {}
    stage.stop = () => new Promise((resolve) => { stopped = resolve })
    const running = stage.run()
    await stage.ready
    stage.signal('SIGINT')
    await vi.advanceTimersByTimeAsync(SAME_SIGNAL_MS - 1)
    stage.signal('SIGINT')
    expect(stage.exits).toEqual([])
    stopped()
    expect(await running).toBe(0)
  })
})

test('a target that does not stop is left behind, within 5 seconds, with status 1', async () => {
  stage.stop = () => new Promise(() => {})
  const running = stage.run()
  await stage.ready
  stage.signal('SIGTERM')
  await vi.advanceTimersByTimeAsync(5000)
  expect(await running).toBe(1)
  expect(stage.events).toEqual(['ready', 'stopping', 'failure'])
})

test('a target that fails is stopped, with status 1', async () => {
  const running = stage.run()
  await stage.ready
  stage.fail(new Error('a reactor died'))
  expect(await running).toBe(1)
  expect(stage.events).toEqual(['ready', 'failure', 'stopping', 'stopped'])
})

test('a target that cannot start is a sentence and its remedy, with status 1', async () => {
  stage.start = () => Promise.reject(new StartError('Port 4420 is taken.', 'Choose another.'))
  expect(await stage.run()).toBe(1)
  expect(stage.complained).toBe('weft cannot start: Port 4420 is taken.\nChoose another.\n')
  expect(stage.events).toEqual([])
})

test('a signal while starting stops what has started', async () => {
  let started = (_target: ServedTarget): void => {}
  stage.start = () => new Promise((resolve) => { started = resolve })
  let stopped = false
  stage.stop = async () => { stopped = true }
  const running = stage.run()
  stage.signal('SIGTERM')
  started(stage.target())
  expect(await running).toBe(0)
  expect(stopped).toBe(true)
  expect(stage.events).toEqual(['stopping', 'stopped'])
})

describe('SIGHUP', () => {
  const settle = async (): Promise<void> => { await vi.advanceTimersByTimeAsync(0) }

  test('reads the configuration again, and says what takes a new start', async () => {
    const status = stage.run()
    await stage.ready
    expect(stage.updates).toEqual([])
    stage.hangUp()
    await settle()
    expect(stage.updates).toEqual([CONFIG])
    expect(stage.messages.slice(-2)).toEqual([
      'reactors is different in weft.json now; that takes effect when weft is started again.',
      'weft.json was read again: what it says is served.',
    ])
    stage.signal('SIGTERM')
    expect(await status).toBe(0)
    expect(() => stage.hangUp()).toThrow('nobody reloads any more')
  })

  test('before it serves is done when it does', async () => {
    let started = (_target: ServedTarget): void => {}
    stage.start = () => new Promise((resolve) => { started = resolve })
    const status = stage.run()
    await settle()
    stage.hangUp()
    await settle()
    expect(stage.updates).toEqual([])
    started(stage.target())
    await stage.ready
    await settle()
    expect(stage.updates).toEqual([CONFIG])
    stage.signal('SIGTERM')
    expect(await status).toBe(0)
  })

  test.each([
    [new StartError('There is no configuration file weft.json.', 'Name one.'), [
      'weft.json was read again, but nothing was changed: There is no configuration file weft.json. Name one.',
    ]],
    [new ConfigError('weft.json', [
      { path: ['reactors'], sentence: 'found 0, allowed: 1' }, { path: ['subsystems', 0], sentence: 'found 7, allowed: an object' },
    ]), [
      'weft.json: 2 mistakes; nothing was changed.', 'reactors: found 0, allowed: 1.',
      'subsystems[0]: found 7, allowed: an object.',
    ]],
  ])('with a file that cannot be used changes nothing: %s', async (error, expected) => {
    stage.read = () => { throw error }
    const status = stage.run()
    await stage.ready
    stage.hangUp()
    await settle()
    expect(stage.updates).toEqual([])
    expect(stage.messages.slice(-expected.length)).toEqual(expected)
    stage.signal('SIGTERM')
    expect(await status).toBe(0)
  })
})
