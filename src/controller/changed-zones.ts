/**
 * Zones that have changed by themselves since a host read of them: the log BFh of each namespace. Of a controller;
 * events adds and tells, admin reads.               Zoned Namespace Command Set 1.1, Changed Zone List
 *
 * Invariant: first is a namespace whose log the host has not read, 0 = there is none.
 */
import { layoutOf } from '../wire/layout.ts'
import { putU64 } from '../wire/value.ts'
import { CHANGED_ZONES, CHANGED_ZONES_MAX, CHANGED_ZONES_TOO_MANY } from '../wire/zone.ts'

export class ChangedZones {
  /** By NSID: first blocks of zones; null: too many to name. */
  readonly #zones = new Map<number, Set<number> | null>()

  get first(): number {
    return this.#zones.keys().next().value ?? 0
  }

  add(nsid: number, zones: readonly number[] | null): void {
    const known = this.#zones.get(nsid)
    const all = zones === null || known === null ? null : new Set([...known ?? [], ...zones])
    this.#zones.set(nsid, all !== null && all.size > CHANGED_ZONES_MAX ? null : all)
  }

  /** The host has read it. */
  drop(nsid: number): void {
    this.#zones.delete(nsid)
  }

  reset(): void {
    this.#zones.clear()
  }

  page(nsid: number): Uint8Array {
    const view = new DataView(new ArrayBuffer(layoutOf(CHANGED_ZONES).bytes))
    const zones = this.#zones.get(nsid) ?? (this.#zones.has(nsid) ? null : new Set<number>())
    view.setUint16(CHANGED_ZONES.count, zones === null ? CHANGED_ZONES_TOO_MANY : zones.size, true)
    const listed = [...zones ?? []].sort((one, other) => one - other)
    for (const [index, slba] of listed.entries()) putU64(view, CHANGED_ZONES.zslbas + 8 * index, slba)
    return new Uint8Array(view.buffer)
  }
}
