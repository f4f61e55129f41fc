/**
 * Admin commands: Identify, Get Log Page, Set and Get Features, Abort, Asynchronous Event Request, Keep Alive,
 * and, with the control plane's help, Discovery Information Management.
 * admit calls it for queue 0; the tables and payloads are in identify, log-page and features.
 * NVMe Base 2.0, 5. Rare commands: this file may allocate.
 *
 * Invariant: an answer with data has exactly as many bytes as the host's SGL says.
 */
import { type Outcome, PENDING, STALL, WANTS_DATA } from '../device/device.ts'
import type { Arena } from '../reactor/arena.ts'
import type { Buffers } from '../reactor/buffers.ts'
import type { ToControl } from '../reactor/messages.ts'
import { type Slot, SQE_WORDS, type Slots } from '../reactor/slots.ts'
import { H } from '../shim/abi.ts'
import { anaLog, pathAt } from '../subsystem/ana.ts'
import { discoveryLog, discoveryWish } from '../subsystem/discovery.ts'
import { protectionOf } from '../subsystem/protection.ts'
import { type Endpoint, hasZones, type TargetSnapshot } from '../subsystem/subsystem.ts'
import { CNS, IDENTIFY_NAMESPACE } from '../wire/identify.ts'
import { DISCOVERY_INFORMATION_BYTES } from '../wire/discovery-information.ts'
import { FEATURE_CAPABILITY_BITS, FEATURE_SELECT, FID } from '../wire/feature.ts'
import { putBits, takeBits } from '../wire/layout.ts'
import { ANA_RGO, LID } from '../wire/log-page.ts'
import { RESERVATION_NOTICE_BYTES } from '../wire/reservation.ts'
import {
  ABORT, ADMIN_OPCODE, DISCOVERY_INFORMATION_MANAGEMENT, GET_FEATURES, GET_LOG_PAGE, GET_LOG_PAGE_LSP_RAE,
  GET_LOG_PAGE_OT, IDENTIFY, IDENTIFY_BYTES, SET_FEATURES, SET_FEATURES_SV, SQE,
} from '../wire/sqe.ts'
import { STATUS } from '../wire/status.ts'
import { putU64, takeU64 } from '../wire/value.ts'
import type { Aborts } from './abort.ts'
import type { AdminState } from './admin-state.ts'
import { adminRefusal, hidesUse } from './ana.ts'
import { nsidMax } from './capabilities.ts'
import { clockChanged, clockOf } from './clock.ts'
import { hasAdminCommand } from './commands.ts'
import type { Controller } from './controller.ts'
import type { Events } from './events.ts'
import type { DeviceHealth } from './device-health.ts'
import type { Executor } from './executor.ts'
import { type NamespaceFeature, featureBytes, getFeature, namespaceFeature, setFeature } from './features.ts'
import { healthOf, errorsOf } from './health.ts'
import { identify } from './identify.ts'
import { inventoryBytes, inventoryTask } from './inventory.ts'
import { whereOfAdmin } from './location.ts'
import { mediaRefusal, mediaTask } from './media.ts'
import { cutLog, logPage, persistentEvents } from './log-page.ts'
import type { Queue } from './queue.ts'
import type { ReservationCommands } from './reservations.ts'
import { ROW, type Shared } from './shared.ts'
import type { Tasks } from './task.ts'
import { visibleTo } from './zones.ts'

const TO_HOST = 2
const FROM_HOST = 1
const NSID_WORD = SQE.nsid >> 2
const CDW10_WORD = GET_FEATURES.fid >> 2
const SELECT_BITS = [0, 3] as const
const TASK_BITS = [0, 4] as const

export type AdminParts = {
  readonly arena: Arena
  readonly slots: Slots
  readonly pages: Buffers
  readonly shared: Shared
  /** What is exported, at this moment. */
  readonly catalogue: { readonly target: TargetSnapshot; readonly health?: DeviceHealth }
  readonly aborts: Aborts
  readonly events: Events
  readonly reservations: ReservationCommands
  readonly tasks: Tasks
  /** The address that the host of this queue connected to. */
  readonly reached: (queue: Queue) => Endpoint
  /** This one, which the control plane answers. */
  readonly reactor: number
  readonly post: (message: ToControl) => void
}

export class AdminExecutor implements Executor {
  readonly #parts: AdminParts

  constructor(parts: AdminParts) {
    this.#parts = parts
  }

  start(slot: Slot, queue: Queue, w: number): Outcome {
    const { arena, shared } = this.#parts
    const controller = queue.controller
    const admin = controller?.admin
    if (controller === null || admin === null || admin === undefined) return queue.closedStatus
    shared.words[controller.stampWord] = arena.words[H.NOW_MS]!
    if (slot.opcode === ADMIN_OPCODE.KEEP_ALIVE) return 0
    if (!admin.enabled) return STATUS.COMMAND_SEQUENCE_ERROR
    const outcome = this.#execute(slot, queue, controller, admin, w)
    if (outcome > 0) this.#failed(slot, controller, outcome, arena.view, w * 4)
    return outcome
  }

  /** The data of the command are there. */
  run(slot: Slot, queue: Queue): Outcome {
    const { arena, slots, reactor, tasks } = this.#parts
    const at = slot.buffer
    const payload = arena.bytes.slice(at, at + slot.bytes)
    const sqe = slot.index * SQE_WORDS * 4
    const view = new DataView(slots.sqe.buffer)
    if (slot.opcode === ADMIN_OPCODE.DISCOVERY_INFORMATION_MANAGEMENT) {
      const task = takeBits(view.getUint8(sqe + DISCOVERY_INFORMATION_MANAGEMENT.tas), TASK_BITS)
      tasks.post({
        type: 'manage-discovery', reactor, slot: slot.index, controller: queue.controller!.index, task,
        information: payload,
      })
      return PENDING
    }
    if (slot.opcode !== ADMIN_OPCODE.SET_FEATURES) return this.#inventory(slot, queue.controller!, view, sqe, payload)
    const clock = view.getUint8(sqe + SET_FEATURES.fid) === FID.TIMESTAMP ? clockOf(queue.controller!) : null
    const outcome = this.#setFeature(slot, queue.controller!, sqe, payload)
    if (outcome === 0 && clock !== null) this.#parts.post(clockChanged(queue.controller!, clock))
    if (outcome > 0) this.#failed(slot, queue.controller!, outcome, view, sqe)
    return outcome
  }

  /** A command that fails is entered in the controller's error log. sqe: byte offset of its entry in view. */
  #failed(slot: Slot, controller: Controller, status: number, view: DataView, sqe: number): void {
    const nsid = view.getUint32(sqe + SQE.nsid, true)
    this.#parts.shared.logError(
      controller.index, 0, slot.cid, status, 0, nsid, whereOfAdmin(status, view, sqe),
    )
  }

  #execute(slot: Slot, queue: Queue, controller: Controller, admin: AdminState, w: number): Outcome {
    if (!hasAdminCommand(controller.subsystem, slot.opcode)) return STATUS.INVALID_OPCODE
    const words = this.#parts.arena.words
    const refusal = adminRefusal(controller, slot.opcode, words[w + CDW10_WORD]! & 0xff, words[w + NSID_WORD]!)
      || mediaRefusal(controller, slot.opcode, words[w + NSID_WORD]!)
    if (refusal !== 0) return refusal
    switch (slot.opcode) {
      case ADMIN_OPCODE.IDENTIFY:
        return this.#identify(slot, controller, w)
      case ADMIN_OPCODE.GET_LOG_PAGE:
        return this.#log(slot, queue, controller, admin, w)
      case ADMIN_OPCODE.SET_FEATURES:
        return this.#startSetFeature(slot, controller, admin, w)
      case ADMIN_OPCODE.GET_FEATURES:
        return this.#startGetFeature(slot, controller, admin, w)
      case ADMIN_OPCODE.ASYNC_EVENT_REQUEST:
        return this.#parts.events.hold(slot, admin)
      case ADMIN_OPCODE.ABORT:
        return this.#abort(slot, controller, admin, w)
      case ADMIN_OPCODE.FORMAT_NVM:
      case ADMIN_OPCODE.SANITIZE:
        if (slot.bytes !== 0) return STATUS.DATA_SGL_LENGTH_INVALID
        this.#parts.tasks.perform(slot, controller.index, mediaTask(slot.opcode, words, w))
        return PENDING
      case ADMIN_OPCODE.DISCOVERY_INFORMATION_MANAGEMENT:
        if (slot.bytes < DISCOVERY_INFORMATION_BYTES) return STATUS.DATA_SGL_LENGTH_INVALID
        return this.#wantData(slot, w, slot.bytes)
      case ADMIN_OPCODE.NAMESPACE_MANAGEMENT:
      case ADMIN_OPCODE.NAMESPACE_ATTACHMENT: {
        const bytes = inventoryBytes(slot, this.#parts.arena.view, w * 4)
        return bytes > 0 ? this.#wantData(slot, w, bytes) : this.#inventory(slot, controller, this.#parts.arena.view, w * 4)
      }
      default:
        return STATUS.INVALID_OPCODE
    }
  }

  /** sqe: byte offset of the entry in view. */
  #inventory(slot: Slot, controller: Controller, view: DataView, sqe: number, payload = new Uint8Array(0)): Outcome {
    const task = inventoryTask(slot, view, sqe, payload)
    if (typeof task !== 'number') this.#parts.tasks.perform(slot, controller.index, task)
    return typeof task === 'number' ? task : PENDING
  }

  #identify(slot: Slot, controller: Controller, w: number): Outcome {
    const { arena, catalogue, shared } = this.#parts
    if (slot.bytes !== IDENTIFY_BYTES) return STATUS.DATA_SGL_LENGTH_INVALID
    const at = this.#answerAt(slot, IDENTIFY_BYTES)
    if (at === STALL) return STALL
    const view = arena.view
    const sqe = w * 4
    const facts = {
      subsystem: visibleTo(controller), controllerId: controller.cntlid, firmware: catalogue.target.firmware,
      controllers: () => shared.partiesOf(controller.index), used: (counter: number) => shared.used(counter),
    }
    const cns = view.getUint8(sqe + IDENTIFY.cns)
    const nsid = view.getUint32(sqe + SQE.nsid, true)
    const status = identify(
      view, at, facts, cns, nsid, view.getUint8(sqe + IDENTIFY.csi), view.getUint16(sqe + IDENTIFY.cntid, true),
    )
    if (cns === CNS.NAMESPACE && hidesUse(controller, nsid)) putU64(view, at + IDENTIFY_NAMESPACE.nuse, 0)
    return status
  }

  #log(slot: Slot, queue: Queue, controller: Controller, admin: AdminState, w: number): Outcome {
    const { arena, shared, reached } = this.#parts
    const { target } = this.#parts.catalogue
    const view = arena.view
    const sqe = w * 4
    const numd = view.getUint16(sqe + GET_LOG_PAGE.numdl, true)
      + view.getUint16(sqe + GET_LOG_PAGE.numdu, true) * 65536
    const bytes = (numd + 1) * 4
    const lpo = Number(view.getBigUint64(sqe + GET_LOG_PAGE.lpo, true))
    if (bytes > controller.subsystem.mdtsBytes) return STATUS.INVALID_FIELD
    const lid = view.getUint8(sqe + GET_LOG_PAGE.lid)
    const lspRae = view.getUint8(sqe + GET_LOG_PAGE.lspRae)
    const lsp = takeBits(lspRae, GET_LOG_PAGE_LSP_RAE.lsp)
    // Offsets count bytes: no log has an index.
    if ((view.getUint8(sqe + GET_LOG_PAGE.ot) & GET_LOG_PAGE_OT) !== 0) return STATUS.INVALID_FIELD
    // Counters are of the whole subsystem, whatever of it this host sees.
    const { namespaces } = target.subsystems.find(({ nqn }) => nqn === controller.subsystem.nqn) ?? controller.subsystem
    const log = logPage({
      lid, lsp, nsid: view.getUint32(sqe + SQE.nsid, true), lsi: view.getUint16(sqe + GET_LOG_PAGE.lsi, true),
      csi: view.getUint8(sqe + GET_LOG_PAGE.csi),
    }, {
      subsystem: controller.subsystem, firmware: target.firmware,
      errors: () => errorsOf(shared, controller),
      health: (one) =>
        healthOf(shared, shared.words[shared.row(controller.index) + ROW.SUBSYSTEM]!, namespaces, one),
      devices: (one) => this.#parts.catalogue.health?.of(one === null ? namespaces : [one]) ?? [],
      persistentEvents: (action) => persistentEvents(admin, action),
      changedNamespaces: () => [...admin.changedNamespaces].sort((one, other) => one - other),
      changedZones: (nsid) => admin.changedZones.page(nsid),
      ana: () => this.#anaLog(controller, lsp),
      discovery: () => discoveryLog(target, controller.hostNqn, reached(queue), discoveryWish(lsp)),
      notice: () => admin.notices.page(),
    })
    if (log === PENDING) return this.#askHistory(slot, controller, bytes, w)
    if (typeof log === 'number') return log
    if (bytes !== slot.bytes) return STATUS.DATA_SGL_LENGTH_INVALID
    const at = this.#answerAt(slot, bytes)
    if (at === STALL) return STALL
    const status = cutLog(log, lpo, arena.bytes.subarray(at, at + bytes))
    const retains = takeBits(lspRae, GET_LOG_PAGE_LSP_RAE.rae) === 1
    if (status === 0 && !retains) this.#read(admin, lid, lpo + bytes, view.getUint32(sqe + SQE.nsid, true))
    return status
  }

  /** The control plane has the persistent events. The buffer is taken now, so that the answer cannot stall. */
  #askHistory(slot: Slot, controller: Controller, bytes: number, w: number): Outcome {
    const { arena, slots, reactor, post } = this.#parts
    if (bytes !== slot.bytes) return STATUS.DATA_SGL_LENGTH_INVALID
    if (this.#answerAt(slot, bytes) === STALL) return STALL
    slots.sqe.set(arena.words.subarray(w, w + SQE_WORDS), slot.index * SQE_WORDS)
    post({ type: 'read-history', reactor, slot: slot.index, controller: controller.index })
    return PENDING
  }

  /** The events of its subsystem, for a Get Log Page that establishes a context. queue: null when it has gone. */
  establish(slot: Slot, queue: Queue | null, log: Uint8Array): number {
    const { arena, slots } = this.#parts
    const admin = queue?.controller?.admin ?? null
    if (admin === null) return STATUS.ABORT_REQUESTED
    if (admin.eventContext !== null) return STATUS.COMMAND_SEQUENCE_ERROR
    const lpo = takeU64(new DataView(slots.sqe.buffer), slot.index * SQE_WORDS * 4 + GET_LOG_PAGE.lpo)
    const at = slot.buffer
    const status = cutLog(log, lpo, arena.bytes.subarray(at, at + slot.bytes))
    if (status === 0) admin.eventContext = log
    return status
  }

  /** The host has read a log up to this byte, and keeps no event. */
  #read(admin: AdminState, lid: number, end: number, nsid: number): void {
    const { events } = this.#parts
    events.clear(admin, lid, nsid)
    if (lid !== LID.RESERVATION_NOTICES || end < RESERVATION_NOTICE_BYTES) return
    admin.notices.drop()
    // Who reads one at each event comes to the next ones too.
    if (admin.notices.length !== 0) events.raise(admin, 'RESERVATION_LOG')
  }

  #anaLog({ subsystem, listener }: Controller, lsp: number): Uint8Array {
    return anaLog(pathAt(subsystem.paths, listener), (lsp & ANA_RGO) !== 0, nsidMax(subsystem))
  }

  #startSetFeature(slot: Slot, controller: Controller, admin: AdminState, w: number): Outcome {
    const { arena } = this.#parts
    const fid = arena.view.getUint8(w * 4 + SET_FEATURES.fid)
    const ofNamespace = namespaceFeature(controller.subsystem.kind, fid)
    if (ofNamespace !== undefined) return this.#setNamespaceFeature(slot, controller, ofNamespace, w)
    const bytes = featureBytes(admin.features, fid)
    if (bytes === 0 || slot.bytes === 0) {
      return this.#setFeature(slot, controller, w * 4, new Uint8Array(0), arena.view)
    }
    return this.#wantData(slot, w, bytes)
  }

  /** Keeps the command until its data have come. */
  #wantData(slot: Slot, w: number, bytes: number): Outcome {
    const { arena, slots, pages } = this.#parts
    if (slot.bytes !== bytes || slot.direction !== FROM_HOST) return STATUS.DATA_SGL_LENGTH_INVALID
    const at = pages.take(bytes, slot.keepPages)
    if (at === -1) return STALL
    slots.sqe.set(arena.words.subarray(w, w + SQE_WORDS), slot.index * SQE_WORDS)
    slot.own(at)
    slot.readable = 1
    return WANTS_DATA
  }

  /** sqe: byte offset of the entry in view. */
  #setFeature(
    slot: Slot, controller: Controller, sqe: number, payload: Uint8Array,
    view = new DataView(this.#parts.slots.sqe.buffer),
  ): number {
    const { shared, events } = this.#parts
    const admin = controller.admin!
    const row = shared.row(controller.index)
    const answer = setFeature(admin.features, {
      fid: view.getUint8(sqe + SET_FEATURES.fid),
      save: (view.getUint8(sqe + SET_FEATURES.sv) & SET_FEATURES_SV) !== 0,
      nsid: view.getUint32(sqe + SQE.nsid, true),
      cdw11: view.getUint32(sqe + SET_FEATURES.cdw11, true),
      payload,
      ioQueues: shared.words[row + ROW.IO_QUEUES]!, zones: hasZones(controller.subsystem), nowMs: performance.now(),
    })
    slot.dw0 = answer.dw0 | 0
    shared.words[row + ROW.WRITE_THROUGH] = admin.features.writeCacheEnabled ? 0 : 1
    shared.words[row + ROW.GRANTED] = admin.features.ioQueueCount
    events.mask(admin)
    return answer.status
  }

  /** Its value is with the control plane. */
  #setNamespaceFeature(slot: Slot, controller: Controller, { verb, bits }: NamespaceFeature, w: number): Outcome {
    const { arena, reservations } = this.#parts
    const value = arena.words[w + (SET_FEATURES.cdw11 >> 2)]!
    if ((arena.view.getUint8(w * 4 + SET_FEATURES.sv) & SET_FEATURES_SV) !== 0) return STATUS.FEATURE_NOT_SAVEABLE
    if ((value & ~bits) !== 0) return STATUS.INVALID_FIELD
    const nsid = arena.words[w + (SQE.nsid >> 2)]!
    if (verb !== 'protection') return reservations.feature(slot, controller, nsid, verb, value)
    if (!controller.subsystem.namespaces.some((each) => each.nsid === nsid)) return STATUS.INVALID_NAMESPACE
    this.#parts.tasks.perform(slot, controller.index, { kind: 'protect', nsid, state: value })
    return PENDING
  }

  #startGetFeature(slot: Slot, controller: Controller, admin: AdminState, w: number): Outcome {
    const { arena, reservations } = this.#parts
    const feature = namespaceFeature(controller.subsystem.kind, arena.view.getUint8(w * 4 + GET_FEATURES.fid))
    if (feature === undefined) return this.#getFeature(slot, admin, w)
    const select = takeBits(arena.view.getUint8(w * 4 + GET_FEATURES.sel), SELECT_BITS)
    if (select > FEATURE_SELECT.CAPABILITIES) return STATUS.INVALID_FIELD
    const { changeable, namespaceSpecific } = FEATURE_CAPABILITY_BITS
    slot.direction = 0
    if (select === FEATURE_SELECT.CAPABILITIES) slot.dw0 = putBits(changeable, 1) | putBits(namespaceSpecific, 1)
    // The default is 0, and what can be saved is none, so that it is the same.
    if (select !== FEATURE_SELECT.CURRENT) return 0
    const nsid = arena.words[w + (SQE.nsid >> 2)]!
    if (feature.verb !== 'protection') return reservations.feature(slot, controller, nsid, feature.verb, null)
    const namespace = controller.subsystem.namespaces.find((each) => each.nsid === nsid)
    if (namespace === undefined) return STATUS.INVALID_NAMESPACE
    slot.dw0 = protectionOf(namespace)
    return 0
  }

  #getFeature(slot: Slot, admin: AdminState, w: number): Outcome {
    const { arena } = this.#parts
    const view = arena.view
    const sqe = w * 4
    const answer = getFeature(admin.features, {
      fid: view.getUint8(sqe + GET_FEATURES.fid),
      select: takeBits(view.getUint8(sqe + GET_FEATURES.sel), SELECT_BITS),
      cdw11: view.getUint32(sqe + GET_FEATURES.cdw11, true), nowMs: performance.now(),
    })
    if (answer.status !== 0) return answer.status
    slot.dw0 = answer.dw0 | 0
    if (answer.payload.length === 0) {
      slot.direction = 0
      return 0
    }
    const bytes = slot.bytes
    if (bytes < answer.payload.length) return STATUS.DATA_SGL_LENGTH_INVALID
    const at = this.#answerAt(slot, bytes)
    if (at === STALL) return STALL
    arena.bytes.set(answer.payload, at)
    return 0
  }

  /** Of the admin queue, only event requests are ever outstanding; the rest is another reactor's to find. */
  #abort(slot: Slot, controller: Controller, admin: AdminState, w: number): Outcome {
    const { arena, aborts, events } = this.#parts
    const qid = arena.view.getUint16(w * 4 + ABORT.sqid, true)
    const cid = arena.view.getUint16(w * 4 + ABORT.abortedCid, true)
    if (qid !== 0) {
      aborts.forward(slot.index, controller.index, qid, cid)
      return PENDING
    }
    slot.dw0 = events.abort(admin, cid) ? 0 : 1
    return 0
  }

  /** Zeroed bytes of the arena for an answer, which the slot then owns; or STALL. */
  #answerAt(slot: Slot, bytes: number): number {
    const { arena, pages } = this.#parts
    if (slot.direction !== TO_HOST) slot.direction = TO_HOST
    const at = pages.take(bytes, slot.keepPages)
    if (at === -1) return STALL
    arena.bytes.fill(0, at, at + bytes)
    slot.own(at)
    return at
  }
}
