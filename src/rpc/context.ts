/**
 * What methods work with: the target that is served, and what is kept of it. serve makes one and the
 * dispatcher hands it to every method.
 */
import type { Log } from '../control/log.ts'
import type { Target } from '../target.ts'
import type { Method } from './method.ts'

/** What of the target methods use. */
export type ServedTarget = Pick<Target,
  'live' | 'snapshot' | 'controllers' | 'limits' | 'engine' | 'reactors' | 'cpus' | 'listeners'
  | 'discovery' | 'setAnaState' | 'observer'>

export type Context = {
  readonly target: ServedTarget
  readonly log: Log
  readonly methods: readonly Method[]
  /** Of weft. */
  readonly version: string
  /** Reads the configuration again: resolves with what takes a new start. null where it comes from no file. */
  readonly reload: (() => Promise<readonly string[]>) | null
}
