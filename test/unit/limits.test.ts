/**
 * Limits: what follows from a configuration, at its ends.
 */
import { describe, expect, test } from 'vitest'
import { limitsOf, shimLimits, type Sizing } from '../../src/limits.ts'

const SIZING: Sizing = {
  engine: 0, connections: 64, queueDepth: 128, ioQueues: 8, inCapsuleBytes: 16384, maxTransferBytes: 1 << 20,
  bufferBytes: 64 << 20,
}
const isPowerOfTwo = (value: number): boolean => (value & (value - 1)) === 0

describe.each([16, 100, 128, 129, 1000, 1023, 1024])('queues of %i', (queueDepth) => {
  const limits = limitsOf({ ...SIZING, queueDepth })

  test('rings are powers of two, of at least what the shim asks for', () => {
    for (const value of [limits.rxBytes, limits.txEntries]) expect(isPowerOfTwo(value)).toBe(true)
    expect(limits.rxBytes).toBeGreaterThanOrEqual(65536)
    expect(limits.txEntries).toBeGreaterThanOrEqual(64)
  })

  test('a connection has a slot for every command its host may send', () => {
    expect(limits.connectionSlots).toBeGreaterThanOrEqual(queueDepth)
    expect(limits.slots).toBeGreaterThanOrEqual(limits.connectionSlots)
  })
})

test('powers of two are what they are', () => {
  for (let exponent = 16; exponent < 27; exponent++) {
    const limits = limitsOf({ ...SIZING, inCapsuleBytes: 2 ** exponent - 256 })
    expect(limits.rxBytes).toBe(Math.max(256 * 1024, 2 ** (exponent + 1)))
  }
})

test.each([0, 512, 16384, 256 * 1024])('a capsule with %i bytes fits the receive ring, and some more', (inCapsuleBytes) => {
  const capsule = 72 + 4 + 255 + Math.max(8192, inCapsuleBytes) + 4
  expect(limitsOf({ ...SIZING, inCapsuleBytes }).rxBytes).toBeGreaterThanOrEqual(capsule + 4096)
})

test('indices and tags fit 16 bits, and every slot can ask for all that it may', () => {
  const { slots, transfers, commandTransfers, opsMax } = limitsOf(SIZING)
  expect([slots <= 65535, transfers <= 65535, transfers >= slots * commandTransfers, opsMax >= slots])
    .toEqual([true, true, true, true])
})

test.each([[4096, 8 << 20], [1 << 20, 8 << 20], [16 << 20, 8 << 20], [16 << 20, 1 << 30]])(
  'transfers of %i with %i of buffers: a Compare fits beside what is reserved and what is kept',
  (maxTransferBytes, bufferBytes) => {
    const limits = limitsOf({ ...SIZING, maxTransferBytes, bufferBytes })
    const kept = limits.bufferBytes / 8
    expect(limits.bufferBytes - 2 * maxTransferBytes - kept).toBeGreaterThanOrEqual(2 * maxTransferBytes)
    expect(limits.bufferBytes % 4096).toBe(0)
  },
)

test('the shim gets the buffers of both kinds', () => {
  const limits = limitsOf({ ...SIZING, bufferBytes: (64 << 20) + 1 })
  expect(shimLimits(limits).bufferBytes).toBe((64 << 20) + 4096 + limits.adminBufferBytes)
  expect(shimLimits(limits).connectionsMax).toBe(64)
})
