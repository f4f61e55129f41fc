/**
 * Media: formats namespaces and sanitizes subsystems, while hosts are connected. The control plane brings the
 * commands; target makes it, and stops it.       NVMe Base 2.0, 5.27 Format NVM, 5.24 and 8.20 Sanitize
 *
 *   format     barred everywhere ─▶ nothing under way ─▶ erased ─▶ blocks of the new size, a new index ─▶ answered
 *   sanitize   kept, barred everywhere ─▶ answered ─▶ nothing under way ─▶ erased ─▶ kept, served again ─▶ told
 *
 * Commands that came before, and whose data came after, find their namespace barred: a format gives it another
 * index, so that they never meet the new blocks. A sanitize that the end of the target interrupts starts over with
 * the next one.
 * Invariant: storage is erased only while no update of the configuration is under way.
 */
import type { ControlPlane } from './control-plane.ts'
import type { Log } from './control/log.ts'
import { formatEnded, formatStarted, sanitizeEnded, sanitizeStarted } from './controller/event-data.ts'
import { sstatOf } from './controller/media.ts'
import { type Erasure, erase } from './device/erase.ts'
import type { Model } from './model.ts'
import { errnoName, type Shim } from './shim/shim.ts'
import { isLarger, type Item, type Stock } from './stock.ts'
import type { ControllerRecord } from './subsystem/access.ts'
import type { Defects } from './subsystem/defect.ts'
import { type BlockBytes, blockSizesOf, type Formats } from './subsystem/format.ts'
import type { SanitizeRecord, Sanitizes } from './subsystem/sanitize.ts'
import type { NamespaceSnapshot, SubsystemSnapshot } from './subsystem/subsystem.ts'
import type { UpkeepTask } from './subsystem/upkeep.ts'
import { sees, seesNumber } from './subsystem/view.ts'
import { PERSISTENT_EVENT_TYPE as TYPE } from './wire/persistent-event.ts'
import { SANACT } from './wire/sanitize.ts'
import { FORMAT_CDW10, SANITIZE_CDW10 } from './wire/sqe.ts'
import { takeBits } from './wire/layout.ts'
import { STATUS } from './wire/status.ts'

/** Hosts, and all reactors, are told of progress no more often. */
const PROGRESS_MS = 250
/** What SPROG counts to. */
const PROGRESS_MAX = 65535
const PASSES_MAX = 16
/** Of a second each. */
const DRAIN_TRIES = 5
/** SANICAP and FNA as Identify tells them are in capabilities.ts; events repeat FNA. */
const FNA = 8
const SANICAP = 0x6000_0006
const USER_DATA_ERASE = 1
const EVERYTHING = Number.MAX_SAFE_INTEGER

export type MediaTask = Extract<UpkeepTask, { kind: 'format' | 'sanitize' }>

export type MediaParts = {
  readonly plane: Pick<ControlPlane, 'change' | 'raise' | 'exclusions'>
  readonly model: Pick<Model, 'apply' | 'target'>
  readonly stock: Stock
  readonly shim: Pick<Shim, 'fileErase' | 'regionErase'>
  readonly formats: Formats
  readonly sanitizes: Sanitizes
  readonly defects: Pick<Defects, 'heal'>
  /** Does it while no update of the configuration is under way. */
  readonly exclusive: <Result>(work: () => Promise<Result>) => Promise<Result>
  /** For the persistent event log. */
  readonly record: (subsystem: SubsystemSnapshot, cntlid: number, event: number, data: Uint8Array) => void
  readonly log: Pick<Log, 'notice' | 'failure'>
}

export class Media {
  readonly #parts: MediaParts
  readonly #running = new Set<Promise<unknown>>()
  #stopping = false

  constructor(parts: MediaParts) {
    this.#parts = parts
  }

  /** Resolves with a status. of: whose command it is, and what it sees; another update may have come since. */
  perform({ subsystem, cntlid, hostNqn }: ControllerRecord, task: MediaTask): Promise<number> {
    const { nqn } = subsystem
    return this.#watch(this.#parts.exclusive(() => {
      const hidden = this.#find(nqn)?.namespaces.filter((each) => !sees(hostNqn, each)) ?? []
      if (task.kind === 'sanitize') {
        return hidden.length === 0 ? this.#startSanitize(nqn, task, cntlid) : Promise.resolve(STATUS.INVALID_OPCODE)
      }
      const isHidden = hidden.some(({ nsid }) => nsid === task.nsid)
      return isHidden ? Promise.resolve(STATUS.INVALID_NAMESPACE) : this.#format(nqn, task, cntlid)
    }))
  }

  /** Goes on with what the end of the target has interrupted. */
  resume(): void {
    for (const subsystem of this.#parts.model.target.subsystems) {
      if (subsystem.sanitize?.status === 'running') void this.#watch(this.#sanitize(subsystem.nqn, 0))
    }
  }

  /** Resolves when nothing is being erased any more. */
  async stop(): Promise<void> {
    this.#stopping = true
    await Promise.allSettled(this.#running)
  }

  #watch<Result>(work: Promise<Result>): Promise<Result> {
    this.#running.add(work)
    void work.catch(() => {}).then(() => this.#running.delete(work))
    return work
  }

  #find(nqn: string): SubsystemSnapshot | undefined {
    return this.#parts.model.target.subsystems.find((each) => each.nqn === nqn)
  }

  async #format(nqn: string, { nsid, cdw10 }: Extract<MediaTask, { kind: 'format' }>, cntlid: number): Promise<number> {
    const { stock, formats, record, plane } = this.#parts
    const subsystem = this.#find(nqn)
    const namespace = subsystem?.namespaces.find((each) => each.nsid === nsid)
    const item = stock.find(nqn, nsid)
    if (subsystem === undefined || namespace === undefined || item === undefined) return STATUS.INVALID_NAMESPACE
    if (subsystem.sanitize?.status === 'running') return STATUS.SANITIZE_IN_PROGRESS
    const blockBytes = blockSizesOf(namespace)[takeBits(cdw10, FORMAT_CDW10.lbafl)]
    const upper = takeBits(cdw10, FORMAT_CDW10.lbafu)
    if (blockBytes === undefined || upper !== 0 || takeBits(cdw10, FORMAT_CDW10.pi) !== 0) return STATUS.INVALID_FORMAT
    const ses = takeBits(cdw10, FORMAT_CDW10.ses)
    if (ses > USER_DATA_ERASE) return STATUS.INVALID_FIELD
    record(subsystem, cntlid, TYPE.FORMAT_START, formatStarted(nsid, FNA, cdw10))
    formats.progress(namespace.uuid, 100)
    let status: number
    try {
      await this.#apply()
      await this.#drain(namespace)
      status = await this.#reformat(item, namespace, blockBytes as BlockBytes, ses === USER_DATA_ERASE)
    } finally {
      formats.progress(namespace.uuid, null)
    }
    await this.#apply()
    record(subsystem, cntlid, TYPE.FORMAT_END, formatEnded(nsid, status))
    if (status !== 0) return status
    plane.raise('NAMESPACE_ATTRIBUTES', ({ subsystem: of, hostNqn }) =>
      of.nqn === nqn && seesNumber(hostNqn, of, nsid), nsid)
    const erased = ses === USER_DATA_ERASE ? ', and its data were erased' : ''
    this.#parts.log.notice(`A host formatted a namespace: it has blocks of ${blockBytes} bytes now${erased}.`, {
      change: 'namespaceFormatted', subsystem: nqn, namespace: nsid, blockBytes,
    })
    return 0
  }

  /** Nobody uses it. Returns a status; when that is not 0, its blocks are those that it had. */
  async #reformat(item: Item, namespace: NamespaceSnapshot, blockBytes: BlockBytes, secure: boolean): Promise<number> {
    const { formats, defects, stock, model, plane } = this.#parts
    const { nqn } = item
    const next = stock.reformat(item, blockBytes)
    if (next === null) return STATUS.COMMAND_INTERRUPTED
    const erasure: Erasure = { kind: secure ? 'zero' : 'give back' }
    const result = await this.#erase(isLarger(next, item) ? next : item, erasure, (part) => {
      formats.progress(namespace.uuid, 100 - Math.floor(part * 100))
    })
    let status: number = result < 0 ? STATUS.INTERNAL_ERROR : await defects.heal(nqn, namespace, 0, EVERYTHING)
    if (status === 0) {
      await formats.choose(nqn, item.config, blockBytes).catch(() => { status = STATUS.INTERNAL_ERROR })
    }
    if (status !== 0) {
      stock.retire(next)
      return status
    }
    stock.put(next)
    formats.progress(namespace.uuid, null)
    const { blockCount } = next.backing
    await model.apply((target) => withNamespace(target, nqn, {
      ...namespace, index: next.index, blockBytes, blockCount,
    }))
    // Commands that wait for their data still name the former blocks.
    void plane.change({ kind: 'retire', indices: [item.index] }).then(() => stock.retire(item))
    return 0
  }

  async #startSanitize(
    nqn: string, { cdw10, cdw11 }: Extract<MediaTask, { kind: 'sanitize' }>, cntlid: number,
  ): Promise<number> {
    const { sanitizes, record } = this.#parts
    const subsystem = this.#find(nqn)
    if (subsystem === undefined) return STATUS.INVALID_NAMESPACE
    const before = subsystem.sanitize
    if (before?.status === 'running') return STATUS.SANITIZE_IN_PROGRESS
    const action = takeBits(cdw10, SANITIZE_CDW10.sanact)
    if (action === SANACT.EXIT_FAILURE) return this.#unlock(nqn, before)
    // NDI: what was erased is deallocated in any case.
    const kept = takeBits(cdw10, SANITIZE_CDW10.ndas) !== 0
    if (kept || action !== SANACT.BLOCK_ERASE && action !== SANACT.OVERWRITE) return STATUS.INVALID_FIELD
    if (subsystem.namespaces.some((each) => each.formatting !== undefined)) return STATUS.FORMAT_IN_PROGRESS
    // One that failed in the restricted mode is followed by one in that mode only.
    const isRestricted = before?.locked === true && takeBits(before.cdw10, SANITIZE_CDW10.ause) === 0
    if (isRestricted && takeBits(cdw10, SANITIZE_CDW10.ause) !== 0) return STATUS.SANITIZE_FAILED
    try {
      await sanitizes.set(nqn, { status: 'running', cdw10, cdw11, locked: false })
    } catch {
      return STATUS.INTERNAL_ERROR
    }
    await this.#apply()
    record(subsystem, cntlid, TYPE.SANITIZE_START, sanitizeStarted(SANICAP, cdw10, cdw11))
    this.#parts.log.notice(`A host began to sanitize ${nqn}: ${nameOf(action)}.`, { change: 'sanitize', subsystem: nqn })
    void this.#watch(this.#sanitize(nqn, cntlid))
    return 0
  }

  async #unlock(nqn: string, before: SanitizeRecord | undefined): Promise<number> {
    if (before?.locked !== true) return 0
    if (takeBits(before.cdw10, SANITIZE_CDW10.ause) === 0) return STATUS.SANITIZE_FAILED
    const { status, cdw10, cdw11 } = before
    try {
      await this.#parts.sanitizes.set(nqn, { status, cdw10, cdw11, locked: false })
    } catch {
      return STATUS.INTERNAL_ERROR
    }
    await this.#apply()
    return 0
  }

  /** Of one that is kept as running. */
  async #sanitize(nqn: string, cntlid: number): Promise<void> {
    const { sanitizes, exclusive } = this.#parts
    const { cdw10, cdw11 } = sanitizes.of(nqn)!
    const erasure = erasureOf(cdw10, cdw11)
    const nsids = this.#find(nqn)?.namespaces.map((each) => each.nsid) ?? []
    let result = 0
    for (const [k, nsid] of nsids.entries()) {
      // An update may have come between two of them.
      if (result === 0) {
        result = await exclusive(() => this.#sanitizeOne(nqn, nsid, erasure, (part) => {
          sanitizes.progress(nqn, Math.floor((k + part) / nsids.length * PROGRESS_MAX))
        }))
      }
    }
    if (this.#stopping) return
    await exclusive(() => this.#endSanitize(nqn, cntlid, result))
  }

  async #sanitizeOne(
    nqn: string, nsid: number, erasure: Erasure, progress: (part: number) => void,
  ): Promise<number> {
    const namespace = this.#find(nqn)?.namespaces.find((each) => each.nsid === nsid)
    const item = this.#parts.stock.find(nqn, nsid)
    if (namespace === undefined || item === undefined || this.#stopping) return 0
    await this.#drain(namespace)
    const result = await this.#erase(item, erasure, progress)
    if (result < 0) return result
    return await this.#parts.defects.heal(nqn, namespace, 0, EVERYTHING) === 0 ? 0 : -1
  }

  async #endSanitize(nqn: string, cntlid: number, result: number): Promise<void> {
    const { sanitizes, plane, record, log } = this.#parts
    const { cdw10, cdw11 } = sanitizes.of(nqn)!
    const status = result === 0 ? 'done' : 'failed'
    try {
      await sanitizes.set(nqn, { status, cdw10, cdw11, locked: result !== 0 })
    } catch (error) {
      log.failure(`${(error as Error).message}: ${nqn} is sanitized again by the next start.`)
      sanitizes.assume(nqn, { status, cdw10, cdw11, locked: result !== 0 })
    }
    await this.#apply()
    const subsystem = this.#find(nqn)
    if (subsystem === undefined) return
    record(subsystem, cntlid, TYPE.SANITIZE_END, sanitizeEnded(PROGRESS_MAX, sstatOf(subsystem.sanitize)))
    plane.raise('SANITIZE_COMPLETED', (controller) => controller.subsystem.nqn === nqn)
    if (result === 0) log.notice(`${nqn} is sanitized.`, { change: 'sanitized', subsystem: nqn })
    else log.failure(`${nqn} could not be sanitized (${errnoName(result)}). Hosts cannot use it until that succeeds.`)
  }

  /**
   * Waits until nothing is under way in its blocks: what has begun ends, or its host is sent away, and answers that
   * are sent from there have left. A host that takes no answer is not waited for for ever.
   */
  async #drain({ uuid, index, blockCount }: NamespaceSnapshot): Promise<void> {
    const { plane } = this.#parts
    await plane.change({ kind: 'settle', uuid })
    for (let tries = 0; tries < DRAIN_TRIES && !this.#stopping; tries++) {
      const letGo = await plane.exclusions.take({ namespace: index, lba: 0, blockCount })
      if (letGo !== null) return letGo()
    }
  }

  async #erase(item: Item, erasure: Erasure, progress: (part: number) => void): Promise<number> {
    let toldMs = performance.now()
    return erase(this.#parts.shim, item.backing, erasure, (part) => {
      progress(part)
      if (performance.now() - toldMs >= PROGRESS_MS) {
        toldMs = performance.now()
        void this.#apply()
      }
      return !this.#stopping
    })
  }

  #apply(): Promise<void> {
    return this.#parts.model.apply((target) => target)
  }
}

function erasureOf(cdw10: number, cdw11: number): Erasure {
  if (takeBits(cdw10, SANITIZE_CDW10.sanact) === SANACT.BLOCK_ERASE) return { kind: 'zero' }
  return {
    kind: 'overwrite', pattern: cdw11, passes: takeBits(cdw10, SANITIZE_CDW10.owpass) || PASSES_MAX,
    inverted: takeBits(cdw10, SANITIZE_CDW10.oipbp) === 1,
  }
}

function nameOf(action: number): string {
  return action === SANACT.OVERWRITE ? 'everything is overwritten' : 'everything is erased'
}

function withNamespace<Target extends { readonly subsystems: readonly SubsystemSnapshot[] }>(
  target: Target, nqn: string, namespace: NamespaceSnapshot,
): Target {
  const subsystems = target.subsystems.map((subsystem) => subsystem.nqn !== nqn ? subsystem : {
    ...subsystem, namespaces: subsystem.namespaces.map((each) => each.nsid === namespace.nsid ? namespace : each),
  })
  return { ...target, subsystems }
}
