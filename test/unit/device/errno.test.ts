/**
 * errno to status: what a host is told of a device that fails.
 */
import { expect, test } from 'vitest'
import { mediaStatusOfErrno, statusOfErrno } from '../../../src/device/errno.ts'

const [EPERM, EIO, ENXIO, EAGAIN, ENOMEM, EACCES, ENODEV, EINVAL] = [1, 5, 6, 11, 12, 13, 19, 22]
const [EFBIG, ENOSPC, EROFS, ENODATA, EREMOTEIO, EDQUOT] = [27, 28, 30, 61, 121, 122]
const INTERNAL_ERROR = 0x06
const COMMAND_INTERRUPTED = 0x21
const WRITE_PROTECTED = 0x4020
const CAPACITY_EXCEEDED = 0x4081
const NOT_READY = 0x82
const WRITE_FAULT = 0x280
const UNRECOVERED_READ = 0x281

test.each([
  [ENOSPC, CAPACITY_EXCEEDED], [EDQUOT, CAPACITY_EXCEEDED], [EFBIG, CAPACITY_EXCEEDED], [EROFS, WRITE_PROTECTED],
  [EPERM, WRITE_PROTECTED], [EACCES, WRITE_PROTECTED], [ENXIO, NOT_READY], [ENODEV, NOT_READY],
  [ENOMEM, COMMAND_INTERRUPTED], [EAGAIN, COMMAND_INTERRUPTED],
])('errno %i, whichever way the data went', (errno, status) => {
  expect([statusOfErrno(errno), mediaStatusOfErrno(errno, true), mediaStatusOfErrno(errno, false)]).toEqual([
    status, status, status,
  ])
})

test.each([EIO, ENODATA, EREMOTEIO])('errno %i is the medium', (errno) => {
  expect([statusOfErrno(errno), mediaStatusOfErrno(errno, true), mediaStatusOfErrno(errno, false)]).toEqual([
    INTERNAL_ERROR, WRITE_FAULT, UNRECOVERED_READ,
  ])
})

test('no errno is success, or "not supported", to a host', () => {
  for (let errno = 1; errno < 200; errno++) {
    for (const status of [statusOfErrno(errno), mediaStatusOfErrno(errno, true), mediaStatusOfErrno(errno, false)]) {
      expect([0x00, 0x01, 0x02]).not.toContain(status & 0x7ff)
    }
  }
  expect(statusOfErrno(EINVAL)).toBe(INTERNAL_ERROR)
})
