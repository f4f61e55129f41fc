/**
 * What a device works with, on a fake arena: a slot with a range of blocks, buffers, and the ops that
 * it has asked for. For the tests of this folder.
 */
import type { Outcome } from '../../../src/device/device.ts'
import { Buffers } from '../../../src/reactor/buffers.ts'
import { type Slot, Slots } from '../../../src/reactor/slots.ts'
import { Work } from '../../../src/reactor/work.ts'
import { type Op, fakeArena, takeOps } from '../reactor/fake-arena.ts'
import { ownerOf } from '../reactor/owner.ts'

export const PAGE = 4096

export class DeviceRig {
  readonly arena = fakeArena({ bufferBytes: 64 * PAGE })
  readonly work = new Work(this.arena, 16, 32)
  readonly buffers = new Buffers(this.arena.buffersAt, 64 * PAGE)
  readonly slots = new Slots(8)

  /** A command for blocks from lba on; bytes: of its data. */
  slot(lba: number, blockCount: number, bytes: number, more: Partial<Slot> = {}): Slot {
    const slot = this.slots.take(ownerOf())
    return Object.assign(slot, {
      lbaLo: lba | 0, lbaHi: Math.floor(lba / 2 ** 32), blockCount, bytes, keepPages: 0, ...more,
    })
  }

  /** The one op that was asked for since. Its token is the slot's. */
  op(slot: Slot): Op {
    const ops = takeOps(this.arena)
    if (ops.length !== 1 || ops[0]!.token !== slot.index) throw new Error(`${ops.length} ops, not one of this slot`)
    this.work.opsOutstanding--
    return ops[0]!
  }

  idle(): boolean {
    return this.work.opsOutstanding === 0
  }

  /** Completes op after op with these results; what was asked for, and the outcome of the last. */
  run(
    slot: Slot, outcome: Outcome, resume: (slot: Slot, result: number) => Outcome, results: readonly number[],
  ): { ops: Op[]; outcome: Outcome } {
    const ops: Op[] = []
    let last = outcome
    for (const result of results) {
      ops.push(this.op(slot))
      last = resume(slot, result)
    }
    return { ops, outcome: last }
  }
}
