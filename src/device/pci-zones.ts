/**
 * The zones of a namespace that an NVMe device has: what pci.ts does besides for one with zones. Zones are the
 * device's: their states, write pointers and limits are checked there, and its status is the host's.
 * pci → here → nvme/queue-pair.              Zoned Namespace Command Set 1.1, I/O commands
 *
 * Invariant: a command of a host that writes into a zone is one command of the device.
 */
import type { Geometry } from '../nvme/geometry.ts'
import type { QueuePair } from '../nvme/queue-pair.ts'
import type { ZonedFacts } from '../nvme/zoned-facts.ts'
import { lbaOf, type Slot } from '../reactor/slots.ts'
import { RW_CONTROL, ZONE_OPCODE } from '../wire/sqe.ts'
import { STATUS } from '../wire/status.ts'
import type { Outcome, ZonedDevice } from './device.ts'

const FUA = RW_CONTROL.FUA << 16

export class PciZones implements ZonedDevice {
  readonly #pair: QueuePair
  readonly #zoned: ZonedFacts
  readonly #geometry: Geometry
  readonly #done: number
  readonly #append: number

  /** done, append: steps of the slot that pci.ts resumes by. */
  constructor(pair: QueuePair, zoned: ZonedFacts, geometry: Geometry, done: number, append: number) {
    this.#pair = pair
    this.#zoned = zoned
    this.#geometry = geometry
    this.#done = done
    this.#append = append
  }

  /** The slot's blocks are of several zones. */
  crosses(slot: Slot): boolean {
    const { zoneBlocks } = this.#zoned
    const lba = lbaOf(slot)
    return Math.floor(lba / zoneBlocks) !== Math.floor((lba + slot.blockCount - 1) / zoneBlocks)
  }

  crossesForReading(slot: Slot): boolean {
    return !this.#zoned.readsAcross && this.crosses(slot)
  }

  append(slot: Slot): Outcome {
    const { blockCount } = slot
    if (blockCount > this.#geometry.transferBlocks) return STATUS.INVALID_FIELD
    slot.step = this.#append
    return this.#pair.submit(
      slot.index, ZONE_OPCODE.APPEND, this.#geometry, blockCount, slot.fua === 1 ? FUA : 0,
      slot.lbaLo, slot.lbaHi, blockCount, slot.buffer,
    )
  }

  manage(slot: Slot, cdw13: number, withData: boolean): Outcome {
    if (withData && this.#isTooLong(slot)) return STATUS.INVALID_FIELD
    slot.step = this.#done
    return this.#pair.manage(
      slot.index, ZONE_OPCODE.MANAGEMENT_SEND, this.#geometry, slot.lbaLo, slot.lbaHi, 0, cdw13,
      slot.buffer, withData ? slot.bytes : 0,
    )
  }

  report(slot: Slot, cdw13: number): Outcome {
    if (this.#isTooLong(slot)) return STATUS.INVALID_FIELD
    slot.step = this.#done
    return this.#pair.manage(
      slot.index, ZONE_OPCODE.MANAGEMENT_RECEIVE, this.#geometry, slot.lbaLo, slot.lbaHi, slot.bytes / 4 - 1, cdw13,
      slot.buffer, slot.bytes,
    )
  }

  /** For one command of the device. */
  #isTooLong(slot: Slot): boolean {
    return slot.bytes > this.#geometry.transferBlocks << this.#geometry.blockShift
  }
}
