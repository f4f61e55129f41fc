/**
 * docs/CONFORMANCE.md says what the tests claim, and the tests claim only what there is.
 */
import { expect, test } from 'vitest'
import { claims, conformanceDocument, writtenDocument } from '../conformance-docs.ts'
import { REQUIREMENTS } from './requirements.ts'

test('docs/CONFORMANCE.md is up to date: run node test/conformance-docs.ts', () => {
  expect(writtenDocument()).toBe(conformanceDocument())
})

test('no two requirements have the same id', () => {
  const ids = REQUIREMENTS.map(([id]) => id)
  expect(new Set(ids).size).toBe(ids.length)
})

test('every id that a title claims is a requirement', () => {
  const ids = new Set(REQUIREMENTS.map(([id]) => id))
  expect([...claims().keys()].filter((id) => !ids.has(id))).toEqual([])
})
