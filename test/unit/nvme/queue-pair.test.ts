/**
 * A queue pair against the fake controller: what requests become on the queue, and that they end once, whatever the
 * device does: more than fits, wrapped queues, errors, resets, silence.
 */
import { describe, expect, test } from 'vitest'
import { type Geometry, geometryOf } from '../../../src/nvme/geometry.ts'
import { FAKE_DEFAULTS, type FakeOptions } from '../../nvme/device.ts'
import { NvmeRig, PairRig } from '../../nvme/rig.ts'

const [FLUSH, WRITE, READ, ZEROES, DSM] = [0, 1, 2, 8, 9]
const PENDING = -1
const FUA = 0x4000 << 16
const MEDIUM = FAKE_DEFAULTS.namespaces[0]!
const PAGE = 4096
const GONE_STATUS = 0x302

type Rig = PairRig & { geometry: Geometry }

async function rig(options: Partial<FakeOptions> = {}, linear = true): Promise<Rig> {
  const nvme = new NvmeRig(options)
  await nvme.controller.start()
  nvme.device.seen.length = 0
  const { controller } = nvme
  return Object.assign(new PairRig(nvme, linear), { geometry: geometryOf(controller.facts, controller.namespaces.get(1)!) })
}

function submit(
  { pair, geometry, arena }: Rig, slot: number, opcode: number, lba: number, blocks: number, at = 0, control = 0,
): number {
  const limit = opcode === ZEROES ? geometry.zeroBlocks : opcode === DSM ? geometry.rangeBlocks : geometry.transferBlocks
  return pair.submit(slot, opcode, geometry, limit, control, lba | 0, Math.floor(lba / 2 ** 32), blocks, arena.buffersAt + at)
}

function fill({ arena }: Rig, at: number, bytes: number, seed: number): Uint8Array {
  const place = arena.bytes.subarray(arena.buffersAt + at, arena.buffersAt + at + bytes)
  place.forEach((_, index) => { place[index] = (index >> 9) * 7 + index * 13 + seed })
  return place
}

describe('payload', () => {
  const sizes: [bytes: number, from: number][] = [
    [512, 0], [PAGE, 0], [2 * PAGE, 0], [3 * PAGE, 0], [PAGE, 512], [3 * PAGE, 1536], [128 * 1024, 0], [1024 * 1024, 0],
    [1024 * 1024, 512],
  ]
  for (const [how, linear, sgls] of [['PRPs', true, 0], ['scattered PRPs', false, 0], ['SGLs', true, 1]] as const) {
    test.each(sizes)(`${how}: %i bytes, %i into a page, written and read`, async (bytes, from) => {
      const each = await rig({ sgls, mdts: 6 }, linear)
      const written = fill(each, from, bytes, 5)
      expect(submit(each, 3, WRITE, 100, bytes / 512, from)).toBe(PENDING)
      each.turn()
      expect(each.finished).toEqual([[3, 0]])
      const blocks = each.nvme.device.media.blocks(1, 100, bytes / 512)
      expect(Buffer.compare(blocks, written)).toBe(0)
      const target = 4 * 1024 * 1024 + from
      submit(each, 4, READ, 100, bytes / 512, target)
      each.turn()
      expect(each.finished).toEqual([[3, 0], [4, 0]])
      const read = each.arena.bytes.subarray(each.arena.buffersAt + target, each.arena.buffersAt + target + bytes)
      expect(Buffer.compare(read, written)).toBe(0)
      expect(each.nvme.device.violations).toEqual([])
      const sgl = each.nvme.device.seen.some(({ psdt }) => psdt === 1)
      expect(sgl).toBe(sgls === 1 && bytes + from % PAGE > 2 * PAGE)
    })
  }
})

describe('what is on the queue', () => {
  test('NSID, blocks, and force unit access', async () => {
    const each = await rig()
    submit(each, 0, WRITE, 77, 8, 0, FUA)
    each.turn()
    expect(each.nvme.device.seen).toMatchObject([{ qid: 1, opcode: WRITE, nsid: 1, slba: 77, nlb: 8, control: 0x4000 }])
  })

  test('more than MDTS is several commands, answered as one', async () => {
    const each = await rig({ mdts: 1 })
    submit(each, 0, READ, 0, 40)
    each.turn()
    expect(each.nvme.device.seen.map(({ slba, nlb }) => [slba, nlb])).toEqual([[0, 16], [16, 16], [32, 8]])
    expect(each.finished).toEqual([[0, 0]])
  })

  test('no command crosses a boundary of NOIOB', async () => {
    const each = await rig({ namespaces: [{ ...MEDIUM, noiob: 24 }] })
    submit(each, 0, READ, 20, 60)
    each.turn()
    expect(each.nvme.device.seen.map(({ slba, nlb }) => [slba, nlb])).toEqual([[20, 4], [24, 24], [48, 24], [72, 8]])
    expect(each.nvme.device.violations).toEqual([])
  })

  test('Write Zeroes is cut at its own limit, and not at the boundary', async () => {
    const each = await rig({ cssIocs: true, namespaces: [{ ...MEDIUM, noiob: 24 }] })
    submit(each, 0, ZEROES, 20, 20)
    each.turn()
    expect(each.nvme.device.seen.map(({ slba, nlb, prp1 }) => [slba, nlb, prp1])).toEqual([[20, 16, 0], [36, 4, 0]])
  })

  test('Flush names no blocks, Dataset Management a range', async () => {
    const each = await rig()
    fill(each, 0, 512, 1)
    each.nvme.device.media.blocks(1, 0, 16).fill(9)
    submit(each, 0, FLUSH, 0, 1)
    submit(each, 1, DSM, 4, 8)
    each.turn()
    expect(each.nvme.device.seen).toMatchObject([
      { opcode: FLUSH, slba: 0, cdw12: 0, prp1: 0 }, { opcode: DSM, cdw10: 0, cdw11: 4 },
    ])
    expect([...each.nvme.device.media.blocks(1, 3, 10)].filter((_, at) => at % 512 === 0)).toEqual([9, 0, 0, 0, 0, 0, 0, 0, 0, 9])
  })
})

describe('the queue', () => {
  test('commands wait when all identifiers are taken; queue and phase go round many times', async () => {
    const each = await rig({ mqes: 7, mdts: 1 })
    for (let round = 0; round < 40; round++) {
      each.finished.length = 0
      for (let slot = 0; slot < 20; slot++) submit(each, slot, READ, slot * 40, 40, slot * 20480)
      each.turn()
      expect(each.finished.map(([slot]) => slot).toSorted((a, b) => a - b)).toEqual([...Array(20).keys()])
    }
    expect(each.nvme.device.seen).toHaveLength(40 * 20 * 3)
    expect([each.nvme.device.violations, each.pair.outstanding, each.pair.pending]).toEqual([[], 0, false])
  })

  test('doorbells of a turn are rung once, and the turn waits for the next phase', async () => {
    const each = await rig()
    expect(each.block[4]).toBe(0)
    for (let slot = 0; slot < 5; slot++) submit(each, slot, READ, slot, 1, slot * PAGE)
    expect([...each.block.subarray(0, 2), each.hasNews]).toEqual([1, 5, false])
    each.ring()
    expect(each.hasNews).toBe(true)
    each.pair.poll()
    expect([...each.block.subarray(0, 3)]).toEqual([2, 5, 5])
    expect(each.block[4]).toBe(0)
  })

  test('a request that fails has the status of its first piece that failed, once', async () => {
    const each = await rig({ mdts: 1, mqes: 3 })
    each.nvme.device.faults.bad.add(20)
    submit(each, 0, READ, 0, 160)
    submit(each, 1, READ, 0, 8, 1024 * 1024)
    each.turn()
    expect(each.finished.toSorted()).toEqual([[0, 0x281], [1, 0]])
    expect(each.pair.pending).toBe(false)
  })

  test('a command that we aborted may be tried again', async () => {
    const each = await rig()
    each.nvme.device.faults.slow = true
    submit(each, 0, READ, 0, 8)
    each.turn()
    const { cid } = each.nvme.device.seen[0]!
    expect(each.nvme.device.abort(1, cid)).toBe(true)
    each.turn()
    expect(each.finished).toEqual([[0, 0x21]])
  })
})

describe('silence', () => {
  test.each(['lose', 'wrongPhase'] as const)('%s: overdue names the command, and a reset brings it back', async (fault) => {
    const each = await rig()
    each.nvme.device.faults[fault] = 1
    each.nowMs = 1000
    const written = fill(each, 0, PAGE, 3)
    submit(each, 2, WRITE, 8, 8)
    each.turn()
    expect(each.finished).toEqual([])
    expect(each.pair.overdue(1500, 1000)).toBe(-1)
    expect(each.pair.overdue(2500, 1000)).toBe(each.nvme.device.seen[0]!.cid)
    each.pair.hold()
    submit(each, 3, READ, 8, 8, PAGE)
    expect([each.block[0], each.block[4]]).toEqual([0, 0])
    await each.nvme.controller.start()
    each.pair.restart()
    each.turn()
    expect(each.finished.toSorted()).toEqual([[2, 0], [3, 0]])
    expect(Buffer.compare(each.nvme.device.media.blocks(1, 8, 8), written)).toBe(0)
    expect(each.nvme.device.violations).toEqual([])
  })

  test('everything that was at the device is submitted again, pieces and all', async () => {
    const each = await rig({ mqes: 15, mdts: 1 })
    each.nvme.device.faults.slow = true
    for (let slot = 0; slot < 12; slot++) submit(each, slot, READ, slot * 40, 40, slot * 20480)
    each.turn()
    expect(each.finished).toEqual([])
    each.pair.hold()
    each.nvme.device.faults.slow = false
    await each.nvme.controller.start()
    each.pair.restart()
    each.turn()
    expect(each.finished.map(([slot, status]) => [slot, status]).toSorted((a, b) => a[0]! - b[0]!))
      .toEqual(Array.from({ length: 12 }, (_, slot) => [slot, 0]))
    expect([each.pair.pending, each.nvme.device.violations]).toEqual([false, []])
  })

  test('a device that is gone ends everything, and what comes too', async () => {
    const each = await rig({ mqes: 3, mdts: 1 })
    each.nvme.device.faults.slow = true
    for (let slot = 0; slot < 4; slot++) submit(each, slot, READ, 0, 40)
    each.turn()
    each.pair.fail(GONE_STATUS)
    expect(each.finished.toSorted()).toEqual([[0, GONE_STATUS], [1, GONE_STATUS], [2, GONE_STATUS], [3, GONE_STATUS]])
    expect(submit(each, 5, READ, 0, 8)).toBe(GONE_STATUS)
    expect([each.block[0], each.block[4], each.pair.pending]).toEqual([0, 0, false])
  })

  test('a completion of a command that nobody sent is noticed', async () => {
    const each = await rig()
    each.nvme.device.faults.stray = true
    submit(each, 0, READ, 0, 8)
    each.turn()
    expect([each.finished, each.pair.broken]).toEqual([[], true])
  })
})
