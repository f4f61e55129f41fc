/**
 * Changes that the control plane posts to every reactor: what each of them does here, and when it is in force.
 * reactor-thread brings them between two turns, and gives a tick; `done` acknowledges one.
 *
 * Invariant: every change is acknowledged once.
 */
import type { Change } from '../reactor/messages.ts'
import type { Catalogue } from './catalogue.ts'
import type { Holds } from './hold.ts'
import type { Preemptions } from './preemption.ts'
import type { RightsTable } from './rights.ts'

export type ChangeParts = {
  readonly catalogue: Pick<Catalogue, 'adopt' | 'retire' | 'tick' | 'namespaces' | 'health'>
  readonly holds: () => Pick<Holds, 'begin' | 'end'>
  readonly rights: Pick<RightsTable, 'adopt'>
  readonly preemptions: () => Pick<Preemptions, 'reserve' | 'abort' | 'settle'>
  /** Makes the next turn end at once: changes that wait for it are not to wait for traffic. */
  readonly wake: () => void
  /** A device that this reactor drives. */
  readonly pci: (change: Extract<Change, { kind: 'pci' }>) => void
  /** Whose PDUs are recorded. */
  readonly trace: (change: Extract<Change, { kind: 'trace' }>) => void
  /** Accepts no more on a socket. */
  readonly acceptStop: (socket: number) => void
  /** Ends the connections that came by a listener, in order. */
  readonly dismissFrom: (listener: string, reason: string) => void
}

export class Changes {
  readonly #parts: ChangeParts
  /** Of those that are in force after the next turn. */
  #turned: (() => void)[] = []

  constructor(parts: ChangeParts) {
    this.#parts = parts
  }

  apply(change: Change, done: () => void): void {
    const { catalogue, holds, rights, preemptions, wake, acceptStop, dismissFrom } = this.#parts
    switch (change.kind) {
      case 'target':
        catalogue.adopt(change.target)
        return done()
      case 'pulse':
        this.#turned.push(done)
        return wake()
      case 'unlisten':
        // Only one reactor accepts; what it accepts in its next turn still comes from there.
        acceptStop(change.socket)
        dismissFrom(change.listener, change.reason)
        this.#turned.push(done)
        return wake()
      case 'retire':
        catalogue.retire(change.indices, done)
        return wake()
      case 'hold':
        return holds().begin(change.id, change.namespace, change.lba, change.blockCount, done)
      case 'let-go':
        holds().end(change.id, change.namespace)
        return done()
      case 'rights':
        rights.adopt(change, catalogue.namespaces)
        return change.rights === null ? done() : preemptions().reserve(change.uuid, change.rights.full, done)
      case 'device-health':
        catalogue.health.set(change.address, change.log)
        return done()
      case 'pci':
        this.#parts.pci(change)
        return done()
      case 'trace':
        this.#parts.trace(change)
        return done()
      case 'settle':
        return preemptions().settle(change.uuid, done)
      case 'preempt':
        return preemptions().abort(change.uuid, change.hostIds, done)
    }
  }

  /** After a turn. Called from time to time, and whenever somebody woke the reactor. */
  tick(): void {
    this.#parts.catalogue.tick()
    for (const done of this.#turned.splice(0)) done()
  }
}
