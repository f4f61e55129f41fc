/**
 * Asymmetric access on a reactor: refuses what comes through a path that does not lead to the namespace.
 * The catalogue marks namespaces when the target changes; guard asks for I/O commands, admin for its own.
 * NVMe Base 2.0, 8.1: the effects of ANA states on command processing.
 *
 * A command that has begun when its path becomes inaccessible is executed and answered: its host waits for it
 * and sends it through no other path before.
 * Invariant: GUARD.ANA is set exactly while some path to the namespace refuses commands.
 */
import type { Namespace, NamespaceTable } from '../namespace/namespace.ts'
import { pathState, refusalOf } from '../subsystem/ana.ts'
import type { SubsystemSnapshot } from '../subsystem/subsystem.ts'
import { FID } from '../wire/feature.ts'
import { ADMIN_OPCODE, NSID_ALL } from '../wire/sqe.ts'
import { STATUS } from '../wire/status.ts'
import type { Controller } from './controller.ts'
import { GUARD, type Guard } from './guard.ts'

/** Features that say something about a namespace, or its medium. */
const NAMESPACE_FEATURES: ReadonlySet<number> = new Set([
  FID.ERROR_RECOVERY, FID.WRITE_ATOMICITY, FID.RESERVATION_NOTIFICATION, FID.RESERVATION_PERSISTENCE,
  FID.WRITE_PROTECTION,
])

/** Sets or clears the bit of each namespace of a subsystem. */
export function markPaths(subsystem: SubsystemSnapshot, table: NamespaceTable): void {
  const refusing = new Set<number>()
  for (const { groups } of subsystem.paths) {
    for (const { state, nsids } of groups) {
      if (refusalOf(state) !== 0) for (const nsid of nsids) refusing.add(nsid)
    }
  }
  for (const namespace of table) {
    if (namespace === null) continue
    if (refusing.has(namespace.nsid)) namespace.guards |= GUARD.ANA
    else namespace.guards &= ~GUARD.ANA
  }
}

/** For Guards: the status that refuses the command, or 0. */
export const anaGuard: Guard = (_slot, controller, namespace) => pathRefusal(controller, namespace)

/** The status that the controller's path to a namespace refuses commands with, or 0. */
export function pathRefusal(controller: Controller, namespace: Namespace): number {
  if ((namespace.guards & GUARD.ANA) === 0) return 0
  const { subsystem, listener } = controller
  return refusalOf(pathState(subsystem.paths, listener, namespace.snapshot.anaGroup))
}

/**
 * The status that an admin command on a namespace is refused with, or 0. Features of the controller, Identify
 * and logs are the same through every path. fid: of Get and Set Features.
 */
export function adminRefusal(controller: Controller, opcode: number, fid: number, nsid: number): number {
  const wanted = nsid >>> 0
  if (wanted === 0 || wanted === NSID_ALL) return 0
  const namespace = controller.namespaces[wanted] ?? null
  if (namespace === null) return 0
  const status = pathRefusal(controller, namespace)
  switch (opcode) {
    case ADMIN_OPCODE.GET_FEATURES:
      return NAMESPACE_FEATURES.has(fid) ? status : 0
    case ADMIN_OPCODE.SET_FEATURES:
      return NAMESPACE_FEATURES.has(fid) || status === STATUS.ANA_PERSISTENT_LOSS ? status : 0
    case ADMIN_OPCODE.FORMAT_NVM:
    case ADMIN_OPCODE.GET_LBA_STATUS:
      return status
    default:
      return 0
  }
}

/** Whether a namespace's use, NUSE, cannot be told through the controller's path. */
export function hidesUse(controller: Controller, nsid: number): boolean {
  const namespace = controller.namespaces[nsid >>> 0] ?? null
  if (namespace === null) return false
  const status = pathRefusal(controller, namespace)
  return status === STATUS.ANA_INACCESSIBLE || status === STATUS.ANA_PERSISTENT_LOSS
}
