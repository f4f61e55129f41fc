/**
 * The control plane against reactors that are event emitters: messages in, messages out.
 */
import { EventEmitter } from 'node:events'
import { describe, expect, test, vi } from 'vitest'
import { Keys } from '../../src/auth/keys.ts'
import { ControlPlane, type ControlPlaneParts } from '../../src/control-plane.ts'
import type { Log } from '../../src/control/log.ts'
import { Newcomers } from '../../src/control/newcomers.ts'
import { Lives } from '../../src/controller/lives.ts'
import { CONTROLLER_STATE, ROW } from '../../src/controller/shared.ts'
import type { JoinRequest, ToControl, ToReactor } from '../../src/reactor/messages.ts'
import { Access } from '../../src/subsystem/access.ts'
import { HOST, HOST_ID, LIMITS, sharedBlock, subsystemSnapshot } from './controller/association.ts'

const SUBSYSTEM = subsystemSnapshot({ endpoints: [{ address: '127.0.0.1', port: 4420 }] })
const REMOTE = '192.0.2.7:1000'
const INVALID_PARAMETERS = 0x182
const LISTENER = { socket: 3, wanted: { address: '0.0.0.0', port: 0 }, endpoint: { address: '0.0.0.0', port: 4420 }, discoveryOnly: false }
const DISCOVERY_LISTENER = { ...LISTENER, socket: 4, discoveryOnly: true }

class Reactor extends EventEmitter {
  readonly received: ToReactor[] = []
  terminated = 0
  postMessage(message: ToReactor): void {
    this.received.push(message)
  }
  terminate(): void {
    this.terminated++
    this.emit('exit', 1)
  }
  /** What it was sent since this was asked last. */
  take(): ToReactor[] {
    return this.received.splice(0)
  }
}

function rig(count = 2) {
  const reactors = Array.from({ length: count }, () => new Reactor())
  const shared = sharedBlock(count)
  const told: { event: string; facts: Record<string, unknown> }[] = []
  const log = new Proxy({}, {
    get: (_target, event: string) => (facts: Record<string, unknown>) => told.push({ event, facts }),
  })
  const [woken, closed]: [number[], number[]] = [[], []]
  const shim = {
    wake: (id: number) => woken.push(id),
    socketClose: (socket: number) => closed.push(socket),
    address: (_socket: number, remote: boolean) => remote ? '2001:db8::7 1000' : '192.0.2.1 4420',
  }
  const access = new Access(
    {
      generation: 1, firmware: '', subsystems: [SUBSYSTEM],
      discovery: { referrals: [], registered: [], ports: [] },
    }, 4,
    {
      enabled: (controller) => shared.words[shared.row(controller) + ROW.STATE] === CONTROLLER_STATE.READY,
      granted: () => 8,
    },
  )
  const listeners = {
    all: [LISTENER, DISCOVERY_LISTENER],
    find: (socket: number) => [LISTENER, DISCOVERY_LISTENER].find((each) => each.socket === socket),
  }
  const kept: [nqn: string, running: boolean][] = []
  const lives = new Lives({
    shared, subsystemsMax: LIMITS.subsystems, firmware: '1.2.3', uptimeMs: () => 0, nowMs: () => 1_000_000,
    health: { load: () => null, save: async (nqn, { running }) => { kept.push([nqn, running]) } },
    events: { load: () => null, save: async () => {} },
  })
  lives.adopt([SUBSYSTEM])
  const forgotten: unknown[] = []
  const registrations = {
    manage: async (...asked: unknown[]) => {
      told.push({ event: 'manage', facts: { asked } })
      return 0x412f
    },
    forget: async (association: unknown) => { forgotten.push(association) },
  }
  const plane = new ControlPlane({
    shim, access, shared, lives, observer: { joined: () => {} }, log, listeners, registrations, keys: new Keys(),
    newcomers: new Newcomers(16, log as unknown as Log),
    reactors: reactors.map((worker, index) => ({ worker, shim: 70 + index, engine: 1 })),
  } as unknown as ControlPlaneParts)
  const send = (message: ToControl, from = 0): void => { reactors[from]!.emit('message', message) }
  const join = (qid: number, from: number, connection: number, more: Partial<JoinRequest> = {}): void => {
    const request = {
      qid, depth: 32, cntlid: qid === 0 ? 0xffff : 1, keepAliveMs: 5000, flowControlOff: true,
      hostNqn: HOST, hostId: HOST_ID, subsystemNqn: SUBSYSTEM.nqn, ...more,
    }
    send({
      type: 'join', reactor: from, slot: 40 + connection, request, remote: REMOTE, listener: '127.0.0.1 4420', discoveryOnly: false,
      connection, serial: 1,
    }, from)
  }
  const gone = (from: number, connection: number, reason = ''): void =>
    send({ type: 'gone', reactor: from, connection, serial: 1, remote: REMOTE, reason }, from)
  const ready = (): void => { shared.words[shared.row(0) + ROW.STATE] = CONTROLLER_STATE.READY }
  const takeAll = (): ToReactor[][] => reactors.map((reactor) => reactor.take())
  /** The usual: an admin queue on reactor 0, one I/O queue on each. */
  const associate = (): void => {
    join(0, 0, 0)
    ready()
    join(1, 0, 1)
    join(2, 1, 2)
    takeAll()
    told.length = 0
  }
  const events = (): string[] => told.map(({ event }) => event)
  return {
    forgotten,
    plane, reactors, shared, access, kept, told, events, woken, closed, send, join, gone, ready, takeAll, associate,
  }
}

describe('connections', () => {
  test('every message is followed by a wake of that reactor', () => {
    const { plane, reactors, woken } = rig()
    plane.listen([LISTENER, DISCOVERY_LISTENER])
    expect(reactors[0]!.take()).toEqual([{ type: 'listen', listener: 3 }, { type: 'listen', listener: 4 }])
    expect(woken).toEqual([70, 70])
  })

  test('go to the reactor that has the fewest', () => {
    const { send, takeAll, gone } = rig()
    for (const socket of [10, 11, 12]) send({ type: 'accepted', listener: 3, socket })
    const adopted = takeAll().map((each) => each.map((message) => message.type === 'adopt' ? message.socket : -1))
    expect(adopted).toEqual([[10, 12], [11]])
    gone(0, 0)
    gone(0, 1)
    for (const socket of [13, 14]) send({ type: 'accepted', listener: 3, socket })
    expect(takeAll().map((each) => each.length)).toEqual([2, 0])
  })

  test('come with their addresses, and with what their port leads to', () => {
    const { send, reactors } = rig(1)
    send({ type: 'accepted', listener: 4, socket: 10 })
    expect(reactors[0]!.take()).toEqual([{
      type: 'adopt', socket: 10, local: { address: '192.0.2.1', port: 4420 }, remote: '[2001:db8::7]:1000',
      listener: '0.0.0.0 4420', discoveryOnly: true,
    }])
  })

  test('one from a listener that is closed is closed', () => {
    const { send, closed, takeAll } = rig()
    send({ type: 'accepted', listener: 9, socket: 10 })
    expect(closed).toEqual([10])
    expect(takeAll()).toEqual([[], []])
  })

  test('one that a reactor cannot take counts no more', () => {
    const { send, takeAll, events } = rig()
    send({ type: 'accepted', listener: 3, socket: 10 })
    send({ type: 'gone', reactor: 0, connection: -1, serial: 0, remote: REMOTE, reason: 'all are in use' })
    expect(events()).toEqual(['connectionError'])
    send({ type: 'accepted', listener: 3, socket: 11 })
    expect(takeAll().map((each) => each.length)).toEqual([2, 0])
  })
})

describe('a change', () => {
  const CHANGE = { kind: 'retire', indices: [7] } as const

  test('is done when every reactor has acknowledged it, in whatever order', async () => {
    const { plane, send, takeAll } = rig()
    const done: string[] = []
    const changes = [
      plane.change(CHANGE).then(() => done.push('first')), plane.change(CHANGE).then(() => done.push('second')),
    ]
    expect(takeAll()).toEqual([1, 2].map(() => [
      { type: 'change', id: 1, change: CHANGE }, { type: 'change', id: 2, change: CHANGE },
    ]))
    send({ type: 'changed', id: 1 }, 0)
    send({ type: 'changed', id: 2 }, 1)
    await Promise.resolve()
    expect(done).toEqual([])
    send({ type: 'changed', id: 2 }, 0)
    await changes[1]
    expect(done).toEqual(['second'])
    send({ type: 'changed', id: 1 }, 1)
    await changes[0]
    expect(done).toEqual(['second', 'first'])
  })

  test('is over when a reactor has gone, before it or after', async () => {
    const { plane, reactors } = rig()
    const change = plane.change(CHANGE)
    reactors[1]!.emit('exit', 0)
    await change
    await plane.change(CHANGE)
  })
})

describe('ending controllers', () => {
  test('drops all of their queues on every reactor, and is done when the last has gone', async () => {
    const { plane, associate, gone, takeAll, told, events } = rig()
    associate()
    let done = false
    const ending = plane.end(({ hostNqn }) => hostNqn === HOST, 'it is not allowed any more').then(() => { done = true })
    const drop = { type: 'drop', controller: 0, admin: true, reason: 'it is not allowed any more' }
    expect(takeAll()).toEqual([[drop], [drop]])
    gone(0, 0, 'it is not allowed any more')
    gone(0, 1)
    await Promise.resolve()
    expect(done).toBe(false)
    gone(1, 2)
    await ending
    expect(events()).toEqual(['hostDisconnected'])
    expect(told[0]!.facts.reason).toBe('it is not allowed any more')
  })

  test('is done at once where there are none, and with the target', async () => {
    const { plane, associate, reactors } = rig()
    await plane.end(() => true, '')
    associate()
    await plane.end(() => false, '')
    const ending = plane.end(() => true, '')
    reactors[0]!.emit('exit', 0)
    await ending
    await plane.end(() => true, '')
  })

  test('one that ends already is waited for, not dropped again', async () => {
    const { plane, associate, gone, takeAll } = rig()
    associate()
    const endings = [plane.end(() => true, 'first'), plane.end(() => true, 'second')]
    expect(takeAll().map((each) => each.length)).toEqual([1, 1])
    for (const [reactor, connection] of [[0, 0], [0, 1], [1, 2]] as const) gone(reactor, connection)
    await Promise.all(endings)
  })
})

describe('an event', () => {
  const EVENT = { type: 'event', event: 'NAMESPACE_ATTRIBUTES', nsid: 3 }

  test('goes to the reactors of the admin queues that are concerned', () => {
    const { plane, join, associate, takeAll } = rig()
    associate()
    join(0, 1, 9)
    takeAll()
    plane.raise('NAMESPACE_ATTRIBUTES', () => true, 3)
    expect(takeAll()).toEqual([[{ ...EVENT, controller: 0 }], [{ ...EVENT, controller: 1 }]])
    plane.raise('NAMESPACE_ATTRIBUTES', ({ cntlid }) => cntlid === 2, 3)
    expect(takeAll()).toEqual([[], [{ ...EVENT, controller: 1 }]])
  })

  test('not to a controller whose admin queue has gone', () => {
    const { plane, gone, associate, takeAll } = rig()
    associate()
    gone(0, 0)
    takeAll()
    plane.raise('NAMESPACE_ATTRIBUTES', () => true, 3)
    expect(takeAll()).toEqual([[], []])
  })

  test.each([
    [1, [1]], [-1, [0, 1]], [7, []],
  ])('that a reactor raises for controller %i', (controller, told) => {
    const { send, join, associate, takeAll } = rig()
    associate()
    join(0, 1, 9)
    takeAll()
    send({ type: 'raise', controller, subsystem: SUBSYSTEM.nqn, event: 'SMART_SPARE', nsid: 0 })
    expect(takeAll().flat()).toEqual(told.map((each) => ({ type: 'event', controller: each, event: 'SMART_SPARE', nsid: 0 })))
    send({ type: 'raise', controller: -1, subsystem: 'nqn.2026-01.com.example:other', event: 'SMART_SPARE', nsid: 0 })
    expect(takeAll()).toEqual([[], []])
  })
})

describe('Connect', () => {
  test('is answered once, to who asked, with what was asked', () => {
    const { join, reactors, takeAll, events } = rig()
    join(0, 1, 3)
    const [nothing, answers] = takeAll()
    expect(nothing).toEqual([])
    expect(answers).toMatchObject([{
      type: 'joined', slot: 43, connection: 3, serial: 1, request: { qid: 0, keepAliveMs: 5000 },
      outcome: { admitted: true, cntlid: 1, controller: 0, subsystem: SUBSYSTEM.nqn, listener: '127.0.0.1 4420' },
    }])
    expect(events()).toEqual(['hostConnected'])
    expect(reactors[0]!.received).toEqual([])
  })

  test('refused: answered and told', () => {
    const { join, takeAll, events, access } = rig()
    join(0, 0, 3, { subsystemNqn: 'nqn.2026-01.com.example:other' })
    expect(takeAll()[0]).toMatchObject([{
      type: 'joined', outcome: { admitted: false, status: INVALID_PARAMETERS, dw0: 0x10100 },
    }])
    expect(events()).toEqual(['refused'])
    expect(access.controllers).toEqual([])
  })

  test('a new controller finds nothing of the one before in its row, but who it is', () => {
    const { join, shared, kept } = rig()
    shared.words.fill(7, shared.row(0), shared.row(1))
    join(0, 0, 0)
    const row = shared.words.slice(shared.row(0), shared.row(1))
    expect([row[ROW.CNTLID], row[ROW.SUBSYSTEM]]).toEqual([1, 1])
    expect(row.fill(0, ROW.CNTLID, ROW.SUBSYSTEM + 1).every((word) => word === 0)).toBe(true)
    expect(kept, 'from now on there is something to keep').toEqual([[SUBSYSTEM.nqn, true]])
  })

  test('I/O queues are counted in the row, for Set Features', () => {
    const { associate, gone, shared } = rig()
    const queues = (): number => shared.words[shared.row(0) + ROW.IO_QUEUES]!
    associate()
    expect(queues()).toBe(2)
    gone(1, 2)
    expect(queues()).toBe(1)
  })
})

test('what is registered is managed for its host, answered, and forgotten with the association', async () => {
  const { send, join, gone, takeAll, told, forgotten, access } = rig()
  join(0, 0, 0)
  const record = access.get(0)
  takeAll()
  const information = Uint8Array.from([1, 2, 3])
  send({ type: 'manage-discovery', reactor: 0, slot: 9, controller: 0, task: 2, information })
  await Promise.resolve()
  expect(told.at(-1)).toEqual({ event: 'manage', facts: { asked: [
    2, information, record,
  ] } })
  await Promise.resolve()
  expect(takeAll()[0]).toEqual([{ type: 'performed', slot: 9, status: 0x412f }])
  gone(0, 0)
  expect(forgotten).toEqual([record])
})

describe('the end of a controller', () => {
  test('with its admin queue: its I/O queues go on every reactor, one line is told', () => {
    const { associate, gone, takeAll, told, access } = rig()
    associate()
    gone(0, 0)
    const drop = { type: 'drop', controller: 0, admin: false, reason: 'the host disconnected' }
    expect(takeAll()).toEqual([[drop], [drop]])
    gone(0, 1, 'the host disconnected')
    gone(1, 2, 'the host disconnected')
    expect(told).toMatchObject([{ event: 'hostDisconnected', facts: { queues: 2, reason: 'the host disconnected' } }])
    expect(takeAll()).toEqual([[], []])
    expect(access.controllers).toEqual([])
  })

  test('an I/O queue that fails by itself is told, and the rest goes on', () => {
    const { associate, gone, takeAll, told, access } = rig()
    associate()
    gone(1, 2, 'the host reset the connection')
    expect(told).toMatchObject([{ event: 'connectionError', facts: { queue: 2, controller: 1 } }])
    expect(takeAll()).toEqual([[], []])
    expect([...access.get(0)!.queues.keys()]).toEqual([0, 1])
  })

  test('expired: all queues, once, though it is said again', () => {
    const { associate, send, gone, takeAll, events, shared } = rig()
    associate()
    send({ type: 'expire', controller: 0, reason: 'keep alive expired' })
    const drop = { type: 'drop', controller: 0, admin: true, reason: 'keep alive expired' }
    expect(takeAll()).toEqual([[drop], [drop]])
    expect(shared.words[shared.row(0) + ROW.STATE]).toBe(CONTROLLER_STATE.GONE)
    send({ type: 'expire', controller: 0, reason: 'again' })
    expect(takeAll()).toEqual([[], []])
    for (const [reactor, connection] of [[0, 1], [1, 2], [0, 0]]) gone(reactor!, connection!, 'keep alive expired')
    expect(events()).toEqual(['hostDisconnected'])
  })

  test('of one that has gone already: nothing', () => {
    const { send, takeAll } = rig()
    send({ type: 'expire', controller: 0, reason: 'late' })
    send({ type: 'empty', reactor: 0, controller: 0 })
    expect(takeAll()).toEqual([[], []])
  })
})

describe('emptying', () => {
  test('answers at once where there are no I/O queues', () => {
    const { join, send, takeAll } = rig()
    join(0, 1, 0)
    takeAll()
    send({ type: 'empty', reactor: 1, controller: 0 }, 1)
    expect(takeAll()).toEqual([[], [{ type: 'emptied', controller: 0 }]])
  })

  test('answers when the last I/O queue has gone, once, and tells no error', () => {
    const { associate, send, gone, takeAll, events } = rig()
    associate()
    send({ type: 'empty', reactor: 0, controller: 0 })
    expect(takeAll().map((each) => each.map(({ type }) => type))).toEqual([['drop'], ['drop']])
    gone(1, 2, 'the host disabled the controller')
    expect(takeAll()).toEqual([[], []])
    gone(0, 1, 'the host disabled the controller')
    expect(takeAll()).toEqual([[{ type: 'emptied', controller: 0 }], []])
    expect(events()).toEqual([])
  })

  test('asked for twice, as disable after shutdown does, it is answered once', () => {
    const { associate, send, gone, takeAll } = rig()
    associate()
    send({ type: 'empty', reactor: 0, controller: 0 })
    send({ type: 'empty', reactor: 0, controller: 0 })
    takeAll()
    gone(0, 1)
    gone(1, 2)
    expect(takeAll()).toEqual([[{ type: 'emptied', controller: 0 }], []])
  })

  test('the admin queue goes meanwhile: nobody is told, and the row is free', () => {
    const { associate, send, gone, join, ready, takeAll, access } = rig()
    associate()
    send({ type: 'empty', reactor: 0, controller: 0 })
    gone(0, 0)
    takeAll()
    gone(0, 1)
    gone(1, 2)
    expect(takeAll()).toEqual([[], []])
    expect(access.controllers).toEqual([])
    // The next controller with that row is not taken for one that is being emptied.
    join(0, 0, 5)
    ready()
    join(1, 0, 6, { cntlid: 2 })
    takeAll()
    gone(0, 6)
    expect([access.controllers.length, takeAll()]).toEqual([1, [[], []]])
  })
})

describe('Abort', () => {
  const abort = { type: 'abort', reactor: 0, slot: 4, controller: 0, qid: 2, cid: 9 } as const

  test('goes to the reactor of the queue, and its answer back', () => {
    const { associate, send, takeAll } = rig()
    associate()
    send(abort)
    expect(takeAll()).toEqual([[], [{ type: 'abort', replyTo: 0, slot: 4, controller: 0, qid: 2, cid: 9 }]])
    send({ type: 'aborted', replyTo: 0, slot: 4, done: true }, 1)
    expect(takeAll()).toEqual([[{ type: 'aborted', slot: 4, done: true }], []])
  })

  test.each([
    ['a queue that has gone', { qid: 2 }], ['a queue that never was', { qid: 7 }],
    ['a controller that has gone', { controller: 3 }],
  ])('of %s is answered: not aborted', (_what, more) => {
    const { associate, gone, send, takeAll } = rig()
    associate()
    gone(1, 2)
    send({ ...abort, ...more })
    expect(takeAll()).toEqual([[{ type: 'aborted', slot: 4, done: false }], []])
  })
})

describe('what an operator is told', () => {
  test('each failure of a device once', () => {
    const { send, told } = rig()
    const error = {
      type: 'device-error', subsystem: 'nqn.a', nsid: 1, path: '/disk', errno: 5, operation: 'read',
    } as const
    send(error)
    send(error, 1)
    send({ ...error, errno: 28, operation: 'write' })
    expect(told.map(({ facts }) => facts['reason'])).toEqual([
      'read failed with EIO; further ones are not logged', 'write failed with ENOSPC; further ones are not logged',
    ])
  })

  test('statistics of all reactors in one line, in their order', () => {
    const { plane, send, told, takeAll } = rig()
    plane.logStatistics()
    expect(takeAll()).toEqual([[{ type: 'statistics' }], [{ type: 'statistics' }]])
    const facts = { collections: 0, commands: 5, slotsInUse: 0, busyUs: 1, turns: 2 }
    send({ type: 'statistics', reactor: 1, ...facts }, 1)
    expect(told).toEqual([])
    send({ type: 'statistics', reactor: 0, ...facts })
    expect(told).toEqual([{
      event: 'statistics', facts: { reactors: [{ reactor: 0, ...facts }, { reactor: 1, ...facts }] },
    }])
  })

  test('a connection without a queue that ends by itself is nothing; with an error it is told', () => {
    const { gone, events } = rig()
    gone(0, 3)
    expect(events()).toEqual([])
    gone(0, 4, 'no ICReq came')
    expect(events()).toEqual(['connectionError'])
  })
})

describe('stopping', () => {
  test('ends when every reactor has ended', async () => {
    const { plane, reactors, takeAll, send, closed, events } = rig()
    let stopped = false
    const done = plane.stop(1000, 60_000).then(() => { stopped = true })
    expect(takeAll()).toEqual([[{ type: 'stop', drainMs: 1000 }], [{ type: 'stop', drainMs: 1000 }]])
    send({ type: 'accepted', listener: 3, socket: 10 })
    expect(closed).toEqual([10])
    send({ type: 'stopped', reactor: 0, slotsInUse: 0 })
    reactors[0]!.emit('exit', 0)
    await Promise.resolve()
    expect(stopped).toBe(false)
    reactors[1]!.emit('exit', 0)
    await done
    expect(events()).toEqual([])
  })

  test('slots that are not free at the end are told', () => {
    const { send, told } = rig()
    send({ type: 'stopped', reactor: 1, slotsInUse: 3 })
    expect(told).toEqual([{ event: 'failure', facts: 'reactor 1 leaked 3 command slots' }])
  })

  test('a reactor that does not stop in time is ended', async () => {
    vi.useFakeTimers()
    try {
      const { plane, reactors, events } = rig()
      const done = plane.stop(1000, 4000)
      reactors[0]!.emit('exit', 0)
      await vi.advanceTimersByTimeAsync(4000)
      await done
      expect(reactors[1]!.terminated).toBe(1)
      expect(events()).toEqual(['warning'])
    } finally {
      vi.useRealTimers()
    }
  })

  test.each([['one', 1], ['all', 2]])('%s of the reactors has died before: the others are waited for, not it', async (
    _how, dead,
  ) => {
    const { plane, reactors } = rig()
    for (const reactor of reactors.slice(0, dead)) {
      reactor.emit('error', new Error('slot takes a legal edge'))
      reactor.emit('exit', 1)
    }
    expect((await plane.failed).message).toBe('reactor 0 died: slot takes a legal edge')
    const done = plane.stop(1000, 60_000)
    for (const reactor of reactors.slice(dead)) reactor.emit('exit', 0)
    await done
  })

  test('a reactor that ends without being told to has failed', async () => {
    const { plane, reactors } = rig()
    reactors[1]!.emit('exit', 0)
    expect((await plane.failed).message).toBe('reactor 1 ended unexpectedly')
  })
})
