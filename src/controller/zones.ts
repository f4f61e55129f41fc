/**
 * Commands that only a namespace with zones has: Zone Append, Zone Management Send and Receive. io starts and runs
 * them as those of all namespaces.                 Zoned Namespace Command Set 1.1, I/O commands
 *
 *   Receive: a buffer, the device fills it       Send: none, or an extension of a descriptor       Append: as Write
 *
 * What zones do is the device's to say (device/pci-zones.ts); here is what a host may ask for at all.
 * Invariant: a buffer that is sent to a host holds nothing of what was in it before.
 */
import { type Outcome, STALL, WANTS_DATA, type ZonedDevice } from '../device/device.ts'
import type { Namespace } from '../namespace/namespace.ts'
import type { ZonedFacts } from '../nvme/zoned-facts.ts'
import type { Arena } from '../reactor/arena.ts'
import type { Buffers } from '../reactor/buffers.ts'
import type { Slot } from '../reactor/slots.ts'
import { hasZones, type SubsystemSnapshot, zonesOf } from '../subsystem/subsystem.ts'
import { CC, CC_CSS } from '../wire/fabrics.ts'
import { takeBits } from '../wire/layout.ts'
import { ZONE_OPCODE } from '../wire/sqe.ts'
import { STATUS } from '../wire/status.ts'
import { ZONE_ACTION, ZONE_RECEIVE_CDW13, ZONE_REPORT_BYTES, ZONE_REPORT_KIND, ZONE_SEND_CDW13 } from '../wire/zone.ts'
import type { Controller } from './controller.ts'
import { COUNT } from './shared.ts'

const TWO_32 = 4294967296
const LBA_HIGH_MAX = 0x1fffff
const [LBA_WORD, NUMD_WORD, CDW13_WORD] = [10, 12, 13]
const OPCODES: readonly number[] = Object.values(ZONE_OPCODE)
/** Actions that concern zones, and carry no data. */
const ACTIONS: readonly number[] = [
  ZONE_ACTION.CLOSE, ZONE_ACTION.FINISH, ZONE_ACTION.OPEN, ZONE_ACTION.RESET, ZONE_ACTION.OFFLINE,
]

export type ZoneParts = {
  readonly arena: Arena
  readonly buffers: Buffers
  readonly transferBytesMax: number
  /** Of IoExecutor: what it decodes and checks, keeps in the slot, and counts. */
  readonly range: (slot: Slot, namespace: Namespace, w: number, withData: boolean) => number
  readonly durability: (slot: Slot, namespace: Namespace, controller: Controller, w: number) => void
  readonly count: (namespace: Namespace, which: number, amount: number) => void
}

export class ZoneCommands {
  readonly #parts: ZoneParts

  constructor(parts: ZoneParts) {
    this.#parts = parts
  }

  /** w: word index of the entry. */
  start(slot: Slot, namespace: Namespace, controller: Controller, w: number): Outcome {
    const zones = zonesOf(namespace.snapshot)
    if (zones === null || !OPCODES.includes(slot.opcode)) return STATUS.INVALID_OPCODE
    this.#parts.count(namespace, COUNT.OTHERS, 1)
    switch (slot.opcode) {
      case ZONE_OPCODE.APPEND:
        return this.#append(slot, namespace, zones, controller, w)
      case ZONE_OPCODE.MANAGEMENT_SEND:
        return this.#send(slot, namespace, zones, w)
      default:
        return this.#receive(slot, namespace, zones, w)
    }
  }

  /** A buffer may be free now. */
  again(slot: Slot, namespace: Namespace): Outcome {
    if (slot.opcode === ZONE_OPCODE.APPEND) return namespace.device.place(slot)
    const { arena, buffers } = this.#parts
    const at = buffers.take(slot.bytes, slot.keepPages)
    if (at === -1) return STALL
    slot.own(at)
    if (slot.opcode === ZONE_OPCODE.MANAGEMENT_SEND) return WANTS_DATA
    arena.bytes.fill(0, at, at + slot.bytes)
    return devicesOf(namespace).report(slot, slot.progress)
  }

  /** The host's data are in place. */
  run(slot: Slot, namespace: Namespace): Outcome {
    const zones = devicesOf(namespace)
    if (slot.opcode === ZONE_OPCODE.MANAGEMENT_SEND) return zones.manage(slot, slot.progress, true)
    this.#parts.count(namespace, COUNT.WRITES, 1)
    this.#parts.count(namespace, COUNT.WRITTEN_BYTES, slot.bytes)
    return zones.append(slot)
  }

  #append(slot: Slot, namespace: Namespace, zones: ZonedFacts, controller: Controller, w: number): Outcome {
    const { range, durability } = this.#parts
    if (namespace.readOnly) return STATUS.NAMESPACE_WRITE_PROTECTED
    const status = range(slot, namespace, w, true)
    if (status !== 0) return status
    if (slot.bytes > zones.appendBytes) return STATUS.INVALID_FIELD
    durability(slot, namespace, controller, w)
    return namespace.device.place(slot)
  }

  #send(slot: Slot, namespace: Namespace, zones: ZonedFacts, w: number): Outcome {
    if (namespace.readOnly) return STATUS.NAMESPACE_WRITE_PROTECTED
    const cdw13 = this.#parts.arena.words[w + CDW13_WORD]!
    const action = takeBits(cdw13, ZONE_SEND_CDW13.zsa)
    const extends_ = action === ZONE_ACTION.SET_EXTENSION && zones.extensionBytes !== 0
    if (takeBits(cdw13, ZONE_SEND_CDW13.zsaso) !== 0) return STATUS.INVALID_FIELD
    if (!extends_ && !ACTIONS.includes(action)) return STATUS.INVALID_FIELD
    const all = takeBits(cdw13, ZONE_SEND_CDW13.all) === 1
    if (all && extends_) return STATUS.INVALID_FIELD
    const status = this.#aim(slot, namespace, all, zones.zoneBlocks, w)
    if (status !== 0) return status
    if (slot.bytes !== (extends_ ? zones.extensionBytes : 0)) return STATUS.DATA_SGL_LENGTH_INVALID
    slot.progress = cdw13
    return extends_ ? this.again(slot, namespace) : devicesOf(namespace).manage(slot, cdw13, false)
  }

  #receive(slot: Slot, namespace: Namespace, zones: ZonedFacts, w: number): Outcome {
    const { arena: { words }, transferBytesMax } = this.#parts
    const cdw13 = words[w + CDW13_WORD]!
    const kind = takeBits(cdw13, ZONE_RECEIVE_CDW13.zra)
    const isKnown = kind === ZONE_REPORT_KIND.REPORT || (kind === ZONE_REPORT_KIND.EXTENDED && zones.extensionBytes !== 0)
    const bytes = ((words[w + NUMD_WORD]! >>> 0) + 1) * 4
    if (!isKnown || bytes < ZONE_REPORT_BYTES || bytes > transferBytesMax) return STATUS.INVALID_FIELD
    if (bytes !== slot.bytes) return STATUS.DATA_SGL_LENGTH_INVALID
    const status = this.#aim(slot, namespace, false, zones.zoneBlocks, w)
    if (status !== 0) return status
    slot.progress = cdw13
    return this.again(slot, namespace)
  }

  /** The zone that is meant, or all of them: a status. */
  #aim(slot: Slot, namespace: Namespace, all: boolean, zoneBlocks: number, w: number): number {
    const { words } = this.#parts.arena
    const [lo, hi] = [words[w + LBA_WORD]!, words[w + LBA_WORD + 1]! >>> 0]
    slot.lbaLo = all ? 0 : lo
    slot.lbaHi = all ? 0 : hi | 0
    slot.blockCount = all ? namespace.blockCount : zoneBlocks
    if (all) return 0
    return hi > LBA_HIGH_MAX || (lo >>> 0) + hi * TWO_32 >= namespace.blockCount ? STATUS.LBA_OUT_OF_RANGE : 0
  }
}

/** Its subsystem as this host sees it: one that enabled the NVM command set alone sees no zones. */
export function visibleTo({ subsystem, admin }: Controller): SubsystemSnapshot {
  if (admin === null || takeBits(admin.cc, CC.css) === CC_CSS.ALL || !hasZones(subsystem)) return subsystem
  return { ...subsystem, namespaces: subsystem.namespaces.filter((each) => zonesOf(each) === null) }
}

function devicesOf(namespace: Namespace): ZonedDevice {
  return namespace.device.zones!
}
