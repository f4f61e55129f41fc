/**
 * Live changes: what a running target serves becomes what another configuration says, and only that. A reload
 * is one update; the methods that change one thing are updates to a configuration that differs in it.
 * target makes it; update does the work.
 *
 * Invariant: updates are done one after the other, each from what the one before has left.
 */
import type { HostKeys } from './auth/keys.ts'
import type { Config, NamespaceConfig, SubsystemConfig } from './config/config.ts'
import { changeable, fixedDifferences } from './config/difference.ts'
import { StartError } from './config/start-error.ts'
import { endpointText } from './control/log.ts'
import type { Endpoint } from './subsystem/subsystem.ts'
import type { Pools } from './pools.ts'
import { isSame, Update, type UpdateParts } from './update.ts'

export type LiveParts = UpdateParts & { readonly pools: Pick<Pools, 'prepare' | 'tidy'> }

export class Live {
  readonly #parts: LiveParts
  #config: Config
  #last: Promise<unknown> = Promise.resolve()
  readonly #watchers: ((config: Config) => unknown)[] = []

  /** config: what is served already. */
  constructor(config: Config, parts: LiveParts) {
    this.#config = config
    this.#parts = parts
  }

  /** What is served. */
  get config(): Config {
    return this.#config
  }

  /** Calls it with what is served each time that it has changed; a change is done when it has resolved. */
  watch(watcher: (config: Config) => unknown): void {
    this.#watchers.push(watcher)
  }

  /**
   * Makes this what is served. Resolves with the names of the parts that are different but take a new start.
   * Throws a StartError when something cannot be opened; nothing has changed then.
   */
  update(next: Config): Promise<string[]> {
    return this.#edit(() => next)
  }

  /** Does it between two updates. */
  exclusive<Result>(work: () => Promise<Result>): Promise<Result> {
    const done = this.#last.then(work)
    this.#last = done.catch(() => {})
    return done
  }

  /** Serves what hosts created, and no longer what they deleted. */
  renew(): Promise<void> {
    return this.#change((config) => config)
  }

  addNamespace(nqn: string, namespace: NamespaceConfig): Promise<void> {
    return this.#editNamespaces(nqn, (namespaces) => {
      if (namespaces.some(({ nsid }) => nsid === namespace.nsid)) {
        throw new StartError(`Namespace ${namespace.nsid} of ${nqn} is there already.`)
      }
      this.#checkNames([namespace])
      return [...namespaces, namespace].toSorted((one, other) => one.nsid - other.nsid)
    })
  }

  removeNamespace(nqn: string, nsid: number): Promise<void> {
    return this.#editNamespaces(nqn, (namespaces) => {
      known(namespaces.find((each) => each.nsid === nsid), `namespace ${nsid} of ${nqn}`)
      return namespaces.filter((each) => each.nsid !== nsid)
    })
  }

  /** bytes null: as large as the file or the device has become. */
  resizeNamespace(nqn: string, nsid: number, bytes: number | null): Promise<void> {
    return this.#editNamespaces(nqn, (namespaces) => {
      const { backing } = known(namespaces.find((each) => each.nsid === nsid), `namespace ${nsid} of ${nqn}`)
      if (backing.kind === 'pool') throw new StartError('A namespace has the size that the host who created it gave it.')
      if (!('bytes' in backing) ? bytes !== null : bytes === null && backing.kind !== 'file') {
        throw new StartError(`A ${backing.kind} ${bytes === null ? 'namespace needs a size' : 'has the size that it has'}.`)
      }
      return namespaces.map((each) => each.nsid === nsid ? withBytes(each, bytes) : each)
    })
  }

  addSubsystem(subsystem: SubsystemConfig): Promise<void> {
    return this.#change((config) => {
      if (config.subsystems.some(({ nqn }) => nqn === subsystem.nqn)) {
        throw new StartError(`There is a subsystem ${subsystem.nqn} already.`)
      }
      this.#checkNames(subsystem.namespaces)
      return { ...config, subsystems: [...config.subsystems, subsystem] }
    })
  }

  removeSubsystem(nqn: string): Promise<void> {
    return this.#change((config) => {
      known(config.subsystems.find((each) => each.nqn === nqn), `subsystem ${nqn}`)
      return { ...config, subsystems: config.subsystems.filter((each) => each.nqn !== nqn) }
    })
  }

  /** null: any host may connect. Controllers of hosts that may not are ended. */
  allowHosts(nqn: string, hosts: readonly string[] | null): Promise<void> {
    return this.#editSubsystem(nqn, (subsystem) => ({ ...subsystem, hosts }))
  }

  /**
   * From now on these hosts authenticate, with these keys, and no other: at their next Connect, and when they
   * authenticate again. Who may connect stays as it is.
   */
  setKeys(nqn: string, keys: readonly HostKeys[]): Promise<void> {
    return this.#editSubsystem(nqn, (subsystem) => ({ ...subsystem, keys }))
  }

  addListener(endpoint: Endpoint, discoveryOnly = false): Promise<void> {
    const key = discoveryOnly ? 'discovery' : 'listeners'
    return this.#change((config) => {
      if (config[key].some((each) => isSame(each, endpoint)) && endpoint.port !== 0) {
        throw new StartError(`weft listens on ${endpointText(endpoint)} already.`)
      }
      return { ...config, [key]: [...config[key], endpoint] }
    })
  }

  /** endpoint: as it was configured. Connections that came by it are ended in order. */
  removeListener(endpoint: Endpoint): Promise<void> {
    return this.#change((config) => {
      known([...config.listeners, ...config.discovery].find((each) => isSame(each, endpoint)),
        `listener ${endpointText(endpoint)}`)
      return {
        ...config, listeners: config.listeners.filter((each) => !isSame(each, endpoint)),
        discovery: config.discovery.filter((each) => !isSame(each, endpoint)),
      }
    })
  }

  /** Hosts take two namespaces of one name for one. */
  #checkNames(namespaces: readonly NamespaceConfig[]): void {
    const present = this.#config.subsystems.flatMap((subsystem) => subsystem.namespaces)
    for (const { nsid, uuid, nguid } of namespaces) {
      const same = present.find((each) => each.uuid === uuid || each.nguid === nguid)
      if (same !== undefined) throw new StartError(`Namespace ${nsid} would have the UUID or NGUID of another one.`)
    }
  }

  #editNamespaces(
    nqn: string, edit: (namespaces: readonly NamespaceConfig[]) => readonly NamespaceConfig[],
  ): Promise<void> {
    return this.#editSubsystem(nqn, (subsystem) => ({ ...subsystem, namespaces: edit(subsystem.namespaces) }))
  }

  #editSubsystem(nqn: string, edit: (subsystem: SubsystemConfig) => SubsystemConfig): Promise<void> {
    return this.#change((config) => {
      known(config.subsystems.find((each) => each.nqn === nqn), `subsystem ${nqn}`)
      return { ...config, subsystems: config.subsystems.map((each) => each.nqn === nqn ? edit(each) : each) }
    })
  }

  async #change(edit: (config: Config) => Config): Promise<void> {
    await this.#edit(edit)
  }

  #edit(edit: (config: Config) => Config): Promise<string[]> {
    const done = this.#last.then(() => this.#update(edit(this.#config)))
    this.#last = done.catch(() => {})
    return done
  }

  async #update(next: Config): Promise<string[]> {
    const before = this.#config
    const { pools } = this.#parts
    try {
      const wanted = await pools.prepare(changeable(before, next))
      this.#config = await new Update(this.#parts, before, wanted).apply()
    } finally {
      pools.tidy(this.#config)
    }
    for (const watcher of this.#watchers) await watcher(this.#config)
    return fixedDifferences(before, next)
  }
}

/** Throws a StartError that there is no such thing. */
function known<Thing>(thing: Thing | undefined, name: string): Thing {
  if (thing === undefined) throw new StartError(`There is no ${name}.`)
  return thing
}

function withBytes(config: NamespaceConfig, bytes: number | null): NamespaceConfig {
  const { backing } = config
  return 'bytes' in backing ? { ...config, backing: { ...backing, bytes } as typeof backing } : config
}
