/**
 * PCI device: the blocks are a namespace of an NVMe controller that this reactor drives itself, by a queue pair of
 * its own.  namespace → pci → nvme/queue-pair.  Payload lives in a buffer of the arena, which the device reads and
 * writes: device → buffer → socket, and the other way round, without a copy.
 *
 *   zero, verify, compare    by the device's own commands where it has them, else by writing, reading, comparing
 *
 * Invariant: a slot's request and its buffer end together; step says what a completion belongs to.
 */
import type { Geometry } from '../nvme/geometry.ts'
import type { QueuePair } from '../nvme/queue-pair.ts'
import type { Buffers } from '../reactor/buffers.ts'
import { lbaOf, type Slot } from '../reactor/slots.ts'
import type { Work } from '../reactor/work.ts'
import type { DeviceSnapshot } from '../subsystem/subsystem.ts'
import { IO_OPCODE as IO_OPCODE_, RW_CONTROL as RW_CONTROL_ } from '../wire/sqe.ts'
import { STATUS as STATUS_ } from '../wire/status.ts'
import {
  type Device, type Outcome, PENDING as PENDING_, STALL as STALL_, WANTS_DATA as WANTS_DATA_, type ZonedDevice,
} from './device.ts'
import { statusOfErrno } from './errno.ts'
import { PciZones } from './pci-zones.ts'

// V8 folds the constants of a module, but not those that it imports: docs/adr/0005.
const IO_OPCODE = IO_OPCODE_
const STATUS = STATUS_
const PENDING = PENDING_
const STALL = STALL_
const WANTS_DATA = WANTS_DATA_
const FUA = RW_CONTROL_.FUA << 16
const DEAC = RW_CONTROL_.DEAC << 16

const TWO_32 = 4294967296
/** DONE: the device's answer is the command's. APPEND: as DONE, with the place where blocks were put. */
const STEP = { DONE: 1, FILL: 2, VERIFY: 3, COMPARE_READ: 4, COMPARE: 5, ZERO: 6, APPEND: 7 } as const
/** What Verify reads at a time where the device has no such command. */
const VERIFY_BYTES = 128 * 1024
const SCT_SHIFT = 8
const SCT_MEDIA = 2
const STATUS_CODE = 0x7ff
const COMPARE_FAILURE_CODE = 0x285

type PciSnapshot = Extract<DeviceSnapshot, { kind: 'pci' }>

export class PciDevice implements Device {
  readonly kind = 'pci'
  readonly zones: ZonedDevice | null
  readonly #zoned: PciZones | null
  readonly #pair: QueuePair
  readonly #work: Work
  readonly #buffers: Buffers
  readonly #snapshot: PciSnapshot
  readonly #geometry: Geometry
  readonly #zeroAt: number
  readonly #zeroBlocks: number
  readonly #failed: (status: number, operation: string) => void

  /** zeroAt: arena offset of zeroBytes bytes that nobody writes. failed: told of each failure of the medium. */
  constructor(
    pair: QueuePair, work: Work, buffers: Buffers, snapshot: PciSnapshot, zeroAt: number, zeroBytes: number,
    failed: (status: number, operation: string) => void,
  ) {
    this.#pair = pair
    this.#work = work
    this.#buffers = buffers
    this.#snapshot = snapshot
    this.#geometry = snapshot.geometry
    this.#zeroAt = zeroAt
    const { zoned, geometry } = snapshot
    this.#zoned = zoned === null ? null : new PciZones(pair, zoned, geometry, STEP.DONE, STEP.APPEND)
    this.zones = this.#zoned
    const zeroBlocks = zeroBytes >> geometry.blockShift
    // What is written into a zone goes by one command at a time.
    this.#zeroBlocks = zoned === null ? zeroBlocks : Math.min(zeroBlocks, geometry.transferBlocks)
    this.#failed = failed
  }

  read(slot: Slot): Outcome {
    if (!this.#takeBuffer(slot, slot.bytes)) return STALL
    return this.#transfer(slot, IO_OPCODE.READ, slot.buffer)
  }

  place(slot: Slot): Outcome {
    return this.#takeBuffer(slot, slot.bytes) ? WANTS_DATA : STALL
  }

  write(slot: Slot): Outcome {
    return this.#transfer(slot, IO_OPCODE.WRITE, slot.buffer)
  }

  flush(slot: Slot): Outcome {
    if (!this.#snapshot.volatileCache) return 0
    slot.step = STEP.DONE
    return this.#pair.submit(slot.index, IO_OPCODE.FLUSH, this.#geometry, 1, 0, 0, 0, 1, 0)
  }

  zero(slot: Slot, deallocate: boolean): Outcome {
    slot.progress = 0
    const zoned = this.#zoned
    if (zoned !== null && zoned.crosses(slot)) return STATUS.ZONE_BOUNDARY_ERROR
    const pieces = zoned !== null && slot.blockCount > this.#geometry.zeroBlocks
    if (pieces || !this.#snapshot.writeZeroes) return this.#fill(slot)
    slot.step = STEP.ZERO
    const { zeroesMayDeallocate } = this.#snapshot
    return this.#blocks(
      slot, IO_OPCODE.WRITE_ZEROES, this.#geometry.zeroBlocks, deallocate && zeroesMayDeallocate ? DEAC : 0,
    )
  }

  /** Advice, where the device cannot do that. */
  deallocate(slot: Slot): Outcome {
    if (!this.#snapshot.deallocate) return 0
    slot.step = STEP.DONE
    return this.#blocks(slot, IO_OPCODE.DATASET_MANAGEMENT, this.#geometry.rangeBlocks, 0)
  }

  placeCompare(slot: Slot): Outcome {
    const bytes = this.#snapshot.compare ? slot.bytes : 2 * half(slot)
    return this.#takeBuffer(slot, bytes) ? WANTS_DATA : STALL
  }

  compare(slot: Slot): Outcome {
    if (this.#snapshot.compare) return this.#transfer(slot, IO_OPCODE.COMPARE, slot.buffer)
    const outcome = this.#transfer(slot, IO_OPCODE.READ, slot.buffer + half(slot))
    slot.step = STEP.COMPARE_READ
    return outcome
  }

  fetch(slot: Slot, at: number): Outcome {
    return this.#transfer(slot, IO_OPCODE.READ, at)
  }

  store(slot: Slot, at: number): Outcome {
    return this.#transfer(slot, IO_OPCODE.WRITE, at)
  }

  verify(slot: Slot): Outcome {
    slot.progress = 0
    if (this.#zoned !== null && this.#zoned.crossesForReading(slot)) return STATUS.ZONE_BOUNDARY_ERROR
    if (this.#snapshot.verify) {
      slot.step = STEP.DONE
      return this.#blocks(slot, IO_OPCODE.VERIFY, this.#geometry.verifyBlocks, 0)
    }
    const bytes = slot.blockCount << this.#geometry.blockShift
    if (!this.#takeBuffer(slot, Math.min(VERIFY_BYTES, bytes))) return STALL
    return this.#verifyPiece(slot)
  }

  /** result: the status that the device answered with; of a comparison in memory, that of the shim. */
  resume(slot: Slot, result: number): Outcome {
    const step = slot.step
    if (step === STEP.COMPARE) {
      if (result < 0) return statusOfErrno(-result)
      return result === 0 ? 0 : STATUS.COMPARE_FAILURE
    }
    if (result !== 0) return this.#failure(slot, step, result)
    switch (step) {
      case STEP.APPEND:
        slot.dw0 = this.#pair.appendedLo
        slot.dw1 = this.#pair.appendedHi
        return 0
      case STEP.FILL:
        return this.#fill(slot)
      case STEP.VERIFY:
        return this.#verifyPiece(slot)
      case STEP.COMPARE_READ: {
        const at = slot.buffer
        slot.step = STEP.COMPARE
        this.#work.compare(slot.index, at, slot.bytes, 0, at + half(slot), 0)
        return PENDING
      }
      default:
        return 0
    }
  }

  #failure(slot: Slot, step: number, status: number): Outcome {
    const code = status & STATUS_CODE
    // What the device announces and then does not take is done otherwise.
    if (step === STEP.ZERO && (code === 0x01 || code === 0x02)) {
      slot.progress = 0
      return this.#fill(slot)
    }
    const isMedium = code >> SCT_SHIFT === SCT_MEDIA && code !== COMPARE_FAILURE_CODE
    if (isMedium || status === STATUS.INTERNAL_ERROR) {
      this.#failed(status, step === STEP.FILL || step === STEP.ZERO ? 'zeroing blocks' : 'a command')
    }
    return status
  }

  #takeBuffer(slot: Slot, bytes: number): boolean {
    const at = this.#buffers.take(bytes, slot.keepPages)
    if (at === -1) return false
    slot.own(at)
    return true
  }

  /** Read, Write or Compare of the slot's blocks with what is at an arena offset. */
  #transfer(slot: Slot, opcode: number, at: number): Outcome {
    // Not in pieces, which a device may run in any order. Hosts that came before the namespace know a larger MDTS.
    if (this.#zoned !== null && slot.blockCount > this.#geometry.transferBlocks) return STATUS.INVALID_FIELD
    slot.step = STEP.DONE
    return this.#pair.submit(
      slot.index, opcode, this.#geometry, this.#geometry.transferBlocks,
      slot.fua === 1 && opcode === IO_OPCODE.WRITE ? FUA : 0, slot.lbaLo, slot.lbaHi, slot.blockCount, at,
    )
  }

  /** A command on the slot's blocks that carries none of them. */
  #blocks(slot: Slot, opcode: number, limit: number, control: number): Outcome {
    const durable = slot.fua === 1 && opcode === IO_OPCODE.WRITE_ZEROES ? FUA : 0
    return this.#pair.submit(
      slot.index, opcode, this.#geometry, limit, control | durable, slot.lbaLo, slot.lbaHi, slot.blockCount, 0,
    )
  }

  #fill(slot: Slot): Outcome {
    return this.#piece(slot, IO_OPCODE.WRITE, STEP.FILL, this.#zeroAt, this.#zeroBlocks)
  }

  #verifyPiece(slot: Slot): Outcome {
    return this.#piece(slot, IO_OPCODE.READ, STEP.VERIFY, slot.buffer, VERIFY_BYTES >> this.#geometry.blockShift)
  }

  /** The next blocks of the slot, with an arena offset; 0 when there are none left. progress: blocks. */
  #piece(slot: Slot, opcode: number, step: number, at: number, blocksMax: number): Outcome {
    const done = slot.progress
    const blocks = Math.min(blocksMax, slot.blockCount - done)
    if (blocks <= 0) return 0
    const lba = lbaOf(slot) + done
    slot.progress = done + blocks
    slot.step = step
    return this.#pair.submit(
      slot.index, opcode, this.#geometry, this.#geometry.transferBlocks,
      slot.fua === 1 && opcode === IO_OPCODE.WRITE ? FUA : 0, lba | 0, (lba / TWO_32) | 0, blocks, at,
    )
  }
}

/** Half of a buffer to compare in: the data, in whole pages. */
function half(slot: Slot): number {
  return (slot.bytes + 4095) & ~4095
}
