/**
 * Where the queue pair of a reactor is: made by controller.ts on the main thread, and plain data, so that it can be
 * posted to the reactor, which drives the pair.
 *
 *   0 ┌ SQ: depth × 64 ┬ CQ: depth × 16, at the next page ┬ PRP lists: depth × listBytes, at the next page ┐
 *
 * Invariant: all of it is within one CHUNK_BYTES, which the device sees in one piece.
 */
import { assert } from '../assert.ts'
import { CHUNK_BYTES, listBytesOf } from './prp.ts'

/** Entries: so many commands less one are at the device for each reactor. */
export const QUEUE_DEPTH_MAX = 512
const PAGE_BYTES = 4096
const SQE_BYTES = 64
const CQE_BYTES = 16

export type QueuePlace = {
  /** Id of the PCI function, of the region that the queues are in, and the device's address of that. */
  readonly function: number
  readonly region: number
  readonly iova: number
  readonly bytes: number
  readonly qid: number
  readonly depth: number
  readonly cqAt: number
  readonly listsAt: number
  readonly listBytes: number
  /** Byte offsets of its doorbells in BAR 0. */
  readonly tailAt: number
  readonly headAt: number
  /** -1: it is polled. */
  readonly vector: number
  readonly sgl: boolean
}

type Places = Pick<QueuePlace, 'function' | 'region' | 'iova' | 'qid' | 'tailAt' | 'headAt' | 'vector' | 'sgl'>

export function queuePlace(depth: number, transferBytes: number, places: Places): QueuePlace {
  const cqAt = pages(depth * SQE_BYTES)
  const listsAt = cqAt + pages(depth * CQE_BYTES)
  const listBytes = listBytesOf(transferBytes)
  const bytes = listsAt + pages(depth * listBytes)
  assert(bytes <= CHUNK_BYTES, 'a queue pair is in one piece for the device')
  return { ...places, bytes, depth, cqAt, listsAt, listBytes }
}

/** Of all of it. */
export function queueBytes(depth: number, transferBytes: number): number {
  return pages(depth * SQE_BYTES) + pages(depth * CQE_BYTES) + pages(depth * listBytesOf(transferBytes))
}

function pages(bytes: number): number {
  return Math.ceil(bytes / PAGE_BYTES) * PAGE_BYTES
}
