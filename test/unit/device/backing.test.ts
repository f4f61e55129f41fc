/**
 * Backings: what is opened for a namespace, what is refused in which words, and that all of it is
 * synced and closed at the end, whatever fails meanwhile.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import type { NamespaceConfig } from '../../../src/config/config.ts'
import { Backings } from '../../../src/device/backing.ts'
import type { FileFacts, Shim } from '../../../src/shim/shim.ts'

const folder = mkdtempSync(join(tmpdir(), 'weft-backing-'))
afterAll(() => rmSync(folder, { recursive: true }))

const [CREATE, READ_ONLY, BUFFERED, GROW] = [1, 2, 4, 8]
const GIB = 2 ** 30

const FACTS: FileFacts = {
  blockDevice: false, direct: true, directErrno: 0, logicalBytes: 512, physicalBytes: 4096, memoryAlignBytes: 512,
  discard: true, zero: true, bytes: GIB, created: false, readOnly: false, rotational: false,
  optimalBytes: 0, discardBytes: 4096, boundaryBytes: 0,
}

function rig(facts: Partial<FileFacts> = {}, errno = 0, resizeErrno = 0) {
  let size = facts.bytes ?? GIB
  const calls: string[] = []
  let opened = 10
  const shim = {
    fileOpen: (path: string, flags: number, bytes: number) => {
      calls.push(`open ${path} ${flags} ${bytes}`)
      const buffered = (flags & BUFFERED) !== 0 ? { direct: false, logicalBytes: 1 } : {}
      return errno !== 0 ? -errno : { file: opened++, facts: { ...FACTS, ...facts, ...buffered } }
    },
    fileClose: (file: number) => calls.push(`close ${file}`),
    regionCreate: (bytes: number) => {
      calls.push(`region ${bytes}`)
      return errno !== 0 ? -errno : 5
    },
    regionRelease: (region: number) => calls.push(`release ${region}`),
    fileFacts: () => errno === 0 ? { ...FACTS, bytes: size } : -errno,
    fileResize: (file: number, bytes: number) => {
      calls.push(`resize ${file} ${bytes}`)
      size = bytes
      return -resizeErrno
    },
    regionResize: (region: number, bytes: number) => {
      calls.push(`resize region ${region} ${bytes}`)
      return -resizeErrno
    },
  }
  return { backings: new Backings(shim as unknown as Shim), calls }
}

const namespace = (backing: NamespaceConfig['backing'], more: Partial<NamespaceConfig> = {}): NamespaceConfig =>
  ({ nsid: 1, backing, blockBytes: 512, uuid: '', nguid: '', readOnly: false, anaGroup: 1, ...more })
const file = (path: string, bytes: number | null = null, create = false): NamespaceConfig['backing'] =>
  ({ kind: 'file', path, bytes, create })

describe('memory and null', () => {
  test('whole blocks', () => {
    const { backings, calls } = rig()
    expect(backings.open(namespace({ kind: 'memory', bytes: 10_000 }, { blockBytes: 4096 }))).toMatchObject({
      device: { kind: 'memory', region: 5 }, blockBytes: 4096, blockCount: 2, readOnly: false,
    })
    expect(backings.open(namespace({ kind: 'null', bytes: 2 ** 40 }))).toMatchObject({
      device: { kind: 'null' }, blockCount: 2 ** 31,
    })
    expect(calls).toEqual(['region 8192'])
  })

  test('no memory', () => {
    expect(() => rig({}, 12).backings.open(namespace({ kind: 'memory', bytes: GIB }))).toThrow('no room')
  })
})

describe('files', () => {
  test.each<[string, NamespaceConfig, number, number]>([
    ['as it is', namespace(file('/a')), 0, 0],
    ['created', namespace(file('/a', GIB, true)), CREATE | GROW, GIB],
    ['grown', namespace(file('/a', GIB)), GROW, GIB],
    ['read-only', namespace(file('/a'), { readOnly: true }), READ_ONLY, 0],
    ['a device', namespace({ kind: 'device', path: '/a' }), 0, 0],
  ])('%s', (_what, config, flags, bytes) => {
    const { backings, calls } = rig()
    backings.open(config)
    expect(calls).toEqual([`open /a ${flags} ${bytes}`])
  })

  test('blocks of a medium that has 4096', () => {
    const whole = rig({ blockDevice: true, logicalBytes: 4096 })
    const device = { kind: 'device', path: '/dev/a' } as const
    expect(whole.backings.open(namespace(device, { blockBytes: null }))).toMatchObject({
      blockBytes: 4096, blockCount: GIB / 4096, device: { kind: 'block' },
    })
    expect(() => whole.backings.open(namespace(device))).toThrow('cannot be split')
  })

  test('a file whose file system moves larger blocks goes through the page cache', () => {
    const { backings, calls } = rig({ logicalBytes: 4096 })
    const opened = backings.open(namespace(file('/a', GIB)))
    expect(opened).toMatchObject({ blockBytes: 512, device: { direct: false, file: 11 } })
    expect(opened.note).toContain('page cache')
    backings.close()
    expect(calls).toEqual([`open /a ${GROW} ${GIB}`, 'close 10', `open /a ${GROW | BUFFERED} ${GIB}`, 'close 11'])
  })

  test('a medium that cannot be written is read-only', () => {
    expect(rig({ readOnly: true }).backings.open(namespace(file('/a')))).toMatchObject({ readOnly: true })
  })

  test('an empty one', () => {
    const { backings, calls } = rig({ bytes: 100 })
    expect(() => backings.open(namespace(file('/a')))).toThrow('is empty')
    backings.close()
    expect(calls.at(-1)).toBe('close 10')
  })

  test.each([
    [11, 'in use by another process'], [16, 'mounted'], [2, 'does not exist'], [13, 'no permission'],
    [21, 'is a directory'], [30, 'read-only file system'], [28, 'no space'], [5, 'EIO'],
  ])('errno %i', (errno, words) => {
    expect(() => rig({}, errno).backings.open(namespace(file('/a')))).toThrow(words)
  })
})

describe('the end', () => {
  test('everything is closed, once', () => {
    const { backings, calls } = rig()
    backings.open(namespace(file('/a')))
    backings.open(namespace({ kind: 'memory', bytes: GIB }))
    calls.length = 0
    backings.close()
    backings.close()
    expect(calls).toEqual(['close 10', 'release 5'])
  })

  test('a file that cannot be synced keeps no other from it, and is told', () => {
    const { backings } = rig()
    const there = join(folder, 'there')
    writeFileSync(there, '')
    for (const path of [join(folder, 'gone'), there, join(folder, 'gone too')]) backings.open(namespace(file(path)))
    backings.open(namespace(file(join(folder, 'read-only')), { readOnly: true }))
    expect(backings.sync()).toEqual([
      { path: join(folder, 'gone'), reason: 'ENOENT' }, { path: join(folder, 'gone too'), reason: 'ENOENT' },
    ])
  })
})

describe('another size', () => {
  test('memory grows at once, and shrinks when it is cut', () => {
    const { backings, calls } = rig()
    const open = backings.open(namespace({ kind: 'memory', bytes: 8192 }, { blockBytes: 4096 }))
    const grown = backings.resize(open, 20_000)
    expect(grown).toMatchObject({ blockCount: 4, device: { region: 5 } })
    expect(calls).toEqual(['region 8192', 'resize region 5 16384'])
    const shrunk = backings.resize(grown, 9000)
    expect([shrunk.blockCount, calls.length]).toEqual([2, 2])
    backings.cut(shrunk, 9000)
    expect(calls[2]).toBe('resize region 5 8192')
  })

  test('a file likewise; without a size it is as large as it has become', () => {
    const { backings, calls } = rig()
    const open = backings.open(namespace(file('/disk', GIB)))
    expect(backings.resize(open, 2 * GIB).blockCount).toBe(2 * GIB / 512)
    expect(calls.at(-1)).toBe(`resize 10 ${2 * GIB}`)
    expect(backings.resize(open, null).blockCount).toBe(2 * GIB / 512)
    expect(backings.resize(open, GIB / 2).blockCount).toBe(GIB / 2 / 512)
    expect(calls.length).toBe(2)
    backings.cut(open, GIB / 2)
    expect(calls.at(-1)).toBe(`resize 10 ${GIB / 2}`)
  })

  test('a device and what is read-only are as large as they are', () => {
    const { backings, calls } = rig({ blockDevice: true, bytes: 3 * GIB })
    const device = backings.open(namespace({ kind: 'device', path: '/dev/sdx' }, { blockBytes: null }))
    expect(backings.resize(device, null).blockCount).toBe(3 * GIB / 512)
    const fixed = backings.open(namespace(file('/disk'), { readOnly: true }))
    expect(backings.resize(fixed, 9 * GIB).blockCount).toBe(3 * GIB / 512)
    expect(calls.filter((call) => call.startsWith('resize'))).toEqual([])
  })

  test('what the storage refuses is told', () => {
    const { backings } = rig({}, 0, 12)
    const memory = backings.open(namespace({ kind: 'memory', bytes: 8192 }))
    expect(() => backings.resize(memory, GIB)).toThrow('cannot be 1073741824 bytes large (ENOMEM)')
    const full = rig({}, 0, 28)
    const open = full.backings.open(namespace(file('/disk')))
    expect(() => full.backings.resize(open, 2 * GIB)).toThrow('no space for /disk')
    expect(() => full.backings.resize(open, 100)).toThrow('/disk would be empty')
  })
})

describe('given back', () => {
  test('one by one, and then not again', () => {
    const { backings, calls } = rig()
    const [one, other] = [backings.open(namespace(file('/one'))), backings.open(namespace(file('/other')))]
    const memory = backings.open(namespace({ kind: 'memory', bytes: 4096 }))
    backings.release(one)
    backings.release(memory)
    backings.release(backings.open(namespace({ kind: 'null', bytes: 4096 })))
    calls.length = 0
    backings.close()
    expect(calls).toEqual(['close 11'])
    expect(other.device).toMatchObject({ file: 11 })
  })

  test('what was opened, but cannot be used', () => {
    const { backings, calls } = rig({ bytes: 0 })
    expect(() => backings.open(namespace(file('/empty')))).toThrow('is empty')
    expect(calls.at(-1)).toBe('close 10')
    calls.length = 0
    backings.close()
    expect(calls).toEqual([])
  })
})
