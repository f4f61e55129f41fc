/**
 * Reservation commands, and the features 82h and 83h, as far as a reactor has to do with them: it checks their form
 * and takes them to the control plane, which decides (subsystem/reservations.ts). io and admin call it.
 *
 *   command ─▶ keys from the host ─▶ 'reserve' ─▶ control plane ─▶ 'reserved' ─▶ answer     the slot waits meanwhile
 *
 * NVMe Base 2.0, Reservation Register, Report, Acquire, Release.
 * Invariant: every slot that asked is finished once, also when its host has gone; `pending` counts those.
 */
import { type Outcome, PENDING, STALL, WANTS_DATA } from '../device/device.ts'
import type { Arena } from '../reactor/arena.ts'
import type { Buffers } from '../reactor/buffers.ts'
import type { ToControl, ToReactor } from '../reactor/messages.ts'
import { type Slot, SQE_WORDS, type Slots } from '../reactor/slots.ts'
import type { ReservationRequest } from '../subsystem/reservations.ts'
import { takeBits } from '../wire/layout.ts'
import { LOCATION_NONE } from '../wire/log-page.ts'
import {
  RESERVATION_KEY_BYTES, RESERVATION_KEYS, RESERVATION_KEYS_BYTES, RESERVATION_REPORT_BITS,
} from '../wire/reservation.ts'
import { IO_OPCODE, NSID_ALL } from '../wire/sqe.ts'
import { STATUS } from '../wire/status.ts'
import type { Controller } from './controller.ts'
import type { Queue } from './queue.ts'
import type { Shared } from './shared.ts'

const NSID_WORD = 1
const CDW10 = 10
const CDW11 = 11
const NO_KEY = '0'.repeat(16)

export type ReservationCommandParts = {
  readonly arena: Arena
  readonly slots: Slots
  readonly buffers: Buffers
  readonly reactor: number
  readonly shared: Pick<Shared, 'logError'>
  readonly post: (message: ToControl) => void
  readonly finish: (slot: Slot, status: number) => void
  /** null when its connection has gone. */
  readonly queueOf: (slot: Slot) => Queue | null
}

export class ReservationCommands {
  readonly #parts: ReservationCommandParts
  /** By slot: whose command it is. */
  readonly #controllers: (Controller | null)[]
  pending = 0

  constructor(parts: ReservationCommandParts) {
    this.#parts = parts
    this.#controllers = new Array<Controller | null>(parts.slots.count).fill(null)
  }

  /** One of the four I/O commands, on a namespace that there is. w: word index of the entry. */
  start(slot: Slot, controller: Controller, w: number): Outcome {
    const { arena, slots } = this.#parts
    const words = arena.words
    if (slot.opcode === IO_OPCODE.RESERVATION_REPORT) {
      if (takeBits(words[w + CDW11]!, RESERVATION_REPORT_BITS.eds) === 0) return STATUS.HOST_ID_INCONSISTENT
      if (((words[w + CDW10]! >>> 0) + 1) * 4 !== slot.bytes) return STATUS.DATA_SGL_LENGTH_INVALID
    } else {
      const release = slot.opcode === IO_OPCODE.RESERVATION_RELEASE && slot.bytes === RESERVATION_KEY_BYTES
      if (slot.bytes !== RESERVATION_KEYS_BYTES && !release) return STATUS.DATA_SGL_LENGTH_INVALID
      slot.readable = 1
    }
    slots.sqe.set(words.subarray(w, w + SQE_WORDS), slot.index * SQE_WORDS)
    this.#controllers[slot.index] = controller
    return this.again(slot)
  }

  /** A buffer may be free now. */
  again(slot: Slot): Outcome {
    const { buffers, arena } = this.#parts
    const at = buffers.take(slot.bytes, slot.keepPages)
    if (at === -1) return STALL
    slot.own(at)
    if (slot.opcode !== IO_OPCODE.RESERVATION_REPORT) return WANTS_DATA
    arena.bytes.fill(0, at, at + slot.bytes)
    return this.#askAboutOne(slot, { verb: 'report' })
  }

  /** The keys are there. */
  run(slot: Slot): Outcome {
    const { arena, slots } = this.#parts
    const keyAt = (offset: number): string =>
      arena.view.getBigUint64(slot.buffer + offset, true).toString(16).padStart(NO_KEY.length, '0')
    return this.#askAboutOne(slot, {
      verb: 'command',
      command: {
        opcode: slot.opcode, cdw10: slots.sqe[slot.index * SQE_WORDS + CDW10]!, key: keyAt(RESERVATION_KEYS.crkey),
        secondKey: slot.bytes === RESERVATION_KEYS_BYTES ? keyAt(RESERVATION_KEYS.second) : NO_KEY,
      },
    })
  }

  /** Set or Get Features of 82h and 83h; value null: Get. */
  feature(
    slot: Slot, controller: Controller, nsid: number, verb: 'mask' | 'persistence', value: number | null,
  ): Outcome {
    const { namespaces } = controller.subsystem
    const all = nsid >>> 0 === NSID_ALL
    if (all && value === null) return STATUS.INVALID_FIELD
    const meant = all ? namespaces : namespaces.filter((each) => each.nsid === nsid)
    if (!all && meant.length === 0) return STATUS.INVALID_NAMESPACE
    slot.direction = 0
    this.#parts.slots.sqe[slot.index * SQE_WORDS + NSID_WORD] = nsid
    // All of none: there is nothing to set.
    return meant.length === 0 ? 0 : this.#ask(slot, controller, meant, { verb, value })
  }

  /** The control plane has decided. */
  answered({ slot: index, status, dw0, payload }: Extract<ToReactor, { type: 'reserved' }>): void {
    const { arena, slots, shared, finish, queueOf } = this.#parts
    const slot = slots.all[index]!
    const queue = queueOf(slot)
    this.pending--
    if (status > 0 && queue !== null && queue.controller !== null) {
      const nsid = slots.sqe[index * SQE_WORDS + NSID_WORD]!
      shared.logError(queue.controller.index, queue.qid, slot.cid, status, 0, nsid, LOCATION_NONE)
    }
    if (payload.length !== 0) arena.bytes.set(payload.subarray(0, slot.bytes), slot.buffer)
    slot.dw0 = dw0 | 0
    finish(slot, status)
  }

  #askAboutOne(slot: Slot, request: ReservationRequest): Outcome {
    const controller = this.#controllers[slot.index]!
    this.#controllers[slot.index] = null
    const nsid = this.#parts.slots.sqe[slot.index * SQE_WORDS + NSID_WORD]!
    return this.#ask(slot, controller, controller.subsystem.namespaces.filter((each) => each.nsid === nsid), request)
  }

  #ask(
    slot: Slot, controller: Controller, namespaces: readonly { readonly uuid: string; readonly nsid: number }[],
    request: ReservationRequest,
  ): Outcome {
    const { reactor, post } = this.#parts
    this.pending++
    post({
      type: 'reserve', reactor, slot: slot.index, controller: controller.index, request,
      namespaces: namespaces.map(({ uuid, nsid }) => ({ uuid, nsid })),
    })
    return PENDING
  }
}
