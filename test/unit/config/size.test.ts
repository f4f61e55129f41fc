/** Sizes: which texts are one, and what they are worth. */
import { expect, test } from 'vitest'
import { formatSize, parseSize } from '../../../src/config/size.ts'

test.each([
  [512, 512], ['512', 512], ['64K', 65536], ['64k', 65536], ['256M', 268435456],
  ['10G', 10737418240], ['1T', 1099511627776], ['1.5GiB', 1610612736], ['1 KiB', 1024],
  ['2MB', 2097152], ['0', 0], ['8P', 9007199254740992 / 1],
])('%s', (text, bytes) => {
  expect(parseSize(text)).toBe(bytes > Number.MAX_SAFE_INTEGER ? null : bytes)
})

test.each(['', 'G', '10X', '-1', '1e3', '1.3', '0.3K1', '10 G 2', '1,5G', 1.5, -1, NaN, '9000P'])(
  '%s is no size', (text) => {
    expect(parseSize(text)).toBeNull()
  },
)

test.each([
  [0, '0 bytes'], [1, '1 byte'], [1023, '1023 bytes'], [1024, '1 KiB'], [1610612736, '1.5 GiB'],
  [10737418240, '10 GiB'], [1099511627776, '1 TiB'],
])('%d bytes are shown as %s', (bytes, text) => {
  expect(formatSize(bytes)).toBe(text)
})
