/**
 * The number of a reactor in messages: its index, and how often it was started again, so that what one that died was
 * to be told is not taken for its successor's. Of a reactor that never died it is the index.
 * reactors.ts gives it; whoever counts or names reactors asks for the index.
 */

/** More than a configuration may ask for. */
const INDICES = 1024

export function numberOf(index: number, life: number): number {
  return life * INDICES + index
}

export function indexOf(number: number): number {
  return number % INDICES
}
