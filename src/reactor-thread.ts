/**
 * The thread of one reactor: puts its parts together and runs it. reactor-worker.ts makes one, the simulation several.
 * Its imports, top to bottom, follow a command down: tcp → queue → controller → namespace → device.
 *
 * Invariant: everything that a command needs is allocated here, before the first turn.
 */
import { Connections, HANDSHAKE_MS } from './tcp/connections.ts'
import { Digests } from './tcp/digest.ts'
import { Holders } from './tcp/holders.ts'
import { Handshake } from './tcp/handshake.ts'
import { Receiver } from './tcp/receive.ts'
import { Reception } from './tcp/reception.ts'
import { Sender } from './tcp/send.ts'
import { LINGER_MS, Terminator } from './tcp/terminate.ts'
import { Admission } from './queue/admit.ts'
import { Completer } from './queue/complete.ts'
import { Transfers } from './queue/transfer.ts'
import { AdminExecutor } from './controller/admin.ts'
import { Aborts } from './controller/abort.ts'
import { anaGuard } from './controller/ana.ts'
import { Associations } from './controller/associations.ts'
import { Authentications } from './controller/authentication.ts'
import { Catalogue } from './controller/catalogue.ts'
import { Changes } from './controller/changes.ts'
import { Events } from './controller/events.ts'
import { FabricsExecutor } from './controller/fabrics.ts'
import { GUARD, Guards } from './controller/guard.ts'
import { assembleIo, type IoParts } from './controller/io-parts.ts'
import { KeepAlive } from './controller/keep-alive.ts'
import { Meter } from './controller/meter.ts'
import { Preemptions } from './controller/preemption.ts'
import { Properties } from './controller/properties.ts'
import type { Queue } from './controller/queue.ts'
import { ReservationCommands } from './controller/reservations.ts'
import { RightsTable, reservationGuard } from './controller/rights.ts'
import { Shared, sharedBytes } from './controller/shared.ts'
import { Tally, tallyBytes } from './controller/tally.ts'
import { Namespace } from './namespace/namespace.ts'
import { failureReports } from './device/failure.ts'
import { openDevice } from './device/open.ts'
import { Pairs } from './nvme/pairs.ts'
import { Arena } from './reactor/arena.ts'
import { Buffers } from './reactor/buffers.ts'
import { Collections } from './reactor/collections.ts'
import type { Mailbox, ReactorSetup, ToControl, ToReactor } from './reactor/messages.ts'
import { ACCEPT_TOKEN, Reactor } from './reactor/reactor.ts'
import { SLOT, Slots, type Slot } from './reactor/slots.ts'
import { Work } from './reactor/work.ts'
import { COUNTER, H } from './shim/abi.ts'
import { ERRNO } from './shim/errno.ts'
import { loadPci, type Pci } from './shim/pci.ts'
import { STATUS } from './wire/status.ts'
import { openReason, type Shim } from './shim/shim.ts'
import { shimLimits } from './limits.ts'
import { assert } from './assert.ts'

/** How long an idle reactor spins before it sleeps, and then sleeps at most: docs/adr/0004. */
const SPIN_US = 50
const WAIT_US = 100000
const POLL = -1
const PAGE_BYTES = 4096
/** How often the tally gets to know what the reactor is like. */
const METER_MS = 100

export class ReactorThread {
  readonly #setup: ReactorSetup
  readonly #mailbox: Mailbox
  readonly #shim: Shim
  readonly #id: number
  readonly #work: Work
  readonly #arena: Arena
  readonly #slots: Slots
  readonly #pools: readonly [Buffers, Buffers]
  readonly #transfers: Transfers
  readonly #connections: Connections
  readonly #reception: Reception
  readonly #completer: Completer
  readonly #associations: Associations
  readonly #changes: Changes
  readonly #guards = new Guards()
  readonly #events: Events
  readonly #commands: IoParts
  readonly #admin: AdminExecutor
  readonly #rights = new RightsTable()
  readonly #preemptions: Preemptions
  readonly #reservations: ReservationCommands
  readonly #aborts: Aborts
  readonly #keepAlive: KeepAlive
  readonly #meter: Meter
  #meteredMs = 0
  readonly #devices: Pairs
  readonly #reactor: Reactor
  readonly #collections = new Collections()
  #stopAtMs = 0

  /** pci: how it reaches devices that it drives; asked for when there is one. */
  constructor(setup: ReactorSetup, shim: Shim, mailbox: Mailbox, pci: () => Pci = loadPci) {
    this.#setup = setup
    const { limits, target, reactor, reactorCount, tallyRegion } = setup
    this.#mailbox = mailbox
    this.#shim = shim
    if (setup.cpu >= 0) shim.pin(setup.cpu)
    this.#id = shim.open(shimLimits(limits))
    if (this.#id < 0) throw new Error(`the shim cannot be opened: ${openReason(this.#id)}`)
    const arena = new Arena(shim.arena())
    this.#arena = arena
    const slots = new Slots(limits.slots)
    this.#slots = slots
    const work = new Work(arena, limits.copiesMax, limits.opsMax)
    this.#work = work
    const adminAt = arena.buffersAt + limits.bufferBytes
    const buffers = new Buffers(arena.buffersAt, limits.bufferBytes)
    const pages = new Buffers(adminAt, limits.adminBufferBytes)
    this.#pools = [buffers, pages]
    const zeroAt = buffers.reserve(limits.maxTransferBytes)
    const shared = new Shared(
      shim.regionView(setup.sharedRegion, sharedBytes(limits, reactorCount)), limits, reactorCount,
    )
    const connections = new Connections(arena, shim, limits.txEntries, limits.rxBytes)
    this.#connections = connections
    const sender = new Sender(arena, limits.txEntries)
    const tally = new Tally(shim.regionView(tallyRegion, tallyBytes(limits, reactorCount)), limits, reactorCount)
    const namespaces = new Array<Namespace | null>(limits.namespaceIndices).fill(null)
    this.#meter = new Meter(arena, tally, reactor, namespaces, limits.namespaceIndices)
    const completer = new Completer(slots, buffers, pages, adminAt, sender, this.#meter)
    this.#completer = completer
    const transfers = new Transfers(slots, sender, limits.transfers, limits.transferBytes, limits.commandTransfers)
    this.#transfers = transfers

    const devices = new Pairs({
      arena, shim, pci, slotCount: slots.count, buffersEnd: adminAt, post: this.#post,
      finished: (slot, status) => this.#completed(slots.all[slot]!, status),
    })
    this.#devices = devices
    const deviceParts = { work, buffers, zeroAt, transferBytes: limits.maxTransferBytes, pairs: devices, reactor }
    const catalogue = new Catalogue({
      namespaces, slots,
      open: (subsystem, snapshot) => this.#rights.attach(new Namespace(
        snapshot, openDevice(deviceParts, snapshot, ...failureReports(subsystem.nqn, snapshot, this.#post)),
        shared.counterAt(reactor, snapshot.counter), tally.namespaceAt(reactor, snapshot.counter),
      )),
      renewed: (subsystem, table) => {
        this.#associations.renew(subsystem, table)
        this.#commands?.throttles.renew(subsystem.nqn, table)
      },
      refersTo: (region) => work.copiesTo(region) || connections.sendsFrom(region, 0, Infinity),
    })
    this.#changes = new Changes({
      catalogue, holds: () => this.#commands.holds, rights: this.#rights, preemptions: () => this.#preemptions,
      wake: () => { shim.wake(this.#id) }, acceptStop: (socket) => { shim.acceptStop(socket) },
      dismissFrom: (listener, reason) => connections.dismissFrom(listener, reason),
      pci: (change) => devices.change(change), trace: (each) => this.#reactor.precede(connections.trace(each, reactor)),
    })
    const finish = (slot: Slot, status: number): void => completer.finish(slot, status)
    const events = new Events(slots, finish)
    this.#events = events
    this.#associations = new Associations({
      shared, events, reactor, post: this.#post, tables: catalogue.tables, subsystems: catalogue.subsystems,
    })
    const associations = this.#associations
    const reception = new Reception({
      reactor, connectionCount: limits.connections, arena, shim, slots, completer, connections, associations,
      post: this.#post,
    })
    this.#reception = reception
    for (const each of setup.rights) this.#rights.adopt(each, [])
    this.#guards.set(GUARD.ANA, anaGuard)
    catalogue.adopt(target)
    this.#guards.set(GUARD.RESERVATION, reservationGuard)
    this.#aborts = new Aborts(slots, reactor, this.#post)
    this.#reservations = new ReservationCommands({
      arena, slots, buffers, shared, reactor, finish, post: this.#post, queueOf: (slot) => this.#queueOf(slot),
    })
    this.#commands = assembleIo({
      arena, shared, slots, buffers, namespaces: catalogue.namespaces, guards: this.#guards, reactor, finish,
      transferBytesMax: limits.maxTransferBytes, post: this.#post, proceed: (slot) => admission.proceed(slot),
      release: (slot) => admission.release(slot), aborts: this.#aborts, tally,
      sendsFrom: (region, from, end) => connections.sendsFrom(region, from, end), wake: () => shim.wake(this.#id),
      reservations: this.#reservations, queueOf: (slot) => this.#queueOf(slot),
    })
    const { io, holds, pairs, throttles } = this.#commands
    for (const [nqn, table] of catalogue.tables) throttles.renew(nqn, table)
    this.#preemptions = new Preemptions({
      slots, pairs, aborts: this.#aborts, namespaces: catalogue.namespaces,
      hostOf: (slot) => this.#queueOf(slot)?.controller?.hostId ?? null,
      dismiss: (slot, reason) => connections.dismiss(connections.all[slot.connection]!, reason),
      wake: () => shim.wake(this.#id), nowMs: () => arena.words[H.NOW_MS]!,
    })
    const properties = new Properties(
      shared, (each) => associations.empty(each), (each) => associations.reset(each),
    )
    const fabrics = new FabricsExecutor(
      arena, pages, properties, limits.queueDepth, reception.join,
      new Authentications(arena, pages, shared, reception.carry),
    )
    const admin = new AdminExecutor({
      arena, slots, pages, shared, catalogue, events, aborts: this.#aborts, reactor, post: this.#post,
      reservations: this.#reservations, tasks: this.#commands.tasks,
      reached: (queue) => connections.all[queue.connection]!.local,
    })
    this.#admin = admin
    const admission = new Admission({
      arena, slots, work, completer, transfers, fabrics, admin, io, aborts: this.#aborts,
      pairs, queueOf: (slot) => connections.all[slot.connection]!.queue,
      inCapsuleBytes: limits.inCapsuleBytes, transferBytesMax: limits.maxTransferBytes,
      keepPages: buffers.pages >> 3, adminPages: pages.pages,
    })
    const terminator = new Terminator(arena, pages, sender, limits.connections)
    const receiver = new Receiver({
      arena, work, transfers, admission, sender, terminator,
      digests: new Digests(arena, shim),
      handshake: new Handshake(arena, sender, pages.reserve(PAGE_BYTES), HANDSHAKE_MS),
      stalled: connections.stall, rxBytes: limits.rxBytes, inCapsuleBytes: limits.inCapsuleBytes,
      alignedAt: pages.reserve(PAGE_BYTES),
    })
    connections.assemble({
      holders: new Holders(arena, slots, [buffers, pages]),
      exhausted: () => this.#post({ type: 'exhausted', reactor }),
      slots, sender, receiver, terminator, completer, transfers, admission, associations, gone: reception.gone,
      aborts: this.#aborts,
    })
    this.#keepAlive = new KeepAlive(shared, associations.controllers, (controller, reason) => {
      this.#post({ type: 'expire', controller: controller.index, reason })
    })
    this.#reactor = new Reactor({
      shim, arena, copiesMax: limits.copiesMax,
      spinUs: setup.poll ? POLL : SPIN_US, waitUs: WAIT_US,
      completed: (slot, result) => {
        work.opsOutstanding--
        this.#completed(slots.all[slot]!, result)
      },
      accepted: (token, result) => this.#accepted(token - ACCEPT_TOKEN, result),
      ready: (index) => connections.ready(index),
      retry: () => {
        if (arena.words[H.NEWS] !== 0) devices.poll()
        connections.retry()
        if (holds.draining) holds.poll()
        if (throttles.waiting !== 0) throttles.poll()
        if (this.#preemptions.waiting) this.#preemptions.poll()
      },
      hasStalled: () => connections.hasStalled,
      dueUs: (most) => throttles.dueUs(most),
      tick: (nowMs) => this.#tick(nowMs),
      mail: () => this.#mail(),
    })
  }

  async run(): Promise<void> {
    this.#collections.begin()
    this.begin()
    await this.#reactor.run()
    this.#collections.end()
    const slotsInUse = this.#slots.count - this.#slots.freeCount
    this.#shim.close()
    this.#post({ type: 'stopped', reactor: this.#setup.reactor, slotsInUse })
  }

  /**
   * An invariant was broken: its connections are closed, and whatever the kernel does for it comes to its end. False:
   * it cannot be, since devices work with its memory that only the end of the process takes from them.
   */
  bury(): boolean {
    this.#reactor.halted = true
    return !this.#devices.used && this.#shim.close() === 0
  }

  /** It turns from now on. */
  begin(): void {
    this.#post({ type: 'up', engine: this.#arena.words[H.ENGINE]!, shim: this.#id })
  }

  /** One turn, for who drives it himself. False when it has stopped. */
  step(): boolean {
    return this.#reactor.step()
  }

  /** What it holds of each pool: as much as at first, when no host is left. orphans: slots without a connection. */
  get held(): Readonly<Record<string, number>> {
    const [buffers, pages] = this.#pools
    return {
      slots: this.#slots.count - this.#slots.freeCount, connections: this.#connections.openCount,
      bufferPages: buffers.pages - buffers.freePages, adminPages: pages.pages - pages.freePages,
      transfers: this.#transfers.count - this.#transfers.freeCount, ops: this.#work.opsOutstanding,
      controllers: this.#associations.controllers.size,
      orphans: this.#slots.all.filter(({ state, owner }) => state !== SLOT.FREE && owner === null).length,
    }
  }

  readonly #post = (message: ToControl): void => {
    this.#mailbox.post(message)
  }

  /** A device's op completed: the command goes on, or is answered. */
  #completed(slot: Slot, result: number): void {
    const outcome = this.#commands.io.resume(slot, result, this.#queueOf(slot))
    if (outcome >= 0) this.#completer.finish(slot, outcome)
  }

  /** null when its connection has gone. */
  #queueOf(slot: Slot): Queue | null {
    return slot.connection < 0 ? null : this.#connections.all[slot.connection]!.queue
  }

  #accepted(listener: number, result: number): void {
    if (result >= 0) this.#post({ type: 'accepted', listener, socket: result })
  }

  #tick(nowMs: number): void {
    this.#connections.tick(nowMs)
    this.#keepAlive.tick(nowMs)
    this.#changes.tick()
    this.#devices.tick(nowMs)
    this.#commands.throttles.tick()
    if (((nowMs - this.#meteredMs) | 0) < METER_MS) return
    this.#meteredMs = nowMs
    const [commands, collections] = [this.#completer.completedCount, this.#collections.count]
    const [slots, [buffers], connections] = [this.#slots, this.#pools, this.#connections]
    this.#meter.publish({ slots, buffers, connections, commands, collections }, this.#associations.controllers.values())
  }

  /** Everything that was posted to this reactor. False when it has stopped. */
  #mail(): boolean {
    this.#changes.tick()
    const { take } = this.#mailbox
    for (let message = take(); message !== undefined; message = take()) this.#receive(message)
    if (!this.#reception.closed) return true
    const nowMs = this.#arena.words[H.NOW_MS]!
    const waiting = this.#work.opsOutstanding + this.#reservations.pending + this.#commands.tasks.pending
    if (this.#connections.openCount + waiting === 0 && !this.#devices.pending) return false
    if (((nowMs - this.#stopAtMs) | 0) >= 0) {
      this.#stopAtMs = (nowMs + LINGER_MS) | 0
      this.#connections.closeAll()
    }
    return true
  }

  #receive(message: ToReactor): void {
    const associations = this.#associations
    switch (message.type) {
      case 'listen': {
        const result = this.#shim.accept(message.listener, ACCEPT_TOKEN + message.listener)
        return assert(result >= 0 || result === -ERRNO.EBADF, 'a listener accepts, unless the daemon stops and closed it')
      }
      case 'adopt': return this.#reception.adopt(message)
      case 'joined': return this.#reception.joined(message)
      case 'authenticated':
        return this.#reception.authenticated(message)
      case 'dismiss':
        return this.#reception.dismiss(message)
      case 'drop':
        return this.#connections.drop(message.controller, message.admin, message.reason)
      case 'emptied':
        return associations.emptied(message.controller)
      case 'abort':
        return this.#aborts.request(
          message, this.#connections.all.map((each) => each.queue),
          (slot) => this.#commands.pairs.abort(slot, STATUS.ABORT_REQUESTED, STATUS.FAILED_FUSED),
        )
      case 'aborted':
        this.#slots.all[message.slot]!.dw0 = message.done ? 0 : 1
        return this.#completer.finish(this.#slots.all[message.slot]!, 0)
      case 'history': {
        const slot = this.#slots.all[message.slot]!
        const queue = this.#connections.all[slot.connection]?.queue ?? null
        return this.#completer.finish(slot, this.#admin.establish(slot, queue, message.log))
      }
      case 'performed':
        return this.#commands.tasks.answered(message)
      case 'change':
        return this.#changes.apply(message.change, () => this.#post({ type: 'changed', id: message.id }))
      case 'event': {
        const admin = associations.controllers.get(message.controller)?.admin ?? null
        if (admin !== null) this.#events.raise(admin, message.event, message.nsid, message.zones)
        return
      }
      case 'granted':
        return this.#commands.pairs.granted(message.token, message.id, message.namespace, message.granted)
      case 'reserved':
        return this.#reservations.answered(message)
      case 'notice':
        return associations.notice(message.controller, message.notice, message.nsid)
      case 'statistics':
        setImmediate(() => setImmediate(() => this.#statistics()))
        return
      case 'stop':
        this.#reception.closed = true
        this.#stopAtMs = (this.#arena.words[H.NOW_MS]! + message.drainMs) | 0
        this.#connections.dismissAll('the target stops')
    }
  }

  #statistics(): void {
    if (this.#reactor.halted) return
    this.#post({
      type: 'statistics', reactor: this.#setup.reactor, collections: this.#collections.count,
      commands: this.#completer.completedCount, slotsInUse: this.#slots.count - this.#slots.freeCount,
      busyUs: this.#arena.counters[COUNTER.BUSY_US]!, turns: this.#arena.counters[COUNTER.TURNS]!,
    })
  }
}
