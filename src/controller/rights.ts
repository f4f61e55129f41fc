/**
 * Rights: who may do what on the reserved namespaces, as this reactor was told last. The guard of reservations
 * asks, and so do admin commands that change blocks.       NVMe Base 2.0, 8.19, Command Behavior
 *
 *   a holder, or a registrant of the types that let them     everything
 *   others                                                   reads, where the type is Write Exclusive …
 *
 * Invariant: a namespace has the bit of GUARD exactly while somebody may not do everything on it.
 */
import type { HostRights, Namespace } from '../namespace/namespace.ts'
import type { Slot } from '../reactor/slots.ts'
import type { NamespaceRights } from '../subsystem/reservations.ts'
import { ACCESS, accessOf } from '../wire/sqe.ts'
import { STATUS } from '../wire/status.ts'
import type { Controller } from './controller.ts'
import { GUARD } from './guard.ts'

/** Halves of fused pairs have bits above it: pair.ts. */
const OPCODE_MASK = 0xff

export class RightsTable {
  /** By UUID of the namespace: it may come and go, or get another size. */
  readonly #rights = new Map<string, HostRights>()

  /** namespaces: all of this reactor. */
  adopt({ uuid, rights }: NamespaceRights, namespaces: readonly (Namespace | null)[]): void {
    if (rights === null) this.#rights.delete(uuid)
    else this.#rights.set(uuid, { full: new Set(rights.full), othersRead: rights.othersRead })
    for (const namespace of namespaces) if (namespace?.snapshot.uuid === uuid) this.attach(namespace)
  }

  /** A namespace is served from now on. */
  attach(namespace: Namespace): Namespace {
    namespace.rights = this.#rights.get(namespace.snapshot.uuid) ?? null
    if (namespace.rights === null) namespace.guards &= ~GUARD.RESERVATION
    else namespace.guards |= GUARD.RESERVATION
    return namespace
  }
}

/** The guard of I/O commands. */
export function reservationGuard(slot: Slot, controller: Controller, namespace: Namespace): number {
  return reservationStatus(namespace, controller.hostId, accessOf(slot.opcode & OPCODE_MASK))
}

/** access: of ACCESS. 0, or Reservation Conflict. Format, Sanitize and deletion are ACCESS.WRITES. */
export function reservationStatus({ rights }: Namespace, hostId: string, access: number): number {
  if (rights === null || access === ACCESS.NONE || rights.full.has(hostId)) return 0
  return rights.othersRead && access === ACCESS.READS ? 0 : STATUS.RESERVATION_CONFLICT
}
