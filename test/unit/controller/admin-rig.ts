/**
 * An admin executor on a plain arena, with one controller that is enabled: commands go in as bytes, statuses and
 * data come out. For the tests of this folder.
 */
import { AdminExecutor, type AdminParts } from '../../../src/controller/admin.ts'
import { Aborts } from '../../../src/controller/abort.ts'
import { Events } from '../../../src/controller/events.ts'
import { Queue } from '../../../src/controller/queue.ts'
import { ReservationCommands } from '../../../src/controller/reservations.ts'
import { Tasks } from '../../../src/controller/task.ts'
import { CONTROLLER_STATE } from '../../../src/controller/shared.ts'
import type { ToControl } from '../../../src/reactor/messages.ts'
import { Buffers } from '../../../src/reactor/buffers.ts'
import { type Slot, Slots } from '../../../src/reactor/slots.ts'
import { fakeArena } from '../reactor/fake-arena.ts'
import { controllerOf, sharedBlock, subsystemSnapshot } from './association.ts'
import { ownerOf } from '../reactor/owner.ts'

const NOW_MS_WORD = 2
const RDY = 1
const EN = 1

export function adminRig(
  more: Parameters<typeof controllerOf>[0] = {}, parts: Partial<AdminParts> = {},
) {
  const arena = fakeArena()
  const shared = sharedBlock(2)
  const slots = new Slots(16)
  const pages = new Buffers(arena.buffersAt, 1 << 20)
  const posted: ToControl[] = []
  const finished: [cid: number, status: number][] = []
  const { controller, admin } = controllerOf(more)
  const target = {
    generation: 3, firmware: '1.2.3', subsystems: [controller.subsystem, subsystemSnapshot()],
    discovery: { referrals: [], registered: [], ports: [] },
  }
  const events = new Events(slots, (slot: Slot, status: number) => finished.push([slot.cid, status]))
  const executor = new AdminExecutor({
    arena, shared, slots, pages, events, catalogue: { target }, aborts: new Aborts(slots, 0, (message) => posted.push(message)),
    reactor: 3, post: (message) => posted.push(message),
    reservations: new ReservationCommands({
      arena, slots, buffers: pages, reactor: 0, post: (message) => posted.push(message),
      finish: (slot, status) => finished.push([slot.cid, status]), shared, queueOf: () => queue,
    }),
    tasks: new Tasks({
      slots, shared, reactor: 3, post: (message) => posted.push(message), queueOf: () => queue,
      finish: (slot, status) => finished.push([slot.cid, status]),
    }),
    reached: () => ({ address: '192.0.2.1', port: 4420 }), ...parts,
  })
  const queue = Object.assign(new Queue(0), { controller, qid: 0 })
  const enable = (enabled: boolean): void => {
    admin.cc = enabled ? EN : 0
    admin.csts = enabled ? RDY : 0
    shared.words[controller.stateWord] = enabled ? CONTROLLER_STATE.READY : CONTROLLER_STATE.DISABLED
  }
  enable(true)
  let cid = 100
  /** Starts a command whose SGL has this many bytes, which go to the host unless said otherwise. */
  const start = (entry: Buffer, bytes = 0, direction = bytes === 0 ? 0 : 2) => {
    arena.bytes.set(entry, arena.scratchAt)
    const slot = Object.assign(slots.take(ownerOf()), { opcode: entry[0]!, bytes, direction, cid: cid++ })
    return { slot, outcome: executor.start(slot, queue, arena.scratchAt >> 2) }
  }
  /** The data of an answer. */
  const answerOf = (slot: Slot): Buffer => Buffer.from(arena.bytes.slice(slot.lo, slot.lo + slot.bytes))
  /** What must succeed: its data. */
  const ask = (entry: Buffer, bytes: number): Buffer => {
    const { slot, outcome } = start(entry, bytes)
    if (outcome !== 0) throw new Error(`refused with ${outcome.toString(16)}h`)
    return answerOf(slot)
  }
  /** Puts the host's data in place and runs the command. */
  const run = (slot: Slot, data: Uint8Array): number => {
    arena.bytes.set(data, slot.buffer)
    return executor.run(slot, queue)
  }
  const tick = (ms: number): void => {
    arena.words[NOW_MS_WORD] = (arena.words[NOW_MS_WORD]! + ms) | 0
  }
  return {
    arena, shared, slots, pages, posted, finished, controller, admin, executor, queue, enable, start, run, ask,
    answerOf, tick,
  }
}
