/**
 * Trouble: what fails in the target and is no command's doing. The controllers of the subsystem get an entry in
 * their error logs, and their hosts the event that points there. target tells it.
 * NVMe Base 2.0, 5.2 (Error events) and 5.16.1.2 (Error Information)
 *
 * Invariant: an event is raised only where its entry is in the log already.
 */
import type { EventName } from '../wire/event.ts'
import { LOCATION_NONE } from '../wire/log-page.ts'
import { STATUS } from '../wire/status.ts'
import type { Shared } from './shared.ts'

/** SQID and CID of an error that is not about a particular command. */
const NO_COMMAND = 0xffff

/** A controller, as far as this is concerned. */
export type Concerned = { readonly index: number; readonly subsystem: { readonly nqn: string } }

export type TroubleParts = {
  readonly shared: Pick<Shared, 'logError'>
  readonly controllers: () => readonly Concerned[]
  readonly raise: (event: EventName, concerned: (controller: Concerned) => boolean) => void
}

export class Trouble {
  readonly #parts: TroubleParts

  constructor(parts: TroubleParts) {
    this.#parts = parts
  }

  /** The target goes on serving the subsystem. */
  tell(nqn: string): void {
    const { shared, controllers, raise } = this.#parts
    const isOf = ({ subsystem }: Concerned): boolean => subsystem.nqn === nqn
    for (const { index } of controllers().filter(isOf)) {
      shared.logError(index, NO_COMMAND, NO_COMMAND, STATUS.INTERNAL_ERROR, 0, 0, LOCATION_NONE)
    }
    raise('TRANSIENT_INTERNAL_ERROR', isOf)
  }
}
