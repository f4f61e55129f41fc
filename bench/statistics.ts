/**
 * Medians and tables: what turns many runs into lines that a person can compare.
 * bench.ts, fio/run.ts → here. Pure functions.
 */

/** The median; of an even number of values the mean of the middle two. NaN of none. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((one, other) => one - other)
  const middle = sorted.length >> 1
  if (sorted.length === 0) return NaN
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

/** The median of the ratios of pairs measured next to each other, so that drift cancels. */
export function medianRatio(ours: readonly number[], theirs: readonly number[]): number {
  const pairs = Math.min(ours.length, theirs.length)
  return median(ours.slice(0, pairs).map((value, i) => value / theirs[i]!))
}

/** Digits for people: 698 k, 29.5 k, 812, 7.25. */
export function short(value: number): string {
  if (!Number.isFinite(value)) return '–'
  if (value >= 99_950) return `${Math.round(value / 1000)} k`
  if (value >= 9_995) return `${(value / 1000).toFixed(1)} k`
  if (value >= 100 || value === 0) return String(Math.round(value))
  return value >= 10 ? value.toFixed(1) : value.toFixed(2)
}

/** Nanoseconds as microseconds for people. */
export const microseconds = (ns: number): string => short(ns / 1000)

/** Columns under their titles; the first is aligned left, the others right. */
export function table(titles: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = titles.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => (row[column] ?? '').length)))
  const line = (cells: readonly string[]): string => widths
    .map((width, column) => column === 0
      ? (cells[column] ?? '').padEnd(width)
      : (cells[column] ?? '').padStart(width))
    .join('  ').trimEnd()
  return [line(titles), line(widths.map((width) => '─'.repeat(width))), ...rows.map(line)]
    .join('\n')
}
