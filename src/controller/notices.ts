/**
 * The reservation notices of one controller, oldest first, until its host has read them: log page 80h.
 * The control plane brings them, admin reads them.   NVMe Base 2.0, Reservation Notification log
 *
 * Invariant: each notice has a number of its own, from 1 on; where one is missing, the queue was full.
 */
import { RESERVATION_NOTICE, RESERVATION_NOTICE_BYTES } from '../wire/reservation.ts'
import { putU64 } from '../wire/value.ts'

/** A host that does not read loses what comes after these. */
export const NOTICES_MAX = 64
const AVAILABLE_MAX = 255

export class Notices {
  readonly #waiting: { readonly count: number; readonly type: number; readonly nsid: number }[] = []
  #count = 0

  get length(): number {
    return this.#waiting.length
  }

  /** type: one of NOTICE. */
  add(type: number, nsid: number): void {
    this.#count++
    if (this.#waiting.length < NOTICES_MAX) this.#waiting.push({ count: this.#count, type, nsid })
  }

  /** The log page: the oldest one, all zero where there is none. */
  page(): Uint8Array {
    const view = new DataView(new ArrayBuffer(RESERVATION_NOTICE_BYTES))
    const first = this.#waiting[0]
    if (first !== undefined) {
      putU64(view, RESERVATION_NOTICE.count, first.count)
      view.setUint8(RESERVATION_NOTICE.type, first.type)
      view.setUint8(RESERVATION_NOTICE.available, Math.min(this.#waiting.length - 1, AVAILABLE_MAX))
      view.setUint32(RESERVATION_NOTICE.nsid, first.nsid, true)
    }
    return new Uint8Array(view.buffer)
  }

  /** The oldest one was read. */
  drop(): void {
    this.#waiting.shift()
  }

  /** The controller starts over. */
  reset(): void {
    this.#waiting.length = 0
    this.#count = 0
  }
}
