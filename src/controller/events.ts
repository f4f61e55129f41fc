/**
 * Asynchronous events: tells a host what has happened, over the requests that it leaves with its admin queue.
 * admin brings requests and reads of logs, the control plane brings events.        NVMe Base 2.0, 5.2
 *
 *   raise ─ masked (0Bh)? told, and its log not read since? ─▶ a request is held? told : pending
 *   the log is read without RAE ─▶ told no more: the next event of that type and log page is news again
 *
 * Events say that something has changed, not what: the log does. So one that is masked is dropped, and several
 * of a type and log page are one.
 * Invariant: pending and told have at most one entry for each type and log page; a request is answered once.
 */
import { type Outcome, PENDING } from '../device/device.ts'
import { SLOT, type Slot, type Slots } from '../reactor/slots.ts'
import { EVENT, EVENT_DW0, type AsyncEvent, type EventName } from '../wire/event.ts'
import { putBits } from '../wire/layout.ts'
import { CHANGED_NAMESPACES_MAX, LID } from '../wire/log-page.ts'
import { STATUS } from '../wire/status.ts'
import { type AdminState, EVENT_REQUESTS_MAX } from './admin-state.ts'

/** SMART warnings that a host may ask for, those that never come too. */
const SMART_WARNINGS = 0x3f
/** Notices that are told, by kind of controller; each feature adds its own. */
const NOTICES = {
  nvm: [EVENT.NAMESPACE_ATTRIBUTES, EVENT.ANA],
  discovery: [EVENT.DISCOVERY_LOG],
} satisfies Record<string, AsyncEvent[]>

/** Bits of Identify's OAES. */
export function noticesSupported(kind: keyof typeof NOTICES): number {
  return NOTICES[kind].reduce((mask, event) => mask | event.mask, 0) >>> 0
}

/** Bits of feature 0Bh that a host may set. zones: some namespace has zones. */
export function eventsSupported(kind: keyof typeof NOTICES, zones: boolean): number {
  return noticesSupported(kind) | (kind === 'nvm' ? SMART_WARNINGS : 0) | (zones ? EVENT.ZONES.mask : 0)
}

export class Events {
  readonly #slots: Slots
  /** Finishes a held slot. */
  readonly #finish: (slot: Slot, status: number) => void

  constructor(slots: Slots, finish: (slot: Slot, status: number) => void) {
    this.#slots = slots
    this.#finish = finish
  }

  /** An Asynchronous Event Request: kept until there is something to tell. */
  hold(slot: Slot, admin: AdminState): Outcome {
    const event = admin.eventsPending.shift()
    if (event !== undefined) {
      slot.dw0 = tell(admin, EVENT[event])
      slot.dw1 = subjectOf(admin, event)
      return STATUS.SUCCESS
    }
    if (admin.eventCount === EVENT_REQUESTS_MAX) return STATUS.AER_LIMIT_EXCEEDED
    admin.eventSlots[admin.eventCount++] = slot.index
    slot.enter(SLOT.HELD)
    return PENDING
  }

  /**
   * Something has happened. nsid: the namespace that the changed namespace list is to name, else 0; with zones, the one
   * whose changed zones these are, null: too many to name.
   */
  raise(admin: AdminState, name: EventName, nsid = 0, zones?: readonly number[] | null): void {
    // Who enables the controller looks at everything anyway.
    if (!admin.enabled) return
    // One more than the list holds says that there are too many.
    if (zones !== undefined) admin.changedZones.add(nsid, zones)
    else if (nsid !== 0 && admin.changedNamespaces.size <= CHANGED_NAMESPACES_MAX) admin.changedNamespaces.add(nsid)
    const event = EVENT[name]
    const key = keyOf(event)
    if (isMasked(admin, event) || admin.eventsTold.has(key)) return
    if (admin.eventsPending.some((each) => keyOf(EVENT[each]) === key)) return
    if (admin.eventCount === 0) {
      admin.eventsPending.push(name)
      return
    }
    const slot = this.#slots.all[admin.eventSlots[0]!]!
    this.#drop(admin, 0)
    slot.dw0 = tell(admin, event)
    slot.dw1 = subjectOf(admin, name)
    this.#finish(slot, STATUS.SUCCESS)
  }

  /** The host has read the log without RAE: it knows what there is to know. nsid: of whom, where a log has one. */
  clear(admin: AdminState, lid: number, nsid = 0): void {
    if (lid === LID.CHANGED_NAMESPACES) admin.changedNamespaces.clear()
    for (const key of admin.eventsTold) if (lidOf(key) === lid) admin.eventsTold.delete(key)
    keep(admin, (event) => event.lid !== lid)
    if (lid !== LID.CHANGED_ZONES) return
    admin.changedZones.drop(nsid)
    // Those of another namespace are news still.
    if (admin.changedZones.first !== 0) this.raise(admin, 'ZONES')
  }

  /** Feature 0Bh may have changed: what is masked now is not told any more. */
  mask(admin: AdminState): void {
    keep(admin, (event) => !isMasked(admin, event))
  }

  /** True when there was a request with this CID; it is answered. */
  abort(admin: AdminState, cid: number): boolean {
    for (let k = 0; k < admin.eventCount; k++) {
      const held = this.#slots.all[admin.eventSlots[k]!]!
      if (held.cid !== cid) continue
      this.#drop(admin, k)
      this.#finish(held, STATUS.ABORT_REQUESTED)
      return true
    }
    return false
  }

  /** The controller was disabled: requests are answered, everything else is forgotten. */
  reset(admin: AdminState): void {
    const count = admin.eventCount
    admin.eventCount = 0
    admin.eventsPending.length = 0
    admin.eventsTold.clear()
    admin.changedNamespaces.clear()
    admin.changedZones.reset()
    for (let k = 0; k < count; k++) {
      const slot = this.#slots.all[admin.eventSlots[k]!]!
      if (slot.state === SLOT.HELD) this.#finish(slot, STATUS.ABORT_REQUESTED)
    }
  }

  /** Takes request number k out. */
  #drop(admin: AdminState, k: number): void {
    admin.eventSlots.copyWithin(k, k + 1, admin.eventCount)
    admin.eventCount--
  }
}

/** DW0 of the completion. */
function tell(admin: AdminState, event: AsyncEvent): number {
  const { type, info, lid } = EVENT_DW0
  admin.eventsTold.add(keyOf(event))
  return putBits(type, event.type) | putBits(info, event.info) | putBits(lid, event.lid)
}

/** DW1: the namespace that an event concerns, where it tells one. */
function subjectOf(admin: AdminState, name: EventName): number {
  return name === 'ZONES' ? admin.changedZones.first : 0
}

function keep(admin: AdminState, wanted: (event: AsyncEvent) => boolean): void {
  const kept = admin.eventsPending.filter((name) => wanted(EVENT[name]))
  admin.eventsPending.splice(0, admin.eventsPending.length, ...kept)
}

function isMasked(admin: AdminState, { mask }: AsyncEvent): boolean {
  return mask !== 0 && (admin.features.asyncEvents & mask) === 0
}

const keyOf = ({ type, lid }: AsyncEvent): number => (type << 8) | lid
const lidOf = (key: number): number => key & 0xff
