/**
 * Executor: runs the commands of one kind of queue. admit calls it; fabrics, admin and io implement it.
 */
import type { Slot } from '../reactor/slots.ts'
import type { Outcome } from '../device/device.ts'
import type { Queue } from './queue.ts'

/** An executor whose commands may have to wait for a buffer. */
export interface RepeatableExecutor extends Executor {
  /** Asks again for what start() did not get. STALL, or what start() would have said. */
  again(slot: Slot): Outcome
  /** The same of one that waited for its turn, without data. */
  released(slot: Slot, queue: Queue): Outcome
  /** Goes on with a command that waited with its data. */
  proceed(slot: Slot, queue: Queue): Outcome
  /** Looks at half of a fused pair, as start() does, without running it: a status. */
  check(slot: Slot, queue: Queue, w: number): number
  /** The connection has gone: what waits for something is forgotten, its slots are freed by others. */
  forget(connection: number): void
}

export interface Executor {
  /**
   * w: word index of the submission queue entry, valid during the call. The slot has cid, opcode, bytes and
   * direction. WANTS_DATA is an answer only where the direction is from the host.
   */
  start(slot: Slot, queue: Queue, w: number): Outcome
  /** The host's data are in the place that start() set. */
  run(slot: Slot, queue: Queue): Outcome
}
