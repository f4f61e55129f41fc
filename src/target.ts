/**
 * The target: opens what the configuration names, starts the reactors, and is their control plane.
 * cli starts and stops it. Its parts, top to bottom, are the way of a command: tcp (in reactor-thread.ts),
 * subsystem, device, shim.
 *
 *   listener ─ accepted ─▶ least loaded reactor ─ join ─▶ Access ─ joined ─▶ reactor      (see messages.ts)
 *
 * Invariant: a message is answered in the turn of the event loop that brings it; a command never waits here
 * but Connect, Abort, and the end of a controller's queues.
 */
import { readFileSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import { setFlagsFromString } from 'node:v8'
import type { Config } from './config/config.ts'
import { HEALTH_RECORD } from './config/kept-health.ts'
import { FORMATS_RECORD, SANITIZE_RECORD } from './config/kept-media.ts'
import { DEFECTS_RECORD } from './config/kept-defects.ts'
import { PROTECTION_RECORD } from './config/kept-protection.ts'
import { PERSISTENT_EVENTS } from './config/kept-history.ts'
import { POOL_RECORD } from './config/kept-pool.ts'
import { RESERVATIONS } from './config/kept-reservations.ts'
import { keysOf } from './config/keys.ts'
import { StartError } from './config/start-error.ts'
import { StateStore } from './config/state-store.ts'
import { Keys } from './auth/keys.ts'
import type { Log } from './control/log.ts'
import { MetricsServer } from './control/metrics-server.ts'
import { Observer } from './control/observer.ts'
import { Tracer } from './control/tracer.ts'
import { Newcomers } from './control/newcomers.ts'
import { Lives } from './controller/lives.ts'
import { CONTROLLER_STATE, ROW, Shared, sharedBytes } from './controller/shared.ts'
import { Trouble } from './controller/trouble.ts'
import { Tally, tallyBytes } from './controller/tally.ts'
import { Usage } from './controller/usage.ts'
import { Presence } from './discovery/presence.ts'
import { Access, type ControllerRecord } from './subsystem/access.ts'
import { Reservations } from './subsystem/reservations.ts'
import { listenerKey } from './subsystem/ana.ts'
import { type AnaWish, Paths } from './subsystem/paths.ts'
import { Defects } from './subsystem/defect.ts'
import { Formats } from './subsystem/format.ts'
import { Sanitizes } from './subsystem/sanitize.ts'
import { Protections } from './subsystem/protection.ts'
import { isInventory, Upkeep } from './subsystem/upkeep.ts'
import { Registrations } from './subsystem/registration.ts'
import type { Endpoint, TargetSnapshot } from './subsystem/subsystem.ts'
import { seesNumber } from './subsystem/view.ts'
import { Backings } from './device/backing.ts'
import { Controllers } from './nvme/controllers.ts'
import { CLOCK } from './nvme/failure.ts'
import { functionOpener, type OpenParts, takeFrom } from './nvme/open.ts'
import { LINUX } from './pci/system.ts'
import { type Inherited, Listeners } from './tcp/listener.ts'
import { ControlPlane } from './control-plane.ts'
import { fileOf, keeperOf } from './keeper.ts'
import { startReactor } from './reactors.ts'
import { Inventory } from './inventory.ts'
import { Live } from './live.ts'
import { Media } from './media.ts'
import { Model } from './model.ts'
import { Pools } from './pools.ts'
import { processorsOf } from './processors.ts'
import { snapshotOf } from './snapshot.ts'
import { type Item, Stock, type StockDevice } from './stock.ts'
import { addressesIn } from './update.ts'
import { servedBy } from './driven.ts'
import { ENGINE } from './shim/abi.ts'
import { loadPci } from './shim/pci.ts'
import { errnoName, loadShim, type Shim } from './shim/shim.ts'
import { type Limits, limitsOf } from './limits.ts'
import { HEAP_FLAGS, INLINING_FLAGS } from './v8-flags.ts'
import { STATUS } from './wire/status.ts'

/** How long hosts may take to go once they were told to, in ms. The whole stop stays below 5 s. */
const DRAIN_MS = 1000
const STOP_MS = 4000
/** How often the health of subsystems, and what they use of their storage, is looked at. */
const TICK_MS = 1000
/** Of what stat() counts. */
const STAT_BYTES = 512
const HANDED_OVER = 'another weft takes over'
/** Makes the target write a line with the counters of its reactors to the log. */
const STATISTICS_SIGNAL = 'SIGUSR2'
const NO_RING = 'This kernel does not permit io_uring, so weft uses epoll, which is slower for files. '
  + 'To permit it: sysctl kernel.io_uring_disabled=0, or a container profile that allows it.'
const ENGINE_NAMES = ['auto', 'io_uring', 'epoll', 'iocp']
const ENGINES = { auto: ENGINE.AUTO, uring: ENGINE.URING, epoll: ENGINE.EPOLL }

export type NamespaceFacts = {
  readonly subsystem: string
  readonly nsid: number
  readonly kind: string
  /** '' for memory and null. */
  readonly path: string
  readonly bytes: number
  readonly blockBytes: number
  /** Its data are lost when the target stops. */
  readonly volatile: boolean
  readonly note: string
}

export type Target = {
  /** Changes of what is served, while it is served. */
  readonly live: Live
  /** Devices that have a name, and who uses them. */
  readonly devices: readonly StockDevice[]
  /** NVMe controllers that it drives; prepare() opens one, tidy() closes what nothing is on. */
  readonly nvme: Pick<Controllers, 'prepare' | 'tidy' | 'find' | 'addresses'>
  /** What is exported now. */
  readonly snapshot: TargetSnapshot
  /** As bound: port 0 has become a real one. */
  readonly listeners: readonly Endpoint[]
  readonly discovery: readonly Endpoint[]
  readonly namespaces: readonly NamespaceFacts[]
  readonly engine: string
  readonly reactors: number
  readonly cpus: readonly number[]
  readonly limits: Limits
  /** Those of the hosts that are connected. */
  controllers(): readonly ControllerRecord[]
  /** Ends every association, flushes, closes; resolves when all is done. */
  stop(): Promise<void>
  /** The same, but what listens stays open, and hosts that connect wait there for the next target. */
  stopForNext(): Promise<readonly Inherited[]>
  /** What stopForNext would leave. */
  readonly inheritance: readonly Inherited[]
  /** What it is doing, and whether it is well. */
  readonly observer: Observer
  /** Whose PDUs are seen. */
  readonly tracer: Tracer
  /** Where metrics are offered, null: nowhere. */
  readonly metrics: Endpoint | null
  /** Moves paths to another state; resolves when every reactor goes by it. Rejects when there is no such path. */
  setAnaState(wish: AnaWish): Promise<void>
  /** Resolves when every reactor has turned once more. */
  pulse(): Promise<void>
  /** Resolves when a reactor has died; the target does not work any more then. */
  readonly failed: Promise<Error>
}

/** take: how NVMe controllers are reached that weft drives. inherited: what listens already. Throws StartError. */
export async function startTarget(
  config: Config, log: Log,
  { take = takeFrom(LINUX), inherited = [] }: { take?: OpenParts['take']; inherited?: readonly Inherited[] | undefined } = {},
): Promise<Target> {
  const shim = loadShim()
  const engine = ENGINES[config.engine]
  if (engine !== ENGINE.AUTO && (shim.engines() & (1 << engine)) === 0) {
    throw (shim.engines() & (1 << ENGINE.EPOLL)) === 0
      ? new StartError('This system has one engine, which is not that of Linux.', 'Leave --engine out.')
      : new StartError(
        'This kernel does not permit io_uring.',
        'Leave --engine out to use epoll, or permit it: sysctl kernel.io_uring_disabled=0.',
      )
  }
  const limits = limitsOf({ ...config.limits, engine, huge: addressesIn(config).length !== 0 })
  const nvme = new Controllers({
    open: functionOpener({ shim, pci: loadPci(), take }), clock: CLOCK, log,
    sizing: { reactorCount: config.reactors, transferBytes: limits.maxTransferBytes },
  })
  const backings = new Backings(shim, (address) => nvme.find(address))
  const listeners = new Listeners(shim, inherited)
  try {
    await nvme.prepare(addressesIn(config))
    return await assemble(config, log, shim, limits, backings, listeners, nvme)
  } catch (error) {
    listeners.close()
    backings.close()
    await nvme.stop()
    throw error
  }
}

async function assemble(
  written: Config, log: Log, shim: Shim, limits: Limits, backings: Backings, listeners: Listeners, nvme: Controllers,
): Promise<Target> {
  const store = new StateStore(written.state)
  const pools = new Pools({ backings, log, ...fileOf(store, POOL_RECORD) })
  const config = await pools.prepare(written)
  const formats = new Formats(fileOf(store, FORMATS_RECORD))
  const sanitizes = new Sanitizes(fileOf(store, SANITIZE_RECORD))
  const stock = new Stock(backings, limits, (nqn, each) => formats.blockBytesOf(nqn, each))
  for (const device of config.devices ?? []) stock.putDevice(stock.openDevice(device))
  for (const { nqn, namespaces } of config.subsystems) {
    for (const namespace of namespaces) stock.put(stock.open(nqn, namespace))
  }
  for (const each of config.listeners) listeners.listen(each, false)
  for (const each of config.discovery) {
    try {
      listeners.listen(each, true)
    } catch (error) {
      if (config.discoveryRequired || !(error instanceof StartError)) throw error
      log.warning(`${error.message} Discovery is offered on the other ports only.`)
    }
  }
  listeners.closeUnused()
  const paths = new Paths()
  paths.configureAll(config, listeners.all.map(({ endpoint }) => endpoint))
  const firmware = version().slice(0, 8)
  const protections = new Protections(fileOf(store, PROTECTION_RECORD))
  const defects = new Defects(fileOf(store, DEFECTS_RECORD))
  const kept = { complete: (each: TargetSnapshot) => pools.complete(formats.complete(sanitizes.complete(defects.complete(protections.complete(each))))) }
  const target = kept.complete(paths.complete(
    snapshotOf({ config, limits, firmware, items: stock.items, listeners: listeners.all }, null)))
  const sharedRegion = shim.regionCreate(sharedBytes(limits, config.reactors), false)
  if (sharedRegion < 0) throw new StartError(`There is no memory for the controllers (${errnoName(sharedRegion)}).`)
  const shared = new Shared(
    shim.regionView(sharedRegion, sharedBytes(limits, config.reactors)), limits, config.reactors,
  )
  const tallyRegion = shim.regionCreate(tallyBytes(limits, config.reactors), false)
  if (tallyRegion < 0) throw new StartError(`There is no memory for statistics (${errnoName(tallyRegion)}).`)
  const tally = new Tally(
    shim.regionView(tallyRegion, tallyBytes(limits, config.reactors)), limits, config.reactors,
  )
  const access = new Access(target, limits.controllers, {
    enabled: (controller) => shared.words[shared.row(controller) + ROW.STATE] === CONTROLLER_STATE.READY,
    granted: (controller) => shared.words[shared.row(controller) + ROW.GRANTED]!,
  })
  const troubled = (nqn: string): void => trouble.tell(nqn)
  const observer: Observer = new Observer({
    tally, shared, version: version(), uptimeMs: () => performance.now(), nowMs: () => Date.now(),
    listeners: () => listeners.all.map(({ endpoint, discoveryOnly }) =>
      ({ ...endpoint, service: discoveryOnly ? 'discovery' : 'nvm' })),
    subsystems: () => model.target.subsystems, controllers: () => access.controllers,
  })
  const metrics = new MetricsServer(observer, log)
  await metrics.start(config.metrics ?? null)
  const lives = new Lives({
    shared, subsystemsMax: limits.subsystems, firmware: target.firmware,
    health: keeperOf(store, HEALTH_RECORD, log, troubled), events: keeperOf(store, PERSISTENT_EVENTS, log, troubled),
    uptimeMs: () => performance.now(), nowMs: () => Date.now(),
  })
  const usage = new Usage({ shared, bytesOf: (path) => stat(path).then(({ blocks }) => blocks * STAT_BYTES, () => null) })
  lives.adopt(target.subsystems)
  observer.adopt(target.subsystems)
  usage.adopt(target.subsystems)
  void usage.tick()
  const reservations = reservationsOf(store, log, access, () => plane)
  const rights = reservations.open(config.subsystems.map(({ nqn }) => nqn))
  const cpus = processorsOf(config, shim)
  for (const flag of [...HEAP_FLAGS, ...INLINING_FLAGS]) setFlagsFromString(flag)
  const reactors = await Promise.all(cpus.map((cpu, reactor) => startReactor({
    reactor, reactorCount: config.reactors, cpu, poll: config.poll, limits, sharedRegion, tallyRegion, target, rights,
  })))
  if (config.engine === 'auto' && reactors[0]!.engine === ENGINE.EPOLL) log.warning(NO_RING)
  for (const { backing } of stock.items) if (backing.note !== '') log.warning(`${backing.note}.`)
  const registrations = new Registrations((next) => model.apply(next), (sentence, told) => log.notice(sentence, told))
  const keys = new Keys(keysOf(config))
  const upkeep = new Upkeep({
    target: () => model.target, apply: () => model.apply((present) => present), protections, defects,
    changed: (nqn, nsid) => plane.raise('NAMESPACE_ATTRIBUTES', ({ subsystem, hostNqn }) =>
      subsystem.nqn === nqn && seesNumber(hostNqn, subsystem, nsid), nsid),
    take: (range) => plane.exclusions.take(range), told: (sentence, facts) => log.notice(sentence, facts),
  })
  const plane = new ControlPlane({
    shim, access, shared, observer, lives, log, reactors, listeners, registrations, keys, nvme, pools,
    perform: async (of, task) => of === null ? STATUS.INVALID_NAMESPACE
      : isInventory(task) ? inventory.perform(of, task) : task.kind === 'format' || task.kind === 'sanitize' ? media.perform(of, task) : upkeep.perform(of.subsystem.nqn, task),
    newcomers: new Newcomers(limits.connections * reactors.length, log),
    reserve: ({ controller, namespaces, request }) => {
      const { subsystem, hostId } = access.get(controller) ?? { subsystem: { nqn: '' }, hostId: '' }
      return reservations.execute(subsystem.nqn, namespaces, hostId, request)
    },
  })
  const tell = (): void => plane.logStatistics()
  const trouble = new Trouble({
    shared, controllers: () => access.controllers, raise: (event, concerned) => plane.raise(event, concerned),
  })
  process.on(STATISTICS_SIGNAL, tell)
  const ticking = setInterval(() => lives.tick((event, nqn) => {
    plane.raise(event, ({ subsystem }) => subsystem.nqn === nqn)
  }), TICK_MS)
  const looking = setInterval(() => void usage.tick(), TICK_MS)
  const adopt = ({ subsystems }: TargetSnapshot): void => {
    lives.adopt(subsystems)
    observer.adopt(subsystems)
    usage.adopt(subsystems)
    // Reactors get these before they serve what is reserved.
    for (const each of reservations.open(subsystems.map(({ nqn }) => nqn))) {
      void plane.change({ kind: 'rights', ...each })
    }
  }
  const model = new Model(plane, [{ adopt }, access], paths, kept, target, log)
  plane.listen(listeners.all)
  for (const { endpoint, discoveryOnly } of listeners.all) {
    log.listening({ ...endpoint, service: discoveryOnly ? 'discovery' : 'nvm' })
  }
  const endpoints = (only: boolean): Endpoint[] => listeners.all.filter((each) => each.discoveryOnly === only).map(({ endpoint }) => endpoint)
  const live = new Live(config, {
    plane, model, stock, backings, nvme, listeners, limits, firmware, log, pools,
    concerns: (controller, namespace) => inventory.concerns(controller, namespace),
    check: (nqn) => {
      lives.check(nqn)
      store.load(nqn, RESERVATIONS)
      protections.check(nqn)
      defects.check(nqn)
      formats.check(nqn)
      sanitizes.check(nqn)
    },
    configure: (next, serving) => {
      keys.replace(keysOf(next))
      void presence.configure(next.discoveryService)
      void metrics.configure(next.metrics ?? null)
      paths.configureAll(next, serving)
    },
  })
  const inventory = new Inventory({ pools, live, model, plane, access, reservations, log, nsidMax: limits.namespaces })
  pools.serve({ shared, live: () => access.controllers, apply: () => model.apply((present) => present) })
  const media = new Media({
    plane, model, stock, shim, formats, sanitizes, defects, log, exclusive: (work) => live.exclusive(work),
    record: (subsystem, cntlid, event, data) => lives.record({ subsystem, cntlid }, event, data),
  })
  media.resume()
  const presence = new Presence(model.target, version(), log)
  model.watch((next) => presence.changed(next))
  nvme.serve(servedBy({ model, plane, live, stock, nvme, log }))
  await presence.configure(config.discoveryService)
  observer.ready = true
  const stop = async (): Promise<void> => {
    process.off(STATISTICS_SIGNAL, tell)
    clearInterval(ticking)
    clearInterval(looking)
    observer.ready = false
    await presence.stop()
    const erased = media.stop()
    listeners.close()
    await plane.stop(DRAIN_MS, STOP_MS)
    await erased
    for (const { path, reason } of backings.sync()) {
      log.failure(`${path} cannot be synced (${reason}): what was written last may be lost.`)
    }
    backings.close()
    metrics.stop()
    await nvme.stop()
    await lives.close()
  }
  return {
    live, observer, nvme,
    tracer: new Tracer({
      reactorCount: reactors.length, change: (change) => plane.change(change), controllers: () => access.controllers,
    }),
    get metrics() { return metrics.endpoint },
    get devices() { return stock.devices },
    get snapshot() { return model.target },
    get listeners() { return endpoints(false) },
    get discovery() { return endpoints(true) },
    get namespaces() { return stock.items.map(factsOf) },
    engine: ENGINE_NAMES[reactors[0]!.engine]!,
    reactors: reactors.length, cpus: cpus.filter((cpu) => cpu >= 0), limits,
    stop,
    stopForNext: async () => {
      for (const { socket, endpoint } of listeners.all) {
        await plane.change({ kind: 'unlisten', socket, listener: listenerKey(endpoint), reason: HANDED_OVER })
      }
      const left = listeners.letGo()
      await stop()
      return left
    },
    get inheritance() { return listeners.inheritance },
    pulse: () => plane.change({ kind: 'pulse' }),
    failed: plane.failed,
    controllers: () => access.controllers,
    setAnaState: (wish) => model.setAnaState(wish),
  }
}

/** plane: asked for when it is there, which is before the first host is. */
function reservationsOf(store: StateStore, log: Log, access: Access, plane: () => ControlPlane): Reservations {
  return new Reservations({
    load: (nqn) => store.load(nqn, RESERVATIONS),
    save: (nqn, kept) => store.save(nqn, RESERVATIONS, kept),
    publish: (rights) => plane().change({ kind: 'rights', ...rights }),
    drain: (uuid, hostIds) => plane().change({ kind: 'preempt', uuid, hostIds }),
    controllers: (nqn) => access.controllers.filter(({ subsystem, queues }) =>
      subsystem.nqn === nqn && queues.has(0)),
    notify: (controller, notice, nsid) => plane().notice(controller, notice, nsid),
    unsaved: ({ message }) => log.failure(`${message}. Hosts are told that what they asked for failed.`),
  })
}

function factsOf({ nqn, config, backing }: Item): NamespaceFacts {
  const { device, blockBytes, blockCount, note } = backing
  const stored = 'path' in device
  return {
    subsystem: nqn, nsid: config.nsid, kind: device.kind, path: 'path' in device ? device.path : '', bytes: blockBytes * blockCount,
    blockBytes, volatile: !stored, note,
  }
}

/** The version of the package. */
export function version(): string {
  const text = readFileSync(new URL('../package.json', import.meta.url), 'utf8')
  return (JSON.parse(text) as { version: string }).version
}
