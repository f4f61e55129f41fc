/**
 * docs/WIRE.md is what test/wire-docs.ts makes of the tables today.
 */
import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { WIRE_DOCUMENT, wireDocument } from '../../wire-docs.ts'

test('docs/WIRE.md is up to date; if not, run: node test/wire-docs.ts', () => {
  expect(readFileSync(WIRE_DOCUMENT, 'utf8')).toBe(wireDocument())
})
