/**
 * Properties: the registers of a controller, which a fabric reaches by Property Get and Property Set.
 * fabrics calls it with a decoded command.               NVMe Base 2.0, 3.1.3 and 3.5 (enable, shutdown)
 *
 *   CAP 00h 8 B │ VS 08h │ CC 14h rw │ CSTS 1Ch │ CRTO 68h          others: Invalid Field
 *
 * Invariant: the row's STATE is READY exactly while CC.EN = 1 and CSTS.RDY = 1 and no shutdown has begun.
 */
import { CAP, CRTO, NVME_VERSION, PROPERTY, PROPERTY_SIZE } from '../wire/fabrics.ts'
import { putBits } from '../wire/layout.ts'
import { hasZones } from '../subsystem/subsystem.ts'
import { STATUS } from '../wire/status.ts'
import { CHANGE } from './admin-state.ts'
import type { Controller } from './controller.ts'
import { CONTROLLER_STATE, ROW, type Shared } from './shared.ts'

/** How long a host waits for RDY at most; we take microseconds. 500 ms units. */
const READY_TIMEOUT = 30

/** A property's value: low and high 32 bits. status 0, or why there is none. */
export type PropertyValue = { status: number; low: number; high: number }

export class Properties {
  readonly #shared: Shared
  readonly #empty: (controller: Controller) => void
  readonly #reset: (controller: Controller) => void

  /** empty: asks for the end of all I/O queues; emptied() follows. reset: forget held events and features. */
  constructor(
    shared: Shared, empty: (controller: Controller) => void, reset: (controller: Controller) => void,
  ) {
    this.#shared = shared
    this.#empty = empty
    this.#reset = reset
  }

  /** size: PROPERTY_SIZE. */
  get(controller: Controller, offset: number, size: number): PropertyValue {
    const admin = controller.admin!
    const bytes8 = size === PROPERTY_SIZE.BYTES_8
    if (size > PROPERTY_SIZE.BYTES_8) return refused(STATUS.INVALID_FIELD)
    switch (offset) {
      case PROPERTY.CAP: {
        if (!bytes8) return refused(STATUS.INVALID_FIELD)
        const mqes = putBits(CAP.mqes, controller.subsystem.queueDepthMax - 1)
        const low = mqes | putBits(CAP.cqr, 1) | putBits(CAP.to, READY_TIMEOUT)
        // Hosts that see one command set alone see no zones.
        const sets = putBits(CAP.cssNvm, 1) | putBits(CAP.cssIocs, +hasZones(controller.subsystem))
        return { status: 0, low: low | 0, high: sets | putBits(CAP.crwms, 1) }
      }
      case PROPERTY.VS:
        return dword(bytes8, NVME_VERSION)
      case PROPERTY.CC:
        return dword(bytes8, admin.cc)
      case PROPERTY.CSTS:
        return dword(bytes8, admin.csts)
      case PROPERTY.CRTO:
        return dword(bytes8, putBits(CRTO.crwmt, READY_TIMEOUT))
      default:
        return refused(STATUS.INVALID_FIELD)
    }
  }

  /** value: the low 32 bits. Returns a status. */
  set(controller: Controller, offset: number, size: number, value: number): number {
    if (offset !== PROPERTY.CC || size !== PROPERTY_SIZE.BYTES_4) return STATUS.INVALID_FIELD
    const change = controller.admin!.configure(value, hasZones(controller.subsystem))
    if (change === CHANGE.NONE) return 0
    const ready = change === CHANGE.ENABLED
    this.#shared.words[this.#shared.row(controller.index) + ROW.STATE] =
      ready ? CONTROLLER_STATE.READY : CONTROLLER_STATE.DISABLED
    if (change === CHANGE.DISABLED) this.#reset(controller)
    if (change === CHANGE.DISABLED || change === CHANGE.SHUT_DOWN) this.#empty(controller)
    return 0
  }
}

function dword(bytes8: boolean, value: number): PropertyValue {
  return bytes8 ? refused(STATUS.INVALID_FIELD) : { status: 0, low: value | 0, high: 0 }
}

function refused(status: number): PropertyValue {
  return { status, low: 0, high: 0 }
}
