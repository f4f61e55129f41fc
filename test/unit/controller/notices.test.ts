/** The reservation notices of a controller, as its log page has them. */
import { expect, test } from 'vitest'
import { NOTICES_MAX, Notices } from '../../../src/controller/notices.ts'

const pageOf = (notices: Notices): string => Buffer.from(notices.page()).toString('hex', 0, 16)

test('none is all zero', () => {
  const notices = new Notices()
  expect(notices.page()).toEqual(new Uint8Array(64))
  notices.drop()
  expect(notices.length).toBe(0)
})

test('oldest first, with its number and how many are behind it', () => {
  const notices = new Notices()
  notices.add(1, 0x11223344)
  notices.add(3, 2)
  expect(pageOf(notices)).toBe('0100000000000000' + '01' + '01' + '0000' + '44332211')
  expect(notices.page().subarray(16)).toEqual(new Uint8Array(48))
  notices.drop()
  expect(pageOf(notices)).toBe('0200000000000000' + '03' + '00' + '0000' + '02000000')
})

test('those that find no room leave a gap in the numbers', () => {
  const notices = new Notices()
  for (let index = 0; index < NOTICES_MAX + 5; index += 1) notices.add(2, 1)
  expect(notices.length).toBe(NOTICES_MAX)
  expect(notices.page()[9]).toBe(NOTICES_MAX - 1)
  for (let index = 0; index < NOTICES_MAX; index += 1) notices.drop()
  notices.add(2, 1)
  expect(notices.page()[0]).toBe(NOTICES_MAX + 6)
})

test('a controller that starts over begins with 1', () => {
  const notices = new Notices()
  notices.add(1, 1)
  notices.reset()
  notices.add(1, 1)
  expect([notices.length, notices.page()[0]]).toEqual([1, 1])
})
