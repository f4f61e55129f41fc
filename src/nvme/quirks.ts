/**
 * Quirks: what some controllers need, or say of themselves wrongly. A row each; controller.ts and facts.ts look
 * them up by the identifiers of the function.
 *
 * A row is here when the controller's own registers and Identify would lead the driver astray.
 */

/** What may be wrong with a controller. */
export type Quirks = {
  /** Registers may not be read for so long after CC.EN was cleared or set. */
  readonly readyDelayMs: number
  /** Commands should not cross multiples of it, though NOIOB is 0. */
  readonly boundaryBytes: number
  /** What was deallocated does not read as zeroes, though DLFEAT says so. */
  readonly deallocatesDirty: boolean
  /** Write Zeroes is announced, but slow or broken. */
  readonly noWriteZeroes: boolean
}

const NONE: Quirks = { readyDelayMs: 0, boundaryBytes: 0, deallocatesDirty: false, noWriteZeroes: false }
const STRIPE_BYTES = 128 * 1024
const INTEL = 0x8086

/** [vendor, device, quirks] */
const ROWS: readonly (readonly [number, number, Partial<Quirks>])[] = [
  // Intel P3500, P3600, P3700 and relatives: two halves behind a stripe.
  [INTEL, 0x0953, { boundaryBytes: STRIPE_BYTES }],
  [INTEL, 0x0a53, { boundaryBytes: STRIPE_BYTES }],
  [INTEL, 0x0a54, { boundaryBytes: STRIPE_BYTES }],
  [INTEL, 0x0a55, { boundaryBytes: STRIPE_BYTES }],
  // Intel 600p, 760p: Write Zeroes hangs or takes seconds.
  [INTEL, 0xf1a5, { noWriteZeroes: true }],
  [INTEL, 0xf1a6, { noWriteZeroes: true }],
  // QEMU: old ones said that deallocated blocks read as zeroes on storage that does not keep that.
  [INTEL, 0x5845, { deallocatesDirty: true }],
  // HGST, Memblaze, Samsung PM1725: registers are not to be read while they change state.
  [0x1c58, 0x0003, { readyDelayMs: 2300 }],
  [0x1c58, 0x0023, { readyDelayMs: 2300 }],
  [0x1c5f, 0x0540, { readyDelayMs: 2300 }],
  [0x144d, 0xa821, { readyDelayMs: 2300 }],
  [0x144d, 0xa822, { readyDelayMs: 2300 }],
]

export function quirksOf(vendor: number, device: number): Quirks {
  const row = ROWS.find((each) => each[0] === vendor && each[1] === device)
  return row === undefined ? NONE : { ...NONE, ...row[2] }
}
