/**
 * Queue: a submission and completion queue pair over one connection. NVMe over Fabrics has no rings:
 * what is left is an identifier, a depth and the head pointer that completions report.
 * NVMe Base 2.0, 3.3.2.
 */
import type { Controller } from './controller.ts'

const CONNECT_SQHD = 0xffff

export class Queue {
  readonly connection: number
  /** null until Connect succeeded. */
  controller: Controller | null = null
  /** 0 = admin. */
  qid = 0
  depth = 0
  /** The host switched SQ flow control off (CATTR bit 2): no SQHD, SUCCESS instead of a response. */
  flowControlOff = false
  /** Submission queue head, 0 .. depth - 1: the entries that were taken, modulo depth. */
  head = 0

  /** The host asked for the end of this queue: close when its answer has left. */
  leaving = false
  #offHead = CONNECT_SQHD

  constructor(connection: number) {
    this.connection = connection
  }

  reset(): void {
    this.controller = null
    this.qid = 0
    this.depth = 0
    this.flowControlOff = false
    this.head = 0
    this.leaving = false
    this.#offHead = CONNECT_SQHD
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
