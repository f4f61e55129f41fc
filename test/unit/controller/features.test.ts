/**
 * Features: the table, row by row, with the statuses that hosts see as numbers.
 */
import { describe, expect, test } from 'vitest'
import {
  featureBytes, getFeature, initialFeatures, roundKeepAlive, setFeature, namespaceFeature, supportedFeatures,
} from '../../../src/controller/features.ts'
import type { Features, SetRequest } from '../../../src/controller/features.ts'

const HOST_ID = Uint8Array.from({ length: 16 }, (_, index) => index + 1)
const INVALID_FIELD = 0x4002
const SEQUENCE_ERROR = 0x400c
const KEEP_ALIVE_INVALID = 0x401a
const NOT_SAVEABLE = 0x410d
const NOT_NAMESPACE_SPECIFIC = 0x410f

const fresh = (kind: 'nvm' | 'discovery' = 'nvm'): Features =>
  initialFeatures({ kind, ioQueuesMax: 8, keepAliveMs: 5000, hostId: HOST_ID }, 1000)

const set = (features: Features, fid: number, cdw11: number, more: Partial<SetRequest> = {}) =>
  setFeature(features, {
    fid, cdw11, save: false, nsid: 0, payload: new Uint8Array(0), ioQueues: 0, zones: false, nowMs: 2000, ...more,
  })

const get = (features: Features, fid: number, select = 0, cdw11 = 0, nowMs = 1000) =>
  getFeature(features, { fid, select, cdw11, nowMs })

describe('the table', () => {
  test('which features there are', () => {
    const nvm = [0x01, 0x02, 0x04, 0x05, 0x06, 0x07, 0x0a, 0x0b, 0x0e, 0x0f, 0x16, 0x81, 0x82, 0x83, 0x84]
    expect(supportedFeatures('nvm')).toEqual(nvm)
    expect(supportedFeatures('discovery')).toEqual([0x0b, 0x0f])
  })

  test.each([0x00, 0x03, 0x08, 0x0c, 0x0d, 0x40, 0xff])('not %i', (fid) => {
    const features = fresh()
    expect(set(features, fid, 0).status).toBe(INVALID_FIELD)
    expect(get(features, fid).status).toBe(INVALID_FIELD)
    expect(get(features, fid, 3).status).toBe(INVALID_FIELD)
  })

  test.each(supportedFeatures('nvm').filter((fid) => namespaceFeature('nvm', fid) === undefined))('%i cannot be saved, holds for all namespaces', (fid) => {
    const features = fresh()
    expect(set(features, fid, 0, { save: true }).status).toBe(NOT_SAVEABLE)
    expect(set(features, fid, 0, { nsid: 1 }).status).toBe(NOT_NAMESPACE_SPECIFIC)
    expect(get(features, fid, 3).dw0, 'changeable').toBe(fid === 0x81 ? 0 : 4)
    expect(get(features, fid, 4).status).toBe(INVALID_FIELD)
    expect(features).toEqual(fresh())
  })

  test.each([0xffff_ffff, -1])('NSID %i is all namespaces', (nsid) => {
    expect(set(fresh(), 0x06, 0, { nsid }).status).toBe(0)
  })

  test('those with data', () => {
    const features = fresh()
    expect([0x07, 0x16, 0x81].map((fid) => featureBytes(features, fid))).toEqual([0, 512, 16])
    expect(featureBytes(fresh('discovery'), 0x16)).toBe(0)
  })

  test('default and saved stay what they were at Connect', () => {
    const features = fresh()
    set(features, 0x06, 0)
    set(features, 0x0f, 9000)
    expect(get(features, 0x06).dw0).toBe(0)
    expect(get(features, 0x06, 1).dw0).toBe(1)
    expect(get(features, 0x06, 2).dw0).toBe(1)
    expect(get(features, 0x0f, 1).dw0).toBe(5000)
  })
})

describe('timestamp, 0Eh', () => {
  const bytes = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex, 'hex'))
  const shown = (features: Features, nowMs: number, select = 0): string =>
    Buffer.from(get(features, 0x0e, select, 0, nowMs).payload).toString('hex')

  test('counts from 0 since the reset, origin 0', () => {
    expect([shown(fresh(), 1000), shown(fresh(), 1258.9)]).toEqual(['0000000000000000', '0201000000000000'])
  })

  test('goes on from what was set, origin 1; 48 bits', () => {
    const features = fresh()
    expect(set(features, 0x0e, 0, { payload: bytes('ffffffff01000000'), nowMs: 5000 }).status).toBe(0)
    expect([shown(features, 5000), shown(features, 5001)]).toEqual(['ffffffff01000200', '0000000002000200'])
    expect(shown(features, 5000, 1)).toBe('0000000000000000')
    set(features, 0x0e, 0, { payload: bytes('ffffffffffff0000'), nowMs: 5000 })
    expect(shown(features, 5001)).toBe('0000000000000200')
  })

  test.each([0, 7, 16])('%i bytes are not one', (length) => {
    expect(set(fresh(), 0x0e, 0, { payload: new Uint8Array(length) }).status).toBe(0x400f)
  })
})

describe('volatile write cache, 06h', () => {
  test('on at first; off makes every write durable', () => {
    const features = fresh()
    expect(features.writeCacheEnabled).toBe(true)
    expect(set(features, 0x06, 0).status).toBe(0)
    expect(features.writeCacheEnabled).toBe(false)
    expect(set(features, 0x06, 1).status).toBe(0)
    expect(features.writeCacheEnabled).toBe(true)
  })
})

describe('number of queues, 07h', () => {
  test.each([
    [0x0000_0000, 0x0000_0000, 1], [0x0003_0003, 0x0003_0003, 4], [0x0007_0007, 0x0007_0007, 8],
    [0x0008_0008, 0x0007_0007, 8], [0xfffe_fffe, 0x0007_0007, 8], [0x0005_0002, 0x0002_0002, 3],
    [0x0002_0005, 0x0002_0002, 3], [0xfffe_fffe | 0, 0x0007_0007, 8],
  ])('CDW11 %i: DW0 %i', (cdw11, dw0, count) => {
    const features = fresh()
    expect(set(features, 0x07, cdw11)).toMatchObject({ status: 0, dw0 })
    expect(get(features, 0x07).dw0).toBe(dw0)
    expect(features.ioQueueCount).toBe(count)
  })

  test.each([0x0000_ffff, 0xffff_0000, 0xffff_ffff, -1])('CDW11 %i is not valid', (cdw11) => {
    const features = fresh()
    expect(set(features, 0x07, cdw11).status).toBe(INVALID_FIELD)
    expect(features.ioQueueCount).toBe(8)
  })

  test('too late when an I/O queue is connected', () => {
    const features = fresh()
    expect(set(features, 0x07, 0, { ioQueues: 1 }).status).toBe(SEQUENCE_ERROR)
    expect(features.ioQueueCount).toBe(8)
  })
})

describe('asynchronous events, 0Bh', () => {
  test.each([0, 0x100, 0x13f])('%i', (cdw11) => {
    const features = fresh()
    expect(set(features, 0x0b, cdw11)).toMatchObject({ status: 0, dw0: 0 })
    expect(get(features, 0x0b).dw0).toBe(cdw11)
  })

  test.each([0x200, 0x400, 0x8000_0000, 0x8000_0000 | 0, 0x40])('%i is not there', (cdw11) => {
    expect(set(fresh(), 0x0b, cdw11).status).toBe(INVALID_FIELD)
  })

  test.each([0x8000_0000, 0x8000_0000 | 0])('discovery: %i', (cdw11) => {
    const features = fresh('discovery')
    expect(set(features, 0x0b, cdw11).status).toBe(0)
    expect(get(features, 0x0b).dw0).toBe(0x8000_0000)
    expect(set(features, 0x0b, 0x100).status).toBe(INVALID_FIELD)
  })
})

describe('keep-alive timer, 0Fh', () => {
  test.each([
    [1, 1000], [1000, 1000], [1001, 2000], [15_001, 16_000], [0xffff_ffff, 4_294_967_000],
    [-1, 4_294_967_000],
  ])('%i ms becomes %i ms', (cdw11, keepAliveMs) => {
    const features = fresh()
    expect(set(features, 0x0f, cdw11).status).toBe(0)
    expect(features.keepAliveMs).toBe(keepAliveMs)
    expect(get(features, 0x0f).dw0).toBe(keepAliveMs)
  })

  test('0 cannot be set, but Connect may have said it', () => {
    const features = fresh()
    expect(set(features, 0x0f, 0).status).toBe(KEEP_ALIVE_INVALID)
    expect(features.keepAliveMs).toBe(5000)
    expect(roundKeepAlive(0)).toBe(0)
  })
})

describe('host behaviour, 16h', () => {
  const behaviour = (acre: number, etdas = 0, lbafee = 0): Uint8Array => {
    const payload = new Uint8Array(512)
    payload.set([acre, etdas, lbafee])
    return payload
  }

  test('ACRE reads back; reserved bytes do not', () => {
    const features = fresh()
    const payload = behaviour(1)
    payload.fill(0xff, 3)
    expect(set(features, 0x16, 0, { payload }).status).toBe(0)
    const back = get(features, 0x16).payload
    expect(back.length).toBe(512)
    expect(back[0]).toBe(1)
    expect(back.subarray(1).every((byte) => byte === 0)).toBe(true)
    expect(get(features, 0x16, 1).payload[0]).toBe(0)
  })

  test.each([[2, 0, 0], [0, 1, 0], [0, 0, 1]])('%i %i %i is refused', (acre, etdas, lbafee) => {
    const features = fresh()
    const answer = set(features, 0x16, 0, { payload: behaviour(acre, etdas, lbafee) })
    expect(answer.status).toBe(INVALID_FIELD)
    expect(features.hostBehaviour[0]).toBe(0)
  })

  test('too few bytes', () => {
    expect(set(fresh(), 0x16, 0, { payload: new Uint8Array(511) }).status).toBe(0x400f)
  })
})

describe('host identifier, 81h', () => {
  test('16 bytes with EXHID, nothing without', () => {
    expect(get(fresh(), 0x81, 0, 1).payload).toEqual(HOST_ID)
    expect(get(fresh(), 0x81, 0, 0).status).toBe(INVALID_FIELD)
  })

  test('Connect has set it', () => {
    expect(set(fresh(), 0x81, 1, { payload: HOST_ID }).status).toBe(SEQUENCE_ERROR)
  })
})

test('fixed: power state 0, no recovery limit', () => {
  for (const fid of [0x02, 0x05]) {
    expect(set(fresh(), fid, 0).status).toBe(0)
    expect(set(fresh(), fid, 1).status).toBe(INVALID_FIELD)
    expect(get(fresh(), fid).dw0).toBe(0)
  }
})

describe('temperature threshold', () => {
  const [OVER, UNDER] = [0, 1 << 20]

  test('two of them, by THSEL', () => {
    const features = fresh()
    expect([get(features, 0x04, 0, OVER).dw0, get(features, 0x04, 0, UNDER).dw0]).toEqual([0xffff, 0])
    expect(set(features, 0x04, 0x015e | OVER).status).toBe(0)
    expect(set(features, 0x04, 0x0111 | UNDER | 0xf0000).status).toBe(0)
    expect([get(features, 0x04, 0, OVER).dw0, get(features, 0x04, 0, UNDER).dw0]).toEqual([0x015e, 0x0111])
    expect(get(features, 0x04, 1, OVER).dw0, 'the default').toBe(0xffff)
  })

  test.each([0x1_0000, 0xe_0000, 0x20_0000, 0x30_0000])('CDW11 %i names a sensor that is not there', (cdw11) => {
    const features = fresh()
    expect([set(features, 0x04, cdw11).status, get(features, 0x04, 0, cdw11).status]).toEqual(
      [INVALID_FIELD, INVALID_FIELD])
  })
})
