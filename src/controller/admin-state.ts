/**
 * What the reactor of a controller's admin queue knows of it: registers, features, events, keep alive.
 * properties and admin change it; keep-alive looks at it.            NVMe Base 2.0, 3.1.3, 3.5
 *
 *   CC.EN 0→1 ─▶ READY ─ CC.EN 1→0 ─▶ emptying ─▶ DISABLED        CC.SHN ≠ 0 ─▶ emptying ─▶ SHST complete
 *
 * Invariant: CSTS.RDY is cleared, and SHST completed, only after every I/O queue has gone.
 */
import { CC, CC_CSS, CC_IOCQES, CC_IOSQES, CSTS_MASK } from '../wire/fabrics.ts'
import { takeBits } from '../wire/layout.ts'
import type { EventName } from '../wire/event.ts'
import { ChangedZones } from './changed-zones.ts'
import type { Features } from './features.ts'
import { Notices } from './notices.ts'

/** AERL is 0-based 3. */
export const EVENT_REQUESTS_MAX = 4

export const CHANGE = { NONE: 0, ENABLED: 1, DISABLED: 2, SHUT_DOWN: 3, FATAL: 4 } as const

export class AdminState {
  readonly connection: number
  cc = 0
  csts = 0
  /** What the host sees when the I/O queues have gone; -1 = nobody waits for that. */
  #emptiedCsts = -1
  /** Slots of the Asynchronous Event Requests that are held. */
  readonly eventSlots = new Int32Array(EVENT_REQUESTS_MAX)
  eventCount = 0
  /** Events that wait for such a request, oldest first: at most one for each type and log page. */
  readonly eventsPending: EventName[] = []
  /** Type and log page of the events that were told and whose log the host has not read yet. */
  readonly eventsTold = new Set<number>()
  /** NSIDs that the changed namespace list names. */
  readonly changedNamespaces = new Set<number>()
  readonly changedZones = new ChangedZones()
  /** The reservation notices that the host has not read. */
  readonly notices = new Notices()
  features: Features
  /** The persistent event log as it was when the host established its reporting context; null = it has none. */
  eventContext: Uint8Array | null = null
  /** Reactor milliseconds at which the present keep-alive window began. */
  windowMs: number
  readonly discovery: boolean

  constructor(connection: number, features: Features, nowMs: number) {
    this.connection = connection
    this.features = features
    this.windowMs = nowMs
    this.discovery = features.origin.kind === 'discovery'
  }

  get enabled(): boolean {
    return (this.csts & CSTS_MASK.RDY) !== 0 && takeBits(this.cc, CC.en) === 1
  }

  /** The host writes CC. commandSets: there are others than NVM to enable. Returns CHANGE. */
  configure(next: number, commandSets = false): number {
    const previous = this.cc
    this.cc = next
    const enable = takeBits(next, CC.en)
    const changed = enable !== takeBits(previous, CC.en)
    // A reset ends everything, so it goes before a shutdown that comes with it.
    if (changed && enable === 0) {
      this.#emptiedCsts = 0
      return CHANGE.DISABLED
    }
    if (takeBits(next, CC.shn) !== 0 && takeBits(previous, CC.shn) === 0) {
      this.csts = (this.csts & CSTS_MASK.RDY) | CSTS_MASK.SHST_OCCURRING
      this.#emptiedCsts = (this.csts & CSTS_MASK.RDY) | CSTS_MASK.SHST_COMPLETE
      return CHANGE.SHUT_DOWN
    }
    if (!changed) return CHANGE.NONE
    // The host did not wait for RDY to go: what was asked for before concerns it no more.
    this.#emptiedCsts = -1
    const acceptable = this.#acceptable(next, commandSets)
    this.csts = acceptable ? CSTS_MASK.RDY : CSTS_MASK.CFS
    return acceptable ? CHANGE.ENABLED : CHANGE.FATAL
  }

  /** The I/O queues have gone. */
  emptied(): void {
    if (this.#emptiedCsts === -1) return
    this.csts = this.#emptiedCsts
    this.#emptiedCsts = -1
  }

  #acceptable(cc: number, commandSets: boolean): boolean {
    const page = takeBits(cc, CC.mps) === 0 && takeBits(cc, CC.ams) === 0
    const css = takeBits(cc, CC.css)
    if (!page || (css !== CC_CSS.NVM && (css !== CC_CSS.ALL || !commandSets))) return false
    if (this.discovery) return true
    return takeBits(cc, CC.iosqes) === CC_IOSQES && takeBits(cc, CC.iocqes) === CC_IOCQES
  }
}
