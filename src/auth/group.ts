/**
 * DH groups: the safe primes of RFC 7919, Appendix A, from their definition. exchange calculates
 * in them.
 *
 *   p = 2^b - 2^(b - 64) + (⌊2^(b - 130) e⌋ + X) 2^64 - 1         generator 2
 *
 * OpenSSL recognises them, which saves it minutes of proving them prime and gives short exponents.
 * Invariant: a prime is made at most once, when somebody first needs it (3 ms for the largest).
 */

/** By bits: X of the definition. */
const OFFSETS: ReadonlyMap<number, bigint> = new Map([
  [2048, 560316n], [3072, 2625351n], [4096, 5736041n], [6144, 15705020n], [8192, 10965728n],
])
/** Digits beyond those that are needed, so that rounding stays out of them. */
const GUARD_BITS = 64

const primes = new Map<number, Buffer>()

/** Big-endian. bytes: 256, 384, 512, 768 or 1024. */
export function primeOf(bytes: number): Buffer {
  const known = primes.get(bytes)
  if (known !== undefined) return known
  const width = bytes * 8
  const offset = OFFSETS.get(width)!
  const bits = BigInt(width)
  const middle = (eulerBits(width - 130) + offset) << 64n
  const value = (1n << bits) - (1n << (bits - 64n)) + middle - 1n
  const prime = Buffer.from(value.toString(16), 'hex')
  primes.set(bytes, prime)
  return prime
}

/** ⌊2^bits e⌋, from the sum of 1 / k!. */
function eulerBits(bits: number): bigint {
  let term = 1n << BigInt(bits + GUARD_BITS)
  let sum = term
  for (let k = 1n; term > 0n; k += 1n) {
    term /= k
    sum += term
  }
  return sum >> BigInt(GUARD_BITS)
}
