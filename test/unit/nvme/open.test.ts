/**
 * A PCIe function as the driver has it, through the real shim on a region that plays its registers; and
 * what is said when it cannot be had.
 */
import { constants } from 'node:os'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { StartError } from '../../../src/config/start-error.ts'
import { functionOpener, takeFrom } from '../../../src/nvme/open.ts'
import { loadPci, type Pci } from '../../../src/shim/pci.ts'
import { loadShim } from '../../../src/shim/shim.ts'
import { PciTree } from '../../pci-tree.ts'

const ADDRESS = '0000:03:00.0'
const shim = loadShim()
const pci = loadPci()

describe('a function', () => {
  let region: number
  beforeEach(() => { region = shim.regionCreate(8192, false) })
  afterEach(() => { shim.regionRelease(region) })

  test('has registers, memory, bus mastering and interrupts', () => {
    const open = functionOpener({ shim, pci, take: () => ({ by: 'memory', region }) })
    const found = open('3:0.0')
    expect([found.address, found.vectors]).toEqual([ADDRESS, 64])
    const bar = new Int32Array(shim.regionView(region, 8192))
    found.write(0x14, 0x460001)
    expect([bar[5], found.read(0x14), found.read(8192)]).toEqual([0x460001, 0x460001, -1])
    const dma = found.allocate(12288)
    new Uint8Array(dma.memory)[12287] = 9
    const hi = Math.floor(dma.iova / 2 ** 32)
    const reached = pci.reach((dma.iova + 12287) | 0, hi, 1)
    expect(new Uint8Array(reached!)[0]).toBe(9)
    found.release(dma)
    expect(pci.reach(dma.iova | 0, hi, 1)).toBe(null)
    found.setMaster(true)
    expect(pci.configRead(found.id, 4, 2) & 4).toBe(4)
    expect([found.setInterrupts(65), found.setInterrupts(2), found.setInterrupts(0)]).toEqual([false, true, true])
    expect([found.reset(), found.isLost()]).toEqual([true, false])
    found.close()
    expect(found.read(0x14)).toBe(-1)
  })
})

describe('a function that cannot be had is told of', () => {
  function refusal(errno: number): StartError {
    const broken: Pci = { ...pci, open: () => -errno }
    try {
      functionOpener({ shim, pci: broken, take: () => ({ by: 'memory', region: 0 }) })(ADDRESS)
    } catch (error) {
      return error as StartError
    }
    throw new Error('it was opened')
  }

  test.each([
    ['EBUSY', /another program drives it/, /weft pci list/],
    ['EPERM', /does not permit/, /as root/],
    ['ENOMEM', /memory may be locked/, /ulimit -l/],
    ['EXDEV', /of its IOMMU group/, /weft pci bind/],
    ['ENOBUFS', /huge pages/, /nr_hugepages/],
    ['EIO', /EIO/, /^$/],
  ] as const)('%s', (name, sentence, remedy) => {
    const error = refusal(constants.errno[name])
    expect(error).toBeInstanceOf(StartError)
    expect(error.message).toMatch(sentence)
    expect(error.remedy).toMatch(remedy)
  })

  test('with what keeps it with the kernel', () => {
    const tree = new PciTree()
    try {
      const open = functionOpener({ shim, pci, take: takeFrom(tree) })
      expect(() => open(ADDRESS)).toThrow(expect.objectContaining({
        name: 'StartError', remedy: expect.stringMatching(/No PCI device is at 0000:03:00\.0/) as string,
      }))
    } finally {
      tree.destroy()
    }
  })
})
