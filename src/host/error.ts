/**
 * Why something that connects to a target failed: a sentence for the person who asked for it.
 * Thrown in this folder; main.ts shows it and exits with 1, discovery/ writes it to the log.
 */
export class HostError extends Error {
  override readonly name = 'HostError'
}
