/**
 * What V8 is told before reactors start; it holds for the process. docs/adr/0005 has what each is worth.
 * target and the measurements of the hot path set them.
 */

/** A young generation that is not filled soon, and no collection of it just because time went by. */
export const HEAP_FLAGS = ['--min-semi-space-size=16', '--no-minor-gc-task', '--expose-gc']

/** The way of a command becomes few pieces of code. All three limits end the inlining. */
export const INLINING_FLAGS = [
  '--max-inlined-bytecode-size=4000', '--max-inlined-bytecode-size-cumulative=12000',
  '--max-inlined-bytecode-size-absolute=6000',
]
