/**
 * Registration: what others tell a central discovery controller of themselves, to be told to hosts.
 * The control plane brings Discovery Information Management commands; the model has what was told.
 * NVMe Base 2.0, Discovery Information Management; layouts in wire/discovery-information.ts.
 *
 *   register    adds entries, in place of those with the same key      deregister    takes entries out, or all
 *   update      replaces entries, all of which have to be there
 *
 * An entry belongs to the host that registered it. It stays until it is deregistered, but no longer than the
 * connection of a registrant that said, by a keep-alive time, that it would stay connected.
 * Invariant: a command that is answered with an error changes nothing.
 */
import { DIM_TASK, ETYPE } from '../wire/discovery-information.ts'
import { STATUS } from '../wire/status.ts'
import type { ControllerRecord } from './access.ts'
import { decodeInformation } from './discovery-information.ts'
import type { RegisteredEntry, TargetSnapshot } from './subsystem.ts'

/** Entries of one registrant, and of all of them. */
const ENTRIES_MAX = 512
const ENTRIES_IN_ALL_MAX = 4096

/** Who sends the command; the object itself stands for the association. */
export type Registrant = Pick<ControllerRecord, 'hostNqn' | 'address' | 'keepAliveMs'>

export type RegistrationLog = (sentence: string, facts: Record<string, unknown>) => void

type Registration = {
  readonly entry: RegisteredEntry
  /** With it the registration ends; null: only by being deregistered. */
  readonly association: Registrant | null
}

export class Registrations {
  /** By registrant: host NQN, entity and kind. Then by the key of an entry. */
  readonly #all = new Map<string, ReadonlyMap<string, Registration>>()
  readonly #apply: (next: (target: TargetSnapshot) => TargetSnapshot) => Promise<void>
  readonly #log: RegistrationLog

  constructor(
    apply: (next: (target: TargetSnapshot) => TargetSnapshot) => Promise<void>, log: RegistrationLog,
  ) {
    this.#apply = apply
    this.#log = log
  }

  /** Resolves with a status, when what it says is in force on all reactors. from null: it has gone. */
  async manage(task: number, bytes: Uint8Array, from: Registrant | null): Promise<number> {
    if (from === null) return STATUS.ABORTED_BY_HOST
    if (task > DIM_TASK.UPDATE) return STATUS.INVALID_FIELD
    const told = decodeInformation(bytes, addressOf(from))
    if (typeof told === 'number') return told
    const { entity, entityType, name, entries } = told
    const isHost = entityType === ETYPE.HOST
    if (isHost && entity !== from.hostNqn) return STATUS.INVALID_DISCOVERY_INFORMATION
    const key = `${from.hostNqn}\0${entity}\0${isHost}`
    const before = this.#all.get(key) ?? new Map<string, Registration>()
    const next = new Map(before)
    const association = from.keepAliveMs === 0 ? null : from
    if (task === DIM_TASK.DEREGISTER) {
      for (const each of entries.length === 0 ? next.keys() : entries.map(([each]) => each)) next.delete(each)
    } else {
      if (entries.length === 0) return STATUS.INVALID_FIELD
      const known = entries.every(([each]) => next.has(each))
      if (task === DIM_TASK.UPDATE && !known) return STATUS.INVALID_DISCOVERY_INFORMATION
      for (const [each, entry] of entries) next.set(each, { entry, association })
      const others = this.#count() - before.size
      if (next.size > ENTRIES_MAX || others + next.size > ENTRIES_IN_ALL_MAX) {
        return STATUS.INSUFFICIENT_DISCOVERY_RESOURCES
      }
    }
    if (next.size === 0) this.#all.delete(key)
    else this.#all.set(key, next)
    this.#tell(task, entity, name, from, next.size)
    await this.#publish()
    return STATUS.SUCCESS
  }

  /** The association has ended: what it keeps goes with it. */
  async forget(association: Registrant): Promise<void> {
    let found = false
    for (const [key, before] of this.#all) {
      const next = new Map([...before].filter(([, registration]) => registration.association !== association))
      if (next.size === before.size) continue
      found = true
      if (next.size === 0) this.#all.delete(key)
      else this.#all.set(key, next)
      const { entity } = [...before.values()][0]!.entry
      this.#log(`${entity} is not connected any more: what it registered is not told.`, { entity })
    }
    if (found) await this.#publish()
  }

  #tell(task: number, entity: string, name: string, from: Registrant, count: number): void {
    const verb = task === DIM_TASK.DEREGISTER ? 'deregistered' : task === DIM_TASK.UPDATE ? 'updated' : 'registered'
    const known = name === '' ? entity : `${entity} (${name})`
    const address = addressOf(from)
    this.#log(`${known} at ${address} ${verb}: ${count} ${count === 1 ? 'entry' : 'entries'} now.`, {
      entity, address, entries: count,
    })
  }

  #count(): number {
    return [...this.#all.values()].reduce((sum, { size }) => sum + size, 0)
  }

  #publish(): Promise<void> {
    const registered = [...this.#all.values()].flatMap((each) =>
      [...each.values()].map(({ entry }) => entry))
    return this.#apply((target) => ({ ...target, discovery: { ...target.discovery, registered } }))
  }
}

/** Of "192.0.2.7:51234" or "[fe80::7%eth0]:51234"; an interface name means something on this machine only. */
function addressOf({ address }: Registrant): string {
  return address.slice(0, address.lastIndexOf(':')).replace(/^\[|\]$|%.*/g, '')
}
