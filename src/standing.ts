/**
 * Standing: what lasts of what the reactors were told, for one that starts later than the others. reactors.ts notes
 * every change here before it is posted.
 *
 * Invariant: a reactor that starts with setup, and then gets changes and listeners, is where the others are, or will
 * be when they have read what was posted to them.
 */
import type { NamespaceRights } from './subsystem/reservations.ts'
import type { Change, ReactorSetup } from './reactor/messages.ts'

type Told = Pick<ReactorSetup, 'target' | 'rights'>

export class Standing {
  #target: Told['target'] | undefined
  /** By UUID of the namespace. */
  readonly #rights = new Map<string, NamespaceRights>()
  /** Blocks that somebody has for himself, by id. */
  readonly #holds = new Map<number, Extract<Change, { kind: 'hold' }>>()
  readonly #listeners = new Set<number>()
  #trace: Extract<Change, { kind: 'trace' }> | undefined

  /** told: what the first reactors start with. */
  constructor(told: Told | undefined) {
    this.#target = told?.target
    for (const each of told?.rights ?? []) this.#rights.set(each.uuid, each)
  }

  listen(listener: number): void {
    this.#listeners.add(listener)
  }

  note(change: Change): void {
    if (change.kind === 'target') this.#target = change.target
    else if (change.kind === 'hold') this.#holds.set(change.id, change)
    else if (change.kind === 'let-go') this.#holds.delete(change.id)
    else if (change.kind === 'trace') this.#trace = unmet(change)
    else if (change.kind === 'unlisten') this.#listeners.delete(change.socket)
    else if (change.kind === 'rights') {
      const { kind: _kind, ...rights } = change
      if (rights.rights === null) this.#rights.delete(rights.uuid)
      else this.#rights.set(rights.uuid, rights)
    }
  }

  get setup(): Told {
    return { target: this.#target!, rights: [...this.#rights.values()] }
  }

  /** What the setup does not say. */
  get changes(): readonly Change[] {
    return [...this.#holds.values(), ...(this.#trace === undefined ? [] : [this.#trace])]
  }

  get listeners(): readonly number[] {
    return [...this.#listeners]
  }
}

/** Of one that starts later no connection is known. */
function unmet({ kind, reactors }: Extract<Change, { kind: 'trace' }>): Extract<Change, { kind: 'trace' }> | undefined {
  return reactors === null ? undefined : { kind, reactors: reactors.map((each) => ({ ...each, known: [] })) }
}
