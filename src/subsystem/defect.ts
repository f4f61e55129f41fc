/**
 * Defects: blocks that hosts have marked as unreadable, by Write Uncorrectable, until they are written again.
 * model asks for them to be put into each snapshot, upkeep changes them; those of files and devices are kept in a
 * file of the subsystem.                                        NVM Command Set 1.0, 3.2.7 Write Uncorrectable
 *
 *   [first, end, first, end, …]     ascending, none touches the next; kept in units of 512 bytes, so that they
 *                                   are the same bytes where the configuration says another block size later
 *
 * Invariant: what was answered as marked is on the medium, as long as what is in the namespace is.
 */
import { STATUS } from '../wire/status.ts'
import type { NamespaceSnapshot, TargetSnapshot } from './subsystem.ts'

/** Ranges of one namespace: each is sent to every reactor, and looked at for each command. */
export const DEFECTS_MAX = 1024

const UNIT_BYTES = 512

/** By UUID: ranges as above, in units. */
export type KeptDefects = Readonly<Record<string, readonly number[]>>

export type DefectKeeper = {
  /** null: nothing was kept. Throws a StartError where the file is not to be trusted. */
  readonly load: (nqn: string) => KeptDefects | null
  /** Rejects when it is not certain that it is kept. */
  readonly save: (nqn: string, kept: KeptDefects) => Promise<void>
}

type Entry = { ranges: readonly number[]; readonly lasts: boolean }

export class Defects {
  readonly #keeper: DefectKeeper
  /** By NQN, then UUID. */
  readonly #entries = new Map<string, Map<string, Entry>>()

  constructor(keeper: DefectKeeper) {
    this.#keeper = keeper
  }

  /** Throws a StartError when what was kept of this subsystem cannot be understood. */
  check(nqn: string): void {
    if (this.#entries.has(nqn)) return
    const kept = Object.entries(this.#keeper.load(nqn) ?? {})
    this.#entries.set(nqn, new Map(kept.map(([uuid, ranges]) => [uuid, { ranges, lasts: true }])))
  }

  /** The target, each namespace with its defects. Those of one that went with its contents are forgotten. */
  complete(target: TargetSnapshot): TargetSnapshot {
    const subsystems = target.subsystems.map((subsystem) => {
      if (subsystem.kind === 'discovery') return subsystem
      this.check(subsystem.nqn)
      const entries = this.#entries.get(subsystem.nqn)!
      for (const [uuid, { lasts }] of entries) {
        if (!lasts && !subsystem.namespaces.some((each) => each.uuid === uuid)) entries.delete(uuid)
      }
      const namespaces = subsystem.namespaces.map(({ defects: _, ...each }) => {
        const ranges = entries.get(each.uuid)?.ranges ?? []
        return ranges.length === 0 ? each : { ...each, defects: inBlocks(ranges, each.blockBytes / UNIT_BYTES) }
      })
      return { ...subsystem, namespaces }
    })
    return { ...target, subsystems }
  }

  /** Returns a status. In force when the target was completed anew. */
  mark(nqn: string, namespace: NamespaceSnapshot, lba: number, blockCount: number): Promise<number> {
    return this.#change(nqn, namespace, (ranges, units) => withRange(ranges, lba * units, (lba + blockCount) * units))
  }

  /** These blocks were written, and what was written is on the medium. */
  heal(nqn: string, namespace: NamespaceSnapshot, lba: number, blockCount: number): Promise<number> {
    return this.#change(nqn, namespace, (ranges, units) => withoutRange(ranges, lba * units, (lba + blockCount) * units))
  }

  /** Returns a status: what was not kept did not happen. */
  async #change(
    nqn: string, namespace: NamespaceSnapshot, edit: (ranges: readonly number[], units: number) => number[],
  ): Promise<number> {
    this.check(nqn)
    const entries = this.#entries.get(nqn)!
    const { uuid, device, blockBytes } = namespace
    const before = entries.get(uuid)
    const ranges = edit(before?.ranges ?? [], blockBytes / UNIT_BYTES)
    if (ranges.length > 2 * DEFECTS_MAX) return STATUS.CAPACITY_EXCEEDED
    const lasts = device.kind !== 'memory' && device.kind !== 'null'
    if (ranges.length === 0) entries.delete(uuid)
    else entries.set(uuid, { ranges, lasts })
    if (!lasts) return 0
    const kept = [...entries].filter(([, each]) => each.lasts).map(([id, each]) => [id, each.ranges])
    try {
      await this.#keeper.save(nqn, Object.fromEntries(kept))
    } catch {
      // Others may have changed it meanwhile; then their outcome stands.
      if (entries.get(uuid)?.ranges === ranges || ranges.length === 0 && !entries.has(uuid)) {
        if (before === undefined) entries.delete(uuid)
        else entries.set(uuid, before)
      }
      return STATUS.INTERNAL_ERROR
    }
    return 0
  }
}

/** A block of which a part is marked is marked: ranges that meet in one become one. */
function inBlocks(ranges: readonly number[], units: number): readonly number[] {
  if (units === 1) return ranges
  const result: number[] = []
  for (let k = 0; k < ranges.length; k += 2) {
    const [first, end] = [Math.floor(ranges[k]! / units), Math.ceil(ranges[k + 1]! / units)]
    if (result.length !== 0 && result.at(-1)! >= first) result[result.length - 1] = Math.max(result.at(-1)!, end)
    else result.push(first, end)
  }
  return result
}

function withRange(ranges: readonly number[], first: number, end: number): number[] {
  const result: number[] = []
  let [from, to] = [first, end]
  for (let k = 0; k < ranges.length; k += 2) {
    if (ranges[k]! <= to && ranges[k + 1]! >= from) {
      from = Math.min(from, ranges[k]!)
      to = Math.max(to, ranges[k + 1]!)
    } else result.push(ranges[k]!, ranges[k + 1]!)
  }
  result.push(from, to)
  return result.sort((one, other) => one - other)
}

function withoutRange(ranges: readonly number[], first: number, end: number): number[] {
  const result: number[] = []
  for (let k = 0; k < ranges.length; k += 2) {
    const [from, to] = [ranges[k]!, ranges[k + 1]!]
    if (from < first) result.push(from, Math.min(to, first))
    if (to > end) result.push(Math.max(from, end), to)
  }
  return result
}
