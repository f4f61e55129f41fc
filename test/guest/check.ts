/**
 * The form of a check, and what it is given.
 * checks/* export lists of them; run.ts runs them in order.
 *
 * Invariant: a check leaves no connection, mount or background work behind, but the connection that it shares.
 */
import type { Host } from './host.ts'
import type { KernelSeries } from './kernel.ts'
import type { VirtualMachine } from './vm.ts'
import type { Weft } from './weft.ts'

export type Bench = {
  readonly vm: VirtualMachine
  readonly host: Host
  /** The daemon; null when the guest's kernel is the target. */
  readonly weft: Weft | null
}

export type Check = {
  /** Unique; printed after 'ok' or 'not ok'. */
  readonly name: string
  /** Lines of the kernel log that would be a complaint elsewhere, but are the point here. */
  readonly expected?: readonly RegExp[]
  /** Left out when the guest's kernel is the target: it cannot do this, or not be made to. */
  readonly weftOnly?: boolean
  /** Left out with any other kernel: only these can do it. */
  readonly kernels?: readonly KernelSeries[]
  /** Its only connection is that of Host.shared, so that it need not be closed before. */
  readonly shares?: boolean
  /** Rejects with the reason. */
  run(bench: Bench): Promise<void>
}

/** Throws unless the condition holds. The message says what was seen. */
export function expect(condition: boolean, message: string): asserts condition {
  if (!condition) throw new Error(message)
}
