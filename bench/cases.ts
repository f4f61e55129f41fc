/**
 * What is measured: the cases of the comparison, what the generator is told for each, and how far
 * ahead of a C target weft is meant to be.       bench.ts → cases.
 *
 * 4 KiB unless said. Every case runs on namespace 1 (memory) but the null device's, namespace 2.
 * Invariant: names are unique; `ratio` is weft's IOPS divided by the peer's.
 */
export type Case = {
  readonly name: string
  /** Words for bench/native/load, without address, time and processor. */
  readonly words: readonly string[]
  readonly nsid: number
  /** The ratio of IOPS to reach against a C target on the same core. */
  readonly ratio: number
  readonly quick: boolean
}

const MEMORY = 1
const NULL_DEVICE = 2
/** The part of the namespace that is used: below the 1 GiB that every target is given. */
export const SPAN_BYTES = 1000 * 1024 * 1024

function io(
  name: string, op: 'read' | 'write' | 'mix', block: string, depth: number, ratio: number,
  more: { connections?: number, words?: readonly string[], nsid?: number, quick?: boolean } = {},
): Case {
  const words = ['--op', op, '--block', block, '--depth', String(depth),
    '--connections', String(more.connections ?? 1), ...more.words ?? []]
  return { name, words, nsid: more.nsid ?? MEMORY, ratio, quick: more.quick ?? false }
}

export const CASES: readonly Case[] = [
  io('read, depth 128', 'read', '4K', 128, 1.5),
  io('read, depth 32', 'read', '4K', 32, 1.4, { quick: true }),
  io('read, depth 1', 'read', '4K', 1, 1.1, { quick: true }),
  // Depth 128 in all: 32 on each of the four.
  io('read, depth 128, 4 connections', 'read', '4K', 32, 1.5, { connections: 4 }),
  io('write, depth 128', 'write', '4K', 128, 1.6),
  io('write, depth 32', 'write', '4K', 32, 1.8, { quick: true }),
  io('write, depth 1', 'write', '4K', 1, 1.1),
  io('mix 70/30, depth 64', 'mix', '4K', 64, 1.4),
  io('read 128 KiB, depth 32', 'read', '128K', 32, 1.15, { quick: true }),
  io('write 128 KiB, depth 32', 'write', '128K', 32, 1.1, { quick: true }),
  io('read, depth 32, digests', 'read', '4K', 32, 1.4,
    { words: ['--header-digest', '--data-digest'], quick: true }),
  io('null device, read, depth 128', 'read', '4K', 128, 1.25, { nsid: NULL_DEVICE }),
]

/** Reads of 4 KiB at depths from 1 to 1024, one connection. */
export function depthCases(): Case[] {
  return [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024]
    .map((depth) => io(`depth ${depth}`, 'read', '4K', depth, 0))
}

/** Reads of 4 KiB over 1 to 1000 connections, 128 commands in all where there are that few. */
export function connectionCases(): Case[] {
  return [1, 4, 16, 64, 256, 1000].map((connections) => {
    const depth = Math.max(1, Math.floor(128 / connections))
    return io(`${connections} connections, depth ${depth} each`, 'read', '4K', depth, 0,
      { connections })
  })
}
