/**
 * Seeds that are run again with every test: the first ones, so that there are some of every kind, and each one that
 * ever found something. simulation.test.ts runs them; `npm run sim -- --seed N --size S` shows one.
 */
export type KeptSeed = { readonly seed: number; readonly size: number; readonly why: string }

export const KEPT_SEEDS: readonly KeptSeed[] = [
  { seed: 1, size: 2500, why: 'memory, an Abort names an identifier that was used again, fused pairs of several hosts' },
  { seed: 2, size: 2500, why: 'hosts that give up, and are paused' },
]
