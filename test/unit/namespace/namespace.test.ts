/**
 * Namespace: its block size as a shift, and what it takes over from its snapshot.
 */
import { expect, test } from 'vitest'
import type { Device } from '../../../src/device/device.ts'
import { Namespace } from '../../../src/namespace/namespace.ts'
import { namespaceSnapshot } from '../controller/association.ts'

test.each([[512, 9], [4096, 12]])('%i bytes are a shift of %i', (blockBytes, blockShift) => {
  const snapshot = namespaceSnapshot(7, { blockBytes, blockCount: 2 ** 40, readOnly: true })
  const device = {} as Device
  const namespace = new Namespace(snapshot, device, 24)
  expect(namespace).toMatchObject({ nsid: 7, blockShift, blockCount: 2 ** 40, readOnly: true, counterAt: 24 })
  expect([namespace.device === device, namespace.snapshot === snapshot]).toEqual([true, true])
})
