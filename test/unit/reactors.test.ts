/**
 * Reactors that die: who takes their place, what he is told, and what of the one before never reaches him.
 */
import { EventEmitter } from 'node:events'
import { describe, expect, test } from 'vitest'
import { DEATHS_MAX, DEATHS_MS, Reactors, type ReactorHandle, type Said } from '../../src/reactors.ts'
import { indexOf } from '../../src/reactor/number.ts'
import type { ReactorSetup, ToControl, ToReactor } from '../../src/reactor/messages.ts'

class Worker extends EventEmitter {
  readonly setup: ReactorSetup
  readonly #received: ToReactor[] = []
  constructor(setup: ReactorSetup) {
    super()
    this.setup = setup
  }
  postMessage(message: ToReactor): void {
    this.#received.push(message)
  }
  /** What it was sent since this was asked last, without what tells it to rest. */
  take(): ToReactor[] {
    return this.#received.splice(0)
  }
}

const setupOf = (reactor: number) =>
  ({ reactor, target: { generation: 1 }, rights: [{ uuid: 'u1', rights: { full: ['h'], othersRead: true } }] }) as unknown as ReactorSetup

function rig(count = 2) {
  const workers = Array.from({ length: count }, (_, index) => new Worker(setupOf(index)))
  const started: Worker[] = []
  const said: [Said, number][] = []
  const lost: number[] = []
  const told: string[] = []
  const clock = { ms: 0 }
  let failure = ''
  const log = { failure: (text: string) => told.push(text), notice: (text: string) => told.push(text), warning: () => {} }
  const reactors = new Reactors({
    handles: workers.map((worker, index) => ({ worker, shim: 70 + index, engine: 1, setup: worker.setup }) as unknown as ReactorHandle),
    shim: { wake: () => 0 }, log, nowMs: () => clock.ms,
    receive: (message, index) => said.push([message, index]),
    lost: (number) => lost.push(number), ended: () => told.push('ended'),
    start: (setup) => {
      started.push(new Worker(setup))
      return started.at(-1)! as never
    },
  })
  void reactors.failed.then(({ message }) => { failure = message })
  const die = (worker: Worker, reason = 'an invariant'): void => {
    worker.emit('message', { type: 'died', reason, stack: '' } satisfies ToControl)
    worker.emit('message', { type: 'buried' } satisfies ToControl)
  }
  const up = (worker: Worker): void => void worker.emit('message', { type: 'up', engine: 1, shim: 90 })
  const failed = async (): Promise<string> => {
    await Promise.resolve()
    return failure
  }
  return { reactors, workers, started, said, lost, told, clock, die, up, failed }
}

describe('one that died', () => {
  test('is replaced; what is for it never reaches its successor', () => {
    const { reactors, workers, started, lost, die } = rig()
    die(workers[1]!)
    expect(lost).toEqual([1])
    expect(workers[1]!.take()).toEqual([{ type: 'stop', drainMs: 0 }])
    reactors.post(1, { type: 'aborted', slot: 4, done: true })
    expect(started[0]!.take()).toEqual([])
    const number = [reactors.choose(), reactors.choose()].find((each) => indexOf(each) === 1)!
    expect(number).not.toBe(1)
    reactors.post(number, { type: 'aborted', slot: 4, done: true })
    expect(started[0]!.take()).toHaveLength(1)
    expect(workers[1]!.take()).toEqual([])
  })

  test('its successor says its own number, not that of the dead one', () => {
    const { reactors, workers, started, said, die } = rig()
    die(workers[1]!)
    const empty = { type: 'empty', reactor: 1, controller: 0 } as const
    started[0]!.emit('message', empty)
    const [message, index] = said[0] as [typeof empty, number]
    expect([indexOf(message.reactor), index]).toEqual([1, 1])
    expect(message.reactor).not.toBe(1)
    reactors.post(message.reactor, { type: 'emptied', controller: 0 })
    expect(started[0]!.take()).toEqual([{ type: 'emptied', controller: 0 }])
  })

  test('gets no connection while it is being buried', () => {
    const { reactors, workers } = rig()
    workers[0]!.emit('message', { type: 'died', reason: 'r', stack: '' })
    expect([reactors.choose(), reactors.choose()]).toEqual([1, 1])
  })

  test('its end is nobody else\'s, and ends nothing', async () => {
    const { workers, told, die, failed } = rig()
    die(workers[0]!)
    workers[0]!.emit('exit', 0)
    expect(told).toEqual(['Reactor 0 died: an invariant. Its connections end.'])
    expect(await failed()).toBe('')
  })
})

describe('a successor', () => {
  test('starts with what is served and reserved by now, and with what is held', () => {
    const { reactors, workers, started, die } = rig()
    const change = (change: unknown): void => reactors.broadcast({ type: 'change', id: 9, change } as ToReactor)
    const hold = { kind: 'hold', id: 5, namespace: 0, lba: 0, blockCount: 8 }
    change({ kind: 'target', target: { generation: 2 } })
    change({ kind: 'rights', uuid: 'u1', rights: null })
    change({ kind: 'rights', uuid: 'u2', rights: { full: [], othersRead: false } })
    change({ ...hold, id: 4 })
    change(hold)
    change({ kind: 'let-go', id: 4, namespace: 0 })
    die(workers[0]!)
    const { setup } = started[0]!
    expect(setup.target.generation).toBe(2)
    expect(setup.rights).toEqual([{ uuid: 'u2', rights: { full: [], othersRead: false } }])
    expect(setup.reactor).toBe(0)
    expect(started[0]!.take()).toEqual([{ type: 'change', id: 0, change: hold }])
  })

  test('of the first one accepts where it did, once it turns', () => {
    const { reactors, workers, started, told, die, up } = rig()
    for (const listener of [3, 4]) reactors.listen(listener)
    reactors.broadcast({ type: 'change', id: 1, change: { kind: 'unlisten', socket: 3, listener: '', reason: 'its listener was removed' } })
    die(workers[0]!)
    reactors.listen(5)
    expect(started[0]!.take()).toEqual([])
    up(started[0]!)
    expect(started[0]!.take()).toEqual([{ type: 'listen', listener: 4 }, { type: 'listen', listener: 5 }])
    expect(told.at(-1)).toBe('Reactor 0 turns again.')
  })

  test('dies in its turn and is replaced; the one too many within ten minutes is not', async () => {
    const { workers, started, clock, die, up, failed } = rig()
    die(workers[1]!)
    clock.ms = DEATHS_MS
    for (let k = 0; k < DEATHS_MAX; k++) {
      up(started.at(-1)!)
      die(started.at(-1)!, `mistake ${k}`)
    }
    expect(started).toHaveLength(1 + DEATHS_MAX)
    expect(await failed()).toBe('')
    clock.ms += 4000
    die(started.at(-1)!, 'the last straw')
    expect(started).toHaveLength(1 + DEATHS_MAX)
    expect(await failed()).toBe(`reactors died ${DEATHS_MAX + 1} times in 4 s, the last one of: the last straw`)
  })
})

test('one that ends without having been buried takes the daemon with it', async () => {
  const { workers, failed } = rig()
  workers[0]!.emit('error', new Error('out of memory'))
  workers[0]!.emit('exit', 1)
  expect(await failed()).toBe('reactor 0 died: out of memory')
})

test('one that dies while all stop is not replaced, and is not waited for', async () => {
  const { reactors, workers, started, die } = rig()
  const stopped = reactors.stop(1, 60_000)
  die(workers[0]!)
  expect(started).toEqual([])
  for (const worker of workers) worker.emit('exit', 0)
  await stopped
})
