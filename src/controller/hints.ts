/**
 * Hints: which writes and deallocations the storage of a namespace does best, in blocks.
 * capabilities makes fields of Identify Namespace of them.
 * NVM Command Set 1.0, Improving performance through I/O size and alignment
 *
 *   storage        granule             optimal           boundary        atomic
 *   memory         a page              the granule       none            a block
 *   file           file system block   the granule       none            a block
 *   block device   physical block      optimal_io_size   chunk_sectors   physical block
 *
 * Invariant: every number fits its field; 1 block is always right, 0 says that nothing is known.
 */
import type { NamespaceSnapshot } from '../subsystem/subsystem.ts'

const PAGE_BYTES = 4096
/** Fields of 16 bits; those that count from 0 hold one more. */
const BLOCKS_MAX = 65535

export type Hints = {
  /** Writes are best in multiples of it, aligned to it. */
  readonly writeBlocks: number
  /** Deallocations give space back in multiples of it. */
  readonly deallocateBlocks: number
  /** Large writes are best in multiples of it. */
  readonly optimalBlocks: number
  /** I/O should not cross multiples of it; 0 = there is none. */
  readonly boundaryBlocks: number
  /** An aligned write of this size is on the medium whole or not at all. */
  readonly atomicBlocks: number
}

export function hintsOf({ device, blockBytes }: NamespaceSnapshot): Hints {
  const blocks = (bytes: number): number =>
    Math.min(BLOCKS_MAX, Math.max(1, Math.floor(bytes / blockBytes)))
  if (device.kind === 'null' || device.kind === 'memory') {
    // A page is what deallocation can give back.
    const granule = blocks(device.kind === 'null' ? 0 : PAGE_BYTES)
    return {
      writeBlocks: granule, deallocateBlocks: granule, optimalBlocks: granule, boundaryBlocks: 0,
      atomicBlocks: 1,
    }
  }
  const writeBlocks = blocks(device.physicalBytes)
  const optimal = blocks(device.optimalBytes)
  const boundary = Math.floor(device.boundaryBytes / blockBytes)
  return {
    writeBlocks,
    deallocateBlocks: blocks(device.discardBytes || device.physicalBytes),
    // A multiple of the granule, or hosts would be told two things.
    optimalBlocks: optimal % writeBlocks === 0 ? optimal : writeBlocks,
    boundaryBlocks: boundary > BLOCKS_MAX ? 0 : boundary,
    // A device writes physical blocks as a whole; the page cache may write the half of one.
    atomicBlocks: device.kind === 'block' && device.direct ? writeBlocks : 1,
  }
}
