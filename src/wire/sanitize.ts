/**
 * Sanitize: what its status log says. Tables only; src/controller/media.ts fills it, src/media.ts does the work.
 * NVMe Base 2.0, Sanitize Status log, LID 81h
 */
import { bits, layout } from './layout.ts'

/** sprog: of 65536 while it runs, else FFFFh. The others: seconds; FFFFFFFFh = not known. */
export const SANITIZE_LOG = layout('SANITIZE_LOG', 512, {
  sprog: [0, 2], sstat: [2, 2], scdw10: [4, 4], eto: [8, 4], etbe: [12, 4], etce: [16, 4], etond: [20, 4],
  etbend: [24, 4], etcend: [28, 4], rsvd32: [32, 480],
})
export const SANITIZE_LOG_BYTES = 512

/** passes: of an overwrite that are complete. gde: nothing was written since. */
export const SSTAT_BITS = bits('SSTAT', 16, { status: [0, 3], passes: [3, 5], gde: [8, 1] })
export const SSTAT = Object.freeze({ NEVER: 0, DONE: 1, RUNNING: 2, FAILED: 3 })
export const SANACT = Object.freeze({ EXIT_FAILURE: 1, BLOCK_ERASE: 2, OVERWRITE: 3, CRYPTO_ERASE: 4 })
