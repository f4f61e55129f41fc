/**
 * Attachments as they are decided: the control plane's part. pools.ts asks for changes and keeps them; model gets
 * them into each snapshot; the control plane tells of controllers that come and go.
 *
 *   dynamic   what a host attached is the host's: controllers that it gets later have it from the beginning, as the
 *             dynamic controller model demands. One that differs from the host's others does so until it goes.
 *   static    what is attached to a controller stays attached to it, whoever uses it.
 *
 * A host has what any of its controllers has: it loses a namespace when the last of them is detached.
 * Invariant: a private namespace is attached to one controller at most.
 */
import { STATUS } from '../wire/status.ts'
import type { ControllerRecord } from './access.ts'
import { type Attachment, isAttached, NO_OWNER, type Party } from './attachment.ts'
import type { NamespaceSnapshot, SubsystemSnapshot } from './subsystem.ts'

/** What is kept of a namespace: owners by name, a host NQN or the CNTLID of a static controller. */
export type KeptAttachment = { readonly others: boolean; readonly owners: readonly string[] }

/** What of a controller is asked for. */
export type Attached = Pick<ControllerRecord, 'cntlid' | 'hostNqn' | 'subsystem'>

export type AttachParts = {
  /** CNTLIDs, ascending. */
  readonly cntlids: readonly number[]
  readonly attach: boolean
  /** Those of the subsystem that there are. */
  readonly live: readonly Attached[]
}

/** Owners that one namespace names. */
export const OWNERS_MAX = 1024
/** Numbers of hosts begin above all CNTLIDs. */
const FIRST_HOST = 0x10000

type Entry = { readonly others: boolean; readonly owners: ReadonlySet<string>; readonly controllers: ReadonlySet<number> }
type Namespace = Pick<NamespaceSnapshot, 'uuid' | 'isPrivate'>

/** Those of one subsystem. */
export class Attachments {
  /** By UUID; what is not here is attached to all. */
  #entries = new Map<string, Entry>()
  /** By host NQN. */
  readonly #numbers = new Map<string, number>()

  constructor(kept: Readonly<Record<string, KeptAttachment>>) {
    for (const [uuid, { others, owners }] of Object.entries(kept)) {
      this.#put(uuid, { others, owners: new Set(owners), controllers: new Set() })
    }
  }

  get kept(): Record<string, KeptAttachment> {
    return Object.fromEntries([...this.#entries].map(([uuid, { others, owners }]) => [uuid, { others, owners: [...owners] }]))
  }

  /** For restore(), where a change could not be kept. */
  get state(): ReadonlyMap<string, Entry> {
    return new Map(this.#entries)
  }

  restore(state: ReadonlyMap<string, Entry>): void {
    this.#entries = new Map(state)
  }

  /** A namespace was created: nobody has it yet. */
  create(uuid: string): void {
    this.#put(uuid, { others: false, owners: new Set(), controllers: new Set() })
  }

  forget(uuid: string): void {
    this.#entries.delete(uuid)
  }

  partyOf({ cntlid, hostNqn, subsystem }: Attached): Party {
    const owner = subsystem.controllers.kind === 'static' ? cntlid : this.#numbers.get(hostNqn) ?? NO_OWNER
    return { cntlid, owner }
  }

  has({ uuid }: Namespace, controller: Attached): boolean {
    return isAttached(this.#attachmentOf(uuid), this.partyOf(controller))
  }

  complete(subsystem: SubsystemSnapshot): SubsystemSnapshot {
    const namespaces = subsystem.namespaces.map(({ attachment: _, ...each }): NamespaceSnapshot => {
      const attachment = this.#attachmentOf(each.uuid)
      return attachment === undefined ? each : { ...each, attachment }
    })
    return { ...subsystem, namespaces }
  }

  /** Attaches or detaches: all of what is asked for, or nothing. Returns a status. */
  change(namespace: Namespace, subsystem: SubsystemSnapshot, { cntlids, attach, live }: AttachParts): number {
    const chosen: Attached[] = []
    for (const cntlid of cntlids) {
      const controller = find(subsystem, cntlid, live)
      if (controller === undefined) return STATUS.CONTROLLER_LIST_INVALID
      chosen.push(controller)
    }
    if (chosen.some((each) => this.has(namespace, each) === attach)) {
      return attach ? STATUS.NAMESPACE_ALREADY_ATTACHED : STATUS.NAMESPACE_NOT_ATTACHED
    }
    if (attach && namespace.isPrivate === true) {
      if (chosen.length > 1 || this.#isTaken(namespace, subsystem, live)) return STATUS.NAMESPACE_IS_PRIVATE
      this.create(namespace.uuid)
    }
    const isStatic = subsystem.controllers.kind === 'static'
    for (const each of chosen) {
      if (!this.#change(namespace, each, attach, isStatic ? [] : live)) return STATUS.NAMESPACE_ATTACHMENT_LIMIT_EXCEEDED
    }
    return 0
  }

  /** A controller has come. True where an attachment has changed: another one of its host has a private namespace. */
  join(controller: Attached, live: readonly Attached[]): boolean {
    let changed = false
    for (const { uuid, isPrivate } of controller.subsystem.namespaces) {
      if (isPrivate !== true || !this.has({ uuid }, controller)) continue
      if (!live.some((each) => each.cntlid !== controller.cntlid && this.has({ uuid }, each))) continue
      const entry = this.#entries.get(uuid)!
      this.#entries.set(uuid, { ...entry, controllers: new Set([...entry.controllers, controller.cntlid]) })
      changed = true
    }
    return changed
  }

  /** A controller has gone. True where an attachment has changed. */
  leave({ cntlid }: Attached): boolean {
    let changed = false
    for (const [uuid, entry] of this.#entries) {
      if (!entry.controllers.has(cntlid)) continue
      this.#entries.set(uuid, { ...entry, controllers: new Set([...entry.controllers].filter((each) => each !== cntlid)) })
      changed = true
    }
    return changed
  }

  /** Some controller has a namespace that only one may have. */
  #isTaken(namespace: Namespace, { controllers }: SubsystemSnapshot, live: readonly Attached[]): boolean {
    const entry = this.#entries.get(namespace.uuid)
    if (controllers.kind === 'static') return entry !== undefined && entry.owners.size !== 0
    return live.some((each) => this.has(namespace, each))
  }

  /** live: [] where each controller owns what it has. False: too many owners have something of their own. */
  #change(namespace: Namespace, controller: Attached, attach: boolean, live: readonly Attached[]): boolean {
    const { uuid } = namespace
    const name = nameOf(controller)
    const family = live.filter(({ hostNqn }) => hostNqn === controller.hostNqn)
    const having = new Set(family.filter((each) => this.has(namespace, each)).map(({ cntlid }) => cntlid))
    if (attach) having.add(controller.cntlid)
    else having.delete(controller.cntlid)
    const owns = having.size !== 0
    const { others, owners, controllers } = this.#entries.get(uuid) ?? { others: true, owners: [], controllers: [] }
    const named = new Set(owners)
    if (owns === others) named.delete(name)
    else named.add(name)
    if (named.size > OWNERS_MAX) return false
    const different = new Set(controllers)
    for (const { cntlid } of family) {
      if (having.has(cntlid) === owns) different.delete(cntlid)
      else different.add(cntlid)
    }
    this.#put(uuid, { others, owners: named, controllers: different })
    return true
  }

  #put(uuid: string, entry: Entry): void {
    this.#entries.set(uuid, entry)
    for (const name of entry.owners) {
      if (!/^\d+$/.test(name) && !this.#numbers.has(name)) this.#numbers.set(name, FIRST_HOST + this.#numbers.size)
    }
  }

  #attachmentOf(uuid: string): Attachment | undefined {
    const entry = this.#entries.get(uuid)
    if (entry === undefined || (entry.others && entry.owners.size === 0 && entry.controllers.size === 0)) return undefined
    const owners = [...entry.owners].map((name) => this.#numbers.get(name) ?? Number(name))
    return { others: entry.others, owners, controllers: [...entry.controllers] }
  }
}

/** A controller that there is; with the static model those that nobody uses too. */
function find(subsystem: SubsystemSnapshot, cntlid: number, live: readonly Attached[]): Attached | undefined {
  const { kind, first, last } = subsystem.controllers
  const found = live.find((each) => each.cntlid === cntlid)
  if (found !== undefined || kind === 'dynamic') return found
  return cntlid >= first && cntlid <= last ? { cntlid, hostNqn: '', subsystem } : undefined
}

function nameOf({ cntlid, hostNqn, subsystem }: Attached): string {
  return subsystem.controllers.kind === 'static' ? String(cntlid) : hostNqn
}
