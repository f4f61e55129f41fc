/** The simulated time. Everything in a simulation reads it; only world moves it on. */
export class Clock {
  /** Microseconds since the simulation began. */
  us = 0
  /** What the target's clock says of that moment, in ms: near a wrap of 2^32, if the seed wants it so. */
  readonly baseMs: number

  constructor(baseMs: number) {
    this.baseMs = baseMs
  }

  get ms(): number {
    return (this.baseMs + Math.floor(this.us / 1000)) | 0
  }
}
