/**
 * The blocks that an I/O command names: SLBA and NLB, decoded into its slot and checked. io calls it.
 * NVM Command Set 1.0, 3.2
 *
 * Invariant: a slot has lba + blockCount <= the namespace's blocks when 0 is returned; where blocks of it cannot be
 * read, commands that only write go on.
 */
import type { Namespace } from '../namespace/namespace.ts'
import type { Slot } from '../reactor/slots.ts'
import { ACCESS as ACCESS_, accessOf } from '../wire/sqe.ts'
import { STATUS as STATUS_ } from '../wire/status.ts'

// V8 folds the constants of a module, but not those that it imports: docs/adr/0005.
const STATUS = STATUS_
const ACCESS = ACCESS_
/** An LBA above this, in its upper word, is not a safe integer and beyond every namespace. */
const LBA_HIGH_MAX = 0x1fffff
const TWO_32 = 4294967296

/** words, w: the entry. withData: the SGL must be as long as the blocks, which are bytesMax at most. A status. */
export function decodeRange(
  words: Int32Array, w: number, slot: Slot, namespace: Namespace, withData: boolean, bytesMax: number,
): number {
  const high = words[w + 11]! >>> 0
  if (high > LBA_HIGH_MAX) return STATUS.LBA_OUT_OF_RANGE
  const lba = (words[w + 10]! >>> 0) + high * TWO_32
  const blockCount = (words[w + 12]! & 0xffff) + 1
  slot.lbaLo = words[w + 10]!
  slot.lbaHi = high | 0
  slot.blockCount = blockCount
  if (lba + blockCount > namespace.blockCount) return STATUS.LBA_OUT_OF_RANGE
  if (withData) {
    const bytes = blockCount << namespace.blockShift
    if (bytes > bytesMax) return STATUS.INVALID_FIELD
    if (bytes !== slot.bytes) return STATUS.DATA_SGL_LENGTH_INVALID
  } else if (slot.bytes !== 0) {
    return STATUS.DATA_SGL_LENGTH_INVALID
  }
  if (namespace.defectCount === 0 || accessOf(slot.opcode) !== ACCESS.READS) return 0
  return namespace.isDefective(lba, blockCount) ? STATUS.UNRECOVERED_READ_ERROR : 0
}
