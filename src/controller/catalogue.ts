/**
 * The catalogue: this reactor's copy of what is exported. The control plane changes it by messages, between two
 * turns; admin and associations read it, io finds namespaces in it.
 *
 *   target ─▶ subsystems by NQN ─▶ a table by NSID ─▶ Namespace ◀─ by index ─ slots
 *
 * A namespace that goes, or gets another size, leaves its table at once: later commands do not find it. Those
 * that have begun find it by its index until it is retired, which the control plane asks for and waits for.
 *
 * Invariant: an index is given to another namespace only after every reactor has retired it.
 */
import { GUARD } from './guard.ts'
import type { Namespace, NamespaceTable } from '../namespace/namespace.ts'
import { SLOT, type Slots } from '../reactor/slots.ts'
import type { NamespaceSnapshot, SubsystemSnapshot, TargetSnapshot } from '../subsystem/subsystem.ts'
import { sees } from '../subsystem/view.ts'
import { markPaths } from './ana.ts'
import { DeviceHealth } from './device-health.ts'
import { markMedia } from './media.ts'

export type CatalogueParts = {
  /** By index, all null to begin with: the catalogue fills it in. */
  readonly namespaces: (Namespace | null)[]
  readonly slots: Slots
  /** Makes the namespace with its device on this reactor. */
  readonly open: (subsystem: SubsystemSnapshot, snapshot: NamespaceSnapshot) => Namespace
  /** A subsystem is another than before: its controllers have to know. */
  readonly renewed: (subsystem: SubsystemSnapshot, table: NamespaceTable) => void
  /** Answers that are not sent yet take their payload from this region, or a copy into it is queued. */
  readonly refersTo: (region: number) => boolean
}

type Retirement = { readonly indices: readonly number[]; readonly done: () => void; quiet: boolean }

const NOTHING: TargetSnapshot = {
  generation: 0, firmware: '', subsystems: [], discovery: { referrals: [], registered: [], ports: [] },
}

export class Catalogue {
  target: TargetSnapshot = NOTHING
  /** By index. */
  readonly namespaces: (Namespace | null)[]
  /** By NQN. */
  readonly subsystems = new Map<string, SubsystemSnapshot>()
  readonly tables = new Map<string, NamespaceTable>()
  /** Of the NVMe devices that some of them are on. */
  readonly health = new DeviceHealth()
  readonly #parts: CatalogueParts
  #retirements: Retirement[] = []

  constructor(parts: CatalogueParts) {
    this.#parts = parts
    this.namespaces = parts.namespaces
  }

  /** What is exported from now on. */
  adopt(target: TargetSnapshot): void {
    this.target = target
    for (const nqn of this.subsystems.keys()) {
      if (!target.subsystems.some((each) => each.nqn === nqn)) this.#remove(nqn)
    }
    for (const subsystem of target.subsystems) this.#renew(subsystem)
  }

  /** Calls done when nothing refers to these namespaces, which are in no table any more. */
  retire(indices: readonly number[], done: () => void): void {
    const quiet = !indices.some((index) => this.#isBusy(index))
    this.#retirements.push({ indices, done, quiet })
  }

  /** Looks whether what is to be retired is still in use. The reactor's tick calls it. */
  tick(): void {
    if (this.#retirements.length === 0) return
    this.#retirements = this.#retirements.filter((each) => {
      const busy = each.indices.some((index) => this.#isBusy(index))
      // Once more a turn later: copies that were queued in this one have been performed then.
      if (busy || !each.quiet) {
        each.quiet = !busy
        return true
      }
      for (const index of each.indices) this.namespaces[index] = null
      each.done()
      return false
    })
  }

  #isBusy(index: number): boolean {
    const namespace = this.namespaces[index]
    if (namespace === null || namespace === undefined) return false
    for (const slot of this.#parts.slots.all) {
      if (slot.namespace === index && slot.state !== SLOT.FREE && slot.state !== SLOT.SENDING) return true
    }
    const { device } = namespace.snapshot
    return device.kind === 'memory' && this.#parts.refersTo(device.region)
  }

  #renew(subsystem: SubsystemSnapshot): void {
    const before = this.tables.get(subsystem.nqn)
    for (const each of subsystem.namespaces) {
      const known = this.namespaces[each.index]
      if (known !== null && known !== undefined && known.snapshot.counter === each.counter) {
        known.update(each)
        continue
      }
      const namespace = this.#parts.open(subsystem, each)
      // A namespace of another size is the same one to everybody who guards it.
      const previous = before?.[each.nsid] ?? null
      if (previous !== null && previous.snapshot.counter === each.counter) {
        namespace.guards = previous.guards & ~GUARD.HELD
      }
      this.namespaces[each.index] = namespace
    }
    const table = tableOf(subsystem, this.namespaces)
    this.subsystems.set(subsystem.nqn, subsystem)
    this.tables.set(subsystem.nqn, table)
    markPaths(subsystem, table)
    markMedia(subsystem, table)
    this.#parts.renewed(subsystem, table)
  }

  #remove(nqn: string): void {
    const subsystem = { ...this.subsystems.get(nqn)!, namespaces: [] }
    this.#parts.renewed(subsystem, tableOf(subsystem, this.namespaces))
    this.subsystems.delete(nqn)
    this.tables.delete(nqn)
  }
}

/** Of a table what a host sees. */
export function tableFor(hostNqn: string, table: NamespaceTable): NamespaceTable {
  const isHidden = (each: Namespace | null): boolean => each !== null && !sees(hostNqn, each.snapshot)
  return table.some(isHidden) ? table.map((each) => (isHidden(each) ? null : each)) : table
}

/** The namespaces of a subsystem as a table by NSID. */
export function tableOf(subsystem: SubsystemSnapshot, namespaces: readonly (Namespace | null)[]): NamespaceTable {
  const last = subsystem.namespaces.at(-1)?.nsid ?? 0
  const table = new Array<Namespace | null>(last + 1).fill(null)
  for (const each of subsystem.namespaces) table[each.nsid] = namespaces[each.index] ?? null
  return table
}
