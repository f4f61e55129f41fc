/**
 * What a namespace with zones says of them, decoded once. controller.ts asks; hosts are told the same, but for what
 * weft does not pass on: random write areas.      Zoned Namespace Command Set 1.1, Identify data structures
 *
 * Plain data, which is posted to reactors.
 */
import { putBits, takeBits } from '../wire/layout.ts'
import { takeU64 } from '../wire/value.ts'
import {
  OZCS_BITS, ZONED_CONTROLLER, ZONED_FORMAT, ZONED_NAMESPACE, ZONE_EXTENSION_UNIT_BYTES,
} from '../wire/zone.ts'

const PAGE_BYTES = 4096
const FORMAT_BYTES = 16

export type ZonedFacts = {
  readonly zoneBlocks: number
  /** Of the extension of a descriptor; 0 = there are none. */
  readonly extensionBytes: number
  /** Of one Zone Append. */
  readonly appendBytes: number
  /** A Read may cross zones. */
  readonly readsAcross: boolean
  /** ZOC and OZCS, and 11 words from MAR to FRL3 (wire/zone.ts), as a host gets them. */
  readonly zoc: number
  readonly ozcs: number
  readonly resources: readonly number[]
}

/** data: CNS 05h, CSI 2 of the namespace; controller: CNS 06h, CSI 2. format: which is in use. */
export function zonedFacts(
  data: Uint8Array, controller: Uint8Array, format: number, transferBytes: number,
): ZonedFacts | null {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength)
  const at = ZONED_NAMESPACE.lbafe + FORMAT_BYTES * format
  const zoneBlocks = takeU64(view, at + ZONED_FORMAT.zsze)
  if (!(zoneBlocks > 0)) return null
  const ozcs = view.getUint16(ZONED_NAMESPACE.ozcs, true)
  const zasl = controller[ZONED_CONTROLLER.zasl]!
  const { mar, numzrwa } = ZONED_NAMESPACE
  return {
    zoneBlocks, extensionBytes: view.getUint8(at + ZONED_FORMAT.zdes) * ZONE_EXTENSION_UNIT_BYTES,
    appendBytes: zasl === 0 ? transferBytes : Math.min(transferBytes, PAGE_BYTES * 2 ** zasl),
    readsAcross: takeBits(ozcs, OZCS_BITS.razb) === 1,
    zoc: view.getUint16(ZONED_NAMESPACE.zoc, true), ozcs: ozcs & putBits(OZCS_BITS.razb, 1),
    resources: Array.from({ length: (numzrwa - mar) / 4 }, (_, k) => view.getUint32(mar + 4 * k, true)),
  }
}
