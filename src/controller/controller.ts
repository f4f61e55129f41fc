/**
 * Controller: one host's association with one subsystem, as one reactor sees it. Queues of a controller may
 * live on several reactors; each has its own object, and all share a row (shared.ts).
 * fabrics makes it on Connect; io and admin read it.               NVMe Base 2.0, 3.1
 *
 * Invariant: only the reactor of the admin queue has `admin` set, and only it writes the row's STATE.
 */
import type { NamespaceTable } from '../namespace/namespace.ts'
import { Share } from '../reactor/share.ts'
import type { SubsystemSnapshot } from '../subsystem/subsystem.ts'
import type { AdminState } from './admin-state.ts'
import { ROW, ROW_WORDS } from './shared.ts'

export class Controller {
  /** Row of the shared block. */
  readonly index: number
  readonly cntlid: number
  readonly hostNqn: string
  readonly hostId: string
  /** listenerKey of where its admin queue came in. */
  listener = ''
  /** As of the last change. */
  subsystem: SubsystemSnapshot
  namespaces: NamespaceTable
  /** Word indices in the shared block. */
  readonly stateWord: number
  readonly stampWord: number
  readonly writeThroughWord: number
  /** What only the admin queue's reactor knows. */
  admin: AdminState | null = null
  /** What its queues hold of this reactor's buffers. */
  readonly share = new Share()
  /** Queues of it on this reactor. */
  queueCount = 0

  constructor(
    index: number, cntlid: number, hostNqn: string, hostId: string,
    subsystem: SubsystemSnapshot, namespaces: NamespaceTable,
  ) {
    this.index = index
    this.cntlid = cntlid
    this.hostNqn = hostNqn
    this.hostId = hostId
    this.subsystem = subsystem
    this.namespaces = namespaces
    const row = index * ROW_WORDS
    this.stateWord = row + ROW.STATE
    this.stampWord = row + ROW.STAMP
    this.writeThroughWord = row + ROW.WRITE_THROUGH
  }
}
