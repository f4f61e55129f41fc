/**
 * The reservations of all namespaces, on the main thread: the one place where they change. The control plane
 * brings what hosts ask for; reservation.ts decides it.                          NVMe Base 2.0, 8.19
 *
 *   decide ─▶ save, if it outlives power ─▶ publish to every reactor ─▶ keep ─▶ notices ─▶ drain, if aborting ─▶ answer
 *
 * Invariants: the commands of one subsystem are decided one after another; a command that is answered with
 * success is on the medium, where it has to be, and in force on every reactor; one that fails changed nothing.
 */
import {
  CNTLID_NONE, REGISTRANT, REGISTRANT_BYTES, RESERVATION_STATUS, RESERVATION_STATUS_BYTES,
} from '../wire/reservation.ts'
import { STATUS } from '../wire/status.ts'
import { putHex } from '../wire/value.ts'
import {
  UNRESERVED, decide, holds, rightsOf, type Notice, type Reservation, type ReservationCommand, type Rights,
} from './reservation.ts'

/** What a host asks about the reservation of a namespace. value null: only what it is. */
export type ReservationRequest =
  | { readonly verb: 'command'; readonly command: ReservationCommand }
  | { readonly verb: 'report' }
  | { readonly verb: 'mask' | 'persistence'; readonly value: number | null }

export type ReservationAnswer = { readonly status: number; readonly dw0: number; readonly payload: Uint8Array }

/** A reservation that outlives power: what is in the file. */
export type KeptReservation = Omit<Reservation, 'persistent'> & {
  /** Of the namespace, whose NSID may be another one next time. */
  readonly uuid: string
  readonly nsid: number
}

/** What hosts may do on a namespace from now on. null: everything. */
export type NamespaceRights = { readonly uuid: string; readonly rights: Rights | null }

/** The namespace that is meant. */
export type NamespaceId = { readonly uuid: string; readonly nsid: number }

export type ReservationParts = {
  /** What was kept of a subsystem, null: nothing. Throws where that cannot be used. */
  readonly load: (nqn: string) => readonly KeptReservation[] | null
  /** Resolves when it is on the medium; rejects with the reason. */
  readonly save: (nqn: string, kept: readonly KeptReservation[]) => Promise<void>
  /** Resolves when it is in force on every reactor. */
  readonly publish: (change: NamespaceRights) => Promise<void>
  /** Resolves when no command of these hosts on the namespace can do anything any more. */
  readonly drain: (uuid: string, hostIds: readonly string[]) => Promise<void>
  readonly controllers: (nqn: string) => readonly Associated[]
  /** Tells a controller: one of NOTICE. */
  readonly notify: (controller: number, type: number, nsid: number) => void
  /** The state could not be saved. */
  readonly unsaved: (error: Error) => void
}

/** A controller, and whose it is. */
export type Associated = { readonly index: number; readonly cntlid: number; readonly hostId: string }

type Entry = { nsid: number; reservation: Reservation; mask: number }
type Decision = { readonly answer: ReservationAnswer; readonly aborted: readonly string[] }

const NOTHING: Uint8Array = new Uint8Array(0)
const OPEN: Entry = { nsid: 0, reservation: UNRESERVED, mask: 0 }

export class Reservations {
  readonly #parts: ReservationParts
  /** By NQN, then by UUID of the namespace. */
  readonly #subsystems = new Map<string, Map<string, Entry>>()
  /** By NQN: the last request. */
  readonly #last = new Map<string, Promise<unknown>>()
  /** The last save failed, and that was told: a host could fill the log otherwise. */
  #failing = false

  constructor(parts: ReservationParts) {
    this.#parts = parts
  }

  /**
   * These are about to be exported: loads what was kept of those that are new, and returns what is in force there.
   * Throws where a file cannot be used.
   */
  open(nqns: readonly string[]): NamespaceRights[] {
    return nqns.filter((nqn) => !this.#subsystems.has(nqn)).flatMap((nqn) => {
      const entries = new Map<string, Entry>()
      for (const { uuid, nsid, ...rest } of this.#parts.load(nqn) ?? []) {
        entries.set(uuid, { nsid, reservation: { ...rest, persistent: true }, mask: 0 })
      }
      this.#subsystems.set(nqn, entries)
      return [...entries]
        .map(([uuid, { reservation }]) => ({ uuid, rights: rightsOf(reservation) }))
        .filter(({ rights }) => rights !== null)
    })
  }

  /**
   * namespaces: those that are meant; several only to set a mask or the persistence. Resolves with the answer when
   * everything that it says has happened.
   */
  async execute(
    nqn: string, namespaces: readonly NamespaceId[], hostId: string, request: ReservationRequest,
  ): Promise<ReservationAnswer> {
    const first = namespaces[0]
    if (first === undefined) return answer(STATUS.INVALID_NAMESPACE)
    const { answer: decided, aborted } = await this.#after(nqn, () => {
      switch (request.verb) {
        case 'command':
          return this.#command(nqn, first, hostId, request.command)
        case 'report':
          return only(answer(STATUS.SUCCESS, 0, this.#report(nqn, first)))
        case 'mask':
          return only(this.#mask(nqn, namespaces, request.value))
        case 'persistence':
          return this.#persistence(nqn, namespaces, request.value)
      }
    })
    // Outside of the queue: a device that is slow to finish holds no other reservation up.
    if (aborted.length > 0) await this.#parts.drain(first.uuid, aborted)
    return decided
  }

  /** The namespace was deleted: nobody is registered with the next one of that name. */
  async forget(nqn: string, uuid: string): Promise<void> {
    await this.#after(nqn, async () => {
      const before = this.#entries(nqn).get(uuid)
      if (before === undefined) return
      await this.#keep(nqn, new Map([[uuid, { ...before, reservation: UNRESERVED }]]))
      await this.#parts.publish({ uuid, rights: null })
      this.#entries(nqn).delete(uuid)
    })
  }

  /** Whether a host may change what is in a namespace, or who has it. */
  mayWrite(nqn: string, uuid: string, hostId: string): boolean {
    const rights = rightsOf(this.#entries(nqn).get(uuid)?.reservation ?? UNRESERVED)
    return rights === null || rights.full.includes(hostId)
  }

  #entries(nqn: string): Map<string, Entry> {
    const known = this.#subsystems.get(nqn)
    if (known !== undefined) return known
    const made = new Map<string, Entry>()
    this.#subsystems.set(nqn, made)
    return made
  }

  /** Runs a task when those before it are done. */
  #after<Value>(nqn: string, task: () => Promise<Value> | Value): Promise<Value> {
    const done = (this.#last.get(nqn) ?? Promise.resolve()).then(task, task)
    this.#last.set(nqn, done)
    return done
  }

  async #command(
    nqn: string, { uuid, nsid }: NamespaceId, hostId: string, command: ReservationCommand,
  ): Promise<Decision> {
    const before = this.#entries(nqn).get(uuid) ?? OPEN
    const { status, next, notices, aborted } = decide(before.reservation, hostId, command)
    if (status !== STATUS.SUCCESS) return only(answer(status))
    if (next === before.reservation) return { answer: answer(STATUS.SUCCESS), aborted }
    if (!await this.#keep(nqn, new Map([[uuid, { ...before, nsid, reservation: next }]]))) {
      return only(answer(STATUS.INTERNAL_ERROR))
    }
    const rights = rightsOf(next)
    if (JSON.stringify(rights) !== JSON.stringify(rightsOf(before.reservation))) {
      await this.#parts.publish({ uuid, rights })
    }
    for (const notice of notices) this.#notify(nqn, nsid, before.mask, notice)
    return { answer: answer(STATUS.SUCCESS), aborted }
  }

  /** Saves where something that outlives power is changed, and only then changes it. False: not saved. */
  async #keep(nqn: string, changes: ReadonlyMap<string, Entry>): Promise<boolean> {
    const entries = this.#entries(nqn)
    const next = new Map([...entries, ...changes])
    const outlives = [...changes].some(([uuid, { reservation }]) =>
      reservation.persistent || entries.get(uuid)?.reservation.persistent === true)
    if (outlives) {
      try {
        await this.#parts.save(nqn, keptOf(next))
        this.#failing = false
      } catch (error) {
        if (!this.#failing) this.#parts.unsaved(error as Error)
        this.#failing = true
        return false
      }
    }
    for (const [uuid, entry] of changes) entries.set(uuid, entry)
    return true
  }

  #notify(nqn: string, nsid: number, mask: number, { type, hostIds }: Notice): void {
    if ((mask & (1 << type)) !== 0) return
    for (const { index, hostId } of this.#parts.controllers(nqn)) {
      if (hostIds.includes(hostId)) this.#parts.notify(index, type, nsid)
    }
  }

  #mask(nqn: string, namespaces: readonly NamespaceId[], value: number | null): ReservationAnswer {
    const entries = this.#entries(nqn)
    if (value === null) return answer(STATUS.SUCCESS, entries.get(namespaces[0]!.uuid)?.mask ?? 0)
    for (const { uuid, nsid } of namespaces) {
      entries.set(uuid, { ...entries.get(uuid) ?? OPEN, nsid, mask: value })
    }
    return answer(STATUS.SUCCESS)
  }

  async #persistence(nqn: string, namespaces: readonly NamespaceId[], value: number | null): Promise<Decision> {
    const entries = this.#entries(nqn)
    const entryOf = (uuid: string): Entry => entries.get(uuid) ?? OPEN
    if (value === null) return only(answer(STATUS.SUCCESS, +entryOf(namespaces[0]!.uuid).reservation.persistent))
    const persistent = value === 1
    const changes = new Map(namespaces
      .filter(({ uuid }) => entryOf(uuid).reservation.persistent !== persistent)
      .map(({ uuid, nsid }) => {
        const entry = entryOf(uuid)
        return [uuid, { ...entry, nsid, reservation: { ...entry.reservation, persistent } }]
      }))
    return only(answer(await this.#keep(nqn, changes) ? STATUS.SUCCESS : STATUS.INTERNAL_ERROR))
  }

  /** All of it; the reactor cuts it to what the host asked for. */
  #report(nqn: string, { uuid }: NamespaceId): Uint8Array {
    const { reservation } = this.#entries(nqn).get(uuid) ?? OPEN
    const { generation, type, registrants, persistent } = reservation
    const controllers = this.#parts.controllers(nqn)
    const bytes = new Uint8Array(RESERVATION_STATUS_BYTES + registrants.length * REGISTRANT_BYTES)
    const view = new DataView(bytes.buffer)
    view.setUint32(RESERVATION_STATUS.gen, generation, true)
    view.setUint8(RESERVATION_STATUS.rtype, type)
    view.setUint16(RESERVATION_STATUS.regstrnt, registrants.length, true)
    view.setUint8(RESERVATION_STATUS.ptpls, +persistent)
    for (const [index, { hostId, key }] of registrants.entries()) {
      const at = RESERVATION_STATUS_BYTES + index * REGISTRANT_BYTES
      const cntlids = controllers.filter((each) => each.hostId === hostId).map(({ cntlid }) => cntlid)
      view.setUint16(at + REGISTRANT.cntlid, Math.min(CNTLID_NONE, ...cntlids), true)
      view.setUint8(at + REGISTRANT.rcsts, +holds(reservation, hostId))
      view.setBigUint64(at + REGISTRANT.rkey, BigInt(`0x${key}`), true)
      putHex(view, at + REGISTRANT.hostid, hostId)
    }
    return bytes
  }
}

function keptOf(entries: ReadonlyMap<string, Entry>): KeptReservation[] {
  return [...entries].flatMap(([uuid, { nsid, reservation: { persistent, ...rest } }]) =>
    persistent ? [{ uuid, nsid, ...rest }] : [])
}

function answer(status: number, dw0 = 0, payload: Uint8Array = NOTHING): ReservationAnswer {
  return { status, dw0, payload }
}

function only(decided: ReservationAnswer): Decision {
  return { answer: decided, aborted: [] }
}
