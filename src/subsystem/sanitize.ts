/**
 * Sanitize: how far each subsystem is with it, and how the last one ended. media changes it; model asks for it to be
 * put into each snapshot; it is kept, so that what was interrupted goes on.        NVMe Base 2.0, 8.20
 *
 *   none ─▶ running ─▶ done        failed: nothing is served until another one succeeds, or, where that one had
 *                 └──▶ failed      AUSE, until a host leaves the failure mode
 * Invariant: what was answered as started is on the medium.
 */
import type { TargetSnapshot } from './subsystem.ts'

export type SanitizeStatus = 'running' | 'done' | 'failed'

/** cdw10, cdw11: of the command. */
export type SanitizeRecord = {
  readonly status: SanitizeStatus
  readonly cdw10: number
  readonly cdw11: number
  /** Failed, and nobody has left the failure mode. */
  readonly locked: boolean
}

export type SanitizeKeeper = {
  readonly load: (nqn: string) => SanitizeRecord | null
  /** Rejects when it is not certain that it is kept. */
  readonly save: (nqn: string, kept: SanitizeRecord) => Promise<void>
}

/** progress: 0 to 65535 while it runs. */
export type SanitizeSnapshot = SanitizeRecord & { readonly progress: number }

export class Sanitizes {
  readonly #keeper: SanitizeKeeper
  readonly #records = new Map<string, SanitizeSnapshot | null>()

  constructor(keeper: SanitizeKeeper) {
    this.#keeper = keeper
  }

  /** Throws a StartError when what was kept of this subsystem cannot be understood. */
  check(nqn: string): void {
    if (this.#records.has(nqn)) return
    const kept = this.#keeper.load(nqn)
    this.#records.set(nqn, kept === null ? null : { ...kept, progress: 0 })
  }

  /** null: there never was one. */
  of(nqn: string): SanitizeSnapshot | null {
    this.check(nqn)
    return this.#records.get(nqn)!
  }

  /** Rejects when it cannot be kept. In force when the target was completed anew. */
  async set(nqn: string, record: SanitizeRecord): Promise<void> {
    await this.#keeper.save(nqn, record)
    this.#records.set(nqn, { ...record, progress: 0 })
  }

  /** What cannot be kept holds until the target ends. */
  assume(nqn: string, record: SanitizeRecord): void {
    this.#records.set(nqn, { ...record, progress: 0 })
  }

  /** Of one that runs. */
  progress(nqn: string, progress: number): void {
    this.#records.set(nqn, { ...this.of(nqn)!, progress })
  }

  complete(target: TargetSnapshot): TargetSnapshot {
    const subsystems = target.subsystems.map((subsystem) => {
      const record = subsystem.kind === 'nvm' ? this.of(subsystem.nqn) : null
      return record === null ? subsystem : { ...subsystem, sanitize: record }
    })
    return { ...target, subsystems }
  }
}
