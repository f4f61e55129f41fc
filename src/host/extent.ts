/**
 * The part of a namespace that load is put on, in units of one command, and what the target permits there.
 * load.ts asks for it before it begins.                                               NVMe Base 2.0, Identify
 */
import { CNS, IDENTIFY_CONTROLLER, IDENTIFY_NAMESPACE, LBAF } from '../wire/identify.ts'
import { takeU64 } from '../wire/value.ts'
import { HostError } from './error.ts'
import type { Host } from './host.ts'
import type { LoadWish } from './load.ts'

const PAGE_BYTES = 4096
const UNITS_MAX = 2 ** 31
const VERIFIED_MAX = 2 ** 27
const FLBAS_FORMAT = 0x0f

export type Extent = {
  readonly lbaBytes: number
  readonly firstLba: number
  readonly unitCount: number
  readonly inCapsuleBytes: number
  readonly connections: number
}

/** Throws a HostError where the wish does not fit the target. */
export async function extentOf(host: Host, wish: LoadWish): Promise<Extent> {
  const controller = await host.identify(CNS.CONTROLLER, 0)
  const namespace = await host.identify(CNS.NAMESPACE, wish.nsid)
  const lbaCount = takeU64(namespace, IDENTIFY_NAMESPACE.nsze)
  if (lbaCount === 0) throw new HostError(`The subsystem has no namespace ${wish.nsid}. weft identify shows which it has.`)
  const format = namespace.getUint8(IDENTIFY_NAMESPACE.flbas) & FLBAS_FORMAT
  const lbaBytes = 2 ** namespace.getUint8(IDENTIFY_NAMESPACE.lbaf + format * 4 + LBAF.lbads)
  const mdts = controller.getUint8(IDENTIFY_CONTROLLER.mdts)
  const { blockBytes, offsetBytes, sizeBytes } = wish
  if (blockBytes % lbaBytes !== 0 || offsetBytes % lbaBytes !== 0) {
    throw new HostError(`The namespace has blocks of ${lbaBytes} bytes: --bs and --offset are multiples of that.`)
  }
  if (mdts !== 0 && blockBytes > PAGE_BYTES * 2 ** mdts) {
    throw new HostError(`The target takes at most ${PAGE_BYTES * 2 ** mdts} bytes in a command; --bs is ${blockBytes}.`)
  }
  const available = lbaCount * lbaBytes - offsetBytes
  const unitCount = Math.floor(Math.min(sizeBytes ?? available, available) / blockBytes)
  if (unitCount < 1) throw new HostError(`From --offset on there is no room for ${blockBytes} bytes.`)
  if (wish.verify && unitCount > VERIFIED_MAX) {
    throw new HostError(`To verify, at most ${VERIFIED_MAX} times ${blockBytes} bytes may be used: --size bounds it.`)
  }
  const { connections } = wish
  const granted = await host.grantQueues(connections)
  if (granted < connections) throw new HostError(`The target permits ${granted} I/O queues; --connections is ${connections}.`)
  return {
    lbaBytes, firstLba: offsetBytes / lbaBytes, unitCount: Math.min(unitCount, UNITS_MAX), connections,
    inCapsuleBytes: controller.getUint32(IDENTIFY_CONTROLLER.ioccsz, true) * 16 - 64,
  }
}
