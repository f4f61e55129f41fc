/**
 * What a controller and its namespaces say of themselves, decoded once: limits in bytes and blocks, capabilities
 * as truth values. controller.ts asks, device/backing.ts and device/pci.ts go by it.
 * NVMe Base 2.0, Identify; NVM Command Set 1.0, Identify data structures
 *
 * Plain data, which is posted to reactors. 0-based fields are counts here.
 */
import {
  DLFEAT_BITS, IDENTIFY_CONTROLLER, IDENTIFY_NAMESPACE, LBAF, NVM_CONTROLLER, ONCS_BITS, SGLS_BITS, VWC_BITS,
} from '../wire/identify.ts'
import { takeBits } from '../wire/layout.ts'
import { takePadded, takeU64 } from '../wire/value.ts'
import type { Quirks } from './quirks.ts'
import type { ZonedFacts } from './zoned-facts.ts'

const PAGE_BYTES = 4096
/** Of one command: so that the lists of all identifiers are in one piece with their queues (place.ts). */
const TRANSFER_BYTES_MAX = 1024 * 1024
const FLBAS_LOW = 0x0f
const FLBAS_HIGH_SHIFT = 5

export type ControllerFacts = {
  readonly serial: string
  readonly model: string
  readonly firmware: string
  /** Of one command; at most what lists of ours describe. */
  readonly transferBytes: number
  readonly sgl: boolean
  /** There is a write cache that can lose what was acknowledged. */
  readonly volatileCache: boolean
  readonly compare: boolean
  readonly deallocate: boolean
  readonly writeZeroes: boolean
  readonly verify: boolean
  /** Bytes in one command; 0 = no limit of its own. */
  readonly zeroBytes: number
  readonly verifyBytes: number
  /** Blocks of one range; 0 = no limit. */
  readonly rangeBlocks: number
  /** NSIDs are at most this. */
  readonly nsidMax: number
  readonly eventsMax: number
  /** OAES: what it tells of besides SMART. */
  readonly events: number
}

/** nvm: the answer to CNS 06h of the NVM command set; null where there is none. */
export function controllerFacts(
  data: Uint8Array, nvm: Uint8Array | null, transferBytes: number, quirks: Quirks,
): ControllerFacts {
  const view = viewOf(data)
  const field = IDENTIFY_CONTROLLER
  const mdts = view.getUint8(field.mdts)
  const oncs = view.getUint16(field.oncs, true)
  const limit = nvm === null ? null : viewOf(nvm)
  const sizeOf = (at: number): number => {
    const exponent = limit === null ? 0 : limit.getUint8(at)
    return exponent === 0 ? 0 : PAGE_BYTES * 2 ** exponent
  }
  const most = Math.min(transferBytes, TRANSFER_BYTES_MAX)
  return {
    serial: takePadded(view, field.sn, field.mn - field.sn), model: takePadded(view, field.mn, field.fr - field.mn),
    firmware: takePadded(view, field.fr, field.rab - field.fr),
    transferBytes: mdts === 0 ? most : Math.min(most, PAGE_BYTES * 2 ** mdts),
    sgl: takeBits(view.getUint32(field.sgls, true), SGLS_BITS.support) !== 0,
    volatileCache: takeBits(view.getUint8(field.vwc), VWC_BITS.present) === 1,
    compare: takeBits(oncs, ONCS_BITS.compare) === 1,
    deallocate: takeBits(oncs, ONCS_BITS.dsm) === 1,
    writeZeroes: takeBits(oncs, ONCS_BITS.writeZeroes) === 1 && !quirks.noWriteZeroes,
    verify: takeBits(oncs, ONCS_BITS.verify) === 1,
    zeroBytes: sizeOf(NVM_CONTROLLER.wzsl), verifyBytes: sizeOf(NVM_CONTROLLER.vsl),
    rangeBlocks: limit === null ? 0 : limit.getUint32(NVM_CONTROLLER.dmrsl, true),
    nsidMax: view.getUint32(field.nn, true),
    eventsMax: view.getUint8(field.aerl) + 1, events: view.getUint32(field.oaes, true),
  }
}

export type NamespaceFacts = {
  readonly nsid: number
  readonly blockBytes: number
  readonly blockCount: number
  readonly metadataBytes: number
  readonly protection: boolean
  /** Deallocated blocks read as zeroes; Write Zeroes may deallocate. */
  readonly deallocatesToZero: boolean
  readonly zeroesMayDeallocate: boolean
  /** NSATTR: it is write protected at present. */
  readonly readOnly: boolean
  /** Hints, in blocks; 0 = nothing is known. */
  readonly boundaryBlocks: number
  readonly writeBlocks: number
  readonly deallocateBlocks: number
  readonly optimalBlocks: number
  /** Index of the LBA format in use. */
  readonly format: number
  /** null: a namespace without zones. */
  readonly zoned: ZonedFacts | null
}

/** null: there is no such namespace, or it is not active. */
export function namespaceFacts(nsid: number, data: Uint8Array, quirks: Quirks): NamespaceFacts | null {
  const view = viewOf(data)
  const field = IDENTIFY_NAMESPACE
  const blockCount = takeU64(view, field.nsze)
  if (blockCount === 0) return null
  const flbas = view.getUint8(field.flbas)
  const format = (flbas & FLBAS_LOW) | (flbas >> FLBAS_HIGH_SHIFT & 3) << 4
  const lbaf = field.lbaf + 4 * format
  const blockBytes = 2 ** view.getUint8(lbaf + LBAF.lbads)
  const dlfeat = view.getUint8(field.dlfeat)
  const optimal = (view.getUint8(field.nsfeat) & 0x10) !== 0
  const hint = (at: number): number => (optimal ? view.getUint16(at, true) + 1 : 0)
  const noiob = view.getUint16(field.noiob, true)
  return {
    nsid, blockBytes, blockCount, metadataBytes: view.getUint16(lbaf + LBAF.ms, true),
    protection: (view.getUint8(field.dps) & 7) !== 0,
    deallocatesToZero: takeBits(dlfeat, DLFEAT_BITS.read) === 1 && !quirks.deallocatesDirty,
    zeroesMayDeallocate: takeBits(dlfeat, DLFEAT_BITS.deac) === 1,
    readOnly: (view.getUint8(field.nsattr) & 1) !== 0,
    boundaryBlocks: noiob !== 0 ? noiob : quirks.boundaryBytes / blockBytes,
    writeBlocks: hint(field.npwg), deallocateBlocks: hint(field.npdg), optimalBlocks: hint(field.nows), format, zoned: null,
  }
}

function viewOf(data: Uint8Array): DataView {
  return new DataView(data.buffer, data.byteOffset, data.byteLength)
}
