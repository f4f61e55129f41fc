/**
 * Assertions about our own code. They stay on in production and end the reactor that broke one.
 * Never assert on what a host or a device can send: that is validation, and has a status.
 */
export class AssertionFailed extends Error {
  override readonly name = 'AssertionFailed'
}

/** message is a constant that names the invariant; a template literal would cost ten times the check. */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new AssertionFailed(message)
}
