/**
 * The registers of a controller: what it can do, whether it is ready, and how it is made so.
 * controller.ts calls it on the main thread.         NVMe Base 2.0, Controller Properties; Controller Initialization
 *
 *   disable: CC.EN 0 ─▶ CSTS.RDY 0          enable: AQA, ASQ, ACQ ─▶ CC.EN 1 ─▶ CSTS.RDY 1, in CAP.TO each
 *
 * A function that was pulled out reads as all ones.
 * Invariant: the admin queue's addresses change only while the controller is not ready.
 */
import { CAP, CC, CC_CSS, CC_IOCQES, CC_IOSQES, CRTO, CSTS, CSTS_MASK, SHN } from '../wire/fabrics.ts'
import { putBits, takeBits } from '../wire/layout.ts'
import { AQA_BITS, REGISTER } from '../wire/pcie.ts'
import { type Clock, ControllerError } from './failure.ts'
import type { NvmeFunction } from './function.ts'

const TWO_32 = 4294967296
const ALL_ONES = -1
const UNIT_MS = 500
const POLL_MS = 1
/** Some controllers say 0 and mean that nobody has measured it. */
const READY_MS_MIN = 2000
const PAGE_SHIFT = 12
const SHUTDOWN_MS = 5000

/** Of CAP: numbers as they are meant. */
export type Capabilities = {
  readonly depthMax: number
  readonly readyMs: number
  /** Between two doorbells. */
  readonly strideBytes: number
  /** The smallest page of the controller, in bytes. */
  readonly pageBytesMin: number
  /** It has command sets besides NVM. */
  readonly commandSets: boolean
  readonly nvm: boolean
}

export class Registers {
  readonly #function: Pick<NvmeFunction, 'read' | 'write'>
  readonly #clock: Clock

  constructor(pci: Pick<NvmeFunction, 'read' | 'write'>, clock: Clock) {
    this.#function = pci
    this.#clock = clock
  }

  get status(): number {
    return this.#load(REGISTER.CSTS)
  }

  get version(): number {
    return this.#load(REGISTER.VS)
  }

  /** Nothing answers at its place. */
  get isGone(): boolean {
    return this.#load(REGISTER.CSTS) === ALL_ONES && this.#load(REGISTER.VS) === ALL_ONES
  }

  get isFatal(): boolean {
    return (this.status & CSTS_MASK.CFS) !== 0
  }

  get isReady(): boolean {
    return (this.status & CSTS_MASK.RDY) !== 0
  }

  capabilities(): Capabilities {
    const low = this.#load(REGISTER.CAP)
    const high = this.#load(REGISTER.CAP + 4)
    const crto = takeBits(high, CAP.crwms) === 1 ? takeBits(this.#load(REGISTER.CRTO), CRTO.crwmt) : 0
    return {
      depthMax: takeBits(low, CAP.mqes) + 1,
      readyMs: Math.max(READY_MS_MIN, UNIT_MS * Math.max(takeBits(low, CAP.to), crto)),
      strideBytes: 4 << takeBits(high, CAP.dstrd),
      pageBytesMin: 1 << (PAGE_SHIFT + takeBits(high, CAP.mpsmin)),
      commandSets: takeBits(high, CAP.cssIocs) === 1,
      nvm: takeBits(high, CAP.cssNvm) === 1,
    }
  }

  /** Ends everything that the controller does. Throws a ControllerError when it does not let go. */
  async disable(readyMs: number): Promise<void> {
    if (this.isGone) throw new ControllerError('gone', 'the device does not answer any more')
    const cc = this.#load(REGISTER.CC)
    // It may be on its way to ready; to change EN before it is there is not defined.
    if ((cc & 1) !== 0 && !this.isReady && !this.isFatal) {
      await this.#until((csts) => (csts & CSTS_MASK.RDY) !== 0, readyMs).catch(() => {})
    }
    this.#store(REGISTER.CC, cc & ~1)
    await this.#until((csts) => (csts & CSTS_MASK.RDY) === 0, readyMs, 'it is still ready after it was disabled')
  }

  /** adminDepth: entries of both admin queues. Throws a ControllerError. */
  async enable(sqIova: number, cqIova: number, adminDepth: number, capabilities: Capabilities): Promise<void> {
    const depth = adminDepth - 1
    this.#store(REGISTER.AQA, putBits(AQA_BITS.asqs, depth) | putBits(AQA_BITS.acqs, depth))
    this.#storeWide(REGISTER.ASQ, sqIova)
    this.#storeWide(REGISTER.ACQ, cqIova)
    const css = capabilities.commandSets ? CC_CSS.ALL : CC_CSS.NVM
    this.#store(REGISTER.CC, putBits(CC.css, css) | putBits(CC.iosqes, CC_IOSQES)
      | putBits(CC.iocqes, CC_IOCQES) | putBits(CC.en, 1))
    const { readyMs } = capabilities
    await this.#until((csts) => (csts & CSTS_MASK.RDY) !== 0, readyMs, 'it did not become ready')
  }

  /** Tells it that its power may go. One that takes too long is not waited for. */
  async shutDown(): Promise<void> {
    if (this.isGone || this.isFatal) return
    this.#store(REGISTER.CC, (this.#load(REGISTER.CC) & ~putBits(CC.shn, 3)) | putBits(CC.shn, SHN.NORMAL))
    await this.#until((csts) => takeBits(csts, CSTS.shst) === 2, SHUTDOWN_MS).catch(() => {})
  }

  async #until(reached: (csts: number) => boolean, limitMs: number, otherwise = 'it takes too long'): Promise<void> {
    const end = this.#clock.now() + limitMs
    for (;;) {
      const csts = this.status
      if (csts === ALL_ONES && this.isGone) throw new ControllerError('gone', 'the device does not answer any more')
      if (reached(csts)) return
      if ((csts & CSTS_MASK.CFS) !== 0 && (this.#load(REGISTER.CC) & 1) !== 0) {
        throw new ControllerError('fatal', 'the controller reports a fatal error (CSTS.CFS)')
      }
      if (this.#clock.now() >= end) throw new ControllerError('late', `${otherwise} within ${limitMs} ms`)
      await this.#clock.pause(POLL_MS)
    }
  }

  #load(offset: number): number {
    return this.#function.read(offset)
  }

  #store(offset: number, value: number): void {
    this.#function.write(offset, value | 0)
  }

  #storeWide(offset: number, value: number): void {
    this.#store(offset, value % TWO_32)
    this.#store(offset + 4, Math.floor(value / TWO_32))
  }
}

/** Byte offset of a doorbell: the tail of submissions, or the head of completions. */
export function doorbellOf(qid: number, isCompletion: boolean, strideBytes: number): number {
  return REGISTER.DOORBELLS + (2 * qid + (isCompletion ? 1 : 0)) * strideBytes
}
