/**
 * Limits: what follows from a configuration, at its ends.
 */
import { describe, expect, test } from 'vitest'
import { connectionsThatFit, limitsOf, shimLimits, type Sizing } from '../../src/limits.ts'

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
  for (const connections of [1, 64, 1024]) {
    const { slots, transfers, opsMax } = limitsOf({ ...SIZING, connections, queueDepth: 1024 })
    expect([slots <= 65535, transfers <= 65535, transfers > slots, opsMax >= slots]).toEqual([true, true, true, true])
  }
})

test('two reactors hold more than 65,535 commands of one controller, whatever they wait for', () => {
  expect(2 * limitsOf({ ...SIZING, connections: 1024, queueDepth: 1024 }).slots).toBeGreaterThan(65535)
})

/** native/arena.c, area by area. */
function arenaBytes(sizing: Sizing): number {
  const words = shimLimits(limitsOf(sizing))
  const { connectionsMax, opsMax, copiesMax, txEntries, rxBytes, bufferBytes } = words
  const lists = connectionsMax * (64 + 4 + 4) + 16 * (opsMax + 4096) + 32 * copiesMax + 64 * opsMax
  return 4096 + lists + 65536 + connectionsMax * (64 * txEntries + 2 * rxBytes) + bufferBytes
}

test.each([
  [4096, 1024, 16384], [4096, 128, 16384], [1024, 1024, 16384], [3000, 1024, 65536 - 256], [1, 16, 0],
])('%i connections of depth %i and %i bytes in a capsule: smaller rings, where that makes them fit', (
  connections, queueDepth, inCapsuleBytes,
) => {
  const sizing = { ...SIZING, connections, queueDepth, inCapsuleBytes }
  expect(connectionsThatFit(sizing)).toBeGreaterThanOrEqual(connections)
  expect(arenaBytes(sizing)).toBeLessThan(2 ** 31 - 4096)
})

test.each([[1024, 262144, 1024], [1024, 65536, 1024], [128, 262144, 1024]])(
  'depth %i, %i bytes in a capsule: as many as are said to fit do, one more does not', (queueDepth, inCapsuleBytes) => {
    const sizing = { ...SIZING, connections: 4096, queueDepth, inCapsuleBytes }
    const fit = connectionsThatFit(sizing)
    expect(fit).toBeLessThan(4096)
    expect(arenaBytes({ ...sizing, connections: fit })).toBeLessThan(2 ** 31 - 4096)
    expect(arenaBytes({ ...sizing, connections: fit + 16 })).toBeGreaterThan(2 ** 31 - 4096)
  },
)

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
