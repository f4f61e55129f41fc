/**
 * Operations on files, and what opening one tells: real files, on every engine.
 */
import { spawnSync } from 'node:child_process'
import {
  existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { COUNTER, FILE, H, O, OP } from '../../../src/shim/abi.ts'
import { ERRNO } from '../../../src/shim/errno.ts'
import type { OpenedFile } from '../../../src/shim/shim.ts'
import { ENGINES, pattern, Rig, shim } from './rig.ts'

const { EINVAL, EIO, EISDIR, ENODEV, ENOENT, EROFS, EWOULDBLOCK } = ERRNO
const WINDOWS = process.platform === 'win32'
const FILE_BYTES = 8 << 20

let directory: string
let path: string
beforeEach(() => {
  // Beside the sources, not in /tmp: that may be a file system in memory without direct transfers.
  const parent = fileURLToPath(new URL('../../../.weft/test', import.meta.url))
  mkdirSync(parent, { recursive: true })
  directory = mkdtempSync(join(parent, 'op-'))
  path = join(directory, 'disk.img')
})
afterEach(() => rmSync(directory, { recursive: true }))

function open(flags: number = FILE.CREATE, bytes = FILE_BYTES, at = path): OpenedFile {
  const opened = shim.fileOpen(at, flags, bytes)
  if (typeof opened === 'number') throw new Error(`fileOpen: ${opened}`)
  return opened
}

describe.each(ENGINES)('$name', ({ engine }) => {
  let rig: Rig
  beforeEach(() => { rig = new Rig({ engine }) })
  afterEach(() => rig.close())

  const transfer = (code: number, file: number, at: number, bytes: number, buffer = 0, flags = 0) =>
    rig.run({
      [O.CODE]: code, [O.FILE]: file, [O.FLAGS]: flags, [O.LO]: rig.buffer(buffer),
      [O.BYTES]: bytes, [O.AT_LO]: at,
    })

  const modes = [['direct', 0], ['buffered', FILE.BUFFERED]] as const
  test.each(modes)('%s: writes come back', async (_, flag) => {
    const { file, facts } = open(FILE.CREATE | flag)
    expect(facts).toMatchObject({ created: true, bytes: FILE_BYTES, blockDevice: false })
    if (flag) expect(facts).toMatchObject({ direct: false, directErrno: 0, logicalBytes: 1 })
    const bytes = pattern(1 << 20, 11)
    rig.bytes.set(bytes, rig.buffer(0))
    expect(await transfer(OP.WRITE, file, 4096, 1 << 20)).toBe(0)
    expect(await transfer(OP.WRITE, file, 2 << 20, 8192, 0, OP.FUA)).toBe(0)
    expect(await rig.run({ [O.CODE]: OP.SYNC, [O.FILE]: file })).toBe(0)
    expect(readFileSync(path).subarray(4096, 4096 + (1 << 20)).equals(bytes)).toBe(true)
    expect(await transfer(OP.READ, file, 4096, 1 << 20, 2 << 20)).toBe(0)
    const back = rig.bytes.subarray(rig.buffer(2 << 20), rig.buffer(3 << 20))
    expect(Buffer.from(back).equals(bytes)).toBe(true)
    expect(shim.fileClose(file)).toBe(0)
    expect(shim.fileClose(file)).toBe(-EINVAL)
  })

  test('DISCARD and ZERO make zeroes, give back and keep space, and keep the size', async (context) => {
    const { file, facts } = open(FILE.CREATE, 4 << 20)
    if (WINDOWS && !facts.discard) {
      shim.fileClose(file)
      return context.skip('Wine does not know FSCTL_SET_ZERO_DATA')
    }
    expect(facts).toMatchObject({ discard: true, discardBytes: facts.physicalBytes, boundaryBytes: 0 })
    rig.bytes.fill(0x5a, rig.buffer(0), rig.buffer(1 << 20))
    for (let i = 0; i < 4; i++) expect(await transfer(OP.WRITE, file, i << 20, 1 << 20)).toBe(0)
    expect(await rig.run({ [O.CODE]: OP.SYNC, [O.FILE]: file })).toBe(0)
    const full = statSync(path).blocks
    expect(await rig.run({
      [O.CODE]: OP.DISCARD, [O.FILE]: file, [O.AT_LO]: 1 << 20, [O.RANGE_LO]: 1 << 20,
    })).toBe(0)
    const punched = statSync(path).blocks
    expect(full - punched).toBeGreaterThanOrEqual((1 << 20) / 512 - 64)
    if (facts.zero) {
      expect(await rig.run({
        [O.CODE]: OP.ZERO, [O.FILE]: file, [O.FLAGS]: OP.FUA, [O.AT_LO]: 2 << 20,
        [O.RANGE_LO]: 1 << 20,
      })).toBe(0)
      expect(statSync(path).blocks).toBeGreaterThanOrEqual(punched)
    }
    const bytes = readFileSync(path)
    expect(bytes.length).toBe(4 << 20)
    expect(bytes.subarray(0, 1 << 20).every((byte) => byte === 0x5a)).toBe(true)
    const zeroes = bytes.subarray(1 << 20, (facts.zero ? 3 : 2) << 20)
    expect(zeroes.every((byte) => byte === 0)).toBe(true)
    expect(bytes.subarray(3 << 20).every((byte) => byte === 0x5a)).toBe(true)
    shim.fileClose(file)
  })

  test('as many ops at once as ops_max, each completes once', async () => {
    const { file } = open()
    const tokens: number[] = []
    for (let i = 0; i < rig.limits.opsMax; i++) {
      rig.bytes.fill(i, rig.buffer(i * 4096), rig.buffer((i + 1) * 4096))
      tokens.push(rig.op({
        [O.CODE]: OP.WRITE, [O.FILE]: file, [O.LO]: rig.buffer(i * 4096), [O.BYTES]: 4096,
        [O.AT_LO]: i * 4096,
      }))
    }
    for (const token of tokens) expect(await rig.result(token)).toBe(0)
    await rig.turns(5)
    for (const token of tokens) expect(rig.results.get(token)).toEqual([])
    const bytes = readFileSync(path)
    for (let i = 0; i < tokens.length; i++) expect(bytes[i * 4096 + 4095]).toBe(i)
    expect(rig.counter(COUNTER.OPS)).toBe(tokens.length)
    shim.fileClose(file)
  })

  test('beyond the end is EINVAL, a file that shrank is EIO', async () => {
    const { file } = open(FILE.CREATE | FILE.BUFFERED, 1 << 20)
    expect(await transfer(OP.READ, file, (1 << 20) - 4096, 8192)).toBe(-EINVAL)
    expect(await transfer(OP.WRITE, file, 1 << 20, 512)).toBe(-EINVAL)
    expect(await transfer(OP.READ, file, 1 << 20, 0)).toBe(0)
    truncateSync(path, 4096)
    expect(await transfer(OP.READ, file, 8192, 4096)).toBe(-EIO)
    expect(await transfer(OP.READ, file, 0, 8192)).toBe(-EIO)
    expect(shim.fileFacts(file)).toMatchObject({ bytes: 4096 })
    shim.fileClose(file)
  })

  test('read-only: reads work, changes are refused', async () => {
    writeFileSync(path, pattern(8192))
    const { file, facts } = open(FILE.READ_ONLY | FILE.BUFFERED, 0)
    expect(facts).toMatchObject({ readOnly: true, created: false, discard: false, bytes: 8192 })
    expect(await transfer(OP.READ, file, 0, 8192)).toBe(0)
    expect(await transfer(OP.WRITE, file, 0, 512)).toBe(-EROFS)
    expect(await rig.run({ [O.CODE]: OP.DISCARD, [O.FILE]: file, [O.RANGE_LO]: 4096 })).toBe(-EROFS)
    expect(await rig.run({ [O.CODE]: OP.SYNC, [O.FILE]: file })).toBe(0)
    const second = open(FILE.READ_ONLY, 0)
    expect(second.file).not.toBe(file)
    expect(shim.fileOpen(path, 0, 0)).toBe(-EWOULDBLOCK)
    shim.fileClose(file)
    shim.fileClose(second.file)
    expect(readFileSync(path).equals(pattern(8192))).toBe(true)
  })

  test('COMPARE tells equal from different, to the last byte', async () => {
    rig.bytes.set(pattern(5000, 2), rig.buffer(0))
    rig.bytes.set(pattern(5000, 2), rig.buffer(8192))
    const words = {
      [O.CODE]: OP.COMPARE, [O.LO]: rig.buffer(0), [O.BYTES]: 5000, [O.OTHER_LO]: rig.buffer(8192),
    }
    expect(await rig.run(words)).toBe(0)
    rig.bytes[rig.buffer(8192 + 4999)]! ^= 1
    expect(await rig.run(words)).toBe(1)
    expect(await rig.run({ ...words, [O.BYTES]: 4999 })).toBe(0)
  })

  test('MOVE moves exactly its bytes, also onto themselves', async () => {
    rig.bytes.set(pattern(5000, 3), rig.buffer(0))
    rig.bytes.fill(7, rig.buffer(8192), rig.buffer(16384))
    const words = { [O.CODE]: OP.MOVE, [O.LO]: rig.buffer(0), [O.BYTES]: 4999 }
    expect(await rig.run({ ...words, [O.OTHER_LO]: rig.buffer(8192) })).toBe(0)
    const moved = Buffer.from(rig.bytes.subarray(rig.buffer(8192), rig.buffer(8192) + 5000))
    expect(moved.equals(Buffer.concat([pattern(5000, 3).subarray(0, 4999), Buffer.of(7)]))).toBe(true)
    expect(await rig.run({ ...words, [O.OTHER_LO]: rig.buffer(1) })).toBe(0)
    const shifted = Buffer.from(rig.bytes.subarray(rig.buffer(1), rig.buffer(1) + 4999))
    expect(shifted.equals(pattern(5000, 3).subarray(0, 4999))).toBe(true)
  })

  test('MEMORY_ZERO zeroes exactly its range, in a region and in the arena', async () => {
    const bytes = 200 << 20
    const region = shim.regionCreate(bytes, true)
    const view = new Uint8Array(shim.regionView(region, bytes))
    const resident = (): number => WINDOWS ? 0 : Number(readFileSync('/proc/self/statm', 'utf8').split(' ')[1])
    view.fill(0xee)
    const before = resident()
    expect(await rig.run({
      [O.CODE]: OP.MEMORY_ZERO, [O.REGION]: region, [O.LO]: 4095, [O.RANGE_LO]: bytes - 8000,
    })).toBe(0)
    // Windows keeps the pages: taking them from under other reactors would fault there.
    if (!WINDOWS) expect(before - resident()).toBeGreaterThan((150 << 20) / 4096)
    expect(view[4094]).toBe(0xee)
    expect(view[bytes - 8000 + 4095]).toBe(0xee)
    expect(view.subarray(4095, bytes - 8000 + 4095).indexOf(0xee)).toBe(-1)
    rig.bytes.fill(0xee, rig.buffer(0), rig.buffer(20000))
    expect(await rig.run({
      [O.CODE]: OP.MEMORY_ZERO, [O.LO]: rig.buffer(1), [O.RANGE_LO]: 19998,
    })).toBe(0)
    expect(rig.bytes[rig.buffer(0)]).toBe(0xee)
    expect(rig.bytes[rig.buffer(19999)]).toBe(0xee)
    expect(rig.bytes.subarray(rig.buffer(1), rig.buffer(19999)).indexOf(0xee)).toBe(-1)
    expect(shim.regionRelease(region)).toBe(0)
  })

  test('copies are done before the turn returns', () => {
    const region = shim.regionCreate(1 << 20, false)
    const view = new Uint8Array(shim.regionView(region, 1 << 20))
    rig.bytes.set(pattern(10_000, 4), rig.buffer(0))
    rig.copy([region, 77], [0, rig.buffer(0)], 10_000)
    rig.copy([0, rig.buffer(20_000)], [0, rig.buffer(0)], 1)
    rig.turn()
    expect(rig.word(H.COPIES)).toBe(0)
    expect(Buffer.from(view.subarray(77, 10_077)).equals(pattern(10_000, 4))).toBe(true)
    expect(rig.bytes[rig.buffer(20_000)]).toBe(pattern(1, 4)[0])
    expect(rig.counter(COUNTER.COPIED_BYTES)).toBe(10_001)
    shim.regionRelease(region)
  })

  test('closing the shim waits for ops under way', () => {
    const { file } = open()
    for (let i = 0; i < rig.limits.opsMax; i++) {
      rig.op({ [O.CODE]: OP.WRITE, [O.FILE]: file, [O.LO]: rig.buffer(0), [O.BYTES]: 1 << 20 })
    }
    rig.words[H.WAIT_US] = 0
    rig.turn()
    rig.close()
    expect(shim.fileClose(file)).toBe(0)
    rig = new Rig({ engine })
  })
})

describe('opening', () => {
  test('what is not there, a directory, a character device, the same file twice', () => {
    expect(shim.fileOpen(path, 0, 0)).toBe(-ENOENT)
    expect(shim.fileOpen(path, FILE.READ_ONLY | FILE.CREATE, 0)).toBe(-ENOENT)
    expect(shim.fileOpen(directory, 0, 0)).toBe(-EISDIR)
    expect(shim.fileOpen(WINDOWS ? String.raw`\\.\NUL` : '/dev/null', 0, 0)).toBe(-ENODEV)
    const { file } = open()
    expect(shim.fileOpen(path, 0, 0)).toBe(-EWOULDBLOCK)
    expect(shim.fileClose(file)).toBe(0)
    const again = open(0, 0)
    expect(again.facts).toMatchObject({ created: false, bytes: FILE_BYTES })
    expect(shim.fileClose(again.file)).toBe(0)
  })

  test('a file that another process has locked is refused, and not changed', () => {
    writeFileSync(path, 'kept')
    const library = new URL('../../../src/shim/shim.ts', import.meta.url).href
    const source = `
      import { loadShim } from '${library}'
      const grows = ${FILE.GROW}
      console.log(loadShim().fileOpen(${JSON.stringify(path)}, grows, 1 << 20))`
    const { file } = open(0, 0)
    const second = spawnSync(process.execPath, ['--input-type=module', '-e', source])
    expect(second.stdout.toString().trim()).toBe(String(-EWOULDBLOCK))
    expect(readFileSync(path, 'utf8')).toBe('kept')
    shim.fileClose(file)
  })

  test('GROW extends a smaller file, and only then', () => {
    writeFileSync(path, 'first')
    const small = open(0, 1 << 20)
    expect(small.facts.bytes).toBe(5)
    shim.fileClose(small.file)
    const grown = open(FILE.GROW, 5_000_000_000)
    expect(grown.facts.bytes).toBe(5_000_000_000)
    shim.fileClose(grown.file)
    const kept = open(FILE.GROW, 1 << 20)
    expect(kept.facts.bytes).toBe(5_000_000_000)
    shim.fileClose(kept.file)
    expect(statSync(path).size).toBe(5_000_000_000)
  })

  test('a file that cannot be made as large is not left behind', () => {
    expect(shim.fileOpen(path, FILE.CREATE, 2 ** 53 - 1)).toBeLessThan(0)
    expect(existsSync(path)).toBe(false)
  })

  test('probing allocates nothing', () => {
    const { file } = open(FILE.CREATE, 1 << 20)
    shim.fileClose(file)
    expect(statSync(path)).toMatchObject({ size: 1 << 20, blocks: 0 })
  })

  test('a file system without direct transfers is told, or has them', () => {
    const { file, facts } = open(FILE.CREATE, 1 << 20, join(tmpdir(), `weft-${process.pid}.img`))
    rmSync(join(tmpdir(), `weft-${process.pid}.img`))
    if (facts.direct) expect(facts.logicalBytes).toBeGreaterThanOrEqual(512)
    else expect(facts).toMatchObject({ directErrno: EINVAL, logicalBytes: 1 })
    shim.fileClose(file)
  })
})
