/**
 * Erases the storage of a namespace, piece by piece, while nobody uses it. media calls it; it calls the shim.
 *
 *   give back   a hole where the storage has such, else nothing           Format without a secure erase
 *   zero        the same, else zeroes are written                         secure erase, block erase
 *   overwrite   each piece as often as asked for, then as `zero`          overwrite
 *
 * Invariant: when it resolves with 0, all of it is on the medium.
 */
import { constants } from 'node:os'
import { ERASE } from '../shim/abi.ts'
import type { Shim } from '../shim/shim.ts'
import type { OpenBacking } from './backing.ts'

export type Erasure =
  | { readonly kind: 'give back' | 'zero' }
  /** inverted: each pass has the complement of the one before. */
  | { readonly kind: 'overwrite'; readonly passes: number; readonly pattern: number; readonly inverted: boolean }

/** What is given back at a time, and what is written. */
const HOLE_BYTES = 1024 ** 3
const WRITE_BYTES = 4 * 1024 ** 2
const { EOPNOTSUPP, ECANCELED } = constants.errno

/**
 * part: told of how much of it is done, 0 to 1; false ends it. Resolves with 0 or -errno; -ECANCELED when it was
 * ended.
 */
export async function erase(
  shim: Pick<Shim, 'fileErase' | 'regionErase'>, open: OpenBacking, erasure: Erasure, part: (done: number) => boolean,
): Promise<number> {
  const { device, blockBytes, blockCount } = open
  if (device.kind === 'null') return 0
  if (device.kind === 'pci') return -EOPNOTSUPP
  const medium = device.kind === 'memory' ? regionOf(shim, device.region) : fileOf(shim, device)
  const total = blockBytes * blockCount
  const writes = erasure.kind === 'overwrite' || !medium.hasHoles && erasure.kind === 'zero'
  const pieceBytes = writes ? WRITE_BYTES : HOLE_BYTES
  for (let at = 0; at < total; at += pieceBytes) {
    if (!part(at / total)) return -ECANCELED
    const result = await piece(medium, at, Math.min(pieceBytes, total - at), erasure)
    if (result < 0) return result
  }
  return medium.sync()
}

type FileSnapshot = Extract<OpenBacking['device'], { kind: 'file' | 'block' }>

type Medium = {
  readonly hasHoles: boolean
  readonly discard: (at: number, bytes: number) => Promise<number>
  readonly fill: (at: number, bytes: number, pattern: number) => Promise<number>
  readonly sync: () => Promise<number>
}

async function piece(medium: Medium, at: number, bytes: number, erasure: Erasure): Promise<number> {
  if (erasure.kind === 'overwrite') {
    for (let pass = 0; pass < erasure.passes; pass++) {
      const pattern = erasure.inverted && pass % 2 === 1 ? ~erasure.pattern : erasure.pattern
      const filled = await medium.fill(at, bytes, pattern | 0)
      // What is only in a cache has overwritten nothing.
      const result = filled < 0 ? filled : await medium.sync()
      if (result < 0) return result
    }
  }
  if (medium.hasHoles) {
    const result = await medium.discard(at, bytes)
    if (result !== -EOPNOTSUPP) return result
  }
  return erasure.kind === 'zero' ? medium.fill(at, bytes, 0) : 0
}

function regionOf(shim: Pick<Shim, 'regionErase'>, region: number): Medium {
  const fill = (at: number, bytes: number, pattern: number): Promise<number> =>
    shim.regionErase(region, at, bytes, pattern)
  return { hasHoles: true, fill, discard: (at, bytes) => fill(at, bytes, 0), sync: () => Promise.resolve(0) }
}

function fileOf(shim: Pick<Shim, 'fileErase'>, { file, discard, base = 0 }: FileSnapshot): Medium {
  return {
    hasHoles: discard,
    discard: (at, bytes) => shim.fileErase(file, ERASE.DISCARD, base + at, bytes, 0),
    fill: (at, bytes, pattern) => shim.fileErase(file, ERASE.FILL, base + at, bytes, pattern),
    sync: () => shim.fileErase(file, ERASE.SYNC, 0, 0, 0),
  }
}
