/**
 * Executor: runs the commands of one kind of queue. admit calls it; fabrics, admin and io implement it.
 */
import type { Slot } from '../reactor/slots.ts'
import type { Outcome } from '../device/device.ts'
import type { Queue } from './queue.ts'

export interface Executor {
  /**
   * w: word index of the submission queue entry, valid during the call. The slot has cid, opcode, bytes and
   * direction. WANTS_DATA is an answer only where the direction is from the host.
   */
  start(slot: Slot, queue: Queue, w: number): Outcome
  /** The host's data are in the place that start() set. */
  run(slot: Slot, queue: Queue): Outcome
}
