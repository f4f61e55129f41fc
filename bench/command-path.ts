/**
 * A connection's way through the TypeScript, without a kernel: receive → admit → io → device →
 * send.
 * hot-path.ts times it, test/unit/bench/allocation.ts counts what it allocates.
 *
 * The parts are the real ones on an arena of plain memory. A turn is one turn's worth of capsules
 * of one kind, after which the send ring is declared sent. Digests are all 0, in the capsules as in
 * what the shim would answer. Invariant: every command of the first turn succeeded.
 */
import { Aborts } from '../src/controller/abort.ts'
import { Controller } from '../src/controller/controller.ts'
import { Copies } from '../src/controller/copy.ts'
import { Dataset } from '../src/controller/dataset.ts'
import { Guards } from '../src/controller/guard.ts'
import { Holds } from '../src/controller/hold.ts'
import { ReservationCommands } from '../src/controller/reservations.ts'
import { IoExecutor } from '../src/controller/io.ts'
import { Meter } from '../src/controller/meter.ts'
import { Pairs } from '../src/controller/pair.ts'
import { CONTROLLER_STATE, Shared } from '../src/controller/shared.ts'
import { Tally, tallyBytes } from '../src/controller/tally.ts'
import { Throttles } from '../src/controller/throttle.ts'
import { Uncorrectable } from '../src/controller/uncorrectable.ts'
import { MemoryDevice } from '../src/device/memory.ts'
import { type Limits, limitsOf } from '../src/limits.ts'
import { Namespace } from '../src/namespace/namespace.ts'
import { Admission } from '../src/queue/admit.ts'
import { Completer } from '../src/queue/complete.ts'
import { Transfers } from '../src/queue/transfer.ts'
import { Arena } from '../src/reactor/arena.ts'
import { Buffers } from '../src/reactor/buffers.ts'
import { Slots } from '../src/reactor/slots.ts'
import { Work } from '../src/reactor/work.ts'
import { C, H, STATE, T } from '../src/shim/abi.ts'
import { type Connection, PHASE } from '../src/tcp/connection.ts'
import { type ConnectionParts, Connections } from '../src/tcp/connections.ts'
import { Digests } from '../src/tcp/digest.ts'
import { Holders } from '../src/tcp/holders.ts'
import { Handshake } from '../src/tcp/handshake.ts'
import { Receiver } from '../src/tcp/receive.ts'
import { Sender } from '../src/tcp/send.ts'
import { Terminator } from '../src/tcp/terminate.ts'
import type { SubsystemSnapshot } from '../src/subsystem/subsystem.ts'

const MIB = 1 << 20
const BLOCK_BYTES = 512
export const PAYLOAD_BYTES = 4096
/** Commands of a turn: writes bring their data in the capsule, and the ring holds so many. */
const COMMANDS = { read: 128, write: 32, flush: 128 }
const OPCODES = { read: 0x02, write: 0x01, flush: 0x00 }
const PDU = { capsule: 0x04, answer: 0x05, data: 0x07 }

export type Kind = keyof typeof COMMANDS

export class CommandPath {
  /** A turn. */
  readonly commands: number
  readonly #words: Int32Array
  readonly #connections: Connections
  readonly #connection: Connection
  readonly #capsulesBytes: number

  constructor(kind: Kind, digests: boolean) {
    const limits = limitsOf({
      engine: 0, connections: 1, queueDepth: 1024, ioQueues: 1, inCapsuleBytes: 16384,
      maxTransferBytes: MIB, bufferBytes: 64 * MIB,
    })
    const arena = new Arena(plainArena(limits))
    const { connections, connection } = assemble(limits, arena, digests)
    this.commands = COMMANDS[kind]
    this.#words = arena.words
    this.#connections = connections
    this.#connection = connection
    this.#capsulesBytes = fillRing(arena, kind, digests)
    this.turn()
    this.#check(arena, kind)
  }

  /** All capsules are there again; their answers leave at once. */
  turn(): void {
    const words = this.#words
    const { control } = this.#connection
    words[control + C.RX_HEAD] = 0
    words[control + C.RX_TAIL] = this.#capsulesBytes
    this.#connections.ready(0)
    words[control + C.TX_HEAD] = words[control + C.TX_TAIL]!
    words[control + C.TOUCHED] = 0
    words[H.TOUCHED] = 0
    words[H.COPIES] = 0
  }

  /** One answer a command: data that say SUCCESS, or a response with the status 0. */
  #check(arena: Arena, kind: Kind): void {
    const words = this.#words
    const sent = words[this.#connection.control + C.TX_TAIL]!
    const wanted = kind === 'read' ? PDU.data : PDU.answer
    let good = 0
    for (let entry = 0; entry < sent; entry++) {
      const w = (arena.txAt >> 2) + 16 * entry + T.HEADER
      const status = kind === 'read' ? 0 : words[w + 5]! >>> 16
      if ((words[w]! & 0xff) === wanted && status === 0) good++
    }
    if (sent !== this.commands || good !== sent)
      throw new Error(`${kind}: ${good} of ${this.commands} commands succeeded`)
  }
}

type Assembled = { readonly connections: Connections, readonly connection: Connection }

/** What the shim would have mapped: the header words that say where the areas are. */
function plainArena(limits: Limits): ArrayBuffer {
  const sizes: [number, number][] = [
    [H.CONNECTIONS_AT, 4096], [H.READY_AT, 4096], [H.COMPLETIONS_AT, MIB], [H.TOUCHED_AT, 4096],
    [H.COPIES_AT, MIB], [H.OPS_AT, 2 * MIB], [H.SCRATCH_AT, 65536],
    [H.TX_AT, limits.txEntries * 64],
    [H.BUFFERS_AT, limits.bufferBytes + limits.adminBufferBytes], [H.RX_AT, 2 * limits.rxBytes],
  ]
  const bytes = sizes.reduce((sum, [, size]) => sum + size, 4096)
  const memory = new ArrayBuffer(bytes)
  const header = new Int32Array(memory)
  let at = 4096
  for (const [word, size] of sizes) {
    header[word] = at
    at += size
  }
  return memory
}

function assemble(limits: Limits, arena: Arena, digests: boolean): Assembled {
  const slots = new Slots(limits.slots)
  const work = new Work(arena, limits.copiesMax, limits.opsMax)
  const adminAt = arena.buffersAt + limits.bufferBytes
  const buffers = new Buffers(arena.buffersAt, limits.bufferBytes)
  const pages = new Buffers(adminAt, limits.adminBufferBytes)
  const shim = { adopt: () => 0, release: () => 0, crc32c: () => 0, crc32cSeries: () => 0 }
  const all = new Connections(arena, shim, limits.txEntries, limits.rxBytes)
  const sender = new Sender(arena, limits.txEntries)
  const tally = new Tally(new ArrayBuffer(tallyBytes(limits, 1)), limits, 1)
  const namespaces: Namespace[] = []
  const meter = new Meter(arena, tally, 0, namespaces, 1)
  const completer = new Completer(slots, buffers, pages, adminAt, sender, meter)
  const transfers = new Transfers(
    slots, sender, limits.transfers, limits.transferBytes, limits.commandTransfers,
  )
  const shared = new Shared(new ArrayBuffer(8 * MIB), limits, 1)
  const namespace = new Namespace({
    nsid: 1, index: 0, counter: 0, blockBytes: BLOCK_BYTES, blockCount: 2 * MIB, uuid: '',
    nguid: '', readOnly: false, anaGroup: 1, device: { kind: 'memory', region: 1 },
  }, new MemoryDevice(work, buffers, 1, BLOCK_BYTES), shared.counterAt(0, 0), tally.namespaceAt(0, 0))
  namespaces.push(namespace)
  const holds = new Holds({
    slots, buffers, namespaces, proceed: () => {}, sendsFrom: () => false, wake: () => {},
  })
  const pairs = new Pairs({
    buffers, namespaces, finish: () => {}, failed: () => {}, ask: () => {}, release: () => {},
  })
  const io = new IoExecutor({
    arena, buffers, shared, namespaces, dataset: new Dataset(arena, slots, buffers),
    copies: new Copies(arena, slots, buffers, limits.maxTransferBytes),
    guards: new Guards(), holds, pairs,
    throttles: new Throttles({
      words: arena.words, tally, reactor: 0, aborts: { wants: () => false }, release: () => {},
    }), transferBytesMax: limits.maxTransferBytes,
    reservations: new ReservationCommands({
      arena, slots, buffers, shared, reactor: 0, post: () => {}, finish: () => {},
      queueOf: () => null,
    }),
    uncorrectable: new Uncorrectable(() => {}, () => -1),
  })
  const aborts = new Aborts(slots, 0, () => {})
  const admission = new Admission({
    arena, slots, work, completer, transfers, fabrics: io, admin: io, io, aborts, pairs,
    queueOf: (slot) => all.all[slot.connection]!.queue,
    inCapsuleBytes: limits.inCapsuleBytes, transferBytesMax: limits.maxTransferBytes, keepPages: 0,
    adminPages: 0,
  })
  const terminator = new Terminator(arena, pages, sender, 1)
  const receiver = new Receiver({
    arena, work, transfers, admission, sender, terminator, digests: new Digests(arena, shim),
    handshake: new Handshake(arena, sender, pages.take(4096), 1000), stalled: all.stall,
    rxBytes: limits.rxBytes, inCapsuleBytes: limits.inCapsuleBytes, alignedAt: pages.take(4096),
  })
  all.assemble({
    slots, sender, receiver, terminator, completer, transfers, admission, aborts, gone: () => {},
    holders: new Holders(arena, slots, []), exhausted: () => {},
    // Nothing ends here, so nobody leaves an association.
    associations: {} as ConnectionParts['associations'],
  })
  const made = connected(all, shared, namespace, digests)
  arena.words[made.control + C.STATE] = STATE.OPEN
  return { connections: all, connection: made }
}

/** The host's I/O queue, past its Connect. */
function connected(
  all: Connections, shared: Shared, namespace: Namespace, digests: boolean,
): Connection {
  const made = all.adopt(1, { address: '', port: 0 }, '')
  if (typeof made === 'number') throw new Error('the first connection was refused')
  const subsystem = {} as SubsystemSnapshot
  const controller = new Controller(0, 1, '', '', subsystem, [null, namespace])
  shared.words[controller.stateWord] = CONTROLLER_STATE.READY
  made.agree(digests, digests, 0, 1)
  made.phase = PHASE.LIVE
  made.queue.controller = controller
  made.queue.qid = 1
  made.queue.depth = 1024
  made.queue.flowControlOff = true
  return made
}

/** Capsules by hand: CH, then the SQE's opcode with PSDT, NSID, SGL1, SLBA, NLB; their bytes. */
function fillRing(arena: Arena, kind: Kind, digests: boolean): number {
  const { words } = arena
  const digestBytes = digests ? 4 : 0
  const inCapsule = kind === 'write' ? PAYLOAD_BYTES : 0
  const pdo = inCapsule === 0 ? 0 : 72 + digestBytes
  const flags = (digests ? 1 : 0) | (digests && inCapsule !== 0 ? 2 : 0)
  const plen = 72 + digestBytes + inCapsule + (inCapsule === 0 ? 0 : digestBytes)
  let w = arena.rxAt >> 2
  for (let index = 0; index < COMMANDS[kind]; index++) {
    words[w] = PDU.capsule | (flags << 8) | (72 << 16) | (pdo << 24)
    words[w + 1] = plen
    words[w + 2] = OPCODES[kind] | 0x4000 | (index << 16)
    words[w + 3] = 1
    words[w + 11] = (kind === 'write' ? 0x01 : 0x5a) << 24
    if (kind !== 'flush') {
      words[w + 10] = PAYLOAD_BYTES
      words[w + 12] = index * (PAYLOAD_BYTES / BLOCK_BYTES)
      words[w + 14] = PAYLOAD_BYTES / BLOCK_BYTES - 1
    }
    w += plen >> 2
  }
  return w * 4 - arena.rxAt
}
