/**
 * The inventory of namespaces as hosts change it: Namespace Management and Namespace Attachment. The control plane
 * brings the commands, controller/inventory.ts has decoded them; pools has what they are about.
 * NVMe Base 2.0, Namespace Management, Namespace Attachment, 8.12
 *
 *   create   planned ─▶ a part ─▶ kept ─▶ served, attached to nobody ─▶ answered with its NSID
 *   attach   decided ─▶ kept ─▶ on every reactor ─▶ (detached: commands that began are over) ─▶ told ─▶ answered
 *   delete   kept ─▶ not served, hosts told ─▶ nothing under way ─▶ erased ─▶ its capacity is free ─▶ answered
 *
 * Invariants: one command after the other. One that fails has changed nothing; one that succeeds survives a restart.
 */
import { randomBytes, randomUUID } from 'node:crypto'
import type { NamespaceConfig } from './config/config.ts'
import { StartError } from './config/start-error.ts'
import { formatSize } from './config/size.ts'
import type { Log } from './control/log.ts'
import type { ControlPlane } from './control-plane.ts'
import { granulesOf, type Part } from './device/allocation.ts'
import type { Live } from './live.ts'
import type { Model } from './model.ts'
import type { Pool, Pools } from './pools.ts'
import type { Access, ControllerRecord } from './subsystem/access.ts'
import { isControllerList, type InventoryTask, planOf, type PoolNamespace } from './subsystem/pool.ts'
import type { Reservations } from './subsystem/reservations.ts'
import type { NamespaceSnapshot, SubsystemSnapshot } from './subsystem/subsystem.ts'
import { sees } from './subsystem/view.ts'
import type { Performed } from './subsystem/upkeep.ts'
import { NSID_ALL } from './wire/sqe.ts'
import { STATUS } from './wire/status.ts'

/** A delete that waits longer for commands that have begun is answered before its capacity is free. */
const VACATE_MS = 2000

export type InventoryParts = {
  readonly pools: Pools
  readonly live: Pick<Live, 'renew'>
  readonly model: Pick<Model, 'apply' | 'target'>
  readonly plane: Pick<ControlPlane, 'raise' | 'exclusions'>
  readonly access: Pick<Access, 'controllers'>
  readonly reservations: Pick<Reservations, 'forget' | 'mayWrite'>
  /** The largest NSID. */
  readonly nsidMax: number
  readonly log: Pick<Log, 'notice'>
}

type Task<Kind extends InventoryTask['kind']> = Extract<InventoryTask, { kind: Kind }>

/** What a command is about. */
type Scene = {
  readonly pool: Pool
  readonly subsystem: SubsystemSnapshot
  /** The controller that processes the command. */
  readonly by: ControllerRecord
}

export class Inventory {
  readonly #parts: InventoryParts
  #last: Promise<unknown> = Promise.resolve()
  #by: ControllerRecord | null = null

  constructor(parts: InventoryParts) {
    this.#parts = parts
  }

  /** by: whose command it is; null: it has gone. Resolves with a status, and with DW0 of the answer. */
  perform(by: ControllerRecord | null, task: InventoryTask): Promise<Performed> {
    const done = this.#last.then(() => this.#perform(by, task))
    this.#last = done.catch(() => {})
    return done
  }

  /**
   * Whether a controller is to be told of a change of a namespace: its host sees it, it has it, and its host did not
   * ask for the change itself.
   */
  concerns(controller: ControllerRecord, namespace: Pick<NamespaceConfig, 'uuid' | 'hosts'>): boolean {
    const { pools } = this.#parts
    return controller !== this.#by && sees(controller.hostNqn, namespace)
      && (pools.of(controller.subsystem.nqn)?.attachments.has(namespace, controller) ?? true)
  }

  async #perform(by: ControllerRecord | null, task: InventoryTask): Promise<Performed> {
    const { pools, model } = this.#parts
    const nqn = by?.subsystem.nqn ?? ''
    const pool = pools.of(nqn)
    const subsystem = model.target.subsystems.find((each) => each.nqn === nqn)
    if (pool === undefined || subsystem === undefined || by === null) return failed(STATUS.ABORT_REQUESTED)
    const scene = { pool, subsystem, by }
    this.#by = by
    try {
      if (task.kind === 'create') return await this.#create(scene, task)
      const status = task.kind === 'delete' ? await this.#delete(scene, task) : await this.#attach(scene, task)
      return failed(status)
    } finally {
      this.#by = null
    }
  }

  async #create({ pool, subsystem }: Scene, { request }: Task<'create'>): Promise<Performed> {
    const { pools, live, nsidMax, log } = this.#parts
    const { nqn } = pool
    const plan = planOf(request, pool.file.blockSizes)
    if (typeof plan === 'number') return failed(plan)
    const nsid = freeNsid(subsystem.namespaces, nsidMax)
    if (nsid === null) return failed(STATUS.NAMESPACE_IDENTIFIER_UNAVAILABLE)
    const bytes = plan.blockBytes * plan.blockCount
    const part = pool.allocation.take(granulesOf(bytes))
    if (part === null) return failed(STATUS.NAMESPACE_INSUFFICIENT_CAPACITY)
    if (pool.file.reach(part) < 0) {
      pool.allocation.give(part)
      return failed(STATUS.NAMESPACE_INSUFFICIENT_CAPACITY)
    }
    const before = pool.namespaces
    const created: PoolNamespace = { ...part, ...plan, nsid, uuid: randomUUID(), nguid: randomBytes(16).toString('hex') }
    pool.namespaces = [...before, created]
    pool.attachments.create(created.uuid)
    let kept = false
    try {
      await pools.save(pool)
      kept = true
      await live.renew()
    } catch (error) {
      pool.namespaces = before
      pool.attachments.forget(created.uuid)
      pool.allocation.give(part)
      if (kept) await pools.save(pool).catch(() => {})
      return failed(error instanceof StartError ? STATUS.NAMESPACE_IDENTIFIER_UNAVAILABLE : STATUS.INTERNAL_ERROR)
    }
    log.notice(`A host created namespace ${nsid} of ${nqn} in its pool: ${formatSize(bytes)}.`, {
      change: 'namespaceCreated', subsystem: nqn, namespace: nsid, bytes,
    })
    return { status: 0, dw0: nsid }
  }

  async #delete(scene: Scene, { nsid }: Task<'delete'>): Promise<number> {
    const { subsystem, by } = scene
    const all = nsid === NSID_ALL
    const chosen = subsystem.namespaces.filter((each) => all || (each.nsid === nsid && sees(by.hostNqn, each)))
    if (chosen.length === 0 && !all) return STATUS.INVALID_NAMESPACE
    for (const each of chosen) {
      const status = this.#refusal(scene, each)
      if (status !== 0) return status
    }
    for (const each of chosen) {
      const status = await this.#deleteOne(scene, each)
      if (status !== 0) return status
    }
    return 0
  }

  /** Why a namespace cannot be deleted, or 0. */
  #refusal({ pool, by }: Scene, { uuid, formatting, protection = 0 }: NamespaceSnapshot): number {
    if (!pool.namespaces.some((each) => each.uuid === uuid)) return STATUS.OPERATION_DENIED
    if (!this.#parts.reservations.mayWrite(pool.nqn, uuid, by.hostId)) return STATUS.RESERVATION_CONFLICT
    if (formatting !== undefined) return STATUS.FORMAT_IN_PROGRESS
    return protection !== 0 ? STATUS.NAMESPACE_WRITE_PROTECTED : 0
  }

  async #deleteOne({ pool }: Scene, { uuid, nsid }: NamespaceSnapshot): Promise<number> {
    const { pools, live, model, reservations, log } = this.#parts
    const { nqn } = pool
    const { namespaces, leftovers } = pool
    const { at, bytes } = namespaces.find((each) => each.uuid === uuid)!
    const part: Part = { at, bytes }
    pool.namespaces = namespaces.filter((each) => each.uuid !== uuid)
    pool.leftovers = [...leftovers, part]
    try {
      await pools.save(pool)
    } catch {
      Object.assign(pool, { namespaces, leftovers })
      return STATUS.INTERNAL_ERROR
    }
    await live.renew()
    pool.attachments.forget(uuid)
    await reservations.forget(nqn, uuid)
    log.notice(`A host deleted namespace ${nsid} of ${nqn}.`, { change: 'namespaceDeleted', subsystem: nqn, namespace: nsid })
    const reclaimed = pool.file.vacated(part).then(() => pools.reclaim(pool, part))
      .then(() => model.apply((target) => target))
    await within(VACATE_MS, reclaimed)
    return 0
  }

  async #attach({ pool, subsystem, by }: Scene, { kind, nsid, cntlids }: Task<'attach' | 'detach'>): Promise<number> {
    const { pools, model, access, reservations } = this.#parts
    if (nsid === NSID_ALL) return STATUS.INVALID_FIELD
    const namespace = subsystem.namespaces.find((each) => each.nsid === nsid && sees(by.hostNqn, each))
    if (namespace === undefined) return STATUS.INVALID_NAMESPACE
    if (!isControllerList(cntlids)) return STATUS.CONTROLLER_LIST_INVALID
    if (!reservations.mayWrite(pool.nqn, namespace.uuid, by.hostId)) return STATUS.RESERVATION_CONFLICT
    const live = access.controllers.filter((each) => each.subsystem.nqn === pool.nqn && each.queues.has(0) && each.ending === '')
    const before = pool.attachments.state
    const status = pool.attachments.change(namespace, subsystem, { cntlids, attach: kind === 'attach', live })
    try {
      if (status === 0) await pools.save(pool)
    } catch {
      pool.attachments.restore(before)
      return STATUS.INTERNAL_ERROR
    }
    if (status !== 0) {
      pool.attachments.restore(before)
      return status
    }
    pools.own(pool)
    await model.apply((target) => target)
    if (kind === 'detach') await this.#settle(namespace)
    this.#tell(kind, pool, namespace, cntlids)
    return 0
  }

  /** Commands that began before are over. */
  async #settle({ index, blockCount }: NamespaceSnapshot): Promise<void> {
    const letGo = await this.#parts.plane.exclusions.take({ namespace: index, lba: 0, blockCount })
    letGo?.()
  }

  #tell(kind: 'attach' | 'detach', { nqn }: Pool, { nsid }: NamespaceSnapshot, cntlids: readonly number[]): void {
    const { plane, log } = this.#parts
    plane.raise('NAMESPACE_ATTRIBUTES', (controller) => controller !== this.#by
      && controller.subsystem.nqn === nqn && cntlids.includes(controller.cntlid), nsid)
    const which = cntlids.length === 1 ? `controller ${cntlids[0]}` : `controllers ${cntlids.join(', ')}`
    const done = kind === 'attach' ? `attached namespace ${nsid} of ${nqn} to ${which}` : `detached namespace ${nsid} of ${nqn} from ${which}`
    log.notice(`A host ${done}.`, { change: `namespace${kind === 'attach' ? 'Attached' : 'Detached'}`, subsystem: nqn, namespace: nsid, controllers: cntlids })
  }
}

const failed = (status: number): Performed => ({ status, dw0: 0 })

/** The lowest; null: there is none. */
function freeNsid(namespaces: readonly NamespaceSnapshot[], most: number): number | null {
  const taken = new Set(namespaces.map(({ nsid }) => nsid))
  for (let nsid = 1; nsid <= most; nsid++) if (!taken.has(nsid)) return nsid
  return null
}

/** Resolves when it is done, or so many milliseconds have passed. */
async function within(ms: number, work: Promise<unknown>): Promise<void> {
  let timer: NodeJS.Timeout
  const late = new Promise<void>((resolve) => { timer = setTimeout(resolve, ms) })
  await Promise.race([work, late]).finally(() => clearTimeout(timer))
}
