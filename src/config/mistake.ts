/**
 * Mistakes in a configuration: where, what was found, what is allowed. All are reported at once.
 * Made by schema.ts, contradictions.ts and flags.ts; shown by cli, which exits with 2.
 */

/** A place in the configuration, such as ['subsystems', 0, 'nqn']. */
export type Path = readonly (string | number)[]

export type Mistake = {
  readonly path: Path
  /** A sentence without the place: 'found 12, allowed: …'. */
  readonly sentence: string
}

const FOUND_LENGTH_MAX = 60
/** Keys whose values are secrets, and what a secret looks like that stands elsewhere. */
const SECRET_KEY = /key$/i
const SECRET_TEXT = /DH.?.?C-1|NVMeTLSkey/i
const HIDDEN = '(not shown)'

/** Several lines: what was read, then one line for each mistake. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  readonly mistakes: readonly Mistake[]

  /** nameOf turns a place into what the person wrote, such as a flag; as in JSON by default. */
  constructor(
    source: string, mistakes: readonly Mistake[], nameOf: (path: Path) => string = pathText,
  ) {
    const count = mistakes.length === 1 ? 'one mistake' : `${mistakes.length} mistakes`
    const lines = mistakes.map(({ path, sentence }) => `  ${nameOf(path)}: ${sentence}`)
    super(`${source}: ${count}\n${lines.join('\n')}`)
    this.mistakes = mistakes
  }
}

/** found undefined: nothing was there. What may be a secret is not shown. */
export function mistake(path: Path, found: unknown, allowed: string): Mistake {
  const secret = found !== undefined && SECRET_KEY.test(String(path.at(-1)))
  return { path, sentence: `found ${secret ? HIDDEN : foundText(found)}, allowed: ${allowed}` }
}

/** subsystems[0].namespaces[1].size */
export function pathText(path: Path): string {
  if (path.length === 0) return '(top level)'
  return path
    .map((step, at) => (typeof step === 'number' ? `[${step}]` : `${at > 0 ? '.' : ''}${step}`))
    .join('')
}

/** The value at a place of what a person wrote, undefined where there is none. */
export function valueAt(input: unknown, path: Path): unknown {
  let value = input
  for (const step of path) {
    if (typeof value !== 'object' || value === null) return undefined
    value = (value as Record<string | number, unknown>)[step]
  }
  return value
}

/** The known word nearest to a mistyped one, or null when none is near. */
export function nearest(word: string, known: readonly string[]): string | null {
  let best: string | null = null
  let bestEdits = Math.min(3, Math.ceil(word.length / 2))
  for (const candidate of known) {
    const edits = editCount(word.toLowerCase(), candidate.toLowerCase())
    if (edits < bestEdits) [best, bestEdits] = [candidate, edits]
  }
  return best
}

function foundText(found: unknown): string {
  if (found === undefined) return 'nothing'
  const text = JSON.stringify(found, (key, value: unknown) =>
    SECRET_KEY.test(key) || (typeof value === 'string' && SECRET_TEXT.test(value)) ? HIDDEN : value)
  return text.length <= FOUND_LENGTH_MAX ? text : `${text.slice(0, FOUND_LENGTH_MAX)}…`
}

/** Letters to insert, remove, replace, or swap with their neighbour. */
function editCount(from: string, to: string): number {
  const rows: number[][] = [Array.from({ length: to.length + 1 }, (_, at) => at)]
  for (let i = 1; i <= from.length; i += 1) {
    const row = [i]
    for (let j = 1; j <= to.length; j += 1) {
      const same = from[i - 1] === to[j - 1]
      const above = rows[i - 1]!
      let edits = Math.min(row[j - 1]! + 1, above[j]! + 1, above[j - 1]! + (same ? 0 : 1))
      if (i > 1 && j > 1 && from[i - 1] === to[j - 2] && from[i - 2] === to[j - 1]) {
        edits = Math.min(edits, rows[i - 2]![j - 2]! + 1)
      }
      row.push(edits)
    }
    rows.push(row)
  }
  return rows[from.length]![to.length]!
}
