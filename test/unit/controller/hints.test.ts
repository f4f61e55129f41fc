/**
 * Hints: what becomes of the preferences of memory, files and block devices, and of odd ones.
 */
import { expect, test } from 'vitest'
import { hintsOf } from '../../../src/controller/hints.ts'
import type { DeviceSnapshot } from '../../../src/subsystem/subsystem.ts'
import { namespaceSnapshot } from './association.ts'

const FILE = {
  kind: 'file', path: '/disk', file: 0, direct: true, logicalBytes: 512, physicalBytes: 4096, optimalBytes: 0,
  discardBytes: 4096, boundaryBytes: 0, discard: true, zero: true, readOnly: false,
} as const satisfies DeviceSnapshot
const BLOCK = { ...FILE, kind: 'block', optimalBytes: 65536, discardBytes: 8192, boundaryBytes: 131072 } as const

/** writeBlocks, deallocateBlocks, optimalBlocks, boundaryBlocks, atomicBlocks */
const numbers = (device: DeviceSnapshot, blockBytes = 512): number[] =>
  Object.values(hintsOf(namespaceSnapshot(1, { device, blockBytes })))

test.each<[string, DeviceSnapshot, number, number[]]>([
  ['null', { kind: 'null' }, 512, [1, 1, 1, 0, 1]],
  ['memory', { kind: 'memory', region: 1 }, 512, [8, 8, 8, 0, 1]],
  ['memory, 4096', { kind: 'memory', region: 1 }, 4096, [1, 1, 1, 0, 1]],
  ['a file', FILE, 512, [8, 8, 8, 0, 1]],
  ['a file, 4096', FILE, 4096, [1, 1, 1, 0, 1]],
  ['a block device', BLOCK, 512, [8, 16, 128, 256, 8]],
  ['a block device, 4096', BLOCK, 4096, [1, 2, 16, 32, 1]],
  ['a block device through the page cache', { ...BLOCK, direct: false }, 512, [8, 16, 128, 256, 1]],
  ['a device that says nothing', { ...BLOCK, physicalBytes: 512, optimalBytes: 0, discardBytes: 0, boundaryBytes: 0 },
    512, [1, 1, 1, 0, 1]],
  ['an optimum that is no multiple', { ...BLOCK, optimalBytes: 33553920 }, 512, [8, 16, 8, 256, 8]],
  ['more than fits', { ...BLOCK, optimalBytes: 2 ** 30, boundaryBytes: 2 ** 30 }, 512, [8, 16, 8, 0, 8]],
])('%s', (_name, device, blockBytes, wanted) => {
  expect(numbers(device, blockBytes)).toEqual(wanted)
})
