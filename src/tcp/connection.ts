/**
 * Connection: what this reactor knows of one TCP connection. receive and send work on it.
 * Objects are made once per index and reused; reset() is a new connection.   NVMe/TCP 1.0a, 3.3
 *
 *   GREETING ─ICReq─▶ JOINING ─Connect─▶ ADMITTING ─answer─▶ LIVE ─▶ TERMINATING ─▶ CLOSING ─▶ FREE
 *                        ▲___________________│ refused
 *
 * Invariant: phase only moves right but for a refused Connect; nothing is queued from TERMINATING on.
 */
import { TX_ENTRIES_A_SLOT } from '../limits.ts'
import type { Arena } from '../reactor/arena.ts'
import type { Owner } from '../reactor/slots.ts'
import { C, TX, WORDS } from '../shim/abi.ts'
import { DIGEST_BYTES, PDU_FLAG, PDU_TYPE, SHORT_HEADER_BYTES } from '../wire/pdu.ts'
import type { Endpoint } from '../subsystem/subsystem.ts'
import { Queue } from '../controller/queue.ts'

export const PHASE = {
  FREE: 0, GREETING: 1, JOINING: 2, ADMITTING: 3, LIVE: 4, TERMINATING: 5, CLOSING: 6,
} as const

const NOWHERE: Endpoint = { address: '', port: 0 }

export class Connection implements Owner {
  readonly index: number
  /** Word index of the control block, of the send ring; arena offset of the receive ring. */
  readonly control: number
  readonly txWord: number
  readonly rxAt: number
  readonly queue: Queue
  phase: number = PHASE.FREE
  /** Counts the connections that had this index, so that a late message finds out. */
  serial = 0
  remote = ''
  local: Endpoint = NOWHERE
  /** listenerKey of where it came in. */
  listener = ''
  /** Its listener leads to the discovery service alone. */
  discoveryOnly = false
  /** Reactor milliseconds at which the phase ends by itself. */
  deadlineMs = 0
  /** Why it ends, for the log; '' = the host closed it. */
  reason = ''

  /** Digests agreed on, as bytes they take: 0 or 4. */
  headerDigestBytes = 0
  dataDigestBytes = 0
  /** R2Ts that the host allows at a time for one command. */
  transfersMax = 1
  /** Entries of the send ring that a command takes, but for R2Ts after its first ones. */
  slotEntries = TX_ENTRIES_A_SLOT
  /** What the host's alignment and the digests make of our headers. */
  dataWord0 = 0
  dataPadBytes = 0
  dataOverheadBytes = 0
  dataTxFlags = 0
  shortWord0 = 0
  shortBytes = 0
  shortTxFlags = 0

  /** Entries of the send ring whose slots have been given back. */
  releasedCount = 0
  /** Entries in the ring that hold a slot until they have left. */
  heldCount = 0
  /** Slots that it holds. */
  slotCount = 0
  commandCount = 0
  transferredBlocks = 0
  /** For Holders: when it was seen to move last, and where it stood. */
  movedMs = 0
  mark = 0
  /** 1 while it waits for a slot or a buffer, and is in the list of those. */
  stalled = 0

  /** The H2CData whose payload is being received: its tag (-1 = none), bytes to come, and where they go. */
  payloadTag = -1
  payloadBytes = 0
  payloadLo = 0
  payloadHi = 0
  payloadRegion = 0
  /** Bytes of it that the shim was asked to place directly. */
  placingBytes = 0
  /** The whole payload of that PDU, for its digest. */
  payloadLength = 0
  payloadStartLo = 0
  payloadStartHi = 0
  payloadLast = 0

  constructor(index: number, arena: Arena, txEntries: number, rxBytes: number) {
    this.index = index
    this.control = (arena.connectionsAt >> 2) + index * WORDS.CONNECTION
    this.txWord = (arena.txAt >> 2) + index * txEntries * WORDS.TX
    this.rxAt = arena.rxAt + index * rxBytes * 2
    this.queue = new Queue(index)
  }

  get sends(): boolean {
    return this.phase !== PHASE.FREE && this.phase < PHASE.TERMINATING
  }

  reset(words: Int32Array): void {
    this.phase = PHASE.GREETING
    this.serial++
    this.remote = ''
    this.local = NOWHERE
    this.reason = ''
    this.releasedCount = words[this.control + C.TX_HEAD]!
    this.slotCount = 0
    this.commandCount = 0
    this.transferredBlocks = 0
    this.heldCount = 0
    this.stalled = 0
    this.payloadTag = -1
    this.payloadBytes = 0
    this.placingBytes = 0
    this.queue.reset()
    this.agree(false, false, 0, 1)
  }

  /** Fixes what ICReq and ICResp agreed on. alignmentBytes: of data that the host receives; 0 = any. */
  agree(headerDigest: boolean, dataDigest: boolean, alignmentBytes: number, transfersMax: number): void {
    this.headerDigestBytes = headerDigest ? DIGEST_BYTES : 0
    this.dataDigestBytes = dataDigest ? DIGEST_BYTES : 0
    this.transfersMax = transfersMax
    // A CapsuleResp, and C2HData or the R2Ts that are open at a time.
    this.slotEntries = 1 + Math.min(transfersMax, TX_ENTRIES_A_SLOT)
    const headerBytes = SHORT_HEADER_BYTES + this.headerDigestBytes
    const unit = Math.max(4, alignmentBytes)
    const pdo = Math.ceil(headerBytes / unit) * unit
    const headerFlag = headerDigest ? PDU_FLAG.HDGSTF : 0
    this.dataPadBytes = pdo - headerBytes
    this.dataOverheadBytes = pdo + this.dataDigestBytes
    this.dataTxFlags = (headerDigest ? TX.HEADER_DIGEST : 0) | (dataDigest ? TX.DATA_DIGEST : 0)
    this.dataWord0 =
      PDU_TYPE.C2H_DATA |
      ((headerFlag | PDU_FLAG.LAST | (dataDigest ? PDU_FLAG.DDGSTF : 0)) << 8) |
      (SHORT_HEADER_BYTES << 16) | (pdo << 24)
    this.shortWord0 = (headerFlag << 8) | (SHORT_HEADER_BYTES << 16)
    this.shortBytes = headerBytes
    this.shortTxFlags = headerDigest ? TX.HEADER_DIGEST : 0
  }
}
