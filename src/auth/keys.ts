/**
 * Keys: which host authenticates with what, for which subsystem. config makes them, authenticator
 * asks.
 * They live on the main thread alone: no snapshot of a subsystem has them.
 *
 * Invariant: a host without an entry needs no authentication.
 */
import type { Secret } from './secret.ts'

/** What a host proves itself with. */
export type HostKeys = {
  readonly nqn: string
  readonly key: Secret
  /** What the controller proves itself with to this host; null = it cannot. */
  readonly controllerKey: Secret | null
  /** Identifiers of wire/authentication.ts, the preferred one first. */
  readonly hashes: readonly number[]
  readonly groups: readonly number[]
}

/** By subsystem NQN. */
export type SubsystemKeys = ReadonlyMap<string, readonly HostKeys[]>

export class Keys {
  #hosts = new Map<string, ReadonlyMap<string, HostKeys>>()

  constructor(keys: SubsystemKeys = new Map()) {
    this.replace(keys)
  }

  /** From now on. A transaction that is under way ends with the keys that it began with. */
  replace(keys: SubsystemKeys): void {
    this.#hosts = new Map([...keys].map(([subsystem, hosts]) =>
      [subsystem, new Map(hosts.map((host) => [host.nqn, host]))]))
  }

  /** null: this host needs none. */
  find(subsystem: string, host: string): HostKeys | null {
    return this.#hosts.get(subsystem)?.get(host) ?? null
  }
}
