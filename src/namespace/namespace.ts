/**
 * Namespace: blocks, as hosts count them, on a device. controller/io finds it by NSID and checks ranges
 * against it; one object per namespace and reactor, rebuilt when the configuration changes.
 *
 * Invariant: blockBytes = 1 << blockShift; every lba handed to the device is < blockCount.
 */
import type { Device } from '../device/device.ts'
import type { NamespaceSnapshot } from '../subsystem/subsystem.ts'

export type HostRights = {
  /** Host identifiers of those who may do everything. */
  readonly full: ReadonlySet<string>
  readonly othersRead: boolean
}

export class Namespace {
  snapshot: NamespaceSnapshot
  readonly nsid: number
  /** Index in the table of all namespaces; slots refer to it by that. */
  readonly index: number
  readonly blockShift: number
  readonly blockCount: number
  readOnly: boolean
  /** Numbers that name ranges of blocks which cannot be read; 0 = all can. */
  defectCount: number
  /** The status that every command ends with while its medium is erased, 0 = none. See controller/media.ts. */
  barred = 0
  readonly device: Device
  /** What hosts may do while it is reserved, null: everything. See controller/rights.ts. */
  rights: HostRights | null = null
  /** Bits of GUARD (controller/guard.ts): who has to be asked before a command runs; 0 = nobody. */
  guards = 0
  /** Index of its first counter on this reactor. */
  readonly counterAt: number
  /** The same of its tally: controller/tally.ts. */
  readonly tallyAt: number

  constructor(snapshot: NamespaceSnapshot, device: Device, counterAt: number, tallyAt = 0) {
    this.snapshot = snapshot
    this.nsid = snapshot.nsid
    this.index = snapshot.index
    this.blockShift = 31 - Math.clz32(snapshot.blockBytes)
    this.blockCount = snapshot.blockCount
    this.readOnly = isReadOnly(snapshot)
    this.defectCount = snapshot.defects?.length ?? 0
    this.device = device
    this.counterAt = counterAt
    this.tallyAt = tallyAt
  }

  /** Its facts are others now, but those about its blocks: a namespace with another size is a new object. */
  update(snapshot: NamespaceSnapshot): void {
    this.snapshot = snapshot
    this.readOnly = isReadOnly(snapshot)
    this.defectCount = snapshot.defects?.length ?? 0
  }

  /** One of these blocks was marked, and not written since. */
  isDefective(lba: number, blockCount: number): boolean {
    return hasDefect(this.snapshot.defects ?? [], lba, blockCount)
  }
}

/** True when a block from lba on is in one of the ranges. */
export function hasDefect(ranges: readonly number[], lba: number, blockCount: number): boolean {
  for (let k = 0; k < ranges.length; k += 2) {
    if (lba < ranges[k + 1]! && lba + blockCount > ranges[k]!) return true
  }
  return false
}

/** Nothing may be written: for good, or since a host said so. */
export function isReadOnly({ readOnly, protection = 0 }: NamespaceSnapshot): boolean {
  return readOnly || protection !== 0
}

/** The namespaces of one subsystem by NSID: index 0 is never used, holes are null. */
export type NamespaceTable = readonly (Namespace | null)[]
