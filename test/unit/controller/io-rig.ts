/**
 * An I/O executor by itself: queue, slots and buffers are real, devices write down what they are asked.
 */
import { Copies } from '../../../src/controller/copy.ts'
import { Dataset } from '../../../src/controller/dataset.ts'
import { GUARD, Guards } from '../../../src/controller/guard.ts'
import { Holds } from '../../../src/controller/hold.ts'
import { IoExecutor } from '../../../src/controller/io.ts'
import { Pairs } from '../../../src/controller/pair.ts'
import { Queue } from '../../../src/controller/queue.ts'
import { ReservationCommands } from '../../../src/controller/reservations.ts'
import { CONTROLLER_STATE, ROW } from '../../../src/controller/shared.ts'
import { Tally, tallyBytes } from '../../../src/controller/tally.ts'
import { Throttles } from '../../../src/controller/throttle.ts'
import { Uncorrectable } from '../../../src/controller/uncorrectable.ts'
import { type Device, PENDING } from '../../../src/device/device.ts'
import { Namespace } from '../../../src/namespace/namespace.ts'
import { Buffers } from '../../../src/reactor/buffers.ts'
import type { ToControl } from '../../../src/reactor/messages.ts'
import { lbaOf, type Slot, Slots } from '../../../src/reactor/slots.ts'
import { sqe } from '../../command-bytes.ts'
import { fakeArena } from '../reactor/fake-arena.ts'
import { LIMITS, controllerOf, namespaceSnapshot, sharedBlock } from './association.ts'
import { ownerOf } from '../reactor/owner.ts'

export const [FLUSH, WRITE, READ, COMPARE, WRITE_ZEROES, DSM, VERIFY, COPY] = [0, 1, 2, 5, 8, 9, 12, 0x19]
export const BLOCKS = 2 ** 33

/** An executor over two sorts of namespaces whose devices say what they were asked. */
export function rig() {
  const arena = fakeArena()
  const shared = sharedBlock(1)
  const slots = new Slots(64)
  const asked: string[] = []
  const posted: ToControl[] = []
  const tasks: unknown[] = []
  const finished: [cid: number, status: number][] = []
  let says = PENDING
  const device = (nsid: number): Device => {
    const ask = (what: string) => (slot: Slot, more?: unknown): number => {
      const range = slot.opcode === FLUSH ? '' : ` ${lbaOf(slot)}+${slot.blockCount}`
      asked.push(`${nsid} ${what}${range}${slot.fua === 1 ? ' fua' : ''}${more === undefined ? '' : ` ${more}`}`)
      return says
    }
    return {
      kind: 'null', fetch: ask('fetch'), store: ask('store'), verify: ask('verify'), read: ask('read'), place: ask('place'), write: ask('write'), flush: ask('flush'),
      zero: ask('zero'), deallocate: ask('deallocate'), placeCompare: ask('placeCompare'),
      compare: ask('compare'), resume: (_slot, result) => result,
    }
  }
  const namespaces = [
    namespaceSnapshot(1, { blockCount: BLOCKS }),
    namespaceSnapshot(2, { blockBytes: 4096, readOnly: true }),
    namespaceSnapshot(4),
  ].map((snapshot, index) => new Namespace(
    { ...snapshot, index, counter: index }, device(snapshot.nsid), shared.counterAt(0, index),
  ))
  const { controller } = controllerOf({ namespaces: [null, namespaces[0]!, namespaces[1]!, null, namespaces[2]!] })
  const queue: Queue = Object.assign(new Queue(0), { controller, qid: 3 })
  shared.words[controller.stateWord] = CONTROLLER_STATE.READY
  const buffers = new Buffers(arena.buffersAt, 1 << 20)
  const guards = new Guards()
  const proceeded: number[] = []
  const holds = new Holds({
    slots, buffers, namespaces, proceed: (slot) => proceeded.push(slot.cid), sendsFrom: () => false, wake: () => {},
  })
  guards.set(GUARD.HELD, () => 0)
  const pairs = new Pairs({
    buffers, namespaces, finish: () => {}, failed: () => {}, ask: () => {}, release: () => {},
  })
  const throttles = new Throttles({
    words: arena.words, tally: new Tally(new ArrayBuffer(tallyBytes(LIMITS, 1)), LIMITS, 1), reactor: 0,
    aborts: { wants: () => false }, release: (slot) => proceeded.push(slot.cid),
  })
  const io = new IoExecutor({
    arena, buffers, shared, namespaces, dataset: new Dataset(arena, slots, buffers),
    copies: new Copies(arena, slots, buffers, 64 << 10), guards, holds, pairs, throttles, transferBytesMax: 1 << 20,
    reservations: new ReservationCommands({
      arena, slots, buffers, reactor: 0, post: (message) => posted.push(message),
      finish: (slot, status) => finished.push([slot.cid, status]), shared, queueOf: () => queue,
    }),
    uncorrectable: new Uncorrectable(
      (_slot, _controller, { kind, ...task }) => tasks.push([kind, ...Object.values(task)]), () => 7,
    ),
  })
  /** lba, 0-based blocks with control bits, bytes of the SGL. */
  const start = (opcode: number, nsid: number, lba = 0, cdw12 = 0, bytes = 512) => {
    const entry = sqe(opcode, nsid, [0, 0, cdw12])
    entry.writeBigUInt64LE(BigInt(lba), 40)
    return run(opcode, entry, bytes)
  }
  const run = (opcode: number, entry: Buffer, bytes: number) => {
    arena.bytes.set(entry, arena.scratchAt)
    const slot = Object.assign(slots.take(ownerOf()), { opcode, bytes, cid: 77 })
    return { slot, outcome: io.start(slot, queue, arena.scratchAt >> 2) }
  }
  const count = (which: number, namespace = 0): number => shared.counters[shared.counterAt(0, namespace) + which]!
  return {
    arena, shared, controller, queue, io, asked, tasks, start, run, count, guards, holds, proceeded, namespaces,
    say: (outcome: number) => { says = outcome },
    errors: () => shared.words[shared.row(controller.index) + ROW.ERRORS]!,
  }
}
