/**
 * History: the persistent event log of each subsystem, over all runs of the target. lives makes it
 * and tells it what happens; a reactor asks for the bytes when a host wants to read it.
 * NVMe Base 2.0, Persistent Event Log
 *
 *   record ─▶ events, oldest first, at most EVENTS_MAX ─▶ every second that brought one ─▶ file
 *
 * Invariant: the log is never larger than Identify's PELS says; old events make room.
 */
import type { NamespaceSnapshot, SubsystemSnapshot } from '../subsystem/subsystem.ts'
import { ADMIN_OPCODE } from '../wire/sqe.ts'
import { FID, TIMESTAMP, TIMESTAMP_BITS } from '../wire/feature.ts'
import { LID } from '../wire/log-page.ts'
import { putBits } from '../wire/layout.ts'
import {
  HARDWARE_ERROR, PERSISTENT_EVENT, PERSISTENT_EVENT_BYTES, PERSISTENT_EVENT_EHL,
  PERSISTENT_EVENT_TYPE, PERSISTENT_LOG, PERSISTENT_LOG_BYTES, PERSISTENT_LOG_LHL, PERSISTENT_LOG_REVISION, RCI_BITS,
} from '../wire/persistent-event.ts'
import { putNqn, putPadded, putU64 } from '../wire/value.ts'
import { hasAdminCommand } from './commands.ts'
import { hardwareError, namespaceChanged, poweredOn } from './event-data.ts'
import { supportedFeatures } from './features.ts'
import type { LifeFacts } from './records.ts'

/** The largest event is a SMART log. */
const EVENT_BYTES_MAX = PERSISTENT_EVENT_BYTES + 512
export const EVENTS_MAX = 240
/** Identify's PELS, in units of 64 KiB. */
export const LOG_UNITS = Math.ceil((PERSISTENT_LOG_BYTES + EVENTS_MAX * EVENT_BYTES_MAX) / 65536)
const SNAPSHOT_MS = 24 * 60 * 60 * 1000
/** An event of no particular controller. */
export const NO_CONTROLLER = 0xffff
const REVISION = 1
/** Milliseconds since 1970 that 48 bits hold. */
const TIME_MAX = 2 ** 48 - 1

export type HistoryEvent = {
  readonly type: number
  readonly cntlid: number
  /** Milliseconds since 1970. */
  readonly timeMs: number
  /** Hexadecimal digits. */
  readonly data: string
}

/** The file of a subsystem. */
export type KeptHistory = {
  /** Events that there ever were. */
  readonly recorded: number
  /** Oldest first. */
  readonly events: readonly HistoryEvent[]
}

export type HistoryParts = {
  readonly load: (nqn: string) => KeptHistory | null
  /** Reports its own failures. */
  readonly save: (nqn: string, history: KeptHistory) => Promise<void>
  /** Milliseconds since 1970. */
  readonly nowMs: () => number
  readonly firmware: string
  /** The SMART log of a subsystem, 512 bytes. */
  readonly health: (subsystem: SubsystemSnapshot) => Uint8Array
}

type Story = {
  subsystem: SubsystemSnapshot
  recorded: number
  events: HistoryEvent[]
  used: boolean
  changed: boolean
  snapshotMs: number
}

export class History {
  readonly #parts: HistoryParts
  readonly #stories = new Map<string, Story>()

  constructor(parts: HistoryParts) {
    this.#parts = parts
  }

  /**
   * What is exported from now on. life: asked for a subsystem that is new. Throws where a file is
   * not to be trusted.
   */
  adopt(subsystems: readonly SubsystemSnapshot[], life: (nqn: string) => LifeFacts): void {
    for (const [nqn, story] of this.#stories) {
      if (subsystems.some((each) => each.nqn === nqn)) continue
      void this.#save(story)
      this.#stories.delete(nqn)
    }
    for (const subsystem of subsystems) {
      if (subsystem.kind !== 'nvm') continue
      const story = this.#stories.get(subsystem.nqn)
      if (story === undefined) this.#begin(subsystem, life(subsystem.nqn))
      else this.#follow(story, subsystem)
    }
  }

  /** A host uses the subsystem: from now on there is something to keep. */
  use(nqn: string): void {
    const story = this.#stories.get(nqn)
    if (story !== undefined) story.used = true
  }

  record(nqn: string, type: number, data: Uint8Array, cntlid = NO_CONTROLLER): void {
    const story = this.#stories.get(nqn)
    if (story === undefined) return
    const timeMs = Math.min(TIME_MAX, Math.max(0, Math.floor(this.#parts.nowMs())))
    story.events.push({ type, cntlid, timeMs, data: Buffer.from(data).toString('hex') })
    if (story.events.length > EVENTS_MAX) makeRoom(story.events)
    story.recorded++
    story.changed = true
  }

  /** Once a second. */
  tick(): void {
    for (const story of this.#stories.values()) {
      if (this.#parts.nowMs() - story.snapshotMs >= SNAPSHOT_MS) this.#snapshot(story)
      void this.#save(story)
    }
  }

  /** The run ends in order. Resolves when that is on the medium. */
  async close(): Promise<void> {
    for (const story of this.#stories.values()) this.#snapshot(story)
    await Promise.all([...this.#stories.values()].map((story) => this.#save(story)))
  }

  /** LID 0Dh as a host with a reporting context sees it. */
  log(nqn: string, life: LifeFacts): Uint8Array {
    const story = this.#stories.get(nqn)
    if (story === undefined) return new Uint8Array(PERSISTENT_LOG_BYTES)
    const data = story.events.toReversed().map((each) => Buffer.from(each.data, 'hex'))
    const bytes = data.reduce(
      (sum, each) => sum + PERSISTENT_EVENT_BYTES + each.length, PERSISTENT_LOG_BYTES)
    const log = new Uint8Array(bytes)
    const view = new DataView(log.buffer)
    this.#putHeader(view, story, life)
    let at = PERSISTENT_LOG_BYTES
    for (const [index, event] of story.events.toReversed().entries()) {
      putEvent(view, at, event, data[index]!.length)
      log.set(data[index]!, at + PERSISTENT_EVENT_BYTES)
      at += PERSISTENT_EVENT_BYTES + data[index]!.length
    }
    return log
  }

  #putHeader(view: DataView, story: Story, life: LifeFacts): void {
    const field = PERSISTENT_LOG
    const { subsystem } = story
    view.setUint8(field.lid, LID.PERSISTENT_EVENTS)
    view.setUint32(field.tnev, story.events.length, true)
    putU64(view, field.tll, view.byteLength)
    view.setUint8(field.lrev, PERSISTENT_LOG_REVISION)
    view.setUint16(field.lhl, PERSISTENT_LOG_LHL, true)
    putTime(view, field.ts, this.#parts.nowMs())
    putU64(view, field.poh, life.powerOnHours)
    putU64(view, field.pcc, life.powerCycles)
    putPadded(view, field.sn, field.mn - field.sn, subsystem.serial)
    putPadded(view, field.mn, field.subnqn - field.mn, subsystem.model)
    putNqn(view, field.subnqn, field.gnum - field.subnqn, subsystem.nqn)
    view.setUint16(field.gnum, story.recorded & 0xffff, true)
    view.setUint32(field.rci, putBits(RCI_BITS.exists, 1), true)
    for (const type of eventsOf(subsystem)) {
      const at = field.seb + (type >> 3)
      view.setUint8(at, view.getUint8(at) | 1 << (type & 7))
    }
  }

  #begin(subsystem: SubsystemSnapshot, life: LifeFacts): void {
    const kept = this.#parts.load(subsystem.nqn)
    this.#stories.set(subsystem.nqn, {
      subsystem, recorded: kept?.recorded ?? 0, events: [...kept?.events ?? []].slice(-EVENTS_MAX),
      used: kept !== null, changed: false, snapshotMs: 0,
    })
    const { nqn } = subsystem
    if (life.unsafe) {
      const data = hardwareError(HARDWARE_ERROR.UNSAFE_SHUTDOWN)
      this.record(nqn, PERSISTENT_EVENT_TYPE.HARDWARE_ERROR, data)
    }
    const { firmware, nowMs } = this.#parts
    this.record(nqn, PERSISTENT_EVENT_TYPE.POWER_ON, poweredOn(firmware, life.powerCycles, nowMs()))
  }

  /** Namespaces that have come and gone. */
  #follow(story: Story, subsystem: SubsystemSnapshot): void {
    const before = story.subsystem.namespaces
    story.subsystem = subsystem
    const type = PERSISTENT_EVENT_TYPE.NAMESPACE
    const isIn = (list: readonly NamespaceSnapshot[], one: NamespaceSnapshot): boolean =>
      list.some((each) => each.nsid === one.nsid && each.uuid === one.uuid)
    const gone = before.filter((each) => !isIn(subsystem.namespaces, each))
    const come = subsystem.namespaces.filter((each) => !isIn(before, each))
    for (const each of gone) this.record(subsystem.nqn, type, namespaceChanged(each, true))
    for (const each of come) this.record(subsystem.nqn, type, namespaceChanged(each, false))
  }

  #snapshot(story: Story): void {
    story.snapshotMs = this.#parts.nowMs()
    const data = this.#parts.health(story.subsystem)
    this.record(story.subsystem.nqn, PERSISTENT_EVENT_TYPE.HEALTH, data)
  }

  #save(story: Story): Promise<void> {
    if (!story.used || !story.changed) return Promise.resolve()
    story.changed = false
    const { recorded, events, subsystem } = story
    return this.#parts.save(subsystem.nqn, { recorded, events: [...events] })
  }
}

/** The oldest of the most frequent type goes: a host that sets its clock all day leaves the rest. */
function makeRoom(events: HistoryEvent[]): void {
  const counts = new Map<number, number>()
  for (const { type } of events) counts.set(type, (counts.get(type) ?? 0) + 1)
  const most = Math.max(...counts.values())
  events.splice(events.findIndex(({ type }) => counts.get(type) === most), 1)
}

/** Types of events that a subsystem may have: those whose commands and features are there. */
export function eventsOf(subsystem: SubsystemSnapshot): number[] {
  const type = PERSISTENT_EVENT_TYPE
  const types: number[] = [type.HEALTH, type.POWER_ON, type.HARDWARE_ERROR, type.NAMESPACE]
  if (supportedFeatures('nvm').includes(FID.TIMESTAMP)) types.push(type.TIMESTAMP)
  if (hasAdminCommand(subsystem, ADMIN_OPCODE.FORMAT_NVM)) {
    types.push(type.FORMAT_START, type.FORMAT_END)
  }
  if (hasAdminCommand(subsystem, ADMIN_OPCODE.SANITIZE)) {
    types.push(type.SANITIZE_START, type.SANITIZE_END)
  }
  return types.sort((one, other) => one - other)
}

function putEvent(view: DataView, at: number, event: HistoryEvent, dataBytes: number): void {
  const field = PERSISTENT_EVENT
  view.setUint8(at + field.type, event.type)
  view.setUint8(at + field.revision, REVISION)
  view.setUint8(at + field.ehl, PERSISTENT_EVENT_EHL)
  view.setUint16(at + field.cntlid, event.cntlid, true)
  putTime(view, at + field.ets, event.timeMs)
  view.setUint16(at + field.el, dataBytes, true)
}

/** Milliseconds since 1970 as a Timestamp: the system's clock was set, as a host would set it. */
function putTime(view: DataView, at: number, timeMs: number): void {
  putU64(view, at, Math.min(TIME_MAX, Math.max(0, Math.floor(timeMs))))
  view.setUint8(at + TIMESTAMP.attributes, putBits(TIMESTAMP_BITS.origin, 1))
}
