/**
 * Identify: bytes at the offsets that hosts read them from, written here as numbers.
 */
import { describe, expect, test } from 'vitest'
import { type ControllerFacts, nsidMax } from '../../../src/controller/capabilities.ts'
import { identify } from '../../../src/controller/identify.ts'
import {
  ANY_CONTROLLER, type DeviceSnapshot, type NamespaceSnapshot, type SubsystemSnapshot,
} from '../../../src/subsystem/subsystem.ts'

const FILE: DeviceSnapshot = {
  kind: 'file', path: '/disk.img', file: 0, direct: true, logicalBytes: 512, physicalBytes: 4096,
  optimalBytes: 0, discardBytes: 4096, boundaryBytes: 0,
  discard: true, zero: true, readOnly: false,
}
const BLOCK: DeviceSnapshot = {
  ...FILE, kind: 'block', discard: false, readOnly: true, optimalBytes: 65536, discardBytes: 8192, boundaryBytes: 131072,
}

const namespace = (nsid: number, more: Partial<NamespaceSnapshot> = {}): NamespaceSnapshot => ({
  nsid, index: 0, counter: 0, blockBytes: 512, blockCount: 2048,
  uuid: '00112233-4455-6677-8899-aabbccddeeff', nguid: 'f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff',
  readOnly: false, anaGroup: 1, device: { kind: 'memory', region: 1 }, ...more,
})

const SUBSYSTEM: SubsystemSnapshot = {
  nqn: 'nqn.2026-01.io.example:disk', kind: 'nvm', serial: 'S123', model: 'weft', hosts: null,
  endpoints: [], controllers: ANY_CONTROLLER, paths: [], mdtsBytes: 1 << 20, inCapsuleBytes: 16384, queueDepthMax: 128,
  ioQueuesMax: 8,
  namespaces: [
    namespace(1),
    namespace(2, { blockBytes: 4096, blockCount: 2 ** 40, device: FILE }),
    namespace(5, { device: BLOCK, readOnly: true }),
    namespace(2000, { device: { kind: 'null' } }),
  ],
}
const DISCOVERY: SubsystemSnapshot = {
  ...SUBSYSTEM, kind: 'discovery', nqn: 'nqn.2014-08.org.nvmexpress.discovery', namespaces: [],
}

type Answer = { status: number; data: Buffer }

/** Asks at an odd place of a bigger buffer, and checks that nothing around it was touched. */
function ask(cns: number, nsid = 0, csi = 0, cntid = 0, facts: Partial<ControllerFacts> = {}) {
  const whole = new Uint8Array(4096 + 128).fill(0xee)
  whole.fill(0, 64, 64 + 4096)
  const view = new DataView(whole.buffer)
  const all = {
    subsystem: SUBSYSTEM, controllerId: 7, firmware: '0.1.0', controllers: () => CNTLIDS, used: () => null, ...facts,
  }
  const status = identify(view, 64, all, cns, nsid, csi, cntid)
  expect(whole.subarray(0, 64).every((byte) => byte === 0xee)).toBe(true)
  expect(whole.subarray(64 + 4096).every((byte) => byte === 0xee)).toBe(true)
  const answer: Answer = { status, data: Buffer.from(whole.buffer, 64, 4096) }
  return answer
}

const CNTLIDS = [2, 7, 900].map((cntlid) => ({ cntlid, owner: 0 }))

const isZero = (data: Buffer): boolean => data.every((byte) => byte === 0)

describe('controller, CNS 01h', () => {
  const { status, data } = ask(1)

  test('text', () => {
    expect(status).toBe(0)
    expect(data.toString('latin1', 4, 24)).toBe('S123'.padEnd(20))
    expect(data.toString('latin1', 24, 64)).toBe('weft'.padEnd(40))
    expect(data.toString('latin1', 64, 72)).toBe('0.1.0   ')
    expect(data.toString('latin1', 768, 1024)).toBe('nqn.2026-01.io.example:disk'.padEnd(256, '\0'))
  })

  test('what it is', () => {
    expect(data.readUInt8(76), 'CMIC: several ports, several controllers, ANA').toBe(0b1011)
    expect(data.readUInt8(77), 'MDTS: 1 MiB').toBe(8)
    expect(data.readUInt16LE(78), 'CNTLID').toBe(7)
    expect(data.readUInt32LE(80), 'VER').toBe(0x20000)
    expect(data.readUInt32LE(88), 'RTD3E').toBe(5_000_000)
    expect(data.readUInt32LE(92), 'OAES: namespace attributes, ANA').toBe(0x900)
    expect(data.readUInt32LE(96), 'CTRATT: 128-bit HOSTID, TBKAS, granularity').toBe(0xc1)
    expect(data.readUInt8(111), 'CNTRLTYPE').toBe(1)
    expect(data.readUInt16LE(128), 'CRDT1').toBe(0)
  })

  test('admin', () => {
    expect(data.readUInt16LE(256), 'OACS: format').toBe(2)
    expect(data[524], 'FNA').toBe(8)
    expect([data[258], data[259], data[260]], 'ACL, AERL, FRMW').toEqual([3, 3, 3])
    expect(data.readUInt8(261), 'LPA: SMART of namespaces, effects, extended, persistent events, LIDs 0, 12h, 13h').toBe(0x37)
    expect(data.readUInt32LE(352), 'PELS: 128 KiB').toBe(2)
    expect(data.readUInt8(262), 'ELPE').toBe(63)
    expect(data.readUInt16LE(320), 'KAS: 1 s').toBe(10)
    expect(data.readUInt32LE(328), 'SANICAP').toBe(0x6000_0006)
    expect([data.readUInt8(342), data.readUInt8(343)], 'ANATT, ANACAP: five states').toEqual([10, 0x1f])
    expect([data.readUInt32LE(344), data.readUInt32LE(348)], 'ANAGRPMAX, NANAGRPID').toEqual([128, 128])
  })

  test('NVM', () => {
    expect([data[512], data[513]], 'SQES, CQES').toEqual([0x66, 0x44])
    expect(data.readUInt16LE(514), 'MAXCMD').toBe(128)
    expect(data.readUInt32LE(516), 'NN').toBe(2000)
    expect(data.readUInt16LE(520), 'ONCS: compare, uncorrectable, DSM, write zeroes, select, reservations, timestamp, verify, copy').toBe(511)
    expect(data.readUInt16LE(522), 'FUSES').toBe(1)
    expect(data.readUInt8(525), 'VWC: present, broadcast').toBe(0b111)
    expect(data.readUInt16LE(528), 'AWUPF').toBe(0)
    expect(data.readUInt32LE(536), 'SGLS').toBe(0x0010_0001)
    expect(data.readUInt32LE(540), 'MNAN ≤ NN').toBe(2000)
  })

  test('fabrics', () => {
    expect(data.readUInt32LE(1792), 'IOCCSZ').toBe((64 + 16384) / 16)
    expect(data.readUInt32LE(1796), 'IORCSZ').toBe(1)
    expect(data.readUInt16LE(1800), 'ICDOFF').toBe(0)
    expect([data[1802], data[1803]], 'FCATT, MSDBD').toEqual([0, 1])
    expect(data.readUInt16LE(1804), 'OFCS: Disconnect').toBe(1)
    expect(data.readUInt8(1806), 'DCTYPE').toBe(0)
  })

  test('without in-capsule data IOCCSZ is 4, the least that hosts take', () => {
    const { data: small } = ask(1, 0, 0, 0, { subsystem: { ...SUBSYSTEM, inCapsuleBytes: 0 } })
    expect(small.readUInt32LE(1792)).toBe(4)
  })

  test('an MDTS that is no power of two is rounded down', () => {
    const odd = { ...SUBSYSTEM, mdtsBytes: (1 << 20) + (1 << 19) }
    expect(ask(1, 0, 0, 0, { subsystem: odd }).data.readUInt8(77)).toBe(8)
  })
})

describe('namespace, CNS 00h', () => {
  test('memory: 512 bytes, deallocation by pages, read as zero', () => {
    const { status, data } = ask(0, 1)
    expect(status).toBe(0)
    for (const at of [0, 8, 16]) expect(data.readBigUInt64LE(at)).toBe(2048n)
    expect(data.readUInt8(24), 'NSFEAT: not thin, atomics, OPTPERF').toBe(0b1_0010)
    expect([data[25], data[26], data[32]], 'NLBAF, FLBAS, FPI').toEqual([1, 0, 0x80])
    expect(data.toString('hex', 128, 140), 'LBAF').toBe('0000090000000c0000000000')
    expect(data.readUInt8(30), 'NMIC').toBe(1)
    expect(data.readUInt8(31), 'RESCAP: all types, persistence, IEKEY').toBe(0xff)
    expect(data.readUInt8(33), 'DLFEAT: zeroes, DEAC').toBe(0b1001)
    expect(data.readBigUInt64LE(48), 'NVMCAP').toBe(1048576n)
    for (const at of [64, 66, 68, 70, 72]) expect(data.readUInt16LE(at)).toBe(7)
    expect(data.readUInt32LE(92), 'ANAGRPID').toBe(1)
    expect(data.readUInt8(99), 'NSATTR').toBe(0)
    expect(data.toString('hex', 104, 120)).toBe('f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff')
    expect(data.toString('hex', 128, 136)).toBe('0000090000000c00')
  })

  test('a file of 4096-byte blocks: NVMCAP beyond 2^53', () => {
    const { data } = ask(0, 2)
    expect(data.readBigUInt64LE(0)).toBe(2n ** 40n)
    expect(data.readBigUInt64LE(48)).toBe(2n ** 52n)
    expect(data.readUInt16LE(64), 'NPWG').toBe(0)
    expect([data[25], data[26], data.toString('hex', 128, 136)]).toEqual([1, 1, '0000090000000c00'])
    const huge = namespace(1, { blockBytes: 4096, blockCount: Number.MAX_SAFE_INTEGER })
    const subsystem = { ...SUBSYSTEM, namespaces: [huge] }
    const capacity = ask(0, 1, 0, 0, { subsystem }).data
    expect(capacity.readBigUInt64LE(48)).toBe(0xffff_ffff_ffff_f000n)
    expect(capacity.readBigUInt64LE(56)).toBe(1n)
  })

  test.each([[0, 0n], [4096, 1n], [4097, 2n], [2 ** 53, 2n ** 40n], [null, 2n ** 40n]])(
    'a file that takes %s bytes: NUSE %s', (bytes, nuse) => {
      const { data } = ask(0, 2, 0, 0, { used: (counter) => counter === 0 ? bytes : 77 })
      expect([data.readUInt8(24) & 1, data.readBigUInt64LE(8), data.readBigUInt64LE(16)]).toEqual([1, 2n ** 40n, nuse])
      const { data: memory } = ask(0, 1, 0, 0, { used: () => bytes })
      expect([memory.readUInt8(24) & 1, memory.readBigUInt64LE(16)]).toEqual([0, 2048n])
    })

  test('a read-only device that cannot discard', () => {
    const { data } = ask(0, 5)
    expect(data.readUInt8(24), 'NSFEAT: not thin, atomic by physical blocks').toBe(0b1_0010)
    for (const at of [34, 36, 40, 44]) {
      expect(data.readUInt16LE(at), 'NAWUN, NAWUPF, NABSN, NABSPF').toBe(7)
    }
    expect([data.readUInt16LE(38), data.readUInt16LE(46)], 'NACWU, NOIOB').toEqual([255, 256])
    expect([64, 66, 68, 70, 72].map((at) => data.readUInt16LE(at)), 'NPWG … NOWS').toEqual([7, 7, 15, 15, 127])
    expect(data.readUInt8(33), 'DLFEAT: not said, no DEAC').toBe(0)
    expect(data.readUInt8(99), 'NSATTR: write protected').toBe(1)
  })

  test.each([3, 1999])('NSID %i is inactive: zeroes', (nsid) => {
    const { status, data } = ask(0, nsid)
    expect(status).toBe(0)
    expect(isZero(data)).toBe(true)
  })

  test.each([0, 2001, 0xffff_ffff, -1])('NSID %i is not valid', (nsid) => {
    expect(ask(0, nsid).status).toBe(0x400b)
  })

  test('NN leaves room for namespaces to come', () => {
    expect(nsidMax({ ...SUBSYSTEM, namespaces: [] })).toBe(1024)
  })
})

describe('lists and descriptors', () => {
  const listed = (data: Buffer): number[] => {
    const nsids = Array.from({ length: 1024 }, (_, index) => data.readUInt32LE(4 * index))
    return nsids.slice(0, nsids.indexOf(0))
  }

  test.each([
    [0, [1, 2, 5, 2000]], [1, [2, 5, 2000]], [4, [5, 2000]], [2000, []], [0xffff_fffd, []],
  ])('CNS 02h and 07h above %i', (nsid, wanted) => {
    expect(listed(ask(2, nsid).data)).toEqual(wanted)
    expect(listed(ask(7, nsid).data)).toEqual(wanted)
  })

  test.each([0xffff_fffe, 0xffff_ffff, -1])('CNS 02h above %i', (nsid) => {
    expect(ask(2, nsid).status).toBe(0x400b)
  })

  test('1024 at most', () => {
    const many = Array.from({ length: 1030 }, (_, index) => namespace(index + 1))
    const { data } = ask(2, 3, 0, 0, { subsystem: { ...SUBSYSTEM, namespaces: many } })
    expect(data.readUInt32LE(0)).toBe(4)
    expect(data.readUInt32LE(4092)).toBe(1027)
  })

  test('CNS 03h: NGUID, UUID, CSI', () => {
    const { status, data } = ask(3, 2)
    expect(status).toBe(0)
    expect(data.toString('hex', 0, 46)).toBe('02100000f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff'
      + '0310000000112233445566778899aabbccddeeff' + '0401000000' + '00')
    expect(isZero(data.subarray(44))).toBe(true)
  })

  test.each([0, 3, 0xffff_ffff])('CNS 03h of NSID %i', (nsid) => {
    expect(ask(3, nsid).status).toBe(0x400b)
  })
})

describe('by command set', () => {
  test('NVM: no protection information', () => {
    const { status, data } = ask(5, 1)
    expect([status, isZero(data)]).toEqual([0, true])
  })

  test('NVM: Verify and Write Zeroes up to 32 MiB, nothing else is limited', () => {
    const { status, data } = ask(6, 0)
    expect([status, data.readUInt8(0), data.readUInt8(1), isZero(data.subarray(2))]).toEqual([0, 13, 13, true])
  })

  test.each([5, 6, 7])('CNS %i of zoned namespaces', (cns) => {
    expect(ask(cns, 1, 2).status).toBe(0x4002)
  })

  test('CNS 08h', () => {
    expect(ask(8, 1).data.toString('hex', 0, 16)).toBe('0001ff80010000000000000000000100')
    expect(ask(8, 5).data.readUInt8(8), 'NSATTR').toBe(1)
    expect(isZero(ask(8, 3).data)).toBe(true)
    expect(ask(8, 0).status).toBe(0x400b)
  })

  test('CNS 1Ch: one combination, NVM', () => {
    for (const cntid of [7, 0xffff]) {
      expect(ask(0x1c, 0, 0, cntid).data.toString('hex', 0, 16)).toBe('01'.padEnd(32, '0'))
    }
    expect(ask(0x1c, 0, 0, 8).status).toBe(0x4002)
  })

  test.each([0x04, 0x09, 0x14, 0x15, 0x17, 0x20, 0xff])('CNS %i is not there', (cns) => {
    expect(ask(cns, 1).status).toBe(0x4002)
  })
})

describe('discovery', () => {
  const facts = { subsystem: DISCOVERY }

  test('CNS 01h', () => {
    const { status, data } = ask(1, 0, 0, 0, facts)
    expect(status).toBe(0)
    expect(data.readUInt8(111), 'CNTRLTYPE').toBe(2)
    expect(data.readUInt16LE(78), 'CNTLID').toBe(7)
    expect(data.readUInt32LE(92), 'OAES: discovery log').toBe(0x8000_0000)
    expect(data.readUInt8(261), 'LPA: offsets only').toBe(4)
    expect(data.readUInt32LE(516), 'NN').toBe(0)
    expect(data.readUInt16LE(520), 'ONCS').toBe(0)
    expect(data.readUInt8(525), 'VWC').toBe(0)
    expect(data.readUInt32LE(536) & 3, 'SGLS').toBe(1)
    expect(data.readUInt8(1806), 'DCTYPE').toBe(1)
    expect(data.toString('latin1', 768, 804)).toBe('nqn.2014-08.org.nvmexpress.discovery')
  })

  test.each([0, 2, 3, 6, 8])('CNS %i is not there', (cns) => {
    expect(ask(cns, 1, 0, 0, facts).status).toBe(0x4002)
  })
})

describe('controllers, CNS 12h and 13h', () => {
  const listed = (data: Buffer): number[] =>
    Array.from({ length: data.readUInt16LE(0) }, (_, index) => data.readUInt16LE(2 + 2 * index))

  test.each([[0, [2, 7, 900]], [2, [2, 7, 900]], [3, [7, 900]], [900, [900]], [901, []], [0xffff, []]])(
    'from CNTLID %i on', (cntid, wanted) => {
      for (const [cns, nsid] of [[0x13, 0], [0x12, 1]]) {
        const { status, data } = ask(cns!, nsid, 0, cntid)
        expect([status, listed(data)]).toEqual([0, wanted])
        expect(isZero(data.subarray(2 + 2 * wanted.length))).toBe(true)
      }
    })

  test('2047 fit, and the list goes on from there', () => {
    const many = Array.from({ length: 3000 }, (_, index) => index + 1)
    const facts = { controllers: () => many.map((cntlid) => ({ cntlid, owner: 0 })) }
    expect(listed(ask(0x13, 0, 0, 0, facts).data)).toEqual(many.slice(0, 2047))
    expect(listed(ask(0x13, 0, 0, 2048, facts).data)).toEqual(many.slice(2047))
  })

  test('of a namespace that there is', () => {
    expect([ask(0x12, 3).status, ask(0x12, 0).status, ask(0x12, 0xffff_ffff).status]).toEqual(
      [0x400b, 0x400b, 0x4002])
  })
})

test('allocated is what is active: CNS 10h, 11h, 1Ah, 1Bh', () => {
  for (const [allocated, active] of [[0x10, 0x02], [0x1a, 0x07]]) {
    for (const nsid of [0, 1, 2, 5, 1999, 0xffff_fffe]) {
      expect(ask(allocated!, nsid)).toEqual(ask(active!, nsid))
    }
  }
  for (const nsid of [0, 1, 2, 3, 5, 2001]) {
    expect(ask(0x11, nsid)).toEqual(ask(0x00, nsid))
    expect(ask(0x1b, nsid)).toEqual(ask(0x05, nsid))
  }
  expect([ask(0x1a, 0, 2).status, ask(0x1b, 1, 2).status]).toEqual([0x4002, 0x4002])
})

test('lists go on where 1024 NSIDs ended', () => {
  const subsystem = { ...SUBSYSTEM, namespaces: Array.from({ length: 1500 }, (_, index) => namespace(index + 3)) }
  const nsids = (above: number): number[] => {
    const { data } = ask(2, above, 0, 0, { subsystem })
    return Array.from({ length: 1024 }, (_, index) => data.readUInt32LE(4 * index)).filter((nsid) => nsid !== 0)
  }
  const first = nsids(0)
  expect([first.length, first[0], first.at(-1)]).toEqual([1024, 3, 1026])
  expect([nsids(1026).length, nsids(1026)[0], nsids(1026).at(-1)]).toEqual([476, 1027, 1502])
})
