/**
 * An update: takes a running target from one configuration to another. live calls it, one after the other; it
 * opens and closes through stock and listeners, and shows the result through model.
 *
 *   open what is new ─▶ end what goes with its subsystem ─▶ model ─▶ events ─▶ end hosts ─▶ drain ─▶ close
 *   └ a failure here changes nothing
 *
 * Invariant: storage is closed, or cut, only after every reactor has let go of it.
 */
import { setTimeout as pause } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import type { Config, NamespaceConfig } from './config/config.ts'
import { fateOf } from './config/difference.ts'
import { formatSize } from './config/size.ts'
import { StartError } from './config/start-error.ts'
import { endpointText, type Log } from './control/log.ts'
import type { ControlPlane } from './control-plane.ts'
import type { Backings } from './device/backing.ts'
import { DevicePlan } from './device-plan.ts'
import type { Limits } from './limits.ts'
import type { Model } from './model.ts'
import { pciAddresses } from './nvme/address.ts'
import type { Controllers } from './nvme/controllers.ts'
import { snapshotOf } from './snapshot.ts'
import { bytesOf, factsOf, isLarger, type Item, nameOf, sizeOf, type Stock } from './stock.ts'
import type { ControllerRecord } from './subsystem/access.ts'
import { listenerKey } from './subsystem/ana.ts'
import { isServedElsewhere } from './subsystem/paths.ts'
import type { Endpoint } from './subsystem/subsystem.ts'
import type { Listener, Listeners } from './tcp/listener.ts'

/** How long an update waits for commands that have begun; what they use is closed when they end. */
const DRAIN_MS = 5000
/** How long an NSID stays empty between two namespaces: hosts that find another one in its place drop both. */
const REPLACE_MS = 1000

export type UpdateParts = {
  readonly plane: Pick<ControlPlane, 'change' | 'raise' | 'end' | 'listen'>
  readonly model: Pick<Model, 'apply' | 'target'>
  readonly stock: Stock
  readonly backings: Pick<Backings, 'cut'>
  /** The NVMe controllers that weft drives. */
  readonly nvme: Pick<Controllers, 'prepare' | 'tidy'>
  readonly listeners: Pick<Listeners, 'all' | 'listen' | 'remove'>
  readonly limits: Limits
  readonly firmware: string
  readonly log: Log
  readonly concerns: (controller: ControllerRecord, namespace: NamespaceConfig) => boolean
  /** Throws a StartError when what is kept of a subsystem cannot be used. */
  readonly check: (nqn: string) => void
  /** What of the configuration is neither in the model nor opened; before the model changes. */
  /** serving: where the listeners for data of the configuration listen, in its order. */
  readonly configure: (config: Config, serving: readonly Endpoint[]) => void
}

type Wanted = { readonly nqn: string; readonly config: NamespaceConfig }

type Plan = {
  readonly removed: Item[]
  readonly added: Item[]
  readonly resized: { readonly before: Item; readonly after: Item }[]
  /** Opened, to be shown when hosts have seen that another one with their NSID went. */
  readonly following: Item[]
  /** To be opened when what has their storage now is closed. */
  readonly late: Wanted[]
  readonly closing: Listener[]
  readonly opened: Listener[]
  readonly serving: Endpoint[]
}

export class Update {
  readonly #parts: UpdateParts
  readonly #before: Config
  readonly #after: Config
  readonly #devices: DevicePlan
  readonly #plan: Plan = {
    removed: [], added: [], resized: [], following: [], late: [], closing: [], opened: [], serving: [],
  }

  constructor(parts: UpdateParts, before: Config, after: Config) {
    this.#parts = parts
    this.#before = before
    this.#after = after
    this.#devices = new DevicePlan(parts.stock, parts.backings)
  }

  /** Returns the configuration that is in force. Throws a StartError, and nothing has changed then. */
  async apply(): Promise<Config> {
    const { nvme } = this.#parts
    try {
      await nvme.prepare(addressesIn(this.#after))
      this.#devices.plan(this.#after)
      this.#planNamespaces()
      this.#planListeners()
    } catch (error) {
      this.#undo()
      await nvme.tidy(new Set(addressesIn(this.#before)))
      throw error
    }
    await this.#endSubsystems()
    await this.#show()
    await this.#endHosts()
    await this.#endPaths()
    await this.#endListeners()
    await this.#settle()
    return this.#follow()
  }

  #planNamespaces(): void {
    const { stock, check } = this.#parts
    const { removed, added, following, late } = this.#plan
    const wanted = this.#after.subsystems.flatMap(({ nqn, namespaces }) => namespaces.map((config) => ({ nqn, config })))
    for (const { nqn } of this.#after.subsystems) {
      if (!this.#before.subsystems.some((each) => each.nqn === nqn)) check(nqn)
    }
    const opening: Wanted[] = []
    for (const each of wanted) {
      const item = stock.find(each.nqn, each.config.nsid)
      const fate = item === undefined ? 'replaced' : fateOf(item.config, each.config)
      if (item !== undefined && fate !== 'replaced') this.#planSize(item, each.config)
      else opening.push(each)
    }
    removed.push(...stock.items.filter((item) => {
      const next = wanted.find(({ nqn, config }) => nqn === item.nqn && config.nsid === item.config.nsid)
      return next === undefined || opening.includes(next)
    }))
    const taken = removed.map(({ config }) => config.use === undefined ? pathOf(config) : '')
    for (const each of opening) {
      const path = pathOf(each.config)
      const isReplacement = stock.find(each.nqn, each.config.nsid) !== undefined
      if (path !== '' && each.config.use === undefined && taken.includes(path)) late.push(each)
      else (isReplacement ? following : added).push(stock.open(each.nqn, each.config))
    }
  }

  /** A file or a device without a size of its own may have grown by itself. */
  #planSize(before: Item, config: NamespaceConfig): void {
    const { stock } = this.#parts
    const { backing } = before
    const grown = bytesOf(config) === null
    if (!grown && isDeepStrictEqual(bytesOf(before.config), bytesOf(config))) return stock.put({ ...before, config })
    const after = stock.resize(before, config)
    this.#plan.resized.push({ before, after })
    if (after.backing.blockCount !== backing.blockCount) return
    this.#plan.resized.pop()
    stock.retire(after)
    stock.put({ ...before, config })
  }

  #planListeners(): void {
    const { listeners, log } = this.#parts
    const { closing, opened, serving } = this.#plan
    const left = [...listeners.all]
    const take = (wanted: Endpoint, discoveryOnly: boolean): Listener => {
      const at = left.findIndex((each) => each.discoveryOnly === discoveryOnly && isSame(each.wanted, wanted))
      if (at !== -1) return left.splice(at, 1)[0]!
      const listener = listeners.listen(wanted, discoveryOnly)
      opened.push(listener)
      return listener
    }
    for (const each of this.#after.listeners) serving.push(take(each, false).endpoint)
    for (const each of this.#after.discovery) {
      try {
        take(each, true)
      } catch (error) {
        if (this.#after.discoveryRequired || !(error instanceof StartError)) throw error
        // It has been said before, when the same port was taken.
        if (this.#before.discovery.some((former) => isSame(former, each))) continue
        log.warning(`${error.message} Discovery is offered on the other ports only.`)
      }
    }
    closing.push(...left)
  }

  #undo(): void {
    const { stock, backings, listeners } = this.#parts
    const { added, following, resized, opened } = this.#plan
    for (const item of [...added, ...following]) stock.release(item)
    for (const { before, after } of resized) {
      stock.retire(after)
      if (isLarger(after, before)) backings.cut(before.backing, bytesOf(before.config) ?? sizeOf(before))
    }
    for (const each of opened) listeners.remove(each)
    this.#devices.undo()
  }

  /** Subsystems that go are closed to hosts first, so that no command of theirs misses a namespace. */
  async #endSubsystems(): Promise<void> {
    const { plane, model } = this.#parts
    const gone = this.#before.subsystems.filter(({ nqn }) => !this.#after.subsystems.some((each) => each.nqn === nqn))
    if (gone.length === 0) return
    const goes = (nqn: string): boolean => gone.some((each) => each.nqn === nqn)
    await model.apply((target) => ({
      ...target, subsystems: target.subsystems.map((each) => goes(each.nqn) ? { ...each, hosts: [] } : each),
    }))
    await plane.end(({ subsystem }) => goes(subsystem.nqn), 'the subsystem was removed')
  }

  /** Makes the model say what the configuration says, and tells hosts what has changed for them. */
  async #show(): Promise<void> {
    const { stock, plane } = this.#parts
    const { removed, added, resized, opened } = this.#plan
    this.#devices.show()
    for (const item of removed) stock.remove(item)
    for (const item of added) stock.put(item)
    for (const { after } of resized) stock.put(after)
    this.#parts.configure(this.#after, this.#plan.serving)
    await this.#showStock()
    plane.listen(opened)
    this.#tell([...removed, ...added, ...resized.map(({ after }) => after)])
    this.#log()
  }

  async #showStock(): Promise<void> {
    const { model, stock: { items }, listeners, limits, firmware } = this.#parts
    await model.apply((before) => snapshotOf({
      config: this.#after, limits, firmware, items,
      listeners: listeners.all.filter((each) => !this.#plan.closing.includes(each)),
    }, before))
  }

  /** Namespace attribute events, one for each namespace. */
  #tell(items: readonly Item[]): void {
    const { plane, concerns } = this.#parts
    for (const [k, { nqn, config }] of items.entries()) {
      if (items.findIndex((each) => each.nqn === nqn && each.config.nsid === config.nsid) !== k) continue
      plane.raise('NAMESPACE_ATTRIBUTES', (each) => each.subsystem.nqn === nqn && concerns(each, config), config.nsid)
    }
  }

  /** Controllers of hosts that may not connect any more. */
  async #endHosts(): Promise<void> {
    const { subsystems, discoveryService } = this.#after
    const allowed = new Map([...subsystems, discoveryService].map(({ nqn, hosts }) => [nqn, hosts]))
    await this.#parts.plane.end(({ subsystem, hostNqn }) => {
      const hosts = allowed.get(subsystem.nqn) ?? null
      return hosts !== null && !hosts.includes(hostNqn)
    }, 'the host may not connect any more')
  }

  /** Controllers of subsystems that are not served any more where their hosts came in. */
  async #endPaths(): Promise<void> {
    const { plane, model } = this.#parts
    const [was, is] = [this.#before, this.#after].map((each) => each.subsystems.map(({ nqn, listeners }) => [nqn, listeners]))
    if (isDeepStrictEqual(was, is)) return
    const closing = this.#plan.closing.map(({ endpoint }) => listenerKey(endpoint))
    await plane.end(({ subsystem, listener }) => !closing.includes(listener)
      && isServedElsewhere(model.target, subsystem.nqn, listener), 'the subsystem is not served there any more')
  }

  async #endListeners(): Promise<void> {
    const { plane, listeners, log } = this.#parts
    for (const listener of this.#plan.closing) {
      const reason = 'its listener was removed'
      await plane.change({ kind: 'unlisten', socket: listener.socket, listener: listenerKey(listener.endpoint), reason })
      listeners.remove(listener)
      log.notice(`No longer listening on ${endpointText(listener.endpoint)}.`, { change: 'listenerRemoved', ...listener.endpoint })
    }
  }

  /** Waits until nothing uses what has gone, and gives it back; not for ever, since a host may stall. */
  async #settle(): Promise<void> {
    const { plane, log } = this.#parts
    const { removed, resized } = this.#plan
    const leaving = [...removed, ...resized.map(({ before }) => before)]
    if (leaving.length === 0) return this.#tidy()
    const settled = plane.change({ kind: 'retire', indices: leaving.map(({ index }) => index) })
      .then(() => {
        this.#release()
        return this.#tidy()
      })
    let timer: NodeJS.Timeout
    const late = new Promise<boolean>((resolve) => { timer = setTimeout(() => resolve(true), DRAIN_MS) })
    if (!await Promise.race([settled.then(() => false), late]).finally(() => clearTimeout(timer))) return
    const names = leaving.map(nameOf).join(', ')
    log.warning(`Hosts have not finished their commands on ${names}; its storage is closed when they have.`)
  }

  /** NVMe controllers that nothing is on any more. */
  #tidy(): Promise<void> {
    const { stock, nvme } = this.#parts
    return nvme.tidy(new Set([...pciAddresses(stock.items.map(({ config }) => config)), ...addressesIn(this.#after)]))
  }

  #release(): void {
    const { stock, backings, log } = this.#parts
    for (const item of this.#plan.removed) stock.release(item)
    for (const { before, after } of this.#plan.resized) {
      stock.retire(before)
      const bytes = bytesOf(after.config)
      const isPresent = stock.find(after.nqn, after.config.nsid)?.index === after.index
      if (bytes === null || !isPresent || !isLarger(before, after)) continue
      try {
        backings.cut(after.backing, bytes)
      } catch (error) {
        log.warning(`${nameOf(after)} is smaller now, but its storage is not: ${(error as Error).message}`)
      }
    }
  }

  /** What comes in place of another, or could be opened only now; where that fails, it is told and left out. */
  async #follow(): Promise<Config> {
    const { stock, log } = this.#parts
    const { removed, following, late } = this.#plan
    if (late.length + following.length === 0) return this.#after
    const isTaken = ({ nqn, config }: Wanted): boolean => removed.some((each) => each.nqn === nqn && each.config.nsid === config.nsid)
    if (following.length !== 0 || late.some(isTaken)) await pause(REPLACE_MS)
    const added = [...following]
    const failed = new Set<NamespaceConfig>()
    for (const { nqn, config } of late) {
      try {
        added.push(stock.open(nqn, config))
      } catch (error) {
        if (!(error instanceof StartError)) throw error
        failed.add(config)
        log.failure(`Namespace ${config.nsid} of ${nqn} cannot be added: ${error.message} ${error.remedy}`.trim())
      }
    }
    for (const item of added) stock.put(item)
    await this.#showStock()
    this.#tell(added)
    for (const item of added) this.#logAdded(item)
    return {
      ...this.#after,
      subsystems: this.#after.subsystems.map((each) => ({ ...each, namespaces: each.namespaces.filter((one) => !failed.has(one)) })),
    }
  }

  /** One line for each thing that has changed. */
  #log(): void {
    const { log } = this.#parts
    const { removed, added, resized, opened } = this.#plan
    const nqns = (config: Config): string[] => config.subsystems.map(({ nqn }) => nqn)
    const [before, after] = [nqns(this.#before), nqns(this.#after)]
    for (const subsystem of before.filter((nqn) => !after.includes(nqn))) {
      log.notice(`Subsystem ${subsystem} was removed.`, { change: 'subsystemRemoved', subsystem })
    }
    for (const subsystem of after.filter((nqn) => !before.includes(nqn))) {
      log.notice(`Subsystem ${subsystem} was added.`, { change: 'subsystemAdded', subsystem })
    }
    this.#logLimits()
    this.#logHosts()
    for (const item of removed) {
      log.notice(`${nameOf(item)} was removed.`, { change: 'namespaceRemoved', ...factsOf(item) })
    }
    for (const item of added) this.#logAdded(item)
    for (const { before: former, after: item } of resized) {
      const [now, then] = [formatSize(sizeOf(item)), formatSize(sizeOf(former))]
      log.notice(`${nameOf(item)} has ${now} now (${then} before).`, {
        change: 'namespaceResized', ...factsOf(item), bytes: sizeOf(item),
      })
    }
    for (const { endpoint, discoveryOnly } of opened) {
      log.listening({ ...endpoint, service: discoveryOnly ? 'discovery' : 'nvm' })
    }
  }

  #logAdded(item: Item): void {
    const { log } = this.#parts
    const where = pathOf(item.config) || item.config.backing.kind
    log.notice(`${nameOf(item)} was added: ${where}, ${formatSize(sizeOf(item))}.`, {
      change: 'namespaceAdded', ...factsOf(item), bytes: sizeOf(item),
    })
    if (item.backing.note !== '') log.warning(`${item.backing.note}.`)
  }

  #logLimits(): void {
    for (const { nqn, namespaces } of this.#after.subsystems) {
      const former = this.#before.subsystems.find((each) => each.nqn === nqn)?.namespaces ?? []
      for (const { nsid, qos } of namespaces) {
        if (former.every((each) => each.nsid !== nsid || isDeepStrictEqual(each.qos, qos))) continue
        const facts = { change: 'limits', subsystem: nqn, namespace: nsid, limits: qos ?? 'none' }
        this.#parts.log.notice(`Limits of namespace ${nsid} of ${nqn} now: ${JSON.stringify(facts.limits)}.`, facts)
      }
    }
  }

  #logHosts(): void {
    for (const { nqn, hosts } of this.#after.subsystems) {
      const former = this.#before.subsystems.find((each) => each.nqn === nqn)
      if (former === undefined || isDeepStrictEqual(former.hosts, hosts)) continue
      const who = hosts === null ? 'any host' : hosts.join(', ')
      this.#parts.log.notice(`Who may connect to ${nqn} now: ${who}.`, { change: 'hosts', subsystem: nqn, hosts: hosts ?? 'any' })
    }
  }
}

/** Of the NVMe controllers that a configuration names. */
export function addressesIn({ subsystems, devices = [] }: Config): string[] {
  return pciAddresses([...devices, ...subsystems.flatMap(({ namespaces }) => namespaces)])
}

export function isSame(one: Endpoint, other: Endpoint): boolean {
  return one.address === other.address && one.port === other.port
}

/** '' for what has none. */
function pathOf({ backing }: NamespaceConfig): string {
  return 'path' in backing ? backing.path : ''
}
