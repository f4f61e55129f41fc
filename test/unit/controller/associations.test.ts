/**
 * Associations: controllers come with their first queue on this reactor and go with the last; the
 * admin queue brings and takes the state of the row.
 */
import { describe, expect, test } from 'vitest'
import { Associations } from '../../../src/controller/associations.ts'
import { Events } from '../../../src/controller/events.ts'
import { Queue } from '../../../src/controller/queue.ts'
import { CONTROLLER_STATE, ROW } from '../../../src/controller/shared.ts'
import type { ToControl } from '../../../src/reactor/messages.ts'
import { SLOT, type Slot, Slots } from '../../../src/reactor/slots.ts'
import { HOST, HOST_ID, namespaceSnapshot, sharedBlock, subsystemSnapshot } from './association.ts'
import { ownerOf } from '../reactor/owner.ts'

const SUBSYSTEM = subsystemSnapshot({ namespaces: [namespaceSnapshot(1)] })
const ABORT_REQUESTED = 0x07

function rig() {
  const shared = sharedBlock()
  const slots = new Slots(8)
  const posted: ToControl[] = []
  const finished: [number, number][] = []
  const events = new Events(slots, (slot: Slot, status: number) => finished.push([slot.index, status]))
  const associations = new Associations({
    shared, events, reactor: 3, post: (message) => posted.push(message),
    subsystems: new Map([[SUBSYSTEM.nqn, SUBSYSTEM]]), tables: new Map([[SUBSYSTEM.nqn, [null]]]),
  })
  const join = (qid: number, connection: number, controller = 1): Queue => {
    const queue = new Queue(connection)
    associations.join(queue, {
      qid, depth: 32, cntlid: 0xffff, keepAliveMs: 1500, flowControlOff: true, hostNqn: HOST,
      hostId: HOST_ID, subsystemNqn: SUBSYSTEM.nqn,
    }, { admitted: true, cntlid: 17, controller, subsystem: SUBSYSTEM.nqn, listener: '192.0.2.1 4420' }, 777)
    return queue
  }
  const word = (which: number): number => shared.words[shared.row(1) + which]!
  return { shared, slots, posted, finished, associations, join, word }
}

describe('joining', () => {
  test('an admin queue: state, stamp, grant and features of a new controller', () => {
    const { join, word, associations } = rig()
    const queue = join(0, 4)
    expect([word(ROW.STATE), word(ROW.STAMP), word(ROW.GRANTED)]).toEqual([CONTROLLER_STATE.DISABLED, 777, 8])
    expect(queue).toMatchObject({ qid: 0, depth: 32, flowControlOff: true })
    const { admin } = associations.controllers.get(1)!
    expect(admin).toMatchObject({ connection: 4, windowMs: 777, cc: 0, csts: 0 })
    expect(admin!.features.keepAliveMs, 'rounded up to KAS').toBe(2000)
  })

  test('an I/O queue where the admin queue is elsewhere touches nothing of the row', () => {
    const { join, shared, associations } = rig()
    join(2, 0)
    expect(associations.controllers.get(1)!.admin).toBeNull()
    expect(shared.words.every((word) => word === 0)).toBe(true)
  })

  test('queues of one controller share it', () => {
    const { join, associations } = rig()
    const [admin, io, other] = [join(0, 0), join(1, 1), join(0, 2, 2)]
    expect(io.controller).toBe(admin.controller)
    expect(other.controller).not.toBe(admin.controller)
    expect([...associations.controllers.values()].map((each) => each.queueCount)).toEqual([2, 1])
  })
})

describe('leaving', () => {
  test('the I/O queue first', () => {
    const { join, word, associations } = rig()
    const [admin, io] = [join(0, 0), join(1, 1)]
    associations.leave(io)
    expect([word(ROW.STATE), associations.controllers.size]).toEqual([CONTROLLER_STATE.DISABLED, 1])
    associations.leave(admin)
    expect([word(ROW.STATE), associations.controllers.size]).toEqual([CONTROLLER_STATE.GONE, 0])
  })

  test('the admin queue first: the I/O queues find the state gone', () => {
    const { join, word, associations } = rig()
    const [admin, io] = [join(0, 0), join(1, 1)]
    associations.leave(admin)
    expect(word(ROW.STATE)).toBe(CONTROLLER_STATE.GONE)
    expect(io.controller!.admin).toBeNull()
    associations.leave(io)
    expect(associations.controllers.size).toBe(0)
  })

  test('twice, or without having joined, is nothing', () => {
    const { join, associations } = rig()
    const [admin] = [join(0, 0), join(1, 1)]
    associations.leave(admin!)
    associations.leave(admin!)
    associations.leave(new Queue(5))
    expect(associations.controllers.get(1)!.queueCount).toBe(1)
  })
})

describe('emptying', () => {
  test('is asked of the control plane; its answer may come too late', () => {
    const { join, posted, associations } = rig()
    const queue = join(0, 0)
    associations.empty(queue.controller!)
    expect(posted).toEqual([{ type: 'empty', reactor: 3, controller: 1 }])
    associations.leave(queue)
    associations.emptied(1)
    join(1, 1)
    associations.emptied(1)
  })
})

describe('a reset', () => {
  test('answers the events that are held, and starts features over', () => {
    const { join, slots, finished, associations, word, shared } = rig()
    const { controller } = join(0, 0)
    const admin = controller!.admin!
    for (let k = 0; k < 3; k++) {
      const slot = slots.take(ownerOf())
      admin.eventSlots[admin.eventCount++] = slot.index
      slot.enter(SLOT.HELD)
    }
    admin.features.ioQueueCount = 1
    admin.features.writeCacheEnabled = false
    shared.words[shared.row(1) + ROW.WRITE_THROUGH] = 1
    associations.reset(controller!)
    expect(finished).toEqual([[0, ABORT_REQUESTED], [1, ABORT_REQUESTED], [2, ABORT_REQUESTED]])
    expect(admin.eventCount).toBe(0)
    expect([word(ROW.WRITE_THROUGH), word(ROW.GRANTED)]).toEqual([0, 8])
    expect([admin.features.ioQueueCount, admin.features.writeCacheEnabled]).toEqual([8, true])
    associations.reset(controller!)
    expect(finished.length).toBe(3)
  })
})

test('a change of the subsystem reaches its controllers, and no others', () => {
  const { join, associations } = rig()
  const { controller } = join(0, 0)
  const renewed = subsystemSnapshot({ namespaces: [] })
  associations.renew(subsystemSnapshot({ nqn: 'nqn.2026-01.com.example:other' }), [])
  expect(controller!.subsystem).toBe(SUBSYSTEM)
  const table = [null]
  associations.renew(renewed, table)
  expect(controller!.subsystem).toBe(renewed)
  expect(controller!.namespaces).toBe(table)
})
