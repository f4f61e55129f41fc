/**
 * The admin queue pair of a controller. controller.ts sends by it, on the main thread; nothing here is hot.
 *
 *   0 ┌ SQ: 64 entries ┬ CQ: 64 entries, at 4 KiB ┬ a page of data for each identifier, at 8 KiB ┐
 *
 * Whoever waits for an answer polls; requests for events, which have no end, are polled by tick().
 * Invariant: a page belongs to its identifier until the device has answered, or the queue is empty again.
 */
import { CQE } from '../wire/cqe.ts'
import { CQE_PHASE, CQE_STATUS_SHIFT, PRP_COMMAND } from '../wire/pcie.ts'
import { describeStatus } from '../wire/status.ts'
import { type Clock, ControllerError } from './failure.ts'
import type { Dma, NvmeFunction } from './function.ts'
import { doorbellOf, type Registers } from './registers.ts'

export const ADMIN_DEPTH = 32
const PAGE_BYTES = 4096
const SQE_BYTES = 64
const CQE_BYTES = 16
const CQ_AT = 4096
const PAGES_AT = 8192
export const ADMIN_BYTES = PAGES_AT + ADMIN_DEPTH * PAGE_BYTES
const POLL_MS = 1
const STATUS_MASK = 0x47ff

export type AdminCommand = {
  readonly opcode: number
  readonly nsid?: number
  readonly cdw10?: number
  readonly cdw11?: number
  readonly cdw12?: number
  readonly cdw13?: number
  readonly cdw14?: number
  /** Data for the device, at most a page. */
  readonly data?: Uint8Array
  /** PRP1 as it is; otherwise it is the identifier's page. */
  readonly prp1?: number
}

/** data: the page as the device has left it. */
export type AdminAnswer = { readonly status: number; readonly dw0: number; readonly dw1: number; readonly data: Uint8Array }

export class AdminQueue {
  readonly #function: Pick<NvmeFunction, 'write'>
  readonly #registers: Registers
  readonly #clock: Clock
  readonly #dma: Dma
  readonly #view: DataView
  readonly #words: Int32Array
  readonly #answered: (((answer: AdminAnswer) => void) | null)[] = new Array(ADMIN_DEPTH).fill(null)
  readonly #stride: number
  #tail = 0
  #head = 0
  #phase = 1
  /** Of the queue: who waits since before it was reset waits in vain. */
  #life = 0

  constructor(pci: Pick<NvmeFunction, 'write'>, registers: Registers, clock: Clock, dma: Dma, strideBytes: number) {
    this.#function = pci
    this.#registers = registers
    this.#clock = clock
    this.#dma = dma
    this.#view = new DataView(dma.memory)
    this.#words = new Int32Array(dma.memory)
    this.#stride = strideBytes
  }

  get sqIova(): number {
    return this.#dma.iova
  }

  get cqIova(): number {
    return this.#dma.iova + CQ_AT
  }

  /** The controller is disabled: both queues are empty, and nobody is answered any more. */
  reset(): void {
    new Uint8Array(this.#dma.memory).fill(0)
    this.#answered.fill(null)
    this.#life++
    this.#tail = 0
    this.#head = 0
    this.#phase = 1
  }

  /** Sends a command; answered() is called by a later tick(). False when there is no identifier left. */
  send(command: AdminCommand, answered: (answer: AdminAnswer) => void): boolean {
    const cid = this.#answered.findIndex((each, index) => each === null && index < ADMIN_DEPTH - 1)
    if (cid === -1) return false
    const view = this.#view
    const at = this.#tail * SQE_BYTES
    const page = new Uint8Array(this.#dma.memory, PAGES_AT + cid * PAGE_BYTES, PAGE_BYTES)
    page.fill(0)
    if (command.data !== undefined) page.set(command.data)
    new Uint8Array(this.#dma.memory, at, SQE_BYTES).fill(0)
    view.setUint8(at + PRP_COMMAND.opcode, command.opcode)
    view.setUint16(at + PRP_COMMAND.cid, cid, true)
    view.setUint32(at + PRP_COMMAND.nsid, command.nsid ?? 0, true)
    view.setBigUint64(at + PRP_COMMAND.prp1, BigInt(command.prp1 ?? this.#dma.iova + PAGES_AT + cid * PAGE_BYTES), true)
    view.setUint32(at + PRP_COMMAND.cdw10, command.cdw10 ?? 0, true)
    view.setUint32(at + PRP_COMMAND.cdw11, command.cdw11 ?? 0, true)
    view.setUint32(at + PRP_COMMAND.cdw12, command.cdw12 ?? 0, true)
    view.setUint32(at + PRP_COMMAND.cdw13, command.cdw13 ?? 0, true)
    view.setUint32(at + PRP_COMMAND.cdw14, command.cdw14 ?? 0, true)
    this.#answered[cid] = answered
    this.#tail = (this.#tail + 1) % ADMIN_DEPTH
    this.#function.write(doorbellOf(0, false, this.#stride), this.#tail)
    return true
  }

  /** Sends a command and waits. Throws a ControllerError when no answer comes within limitMs. */
  async ask(command: AdminCommand, limitMs: number): Promise<AdminAnswer> {
    let answer: AdminAnswer | null = null
    const end = this.#clock.now() + limitMs
    const life = this.#life
    while (!this.send(command, (each) => { answer = each })) await this.#wait(end)
    for (;;) {
      this.tick()
      if (answer !== null) return answer
      await this.#wait(end)
      if (life !== this.#life) throw new ControllerError('late', 'the controller was reset meanwhile')
    }
  }

  /** As ask(), for what has to succeed; what: 'Identify', for the message. */
  async demand(what: string, command: AdminCommand, limitMs: number): Promise<AdminAnswer> {
    const answer = await this.ask(command, limitMs)
    if (answer.status === 0) return answer
    throw new ControllerError('refused', `${what} failed: ${describeStatus(answer.status)}`)
  }

  /** Answers that have come. */
  tick(): void {
    const view = this.#view
    for (let seen = 0; seen < ADMIN_DEPTH; seen++) {
      const at = CQ_AT + this.#head * CQE_BYTES
      // What the device wrote before it is read after it.
      const last = Atomics.load(this.#words, (at + CQE.cid) >> 2)
      if (((last & CQE_PHASE) !== 0) !== (this.#phase === 1)) return
      this.#head = (this.#head + 1) % ADMIN_DEPTH
      if (this.#head === 0) this.#phase ^= 1
      this.#function.write(doorbellOf(0, true, this.#stride), this.#head)
      const cid = last & 0xffff
      const answered = this.#answered[cid] ?? null
      if (answered === null) throw new ControllerError('fatal', 'the controller answered a command that nobody sent')
      this.#answered[cid] = null
      const page = new Uint8Array(this.#dma.memory, PAGES_AT + cid * PAGE_BYTES, PAGE_BYTES)
      answered({
        status: last >>> CQE_STATUS_SHIFT & STATUS_MASK, dw0: view.getUint32(at + CQE.dw0, true),
        dw1: view.getUint32(at + CQE.dw1, true), data: page.slice(),
      })
    }
  }

  async #wait(end: number): Promise<void> {
    if (this.#registers.isGone) throw new ControllerError('gone', 'the device does not answer any more')
    if (this.#registers.isFatal) throw new ControllerError('fatal', 'the controller reports a fatal error (CSTS.CFS)')
    if (this.#clock.now() >= end) throw new ControllerError('late', 'an admin command was not answered in time')
    await this.#clock.pause(POLL_MS)
  }
}
