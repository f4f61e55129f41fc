/**
 * Fabrics commands: Connect, Authentication Send and Receive, Property Get and Set, Disconnect.
 * admit calls it for opcode 7Fh on any queue.                    NVMe over Fabrics, 3
 * A queue takes nothing else before Connect succeeded; then, where the host has a key, nothing but
 * Authentication Send and Receive and Disconnect before it has authenticated.
 *
 *   Connect ─ decodeConnect ─▶ control plane ─ 'joined' ─▶ Associations.join     (the slot waits meanwhile)
 *
 * Invariant: at most one Connect of a connection is with the control plane.
 */
import { type Outcome, PENDING, STALL, WANTS_DATA } from '../device/device.ts'
import type { Arena } from '../reactor/arena.ts'
import type { Buffers } from '../reactor/buffers.ts'
import type { JoinRequest } from '../reactor/messages.ts'
import { SQE_WORDS, type Slot } from '../reactor/slots.ts'
import { CONNECT_DATA_BYTES, FABRICS_TYPE } from '../wire/fabrics.ts'
import { STATUS } from '../wire/status.ts'
import { type Authentications, SENDING_MESSAGE } from './authentication.ts'
import { decodeConnect } from './connect.ts'
import type { Executor } from './executor.ts'
import type { Properties } from './properties.ts'
import type { Queue } from './queue.ts'

/** Where a buffer holds the SQE of a Connect, behind its data. */
const SQE_OFFSET = CONNECT_DATA_BYTES
const FROM_HOST = 1

export class FabricsExecutor implements Executor {
  readonly #arena: Arena
  readonly #pages: Buffers
  readonly #properties: Properties
  readonly #queueDepthMax: number
  readonly #join: (slot: Slot, queue: Queue, request: JoinRequest) => void
  readonly #authentications: Authentications

  /** join: takes the request to the control plane; the slot is finished when its answer is there. */
  constructor(
    arena: Arena, pages: Buffers, properties: Properties, queueDepthMax: number,
    join: (slot: Slot, queue: Queue, request: JoinRequest) => void, authentications: Authentications,
  ) {
    this.#arena = arena
    this.#pages = pages
    this.#properties = properties
    this.#queueDepthMax = queueDepthMax
    this.#join = join
    this.#authentications = authentications
  }

  start(slot: Slot, queue: Queue, w: number): Outcome {
    const words = this.#arena.words
    const type = words[w + 1]! & 0xff
    if (type === FABRICS_TYPE.CONNECT) return this.#connect(slot, queue, w)
    if (queue.holder === null) return STATUS.COMMAND_SEQUENCE_ERROR
    if (type === FABRICS_TYPE.AUTHENTICATION_SEND || type === FABRICS_TYPE.AUTHENTICATION_RECEIVE) {
      return this.#authentications.start(slot, queue, w, type)
    }
    if (type === FABRICS_TYPE.DISCONNECT) return this.#disconnect(queue, words[w + 10]! & 0xffff)
    const controller = queue.controller
    if (controller === null) return queue.closedStatus
    if (queue.qid !== 0) return STATUS.INVALID_OPCODE
    const size = words[w + 10]! & 7
    const offset = words[w + 11]!
    if (type === FABRICS_TYPE.PROPERTY_GET) {
      const value = this.#properties.get(controller, offset, size)
      slot.dw0 = value.low
      slot.dw1 = value.high
      return value.status
    }
    if (type === FABRICS_TYPE.PROPERTY_SET) {
      return this.#properties.set(controller, offset, size, words[w + 12]!)
    }
    return STATUS.INVALID_OPCODE
  }

  /** The data of a Connect, or of an Authentication Send, are there. */
  run(slot: Slot, queue: Queue): Outcome {
    if (slot.step === SENDING_MESSAGE) return this.#authentications.run(slot, queue)
    const at = slot.buffer
    if (queue.holder !== null) return STATUS.COMMAND_SEQUENCE_ERROR
    const request = decodeConnect(this.#arena, at + SQE_OFFSET, at, this.#queueDepthMax)
    if ('status' in request) {
      slot.dw0 = request.dw0
      return request.status
    }
    this.#join(slot, queue, request)
    return PENDING
  }

  #connect(slot: Slot, queue: Queue, w: number): Outcome {
    if (queue.holder !== null) return STATUS.COMMAND_SEQUENCE_ERROR
    if (slot.bytes !== CONNECT_DATA_BYTES || slot.direction !== FROM_HOST) {
      return STATUS.DATA_SGL_LENGTH_INVALID
    }
    const at = this.#pages.take(CONNECT_DATA_BYTES + SQE_WORDS * 4, slot.keepPages)
    if (at === -1) return STALL
    slot.own(at)
    slot.readable = 1
    this.#arena.words.copyWithin((at + SQE_OFFSET) >> 2, w, w + SQE_WORDS)
    return WANTS_DATA
  }

  /** Ends an I/O queue: answered first, then the connection is closed in order. */
  #disconnect(queue: Queue, recordFormat: number): Outcome {
    if (queue.qid === 0) return STATUS.INVALID_QUEUE_TYPE
    if (recordFormat !== 0) return STATUS.INCOMPATIBLE_FORMAT
    queue.leaving = true
    return 0
  }
}
