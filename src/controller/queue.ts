/**
 * Queue: a submission and completion queue pair over one connection. NVMe over Fabrics has no rings:
 * what is left is an identifier, a depth and the head pointer that completions report.
 * NVMe Base 2.0, 3.3.2.
 */
import { STATUS } from '../wire/status.ts'
import { Share } from '../reactor/share.ts'
import type { Controller } from './controller.ts'

const CONNECT_SQHD = 0xffff

export class Queue {
  readonly connection: number
  /** null until Connect succeeded and, where it has to, the host has authenticated. */
  controller: Controller | null = null
  /** The controller of a queue whose host has yet to authenticate. */
  unproven: Controller | null = null
  /** 0 = admin. */
  qid = 0
  depth = 0
  /** The host switched SQ flow control off (CATTR bit 2): no SQHD, SUCCESS instead of a response. */
  flowControlOff = false
  /** Submission queue head, 0 .. depth - 1: the entries that were taken, modulo depth. */
  head = 0

  /** The last command was the first half of a fused pair: see pair.ts. */
  fusing = false
  /** The host asked for the end of this queue: close when its answer has left. */
  leaving = false
  /** What it holds of the buffers, together with the other queues of its controller on this reactor. */
  share = new Share()
  readonly #own = this.share
  #offHead = CONNECT_SQHD

  constructor(connection: number) {
    this.connection = connection
  }

  reset(): void {
    this.controller = null
    this.unproven = null
    this.qid = 0
    this.depth = 0
    this.flowControlOff = false
    this.head = 0
    this.leaving = false
    this.fusing = false
    this.share = this.#own
    this.#offHead = CONNECT_SQHD
  }

  /** The controller that it belongs to, authenticated or not; null before Connect. */
  get holder(): Controller | null {
    return this.controller ?? this.unproven
  }

  /** What a command is answered with while there is no controller to execute it. */
  get closedStatus(): number {
    return this.unproven === null ? STATUS.COMMAND_SEQUENCE_ERROR : STATUS.AUTHENTICATION_REQUIRED
  }

  /** The host has authenticated: commands are executed from now on. */
  prove(): void {
    this.controller = this.holder
    this.unproven = null
  }

  /** SQHD without flow control: FFFFh on the Connect response, which is the first, then 0. */
  takeOffHead(): number {
    const head = this.#offHead
    this.#offHead = 0
    return head
  }

  /** SQHD of the next completion: one more entry is free. */
  advance(): number {
    const next = this.head + 1
    this.head = next >= this.depth ? 0 : next
    return this.head
  }
}
