/**
 * Log pages: bytes at the offsets that hosts read them from, and cuts at any offset.
 */
import { describe, expect, test } from 'vitest'
import { cutLog, errorLog, logPage } from '../../../src/controller/log-page.ts'
import type { ErrorEntry, LogSources } from '../../../src/controller/log-page.ts'
import { namespaceSnapshot, subsystemSnapshot } from './association.ts'

const ERROR: ErrorEntry = {
  count: 9, sqid: 3, cid: 0x1234, status: 0x4080, location: 40, opcode: 2, lba: 0x12_3456_789a, nsid: 2,
}

const sources = (more: Partial<LogSources> = {}): LogSources => ({
  subsystem: subsystemSnapshot(), firmware: '0.1.0', errors: () => [ERROR], changedNamespaces: () => [3, 7],
  ana: () => new Uint8Array(16).fill(2),
  discovery: () => new Uint8Array(2048).fill(1), persistentEvents: () => new Uint8Array(512).fill(2),
  notice: () => new Uint8Array(64).fill(2),
  health: () => ({
    readBytes: 512_001, writtenBytes: 2 ** 52, reads: 5, writes: 6, busyMinutes: 7,
    powerOnHours: 8, mediaErrors: 9, errors: 10, warning: 0x0c, powerCycles: 11, unsafeShutdowns: 12,
  }),
  ...more,
})

/** csi and so on: of CDW10 to CDW14. */
const ask = (lid: number, nsid = 0, more: Partial<LogSources> = {}, csi = 0) =>
  logPage({ lid, nsid, lsp: 0, lsi: 0, csi }, sources(more))

function log(lid: number, nsid = 0, more: Partial<LogSources> = {}): Buffer {
  const built = ask(lid, nsid, more)
  if (typeof built === 'number') throw new Error(`refused with ${built.toString(16)}h`)
  return Buffer.from(built.buffer)
}

describe('supported logs, 00h', () => {
  test.each(['nvm', 'discovery'] as const)('%s: names what can be read', (kind) => {
    const supported = log(0, 0, { subsystem: subsystemSnapshot({ kind }) })
    expect(supported.length).toBe(1024)
    for (let lid = 0; lid < 256; lid += 1) {
      const isThere = typeof ask(lid, 0, { subsystem: subsystemSnapshot({ kind }) }) !== 'number'
      expect(supported.readUInt16LE(4 * lid), `LID ${lid}`).toBe(isThere ? 1 : 0)
      // A discovery log may be had with extended entries (bit 0) and port local ones only (bit 1).
      const specific = kind === 'discovery' && lid === 0x70 ? 3 : 0
      expect(supported.readUInt16LE(4 * lid + 2), `LID ${lid}`).toBe(specific)
    }
  })

  test('which those are', () => {
    const lids = (kind: 'nvm' | 'discovery'): number[] => {
      const supported = log(0, 0, { subsystem: subsystemSnapshot({ kind }) })
      return Array.from({ length: 256 }, (_, lid) => lid).filter((lid) => supported[4 * lid] === 1)
    }
    expect(lids('nvm')).toEqual([0, 1, 2, 3, 4, 5, 0x0c, 0x0d, 0x12, 0x13, 0x80, 0x81])
    expect(lids('discovery')).toEqual([0, 0x70])
  })

  test('others are refused with 1/09h', () => {
    expect(ask(0x70)).toBe(0x4109)
    expect(ask(0x02, 0, { subsystem: subsystemSnapshot({ kind: 'discovery' }) })).toBe(0x4109)
  })
})

test('errors, 01h', () => {
  const errors = log(1)
  expect(errors.length).toBe(64 * 64)
  expect(errors.toString('hex', 0, 30)).toBe(
    '0900000000000000' + '0300' + '3412' + '0081' + '2800' + '9a78563412000000' + '02000000'
    + '0003')
  expect([errors[30], errors[31], errors[63]], 'CSI, opcode, version').toEqual([0, 2, 1])
  expect(errors.subarray(32, 63).every((byte) => byte === 0)).toBe(true)
  expect(errors.subarray(64).every((byte) => byte === 0)).toBe(true)
  const many = Array.from({ length: 70 }, (_, index) => ({ ...ERROR, count: 70 - index }))
  const full = Buffer.from(errorLog(many).buffer)
  expect(full.length).toBe(64 * 64)
  expect([full[0], full[63 * 64]]).toEqual([70, 7])
})

test('health, 02h', () => {
  const health = log(2, 0xffff_ffff)
  expect(health.length).toBe(512)
  expect([...health.subarray(0, 7)]).toEqual([0x0c, 0, 0, 100, 0, 0, 0])
  const counters = [32, 48, 64, 80, 96, 112, 128, 144, 160, 176]
    .map((at) => Number(health.readBigUInt64LE(at)))
  expect(counters).toEqual([2, Math.ceil(2 ** 52 / 512_000), 5, 6, 7, 11, 8, 12, 9, 10])
  expect(ask(2, -1)).toBeInstanceOf(Uint8Array)
})

test('health of one namespace, which has to be there', () => {
  const asked: (number | null)[] = []
  const more: Partial<LogSources> = {
    subsystem: subsystemSnapshot({ namespaces: [namespaceSnapshot(4)] }),
    health: (namespace) => {
      asked.push(namespace === null ? null : namespace.nsid)
      return sources().health(null)
    },
  }
  for (const nsid of [4, 0, 0xffff_ffff]) expect(ask(2, nsid, more)).toBeInstanceOf(Uint8Array)
  expect(asked).toEqual([4, null, null])
  expect(ask(2, 5, more)).toBe(0x400b)
})

test.each([0, 1, 3, 4, 5, 0x12, 0x13])('log %i is of no namespace', (lid) => {
  const more = { subsystem: subsystemSnapshot({ namespaces: [namespaceSnapshot(1)] }) }
  expect(ask(lid, 1, more)).toBe(0x4002)
  for (const nsid of [0, 0xffff_ffff, -1]) expect(ask(lid, nsid, more)).toBeInstanceOf(Uint8Array)
})

test('firmware, 03h', () => {
  const firmware = log(3)
  expect(firmware.length).toBe(512)
  expect(firmware[0]).toBe(1)
  expect(firmware.toString('latin1', 8, 16)).toBe('0.1.0   ')
  expect(firmware.subarray(16).every((byte) => byte === 0)).toBe(true)
})

test('changed namespaces, 04h', () => {
  expect(log(4).toString('hex', 0, 12)).toBe('030000000700000000000000')
  const nsids = (count: number) => ({
    changedNamespaces: () => Array.from({ length: count }, (_, index) => index + 1),
  })
  expect(log(4, 0, nsids(1024)).readUInt32LE(4092)).toBe(1024)
  expect(log(4, 0, nsids(1025)).toString('hex', 0, 8)).toBe('ffffffff00000000')
})

test('effects of a command set that is not there', () => {
  expect(ask(5, 0, {}, 2)).toBe(0x4002)
})

test('effects, 05h', () => {
  const effects = log(5)
  expect(effects.length).toBe(4096)
  const listed = (from: number): Record<string, number> => Object.fromEntries(
    Array.from({ length: 256 }, (_, opcode) => [opcode, effects.readUInt32LE(from + 4 * opcode)])
      .filter((pair) => pair[1] !== 0))
  expect(listed(0)).toEqual({ 2: 1, 6: 1, 8: 1, 9: 1, 10: 1, 12: 1, 24: 1, 127: 1, 128: 0x10007, 132: 0x20003 })
  expect(listed(1024)).toEqual({
    0: 1, 1: 3, 2: 1, 4: 3, 5: 1, 8: 3, 9: 3, 12: 1, 13: 1, 14: 1, 17: 1, 21: 1, 25: 3, 127: 1,
  })
})

test('feature effects, 12h, and management, 13h', () => {
  const features = log(0x12)
  expect(features.length).toBe(1024)
  expect(features.readUInt32LE(4 * 0x07)).toBe(0x0020_0001)
  expect(features.readUInt32LE(4 * 0x82), 'of a namespace').toBe(0x0010_0001)
  expect(features.readUInt32LE(4 * 0x84), 'changes what Identify says').toBe(0x0010_0005)
  expect(features.readUInt32LE(4 * 0x03)).toBe(0)
  expect(log(0x13).equals(Buffer.alloc(4096))).toBe(true)
})

describe('cuts', () => {
  const whole = Uint8Array.from({ length: 100 }, (_, index) => index)

  test.each([
    [0, 8, [0, 1, 2, 3, 4, 5, 6, 7]], [96, 8, [96, 97, 98, 99, 0, 0, 0, 0]], [100, 4, [0, 0, 0, 0]],
  ])('from %i, %i bytes', (lpo, bytes, wanted) => {
    const target = new Uint8Array(bytes).fill(0xee)
    expect(cutLog(whole, lpo, target)).toBe(0)
    expect([...target]).toEqual(wanted)
  })

  test.each([104, 2 ** 52, NaN, 2, 1])('from %i is refused', (lpo) => {
    expect(cutLog(whole, lpo, new Uint8Array(4))).toBe(0x4002)
  })
})
