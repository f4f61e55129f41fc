/** NQNs: the two forms, and what is close to them. */
import { expect, test } from 'vitest'
import { isNqn } from '../../../src/config/nqn.ts'

const UUID_NQN = 'nqn.2014-08.org.nvmexpress:uuid:51ecc8d6-2cf3-85d5-add3-c7d3c3e5d700'

test.each([
  'nqn.2026-01.com.example:disks', 'nqn.2026-12.com.ex-ample.a:b:c/d', 'nqn.2026-01.com:x', UUID_NQN,
  `nqn.2026-01.com.example:${'x'.repeat(199)}`,
])('%s is valid', (nqn) => {
  expect(isNqn(nqn)).toBe(true)
})

test.each([
  '', 'nqn', 'nqn.2026-13.com.example:x', 'nqn.2026-00.com.example:x', 'nqn.26-01.com.example:x',
  'nqn.2026-01.com.example', 'nqn.2026-01.com.example:', 'nqn.2026-01.com.example:a b',
  'nqn.2026-01..example:x', 'NQN.2026-01.com.example:x', 'nqn.2026-01.com.example:a\u0007',
  'iqn.2026-01.com.example:x', `${UUID_NQN}0`, UUID_NQN.slice(0, -1),
  'nqn.2014-08.org.nvmexpress.discovery',
  // 24 bytes before the text: 224 in all; and 200 characters of 2 bytes.
  `nqn.2026-01.com.example:${'x'.repeat(200)}`, `nqn.2026-01.com.example:${'é'.repeat(100)}`,
])('%s is not', (nqn) => {
  expect(isNqn(nqn)).toBe(false)
})
