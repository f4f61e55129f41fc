/**
 * A controller from reset to queues, on the fake one: what it finds out, what it refuses, and how it goes on when
 * the device does not do what it should.
 */
import { describe, expect, test } from 'vitest'
import { ControllerError } from '../../../src/nvme/failure.ts'
import { geometryOf } from '../../../src/nvme/geometry.ts'
import { FAKE_SMART } from '../../nvme/commands.ts'
import { FAKE_DEFAULTS, type FakeOptions } from '../../nvme/device.ts'
import { NvmeRig } from '../../nvme/rig.ts'

const [CREATE_SQ, CREATE_CQ, ABORT] = [0x01, 0x05, 0x08]
const MEDIUM = FAKE_DEFAULTS.namespaces[0]!

async function failure(rig: NvmeRig): Promise<ControllerError> {
  const error = await rig.controller.start().then(() => null, (each: unknown) => each)
  if (!(error instanceof ControllerError)) throw new Error(`it failed otherwise: ${String(error)}`)
  return error
}

async function started(options: Partial<FakeOptions> = {}, sizing = {}): Promise<NvmeRig> {
  const rig = new NvmeRig(options, sizing)
  await rig.controller.start()
  expect(rig.device.violations).toEqual([])
  return rig
}

describe('from reset to queues', () => {
  test('it is enabled, identified, and has a pair of queues for each reactor', async () => {
    const rig = await started()
    expect(rig.controller.facts).toMatchObject({
      serial: 'FAKE0001', model: 'Fake controller', transferBytes: 128 * 1024, volatileCache: true, compare: true,
      deallocate: true, writeZeroes: true, verify: true, sgl: false,
    })
    const created = rig.device.seen.filter(({ opcode }) => opcode === CREATE_SQ || opcode === CREATE_CQ)
    expect(created.map(({ opcode, cdw10 }) => [opcode, cdw10 & 0xffff, (cdw10 >>> 16) + 1])).toEqual([
      [CREATE_CQ, 1, 64], [CREATE_SQ, 1, 64], [CREATE_CQ, 2, 64], [CREATE_SQ, 2, 64],
    ])
    // Vector 0 is the admin queue's.
    expect(created.filter(({ opcode }) => opcode === CREATE_CQ).map(({ cdw11 }) => cdw11)).toEqual([0x10003, 0x20003])
    expect(rig.function.armed).toBe(3)
    expect([...rig.controller.namespaces.values()]).toMatchObject([
      { nsid: 1, blockBytes: 512, blockCount: 8192, metadataBytes: 0, deallocatesToZero: true, zeroesMayDeallocate: true },
    ])
  })

  test('doorbells have the stride of CAP.DSTRD', async () => {
    const rig = await started({ stride: 3 })
    expect(rig.controller.place(1)).toMatchObject({ qid: 2, tailAt: 0x1000 + 4 * 32, headAt: 0x1000 + 5 * 32 })
  })

  test('a controller that somebody left enabled is reset first', async () => {
    const rig = new NvmeRig()
    await rig.controller.start()
    const again = new NvmeRig()
    again.function.words[0x14 >> 2] = 0x460001
    again.function.words[0x24 >> 2] = 0x1f001f
    again.device.step()
    expect(again.device.enabled).toBe(true)
    await again.controller.start()
    expect(again.device.violations).toEqual([])
  })

  test('without interrupts its queues are polled', async () => {
    const rig = new NvmeRig({}, {}, { vendor: 1, device: 2, vectors: 0 })
    await rig.controller.start()
    expect(rig.controller.place(0).vector).toBe(-1)
    const created = rig.device.seen.find(({ opcode }) => opcode === CREATE_CQ)!
    expect(created.cdw11).toBe(1)
  })

  test('limits of one command, in blocks: MDTS, WZSL, VSL, DMRSL, NOIOB', async () => {
    const { controller } = await started({
      cssIocs: true, mdts: 3, namespaces: [{ ...MEDIUM, blockBytes: 4096, noiob: 16 }],
    })
    expect(geometryOf(controller.facts, controller.namespaces.get(1)!)).toEqual({
      nsid: 1, blockShift: 12, transferBlocks: 8, zeroBlocks: 2, verifyBlocks: 2, rangeBlocks: 256, boundaryBlocks: 16,
    })
  })

  test('MDTS 0 is no limit but ours', async () => {
    const { controller } = await started({ mdts: 0 }, { transferBytes: 256 * 1024 })
    expect(controller.facts.transferBytes).toBe(256 * 1024)
    const large = await started({ mdts: 0, mqes: 1023 }, { transferBytes: 16 * 1024 * 1024 })
    expect(large.controller.facts.transferBytes).toBe(1024 * 1024)
    expect(large.controller.place(0).bytes).toBeLessThanOrEqual(2 * 1024 * 1024)
  })

  test('a namespace of another command set is not offered', async () => {
    const { controller } = await started({ cssIocs: true, namespaces: [MEDIUM, { ...MEDIUM, nsid: 2, csi: 2 }] })
    expect([...controller.namespaces.keys()]).toEqual([1])
  })

  test.each([[0x0953, 256], [0x0010, 0]])('quirks: boundary of an Intel %i', async (device, blocks) => {
    const rig = new NvmeRig({}, {}, { vendor: 0x8086, device, vectors: 8 })
    await rig.controller.start()
    expect(rig.controller.namespaces.get(1)!.boundaryBlocks).toBe(blocks)
  })
})

describe('what does not go', () => {
  test('not ready within CAP.TO', async () => {
    const rig = new NvmeRig({ timeout: 8 })
    rig.device.faults.neverReady = true
    expect(await failure(rig)).toMatchObject({ kind: 'late', message: 'it did not become ready within 4000 ms' })
    expect(rig.clock.ms).toBeGreaterThanOrEqual(4000)
  })

  test('one that does not let go of ready is reset by its bus', async () => {
    const rig = new NvmeRig()
    await rig.controller.start()
    rig.device.faults.neverIdle = true
    await rig.controller.start()
    expect(rig.device.violations).toEqual([])
  })

  test('and one whose bus cannot do that reaches no memory any more', async () => {
    const rig = new NvmeRig()
    await rig.controller.start()
    Object.assign(rig.device.faults, { neverIdle: true, noReset: true })
    expect(await failure(rig)).toMatchObject({ kind: 'late' })
    expect(rig.device.master).toBe(false)
  })

  test('a fatal status while it is being enabled', async () => {
    const rig = new NvmeRig()
    rig.device.faults.fatal = true
    expect(await failure(rig)).toMatchObject({ kind: 'fatal' })
  })

  test('nothing there at all', async () => {
    const rig = new NvmeRig()
    rig.device.faults.gone = true
    rig.device.step()
    expect(await failure(rig)).toMatchObject({ kind: 'gone' })
  })

  test('fewer I/O queues than reactors', async () => {
    const error = await failure(new NvmeRig({ queues: 1 }, { reactorCount: 2 }))
    expect([error.kind, error.message, error.remedy]).toEqual([
      'unfit', 'it has 1 I/O queues, and weft has 2 reactors', 'Start weft with --reactors 1.',
    ])
  })

  test('another device in the place of the one that was there', async () => {
    const rig = await started()
    Object.assign(rig.device.options, { serial: 'OTHER' })
    expect(await failure(rig)).toMatchObject({ kind: 'unfit' })
  })
})

describe('afterwards', () => {
  test('the SMART log is that of the device', async () => {
    const rig = await started()
    const log = await rig.controller.smart()
    expect([log.length, log[1]! | log[2]! << 8, log[3]]).toEqual([512, FAKE_SMART.temperature, FAKE_SMART.spare])
  })

  test('events arrive, one after the other', async () => {
    const rig = await started()
    const events: unknown[] = []
    rig.controller.onEvent = (event) => { events.push(event) }
    for (let k = 0; k < 6; k++) rig.device.event(1, k, 2)
    rig.controller.tick()
    rig.controller.tick()
    expect(events).toEqual([0, 1, 2, 3, 4, 5].map((information) => ({ type: 1, information, log: 2, nsid: 0 })))
  })

  test.each(['gone', 'fatal'] as const)('a tick finds out that it is %s', async (fault) => {
    const rig = await started()
    rig.controller.tick()
    rig.device.faults[fault] = true
    rig.device.step()
    expect(() => rig.controller.tick()).toThrow(ControllerError)
  })

  test('an abort names queue and command', async () => {
    const rig = await started()
    expect(await rig.controller.abort(2, 17)).toBe(false)
    expect(rig.device.seen.at(-1)).toMatchObject({ qid: 0, opcode: ABORT, cdw10: 2 | 17 << 16 })
  })

  test('closed, it is shut down, masters nothing, and its memory is given back', async () => {
    const rig = await started()
    await rig.controller.close()
    expect([rig.device.enabled, rig.device.master, rig.function.closed, rig.function.armed]).toEqual([false, false, true, 0])
    expect([rig.function.dmas.size, rig.function.bus.count]).toEqual([0, 0])
    expect(rig.function.read(0x14) >>> 14 & 3).toBe(1)
  })

  test('started again, it has the same queues at the same places', async () => {
    const rig = await started()
    const before = rig.controller.place(0)
    await rig.controller.start()
    expect(rig.controller.place(0)).toEqual(before)
    expect(rig.device.violations).toEqual([])
  })
})
