/**
 * The way of a command through the TypeScript allocates nothing: bytes per million commands, counted
 * by allocation.ts in a process of its own. test/fault/no-garbage.test.ts shows the same of the whole
 * daemon by its collections; here a single object a turn is seen, and which command makes it.
 */
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { INLINING_FLAGS } from '../../../src/v8-flags.ts'

/** Asking for the heap's size makes an object. One of 12 bytes for each command would be 12 MB. */
const BYTES_PER_MILLION_MAX = 16 * 1024

/** Nothing is collected, and inlining is as far as in the reactors (src/v8-flags.ts). */
const FLAGS = [
  '--disable-warning=ExperimentalWarning', '--min-semi-space-size=256', '--max-semi-space-size=256',
  '--no-minor-gc-task', '--no-incremental-marking', ...INLINING_FLAGS,
]

test('bytes that a million commands allocate', { timeout: 240_000 }, () => {
  const program = join(import.meta.dirname, 'allocation.ts')
  const said = execFileSync(process.execPath, [...FLAGS, program], { encoding: 'utf8' })
  const counted = said.trim().split('\n')
    .map((line) => JSON.parse(line) as { name: string, bytesPerMillion: number | null })
  expect(counted.map(({ name }) => name)).toEqual([
    'read', 'read, digests', 'write', 'write, digests', 'flush', 'flush, digests',
  ])
  // null: every batch was interrupted by a collection, and so nothing is known.
  const wrong = counted.filter(({ bytesPerMillion }) =>
    bytesPerMillion === null || bytesPerMillion > BYTES_PER_MILLION_MAX)
  expect(wrong, said).toEqual([])
})
