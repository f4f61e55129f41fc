/**
 * A reload: reads the configuration again and makes it what is served. serve calls it on a signal; it calls the
 * target's live changes. What happens is told in the log, which is all that an operator of a daemon sees.
 *
 * Invariant: with a mistake in the file, or something that cannot be opened, nothing changes.
 */
import { ConfigError } from '../config/mistake.ts'
import { StartError } from '../config/start-error.ts'
import { StateError } from '../config/state-store.ts'
import type { Log } from '../control/log.ts'
import type { Target } from '../target.ts'

export type ReloadParts = {
  /** The file, as it was named. */
  readonly source: string
  /** Reads it and serves what it says. Rejects with a ConfigError or a StartError, when nothing has changed. */
  readonly apply: (live: Pick<Target['live'], 'update'>) => Promise<string[]>
  /** Calls `reload` each time that somebody asks for it; returns how to stop that. */
  readonly onSignal: (reload: () => void) => () => void
}

/** Resolves with the names of what is different in it but takes a new start. Rejects when nothing was changed. */
export async function reloadNow(
  live: Pick<Target['live'], 'update'>, { source, apply }: ReloadParts, log: Log,
): Promise<string[]> {
  const fixed = await apply(live)
  for (const name of fixed) {
    log.warning(`${name} is different in ${source} now; that takes effect when weft is started again.`)
  }
  log.notice(`${source} was read again: what it says is served.`)
  return fixed
}

export async function reload(live: Pick<Target['live'], 'update'>, parts: ReloadParts, log: Log): Promise<void> {
  const { source } = parts
  try {
    await reloadNow(live, parts, log)
  } catch (error) {
    if (error instanceof StateError) {
      log.failure(`${source} was read again. ${error.message}.`)
    } else if (error instanceof StartError) {
      log.failure(`${source} was read again, but nothing was changed: ${error.message} ${error.remedy}`.trim())
    } else if (error instanceof ConfigError) {
      const [first, ...mistakes] = error.message.split('\n')
      log.failure(`${first}; nothing was changed.`)
      for (const each of mistakes) log.failure(`${each.trim()}.`)
    } else {
      throw error
    }
  }
}
