/**
 * Throttles: limits of what hosts may do with a namespace in a second, on this reactor. io asks for each Read, Write
 * and Compare of a namespace that has limits, and for no other; what is too much waits here, in no other's way.
 *
 *   limits × this reactor's share ─▶ tokens (grow with the clock, BURST_S at most) ─▶ the host that had least goes on
 *
 * A command goes on while there are tokens of all its kinds, and takes what it is worth: the next one waits until
 * they have grown above 0 again. Shares are by what hosts ask for, published among the reactors in the tally.
 * Invariant: a slot that waits here is HELD and of a live connection; one without data owns no buffer.
 */
import type { Namespace } from '../namespace/namespace.ts'
import { SLOT, type Slot } from '../reactor/slots.ts'
import { H } from '../shim/abi.ts'
import type { NamespaceLimits } from '../subsystem/subsystem.ts'
import { IO_OPCODE, ZONE_OPCODE } from '../wire/sqe.ts'
import type { Aborts } from './abort.ts'
import type { Controller } from './controller.ts'
import { GUARD } from './guard.ts'
import { DEMAND, HOST, type Tally } from './tally.ts'

/** What a namespace that was idle may do at once, in seconds of its limits. */
const BURST_S = 0.05
/** How often shares are made anew, and for how long a host counts that asks for nothing. */
const SHARE_US = 20_000
const ACTIVE_US = 200_000
/** What one that does not use its share keeps beyond what it used, so that it can grow. */
const ROOM = 1.25
const ROOM_LEAST = 0.02
const US = 1e-6

type Waiter = {
  first: Slot | null
  last: Slot | null
  /** What it had, in seconds of the limits; the one with the least goes on. */
  had: number
  seenUs: number
  controller: number
}

type Kinds = { readonly rates: readonly number[]; readonly tokens: Float64Array }

/** In the order of KINDS: of all commands, of reads, of writes; the same in bytes. */
const KINDS = ['iops', 'readIops', 'writeIops', 'bandwidth', 'readBandwidth', 'writeBandwidth'] as const
const READ_KINDS = [0, 1, 3, 4]
const WRITE_KINDS = [0, 2, 3, 5]
const FIRST_OF_BYTES = 3

class Throttle implements Kinds {
  readonly namespace: Namespace
  rates: readonly number[] = []
  readonly tokens = new Float64Array(KINDS.length)
  readonly hosts = new Map<string, Waiter>()
  waiting = 0
  share: number
  atUs: number
  sharedUs: number
  /** In seconds of the limits, since shares were made; and whether something waited meanwhile. */
  used = 0
  waited = false

  constructor(namespace: Namespace, nowUs: number, share: number) {
    this.namespace = namespace
    this.atUs = nowUs
    this.sharedUs = nowUs
    this.share = share
  }
}

export type ThrottleParts = {
  readonly words: Int32Array
  readonly tally: Tally
  readonly reactor: number
  readonly aborts: Pick<Aborts, 'wants'>
  /** A slot that waited goes on: with its data, where it has them already. */
  readonly release: (slot: Slot) => void
}

export class Throttles {
  readonly #parts: ThrottleParts
  /** By index of the namespace. */
  readonly #throttles = new Map<number, Throttle>()
  /** A command whose data are in its capsule: it waits when they have a place. */
  #coming: Slot | null = null
  /** Commands that wait. */
  waiting = 0

  constructor(parts: ThrottleParts) {
    this.#parts = parts
  }

  /** The namespaces of a subsystem, as they are from now on. Those that it has no longer keep no command. */
  renew(nqn: string, table: readonly (Namespace | null)[]): void {
    for (const namespace of table) {
      if (namespace !== null) this.#limit(namespace, nqn)
    }
    for (const [index, throttle] of this.#throttles) {
      if (this.#owner.get(index) === nqn && !table.includes(throttle.namespace)) this.#end(throttle)
    }
  }

  readonly #owner = new Map<number, string>()

  /** True when the command has to wait; it does then, without its data. */
  delays(slot: Slot, controller: Controller, namespace: Namespace): boolean {
    const throttle = this.#throttles.get(namespace.index)
    if (throttle === undefined || this.#admits(throttle, slot, controller)) return false
    this.#park(throttle, slot, controller)
    return true
  }

  /** The same of one whose data come with it: parks() follows when they have a place. */
  expects(slot: Slot, controller: Controller, namespace: Namespace): boolean {
    this.#coming = null
    const throttle = this.#throttles.get(namespace.index)
    if (throttle === undefined || this.#admits(throttle, slot, controller)) return false
    this.#coming = slot
    return true
  }

  /** The data of a command have a place: true when it has to wait, which it does. */
  parks(slot: Slot, controller: Controller): boolean {
    if (this.#coming !== slot) return false
    this.#coming = null
    const throttle = this.#throttles.get(slot.namespace)
    if (throttle === undefined) return false
    this.#park(throttle, slot, controller)
    return true
  }

  /** Lets go on what may. After each turn while something waits. */
  poll(): void {
    this.#coming = null
    for (const throttle of this.#throttles.values()) {
      this.#grow(throttle)
      if (throttle.waiting !== 0) this.#abandon(throttle)
      while (throttle.waiting !== 0) {
        const host = leastOf(throttle)
        if (!mayGo(throttle, host.first!)) break
        this.#charge(throttle, host, host.first!)
        this.#release(throttle, host)
      }
    }
  }

  /** Microseconds until something that waits may go on, at most `most`. */
  dueUs(most: number): number {
    if (this.waiting === 0) return most
    let due = most
    for (const throttle of this.#throttles.values()) {
      if (throttle.waiting === 0) continue
      const slot = leastOf(throttle).first!
      let wait = 0
      for (const kind of kindsOf(slot)) {
        const rate = throttle.rates[kind]! * throttle.share
        if (rate !== 0) wait = Math.max(wait, -throttle.tokens[kind]! / rate / US)
      }
      // Tokens have to be above 0, not at it.
      due = Math.min(due, Math.ceil(wait) + 1)
    }
    return due
  }

  /** Makes shares anew. The reactor's tick calls it. */
  tick(): void {
    for (const throttle of this.#throttles.values()) {
      if (((this.#nowUs - throttle.sharedUs) >>> 0) >= SHARE_US) this.#makeShare(throttle)
    }
  }

  /** A connection has gone; its slots are freed by others. */
  forget(connection: number): void {
    if (this.waiting === 0) return
    for (const throttle of this.#throttles.values()) {
      for (const host of throttle.hosts.values()) {
        let slot = host.first
        host.first = null
        host.last = null
        while (slot !== null) {
          const next: Slot | null = slot.next
          slot.next = null
          if (slot.connection === connection) {
            throttle.waiting--
            this.waiting--
          } else append(host, slot)
          slot = next
        }
      }
    }
  }

  get #nowUs(): number {
    return this.#parts.words[H.NOW_US]!
  }

  #limit(namespace: Namespace, nqn: string): void {
    const { limits } = namespace.snapshot
    const known = this.#throttles.get(namespace.index)
    if (limits === undefined) {
      if (known !== undefined) this.#end(known)
      namespace.guards &= ~GUARD.THROTTLED
      return
    }
    const { reactorCount } = this.#parts.tally
    const throttle = known?.namespace === namespace ? known : new Throttle(namespace, this.#nowUs, 1 / reactorCount)
    if (known !== undefined && known !== throttle) this.#end(known)
    this.#throttles.set(namespace.index, throttle)
    this.#owner.set(namespace.index, nqn)
    const rates = ratesOf(limits)
    if (throttle.rates.length === 0) {
      for (const [kind, rate] of rates.entries()) throttle.tokens[kind] = rate * throttle.share * BURST_S
    }
    throttle.rates = rates
    namespace.guards |= GUARD.THROTTLED
  }

  /** No limits any more: what waits goes on. */
  #end(throttle: Throttle): void {
    const { index } = throttle.namespace
    this.#throttles.delete(index)
    this.#owner.delete(index)
    throttle.namespace.guards &= ~GUARD.THROTTLED
    this.#demand(throttle, 0)
    for (const host of throttle.hosts.values()) while (host.first !== null) this.#release(throttle, host)
  }

  #admits(throttle: Throttle, slot: Slot, controller: Controller): boolean {
    const host = this.#hostOf(throttle, controller)
    this.#grow(throttle)
    if (throttle.waiting !== 0 || !mayGo(throttle, slot)) return false
    this.#charge(throttle, host, slot)
    return true
  }

  #hostOf(throttle: Throttle, { hostId, index }: Controller): Waiter {
    let host = throttle.hosts.get(hostId)
    if (host === undefined) {
      host = { first: null, last: null, had: 0, seenUs: 0, controller: index }
      throttle.hosts.set(hostId, host)
    }
    const isIdle = host.first === null && ((this.#nowUs - host.seenUs) >>> 0) >= ACTIVE_US
    // One that comes back has no claim to what it did not ask for meanwhile.
    if (isIdle || host.seenUs === 0) host.had = Math.max(host.had, leastHad(throttle, host))
    host.seenUs = this.#nowUs
    host.controller = index
    return host
  }

  #park(throttle: Throttle, slot: Slot, controller: Controller): void {
    slot.enter(SLOT.HELD)
    append(this.#hostOf(throttle, controller), slot)
    throttle.waiting++
    throttle.waited = true
    this.waiting++
  }

  #release(throttle: Throttle, host: Waiter): void {
    const slot = host.first!
    host.first = slot.next
    if (host.first === null) host.last = null
    slot.next = null
    throttle.waiting--
    this.waiting--
    slot.enter(SLOT.EXECUTING)
    this.#parts.release(slot)
  }

  /** Commands that are to be aborted wait no longer. */
  #abandon(throttle: Throttle): void {
    const { aborts } = this.#parts
    if (!aborts.wants(-1)) return
    for (const host of throttle.hosts.values()) {
      while (host.first !== null && aborts.wants(host.first.index)) this.#release(throttle, host)
    }
  }

  #grow(throttle: Throttle): void {
    const seconds = ((this.#nowUs - throttle.atUs) >>> 0) * US * throttle.share
    throttle.atUs = this.#nowUs
    if (seconds === 0) return
    const { tokens, rates } = throttle
    for (let kind = 0; kind < rates.length; kind++) {
      const most = rates[kind]! * throttle.share * BURST_S
      tokens[kind] = Math.min(most, tokens[kind]! + rates[kind]! * seconds)
    }
  }

  #charge(throttle: Throttle, host: Waiter, slot: Slot): void {
    let worth = 0
    for (const kind of kindsOf(slot)) {
      const rate = throttle.rates[kind]!
      if (rate === 0) continue
      const amount = kind < FIRST_OF_BYTES ? 1 : slot.bytes
      throttle.tokens[kind]! -= amount
      worth = Math.max(worth, amount / rate)
    }
    host.had += worth
    throttle.used += worth
  }

  /** By hosts that ask here, where they ask elsewhere too, and by who does not use what he could. */
  #makeShare(throttle: Throttle): void {
    const elapsed = ((this.#nowUs - throttle.sharedUs) >>> 0) * US
    throttle.sharedUs = this.#nowUs
    let weight = 0
    for (const [hostId, host] of throttle.hosts) {
      if (host.first !== null) host.seenUs = this.#nowUs
      if (((this.#nowUs - host.seenUs) >>> 0) < ACTIVE_US) weight += 1 / this.#reactorsOf(host.controller)
      else throttle.hosts.delete(hostId)
    }
    this.#demand(throttle, weight, Math.min(1, throttle.used / elapsed), throttle.waited)
    throttle.used = 0
    throttle.waited = throttle.waiting !== 0
    throttle.share = this.#shareOf(throttle)
  }

  #shareOf({ namespace }: Throttle): number {
    const { tally, reactor } = this.#parts
    const all = Array.from({ length: tally.reactorCount }, (_, index) => {
      const at = tally.demandAt(index, namespace.snapshot.counter)
      const demand = (which: number): number => tally.doubles[at + which]!
      return { weight: demand(DEMAND.WEIGHT), used: demand(DEMAND.USED), waited: demand(DEMAND.WAITED) !== 0 }
    })
    const own = all[reactor]!
    const weights = all.reduce((sum, { weight }) => sum + weight, 0)
    if (weights === 0) return 1 / all.length
    const waiting = all.filter(({ waited }) => waited).reduce((sum, { weight }) => sum + weight, 0)
    if (waiting === 0) return Math.max(ROOM_LEAST, own.weight / weights)
    const kept = ({ weight, used }: typeof own): number => Math.min(weight / weights, used * ROOM + ROOM_LEAST)
    if (!own.waited) return Math.max(ROOM_LEAST, kept(own))
    const rest = 1 - all.filter(({ waited }) => !waited).reduce((sum, each) => sum + kept(each), 0)
    return rest * own.weight / waiting
  }

  /** Reactors that have queues of the controller. */
  #reactorsOf(controller: number): number {
    const { tally } = this.#parts
    let count = 0
    for (let reactor = 0; reactor < tally.reactorCount; reactor++) {
      if (tally.doubles[tally.hostAt(reactor, controller) + HOST.QUEUES]! > 0) count++
    }
    return Math.max(1, count)
  }

  #demand({ namespace }: Throttle, weight: number, used = 0, waited = false): void {
    const { tally, reactor } = this.#parts
    const at = tally.demandAt(reactor, namespace.snapshot.counter)
    tally.doubles[at + DEMAND.WEIGHT] = weight
    tally.doubles[at + DEMAND.USED] = used
    tally.doubles[at + DEMAND.WAITED] = waited ? 1 : 0
  }
}

/** By KINDS; 0 = no limit. */
function ratesOf(limits: NamespaceLimits): number[] {
  return KINDS.map((kind) => limits[kind] ?? 0)
}

function kindsOf({ opcode }: Slot): readonly number[] {
  return opcode === IO_OPCODE.WRITE || opcode === ZONE_OPCODE.APPEND ? WRITE_KINDS : READ_KINDS
}

function mayGo({ rates, tokens }: Kinds, slot: Slot): boolean {
  for (const kind of kindsOf(slot)) if (rates[kind] !== 0 && tokens[kind]! <= 0) return false
  return true
}

/** Of the hosts that wait. One whose first command may not go keeps those of the other kind from nothing. */
function leastOf(throttle: Throttle): Waiter {
  let least: Waiter | null = null
  let blocked: Waiter | null = null
  for (const host of throttle.hosts.values()) {
    if (host.first === null) continue
    if (!mayGo(throttle, host.first)) blocked ??= host
    else if (least === null || host.had < least.had) least = host
  }
  return least ?? blocked!
}

function leastHad({ hosts }: Throttle, but: Waiter): number {
  let least = Infinity
  for (const host of hosts.values()) if (host !== but) least = Math.min(least, host.had)
  return least === Infinity ? 0 : least
}

function append(host: Waiter, slot: Slot): void {
  if (host.last === null) host.first = slot
  else host.last.next = slot
  host.last = slot
}
