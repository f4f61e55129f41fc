/**
 * Device: where the bytes of one namespace are. namespace and controller submit, the reactor brings back.
 * A device may be built of other devices; it knows blocks and places, never PDUs or queues.
 *
 * Every function takes a slot, whose lba, blockCount, bytes and fua are set, and returns an outcome:
 * a status (0 = success) when it is done at once, PENDING when an op with the slot as its token will
 * come back through resume(), STALL when something it needs is taken, and nothing was changed.
 *
 * Invariant: at most one op of a slot is outstanding.
 */
import type { Slot } from '../reactor/slots.ts'

/** An op is outstanding; resume() will tell. */
export const PENDING = -1
/** No buffer at the moment: nothing has happened, ask again when one was given back. */
export const STALL = -2
/** The place for the host's data is set (slots.region, lo, hi); run the command when they are there. */
export const WANTS_DATA = -3

/** A status of wire/status.ts (>= 0), PENDING, STALL or WANTS_DATA. */
export type Outcome = number

/** What a device with zones can do besides. */
export interface ZonedDevice {
  /** The data are in place: appends them to the zone whose first block the slot names. DW0 and DW1 tell where. */
  append(slot: Slot): Outcome
  /** Zone Management Send with this CDW13. withData: the slot's data are in place. */
  manage(slot: Slot, cdw13: number, withData: boolean): Outcome
  /** Zone Management Receive of the slot's bytes into its buffer. */
  report(slot: Slot, cdw13: number): Outcome
}

export interface Device {
  readonly kind: 'memory' | 'null' | 'file' | 'block' | 'pci'
  /** Left out: it has no zones. */
  readonly zones?: ZonedDevice | null
  /** Sets the place that the payload is sent from, fills it. */
  read(slot: Slot): Outcome
  /** Sets the place that the host's data goes to: WANTS_DATA or STALL. */
  place(slot: Slot): Outcome
  /** The data are in place: puts them into the blocks; with fua, onto the medium. */
  write(slot: Slot): Outcome
  /** Everything that was acknowledged, onto the medium. */
  flush(slot: Slot): Outcome
  /** Zeroes the slot's blocks. deallocate: space may be given back. */
  zero(slot: Slot, deallocate: boolean): Outcome
  /** Gives back the slot's blocks, which read as zero afterwards. */
  deallocate(slot: Slot): Outcome
  /** Sets the place for the data to compare with: WANTS_DATA or STALL. */
  placeCompare(slot: Slot): Outcome
  /** The data are in place: success when the blocks hold the same, else Compare Failure. */
  compare(slot: Slot): Outcome
  /** Reads the slot's blocks to an arena offset. A place that the slot has stays as it is. */
  fetch(slot: Slot, at: number): Outcome
  /** Writes the slot's blocks from an arena offset; with fua, onto the medium. */
  store(slot: Slot, at: number): Outcome
  /** Reads all of the slot's blocks for the sake of reading them; STALL without a buffer. */
  verify(slot: Slot): Outcome
  /** The slot's op completed with result (>= 0, or -errno). */
  resume(slot: Slot, result: number): Outcome
}
