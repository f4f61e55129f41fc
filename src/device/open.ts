/**
 * Makes the device of a namespace on this reactor, from what the control plane opened.
 * reactor-thread calls it once for each namespace, before the first turn.
 */
import type { Buffers } from '../reactor/buffers.ts'
import type { Work } from '../reactor/work.ts'
import type { Pairs } from '../nvme/pairs.ts'
import type { NamespaceSnapshot } from '../subsystem/subsystem.ts'
import type { Device } from './device.ts'
import { FileDevice } from './file.ts'
import { MemoryDevice } from './memory.ts'
import { NullDevice } from './null.ts'
import { PciDevice } from './pci.ts'

/** What devices of one reactor share. zeroAt: zeroes that nobody writes. */
export type DeviceParts = {
  readonly work: Work
  readonly buffers: Buffers
  readonly zeroAt: number
  /** Bytes at zeroAt: the largest transfer. */
  readonly transferBytes: number
  /** Of the NVMe controllers that this reactor drives. */
  readonly pairs: Pairs
  readonly reactor: number
}

/** failed: told of each errno of the device, and of what it was doing; refused: of each status that is a failure. */
export function openDevice(
  parts: DeviceParts, namespace: NamespaceSnapshot, failed: (errno: number, operation: string) => void,
  refused: (status: number, operation: string) => void,
): Device {
  const { work, buffers, zeroAt, transferBytes } = parts
  const { device, blockBytes } = namespace
  switch (device.kind) {
    case 'memory':
      return new MemoryDevice(work, buffers, device.region, blockBytes)
    case 'null':
      return new NullDevice(work, buffers, zeroAt, blockBytes)
    case 'pci':
      return new PciDevice(
        parts.pairs.use(device.places[parts.reactor]!), work, buffers, device, zeroAt, transferBytes, refused,
      )
    default:
      return new FileDevice(work, buffers, device, blockBytes, zeroAt, transferBytes, failed)
  }
}
