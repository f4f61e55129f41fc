/**
 * Formats: the block sizes that namespaces can have, those that hosts have chosen, and which namespaces are being
 * formatted. media changes them; stock asks when it opens storage.     NVM Command Set 1.0, Format NVM
 *
 * What a host chose counts until the configuration says another size than it did then.
 * Invariant: hosts see the same list of sizes through every controller.
 */
import type { DeviceSnapshot, NamespaceSnapshot, SubsystemSnapshot, TargetSnapshot } from './subsystem.ts'

const BLOCK_SIZES = [512, 4096] as const
export type BlockBytes = (typeof BLOCK_SIZES)[number]

/** configured: what the configuration said at that time, null = nothing. */
export type KeptFormat = { readonly configured: BlockBytes | null; readonly blockBytes: BlockBytes }
/** By UUID. */
export type KeptFormats = Readonly<Record<string, KeptFormat>>

export type FormatKeeper = {
  readonly load: (nqn: string) => KeptFormats | null
  /** Rejects when it is not certain that it is kept. */
  readonly save: (nqn: string, kept: KeptFormats) => Promise<void>
}

type Configured = { readonly uuid: string; readonly blockBytes: BlockBytes | null }

export class Formats {
  readonly #keeper: FormatKeeper
  readonly #chosen = new Map<string, KeptFormats>()
  /** By UUID: percent that are left of it. */
  readonly #running = new Map<string, number>()

  constructor(keeper: FormatKeeper) {
    this.#keeper = keeper
  }

  /** Throws a StartError when what was kept of this subsystem cannot be understood. */
  check(nqn: string): void {
    if (!this.#chosen.has(nqn)) this.#chosen.set(nqn, this.#keeper.load(nqn) ?? {})
  }

  /** The block size that a namespace is to be opened with. */
  blockBytesOf(nqn: string, { uuid, blockBytes }: Configured): BlockBytes | null {
    this.check(nqn)
    const kept = this.#chosen.get(nqn)![uuid]
    return kept !== undefined && kept.configured === blockBytes ? kept.blockBytes : blockBytes
  }

  /** A host has chosen. Rejects when that cannot be kept. */
  async choose(nqn: string, { uuid, blockBytes: configured }: Configured, blockBytes: BlockBytes): Promise<void> {
    this.check(nqn)
    const { [uuid]: _, ...others } = this.#chosen.get(nqn)!
    const chosen = blockBytes === configured ? others : { ...others, [uuid]: { configured, blockBytes } }
    await this.#keeper.save(nqn, chosen)
    this.#chosen.set(nqn, chosen)
  }

  /** percent: what is left; null = it is not being formatted. In force when the target was completed anew. */
  progress(uuid: string, percent: number | null): void {
    if (percent === null) this.#running.delete(uuid)
    else this.#running.set(uuid, percent)
  }

  isRunning(uuid: string): boolean {
    return this.#running.has(uuid)
  }

  complete(target: TargetSnapshot): TargetSnapshot {
    const subsystems = target.subsystems.map((subsystem) => ({
      ...subsystem,
      namespaces: subsystem.namespaces.map(({ formatting: _, ...each }): NamespaceSnapshot => {
        const left = this.#running.get(each.uuid)
        return left === undefined ? each : { ...each, formatting: left }
      }),
    }))
    return { ...target, subsystems }
  }
}

/** By LBA format: the block sizes that a namespace can have. */
export function blockSizesOf({ device, blockBytes, blockCount }: NamespaceSnapshot): readonly number[] {
  if (device.kind === 'pci') return [blockBytes]
  const sizes = BLOCK_SIZES.filter((each) => each >= leastOf(device) && each <= blockBytes * blockCount)
  return sizes.some((each) => each === blockBytes) ? sizes : [blockBytes]
}

/** weft can erase its namespaces, and give them other blocks: no controller of another maker has one of them. */
export function erasesMedia({ namespaces }: Pick<SubsystemSnapshot, 'namespaces'>): boolean {
  return namespaces.every(({ device }) => device.kind !== 'pci')
}

/** The same of all that is in the subsystem, for a host that is shown all of it. */
export function erasesAll(subsystem: Pick<SubsystemSnapshot, 'namespaces' | 'partial'>): boolean {
  return subsystem.partial !== true && erasesMedia(subsystem)
}

/** Direct transfers cannot be smaller. */
function leastOf(device: DeviceSnapshot): number {
  return device.kind === 'file' || device.kind === 'block' ? device.logicalBytes : 1
}
