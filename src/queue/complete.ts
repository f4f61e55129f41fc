/**
 * Completes commands: from an outcome to an answer, and from an answer that has left to a free slot.
 * receive, transfer and the reactor's completions call it; it calls the transport.
 *
 * Invariant: every admitted slot passes finish() once, and free() once.
 */
import { assert } from '../assert.ts'
import {
  type Meter, QUICK_BITS as QUICK_BITS_, QUICK_MASK as QUICK_MASK_,
} from '../controller/meter.ts'
import { HOST_BLOCK_SHIFT as HOST_BLOCK_SHIFT_ } from '../controller/tally.ts'
import type { Buffers } from '../reactor/buffers.ts'
import type { Share } from '../reactor/share.ts'
import { SLOT as SLOT_, type Slot, type Slots } from '../reactor/slots.ts'
import { H as H_ } from '../shim/abi.ts'
import type { Transport } from './transport.ts'

// V8 folds the constants of a module, but not those that it imports: docs/adr/0005.
const SLOT = SLOT_
const H = H_
const QUICK_BITS = QUICK_BITS_
const QUICK_MASK = QUICK_MASK_
const HOST_BLOCK_SHIFT = HOST_BLOCK_SHIFT_

/** The slot's data go to the host. */
export const TO_HOST = 2
/** The slot's data come from the host. */
export const FROM_HOST = 1

export class Completer {
  readonly #slots: Slots
  readonly #buffers: Buffers
  readonly #adminBuffers: Buffers
  readonly #adminAt: number
  readonly #transport: Transport
  readonly #words: Int32Array
  readonly #quick: Int32Array
  readonly #meter: Pick<Meter, 'record'>
  /** Commands answered since the start, by all connections of this reactor. */
  completedCount = 0

  constructor(
    slots: Slots, buffers: Buffers, adminBuffers: Buffers, adminAt: number,
    transport: Transport, meter: Pick<Meter, 'record' | 'quick' | 'words'>,
  ) {
    this.#slots = slots
    this.#buffers = buffers
    this.#adminBuffers = adminBuffers
    this.#adminAt = adminAt
    this.#transport = transport
    this.#words = meter.words
    this.#quick = meter.quick
    this.#meter = meter
  }

  /** The command is done with this status (wire/status.ts): answers, unless its host has gone. */
  finish(slot: Slot, status: number): void {
    assert(status >= 0, 'a command finishes with a status')
    slot.status = status
    this.completedCount++
    const us = (this.#words[H.NOW_US]! - slot.startedUs) | 0
    if ((us | status) === 0) {
      // Most of them: counted here, and told to the meter later.
      const place = ((slot.namespace + 1) << QUICK_BITS) | (slot.opcode & QUICK_MASK)
      this.#quick[place] = (this.#quick[place]! + 1) | 0
    } else {
      this.#meter.record(slot, us, status)
    }
    const owner = slot.owner
    if (owner === null || !owner.sends) {
      this.free(slot)
      return
    }
    owner.commandCount = (owner.commandCount + 1) | 0
    owner.transferredBlocks = (owner.transferredBlocks + (slot.bytes >>> HOST_BLOCK_SHIFT)) | 0
    if (status === 0 && slot.direction === TO_HOST && slot.bytes !== 0) {
      this.#transport.sendData(slot)
    } else {
      this.#transport.respond(slot)
    }
    // Most answers hold nothing that has to outlive them: the next command finds this slot warm.
    if (slot.buffer === -1) this.free(slot)
    else slot.enter(SLOT.SENDING)
  }

  /** False when its host has gone or is being sent away: it is asked for nothing, and told nothing. */
  answers(slot: Slot): boolean {
    const owner = slot.owner
    return owner !== null && owner.sends
  }

  /** The answer has left, or never will: the buffer and the slot go back. */
  free(slot: Slot): void {
    this.giveBuffer(slot)
    this.#slots.free(slot)
  }

  /** The slot has got a buffer, which counts against a share until it goes back. */
  charge(slot: Slot, share: Share): void {
    const at = slot.buffer
    slot.share = share
    if (at >= this.#adminAt) {
      slot.heldPages = this.#adminBuffers.pagesAt(at)
      share.adminPages += slot.heldPages
    } else {
      slot.heldPages = this.#buffers.pagesAt(at)
      share.pages += slot.heldPages
    }
  }

  giveBuffer(slot: Slot): void {
    const at = slot.buffer
    if (at === -1) return
    slot.buffer = -1
    if (slot.share !== null) {
      if (at >= this.#adminAt) slot.share.adminPages -= slot.heldPages
      else slot.share.pages -= slot.heldPages
      slot.share = null
    }
    if (at >= this.#adminAt) this.#adminBuffers.give(at)
    else this.#buffers.give(at)
  }
}
