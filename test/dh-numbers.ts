/**
 * Arithmetic of a Diffie-Hellman exchange on BigInt: what the test host calculates with, so that no
 * line of the target's checks itself.
 */

export function numberOf(bytes: Uint8Array): bigint {
  return BigInt(`0x${Buffer.from(bytes).toString('hex')}`)
}

/** Big-endian, with zeroes in front. */
export function bytesOf(value: bigint, bytes: number): Buffer {
  return Buffer.from(value.toString(16).padStart(bytes * 2, '0'), 'hex')
}

/** base ** exponent modulo prime. */
export function power(base: bigint, exponent: bigint, prime: bigint): bigint {
  let result = 1n
  let square = base % prime
  for (let rest = exponent; rest > 0n; rest >>= 1n) {
    if ((rest & 1n) === 1n) result = (result * square) % prime
    square = (square * square) % prime
  }
  return result
}
