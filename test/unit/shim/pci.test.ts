/**
 * PCI devices through the shim, on one that is none: registers in a region, DMA memory, doors that a
 * turn rings, news that end its wait, and events that end its sleep.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { constants, tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { COUNTER, H, PCI, Q, RING, WORDS } from '../../../src/shim/abi.ts'
import { loadPci, type OpenedPci, PAGE_MASK, PAGE_SHIFT } from '../../../src/shim/pci.ts'
import { openReason } from '../../../src/shim/shim.ts'
import { ENGINES, LIMITS, Rig, shim } from './rig.ts'

const { EBUSY, EFAULT, EINVAL, ENOBUFS, ENOENT } = constants.errno
const pci = loadPci()
const BAR_BYTES = 8192
const TAIL_AT = 0x1008
const HEAD_AT = 0x100c
const LONG_US = 60_000_000

function opened(found: OpenedPci | number): OpenedPci {
  if (typeof found === 'number') throw new Error(`not opened: ${found}`)
  return found
}

describe.each(ENGINES)('$name', ({ engine }) => {
  let rig: Rig
  let bar: Int32Array
  let region: number
  let memory: number
  let ring: Int32Array
  let device: number
  const queues: number[] = []
  beforeEach(() => {
    rig = new Rig({ engine })
    region = shim.regionCreate(BAR_BYTES, false)
    bar = new Int32Array(shim.regionView(region, BAR_BYTES))
    memory = pci.memory(65536)
    ring = new Int32Array(shim.regionView(memory, 65536))
    device = opened(pci.open({ by: 'memory', region })).device
  })
  afterEach(() => {
    for (const queue of queues.splice(0)) pci.queueClose(queue)
    rig.close()
    expect(pci.close(device)).toBe(0)
    for (const at of [region, memory]) expect(shim.regionRelease(at)).toBe(0)
  })

  function queue(vector = -1): number {
    const index = pci.queueOpen(device, TAIL_AT, HEAD_AT, memory, vector)
    expect(index).toBeGreaterThanOrEqual(0)
    queues.push(index)
    return index
  }

  function set(index: number, words: Partial<Record<keyof typeof Q, number>>): void {
    const block = (rig.word(H.QUEUES_AT) >> 2) + WORDS.QUEUE * index
    for (const [name, value] of Object.entries(words)) rig.words[block + Q[name as keyof typeof Q]] = value
  }

  /** What a wait costs: turns that end by time alone do not count, since news must end them. */
  function waitLong(): void {
    rig.words[H.WAIT_US] = LONG_US
  }

  test('a turn rings the doors that are marked, once', () => {
    const first = queue()
    set(first, { RING: RING.TAIL, TAIL: 7, HEAD: 9 })
    rig.turn()
    expect([bar[TAIL_AT >> 2], bar[HEAD_AT >> 2]]).toEqual([7, 0])
    bar[TAIL_AT >> 2] = 0
    rig.turn()
    expect(bar[TAIL_AT >> 2]).toBe(0)
    set(first, { RING: RING.TAIL | RING.HEAD, TAIL: 8 })
    rig.turn()
    expect([bar[TAIL_AT >> 2], bar[HEAD_AT >> 2]]).toEqual([8, 9])
    expect(rig.doubles[COUNTER.DOORS]).toBe(3)
  })

  test('a copy is done before the door is rung', () => {
    const first = queue()
    rig.bytes[rig.buffer(0)] = 5
    rig.copy([memory, 4096], [0, rig.buffer(0)], 1)
    set(first, { RING: RING.TAIL, TAIL: 1 })
    rig.turn()
    expect(ring[1024]! & 0xff).toBe(5)
  })

  test('news of a queue ends the turn at once, and is told', () => {
    const first = queue()
    waitLong()
    set(first, { WATCH_AT: 12, WATCH_MASK: 0x10000, WATCH_VALUE: 0x10000 })
    ring[3] = 0x10000
    expect(rig.turn()).toBe(0)
    expect(rig.word(H.NEWS)).toBe(1)
    set(first, { WATCH_VALUE: 0 })
    rig.words[H.WAIT_US] = 0
    rig.turn()
    expect(rig.word(H.NEWS)).toBe(0)
  })

  test('a queue with a vector sleeps, and its event ends the sleep', () => {
    expect(pci.interrupts(device, 2)).toBe(0)
    const first = queue(1)
    set(first, { WATCH_AT: 0, WATCH_MASK: 1, WATCH_VALUE: 1 })
    rig.words[H.WAIT_US] = 1000
    for (let round = 0; round < 3; round++) {
      ring[0] = 0
      const blocks = rig.doubles[COUNTER.BLOCKS]!
      rig.turn()
      expect(rig.doubles[COUNTER.BLOCKS]! - blocks).toBeGreaterThan(0)
      expect(rig.word(H.NEWS)).toBe(0)
      // An event without news is drained, and the turn goes on sleeping until its time is over.
      pci.interrupt(device, 1)
      rig.turn()
      expect(rig.word(H.NEWS)).toBe(0)
    }
  })

  test('an event that comes during the sleep ends it', async () => {
    expect(pci.interrupts(device, 1)).toBe(0)
    const first = queue(0)
    set(first, { WATCH_AT: 0, WATCH_MASK: 1, WATCH_VALUE: 1 })
    const { Worker } = await import('node:worker_threads')
    const worker = new Worker(new URL('./interrupt-worker.ts', import.meta.url),
      { workerData: { device, vector: 0, memory } })
    await new Promise((resolve) => worker.once('online', resolve))
    waitLong()
    rig.turn()
    expect(rig.word(H.NEWS)).toBe(1)
    await new Promise((resolve) => worker.once('exit', resolve))
  })

  test('a queue without a vector keeps the turn from blocking while something is expected', () => {
    const first = queue()
    rig.words[H.WAIT_US] = 2000
    rig.turn()
    const blocks = rig.doubles[COUNTER.BLOCKS]!
    expect(blocks).toBeGreaterThan(0)
    set(first, { WATCH_AT: 0, WATCH_MASK: 1, WATCH_VALUE: 1 })
    rig.turn()
    expect(rig.doubles[COUNTER.BLOCKS]).toBe(blocks)
  })

  test('a queue closed in its sleep is told of no more, and its number is free again', () => {
    expect(pci.interrupts(device, 1)).toBe(0)
    const first = queue(0)
    set(first, { WATCH_AT: 0, WATCH_MASK: 1, WATCH_VALUE: 1 })
    rig.words[H.WAIT_US] = 1000
    rig.turn()
    expect(pci.queueClose(queues.pop()!)).toBe(0)
    pci.interrupt(device, 0)
    ring[0] = 1
    for (let turns = 0; turns < 3; turns++) rig.turn()
    expect(rig.word(H.NEWS)).toBe(0)
    expect(queue(0)).toBe(first)
  })

  test('many queues have news of their own', () => {
    const [first, second] = [queue(), queue()]
    set(first, { WATCH_AT: 0, WATCH_MASK: 1, WATCH_VALUE: 1 })
    set(second, { WATCH_AT: 4, WATCH_MASK: 1, WATCH_VALUE: 1 })
    ring[1] = 1
    rig.turn()
    expect(rig.word(H.NEWS)).toBe(1)
    ring[0] = 1
    rig.turn()
    expect(rig.word(H.NEWS)).toBe(2)
    expect(pci.queueClose(queues.shift()!)).toBe(0)
    rig.turn()
    expect(rig.word(H.NEWS)).toBe(1)
  })

  test('what is watched lies in the region', () => {
    const first = queue()
    set(first, { WATCH_AT: 65536, WATCH_MASK: 1 })
    expect(rig.turn()).toBe(-EFAULT)
  })

  test('an unknown door ends the shim', () => {
    set(queue(), { RING: 4 })
    expect(rig.turn()).toBe(-EINVAL)
  })

  test('buffers and memory are where the device reaches them', () => {
    const from = rig.word(H.BUFFERS_AT)
    const found = pci.bufferAddresses(device, from, LIMITS.bufferBytes)
    if (typeof found === 'number') throw new Error(`no addresses: ${found}`)
    const at = from + (3 << 20) + 5
    rig.bytes[at] = 42
    const lo = (found.lo[at >>> PAGE_SHIFT]! + (at & PAGE_MASK)) | 0
    const seen = pci.reach(lo, found.hi[at >>> PAGE_SHIFT]!, 1)
    expect(new Uint8Array(seen!)[0]).toBe(42)
    const ringAt = pci.addresses(device, memory, 65536)
    if (typeof ringAt === 'number') throw new Error(`no addresses: ${ringAt}`)
    ring[16383] = 77
    const last = pci.reach((ringAt.lo[0]! + 65532) | 0, ringAt.hi[0]!, 4)
    expect(new Int32Array(last!)[0]).toBe(77)
    expect(pci.reach((ringAt.lo[0]! + 65532) | 0, ringAt.hi[0]!, 5)).toBe(null)
    expect(pci.addresses(device, region, BAR_BYTES)).toBe(-EFAULT)
  })
})

describe('a device', () => {
  let region: number
  beforeEach(() => { region = shim.regionCreate(BAR_BYTES, false) })
  afterEach(() => { shim.regionRelease(region) })

  test('has registers of 32 bits, and reads as ones outside of them', () => {
    const { device, facts } = opened(pci.open({ by: 'memory', region }))
    expect(facts).toEqual({ barBytes: BAR_BYTES, vectors: 64, reset: true, translated: true })
    expect(pci.write(device, 8, -2)).toBe(0)
    expect(pci.read(device, 8)).toBe(-2)
    expect([pci.read(device, BAR_BYTES), pci.read(device, 6), pci.read(device, -4)]).toEqual([-1, -1, -1])
    expect(pci.write(device, BAR_BYTES, 0)).toBe(-EINVAL)
    expect(pci.close(device)).toBe(0)
    expect([pci.read(device, 8), pci.close(device)]).toEqual([-1, -EINVAL])
  })

  test('masters the bus when it is told to', () => {
    const { device } = opened(pci.open({ by: 'memory', region }))
    expect(pci.configRead(device, 4, 2)).toBe(0x402)
    expect(pci.master(device, true)).toBe(0)
    expect(pci.configRead(device, 4, 2)).toBe(0x406)
    expect(pci.master(device, false)).toBe(0)
    expect(pci.configRead(device, 4, 2)).toBe(0x402)
    expect(pci.configRead(device, 3, 2)).toBe(-EINVAL)
    pci.close(device)
  })

  test('is not closed while a queue of it is open', () => {
    const rig = new Rig({})
    const memory = pci.memory(4096)
    const { device } = opened(pci.open({ by: 'memory', region }))
    const queue = pci.queueOpen(device, TAIL_AT, HEAD_AT, memory, -1)
    expect(pci.close(device)).toBe(-EBUSY)
    expect(pci.queueClose(queue)).toBe(0)
    expect(pci.queueClose(queue)).toBe(-EINVAL)
    expect(pci.close(device)).toBe(0)
    rig.close()
    shim.regionRelease(memory)
  })

  test('counts the events of a vector', () => {
    const { device } = opened(pci.open({ by: 'memory', region }))
    expect(pci.interrupted(device, 0)).toBe(-EINVAL)
    expect(pci.interrupts(device, 65)).toBe(-EINVAL)
    expect(pci.interrupts(device, 2)).toBe(0)
    pci.interrupt(device, 1)
    pci.interrupt(device, 1)
    expect([pci.interrupted(device, 0), pci.interrupted(device, 1), pci.interrupted(device, 1)])
      .toEqual([0, 2, 0])
    pci.close(device)
  })

  test('without an IOMMU has its registers in sysfs, is one process\'s, and wants huge pages', () => {
    const folder = mkdtempSync(join(tmpdir(), 'weft-uio-'))
    const path = join(folder, 'uio0')
    writeFileSync(join(folder, 'resource0'), new Uint8Array(16384))
    writeFileSync(join(folder, 'config'), Uint8Array.of(0x36, 0x1b, 0x10, 0, 4, 0, 0, 0))
    for (const name of ['uio0', 'reset']) writeFileSync(join(folder, name), '')
    const { device, facts } = opened(pci.open({ by: 'uio', folder, path }))
    try {
      expect(facts).toEqual({ barBytes: 16384, vectors: 0, reset: true, translated: false })
      expect(pci.write(device, 0x14, 0x460001)).toBe(0)
      expect(readFileSync(join(folder, 'resource0')).readInt32LE(0x14)).toBe(0x460001)
      expect([pci.configRead(device, 0, 2), pci.configRead(device, 4, 2)]).toEqual([0x1b36, 0x402])
      expect(pci.open({ by: 'uio', folder, path })).toBe(-EBUSY)
      expect([pci.interrupts(device, 0), pci.interrupts(device, 1)]).toEqual([0, -EINVAL])
      expect(shim.open(LIMITS)).toBe(-ENOBUFS)
      expect(openReason(-ENOBUFS)).toMatch(/huge pages.*nr_hugepages/)
      expect(pci.reset(device)).toBe(0)
      expect(readFileSync(join(folder, 'reset'), 'latin1')).toBe('1')
    } finally {
      pci.close(device)
      rmSync(folder, { recursive: true })
    }
    // Its lock, and what it asked of buffers, went with it.
    new Rig({}).close()
  })

  test('that is not there is not opened', () => {
    const path = '/dev/vfio/weft-has-no-such-group'
    expect(pci.open({ by: 'vfio', address: '0000:00:00.0', path })).toBe(-ENOENT)
    expect(pci.open({ by: 'iommufd', path })).toBe(-ENOENT)
    expect(pci.open({ by: 'uio', folder: '/sys/weft-has-no-such-device', path })).toBe(-ENOENT)
    expect(pci.open({ by: 'memory', region: 4000 })).toBe(-EINVAL)
    expect(pci.state(0) & PCI.LOST).not.toBe(PCI.LOST)
  })
})
