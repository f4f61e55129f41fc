/**
 * What methods work with: the target that is served, and the document of what it serves. control.ts
 * makes one and the dispatcher hands it to every method.
 */
import type { Document, Draft } from '../config/document.ts'
import type { Log } from '../control/log.ts'
import type { Target } from '../target.ts'
import type { Method } from './method.ts'

/** What of the target methods use. */
export type ServedTarget = Pick<Target,
  'live' | 'snapshot' | 'controllers' | 'limits' | 'engine' | 'reactors' | 'cpus' | 'listeners'
  | 'discovery' | 'devices' | 'observer' | 'nvme' | 'tracer'>

export type Context = {
  readonly target: ServedTarget
  readonly log: Log
  readonly methods: readonly Method[]
  /** Of weft. */
  readonly version: string
  /** Has another weft take over; resolves when it is about to. Rejects when it cannot start. */
  readonly upgrade: (wish: { readonly program: readonly string[]; readonly losesMemory: boolean }) =>
    Promise<{ readonly version: string; readonly pid: number }>
  readonly document: Pick<Document, 'config' | 'draft' | 'path' | 'edit'>
  /** Changes what is served: done, and kept, when it resolves. */
  readonly edit: <Result>(change: (draft: Draft) => Result) => Promise<Result>
  /** Looks again at what has no size of its own. */
  readonly refresh: () => Promise<void>
  /** Reads the configuration again: resolves with what takes a new start. null where it comes from no file. */
  readonly reload: (() => Promise<readonly string[]>) | null
}
