/**
 * Write protection of namespaces, as hosts set it by feature 84h. model asks for it to be put into each snapshot,
 * upkeep changes it; what outlives the target is kept in a file of the subsystem.   NVMe Base 2.0, 8.12
 *
 *   none ◀─▶ protected (kept)        none ─▶ until the target stops        none ─▶ permanent (kept)
 *
 * A namespace that the configuration, or its storage, makes read-only is protected too, and no host changes that.
 * Invariant: what was answered as set is on the medium, and in force on every reactor.
 */
import { STATUS } from '../wire/status.ts'
import { WRITE_PROTECTION } from '../wire/feature.ts'
import type { NamespaceSnapshot, TargetSnapshot } from './subsystem.ts'

/** By UUID: WRITE_PROTECTION.PROTECTED or PERMANENT. */
export type KeptProtection = Readonly<Record<string, number>>

export type ProtectionKeeper = {
  /** null: nothing was kept. Throws a StartError where the file is not to be trusted. */
  readonly load: (nqn: string) => KeptProtection | null
  /** Rejects when it is not certain that it is kept. */
  readonly save: (nqn: string, kept: KeptProtection) => Promise<void>
}

export class Protections {
  readonly #keeper: ProtectionKeeper
  /** By NQN, then UUID. */
  readonly #states = new Map<string, Map<string, number>>()

  constructor(keeper: ProtectionKeeper) {
    this.#keeper = keeper
  }

  /** Throws a StartError when what was kept of this subsystem cannot be understood. */
  check(nqn: string): void {
    if (this.#states.has(nqn)) return
    this.#states.set(nqn, new Map(Object.entries(this.#keeper.load(nqn) ?? {})))
  }

  /** The target, each namespace with its protection. */
  complete(target: TargetSnapshot): TargetSnapshot {
    const subsystems = target.subsystems.map((subsystem) => {
      if (subsystem.kind === 'discovery') return subsystem
      this.check(subsystem.nqn)
      const states = this.#states.get(subsystem.nqn)!
      const namespaces = subsystem.namespaces.map((each) => ({ ...each, protection: states.get(each.uuid) ?? 0 }))
      return { ...subsystem, namespaces }
    })
    return { ...target, subsystems }
  }

  /** Returns a status. In force when the target was completed anew. */
  async set(nqn: string, namespace: NamespaceSnapshot, state: number): Promise<number> {
    if (state > WRITE_PROTECTION.PERMANENT) return STATUS.INVALID_FIELD
    const present = protectionOf(namespace)
    if (present === state) return 0
    const fixed = namespace.readOnly || present > WRITE_PROTECTION.PROTECTED
    if (fixed) return STATUS.FEATURE_NOT_CHANGEABLE
    const states = new Map(this.#states.get(nqn))
    if (state === WRITE_PROTECTION.NONE) states.delete(namespace.uuid)
    else states.set(namespace.uuid, state)
    const kept = [...states].filter(([, each]) => each !== WRITE_PROTECTION.UNTIL_POWER_CYCLE)
    try {
      await this.#keeper.save(nqn, Object.fromEntries(kept))
    } catch {
      return STATUS.INTERNAL_ERROR
    }
    this.#states.set(nqn, states)
    return 0
  }
}

/** What feature 84h says of a namespace. */
export function protectionOf({ readOnly, protection = 0 }: NamespaceSnapshot): number {
  return protection === WRITE_PROTECTION.NONE && readOnly ? WRITE_PROTECTION.PROTECTED : protection
}
