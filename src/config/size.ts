/**
 * Sizes as people write them: "10G", "256M", "1.5GiB", 512. Units are powers of 1024.
 * Used by schema.ts and flags.ts; shown again by the banner and the messages.
 */

const UNITS = ['', 'K', 'M', 'G', 'T', 'P']
const SIZE = /^(\d+(?:\.\d+)?)\s*([KMGTP])?(?:i?B)?$/i

export const SIZE_FORM = 'a size such as 512, "64K", "256M", "10G" or "1.5TiB"'

/** Bytes, or null when it is not a size or not a whole number of bytes. */
export function parseSize(text: string | number): number | null {
  if (typeof text === 'number') return Number.isSafeInteger(text) && text >= 0 ? text : null
  const match = SIZE.exec(text.trim())
  if (match === null) return null
  const power = UNITS.indexOf((match[2] ?? '').toUpperCase())
  const bytes = Number(match[1]) * 1024 ** power
  return Number.isSafeInteger(bytes) ? bytes : null
}

/** "10 GiB", "1.5 GiB", "512 bytes": the largest unit that it fills, two decimals at most. */
export function formatSize(bytes: number): string {
  let power = 0
  while (power < UNITS.length - 1 && bytes >= 1024 ** (power + 1)) power += 1
  if (power === 0) return `${bytes} ${bytes === 1 ? 'byte' : 'bytes'}`
  const count = Math.round((bytes / 1024 ** power) * 100) / 100
  return `${count} ${UNITS[power]}iB`
}
