/**
 * Regions and files of another size, while they are open: what was in them stays, what is new is zero, and
 * places beyond the end are outside.
 */
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { FILE } from '../../../src/shim/abi.ts'
import { ERRNO } from '../../../src/shim/errno.ts'
import { ENGINES, Rig, shim } from './rig.ts'

const { EFAULT, EINVAL, ENOMEM, EROFS } = ERRNO
const GIB = 1024 ** 3
/** Windows counts what a region has grown to against the page file. */
const LARGEST = (process.platform === 'win32' ? 2 : 64) * GIB
const folder = mkdtempSync(join(tmpdir(), 'weft-resize-'))
afterAll(() => rmSync(folder, { recursive: true }))

describe('a region', () => {
  test.each([true, false])('huge %s: keeps its address and what is in it', (huge) => {
    const region = shim.regionCreate(10_000, huge)
    const before = new Uint8Array(shim.regionView(region, 10_000))
    before.fill(7)
    expect(shim.regionResize(region, 5000)).toBe(0)
    expect(before.subarray(0, 5000).every((byte) => byte === 7)).toBe(true)
    expect(shim.regionResize(region, 10_000)).toBe(0)
    expect(before.subarray(0, 5000).every((byte) => byte === 7)).toBe(true)
    expect(before.subarray(5000).every((byte) => byte === 0), 'what was cut off').toBe(true)
    shim.regionRelease(region)
  })

  test('a huge one grows in its place', () => {
    const region = shim.regionCreate(4096, true)
    new Uint8Array(shim.regionView(region, 4096)).fill(9)
    expect(shim.regionResize(region, GIB)).toBe(0)
    const view = new Uint8Array(shim.regionView(region, GIB))
    expect([view[0], view[4095], view[4096], view[GIB - 1]]).toEqual([9, 9, 0, 0])
    view[GIB - 1] = 1
    expect(shim.regionResize(region, LARGEST)).toBe(0)
    expect(view[GIB - 1]).toBe(1)
    expect(shim.regionResize(region, 65 * GIB + 2 ** 22)).toBe(-ENOMEM)
    expect(view[GIB - 1]).toBe(1)
    shim.regionRelease(region)
  })

  test.each(ENGINES)('$name: its places are within its present size', ({ engine }) => {
    const region = shim.regionCreate(8192, true)
    const rig = new Rig({ engine })
    expect(shim.regionResize(region, 16384)).toBe(0)
    rig.copy([region, 12288], [0, rig.buffer(0)], 4096)
    expect(rig.turn()).toBe(0)
    expect(shim.regionResize(region, 12288)).toBe(0)
    rig.copy([region, 8193], [0, rig.buffer(0)], 4096)
    expect(rig.turn()).toBe(-EFAULT)
    rig.close()
    shim.regionRelease(region)
  })

  test('what is no region, or no size, is refused', () => {
    const region = shim.regionCreate(4096, false)
    expect([0, -1, 5000].map((id) => shim.regionResize(id, 4096))).toEqual([-EINVAL, -EINVAL, -EINVAL])
    expect([0, -1, NaN, 2 ** 60].map((bytes) => shim.regionResize(region, bytes))).toEqual(Array(4).fill(-EINVAL))
    expect(shim.regionResize(region, 8192), 'no room behind it').toBe(-ENOMEM)
    shim.regionRelease(region)
    expect(shim.regionResize(region, 4096)).toBe(-EINVAL)
  })
})

describe('a file', () => {
  const open = (name: string, flags: number, bytes: number) => {
    const opened = shim.fileOpen(join(folder, name), flags, bytes)
    if (typeof opened === 'number') throw new Error(`fileOpen: ${opened}`)
    return opened.file
  }

  test('grows and shrinks, and ops know', () => {
    const file = open('disk', FILE.CREATE, 1 << 20)
    expect(shim.fileResize(file, 1 << 21)).toBe(0)
    expect(statSync(join(folder, 'disk')).size).toBe(1 << 21)
    expect(shim.fileFacts(file)).toMatchObject({ bytes: 1 << 21 })
    expect(shim.fileResize(file, 1 << 19)).toBe(0)
    expect(readFileSync(join(folder, 'disk')).length).toBe(1 << 19)
    expect(shim.fileFacts(file)).toMatchObject({ bytes: 1 << 19 })
    shim.fileClose(file)
    expect(shim.fileResize(file, 1 << 20)).toBe(-EINVAL)
  })

  test('that is read-only keeps its size', () => {
    const made = open('fixed', FILE.CREATE, 4096)
    shim.fileClose(made)
    const file = open('fixed', FILE.READ_ONLY, 0)
    expect(shim.fileResize(file, 8192)).toBe(-EROFS)
    expect(statSync(join(folder, 'fixed')).size).toBe(4096)
    shim.fileClose(file)
  })
})
