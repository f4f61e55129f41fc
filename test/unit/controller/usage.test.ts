/**
 * Usage: which files are looked at, and when; what identify finds of it.
 */
import { expect, test } from 'vitest'
import { COUNT } from '../../../src/controller/shared.ts'
import { Usage } from '../../../src/controller/usage.ts'
import type { DeviceSnapshot, NamespaceSnapshot } from '../../../src/subsystem/subsystem.ts'
import { namespaceSnapshot, sharedBlock, subsystemSnapshot } from './association.ts'

const fileAt = (path: string, discard = true): DeviceSnapshot => ({
  kind: 'file', path, file: 1, direct: true, logicalBytes: 512, physicalBytes: 4096, optimalBytes: 0, discardBytes: 0,
  boundaryBytes: 0, discard, zero: true, readOnly: false,
})

function rig() {
  const shared = sharedBlock()
  const sizes = new Map<string, number | null>([['/a', 4096], ['/b', 0]])
  const looked: string[] = []
  const usage = new Usage({
    shared, bytesOf: async (path) => {
      looked.push(path)
      return sizes.get(path) ?? null
    },
  })
  const adopt = (...namespaces: NamespaceSnapshot[]): void => usage.adopt([subsystemSnapshot({ namespaces })])
  const tick = async (): Promise<string[]> => {
    looked.length = 0
    await usage.tick()
    return [...looked].sort()
  }
  const used = (): (number | null)[] => [0, 1, 2, 3].map((counter) => shared.used(counter))
  return { shared, sizes, adopt, tick, used }
}

const [A, B] = [namespaceSnapshot(1, { uuid: 'a', device: fileAt('/a') }), namespaceSnapshot(2, { uuid: 'b', device: fileAt('/b') })]

test('files that get their space when blocks are written, and no others', async () => {
  const { adopt, tick, used } = rig()
  adopt(A, B, namespaceSnapshot(3, { device: fileAt('/whole', false) }), namespaceSnapshot(4))
  expect(used()).toEqual([null, null, null, null])
  expect(await tick()).toEqual(['/a', '/b'])
  expect(used()).toEqual([4096, 0, null, null])
})

test('after a command, once more after the last one, and else in turn', async () => {
  const { shared, sizes, adopt, tick, used } = rig()
  adopt(A, B)
  await tick()
  expect(await tick()).toEqual(['/a', '/b'])
  expect([...await tick(), ...await tick()].sort()).toEqual(['/a', '/b'])
  shared.counters[shared.counterAt(1, 0) + COUNT.WRITES] = 1
  shared.counters[shared.counterAt(0, 1) + COUNT.OTHERS] = 1
  sizes.set('/a', 8192)
  expect(await tick()).toEqual(['/a', '/b'])
  expect(await tick()).toEqual(['/a', '/b'])
  expect((await tick()).length).toBe(1)
  expect(used()).toEqual([8192, 0, null, null])
})

test('another namespace with its numbers begins without a figure, and so does one whose file cannot be asked', async () => {
  const { sizes, adopt, tick, used } = rig()
  adopt(A, B)
  await tick()
  sizes.set('/b', null)
  adopt({ ...A, uuid: 'c', device: fileAt('/c') }, B)
  expect(used()).toEqual([null, 0, null, null])
  await tick()
  expect(used()).toEqual([null, null, null, null])
  adopt(A)
  await tick()
  adopt()
  expect(used()).toEqual([null, null, null, null])
  expect(await tick()).toEqual([])
})

test('a look that ends when the namespace has gone tells nothing', async () => {
  const shared = sharedBlock()
  let end = (_bytes: number): void => {}
  const usage = new Usage({ shared, bytesOf: () => new Promise((resolve) => { end = resolve }) })
  usage.adopt([subsystemSnapshot({ namespaces: [A] })])
  const looking = usage.tick()
  usage.adopt([])
  end(5)
  await looking
  expect(shared.used(0)).toBe(null)
})
