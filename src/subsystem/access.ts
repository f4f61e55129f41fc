/**
 * Access: who may connect to what, and which controllers there are. The control plane holds the one
 * registry; reactors ask it about every Connect.            NVMe over Fabrics, 3.3 (Connect), 2.3
 *
 *   admin Connect ─▶ subsystem? host allowed? CNTLID as its model wants? ─▶ a row, a CNTLID
 *   I/O Connect ──▶ controller? same host? enabled? QID granted and free? ─▶ its queue
 *
 * Invariant: a CNTLID is unique over the target while any queue of its controller is left.
 */
import type { JoinOutcome, JoinRequest } from '../reactor/messages.ts'
import { CNTLID_DYNAMIC, CNTLID_STATIC, CONNECT, CONNECT_DATA } from '../wire/fabrics.ts'
import { STATUS } from '../wire/status.ts'
import { listenerKey } from './ana.ts'
import { DISCOVERY_NQN, type SubsystemSnapshot, type TargetSnapshot } from './subsystem.ts'

const IN_DATA = 1 << 16

export type QueueRecord = {
  readonly reactor: number
  readonly connection: number
  readonly serial: number
  readonly qid: number
  /** Of the host. */
  readonly remote: string
  readonly controller: ControllerRecord
}

export type ControllerRecord = {
  readonly index: number
  readonly cntlid: number
  subsystem: SubsystemSnapshot
  readonly hostNqn: string
  readonly hostId: string
  readonly keepAliveMs: number
  readonly address: string
  /** listenerKey of where its admin queue came in; the others come by the same. */
  readonly listener: string
  /** By QID. */
  readonly queues: Map<number, QueueRecord>
  /** The most I/O queues it had. */
  ioQueuesSeen: number
  /** Why it ends; '' while it lives. */
  ending: string
}

/** Where a Connect came from. */
export type Origin = {
  readonly reactor: number
  readonly connection: number
  readonly serial: number
  readonly remote: string
  readonly listener: string
  /** Its listener leads to the discovery service alone. */
  readonly discoveryOnly: boolean
}

/** What the reactors say of a controller, by its index. */
export type ControllerRow = {
  /** CC.EN = 1 and ready. */
  readonly enabled: (controller: number) => boolean
  /** I/O queues that Set Features granted. */
  readonly granted: (controller: number) => number
}

export class Access {
  readonly #subsystems = new Map<string, SubsystemSnapshot>()
  readonly #rows: (ControllerRecord | null)[]
  readonly #cntlids = new Set<number>()
  readonly #queues = new Map<string, QueueRecord>()
  readonly #row: ControllerRow
  /** By NQN: the CNTLID to try next, so that one that has gone is not the next one's at once. */
  readonly #nextCntlid = new Map<string, number>()

  /** rowCount: controllers at a time. */
  constructor(target: TargetSnapshot, rowCount: number, row: ControllerRow) {
    this.#rows = new Array<ControllerRecord | null>(rowCount).fill(null)
    this.#row = row
    this.adopt(target)
  }

  /** What is exported from now on. Controllers that should not be there any more are the caller's to end. */
  adopt(target: TargetSnapshot): void {
    this.#subsystems.clear()
    for (const each of target.subsystems) {
      this.#subsystems.set(each.nqn, each)
      if (each.kind === 'discovery') this.#subsystems.set(DISCOVERY_NQN, each)
    }
    for (const record of this.#rows) {
      if (record !== null) record.subsystem = this.#subsystems.get(record.subsystem.nqn) ?? record.subsystem
    }
  }

  get controllers(): readonly ControllerRecord[] {
    return this.#rows.filter((row) => row !== null)
  }

  get(controller: number): ControllerRecord | null {
    return this.#rows[controller] ?? null
  }

  /** The queue that joined from there, if one did. */
  queueOf(reactor: number, connection: number, serial: number): QueueRecord | null {
    return this.#queues.get(key(reactor, connection, serial)) ?? null
  }

  /** The queues that a reactor has, admin queues first. */
  queuesOn(reactor: number): QueueRecord[] {
    return [...this.#queues.values()].filter((queue) => queue.reactor === reactor).sort((one, other) => one.qid - other.qid)
  }

  /** Decides on a Connect, and records the queue when it is admitted. `reason` is for the log. */
  join(request: JoinRequest, origin: Origin): { outcome: JoinOutcome; reason: string } {
    return request.qid === 0 ? this.#joinAdmin(request, origin) : this.#joinIo(request, origin)
  }

  /** The connection has gone. The queue that it carried, with its controller, or null. */
  leave(reactor: number, connection: number, serial: number): QueueRecord | null {
    const name = key(reactor, connection, serial)
    const queue = this.#queues.get(name)
    if (queue === undefined) return null
    this.#queues.delete(name)
    const { controller } = queue
    controller.queues.delete(queue.qid)
    if (controller.queues.size === 0) {
      this.#rows[controller.index] = null
      this.#cntlids.delete(controller.cntlid)
    }
    return queue
  }

  #joinAdmin(request: JoinRequest, origin: Origin): { outcome: JoinOutcome; reason: string } {
    const subsystem = this.#subsystems.get(request.subsystemNqn)
    if (subsystem === undefined) {
      return invalid(IN_DATA | CONNECT_DATA.subnqn, `there is no subsystem ${request.subsystemNqn}`)
    }
    if (origin.discoveryOnly && subsystem.kind !== 'discovery') {
      return invalid(IN_DATA | CONNECT_DATA.subnqn, 'this port leads to the discovery service only')
    }
    if (subsystem.kind === 'nvm' && !subsystem.endpoints.some((each) => listenerKey(each) === origin.listener)) {
      return invalid(IN_DATA | CONNECT_DATA.subnqn, 'this subsystem is served on other ports only')
    }
    if (subsystem.hosts !== null && !subsystem.hosts.includes(request.hostNqn)) {
      return refuse(STATUS.CONNECT_INVALID_HOST, IN_DATA | CONNECT_DATA.hostnqn, 'it is not among the hosts allowed')
    }
    const wrong = wrongCntlid(subsystem, request.cntlid)
    if (wrong !== '') return invalid(IN_DATA | CONNECT_DATA.cntlid, wrong)
    const index = this.#rows.indexOf(null)
    if (index === -1) return refuse(STATUS.CONTROLLER_BUSY, 0, `all ${this.#rows.length} controllers are in use`)
    const cntlid = this.#takeCntlid(subsystem, request.cntlid)
    if (cntlid === -1) return refuse(STATUS.CONTROLLER_BUSY, 0, busy(subsystem, request.cntlid))
    const controller: ControllerRecord = {
      index, cntlid, subsystem, hostNqn: request.hostNqn, hostId: request.hostId,
      keepAliveMs: request.keepAliveMs, address: origin.remote, listener: origin.listener,
      queues: new Map(), ioQueuesSeen: 0, ending: '',
    }
    this.#rows[index] = controller
    this.#cntlids.add(cntlid)
    return this.#admit(controller, request, origin)
  }

  #joinIo(request: JoinRequest, origin: Origin): { outcome: JoinOutcome; reason: string } {
    const controller = this.#rows.find((row) => row?.cntlid === request.cntlid && row.ending === '')
    if (controller === undefined || controller === null || !controller.queues.has(0)) {
      return invalid(IN_DATA | CONNECT_DATA.cntlid, `there is no controller ${request.cntlid}`)
    }
    if (this.#subsystems.get(request.subsystemNqn)?.nqn !== controller.subsystem.nqn) {
      return invalid(IN_DATA | CONNECT_DATA.subnqn, `controller ${request.cntlid} is of another subsystem`)
    }
    if (controller.hostNqn !== request.hostNqn) {
      return invalid(IN_DATA | CONNECT_DATA.hostnqn, `controller ${request.cntlid} is another host's`)
    }
    if (controller.hostId !== request.hostId) {
      return invalid(IN_DATA | CONNECT_DATA.hostid, `controller ${request.cntlid} is of another host identifier`)
    }
    if (controller.listener !== origin.listener) {
      return invalid(CONNECT.qid, `controller ${request.cntlid} was connected to through another listener`)
    }
    if (controller.subsystem.kind === 'discovery') {
      return invalid(CONNECT.qid, 'a discovery controller has no I/O queues')
    }
    if (!this.#row.enabled(controller.index)) {
      return invalid(CONNECT.qid, `controller ${request.cntlid} is not enabled`)
    }
    const granted = this.#row.granted(controller.index)
    if (request.qid > granted) {
      return invalid(CONNECT.qid, `queue ${request.qid} is beyond the ${granted} granted`)
    }
    if (controller.queues.has(request.qid)) {
      return refuse(STATUS.COMMAND_SEQUENCE_ERROR, 0, `queue ${request.qid} is connected already`)
    }
    return this.#admit(controller, request, origin)
  }

  #admit(
    controller: ControllerRecord, request: JoinRequest, origin: Origin,
  ): { outcome: JoinOutcome; reason: string } {
    const { reactor, connection, serial, remote } = origin
    const queue: QueueRecord = { reactor, connection, serial, qid: request.qid, remote, controller }
    controller.queues.set(request.qid, queue)
    controller.ioQueuesSeen = Math.max(controller.ioQueuesSeen, controller.queues.size - 1)
    this.#queues.set(key(reactor, connection, serial), queue)
    return {
      outcome: {
        admitted: true, cntlid: controller.cntlid, controller: controller.index,
        subsystem: controller.subsystem.nqn, listener: controller.listener,
      },
      reason: '',
    }
  }

  /** A CNTLID that nobody has, for a request that is right; -1 = there is none. */
  #takeCntlid({ nqn, controllers }: SubsystemSnapshot, requested: number): number {
    const { kind, first, last } = controllers
    if (kind === 'static' && requested !== CNTLID_STATIC) return this.#cntlids.has(requested) ? -1 : requested
    let cntlid = this.#nextCntlid.get(nqn) ?? first
    for (let tries = last - first + 1; tries > 0; tries--) {
      // The range may be another than when this was stored.
      if (cntlid < first || cntlid > last) cntlid = first
      if (!this.#cntlids.has(cntlid) && (kind === 'static' || !this.#isReserved(cntlid))) {
        this.#nextCntlid.set(nqn, cntlid + 1)
        return cntlid
      }
      cntlid++
    }
    return -1
  }

  /** It is one of those that a subsystem has for good. */
  #isReserved(cntlid: number): boolean {
    for (const { controllers } of this.#subsystems.values()) {
      const { kind, first, last } = controllers
      if (kind === 'static' && cntlid >= first && cntlid <= last) return true
    }
    return false
  }
}

/** What is wrong with the CNTLID that an admin Connect asks for; '' = nothing. */
function wrongCntlid({ controllers }: SubsystemSnapshot, requested: number): string {
  const { kind, first, last } = controllers
  if (kind === 'dynamic') {
    return requested === CNTLID_DYNAMIC ? ''
      : 'it asks for a particular controller; they are given dynamically'
  }
  if (requested === CNTLID_STATIC || (requested >= first && requested <= last)) return ''
  return requested === CNTLID_DYNAMIC
    ? `it asks for a new controller; there are ${first} to ${last}, and no others`
    : `it asks for controller ${requested}; there are ${first} to ${last}`
}

function busy({ controllers }: SubsystemSnapshot, requested: number): string {
  const { kind, first, last } = controllers
  return kind === 'static' && requested !== CNTLID_STATIC
    ? `controller ${requested} has another association`
    : `all controllers from ${first} to ${last} are in use`
}

function key(reactor: number, connection: number, serial: number): string {
  return `${reactor}:${connection}:${serial}`
}

function invalid(dw0: number, reason: string): { outcome: JoinOutcome; reason: string } {
  return refuse(STATUS.CONNECT_INVALID_PARAMETERS, dw0, reason)
}

function refuse(status: number, dw0: number, reason: string): { outcome: JoinOutcome; reason: string } {
  return { outcome: { admitted: false, status, dw0 }, reason }
}
