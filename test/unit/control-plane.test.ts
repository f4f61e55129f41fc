/**
 * The control plane: connections, changes, events and Connects, as messages to and from reactors.
 */
import { describe, expect, test } from 'vitest'
import { ROW } from '../../src/controller/shared.ts'
import { HOST } from './controller/association.ts'
import { DISCOVERY_LISTENER, LISTENER, REMOTE, SUBSYSTEM, rig } from './control-plane-rig.ts'

const INVALID_PARAMETERS = 0x182

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
