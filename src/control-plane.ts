/**
 * The control plane of the reactors: answers what they ask, tells them what concerns them, and the log what
 * concerns an operator. target makes it.                     NVMe over Fabrics, 2.2 (associations)
 *
 * Invariant: every message that expects an answer gets exactly one; a controller whose admin queue has gone
 * loses its I/O queues on every reactor.
 */
import { Authenticator, type Party } from './auth/authenticator.ts'
import type { Keys } from './auth/keys.ts'
import type { Controllers } from './nvme/controllers.ts'
import { DeviceErrors } from './control/device-errors.ts'
import { Complaints } from './control/complaints.ts'
import type { Newcomers } from './control/newcomers.ts'
import type { Log } from './control/log.ts'
import type { Observer } from './control/observer.ts'
import { Statistics } from './control/statistics.ts'
import type { Lives } from './controller/lives.ts'
import { CONTROLLER_STATE, ROW, type Shared } from './controller/shared.ts'
import { endpointOf, type Listener, type Listeners } from './tcp/listener.ts'
import { listenerKey } from './subsystem/ana.ts'
import { type Exclusions, exclusionsOver } from './subsystem/exclusion.ts'
import type { Access, ControllerRecord, QueueRecord } from './subsystem/access.ts'
import { Reactors, type ReactorHandle, type ReactorParts, type Said } from './reactors.ts'
import { AbortRelay } from './reactor/abort-relay.ts'
import { Changes } from './reactor/change.ts'
import { indexOf } from './reactor/number.ts'
import type { ReservationAnswer } from './subsystem/reservations.ts'
import type { Change, ToControl, ToReactor } from './reactor/messages.ts'
import type { Registrations } from './subsystem/registration.ts'
import { STATUS } from './wire/status.ts'
import type { Shim } from './shim/shim.ts'
import type { Performed, UpkeepTask } from './subsystem/upkeep.ts'
import type { Pools } from './pools.ts'
import type { EventName } from './wire/event.ts'

type Message<Type extends ToControl['type']> = Extract<ToControl, { type: Type }>

export type ControlPlaneParts = {
  readonly shim: Shim
  readonly access: Access
  /** Decides what hosts ask of reservations. */
  readonly reserve: (request: Message<'reserve'>) => Promise<ReservationAnswer>
  readonly shared: Shared
  readonly lives: Lives
  readonly observer: Pick<Observer, 'joined'>
  readonly log: Log
  readonly reactors: readonly ReactorHandle[]
  readonly replacing?: Pick<ReactorParts, 'start' | 'nowMs'>
  readonly later?: Parameters<typeof exclusionsOver>[2]
  readonly newcomers: Newcomers
  readonly listeners: Listeners
  readonly keys: Keys
  readonly pools: Pick<Pools, 'join' | 'leave'>
  readonly nvme: Pick<Controllers, 'late'>
  /** of: whose command it is. */
  readonly perform: (of: ControllerRecord | null, task: UpkeepTask) => Promise<number | Performed>
  readonly registrations: Pick<Registrations, 'manage' | 'forget'>
}

export class ControlPlane {
  readonly failed: Promise<Error>
  readonly #parts: ControlPlaneParts
  readonly #authenticator: Authenticator
  readonly #reactors: Reactors
  /** By address: the reactor that has the connection. */
  readonly #placed = new Map<string, number>()
  readonly #aborts = new AbortRelay((reactor, message) => this.#post(reactor, message))
  /** By controller: the reactor that waits for its I/O queues to go. */
  readonly #emptying = new Map<number, number>()
  readonly #deviceErrors: DeviceErrors
  readonly #complaints: Complaints
  readonly #changes: Changes
  /** Who may have blocks for himself. */
  readonly exclusions: Exclusions
  #endings: { readonly left: Set<ControllerRecord>; readonly done: () => void }[] = []
  readonly #statistics: Statistics
  #stopping = false

  constructor(parts: ControlPlaneParts) {
    this.#parts = parts
    this.#complaints = new Complaints(parts.log)
    this.exclusions = exclusionsOver((change) => this.change(change), (to, message) => this.#post(to, message), parts.later)
    this.#statistics = new Statistics(parts.reactors.length, parts.log)
    this.#changes = new Changes(parts.reactors.length, (message) => this.#broadcast(message))
    this.#authenticator = new Authenticator({
      keys: parts.keys,
      post: (reactor, message) => this.#post(reactor, message),
      proven: (party, method, again) => this.#proven(party, method, again),
      failed: (party, reason) => this.#unproven(party, reason),
      expire: (controller, reason) => this.#expire({ type: 'expire', controller, reason }),
    })
    this.#deviceErrors = new DeviceErrors(parts.log, parts.lives)
    const { shim, log, reactors: handles } = parts
    this.#reactors = new Reactors({
      shim, log, handles, ...parts.replacing, receive: (message, index) => this.#receive(message, index),
      lost: (reactor) => this.#lost(reactor), ended: () => this.#ended(),
    })
    this.failed = this.#reactors.failed
  }

  /** Accepts on these listeners. */
  listen(listeners: readonly Listener[]): void {
    for (const { socket } of listeners) this.#reactors.listen(socket)
  }

  /** Ends the reactors: hosts have drainMs to go, and all of it takes stopMs at most. */
  stop(drainMs: number, stopMs: number): Promise<void> {
    this.#stopping = true
    return this.#reactors.stop(drainMs, stopMs)
  }

  /**
   * Posts a change to all reactors; resolves when each has acknowledged it. A target that stops acknowledges
   * whatever is left: nothing is served any more then.
   */
  change(change: Change): Promise<void> {
    return this.#changes.post(change)
  }

  /** Ends these controllers in order; resolves when all of their connections have gone. */
  end(concerned: (controller: ControllerRecord) => boolean, reason: string): Promise<void> {
    const ending = new Set<ControllerRecord>()
    for (const controller of this.#parts.access.controllers) {
      if (!concerned(controller)) continue
      ending.add(controller)
      if (controller.ending !== '') continue
      controller.ending = reason
      this.#broadcast({ type: 'drop', controller: controller.index, admin: true, reason })
    }
    if (ending.size === 0 || this.#reactors.anyEnded) return Promise.resolve()
    return new Promise((done) => this.#endings.push({ left: ending, done }))
  }

  /** Tells the controllers that `concerned` picks of an event. nsid: of what changed, else 0; zones: of it. */
  raise(event: EventName, concerned: (one: ControllerRecord) => boolean, nsid = 0, zones?: readonly number[] | null): void {
    for (const controller of this.#parts.access.controllers) {
      const admin = controller.queues.get(0)
      if (admin === undefined || !concerned(controller)) continue
      this.#post(admin.reactor, { type: 'event', controller: controller.index, event, nsid, zones })
    }
  }

  /** For the log of reservation notices of a controller: one of NOTICE. */
  notice(controller: number, notice: number, nsid: number): void {
    const admin = this.#parts.access.get(controller)?.queues.get(0)
    if (admin !== undefined) this.#post(admin.reactor, { type: 'notice', controller, notice, nsid })
  }

  logStatistics(): void {
    this.#statistics.begin()
    this.#broadcast({ type: 'statistics' })
  }

  #post(reactor: number, message: ToReactor): void {
    this.#reactors.post(reactor, message)
  }

  #broadcast(message: ToReactor): void {
    this.#reactors.broadcast(message)
  }

  #receive(message: Said, index: number): void {
    const { access, lives } = this.#parts
    switch (message.type) {
      case 'accepted': return this.#accepted(message)
      case 'join': return this.#join(message)
      case 'authentication': return this.#authenticator.receive(message)
      case 'gone': return this.#gone(message)
      case 'empty': return this.#empty(message)
      case 'expire': return this.#expire(message)
      case 'abort': return this.#abort(message)
      case 'aborted':
        return this.#aborts.answer(message.replyTo, message.slot, message.done)
      case 'manage-discovery':
        return this.#answer(message, this.#parts.registrations.manage(
          message.task, message.information, access.get(message.controller)))
      case 'device-error':
        return this.#deviceErrors.tell(message)
      case 'pci-late': return this.#parts.nvme.late(message)
      case 'read-history':
        return this.#post(message.reactor, {
          type: 'history', slot: message.slot, log: lives.log(access.get(message.controller)),
        })
      case 'record': return lives.record(access.get(message.controller), message.event, message.data)
      case 'exhausted':
        return this.#complaints.noSlots(index)
      case 'changed':
        return this.#changes.acknowledged(message.id, index)
      case 'raise':
        return this.raise(message.event, ({ index, subsystem }) =>
          message.controller === -1 ? subsystem.nqn === message.subsystem : index === message.controller, message.nsid)
      case 'perform':
        return this.#answer(message, this.#parts.perform(access.get(message.controller), message.task))
      case 'exclude':
        return this.exclusions.ask(message)
      case 'release':
        return this.exclusions.release(message.id, message.namespace)
      case 'reserve':
        void this.#parts.reserve(message).then((answer) =>
          this.#post(message.reactor, { type: 'reserved', slot: message.slot, ...answer }))
        return
      case 'statistics':
        return this.#statistics.gather({ ...message, reactor: index })
      case 'stopped':
        if (message.slotsInUse !== 0) {
          this.#parts.log.failure(`reactor ${index} leaked ${message.slotsInUse} command slots`)
        }
    }
  }

  /** A new connection goes to the reactor that has the fewest. */
  #accepted({ listener, socket }: Message<'accepted'>): void {
    const { shim, listeners, newcomers } = this.#parts
    const from = listeners.find(listener)
    const { address, port } = endpointOf(shim.address(socket, true))
    const remote = address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`
    if (from === undefined || this.#stopping || !newcomers.arrive(address, remote)) {
      return void shim.socketClose(socket)
    }
    const reactor = this.#reactors.choose()
    this.#placed.set(remote, reactor)
    this.#post(reactor, {
      type: 'adopt', socket, local: endpointOf(shim.address(socket, false)),
      listener: listenerKey(from.endpoint), discoveryOnly: from.discoveryOnly, remote,
    })
  }

  #join(message: Message<'join'>): void {
    const { access, log, shared, lives } = this.#parts
    const { reactor, slot, request, connection, serial, remote } = message
    const { outcome, reason } = access.join(request, message)
    const facts = { hostNqn: request.hostNqn, address: remote, subsystem: request.subsystemNqn }
    let authenticate = false
    const busy = !outcome.admitted && outcome.status === STATUS.CONTROLLER_BUSY
    if (busy) this.#complaints.noController(facts, reason)
    else if (!outcome.admitted) log.refused({ ...facts, reason })
    else {
      const { controller, cntlid, subsystem } = outcome
      if (request.qid === 0) {
        shared.clear(controller)
        this.#parts.observer.joined(controller)
        const row = shared.row(controller)
        shared.words[row + ROW.CNTLID] = cntlid
        shared.words[row + ROW.SUBSYSTEM] = lives.use(request.subsystemNqn)
        shared.words[row + ROW.OWNER] = this.#parts.pools.join(access.get(controller)!)
      }
      this.#countQueues(controller)
      const { keepAliveMs } = access.get(controller)!
      authenticate = this.#authenticator.join({
        reactor, connection, serial, qid: request.qid, controller, cntlid, host: request.hostNqn,
        address: remote, subsystem, name: request.subsystemNqn, keepAliveMs,
      })
      if (!authenticate) this.#parts.newcomers.settle(remote)
      if (request.qid === 0 && !authenticate) log.hostConnected({ ...facts, controller: cntlid, keepAliveMs })
    }
    this.#post(reactor, { type: 'joined', slot, request, outcome, authenticate, connection, serial })
  }

  /** A host has authenticated a queue. It is connected when that was its admin queue. */
  #proven({ qid, host, address, name, cntlid, keepAliveMs }: Party, method: string, again: boolean): void {
    this.#parts.newcomers.settle(address)
    if (qid !== 0) return
    const facts = { hostNqn: host, address, subsystem: name, controller: cntlid, authentication: method }
    if (again) this.#parts.log.authenticatedAgain(facts)
    else this.#parts.log.hostConnected({ ...facts, keepAliveMs })
  }

  #unproven({ qid, host, address, name, cntlid }: Party, reason: string): void {
    const facts = { hostNqn: host, address, subsystem: name, controller: cntlid, queue: qid, reason }
    this.#parts.log.authenticationFailed(facts)
  }

  #countQueues(controller: number): void {
    const { access, shared } = this.#parts
    const record = access.get(controller)
    if (record !== null) shared.words[shared.row(controller) + ROW.IO_QUEUES] = ioQueues(record)
  }

  #gone({ reactor, connection, serial, remote, reason }: Message<'gone'>): void {
    const { access } = this.#parts
    this.#parts.newcomers.settle(remote)
    this.#placed.delete(remote)
    this.#reactors.relieve(reactor)
    const queue = access.leave(reactor, connection, serial)
    if (queue === null) {
      if (reason !== '' && !this.#stopping) this.#complaints.lost(indexOf(reactor), connection, remote, reason)
      return
    }
    const { controller, qid } = queue
    this.#countQueues(controller.index)
    const quiet = this.#stopping || (qid !== 0 && controller.ending !== '')
    const proven = this.#authenticator.leave(
      { reactor, connection, serial }, controller.ending || reason, quiet,
    )
    if (qid === 0) this.#adminGone(controller, remote, reason, proven)
    else if (proven && reason !== '' && controller.ending === '' && !this.#emptying.has(controller.index)) {
      this.#queueError(queue, remote, reason)
    }
    if (controller.queues.size === 0) this.#controllerGone(controller)
    const waiting = this.#emptying.get(controller.index)
    if (waiting !== undefined && ioQueues(controller) === 0) {
      this.#emptying.delete(controller.index)
      if (controller.queues.has(0)) this.#post(waiting, { type: 'emptied', controller: controller.index })
    }
  }

  #controllerGone(controller: ControllerRecord): void {
    this.#parts.pools.leave(controller)
    this.#endings = this.#endings.filter(({ left, done }) => {
      left.delete(controller)
      if (left.size === 0) done()
      return left.size !== 0
    })
  }

  /** The association ends with its admin queue. */
  #adminGone(controller: ControllerRecord, remote: string, reason: string, proven: boolean): void {
    const { log } = this.#parts
    const why = controller.ending || reason || 'the host disconnected'
    controller.ending = why
    // A host that never authenticated was never connected, as far as the log goes.
    if (proven) {
      log.hostDisconnected({
        hostNqn: controller.hostNqn, address: remote, subsystem: controller.subsystem.nqn,
        controller: controller.cntlid, reason: why, queues: controller.ioQueuesSeen,
      })
    }
    if (ioQueues(controller) !== 0) {
      this.#broadcast({ type: 'drop', controller: controller.index, admin: false, reason: why })
    }
    if (!this.#stopping) void this.#parts.registrations.forget(controller)
  }

  #queueError(queue: QueueRecord, remote: string, reason: string): void {
    const { controller, qid } = queue
    this.#parts.log.connectionError({
      address: remote, reason, hostNqn: controller.hostNqn, subsystem: controller.subsystem.nqn,
      controller: controller.cntlid, queue: qid,
    })
  }

  #empty({ reactor, controller }: Message<'empty'>): void {
    const record = this.#parts.access.get(controller)
    if (record === null) return
    if (ioQueues(record) === 0) {
      this.#post(reactor, { type: 'emptied', controller })
      return
    }
    this.#emptying.set(controller, reactor)
    this.#broadcast({ type: 'drop', controller, admin: false, reason: 'the host disabled the controller' })
  }

  #expire({ controller, reason }: Message<'expire'>): void {
    const { access, shared } = this.#parts
    const record = access.get(controller)
    if (record === null || record.ending !== '') return
    record.ending = reason
    shared.words[shared.row(controller) + ROW.STATE] = CONTROLLER_STATE.GONE
    this.#broadcast({ type: 'drop', controller, admin: true, reason })
  }

  #abort({ reactor, slot, controller, qid, cid }: Message<'abort'>): void {
    const queue = this.#parts.access.get(controller)?.queues.get(qid)
    this.#aborts.ask({ replyTo: reactor, slot, controller, qid, cid }, queue?.reactor ?? null)
  }

  /** A reactor has died: its connections have gone, and it answers nothing any more. */
  #lost(reactor: number): void {
    const { access, shared, newcomers } = this.#parts
    this.#changes.lost(indexOf(reactor))
    this.exclusions.forget(reactor)
    const reason = `reactor ${indexOf(reactor)} died`
    for (const { controller, qid, connection, serial, remote } of access.queuesOn(reactor)) {
      if (qid === 0) shared.words[shared.row(controller.index) + ROW.STATE] = CONTROLLER_STATE.GONE
      this.#gone({ type: 'gone', reactor, connection, serial, remote, reason })
    }
    for (const [remote, placed] of this.#placed) {
      if (placed !== reactor) continue
      newcomers.settle(remote)
      this.#placed.delete(remote)
    }
    this.#aborts.lost(reactor)
  }

  /** Answers a command with the status that comes of it. */
  #answer({ reactor, slot }: Message<'perform' | 'manage-discovery'>, outcome: Promise<number | Performed>): void {
    void outcome.then((each) => this.#post(reactor, {
      type: 'performed', slot, ...typeof each === 'number' ? { status: each } : each,
    }))
  }

  #ended(): void {
    this.#changes.abandon()
    for (const { done } of this.#endings.splice(0)) done()
  }
}

function ioQueues(controller: ControllerRecord): number {
  return controller.queues.size - (controller.queues.has(0) ? 1 : 0)
}
