/**
 * The states of all paths, as configured and as moved since: the control plane's part of asymmetric access.
 * target holds one and lets it complete each snapshot before the reactors get it.      NVMe Base 2.0, 8.1
 *
 *   configure ─ a listener's choice for every subsystem       set ─ of one subsystem, or a group, from then on
 *
 * Invariant: change counts go on while the target runs, also those of a subsystem that is removed and comes back.
 */
import {
  ALWAYS_OPTIMIZED, ANA_GROUPS_MAX, type AnaChoice, type AnaName, type AnaPath, anaPaths, changedPaths,
  listenerKey, pathAt,
} from './ana.ts'
import type { Config } from '../config/config.ts'
import type { Endpoint, SubsystemSnapshot, TargetSnapshot } from './subsystem.ts'

/** A state that somebody wants: without a subsystem of all of them, without a group of all groups. */
export type AnaWish = {
  readonly listener: Endpoint
  readonly subsystem?: string
  readonly group?: number
  readonly state: AnaName
}

export class Paths {
  /** By listener: what the configuration says. */
  readonly #configured = new Map<string, AnaChoice>()
  /** By NQN and listener: what the configuration says of one subsystem. */
  readonly #own = new Map<string, Map<string, AnaChoice>>()
  /** By NQN and listener: what was set since. */
  readonly #moved = new Map<string, Map<string, AnaChoice>>()
  /** By NQN. */
  readonly #before = new Map<string, readonly AnaPath[]>()

  /** What the configuration says of a listener. Where that is news, it takes the place of what was set since. */
  configure(listener: Endpoint, choice: AnaChoice): void {
    const key = listenerKey(listener)
    const known = this.#configured.get(key)
    if (known !== undefined && JSON.stringify(known) === JSON.stringify(choice)) return
    this.#configured.set(key, choice)
    for (const moved of this.#moved.values()) moved.delete(key)
  }

  /** All that a configuration says. endpoints: where its listeners listen, in its order. */
  configureAll({ listeners, subsystems }: Pick<Config, 'listeners' | 'subsystems'>, endpoints: readonly Endpoint[]): void {
    for (const [at, { ana }] of listeners.entries()) this.configure(endpoints[at]!, ana ?? ALWAYS_OPTIMIZED)
    for (const { nqn, listeners: own = [] } of subsystems) {
      this.configureSubsystem(nqn, new Map(own.flatMap(({ address, port, ana }) => {
        const at = listeners.findIndex((each) => each.address === address && each.port === port)
        return ana === undefined || at === -1 ? [] : [[listenerKey(endpoints[at]!), ana] as const]
      })))
    }
  }

  /** What it says of one subsystem, in place of all that it said of it before; news as above. */
  configureSubsystem(nqn: string, choices: ReadonlyMap<string, AnaChoice>): void {
    const before = this.#own.get(nqn) ?? new Map<string, AnaChoice>()
    for (const key of new Set([...before.keys(), ...choices.keys()])) {
      if (JSON.stringify(before.get(key)) !== JSON.stringify(choices.get(key))) this.#moved.get(nqn)?.delete(key)
    }
    this.#own.set(nqn, new Map(choices))
  }

  /** subsystems: the NQNs that there are. The next snapshot has it. */
  set({ listener, subsystem, group, state }: AnaWish, subsystems: readonly string[]): void {
    const key = listenerKey(listener)
    for (const nqn of subsystem === undefined ? subsystems : [subsystem]) {
      const moved = this.#moved.get(nqn) ?? new Map<string, AnaChoice>()
      const choice = this.#choiceOf(nqn, key)
      moved.set(key, group === undefined
        ? { others: state, groups: {} }
        : { ...choice, groups: { ...choice.groups, [group]: state } })
      this.#moved.set(nqn, moved)
    }
  }

  /** The same with the paths of each subsystem. */
  complete(target: TargetSnapshot): TargetSnapshot {
    return { ...target, subsystems: target.subsystems.map((subsystem) => this.#complete(subsystem)) }
  }

  #complete(subsystem: SubsystemSnapshot): SubsystemSnapshot {
    const { nqn, kind, endpoints, namespaces } = subsystem
    if (kind === 'discovery') return subsystem
    const keys = endpoints.map(listenerKey)
    const choices = new Map(keys.map((key) => [key, this.#choiceOf(nqn, key)]))
    const paths = anaPaths(namespaces, choices, this.#before.get(nqn) ?? [])
    this.#before.set(nqn, paths)
    return { ...subsystem, paths }
  }

  #choiceOf(nqn: string, key: string): AnaChoice {
    return this.#moved.get(nqn)?.get(key) ?? this.#own.get(nqn)?.get(key) ?? this.#configured.get(key) ?? ALWAYS_OPTIMIZED
  }
}

/** It is there, but does not lead to hosts through this listener. */
export function isServedElsewhere({ subsystems }: TargetSnapshot, nqn: string, listener: string): boolean {
  const subsystem = subsystems.find((each) => each.nqn === nqn)
  return subsystem?.kind === 'nvm' && !subsystem.endpoints.some((each) => listenerKey(each) === listener)
}

/** Throws when there is no such path. */
export function checkWish({ listener, subsystem, group }: AnaWish, target: TargetSnapshot): void {
  const served = target.subsystems.filter(({ kind }) => kind === 'nvm')
  const chosen = subsystem === undefined ? served : served.filter(({ nqn }) => nqn === subsystem)
  if (chosen.length === 0) throw new Error(`There is no subsystem ${subsystem ?? ''}.`)
  const key = listenerKey(listener)
  if (!chosen.some(({ endpoints }) => endpoints.some((endpoint) => listenerKey(endpoint) === key))) {
    throw new Error(`There is no listener ${listener.address} port ${listener.port}.`)
  }
  if (group !== undefined && (!Number.isInteger(group) || group < 1 || group > ANA_GROUPS_MAX)) {
    throw new Error(`ANA groups are numbered from 1 to ${ANA_GROUPS_MAX}.`)
  }
}

export type PathMove = {
  readonly subsystem: string
  /** listenerKey of where it listens. */
  readonly listener: string
  readonly group: number
  readonly state: AnaName
}

/** The groups that have another state than before, each through its listener. */
export function pathMoves(before: TargetSnapshot, after: TargetSnapshot): PathMove[] {
  return after.subsystems.flatMap(({ nqn, paths }) => {
    const previous = before.subsystems.find((subsystem) => subsystem.nqn === nqn)?.paths ?? []
    return paths.flatMap(({ listener, groups }) => groups.filter(({ group, state }) => {
      const known = pathAt(previous, listener)?.groups.find((each) => each.group === group)
      return known !== undefined && known.state !== state
    }).map(({ group, state }) => ({ subsystem: nqn, listener, group, state })))
  })
}

/** Whom a change concerns: a controller by its subsystem and listener; null: nobody. */
export function pathNews(
  before: TargetSnapshot, after: TargetSnapshot,
): ((controller: { readonly subsystem: { readonly nqn: string }; readonly listener: string }) => boolean) | null {
  const concerned = new Set<string>()
  for (const { nqn, paths } of after.subsystems) {
    const previous = before.subsystems.find((subsystem) => subsystem.nqn === nqn)
    for (const listener of changedPaths(previous?.paths ?? [], paths)) concerned.add(`${nqn} ${listener}`)
  }
  if (concerned.size === 0) return null
  return ({ subsystem, listener }) => concerned.has(`${subsystem.nqn} ${listener}`)
}
