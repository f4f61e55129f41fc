/**
 * The configuration as a document that is edited while it is served: what a person wrote, with what
 * was changed since over the control interface. cli opens it; the methods of rpc edit it.
 *
 *   file + flags ─▶ base ─┐
 *   kept ─────────────────┴─ merge ─▶ document ─ edit ─▶ valid? ─▶ prepared ─▶ served ─▶ committed
 *
 * Invariants: edits come one after another, and each is kept on the medium before it resolves; one
 * that cannot be valid, be kept or be served has changed nothing. The person's file is never written.
 */
import { isDeepStrictEqual } from 'node:util'
import { nsidsOf } from './complete.ts'
import type { Config } from './config.ts'
import type { Base } from './flags.ts'
import { KEPT_CONFIGURATION, type KeptConfiguration } from './kept-configuration.ts'
import { merge } from './merge.ts'
import { readConfig } from './read.ts'
import { StateError, StateStore, type Prepared } from './state-store.ts'

/** As it is written in JSON; subsystems have their NQN and namespaces their NSID. */
export type Draft = Record<string, any>

/** What serves a configuration. Resolves with the parts that take a new start. */
export type Serving = { update(next: Config): Promise<string[]> }

export type DocumentParts = {
  /** What a person wrote, as it is now. Throws a ConfigError or a StartError. */
  readonly read: () => Base
  /** Takes warnings for an operator. */
  readonly warn: (sentence: string) => void
  /** For the state folder; a test puts another in its place. */
  readonly store?: (folder: string) => StateStore
}

const COMMAND_LINE = 'command-line'

export class Document {
  readonly #parts: DocumentParts
  readonly #store: StateStore
  /** What the kept file is called by: one for each configuration file. */
  readonly #name: string
  #base: Base
  /** The base in full, as it was when it was read last. */
  #written: Draft
  #draft: Draft
  #config: Config
  /** There is something on the medium that a start would merge. */
  #isKept: boolean
  #last: Promise<unknown> = Promise.resolve()

  /** Throws a ConfigError or a StartError: what is kept and cannot be used is left as it is. */
  constructor(parts: DocumentParts) {
    this.#parts = parts
    this.#base = parts.read()
    const config = configOf(this.#base, this.#base.input)
    this.#store = parts.store?.(config.state) ?? new StateStore(config.state)
    this.#name = this.#base.file ?? COMMAND_LINE
    this.#written = inFull(this.#base.input, config)
    this.#draft = this.#written
    this.#config = config
    const kept = this.#store.load(this.#name, KEPT_CONFIGURATION)
    this.#isKept = kept !== null
    if (kept !== null) this.#adopt(kept)
  }

  /** What is to be served when it has been opened; later, what is served. */
  get config(): Config {
    return this.#config
  }

  /** A copy. */
  get draft(): Draft {
    return structuredClone(this.#draft)
  }

  /** Where paths that are not absolute start. */
  get folder(): string {
    return this.#base.around.folder
  }

  /** Where changes are kept. */
  get path(): string {
    return this.#store.path(this.#name, KEPT_CONFIGURATION)
  }

  /**
   * Makes `change` of the document, serves it and keeps it. Rejects with what `change` throws, a ConfigError, a
   * StartError or a StateError; nothing has changed then, unless a StateError says so.
   */
  edit<Result>(serving: Serving, change: (draft: Draft) => Result): Promise<Result> {
    return this.#next(async () => {
      const draft = this.draft
      const result = change(draft)
      if (!isDeepStrictEqual(draft, this.#draft)) {
        await this.#serve(serving, this.#configOf(draft), { base: this.#written, configuration: draft })
      }
      return result
    })
  }

  /** Serves what a person has written by now, with what was changed since. Resolves as Serving.update does. */
  reload(serving: Serving): Promise<string[]> {
    return this.#next(async () => {
      const base = this.#parts.read()
      const written = inFull(base.input, configOf(base, base.input))
      const { value, conflicts } = merge(this.#written, written, this.#draft)
      const config = this.#isKept ? mergedConfig(base, value, this.path) : configOf(base, value)
      this.#base = base
      const kept = { base: written, configuration: inFull(value, config) }
      const fixed = await this.#serve(serving, config, kept)
      this.#warn(conflicts)
      return fixed
    })
  }

  #configOf(draft: Draft): Config {
    return readConfig(draft, 'The change', this.#base.around)
  }

  #next<Result>(act: () => Promise<Result>): Promise<Result> {
    const done = this.#last.then(act)
    this.#last = done.catch(() => {})
    return done
  }

  /** Two halves of keeping it, and between them serving it: what fails in the first has changed nothing. */
  async #serve(serving: Serving, config: Config, kept: KeptConfiguration): Promise<string[]> {
    const needed = this.#isKept || !isDeepStrictEqual(kept.base, kept.configuration)
    const prepared = needed ? await this.#store.prepare(this.#name, KEPT_CONFIGURATION, kept) : null
    let fixed: string[]
    try {
      fixed = await serving.update(config)
    } catch (error) {
      await prepared?.abandon()
      throw error
    }
    this.#written = kept.base
    this.#draft = kept.configuration
    this.#config = config
    if (prepared !== null) await this.#commit(prepared)
    return fixed
  }

  async #commit(prepared: Prepared): Promise<void> {
    // Even one that is not certain may be found at the next start.
    this.#isKept = true
    try {
      await prepared.commit()
    } catch (error) {
      if (!(error instanceof StateError)) throw error
      throw new StateError(`It is served, but may be forgotten at the next start: ${error.message}`)
    }
  }

  #adopt({ base, configuration }: KeptConfiguration): void {
    const { value, conflicts } = merge(base, this.#written, configuration)
    const config = mergedConfig(this.#base, value, this.path)
    this.#draft = inFull(value, config)
    this.#config = config
    this.#warn(conflicts)
  }

  #warn(conflicts: readonly string[]): void {
    for (const place of conflicts) {
      this.#parts.warn(`${place} in ${this.#base.source} is not what it was, and was changed over the `
        + 'control interface as well; what is written there counts.')
    }
  }
}

function configOf({ source, around, nameOf, mistakes }: Base, input: unknown): Config {
  return readConfig(input, source, around, nameOf, mistakes)
}

/** Each of the two was right: together they may not be. */
function mergedConfig(base: Base, input: unknown, path: string): Config {
  const source = `${base.source}, with what was changed over the control interface (${path})`
  return readConfig(input, source, base.around)
}

/** With the names that the configuration gives to what has none. */
function inFull(input: unknown, { subsystems }: Config): Draft {
  const draft = structuredClone(input) as Draft
  for (const [at, subsystem] of (draft.subsystems as Draft[]).entries()) {
    subsystem.nqn = subsystems[at]!.nqn
    const namespaces = (subsystem.namespaces ?? []) as Draft[]
    for (const [k, nsid] of nsidsOf(namespaces as { nsid?: number }[]).entries()) namespaces[k]!.nsid = nsid
  }
  return draft
}
