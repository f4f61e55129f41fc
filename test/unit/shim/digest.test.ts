/**
 * CRC32C: known values, and every path through the triple, short and single loops against the
 * definition, bit by bit.
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { H } from '../../../src/shim/abi.ts'
import { pattern, Rig, shim } from './rig.ts'

let rig: Rig
beforeAll(() => { rig = new Rig({ bufferBytes: 1 << 20 }) })
afterAll(() => rig.close())

/** The definition: reflected polynomial 82F63B78h, all ones before and after. */
function definition(bytes: Uint8Array): number {
  let crc = 0xffffffff
  for (const byte of bytes) {
    crc ^= byte
    for (let i = 0; i < 8; i++) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0)
  }
  return (crc ^ 0xffffffff) >>> 0
}

function digest(bytes: Uint8Array, at = 0): number {
  rig.bytes.set(bytes, rig.buffer(at))
  const resultAt = rig.buffer(1 << 19)
  if (shim.crc32cSeries(rig.buffer(at), bytes.length, 0, 1, resultAt) !== 0) throw new Error('refused')
  return rig.word(resultAt >> 2) >>> 0
}

describe('check values', () => {
  test.each([
    ['"123456789"', Buffer.from('123456789'), 0xe3069283],
    ['32 × 00h', Buffer.alloc(32, 0), 0x8a9136aa],
    ['32 × FFh', Buffer.alloc(32, 0xff), 0x62a8ab43],
    ['nothing', Buffer.alloc(0), 0],
    ['a CapsuleResp', Buffer.from('050118001c000000' + '0000000000000000' + '0100' + '0000' +
      '3412' + '0000', 'hex'), 0xba91d47e],
  ])('%s', (_name, bytes, expected) => {
    expect(digest(bytes)).toBe(expected)
  })
})

test('every length up to 1100 and those around the long triple, at odd addresses', () => {
  const bytes = pattern(9000)
  const lengths = Array.from({ length: 1100 }, (_, i) => i)
  lengths.push(4072, 4079, 4080, 4081, 4096, 4584, 8160, 8192, 8999)
  for (const length of lengths) {
    const part = bytes.subarray(0, length)
    const got = digest(part, length % 13)
    if (got !== definition(part)) expect.fail(`length ${length}: ${got.toString(16)}`)
  }
})

// There is no C compiler under Wine.
test.skipIf(process.platform === 'win32')('processors without the instruction: the same by tables', () => {
  const native = fileURLToPath(new URL('../../../native', import.meta.url))
  const directory = mkdtempSync(join(tmpdir(), 'weft-crc-'))
  const bytes = pattern(3000)
  const lengths = [0, 1, 7, 8, 9, 31, 64, 511, 2999]
  writeFileSync(join(directory, 'crc.c'), `#include <stdio.h>
    #include "${native}/crc32c.c"
    static const uint8_t bytes[] = {${bytes.join(',')}};
    int main(void) {
      ${lengths.map((length) => `printf("%u\\n", crc32c(bytes + 1, ${length}));`).join('\n')}
      return 0;
    }`)
  try {
    const program = join(directory, 'crc')
    execFileSync(process.env['CC'] ?? 'cc', [
      '-O2', '-I', native, '-D_GNU_SOURCE', '-DSHIM_CRC_BY_TABLE', '-o', program,
      join(directory, 'crc.c'),
    ])
    const printed = execFileSync(program, { encoding: 'utf8' }).trim().split('\n').map(Number)
    const expected = lengths.map((length) => definition(bytes.subarray(1, 1 + length)))
    expect(printed).toEqual(expected)
  } finally {
    rmSync(directory, { recursive: true })
  }
})

test('a digest of a region counts the copies queued before it', () => {
  const region = shim.regionCreate(4096, false)
  const bytes = pattern(1000, 3)
  rig.bytes.set(bytes, rig.buffer(0))
  rig.copy([region, 5], [0, rig.buffer(0)], 600)
  rig.copy([region, 605], [0, rig.buffer(600)], 400)
  expect(shim.crc32c(region, 5, 0, 1000) >>> 0).toBe(definition(bytes))
  expect(rig.word(H.COPIES)).toBe(0)
  expect(rig.turn()).toBe(0)
  expect(shim.regionRelease(region)).toBe(0)
})

test('a series: equally long runs at equal distances', () => {
  const bytes = pattern(4000, 5)
  rig.bytes.set(bytes, rig.buffer(3))
  const resultAt = rig.buffer(1 << 19)
  expect(shim.crc32cSeries(rig.buffer(3), 72, 76, 50, resultAt)).toBe(0)
  const got = Array.from({ length: 50 }, (_, k) => rig.word((resultAt >> 2) + k) >>> 0)
  const runs = Array.from({ length: 50 }, (_, k) => bytes.subarray(k * 76, k * 76 + 72))
  expect(got).toEqual(runs.map(definition))
})

test('the same through a region', () => {
  const region = shim.regionCreate(8192, false)
  const bytes = pattern(5000, 7)
  new Uint8Array(shim.regionView(region, 8192)).set(bytes, 3)
  expect(shim.crc32c(region, 3, 0, 5000) >>> 0).toBe(definition(bytes))
  expect(shim.regionRelease(region)).toBe(0)
})
