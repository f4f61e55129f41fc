/**
 * Pools on real files: which files they are made in, which they refuse, and what a start makes of a record that was
 * written just before the end.
 */
import { existsSync, mkdtempSync, openSync, closeSync, readFileSync, readSync, rmSync, statSync, writeFileSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { Config } from '../../src/config/config.ts'
import { POOL_RECORD } from '../../src/config/kept-pool.ts'
import { readConfig } from '../../src/config/read.ts'
import { Backings } from '../../src/device/backing.ts'
import { Pools } from '../../src/pools.ts'
import { loadShim } from '../../src/shim/shim.ts'
import type { KeptPool } from '../../src/subsystem/pool.ts'

const NQN = 'nqn.2026-01.com.example:pool'
const MIB = 1 << 20
const UUID = '6c1e7c2e-4f4b-4a6b-9d3e-0f5a7b1c2d3e'
const CREATED = {
  nsid: 3, uuid: UUID, nguid: 'a'.repeat(32), at: 2 * MIB, bytes: 2 * MIB, blockBytes: 4096, blockCount: 257, anaGroup: 2,
  isPrivate: true,
} as const

let folder: string
let path: string
let backings: Backings
let kept: KeptPool | null
let refuses: boolean

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'weft-pools-'))
  path = join(folder, 'pool')
  backings = new Backings(loadShim())
  kept = null
  refuses = false
})
afterEach(() => {
  backings.close()
  rmSync(folder, { recursive: true })
})

const config = (size = '8M', more: object = {}): Config => readConfig(
  { subsystems: [{ nqn: NQN, pool: { path: 'pool', size }, ...more }] }, 'weft.json',
  { machineId: 'm', cpuCount: 2, folder, state: join(folder, 'state') })

/** Another start, with what was kept. */
function start(): Pools {
  backings.close()
  backings = new Backings(loadShim())
  return new Pools({
    backings, log: { warning: () => {} }, load: () => kept,
    save: async (_nqn, next) => {
      if (refuses) throw new Error('the folder cannot be written (EROFS)')
      expect(POOL_RECORD.schema.safeParse(JSON.parse(JSON.stringify(next))).success).toBe(true)
      kept = structuredClone(next)
    },
  })
}

/** Bytes of the file, where parts lie: behind the first granule. */
function bytesAt(at: number, count: number): Buffer {
  const bytes = Buffer.alloc(count)
  const file = openSync(path, 'r')
  readSync(file, bytes, 0, count, MIB + at)
  closeSync(file)
  return bytes
}
function fill(at: number, count: number): void {
  const file = openSync(path, 'r+')
  writeSync(file, Buffer.alloc(count, 0xee), 0, count, MIB + at)
  closeSync(file)
}

describe('the file', () => {
  test('is made where there is none, and found again', async () => {
    await start().prepare(config())
    expect(readFileSync(path).toString('latin1', 0, 49)).toBe(`weft pool 1 ${kept!.id}\n`)
    await start().prepare(config())
  })

  test('is never made of one that is there', async () => {
    writeFileSync(path, 'precious')
    await expect(start().prepare(config())).rejects.toThrow(/is there, and is not a pool/)
    expect(readFileSync(path, 'utf8')).toBe('precious')
  })

  test('is not taken for another one, nor without its record', async () => {
    await start().prepare(config())
    const before = readFileSync(path)
    const record = kept!
    kept = null
    await expect(start().prepare(config())).rejects.toThrow(/is a pool without a record/)
    kept = { ...record, id: UUID }
    await expect(start().prepare(config())).rejects.toThrow(/is not the pool that its record/)
    expect(readFileSync(path).equals(before)).toBe(true)
    rmSync(path)
    kept = { ...record, namespaces: [CREATED] }
    await expect(start().prepare(config())).rejects.toThrow(/is not the pool that its record/)
    expect(existsSync(path), 'a record is not served without its file').toBe(false)
  })

  test('is made at last, where the first start ended before it was', async () => {
    await start().prepare(config())
    for (const left of [null, Buffer.alloc(0), Buffer.alloc(MIB)]) {
      backings.close()
      rmSync(path)
      if (left !== null) writeFileSync(path, left)
      await start().prepare(config())
      expect(readFileSync(path).toString('latin1', 0, 48)).toBe(`weft pool 1 ${kept!.id}`)
    }
  })

  test('is not begun where its record cannot be kept', async () => {
    refuses = true
    await expect(start().prepare(config())).rejects.toThrow(/EROFS/)
  })

  test.skipIf(process.platform === 'win32')('cannot be a device', async () => {
    const there = config()
    const pool = { path: '/dev/null', bytes: MIB }
    const other = { ...there, subsystems: there.subsystems.map((each) => ({ ...each, pool })) }
    await expect(start().prepare(other)).rejects.toThrow(/is not a file/)
  })
})

describe('the record', () => {
  beforeEach(async () => {
    await start().prepare(config())
    kept = { ...kept!, namespaces: [CREATED] }
  })

  test('makes namespaces, and the file as long as it was', async () => {
    const { subsystems } = await start().prepare(config('8M', { namespaces: [{ nsid: 1, memory: '1M' }, { nsid: 5, memory: '1M' }] }))
    expect(subsystems[0]!.namespaces.map(({ nsid }) => nsid)).toEqual([1, 3, 5])
    expect(subsystems[0]!.namespaces[1]).toEqual({
      nsid: 3, uuid: UUID, nguid: CREATED.nguid, blockBytes: 4096, readOnly: false, anaGroup: 2,
      backing: { kind: 'pool', pool: path, at: 2 * MIB, bytes: 257 * 4096 },
    })
    expect(statSync(path).size).toBeGreaterThanOrEqual(5 * MIB)
    const open = backings.open(subsystems[0]!.namespaces[1]!)
    expect([open.blockCount, open.device]).toEqual([257, expect.objectContaining({ kind: 'file', base: 3 * MIB })])
  })

  test('that a smaller pool, or a configured namespace, contradicts is refused', async () => {
    await expect(start().prepare(config('1M'))).rejects.toThrow(/has not the size/)
    await expect(start().prepare(config('8M', { namespaces: [{ nsid: 3, memory: '1M' }] }))).rejects.toThrow(/A host created namespace 3/)
  })

  test('of what was deleted just before the end: it is erased before anything else, and free', async () => {
    fill(0, MIB)
    fill(2 * MIB, MIB)
    kept = { ...kept!, leftovers: [{ at: 0, bytes: MIB }] }
    const pools = start()
    await pools.prepare(config())
    expect([kept.leftovers, pools.of(NQN)!.allocation.freeBytes]).toEqual([[], 6 * MIB])
    expect(bytesAt(0, MIB).every((byte) => byte === 0)).toBe(true)
    expect(bytesAt(2 * MIB, MIB).every((byte) => byte === 0xee), 'of others nothing').toBe(true)
  })

  test('that cannot be written keeps what was deleted from being given out', async () => {
    kept = { ...kept!, leftovers: [{ at: 0, bytes: MIB }] }
    refuses = true
    const pools = start()
    await pools.prepare(config())
    expect([kept.leftovers.length, pools.of(NQN)!.allocation.freeBytes]).toEqual([1, 5 * MIB])
  })

  test.each([
    [{ ...CREATED, blockCount: 1024 }], [{ ...CREATED, uuid: 'x' }], [{ ...CREATED, blockBytes: 1024 }], [{ ...CREATED, more: 1 }],
  ])('is refused where it cannot be right: %j', (namespace) => {
    expect(POOL_RECORD.schema.safeParse({ ...kept, namespaces: [namespace] }).success).toBe(false)
  })
})

test('two pools cannot be opened on one file, and a subsystem that goes lets its own go', async () => {
  const first = start()
  await first.prepare(config())
  const others = new Backings(loadShim())
  const second = new Pools({ backings: others, log: { warning: () => {} }, load: () => kept, save: async () => {} })
  await expect(second.prepare(config())).rejects.toThrow(/locked/)
  first.tidy({ subsystems: [] })
  await new Promise(setImmediate)
  await second.prepare(config())
  others.close()
})
