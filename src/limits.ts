/**
 * Every pool of a reactor, derived from the configuration before serving; nothing grows afterwards.
 * target prints the sum at start; each term names its owner.
 *
 * Invariants: a slot has at most one op outstanding, so opsMax = slots; a connection's send ring holds
 * TX_ENTRIES_A_SLOT entries for each of its slots, and no command is admitted without.
 */
import type { ShimLimits } from './shim/shim.ts'

/** What of the configuration decides memory. Bytes, counts. */
export type Sizing = {
  readonly engine: number
  readonly connections: number
  readonly queueDepth: number
  readonly ioQueues: number
  readonly inCapsuleBytes: number
  readonly maxTransferBytes: number
  readonly bufferBytes: number
}

export type Limits = Sizing & {
  /** Native arena, struct shim_limits. */
  readonly rxBytes: number
  readonly txEntries: number
  readonly copiesMax: number
  readonly opsMax: number
  readonly socketBufferBytes: number
  /** Of bufferBytes, for the admin queues alone. */
  readonly adminBufferBytes: number
  /** Commands of one reactor, and of one connection, between capsule and last byte of the answer. */
  readonly slots: number
  readonly connectionSlots: number
  /** R2Ts of one reactor that are not answered yet; of one command. */
  readonly transfers: number
  readonly commandTransfers: number
  /** Bytes of one R2T where a host allows several at a time. */
  readonly transferBytes: number
  readonly controllers: number
  readonly namespaces: number
  readonly subsystems: number
  /** Of the tables of namespaces: one that was resized has two until the old size is used no more. */
  readonly namespaceIndices: number
}

const PAGE_BYTES = 4096
/** C2HData and CapsuleResp, or R2T and CapsuleResp; a host that takes several R2Ts has fewer commands. */
export const TX_ENTRIES_A_SLOT = 2
const SLOTS_A_REACTOR = 16384
const NAMESPACES = 1024
const SUBSYSTEMS = 1024
/** Buffers hold at least so many of the largest transfers: one is reserved, a Compare takes two. */
const TRANSFERS_MIN = 8

/** 0-based values of the specification are decoded already. */
export function limitsOf(sizing: Sizing): Limits {
  // Hosts send the next command as soon as they see an answer, before we know that it has left.
  const connectionSlots = powerOfTwo(2 * Math.max(128, sizing.queueDepth))
  const capsuleBytes = Math.max(sizing.inCapsuleBytes, 8192) + 256
  return {
    ...sizing,
    rxBytes: Math.max(256 * 1024, powerOfTwo(2 * capsuleBytes)),
    txEntries: connectionSlots * TX_ENTRIES_A_SLOT,
    copiesMax: 8192,
    opsMax: SLOTS_A_REACTOR,
    socketBufferBytes: 4 * 1024 * 1024,
    bufferBytes: roundUp(Math.max(sizing.bufferBytes, TRANSFERS_MIN * sizing.maxTransferBytes), PAGE_BYTES),
    adminBufferBytes: 8 * 1024 * 1024,
    slots: SLOTS_A_REACTOR,
    connectionSlots,
    transfers: SLOTS_A_REACTOR * TX_ENTRIES_A_SLOT,
    commandTransfers: TX_ENTRIES_A_SLOT,
    transferBytes: 64 * 1024,
    controllers: 1024,
    namespaces: NAMESPACES,
    subsystems: SUBSYSTEMS,
    namespaceIndices: 2 * NAMESPACES,
  }
}

/** The words of struct shim_limits. */
export function shimLimits(limits: Limits): ShimLimits {
  return {
    engine: limits.engine,
    connectionsMax: limits.connections,
    rxBytes: limits.rxBytes,
    txEntries: limits.txEntries,
    copiesMax: limits.copiesMax,
    opsMax: limits.opsMax,
    bufferBytes: limits.bufferBytes + limits.adminBufferBytes,
    socketBufferBytes: limits.socketBufferBytes,
  }
}

function powerOfTwo(value: number): number {
  return 1 << (32 - Math.clz32(value - 1))
}

function roundUp(value: number, unit: number): number {
  return (Math.ceil(value / unit) * unit) | 0
}
