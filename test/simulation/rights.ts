/**
 * Who may have held the reservation of one namespace, and when: by what hosts were told, and what they were not.
 * traffic asks whether a command may end in a conflict, and whether one that succeeded had to.  NVMe Base 2.0, 8.19
 *
 *   may hold it     from ── asked for                    until ── its end was answered (Infinity: not yet)
 *   holds it        since ── answered, undisturbed       yet ── its end was asked for
 *
 * Moments are those of the oracle. What was never answered has happened or not, or will until settle().
 * Invariant: whatever the order in which the target does what is under way, both are right.
 */
import { command } from './command.ts'
import type { Command } from './host-queue.ts'

export const RESERVE = { REGISTER: 0, ACQUIRE: 1, RELEASE: 2, CLEAR: 3, PREEMPT: 4, PREEMPT_AND_ABORT: 5 } as const
export const RESERVATION_TYPE = { WRITE_EXCLUSIVE: 1, EXCLUSIVE_ACCESS: 2 } as const

type Held = {
  readonly host: number
  readonly from: number
  /** What asked for it is over. */
  over: number
  since: number
  yet: number
  until: number
}

/** Something that a host asks for. */
export type Asked = {
  readonly host: number
  readonly verb: number
  readonly from: number
  readonly held: Held | null
  /** What it may end. */
  readonly ends: readonly Held[]
  /** Whose commands it may abort. */
  readonly aborts: { readonly host: number; until: number } | null
}

export const RESERVE_VERBS = Object.keys(RESERVE).length
/** By verb: opcode and CDW10. IEKEY where a host registers. */
const COMMANDS = [[0x0d, 1 << 3], [0x11, 0], [0x15, 0], [0x15, 1], [0x11, 1], [0x11, 2]] as const

const NEVER = Infinity
const REMEMBERED = 64

/** Each host reserves in its own way, always. */
export const typeOf = (host: number): number =>
  host % 2 === 0 ? RESERVATION_TYPE.WRITE_EXCLUSIVE : RESERVATION_TYPE.EXCLUSIVE_ACCESS

export class HostRights {
  #held: Held[] = []
  #aborted: { readonly host: number; until: number }[] = []
  /** Under way, or never answered. */
  readonly #open = new Set<Asked>()
  #lost: Asked[] = []

  ask(host: number, verb: number, victim: number, now: number): Asked {
    const takes = verb === RESERVE.ACQUIRE || verb >= RESERVE.PREEMPT
    const ends = this.#held.filter((each) =>
      verb === RESERVE.CLEAR || verb === RESERVE.RELEASE && each.host === host || verb >= RESERVE.PREEMPT && each.host === victim)
    for (const each of ends) each.yet = Math.min(each.yet, now)
    const disturbed = [...this.#open].some((each) => each.verb > RESERVE.ACQUIRE)
    const held = takes ? { host, from: now, over: NEVER, since: NEVER, yet: disturbed ? now : NEVER, until: NEVER } : null
    if (held !== null) this.#held.push(held)
    const aborts = verb === RESERVE.PREEMPT_AND_ABORT ? { host: victim, until: NEVER } : null
    if (aborts !== null) this.#aborted.push(aborts)
    const asked = { host, verb, from: now, held, ends, aborts }
    this.#open.add(asked)
    return asked
  }

  /** done: with success. */
  answered(asked: Asked, done: boolean, now: number): void {
    const { verb, from, held, ends, aborts } = asked
    this.#open.delete(asked)
    if (aborts !== null) aborts.until = now
    if (held !== null) {
      held.over = now
      if (!done) this.#held = this.#held.filter((each) => each !== held)
      // Whoever preempts somebody that held nothing gets nothing.
      else if (verb === RESERVE.ACQUIRE) held.since = now
    }
    if (done) for (const each of ends) if (each.over < from) each.until = Math.min(each.until, now)
    if (this.#held.length > REMEMBERED) this.#held = this.#held.filter(({ until }) => until === NEVER || until > now - 5000)
    if (this.#aborted.length > REMEMBERED) this.#aborted = this.#aborted.filter(({ until }) => until > now - 5000)
  }

  /** Its host has lost the connection. */
  gone(asked: Asked): void {
    this.#lost.push(asked)
  }

  /** What was lost has happened, or never will. */
  settle(now: number): void {
    for (const asked of this.#lost.splice(0)) {
      this.#open.delete(asked)
      if (asked.held !== null) asked.held.over = now
      if (asked.aborts !== null) asked.aborts.until = now
    }
  }

  /** Whether a command of the host, under way since `from`, may meet somebody else's reservation. */
  mayConflict(host: number, reads: boolean, from: number): boolean {
    return this.#held.some((each) => each.host !== host && excludes(each.host, reads) && each.until >= from)
  }

  /** Whether it has to. */
  mustConflict(host: number, reads: boolean, from: number, now: number): boolean {
    return this.#held.some((each) => each.host !== host && excludes(each.host, reads) && each.since < from && each.yet > now)
  }

  mayBeAborted(host: number, from: number): boolean {
    return this.#aborted.some((each) => each.host === host && each.until >= from)
  }

  /** They do not outlive power here. */
  reset(): void {
    this.#held = []
    this.#aborted = []
    this.#lost = []
    this.#open.clear()
  }
}

function excludes(holder: number, reads: boolean): boolean {
  return typeOf(holder) === RESERVATION_TYPE.EXCLUSIVE_ACCESS || !reads
}

export function isReservation(opcode: number): boolean {
  return COMMANDS.some(([each]) => each === opcode)
}

/** A host's key is its number and one. now: the next moment. */
export function reservationCommand({ rights, nsid, host, victim, verb, now, judge }: {
  rights: HostRights, nsid: number, host: number, victim: number, verb: number, now: () => number,
  judge: (each: Command, status: number) => void,
}): Command {
  const from = now()
  const asked = rights.ask(host, verb, victim, from)
  const [opcode, cdw10] = COMMANDS[verb]!
  const registers = verb === RESERVE.REGISTER
  const second = registers ? host + 1 : verb >= RESERVE.PREEMPT ? victim + 1 : 0
  return command({
    opcode, nsid, host, from, cdw: [cdw10 | (registers ? 0 : typeOf(host) << 8)], sendBytes: 16,
    fill: (data) => {
      const view = new DataView(data.buffer, data.byteOffset, 16)
      view.setBigUint64(0, BigInt(registers ? 0 : host + 1), true)
      view.setBigUint64(8, BigInt(second), true)
    },
    done: (each, status) => {
      if (status === -1) return rights.gone(asked)
      judge(each, status)
      rights.answered(asked, status === 0, now())
    },
  })
}
