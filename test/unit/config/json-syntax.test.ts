/** JSON mistakes: found where they are, and found exactly where JSON.parse finds one. */
import { expect, test } from 'vitest'
import { syntaxMistake } from '../../../src/config/json-syntax.ts'

test.each([
  ['{"a": 1,}', 1, 9, 'a comma before } is one too many'],
  ['[1,\n 2,\n]', 3, 1, 'a comma before ] is one too many'],
  ['[1,2\n 3]', 2, 2, 'a comma or ] was expected here'],
  ["{'a': 1}", 1, 2, 'a key in double quotes was expected here'],
  ['{\n  "a": yes\n}', 2, 8, 'yes needs double quotes'],
  ['{"a": 1, "a": 2}', 1, 10, 'the key "a" is there a second time'],
  ['// hello\n{}', 1, 1, 'JSON has no comments'],
  ['{"a" 1}', 1, 6, 'a colon was expected here, after the key'],
  ['{"a": 1', 1, 8, 'a comma or } was expected here'],
  ['', 1, 1, 'the file ends here, a value was expected'],
  ['[1] 2', 1, 5, 'the end of the file was expected here'],
  ['{"a": "b\n"}', 1, 7, 'this text has no closing quote, or holds what JSON forbids'],
  [`${'['.repeat(200)}${']'.repeat(200)}`, 1, 102, 'this is nested too deeply'],
])('%j', (text, line, column, sentence) => {
  expect(syntaxMistake(text)).toEqual({ line, column, sentence })
})

test.each([
  '{}', ' [1, -2.5e3, "a\\u00e9\\n", true, false, null, {"b": []}]\r\n', '"x"', '01', '1.', '.5',
  '+1', '"\\x"', 'nul', '[,1]', '{"a":1 "b":2}', '1 1', '\u00a01', '{"a":tru e}', '-', '1e', '"\t"',
])('agrees with JSON.parse about %j', (text) => {
  let parses = true
  try {
    JSON.parse(text)
  } catch {
    parses = false
  }
  expect(syntaxMistake(text) === null).toBe(parses)
})
