/**
 * What is made of an audit of the dependencies: what is serious fails, a registry that cannot be asked does not.
 */
import { expect, test } from 'vitest'
import { judge } from '../advisories.ts'

const report = (...severities: string[]): string => JSON.stringify({
  vulnerabilities: Object.fromEntries(severities.map((severity, k) => [`p${k}`, { name: `p${k}`, severity, range: '<2' }])),
})

test.each([
  ['nothing', report(), 0, /no known weakness/],
  ['something that can wait', report('low', 'moderate'), 0, /2 known: p0 <2 \(low\), p1 <2 \(moderate\)/],
  ['something serious', report('low', 'high'), 1, /2 known/],
  ['something critical', report('critical'), 1, /p0 <2 \(critical\)/],
  ['a registry without a list', '{"message": "405 Method Not Allowed", "error": {}}', 0, /could not be asked \(405 Method/],
  ['no registry', '', 0, /could not be asked \(it did not answer\)/],
  ['something that is no report', '[1]', 0, /could not be asked/],
])('%s', (_what, text, status, words) => {
  const verdict = judge(text)
  expect(verdict.status).toBe(status)
  expect(verdict.sentence).toMatch(words)
})
