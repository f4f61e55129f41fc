/**
 * What NVMe devices that weft drives say of their health, and how it goes into the SMART log of a subsystem. The
 * control plane reads their logs from time to time; catalogue keeps them, admin asks.     NVMe Base 2.0, SMART log
 *
 *   warnings: all of them    temperature, wear: the worst    counters: ours, or theirs where those are greater
 *
 * Invariant: a log without devices is what it is without this file.
 */
import { pciPlace } from '../nvme/address.ts'
import type { NamespaceSnapshot } from '../subsystem/subsystem.ts'
import { SMART_LOG } from '../wire/log-page.ts'
import { putU64, takeU64 } from '../wire/value.ts'

const SENSORS = 8
/** 16 bytes each, of which we count 8. */
const COUNTERS = [
  SMART_LOG.dur, SMART_LOG.duw, SMART_LOG.hrc, SMART_LOG.hwc, SMART_LOG.cbt, SMART_LOG.pcyc, SMART_LOG.poh,
  SMART_LOG.upl, SMART_LOG.mdie, SMART_LOG.eile,
]
/** 4 bytes each: minutes, and transitions of thermal management. */
const TIMES = [SMART_LOG.wctt, SMART_LOG.cctt, SMART_LOG.tmt1tc, SMART_LOG.tmt2tc, SMART_LOG.tttmt1, SMART_LOG.tttmt2]

export class DeviceHealth {
  /** By address. */
  readonly #logs = new Map<string, Uint8Array>()

  set(address: string, log: Uint8Array): void {
    this.#logs.set(address, log)
  }

  /** The logs of the devices that these namespaces are on. */
  of(namespaces: readonly Pick<NamespaceSnapshot, 'device'>[]): Uint8Array[] {
    const addresses = new Set(namespaces.flatMap(({ device }) =>
      (device.kind === 'pci' ? [pciPlace(device.path)!.address] : [])))
    return [...addresses].flatMap((address) => this.#logs.get(address) ?? [])
  }
}

/** Puts what devices say into a SMART log that has what we know. */
export function mergeSmart(view: DataView, logs: readonly Uint8Array[]): void {
  if (logs.length === 0) return
  const views = logs.map((log) => new DataView(log.buffer, log.byteOffset, log.byteLength))
  const most = (at: number, take: (each: DataView, at: number) => number): number =>
    Math.max(...views.map((each) => take(each, at)))
  const byte = (each: DataView, at: number): number => each.getUint8(at)
  const half = (each: DataView, at: number): number => each.getUint16(at, true)
  const word = (each: DataView, at: number): number => each.getUint32(at, true)
  for (const each of views) view.setUint8(SMART_LOG.cw, view.getUint8(SMART_LOG.cw) | each.getUint8(SMART_LOG.cw))
  view.setUint16(SMART_LOG.ctemp, most(SMART_LOG.ctemp, half), true)
  view.setUint8(SMART_LOG.avsp, Math.min(...views.map((each) => each.getUint8(SMART_LOG.avsp))))
  view.setUint8(SMART_LOG.avspt, most(SMART_LOG.avspt, byte))
  view.setUint8(SMART_LOG.pused, most(SMART_LOG.pused, byte))
  for (const at of COUNTERS) {
    // What does not fit a safe integer is more than anybody counts.
    const theirs = views.reduce((sum, each) => sum + (takeU64(each, at) || 0), 0)
    putU64(view, at, Math.min(Number.MAX_SAFE_INTEGER, Math.max(takeU64(view, at), theirs)))
  }
  for (const at of TIMES) view.setUint32(at, most(at, word), true)
  for (let sensor = 0; sensor < SENSORS; sensor++) {
    const at = SMART_LOG.tsen + 2 * sensor
    view.setUint16(at, most(at, half), true)
  }
}
