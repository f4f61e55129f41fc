/**
 * What `npm audit --json` says of the dependencies that weft is run with. audit.ts asks, and ends with what is made
 * of it here.
 */
type Vulnerability = { readonly name: string; readonly severity: string; readonly range?: string }

export type Verdict = {
  /** 0: nothing that counts, or nobody could be asked; 1: something has to be replaced. */
  readonly status: 0 | 1
  readonly sentence: string
}

const COUNTS = ['high', 'critical']

/** text: what npm wrote on its standard output. */
export function judge(text: string): Verdict {
  const report = parsed(text)
  const vulnerabilities = report?.['vulnerabilities']
  if (typeof vulnerabilities !== 'object' || vulnerabilities === null) {
    const why = String(report?.['message'] ?? report?.['error'] ?? 'it did not answer').split('\n')[0]
    return { status: 0, sentence: `audit: the registry could not be asked (${why}); nothing is known` }
  }
  const found = Object.values(vulnerabilities as Record<string, Vulnerability>)
  const serious = found.filter(({ severity }) => COUNTS.includes(severity))
  const list = found.map(({ name, severity, range }) => `${name} ${range ?? ''} (${severity})`.replace('  ', ' '))
  if (found.length === 0) return { status: 0, sentence: 'audit: no known weakness in what weft is run with' }
  return { status: serious.length === 0 ? 0 : 1, sentence: `audit: ${found.length} known: ${list.join(', ')}` }
}

function parsed(text: string): Record<string, unknown> | null {
  try {
    return JSON.parse(text) as Record<string, unknown>
  } catch {
    return null
  }
}
