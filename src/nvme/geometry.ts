/**
 * How requests on a namespace are cut into commands of its device: from what the controller and the namespace say of
 * themselves. device/controller-namespace.ts makes it, plain data; queue-pair.ts goes by it on each reactor.
 */
import type { ControllerFacts, NamespaceFacts } from './facts.ts'

/** NLB is 16 bits, 0-based. */
const BLOCKS_MAX = 65536
const RANGE_BLOCKS_MAX = 0x7fffffff

/** What a namespace of the device is like, for those who cut requests to pieces. */
export type Geometry = {
  readonly nsid: number
  readonly blockShift: number
  /** Blocks of one command that carries data, and of one that carries none; of a range to deallocate. */
  readonly transferBlocks: number
  readonly zeroBlocks: number
  readonly verifyBlocks: number
  readonly rangeBlocks: number
  /** Commands with data do not cross multiples of it; 0 = they may. */
  readonly boundaryBlocks: number
}

/** How requests on the namespace are cut into commands. */
export function geometryOf(controller: ControllerFacts, namespace: NamespaceFacts): Geometry {
  const { blockBytes } = namespace
  const blocks = (bytes: number): number =>
    bytes === 0 ? BLOCKS_MAX : Math.max(1, Math.min(BLOCKS_MAX, Math.floor(bytes / blockBytes)))
  return {
    nsid: namespace.nsid, blockShift: Math.log2(blockBytes), transferBlocks: blocks(controller.transferBytes),
    zeroBlocks: blocks(controller.zeroBytes), verifyBlocks: blocks(controller.verifyBytes),
    rangeBlocks: controller.rangeBlocks === 0 ? RANGE_BLOCKS_MAX : controller.rangeBlocks,
    // Pieces of a write into a zone are sent one by one, and hosts look after boundaries.
    boundaryBlocks: namespace.zoned === null ? namespace.boundaryBlocks : 0,
  }
}
