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
  /** Devices reach the buffers: huge pages, where there are some. */
  readonly huge?: boolean
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
const TX_ENTRY_BYTES = 64
/** Its control block, and its places in the lists of those that are ready and touched. */
const CONTROL_BYTES = 72
/** C2HData and CapsuleResp, or R2T and CapsuleResp; a host that takes several R2Ts has fewer commands. */
export const TX_ENTRIES_A_SLOT = 2
/** With 65535 tags of R2Ts, 8 Ki commands may have two open at a time. */
const SLOTS_MAX = 56 * 1024
const SLOTS_MIN = 4096
const TAGS_MAX = 65535
/** The whole arena, and so every offset in it, is an int32: native/arena.c. */
const ARENA_BYTES_MAX = 0x7ffff000
const RX_BYTES = 256 * 1024
const RX_BYTES_MIN = 64 * 1024
/** Header, completions, copies, ops, scratch, and what aligns them. */
const ARENA_FIXED_BYTES = 8 * 1024 * 1024
const NAMESPACES = 1024
const SUBSYSTEMS = 1024
/** Buffers hold at least so many of the largest transfers: one is reserved, a Compare takes two. */
const TRANSFERS_MIN = 8

/** 0-based values of the specification are decoded already. */
export function limitsOf(sizing: Sizing): Limits {
  // Hosts send the next command as soon as they see an answer, before we know that it has left.
  const connectionSlots = powerOfTwo(2 * Math.max(128, sizing.queueDepth))
  // An eighth more than connections take, which is left when one of them holds all that it gets.
  const slots = Math.min(SLOTS_MAX, Math.max(SLOTS_MIN, Math.ceil(sizing.connections * connectionSlots * 8 / 7)))
  const limits = {
    ...sizing,
    rxBytes: RX_BYTES,
    txEntries: connectionSlots * TX_ENTRIES_A_SLOT,
    copiesMax: 8192,
    opsMax: slots,
    socketBufferBytes: 4 * 1024 * 1024,
    bufferBytes: roundUp(Math.max(sizing.bufferBytes, TRANSFERS_MIN * sizing.maxTransferBytes), PAGE_BYTES),
    adminBufferBytes: Math.max(8 * 1024 * 1024, TRANSFERS_MIN * sizing.maxTransferBytes),
    slots,
    connectionSlots,
    transfers: Math.min(TAGS_MAX, slots * TX_ENTRIES_A_SLOT),
    commandTransfers: TX_ENTRIES_A_SLOT,
    transferBytes: 64 * 1024,
    controllers: 1024,
    namespaces: NAMESPACES,
    subsystems: SUBSYSTEMS,
    namespaceIndices: 2 * NAMESPACES,
  }
  const least = rxBytesMin(sizing.inCapsuleBytes)
  let rxBytes = Math.max(RX_BYTES, least)
  while (rxBytes > least && arenaBytes({ ...limits, rxBytes }) > ARENA_BYTES_MAX) rxBytes /= 2
  return { ...limits, rxBytes }
}

/** Connections that a reactor can have, sized otherwise like this; 0: not even one. */
export function connectionsThatFit(sizing: Sizing): number {
  const limits = limitsOf(sizing)
  const least = { ...limits, rxBytes: rxBytesMin(sizing.inCapsuleBytes) }
  const rest = ARENA_BYTES_MAX - arenaBytes({ ...least, connections: 0 })
  return Math.max(0, Math.floor(rest / connectionBytes(least)))
}

/** Of one connection in the arena: its receive ring is mapped twice in a row. Pages appear when touched. */
export function connectionBytes({ txEntries, rxBytes }: Pick<Limits, 'txEntries' | 'rxBytes'>): number {
  return CONTROL_BYTES + txEntries * TX_ENTRY_BYTES + 2 * rxBytes
}

/** As native/arena.c lays it out, and not less. */
function arenaBytes(limits: Limits): number {
  const { connections, bufferBytes, adminBufferBytes } = limits
  return ARENA_FIXED_BYTES + connections * connectionBytes(limits) + bufferBytes + adminBufferBytes
}

/** A whole capsule and a good part of the next. */
function rxBytesMin(inCapsuleBytes: number): number {
  return Math.max(RX_BYTES_MIN, powerOfTwo(2 * (Math.max(inCapsuleBytes, 8192) + 256)))
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
    huge: limits.huge === true,
  }
}

function powerOfTwo(value: number): number {
  return 1 << (32 - Math.clz32(value - 1))
}

function roundUp(value: number, unit: number): number {
  return (Math.ceil(value / unit) * unit) | 0
}
