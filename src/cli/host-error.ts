/**
 * Why a command that connects to a target failed: a sentence for the person who typed it.
 * Thrown by host.ts and socket.ts; main.ts shows it and exits with 1.
 */
export class HostError extends Error {
  override readonly name = 'HostError'
}
