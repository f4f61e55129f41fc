/**
 * What I/O commands are run by, put together: the executor, and the commands of several steps, holds and pairs
 * that it uses. reactor-thread calls it once, before the first turn.
 *
 * Invariant: all of them see the same table of namespaces.
 */
import type { Namespace } from '../namespace/namespace.ts'
import type { Arena } from '../reactor/arena.ts'
import type { Buffers } from '../reactor/buffers.ts'
import type { ToControl } from '../reactor/messages.ts'
import { lbaOf, type Slot, type Slots } from '../reactor/slots.ts'
import type { Aborts } from './abort.ts'
import { Copies } from './copy.ts'
import { Dataset } from './dataset.ts'
import { GUARD, type Guards } from './guard.ts'
import { Holds } from './hold.ts'
import { IoExecutor } from './io.ts'
import { Pairs } from './pair.ts'
import type { Queue } from './queue.ts'
import type { ReservationCommands } from './reservations.ts'
import type { Shared } from './shared.ts'
import type { Tally } from './tally.ts'
import { Throttles } from './throttle.ts'
import { Tasks } from './task.ts'
import { Uncorrectable } from './uncorrectable.ts'

export type IoParts = {
  readonly io: IoExecutor
  readonly holds: Holds
  readonly pairs: Pairs
  readonly throttles: Throttles
  readonly tasks: Tasks
}

export function assembleIo(parts: {
  readonly arena: Arena
  readonly shared: Shared
  readonly slots: Slots
  readonly buffers: Buffers
  readonly namespaces: (Namespace | null)[]
  readonly guards: Guards
  readonly reservations: ReservationCommands
  /** null when its connection has gone. */
  readonly queueOf: (slot: Slot) => Queue | null
  readonly transferBytesMax: number
  readonly reactor: number
  readonly post: (message: ToControl) => void
  /** Answers a slot. */
  readonly finish: (slot: Slot, status: number) => void
  /** Runs a slot that was parked with its data. */
  readonly proceed: (slot: Slot) => void
  /** Runs one that waited for its turn. */
  readonly release: (slot: Slot) => void
  readonly aborts: Aborts
  readonly tally: Tally
  /** An answer that has not left yet takes its payload from these bytes of a region. */
  readonly sendsFrom: (region: number, from: number, end: number) => boolean
  /** The next turn is not to sleep. */
  readonly wake: () => void
}): IoParts {
  const { arena, slots, buffers, namespaces, guards, transferBytesMax, reactor, post, finish } = parts
  guards.set(GUARD.HELD, () => 0)
  guards.set(GUARD.THROTTLED, () => 0)
  const throttles = new Throttles({ ...parts, words: arena.words })
  for (const bit of [GUARD.FORMATTING, GUARD.SANITIZING]) guards.set(bit, (_slot, _controller, { barred }) => barred)
  const tasks = new Tasks(parts)
  const holds = new Holds(parts)
  const pairs: Pairs = new Pairs({
    buffers, namespaces, finish,
    failed: (slot, queue, status) => io.failed(slot, queue, status),
    ask: (slot, token) => post({
      type: 'exclude', reactor, token, namespace: slot.namespace, lba: lbaOf(slot), blockCount: slot.blockCount,
    }),
    release: (id, namespace) => post({ type: 'release', id, namespace }),
  })
  const io = new IoExecutor({
    ...parts, holds, throttles, pairs, dataset: new Dataset(arena, slots, buffers),
    copies: new Copies(arena, slots, buffers, transferBytesMax),
    uncorrectable: new Uncorrectable(
      (slot, controller, task) => tasks.perform(slot, controller, task),
      (slot) => parts.queueOf(slot)?.controller?.index ?? -1,
    ),
  })
  return { io, holds, pairs, throttles, tasks }
}
