/**
 * Guards: what may forbid a command on a namespace, though its fields are right. io asks only where the
 * namespace's `guards` is not 0, which is once a command and nothing else in normal life.
 *
 *   the path (ANA) ─▶ formatting ─▶ sanitizing ─▶ reservation ─▶ write protection        the first one counts
 *
 * The order is that of the specification's chapters on them: a path that must not be used says so whatever
 * else is wrong, and who may not write learns that before the state of the medium.  NVMe Base 2.0, 8
 *
 * Invariant: a bit is set on a namespace only while the check behind it is there.
 */
import { assert } from '../assert.ts'
import type { Namespace } from '../namespace/namespace.ts'
import type { Slot } from '../reactor/slots.ts'
import type { Controller } from './controller.ts'

/** Bits of Namespace.guards, in the order in which they are asked. */
export const GUARD = {
  ANA: 1, FORMATTING: 2, SANITIZING: 4, RESERVATION: 8, WRITE_PROTECTED: 16,
  /** Refuses nothing: some blocks are somebody's alone for now, and io lets commands on them wait (hold.ts). */
  HELD: 32,
  /** Nor does this: what hosts may do in a second is limited, and io lets commands wait (throttle.ts). */
  THROTTLED: 64,
} as const
const BIT_COUNT = 7

/** Looks at slot.opcode and who sent it; 0, or the status (wire/status.ts) that the command ends with. */
export type Guard = (slot: Slot, controller: Controller, namespace: Namespace) => number

export class Guards {
  /** By number of the bit. */
  readonly #checks: (Guard | null)[] = new Array<Guard | null>(BIT_COUNT).fill(null)

  /** bit: one of GUARD. Before the first turn. */
  set(bit: number, check: Guard): void {
    this.#checks[31 - Math.clz32(bit)] = check
  }

  /** Asks each guard whose bit is set. */
  check(slot: Slot, controller: Controller, namespace: Namespace): number {
    for (let guards = namespace.guards; guards !== 0; guards &= guards - 1) {
      const check = this.#checks[31 - Math.clz32(guards & -guards)]
      assert(check !== null && check !== undefined, 'a guard that is set has a check')
      const status = check(slot, controller, namespace)
      if (status !== 0) return status
    }
    return 0
  }

  /** Of all namespaces: one that may not be flushed is why none is, as success holds for all. */
  checkAll(slot: Slot, controller: Controller): number {
    for (const namespace of controller.namespaces) {
      if (namespace === null || namespace.guards === 0) continue
      const status = this.check(slot, controller, namespace)
      if (status !== 0) return status
    }
    return 0
  }
}
