/**
 * Erasing: what is in a range is gone, what is beside it stays, and the size does too.
 */
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { constants, tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeEach, describe, expect, test } from 'vitest'
import { ERASE, FILE } from '../../../src/shim/abi.ts'
import { shim } from './rig.ts'

const { EINVAL, EROFS } = constants.errno
const BYTES = 3 * 1024 * 1024
const PATTERN = 0x12345678 | 0
const folder = mkdtempSync(join(tmpdir(), 'weft-erase-'))
const path = join(folder, 'file')
afterAll(() => rmSync(folder, { recursive: true }))

/** Byte k of what is erased from `from` on. */
const patterned = (bytes: number): Buffer => Buffer.alloc(bytes, Buffer.from('78563412', 'hex'))

describe('a file', () => {
  beforeEach(() => writeFileSync(path, Buffer.alloc(BYTES, 7)))

  const within = async (work: (file: number) => Promise<void>, flags = 0): Promise<Buffer> => {
    const opened = shim.fileOpen(path, flags, 0)
    if (typeof opened === 'number') throw new Error(`${opened}`)
    await work(opened.file)
    shim.fileClose(opened.file)
    return readFileSync(path)
  }

  test('filled with a pattern', async () => {
    const data = await within(async (file) => {
      expect(await shim.fileErase(file, ERASE.FILL, 4096, 2 * 1024 * 1024 + 8192, PATTERN)).toBe(0)
      expect(await shim.fileErase(file, ERASE.SYNC, 0, 0, 0)).toBe(0)
    })
    const end = 4096 + 2 * 1024 * 1024 + 8192
    expect(data.subarray(4096, end).equals(patterned(end - 4096))).toBe(true)
    expect([data.length, data[4095], data[end]]).toEqual([BYTES, 7, 7])
  })

  test('given back', async () => {
    const before = statSync(path).blocks
    const data = await within(async (file) => {
      expect(await shim.fileErase(file, ERASE.DISCARD, 8192, 1024 * 1024, 0)).toBe(0)
    })
    expect(data.subarray(8192, 8192 + 1024 * 1024).every((byte) => byte === 0)).toBe(true)
    expect([data.length, data[8191], data[8192 + 1024 * 1024]]).toEqual([BYTES, 7, 7])
    expect(statSync(path).blocks).toBeLessThan(before)
  })

  test('refused', async () => {
    await within(async (file) => {
      expect(await shim.fileErase(file, ERASE.FILL, 4096, BYTES, 0)).toBe(-EINVAL)
      expect(await shim.fileErase(file, 9, 0, 4096, 0)).toBe(-EINVAL)
    })
    await within(async (file) => {
      expect(await shim.fileErase(file, ERASE.FILL, 0, 4096, 0)).toBe(-EROFS)
    }, FILE.READ_ONLY)
    expect(await shim.fileErase(4000, ERASE.FILL, 0, 4096, 0)).toBe(-EINVAL)
  })
})

test.each([true, false])('a region, huge %s', async (huge) => {
  const region = shim.regionCreate(BYTES, huge)
  const view = Buffer.from(shim.regionView(region, BYTES))
  view.fill(7)
  expect(await shim.regionErase(region, 4, 10_000, PATTERN)).toBe(0)
  expect([view[3], view[10_004], view.subarray(4, 10_004).equals(patterned(10_000))]).toEqual([7, 7, true])
  expect(await shim.regionErase(region, 100, 1024 * 1024, 0)).toBe(0)
  expect(view.subarray(100, 100 + 1024 * 1024).every((byte) => byte === 0)).toBe(true)
  expect([view.subarray(4, 100).equals(patterned(96)), view[100 + 1024 * 1024]]).toEqual([true, 7])
  expect(await shim.regionErase(region, 0, BYTES + 1, 0)).toBe(-EINVAL)
  shim.regionRelease(region)
  expect(await shim.regionErase(region, 0, 1, 0)).toBe(-EINVAL)
})
