/**
 * How much one command may do where MDTS does not say it: io enforces these, identify tells hosts.
 * NVM Command Set 1.0, 4.1.5 (WZSL, VSL, MSSRL, MCL, MSRC).
 *
 * Invariant: what is told fits the 16 bits of NLB in blocks of 512 bytes. Linux takes WZSL as it is, and sends
 * a count that has lost its upper bits where it does not fit.
 */

const PAGE_BYTES = 4096
const BLOCK_BYTES_MIN = 512
export const BLOCK_BYTES_MAX = 4096
const BLOCKS_MAX = 65536

/** Of one Write Zeroes, and of one Verify: what takes a device no longer than a host waits. */
export const ZEROES_BYTES_MAX = BLOCKS_MAX * BLOCK_BYTES_MIN
export const VERIFY_BYTES_MAX = BLOCKS_MAX * BLOCK_BYTES_MIN
/** Of a fused Compare and Write: a buffer has three times as much. */
export const FUSED_BYTES_MAX = 128 * 1024
/** Source ranges of one Copy. */
export const COPY_RANGES_MAX = 128
/** MSSRL has 16 bits. */
const COPY_RANGE_BLOCKS_MAX = 65535

/** A limit in bytes as Identify tells it: 2^n pages. */
export function sizeExponent(bytes: number): number {
  return Math.floor(Math.log2(bytes / PAGE_BYTES))
}

/** Blocks of one fused Compare and Write. */
export function fusedBlocksMax(transferBytesMax: number, blockBytes: number): number {
  return Math.min(FUSED_BYTES_MAX, transferBytesMax) / blockBytes
}

/** Blocks of one Copy: what the largest buffer holds. */
export function copyBlocksMax(transferBytesMax: number, blockBytes: number): number {
  return Math.floor(transferBytesMax / blockBytes)
}

/** Blocks of one source range of a Copy. */
export function copyRangeBlocksMax(transferBytesMax: number, blockBytes: number): number {
  return Math.min(COPY_RANGE_BLOCKS_MAX, copyBlocksMax(transferBytesMax, blockBytes))
}
