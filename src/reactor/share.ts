/**
 * Share: what the queues of one controller hold of a reactor's buffers, and its commands that wait for some.
 * Each queue has one, from Connect on that of its controller; queue/admit and queue/wait go by it.
 *
 *   a command gets a buffer when at least as much stays free as its controller holds already, so that
 *   one that holds on to what it got has half at most, two have two thirds, and there is always a rest
 *
 * Invariant: pages and adminPages are the sums of heldPages of the slots that name it.
 */
import type { Slot } from './slots.ts'

export class Share {
  /** Pages of transfer buffers, and of those of admin commands. */
  pages = 0
  adminPages = 0
  /** Its commands that wait, in their order. */
  first: Slot | null = null
  last: Slot | null = null
  /** Those that wait are a circle; null = none of its commands does. */
  next: Share | null = null
}
