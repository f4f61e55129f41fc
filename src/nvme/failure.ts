/**
 * How a controller fails, and the time by which it is found out. Everybody in this folder throws it; controllers.ts
 * decides what follows.
 *
 * Invariant: the message is for an operator, and begins after "0000:03:00.0: ".
 */

/** gone: nothing answers. fatal: CSTS.CFS. late: no answer in time. refused: a command failed. unfit: not for us. */
export type FailureKind = 'gone' | 'fatal' | 'late' | 'refused' | 'unfit'

export class ControllerError extends Error {
  readonly kind: FailureKind
  /** What to do about it; '' = nothing that is known. */
  readonly remedy: string

  constructor(kind: FailureKind, message: string, remedy = '') {
    super(message)
    this.kind = kind
    this.remedy = remedy
  }
}

/** Tests have one that goes on only when it is waited for. */
export type Clock = {
  /** Monotonic, in ms. */
  now(): number
  pause(ms: number): Promise<void>
}

export const CLOCK: Clock = {
  now: () => performance.now(),
  pause: (ms) => new Promise((resolve) => { setTimeout(resolve, ms) }),
}
