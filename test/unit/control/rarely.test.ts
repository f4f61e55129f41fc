/** Rarely: once a minute, each key for itself, and none is lost from the count. */
import { expect, test } from 'vitest'
import { Rarely } from '../../../src/control/rarely.ts'

test('once a minute, with the number of those between', () => {
  let nowMs = 0
  const rarely = new Rarely(() => nowMs)
  const said = [0, 1, 59_999, 60_000, 60_001, 119_999, 120_000, 180_000].map((at) => {
    nowMs = at
    return rarely.tell('slots')
  })
  const more = ' (and 2 more like it since it was said last)'
  expect(said).toEqual(['', null, null, more, null, null, more, ''])
})

test('each for itself', () => {
  const rarely = new Rarely(() => 0)
  expect([rarely.tell('a'), rarely.tell('b'), rarely.tell('a')]).toEqual(['', '', null])
})

test('however many there are, memory is bounded', () => {
  const rarely = new Rarely(() => 0)
  for (let key = 0; key < 3000; key++) expect(rarely.tell(`host ${key}`)).toBe('')
})
