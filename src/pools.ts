/**
 * Pools of a running target: the files that hosts create namespaces of, what lies in them, and which controllers have
 * it. live and target get configurations with the namespaces that hosts created; model gets attachments and capacities
 * into each snapshot; inventory.ts executes what hosts ask for.
 *
 *   created   kept ─▶ served         deleted   kept as a leftover ─▶ not served ─▶ unused ─▶ erased ─▶ free
 *
 * Whenever the process ends, what the record says is right: nothing in it is missing, and nothing of a namespace that
 * was deleted is ever seen in another one. docs/adr/0009
 * Invariant: a record is on the medium before hosts see what it says.
 */
import { randomUUID } from 'node:crypto'
import { ROW, type Shared } from './controller/shared.ts'
import type { Config, NamespaceConfig, PoolConfig, SubsystemConfig } from './config/config.ts'
import { StartError } from './config/start-error.ts'
import type { Log } from './control/log.ts'
import { Allocation, type Part } from './device/allocation.ts'
import type { Backings } from './device/backing.ts'
import type { PoolFile } from './device/pool.ts'
import { errnoName } from './shim/shim.ts'
import type { ControllerRecord } from './subsystem/access.ts'
import { NO_OWNER } from './subsystem/attachment.ts'
import { Attachments } from './subsystem/attachments.ts'
import type { KeptPool, PoolNamespace } from './subsystem/pool.ts'
import type { NamespaceSnapshot, SubsystemSnapshot, TargetSnapshot } from './subsystem/subsystem.ts'

/** A file with holes may be so many times as long as it has room for. */
const REACH = 64

export type PoolParts = {
  readonly backings: Pick<Backings, 'openPool' | 'closePool'>
  /** null: nothing was kept. Throws a StartError where the file is not to be trusted. */
  readonly load: (nqn: string) => KeptPool | null
  /** Rejects when it is not certain that it is kept. */
  readonly save: (nqn: string, kept: KeptPool) => Promise<void>
  readonly log: Pick<Log, 'warning'>
}

/** What tells of controllers, when there are some. */
export type PoolControllers = {
  readonly shared: Pick<Shared, 'words' | 'row'>
  readonly live: () => readonly ControllerRecord[]
  /** Brings what has changed to all reactors. */
  readonly apply: () => Promise<void>
}

/** One pool, open. */
export type Pool = {
  readonly nqn: string
  readonly config: PoolConfig
  readonly id: string
  readonly file: PoolFile
  readonly allocation: Allocation
  namespaces: readonly PoolNamespace[]
  leftovers: readonly Part[]
  readonly attachments: Attachments
}

export class Pools {
  readonly #parts: PoolParts
  /** By NQN. */
  readonly #pools = new Map<string, Pool>()
  #controllers: PoolControllers | null = null

  constructor(parts: PoolParts) {
    this.#parts = parts
  }

  /** Before the first host comes. */
  serve(controllers: PoolControllers): void {
    this.#controllers = controllers
  }

  of(nqn: string): Pool | undefined {
    return this.#pools.get(nqn)
  }

  /**
   * Opens the pools of subsystems that are new. The configuration with all namespaces that hosts created. Throws a
   * StartError; tidy() is due then.
   */
  async prepare(config: Config): Promise<Config> {
    const subsystems: SubsystemConfig[] = []
    for (const subsystem of config.subsystems) {
      const { nqn, pool: wanted } = subsystem
      if (!this.#pools.has(nqn) && wanted !== undefined) await this.#open(nqn, wanted)
      const pool = this.#pools.get(nqn)
      subsystems.push(pool === undefined ? subsystem : withCreated(subsystem, pool))
    }
    return { ...config, subsystems }
  }

  /** Closes those that this configuration does not have, and whose namespaces nobody uses. */
  tidy({ subsystems }: Pick<Config, 'subsystems'>): void {
    for (const [nqn, pool] of this.#pools) {
      if (subsystems.some((each) => each.nqn === nqn)) continue
      this.#pools.delete(nqn)
      const used = pool.namespaces.map((part) => pool.file.vacated(part))
      void Promise.all(used).then(() => this.#parts.backings.closePool(pool.file))
    }
  }

  /** The target with what hosts may create, and who has what. */
  complete(target: TargetSnapshot): TargetSnapshot {
    if (this.#pools.size === 0) return target
    return { ...target, subsystems: target.subsystems.map((each) => this.#complete(each)) }
  }

  /** A controller has come: the owner of what is attached to it. */
  join(controller: ControllerRecord): number {
    const attachments = this.#pools.get(controller.subsystem.nqn)?.attachments
    if (attachments === undefined) return NO_OWNER
    const { owner } = attachments.partyOf(controller)
    const { live, apply } = this.#controllers!
    if (attachments.join(controller, live().filter(({ subsystem }) => subsystem.nqn === controller.subsystem.nqn))) void apply()
    return owner
  }

  leave(controller: ControllerRecord): void {
    if (this.#pools.get(controller.subsystem.nqn)?.attachments.leave(controller) === true) void this.#controllers!.apply()
  }

  /** Tells reactors whose controllers they have. Before they get attachments that name an owner for the first time. */
  own({ nqn, attachments }: Pool): void {
    const { shared: { words, row }, live } = this.#withControllers()
    for (const each of live()) {
      if (each.subsystem.nqn === nqn) words[row(each.index) + ROW.OWNER] = attachments.partyOf(each).owner
    }
  }

  save(pool: Pool): Promise<void> {
    const { nqn, id, namespaces, leftovers, attachments } = pool
    return this.#parts.save(nqn, { id, namespaces, leftovers, attachments: attachments.kept })
  }

  /** Resolves when what was in the part, which nobody uses, is gone and its room is free. False: it is not. */
  async reclaim(pool: Pool, part: Part): Promise<boolean> {
    const result = await pool.file.erase(part)
    if (result < 0) {
      this.#parts.log.warning(`${pool.config.path} cannot be erased where a namespace was (${errnoName(result)}): its `
        + 'room stays taken until the next start, which tries again.')
      return false
    }
    const before = pool.leftovers
    pool.leftovers = before.filter((each) => each !== part)
    try {
      await this.save(pool)
    } catch (error) {
      pool.leftovers = before
      this.#parts.log.warning(`${(error as Error).message}: the room of a namespace that was deleted stays taken.`)
      return false
    }
    pool.allocation.give(part)
    return true
  }

  async #open(nqn: string, config: PoolConfig): Promise<void> {
    const kept = this.#parts.load(nqn)
    const { id, namespaces, leftovers, attachments } = kept
      ?? { id: randomUUID(), namespaces: [], leftovers: [], attachments: {} }
    const isEmpty = namespaces.length === 0 && leftovers.length === 0
    const file = this.#parts.backings.openPool(config.path, kept?.id ?? null, isEmpty)
    const allocation = new Allocation(config.bytes, file.hasHoles ? config.bytes * REACH : config.bytes)
    const pool: Pool = { nqn, config, id, file, allocation, namespaces, leftovers, attachments: new Attachments(attachments) }
    try {
      for (const part of [...namespaces, ...leftovers]) claim(pool, part)
      if (kept === null) await this.save(pool)
      file.begin(id)
    } catch (error) {
      this.#parts.backings.closePool(file)
      if (error instanceof StartError) throw error
      throw new StartError(`${(error as Error).message}.`, 'Permit it, or choose another folder with --state.')
    }
    this.#pools.set(nqn, pool)
    for (const part of leftovers) await this.reclaim(pool, part)
  }

  #complete(subsystem: SubsystemSnapshot): SubsystemSnapshot {
    const pool = this.#pools.get(subsystem.nqn)
    if (pool === undefined) return subsystem
    const created = new Map(pool.namespaces.map((each) => [each.uuid, each]))
    const others = subsystem.namespaces.filter(({ uuid }) => !created.has(uuid))
    const namespaces = subsystem.namespaces.map((each): NamespaceSnapshot => {
      const found = created.get(each.uuid)
      return found === undefined ? each : { ...each, isPrivate: found.isPrivate, capacityBytes: found.bytes }
    })
    return {
      ...pool.attachments.complete({ ...subsystem, namespaces }),
      pool: {
        totalBytes: others.reduce((sum, each) => sum + each.blockBytes * each.blockCount, pool.config.bytes),
        freeBytes: pool.allocation.freeBytes, blockSizes: pool.file.blockSizes,
      },
    }
  }

  #withControllers(): PoolControllers {
    return this.#controllers!
  }
}

/** Throws a StartError. */
function claim({ allocation, config, file }: Pool, part: Part): void {
  if (!allocation.claim(part)) {
    throw new StartError(`The pool ${config.path} has not the size for what hosts created in it.`,
      'Give it the size that it had, or more.')
  }
  const result = file.reach(part)
  if (result < 0) throw new StartError(`The pool ${config.path} cannot be made as long as it was (${errnoName(result)}).`)
}

/** Throws a StartError where somebody configured a namespace with the number of one that a host created. */
function withCreated(subsystem: SubsystemConfig, { config, namespaces: created }: Pool): SubsystemConfig {
  const others = subsystem.namespaces.filter(({ backing }) => backing.kind !== 'pool')
  const same = created.find(({ nsid }) => others.some((each) => each.nsid === nsid))
  if (same !== undefined) {
    throw new StartError(`A host created namespace ${same.nsid} of ${subsystem.nqn} in its pool.`,
      'Give the one in the configuration another nsid, or have a host delete that one.')
  }
  const namespaces = [...others, ...created.map((each) => configOf(each, config))]
  return { ...subsystem, pool: config, namespaces: namespaces.sort((one, other) => one.nsid - other.nsid) }
}

function configOf(
  { nsid, uuid, nguid, at, blockBytes, blockCount, anaGroup }: PoolNamespace, { path }: PoolConfig,
): NamespaceConfig {
  const backing = { kind: 'pool', pool: path, at, bytes: blockBytes * blockCount } as const
  return { nsid, uuid, nguid, backing, blockBytes, anaGroup, readOnly: false }
}
