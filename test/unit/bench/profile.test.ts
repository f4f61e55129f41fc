/**
 * Which part of a command's time an object in perf's report belongs to.
 */
import { expect, test } from 'vitest'
import { partsOf } from '../../../bench/profile.ts'

const REPORT = `# To display the perf.data header info, please use --header/--header-only options.
#
# Overhead;Shared Object
 40.00% ;[kernel.kallsyms]
  5.00% ;[nf_conntrack]
 20.00% ;[JIT] tid 2264
  5.00% ;perf-2264.map
 10.00% ;shim.so
  5.00% ;libc.so.6
  5.00%;libm.so.6
 10.00% ;node
`

test('shares of TypeScript, Node, shim and kernel', () => {
  const shares = partsOf(REPORT)
  const rounded = Object.entries(shares).map(([part, share]) => [part, Math.round(share * 100)])
  expect(Object.fromEntries(rounded)).toEqual({ typescript: 25, node: 15, shim: 15, kernel: 45 })
})

test('a report without samples is an error', () => {
  expect(() => partsOf('# Samples: 0\n')).toThrow('no samples')
})
