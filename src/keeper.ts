/**
 * Keepers: the store of state, for those who keep one subject of each subsystem. target gives them away.
 *
 * Invariant: a keeper writes its own subject only.
 */
import type { StateStore, Subject } from './config/state-store.ts'
import type { Log } from './control/log.ts'
import type { Keeper } from './controller/lives.ts'

/** A subject of the store. */
export function fileOf<Value>(store: StateStore, subject: Subject<Value>) {
  return {
    load: (nqn: string): Value | null => store.load(nqn, subject),
    save: (nqn: string, value: Value): Promise<void> => store.save(nqn, subject, value),
  }
}

/**
 * A subject of the store. What cannot be kept is worth a warning, but only one: others follow by themselves. The
 * hosts of the subsystem are told each time.
 */
export function keeperOf<Value>(
  store: StateStore, subject: Subject<Value>, log: Log, troubled: (nqn: string) => void,
): Keeper<Value> {
  let warned = false
  return {
    load: (nqn) => store.load(nqn, subject),
    save: async (nqn, value) => {
      try {
        await store.save(nqn, subject, value)
      } catch (error) {
        if (!warned) log.warning(`${(error as Error).message}: what happens now is forgotten at the next start.`)
        warned = true
        troubled(nqn)
      }
    },
  }
}
