/**
 * Pools: what hosts may create namespaces of, what they say when they do, and what is kept of it. controller/inventory
 * decodes the commands, src/inventory.ts executes them, config/kept-pool.ts has the file's schema.
 * NVMe Base 2.0, Namespace Management and Attachment; NVM Command Set 1.0, Host Software Specified Fields
 *
 * Plain data. Invariant: a namespace has as much capacity as it has blocks, rounded up to granules.
 */
import type { Part } from '../device/allocation.ts'
import { FLBAS_BITS } from '../wire/identify.ts'
import { takeBits } from '../wire/layout.ts'
import { STATUS } from '../wire/status.ts'
import { ANA_GROUPS_MAX } from './ana.ts'
import type { KeptAttachment } from './attachments.ts'

/** A namespace that a host created, and where it is. */
export type PoolNamespace = Part & {
  readonly nsid: number
  readonly uuid: string
  readonly nguid: string
  readonly blockBytes: 512 | 4096
  readonly blockCount: number
  readonly anaGroup: number
  readonly isPrivate: boolean
}

export type KeptPool = {
  /** What the file begins with, so that no other is taken for it. */
  readonly id: string
  readonly namespaces: readonly PoolNamespace[]
  /** Parts of namespaces that were deleted: what was in them may still be there. */
  readonly leftovers: readonly Part[]
  /** By UUID, also of namespaces beside the pool. */
  readonly attachments: Readonly<Record<string, KeptAttachment>>
}

/** As the host says it; numbers that are not safe integers are NaN. */
export type NamespaceRequest = {
  readonly csi: number
  readonly nsze: number
  readonly ncap: number
  readonly flbas: number
  readonly dps: number
  readonly nmic: number
  readonly anagrpid: number
  readonly nvmsetid: number
  readonly endgid: number
  readonly lbstm: number
}

export type InventoryTask = { readonly nsid: number } & (
  | { readonly kind: 'create'; readonly request: NamespaceRequest }
  | { readonly kind: 'delete' }
  /** cntlids: as they stand in the list. */
  | { readonly kind: 'attach' | 'detach'; readonly cntlids: readonly number[] })

/** Bit 0 of NMIC: several controllers may have it. */
const NMIC_SHARED = 1

export type NamespacePlan = Pick<PoolNamespace, 'blockBytes' | 'blockCount' | 'anaGroup' | 'isPrivate'>

/** What a host asks for, or the status that refuses it. blockSizes: by LBA format. */
export function planOf(request: NamespaceRequest, blockSizes: readonly number[]): NamespacePlan | number {
  const { csi, nsze, ncap, flbas, dps, nmic, anagrpid, nvmsetid, endgid, lbstm } = request
  if (csi !== 0) return STATUS.IOCS_NOT_SUPPORTED
  const format = takeBits(flbas, FLBAS_BITS.low) | takeBits(flbas, FLBAS_BITS.high) << 4
  const blockBytes = blockSizes[format]
  // There are no metadata, and so no protection information.
  if (blockBytes === undefined || takeBits(flbas, FLBAS_BITS.extended) !== 0 || dps !== 0) return STATUS.INVALID_FORMAT
  if (Number.isNaN(nsze) || Number.isNaN(ncap) || !Number.isSafeInteger(nsze * blockBytes)) {
    return STATUS.NAMESPACE_INSUFFICIENT_CAPACITY
  }
  if (nsze === 0 || ncap > nsze || (nmic & ~NMIC_SHARED) !== 0) return STATUS.INVALID_FIELD
  if (nvmsetid !== 0 || endgid !== 0 || lbstm !== 0) return STATUS.INVALID_FIELD
  if (ncap < nsze) return STATUS.THIN_PROVISIONING_NOT_SUPPORTED
  if (anagrpid > ANA_GROUPS_MAX) return STATUS.ANA_GROUP_INVALID
  return {
    blockBytes: blockBytes as 512 | 4096, blockCount: nsze, anaGroup: anagrpid === 0 ? 1 : anagrpid,
    isPrivate: (nmic & NMIC_SHARED) === 0,
  }
}

/** A list that hosts may send: not empty, each CNTLID once, ascending. */
export function isControllerList(cntlids: readonly number[]): boolean {
  return cntlids.length !== 0 && cntlids.every((cntlid, k) => k === 0 || cntlid > cntlids[k - 1]!)
}
