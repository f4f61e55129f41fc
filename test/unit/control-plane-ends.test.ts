/**
 * The control plane at the end of a controller and of the daemon: what is ended, by whom, and what an operator is
 * told of it.
 */
import { describe, expect, test, vi } from 'vitest'
import { CONTROLLER_STATE, ROW } from '../../src/controller/shared.ts'
import { rig } from './control-plane-rig.ts'

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

describe('a reactor that died', () => {
  test('its queues have gone: associations end with their admin queue, others keep theirs', () => {
    const { associate, join, die, takeAll, told, access, shared, send } = rig()
    associate()
    join(0, 1, 3, { hostNqn: 'nqn.2026-01.example:other' })
    takeAll()
    told.length = 0
    send({ type: 'abort', reactor: 1, slot: 4, controller: 0, qid: 1, cid: 9 }, 1)
    takeAll()
    die(0)
    expect(told.map(({ event }) => event)).toEqual(['failure', 'hostDisconnected'])
    expect(told[1]).toMatchObject({ facts: { reason: 'reactor 0 died', queues: 2 } })
    expect(shared.words[shared.row(0) + ROW.STATE]).toBe(CONTROLLER_STATE.GONE)
    const [, second] = takeAll()
    expect(second).toEqual([
      { type: 'drop', controller: 0, admin: false, reason: 'reactor 0 died' }, { type: 'aborted', slot: 4, done: false },
    ])
    expect(access.controllers.map(({ index, queues }) => [index, [...queues.keys()]])).toEqual([[0, [2]], [1, [0]]])
  })

  test('it counts no connection any more, and answers no change', async () => {
    const { plane, die, send, started } = rig()
    for (const socket of [10, 11, 12, 13]) send({ type: 'accepted', listener: 3, socket })
    let done = false
    void plane.change({ kind: 'retire', indices: [] }).then(() => { done = true })
    send({ type: 'changed', id: 1 }, 1)
    die(0)
    await Promise.resolve()
    expect(done).toBe(true)
    for (const socket of [14, 15]) send({ type: 'accepted', listener: 3, socket }, 1)
    expect(started[0]!.take().map(({ type }) => type)).toEqual(['adopt', 'adopt'])
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
    send({ type: 'stopped', reactor: 1, slotsInUse: 3 }, 1)
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
