/**
 * Every offset and index that crosses from TypeScript is checked: a turn answers -EFAULT or
 * -EINVAL, touches nothing, and then only closing is taken.
 */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { C, FLAG, H, O, OP, T } from '../../../src/shim/abi.ts'
import { ERRNO } from '../../../src/shim/errno.ts'
import { ENGINES, LIMITS, Rig, shim } from './rig.ts'

const { EBUSY, EFAULT, EFBIG, EINVAL } = ERRNO
const INT_MAX = 0x7fffffff

describe.each(ENGINES)('$name', ({ engine }) => {
  let rig: Rig
  let arenaBytes: number
  beforeEach(() => {
    rig = new Rig({ engine })
    arenaBytes = rig.bytes.length
  })
  afterEach(() => rig.close())

  function broken(expected: number): void {
    expect(rig.turn()).toBe(expected)
    expect(rig.turn()).toBe(expected)
  }

  test.each([
    ['target beyond the arena', [0, INT_MAX], [0, 0], 16, -EFAULT],
    ['target before the arena', [0, -16], [0, 0], 16, -EFAULT],
    ['source with its end outside', [0, 0], [0, 'end'], 16, -EFAULT],
    ['unknown region', [7, 0], [0, 0], 16, -EFAULT],
    ['region -1', [-1, 0], [0, 0], 16, -EFAULT],
    ['region out of the table', [1 << 20, 0], [0, 0], 16, -EFAULT],
    ['negative length', [0, 0], [0, 0], -1, -EFAULT],
    ['target in the header', [0, 4 * H.COPIES_AT], [0, 'end'], 4, -EFAULT],
    ['target among the control blocks', [0, 4096], [0, 'end'], 4, -EFAULT],
  ] as const)('copy: %s', (_, target, source, bytes, expected) => {
    const at = (place: readonly [number, number | 'end']): [number, number] =>
      [place[0], place[1] === 'end' ? arenaBytes - 15 : place[1]]
    rig.bytes[rig.buffer(0)] = 9
    rig.copy([0, rig.buffer(100)], [0, rig.buffer(0)], 1)
    rig.copy(at(target), at(source), bytes)
    broken(expected)
    expect(rig.bytes[rig.buffer(100)]).toBe(0)
  })

  test('a released region is outside', () => {
    const region = shim.regionCreate(4096, false)
    rig.copy([region, 0], [0, rig.buffer(0)], 4096)
    expect(rig.turn()).toBe(0)
    rig.copy([region, 1], [0, rig.buffer(0)], 4096)
    expect(shim.regionRelease(region)).toBe(0)
    broken(-EFAULT)
    expect(shim.regionRelease(region)).toBe(-EINVAL)
  })

  test.each([
    ['COPIES', H.COPIES, LIMITS.copiesMax + 1],
    ['OPS', H.OPS, LIMITS.opsMax + 1],
    ['TOUCHED', H.TOUCHED, LIMITS.connectionsMax + 1],
    ['COPIES below 0', H.COPIES, -1],
    ['OPS below 0', H.OPS, -1],
    ['TOUCHED below 0', H.TOUCHED, -1],
  ] as const)('a count too large: %s', (_, word, value) => {
    rig.words[word] = value
    broken(-EINVAL)
  })

  test.each([-1, LIMITS.connectionsMax, INT_MAX])('touched connection %d', (connection) => {
    rig.words[rig.word(H.TOUCHED_AT) >> 2] = connection
    rig.words[H.TOUCHED] = 1
    broken(-EINVAL)
  })

  test('offsets of areas that were overwritten lead nowhere', () => {
    for (let word = H.CONNECTIONS_AT; word <= H.RX_AT; word++) rig.words[word] = INT_MAX
    rig.words[H.TOUCHED] = 1
    expect(rig.turn()).toBe(0)
  })

  test('a touched connection that is free is nothing', () => {
    rig.touch(3)
    expect(rig.turn()).toBe(0)
  })

  test.each([
    ['no code', { [O.CODE]: 0 }, -EINVAL],
    ['unknown code', { [O.CODE]: 99 }, -EINVAL],
    ['unknown flag', { [O.CODE]: OP.SYNC, [O.FLAGS]: 2 }, -EINVAL],
    ['file not open', { [O.CODE]: OP.SYNC, [O.FILE]: 1000 }, -EINVAL],
    ['file -1', { [O.CODE]: OP.SYNC, [O.FILE]: -1 }, -EINVAL],
    ['file out of the table', { [O.CODE]: OP.SYNC, [O.FILE]: INT_MAX }, -EINVAL],
    ['memory outside', { [O.CODE]: OP.READ, [O.LO]: -4096, [O.BYTES]: 4096 }, -EFAULT],
    ['negative length', { [O.CODE]: OP.READ, [O.BYTES]: -1 }, -EINVAL],
    ['zero outside', { [O.CODE]: OP.MEMORY_ZERO, [O.RANGE_HI]: 1 }, -EFAULT],
    ['target outside', { [O.CODE]: OP.MOVE, [O.BYTES]: 8, [O.OTHER_HI]: -1 }, -EFAULT],
    ['other side outside', { [O.CODE]: OP.COMPARE, [O.BYTES]: 8, [O.OTHER_HI]: -1 }, -EFAULT],
  ])('op: %s', (_, words, expected) => {
    rig.op({ [O.CODE]: OP.COMPARE, [O.BYTES]: 4, [O.LO]: rig.buffer(0), [O.OTHER_LO]: rig.buffer(0) })
    rig.op(words)
    broken(expected)
    expect(rig.results.size).toBe(0)
  })

  test.each([
    ['payload outside', T.LO, INT_MAX, -EFAULT],
    ['payload length below 0', T.BYTES, -1, -EINVAL],
    ['header too long', T.HEADER_BYTES, 33, -EINVAL],
    ['header length below 0', T.HEADER_BYTES, -1, -EINVAL],
    ['header too long for its digest', T.HEADER_BYTES, 29, -EINVAL],
    ['padding too long', T.PAD_BYTES, 129, -EINVAL],
    ['unknown flag', T.FLAGS, 4, -EINVAL],
  ])('tx entry: %s', async (_, word, value, expected) => {
    const { connection } = await rig.connect()
    const entry = rig.entry(connection)
    rig.send(connection, { flags: 1, header: Buffer.alloc(8), at: 0, bytes: 16 })
    rig.words[entry + word] = value
    broken(expected)
  })

  test('more entries queued than there are', async () => {
    const { connection } = await rig.connect()
    rig.words[rig.block(connection) + C.TX_TAIL] = LIMITS.txEntries + 1
    rig.touch(connection)
    broken(-EINVAL)
  })

  test('more bytes consumed than received', async () => {
    const { connection } = await rig.connect()
    rig.words[rig.block(connection) + C.RX_HEAD] = 1
    rig.touch(connection)
    broken(-EINVAL)
  })

  test.each([
    ['outside', INT_MAX, 16, -EFAULT],
    ['of negative length', 0, -1, -EFAULT],
  ])('a placement %s', async (_, at, bytes, expected) => {
    const { connection } = await rig.connect()
    rig.place(connection, 0, at, bytes)
    broken(expected)
  })

  test('a placement behind bytes in the ring', async () => {
    const { client, connection } = await rig.connect()
    client.write('x')
    await rig.until('a byte', () => rig.available(connection) === 1)
    rig.place(connection, 0, rig.buffer(0), 16)
    broken(-EINVAL)
  })

  test('a digest outside is 0 and the next turn tells', () => {
    expect(shim.crc32c(0, arenaBytes - 3, 0, 4)).toBe(0)
    broken(-EFAULT)
  })

  test.each<[string, (at: number) => number[]]>([
    ['a run outside', (at) => [arenaBytes - 3, 4, 0, 1, at]],
    ['the last of several runs', (at) => [arenaBytes - 200, 64, 100, 3, at]],
    ['a result outside', (at) => [at, 4, 0, 2, arenaBytes - 4]],
    ['a result that is not aligned', (at) => [at, 4, 0, 1, at + 2]],
    ['a negative length', (at) => [at, -1, 0, 1, at]],
    ['a negative stride', (at) => [at, 1, -1, 2, at]],
    ['none', (at) => [at, 1, 1, 0, at]],
  ])('digests in series: %s', (_what, of) => {
    const [at, bytes, stride, count, resultAt] = of(rig.buffer(0))
    expect(shim.crc32cSeries(at!, bytes!, stride!, count!, resultAt!)).toBe(-EFAULT)
    broken(-EFAULT)
  })

  test('closing a broken shim frees everything', async () => {
    const { connection } = await rig.connect()
    rig.flag(connection, FLAG.PAUSE)
    rig.words[H.OPS] = -1
    broken(-EINVAL)
    expect(shim.close()).toBe(0)
    expect(shim.close()).toBe(-EINVAL)
    rig = new Rig({ engine })
  })
})

describe('limits', () => {
  test.each([
    ['connections', { connectionsMax: 0 }], ['connections', { connectionsMax: 4097 }],
    ['ring', { rxBytes: 32768 }], ['ring', { rxBytes: 100_000 }], ['entries', { txEntries: 32 }],
    ['entries', { txEntries: 100 }], ['buffers', { bufferBytes: 1000 }],
    ['buffers', { bufferBytes: -4096 }], ['ops', { opsMax: -1 }], ['copies', { copiesMax: -1 }],
    ['engine', { engine: 17 }], ['socket buffers', { socketBufferBytes: -1 }],
  ])('%s: %o is refused', (_, limits) => {
    expect(shim.open({ ...LIMITS, ...limits })).toBe(-EINVAL)
  })

  test('an arena of 2 GiB or more is refused', () => {
    expect(shim.open({ ...LIMITS, connectionsMax: 4096, rxBytes: 1 << 20 })).toBe(-EFBIG)
  })

  test('one shim a thread', () => {
    const rig = new Rig({ engine: ENGINES.at(-1)!.engine })
    expect(shim.open(LIMITS)).toBe(-EBUSY)
    rig.close()
  })

  test('without a shim every call is refused', () => {
    expect(shim.turn()).toBe(-EINVAL)
    expect(shim.adopt(0)).toBe(-EINVAL)
    expect(shim.release(0)).toBe(-EINVAL)
    expect(shim.wake(200)).toBe(-EINVAL)
    expect(shim.wake(-1)).toBe(-EINVAL)
    expect(shim.regionRelease(0)).toBe(-EINVAL)
    expect(shim.regionRelease(5000)).toBe(-EINVAL)
  })
})
