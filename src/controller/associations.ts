/**
 * Associations: the controllers that have queues on this reactor. fabrics adds queues, tcp takes them away,
 * keep-alive walks over them.                               NVMe over Fabrics, 2.2; NVMe Base 2.0, 3.1
 *
 * Invariant: a controller is here exactly while queueCount > 0, and its admin state exactly while its admin
 * queue is.
 */
import type { NamespaceTable } from '../namespace/namespace.ts'
import type { JoinOutcome, JoinRequest, ToControl } from '../reactor/messages.ts'
import { attachedIn, isAttached } from '../subsystem/attachment.ts'
import type { SubsystemSnapshot } from '../subsystem/subsystem.ts'
import { viewOf } from '../subsystem/view.ts'
import { AdminState } from './admin-state.ts'
import { tableFor } from './catalogue.ts'
import { Controller } from './controller.ts'
import type { Events } from './events.ts'
import { initialFeatures, roundKeepAlive } from './features.ts'
import type { Queue } from './queue.ts'
import { CONTROLLER_STATE, ROW, type Shared } from './shared.ts'

type Admitted = Extract<JoinOutcome, { admitted: true }>

export class Associations {
  readonly controllers = new Map<number, Controller>()
  readonly #shared: Shared
  readonly #events: Events
  readonly #subsystems: ReadonlyMap<string, SubsystemSnapshot>
  readonly #tables: ReadonlyMap<string, NamespaceTable>
  readonly #post: (message: ToControl) => void
  readonly #reactor: number

  constructor(parts: {
    shared: Shared, events: Events, subsystems: ReadonlyMap<string, SubsystemSnapshot>,
    tables: ReadonlyMap<string, NamespaceTable>, reactor: number, post: (message: ToControl) => void,
  }) {
    this.#shared = parts.shared
    this.#events = parts.events
    this.#subsystems = parts.subsystems
    this.#tables = parts.tables
    this.#reactor = parts.reactor
    this.#post = parts.post
  }

  /** The control plane admitted the queue. unproven: its host has to authenticate first. */
  join(queue: Queue, request: JoinRequest, outcome: Admitted, nowMs: number, unproven = false): void {
    const subsystem = this.#subsystems.get(outcome.subsystem)!
    let controller = this.controllers.get(outcome.controller)
    if (controller === undefined) {
      controller = new Controller(
        outcome.controller, outcome.cntlid, request.hostNqn, request.hostId,
        subsystem, this.#tables.get(outcome.subsystem)!,
      )
      this.#show(controller, subsystem, controller.namespaces)
      controller.listener = outcome.listener
      this.controllers.set(outcome.controller, controller)
    }
    controller.queueCount++
    queue.share = controller.share
    if (unproven) queue.unproven = controller
    else queue.controller = controller
    queue.qid = request.qid
    queue.depth = request.depth
    queue.flowControlOff = request.flowControlOff
    if (request.qid !== 0) return
    const features = initialFeatures({
      kind: subsystem.kind, ioQueuesMax: subsystem.ioQueuesMax,
      keepAliveMs: roundKeepAlive(request.keepAliveMs), hostId: Buffer.from(request.hostId, 'hex'),
    }, performance.now())
    controller.admin = new AdminState(queue.connection, features, nowMs)
    const words = this.#shared.words
    words[controller.stampWord] = nowMs
    words[this.#shared.row(controller.index) + ROW.GRANTED] = subsystem.ioQueuesMax
    words[controller.stateWord] = CONTROLLER_STATE.DISABLED
  }

  /** The queue's connection has gone. */
  leave(queue: Queue): void {
    const controller = queue.holder
    if (controller === null) return
    queue.controller = null
    queue.unproven = null
    controller.queueCount--
    if (queue.qid === 0) {
      this.#shared.words[controller.stateWord] = CONTROLLER_STATE.GONE
      controller.admin = null
    }
    if (controller.queueCount === 0) this.controllers.delete(controller.index)
  }

  /** What the subsystem exports is another than before. */
  renew(subsystem: SubsystemSnapshot, table: NamespaceTable): void {
    for (const controller of this.controllers.values()) {
      if (controller.subsystem.nqn !== subsystem.nqn) continue
      this.#show(controller, subsystem, table)
    }
  }

  /** A controller sees what its host may see, and what of it is attached to it. table: of all namespaces. */
  #show(controller: Controller, subsystem: SubsystemSnapshot, table: NamespaceTable): void {
    const owner = this.#shared.words[this.#shared.row(controller.index) + ROW.OWNER]!
    const party = { cntlid: controller.cntlid, owner }
    const visible = viewOf(subsystem, controller.hostNqn)
    const attached = attachedIn(visible, party)
    const seen = tableFor(controller.hostNqn, table)
    controller.subsystem = attached
    controller.namespaces = attached === visible ? seen
      : seen.map((each) => each !== null && isAttached(each.snapshot.attachment, party) ? each : null)
  }

  /** A reservation notice, one of NOTICE, for a controller whose admin queue is here. */
  notice(index: number, type: number, nsid: number): void {
    const controller = this.controllers.get(index)
    const admin = controller?.admin ?? null
    if (admin === null || !admin.enabled || (controller!.namespaces[nsid] ?? null) === null) return
    admin.notices.add(type, nsid)
    this.#events.raise(admin, 'RESERVATION_LOG')
  }

  /** The controller's I/O queues have to go, on all reactors. */
  empty(controller: Controller): void {
    this.#post({ type: 'empty', reactor: this.#reactor, controller: controller.index })
  }

  emptied(index: number): void {
    this.controllers.get(index)?.admin?.emptied()
  }

  /** CC.EN went to 0: events, notices and features start over. */
  reset(controller: Controller): void {
    const admin = controller.admin!
    const row = this.#shared.row(controller.index)
    admin.features = initialFeatures(admin.features.origin, performance.now())
    this.#shared.words[row + ROW.WRITE_THROUGH] = 0
    this.#shared.words[row + ROW.GRANTED] = admin.features.ioQueueCount
    admin.notices.reset()
    this.#events.reset(admin)
    admin.eventContext = null
  }
}
