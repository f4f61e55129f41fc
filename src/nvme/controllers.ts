/**
 * The controllers that weft drives: opened before what is on them is served, looked after while it is, and closed
 * when nobody needs them. target has one; its backings ask for what is open.
 *
 *   the system wants it ─▶ reactors fail, and leave it ─▶ given up ─▶ bound again ─▶ reactors join it, as after a reset
 *
 *   failure ─▶ reactors hold ─▶ reset ─┬─ started: reactors go on, with everything that was not answered
 *                                      └─ not yet: after GRACE_MS, or at once when it is gone, commands fail by a path
 *                                         error and the group is inaccessible, until it is back
 *
 * Invariant: reactors let go of requests, and of their buffers, only when the device reaches no memory any more.
 */
import { StartError } from '../config/start-error.ts'
import type { Change } from '../reactor/messages.ts'
import { STATUS } from '../wire/status.ts'
import { type ControllerSizing, type DeviceEvent, NvmeController } from './controller.ts'
import { type Clock, ControllerError } from './failure.ts'
import type { OpenFunction } from './function.ts'

/** So long a reset may take before hosts are told; commands wait for it meanwhile. */
const GRACE_MS = 3000
const RETRY_MS = 1000
const LOOK_MS = 250
/** How often its SMART log is read. */
const HEALTH_MS = 10_000
/** Reports of one overdue command before the controller is reset: the first asks it to abort the command. */
const LATE_MAX = 10
const STOP_MS = 10_000
const GIVEN_UP = ' When the system has it no more: weft pci bind gives it to this weft again.'

export type ControllersParts = {
  readonly open: OpenFunction
  readonly sizing: ControllerSizing
  readonly clock: Clock
  /** What an operator should know. */
  readonly log: {
    notice(sentence: string, facts?: Record<string, unknown>): void
    warning(sentence: string, facts?: Record<string, unknown>): void
    failure(sentence: string, facts?: Record<string, unknown>): void
  }
}

/** What of the target concerns them, once it serves. */
export type Served = {
  /** Resolves when every reactor has done it. */
  readonly change: (change: Change) => Promise<void>
  /** Hosts reach what is on a controller, or do not. */
  readonly reachable: (address: string, isReachable: boolean) => Promise<void>
  /** Something happened there that hosts may want to know. */
  readonly happened: (address: string, event: DeviceEvent) => void
}

type Entry = {
  readonly address: string
  readonly controller: NvmeController
  recovering: Promise<void> | null
  /** Reports of an overdue command, by queue and identifier. */
  readonly late: Map<string, number>
  /** When its SMART log was asked for last. */
  healthMs: number
  closing: boolean
  /** Why it could not be taken again, as it was told last. */
  refused: string
  /** Of closing. */
  closed: Promise<void>
}

export class Controllers {
  readonly #parts: ControllersParts
  readonly #entries = new Map<string, Entry>()
  #served: Served | null = null
  #looking: NodeJS.Timeout | null = null

  constructor(parts: ControllersParts) {
    this.#parts = parts
  }

  /** Opens those that are not open. Throws a StartError; none of these is open then. */
  async prepare(addresses: Iterable<string>): Promise<void> {
    const opened: string[] = []
    try {
      for (const address of new Set(addresses)) {
        const known = this.#entries.get(address)
        if (known !== undefined && !known.closing) continue
        await known?.closed
        await this.#open(address)
        opened.push(address)
      }
    } catch (error) {
      await Promise.all(opened.map((address) => this.#close(address)))
      throw error
    }
  }

  /** One that is open. Throws a StartError. */
  find(address: string): NvmeController {
    const entry = this.#entries.get(address)
    if (entry === undefined) throw new StartError(`The NVMe controller ${address} is not open.`)
    return entry.controller
  }

  /** Of those that are open. */
  get addresses(): string[] {
    return [...this.#entries.values()].filter(({ closing }) => !closing).map(({ address }) => address)
  }

  /** The target serves; from now on they are looked after. */
  serve(served: Served): void {
    this.#served = served
    this.tick()
    this.#looking = setInterval(() => this.tick(), LOOK_MS)
  }

  /** Looks after all of them. */
  tick(): void {
    for (const entry of this.#entries.values()) {
      if (entry.recovering !== null || entry.closing) continue
      try {
        entry.controller.tick()
        this.#askHealth(entry)
      } catch (error) {
        if (!(error instanceof ControllerError)) throw error
        this.#recover(entry, error.message)
      }
    }
  }

  /** A reactor has waited too long for a command (cid), or got an answer that makes no sense (broken). */
  late({ device, qid, cid, broken }: { device: number; qid: number; cid: number; broken: boolean }): void {
    const entry = [...this.#entries.values()].find(({ controller }) => controller.function.id === device)
    if (entry === undefined || entry.recovering !== null || entry.closing) return
    if (broken) return this.#recover(entry, 'the controller answered a command that nobody sent')
    const key = `${qid} ${cid}`
    const count = (entry.late.get(key) ?? 0) + 1
    entry.late.set(key, count)
    if (count === 1) {
      this.#parts.log.warning(`${entry.address} does not answer a command; it is asked to abort it.`, {
        device: entry.address, queue: qid,
      })
      entry.controller.abort(qid, cid).catch((error: Error) => this.#recover(entry, error.message))
    } else if (count >= LATE_MAX) this.#recover(entry, 'it does not answer a command, nor abort it')
  }

  /** Closes those that nothing is served of. inUse: addresses. No reactor has a namespace of the others any more. */
  async tidy(inUse: ReadonlySet<string>): Promise<void> {
    for (const entry of [...this.#entries.values()]) {
      if (inUse.has(entry.address)) continue
      if (entry.closing) continue
      entry.closing = true
      entry.closed = this.#leave(entry)
    }
    await Promise.all([...this.#entries.values()].map(({ closed }) => closed))
  }

  /** The reactors have ended. */
  async stop(): Promise<void> {
    if (this.#looking !== null) clearInterval(this.#looking)
    const entries = [...this.#entries.values()]
    for (const entry of entries) entry.closing = true
    const closed = Promise.all(entries.map((entry) => this.#close(entry.address)))
    let timer: NodeJS.Timeout
    await Promise.race([closed, new Promise((resolve) => { timer = setTimeout(resolve, STOP_MS) })])
      .finally(() => clearTimeout(timer))
  }

  /** Resolves when nothing is being reset; for tests. */
  async settled(): Promise<void> {
    await Promise.all([...this.#entries.values()].map(({ recovering }) => recovering))
  }

  async #open(address: string): Promise<void> {
    const { open, sizing, clock } = this.#parts
    const controller = new NvmeController(open(address), sizing, clock)
    try {
      await controller.start()
    } catch (error) {
      await controller.close()
      if (!(error instanceof ControllerError)) throw error
      throw new StartError(`The NVMe controller ${address} cannot be used: ${error.message}.`, error.remedy)
    }
    controller.onEvent = (event) => this.#served?.happened(address, event)
    this.#entries.set(address, {
      address, controller, recovering: null, late: new Map(), healthMs: -HEALTH_MS, closing: false, refused: '', closed: Promise.resolve(),
    })
  }

  async #leave(entry: Entry): Promise<void> {
    await entry.recovering
    await this.#change(entry, 'close')
    await this.#close(entry.address)
  }

  async #close(address: string): Promise<void> {
    const entry = this.#entries.get(address)
    this.#entries.delete(address)
    await entry?.controller.close()
  }

  /** Hosts read it from the reactors. One that is not answered is asked for again. */
  #askHealth(entry: Entry): void {
    const nowMs = this.#parts.clock.now()
    if (this.#served === null || nowMs - entry.healthMs < HEALTH_MS) return
    entry.healthMs = nowMs
    const { address, controller } = entry
    controller.smart().then((log) => this.#served?.change({ kind: 'device-health', address, log }), () => {})
  }

  #recover(entry: Entry, reason: string): void {
    if (entry.recovering !== null || entry.closing) return
    this.#parts.log.warning(`${entry.address} is reset: ${reason}.`, { device: entry.address, reason })
    entry.recovering = this.#reset(entry).finally(() => { entry.recovering = null })
  }

  /** Until it works again, or is to be closed. */
  async #reset(entry: Entry): Promise<void> {
    const { clock, log } = this.#parts
    const { address, controller } = entry
    const began = clock.now()
    let isDown = false
    let isAway = false
    await this.#change(entry, 'hold')
    while (!entry.closing) {
      if (!isAway && controller.function.isWanted()) {
        await this.#giveUp(entry, isDown)
        isDown = true
        isAway = true
      }
      if (isAway && !await this.#takeAgain(entry)) {
        await clock.pause(RETRY_MS)
        continue
      }
      isAway = false
      const failure = await controller.start().then(() => null, (error: unknown) => error)
      if (failure === null) break
      if (!(failure instanceof Error)) throw failure
      controller.stopMastering()
      const isGone = failure instanceof ControllerError && failure.kind === 'gone'
      if (!isDown && (isGone || clock.now() - began >= GRACE_MS)) {
        isDown = true
        await this.#down(entry, failure.message, '')
      }
      await clock.pause(RETRY_MS)
      // What was pulled out and put in again has forgotten how it was set up.
      if (isGone) controller.function.reset()
    }
    if (entry.closing) return
    entry.late.clear()
    await this.#change(entry, 'go')
    if (isDown) await this.#served?.reachable(address, true)
    log.notice(`${address} works again.`, { device: address })
  }

  /** Commands fail by a path error from now on. The device reaches no memory any more. */
  async #down(entry: Entry, reason: string, remedy: string): Promise<void> {
    const { address } = entry
    const sentence = `${address} cannot be reached: ${reason}. Its namespaces are inaccessible until it is back.${remedy}`
    this.#parts.log.failure(sentence, { device: address, reason })
    await this.#served?.reachable(address, false)
    await this.#change(entry, 'fail')
  }

  async #giveUp(entry: Entry, isDown: boolean): Promise<void> {
    entry.controller.stopMastering()
    if (!isDown) await this.#down(entry, 'the system wants it back', GIVEN_UP)
    await this.#change(entry, 'leave')
    entry.controller.giveUp()
  }

  /** True: it is bound to where weft finds it, and was taken. */
  async #takeAgain(entry: Entry): Promise<boolean> {
    try {
      entry.controller.takeAgain()
    } catch (error) {
      if (!(error instanceof StartError)) throw error
      const { message: sentence, remedy } = error
      if (sentence + remedy !== entry.refused) this.#parts.log.notice(`${sentence} ${remedy}`.trim(), { device: entry.address })
      entry.refused = sentence + remedy
      return false
    }
    entry.refused = ''
    await this.#change(entry, 'join')
    return true
  }

  async #change({ controller }: Entry, step: Extract<Change, { kind: 'pci' }>['step']): Promise<void> {
    await this.#served?.change({ kind: 'pci', device: controller.function.id, step, status: STATUS.ANA_INACCESSIBLE })
  }
}
