/**
 * Authentication Send and Receive, as far as a reactor goes: it checks the command and carries the
 * message. fabrics calls it on any queue; the control plane answers (src/auth).
 * NVMe Base 2.0, 6.1 and 6.2
 *
 *   Send:     data ─▶ message ─▶ control plane ─ 'authenticated' ─▶ answer
 *   Receive:  control plane ─ 'authenticated' ─▶ message, zeroes up to AL ─▶ data
 *
 * Invariant: a slot that was handed over is EXECUTING until the control plane answers, whatever
 * becomes of its connection.
 */
import { type Outcome, PENDING, STALL, WANTS_DATA } from '../device/device.ts'
import type { Arena } from '../reactor/arena.ts'
import type { Buffers } from '../reactor/buffers.ts'
import type { Slot } from '../reactor/slots.ts'
import { H } from '../shim/abi.ts'
import { AUTH_BYTES_MAX, SECP_NVME, SPSP } from '../wire/authentication.ts'
import { AUTHENTICATION_RECEIVE, AUTHENTICATION_SEND, FABRICS_TYPE } from '../wire/fabrics.ts'
import { STATUS } from '../wire/status.ts'
import type { Queue } from './queue.ts'
import type { Shared } from './shared.ts'

/** slot.step of an Authentication Send that waits for its data. */
export const SENDING_MESSAGE = 1
const FROM_HOST = 1

/** message: of the host's; null asks for one of `room` bytes at most. */
export type CarryMessage =
  (slot: Slot, queue: Queue, message: Uint8Array | null, room: number) => void

export class Authentications {
  readonly #arena: Arena
  readonly #pages: Buffers
  readonly #shared: Shared
  readonly #carry: CarryMessage

  constructor(arena: Arena, pages: Buffers, shared: Shared, carry: CarryMessage) {
    this.#arena = arena
    this.#pages = pages
    this.#shared = shared
    this.#carry = carry
  }

  /** type: FABRICS_TYPE of one of the two. */
  start(slot: Slot, queue: Queue, w: number, type: number): Outcome {
    const { view, words, bytes } = this.#arena
    const sqe = w * 4
    const sends = type === FABRICS_TYPE.AUTHENTICATION_SEND
    const field = sends ? AUTHENTICATION_SEND : AUTHENTICATION_RECEIVE
    if (view.getUint8(sqe + field.secp) !== SECP_NVME || view.getUint8(sqe + field.spsp0) !== SPSP
      || view.getUint8(sqe + field.spsp1) !== SPSP) return STATUS.INVALID_FIELD
    // TL and AL are at the same place.
    const length = view.getUint32(sqe + AUTHENTICATION_SEND.tl, true)
    if (length === 0 || length > AUTH_BYTES_MAX) return STATUS.INVALID_FIELD
    if (length !== slot.bytes) return STATUS.DATA_SGL_LENGTH_INVALID
    const at = this.#pages.take(length, slot.keepPages)
    if (at === -1) return STALL
    this.#shared.words[queue.holder!.stampWord] = words[H.NOW_MS]!
    slot.own(at)
    if (slot.direction === FROM_HOST) {
      slot.readable = 1
      slot.step = SENDING_MESSAGE
      return WANTS_DATA
    }
    bytes.fill(0, at, at + length)
    this.#carry(slot, queue, null, length)
    return PENDING
  }

  /** The data of an Authentication Send are there. */
  run(slot: Slot, queue: Queue): Outcome {
    this.#carry(slot, queue, this.#arena.bytes.slice(slot.buffer, slot.buffer + slot.bytes), 0)
    return PENDING
  }
}
