/**
 * Taking a device from the kernel and giving it back, on a fabricated /sys: what is written, in which
 * order, and what is refused, with the remedy.
 */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { accessTo, bindDevice, releaseDevice, takeDevice } from '../../../src/pci/binding.ts'
import { PciRefusal } from '../../../src/pci/refusal.ts'
import { PciTree } from '../../pci-tree.ts'

const ADDRESS = '0000:03:00.0'
const FOLDER = `bus/pci/devices/${ADDRESS}`
const CONTROLLER = { name: 'nvme0', model: 'QEMU NVMe Ctrl', paths: ['nvme0n1'] }

let tree: PciTree
beforeEach(() => { tree = new PciTree() })
afterEach(() => tree.destroy())

function refusal(run: () => unknown): string {
  try {
    run()
  } catch (error) {
    if (error instanceof PciRefusal) return error.message
    throw error
  }
  throw new Error('it was not refused')
}

describe('bind', () => {
  test('takes a device that nobody uses: override, unbind, probe', () => {
    tree.add({ address: ADDRESS, controller: CONTROLLER })
    tree.disk('nvme0n1', '259:0', { nvme0n1p1: '259:1' })
    expect(bindDevice(tree, '3:0.0', false))
      .toEqual({ address: ADDRESS, driver: 'vfio-pci', already: false })
    expect(tree.driverOf(ADDRESS)).toBe('vfio-pci')
    expect(tree.done).toEqual(['modprobe vfio-pci', `${FOLDER}/driver_override=vfio-pci`,
      `${FOLDER}/driver/unbind=${ADDRESS}`, `bus/pci/drivers_probe=${ADDRESS}`])
    expect(bindDevice(tree, ADDRESS, false).already).toBe(true)
    expect(tree.done).toHaveLength(4)
  })

  const uses: [string, (tree: PciTree) => void, RegExp][] = [
    ['mounted', (t) => t.file('proc/self/mountinfo', '9 1 259:1 / /srv/a\\040b rw - ext4 /dev/nvme0n1p1 rw\n'),
      /nvme0n1p1 is mounted on \/srv\/a b.*umount/],
    ['mounted with btrfs, whose number is its own',
      (t) => t.file('proc/self/mountinfo', '9 1 0:44 / /srv rw - btrfs /dev/nvme0n1 rw\n'), /mounted on \/srv/],
    ['swap', (t) => t.file('proc/swaps', 'Filename\n/dev/nvme0n1p1   partition 1\n'), /swapoff \/dev\/nvme0n1p1/],
    ['a member of a RAID array', (t) => t.file('sys/block/nvme0n1/holders/md0/x', ''), /mdadm --stop \/dev\/md0/],
    ['LVM', (t) => {
      t.file('sys/block/nvme0n1/nvme0n1p1/holders/dm-0/x', '')
      t.file('sys/block/dm-0/dm/name', 'vg-root\n')
      t.file('sys/block/dm-0/dm/uuid', 'LVM-abc\n')
    }, /physical volume of LVM, in use by vg-root.*vgchange/],
    ['encrypted', (t) => {
      t.file('sys/block/nvme0n1/holders/dm-1/x', '')
      t.file('sys/block/dm-1/dm/name', 'secret\n')
      t.file('sys/block/dm-1/dm/uuid', 'CRYPT-LUKS2-abc\n')
    }, /cryptsetup close secret/],
    ['open in a program', (t) => {
      t.link('proc/42/fd/7', '/dev/nvme0n1')
      t.file('proc/42/comm', 'qemu\n')
    }, /\/dev\/nvme0n1 is held open by qemu \(process 42\)/],
    ['its controller open in a program', (t) => {
      t.link('proc/43/fd/3', '/dev/nvme0')
      t.file('proc/43/comm', 'smartd\n')
    }, /\/dev\/nvme0 is held open by smartd/],
  ]

  test.each(uses)('refuses one that is %s', (_, use, said) => {
    tree.add({ address: ADDRESS, controller: { ...CONTROLLER, paths: ['nvme0c0n1'] } })
    tree.disk('nvme0n1', '259:0', { nvme0n1p1: '259:1' })
    use(tree)
    expect(refusal(() => bindDevice(tree, ADDRESS, false))).toMatch(said)
    expect(tree.done).toEqual([])
    expect(tree.driverOf(ADDRESS)).toBe('nvme')
  })

  test('refuses one whose IOMMU group others are in, but not bridges or what nobody drives', () => {
    tree.add({ address: ADDRESS })
    tree.add({ address: '0000:00:1c.0', class: '0x060400', driver: 'pcieport' })
    tree.add({ address: '0000:04:00.0', driver: null })
    tree.add({ address: '0000:04:00.1', driver: 'vfio-pci' })
    tree.add({ address: '0000:05:00.0', class: '0x020000', driver: 'igb' })
    expect(refusal(() => bindDevice(tree, ADDRESS, false)))
      .toMatch(/shares IOMMU group 7 with 0000:05:00\.0 \(igb\):.*another slot/)
    expect(tree.done).toEqual([])
  })

  test('a driver that does not take it leaves it with the one it had', () => {
    tree.add({ address: ADDRESS })
    tree.refusing.add('vfio-pci')
    expect(refusal(() => bindDevice(tree, ADDRESS, false))).toMatch(/did not take .* back with nvme/)
    expect(tree.driverOf(ADDRESS)).toBe('nvme')
    expect(tree.done.slice(-2)).toEqual([`${FOLDER}/driver_override=`, `bus/pci/drivers_probe=${ADDRESS}`])
  })

  test('a driver that does not let go of it keeps it, without an override', () => {
    tree.add({ address: ADDRESS })
    tree.unwritable = 'unbind'
    expect(refusal(() => bindDevice(tree, ADDRESS, false))).toMatch(/unbind cannot be written/)
    expect(tree.driverOf(ADDRESS)).toBe('nvme')
    expect(tree.done.at(-1)).toBe(`${FOLDER}/driver_override=`)
  })

  test('says what is missing: the module, the permission, the IOMMU', () => {
    tree.add({ address: ADDRESS })
    tree.loadable.clear()
    expect(refusal(() => bindDevice(tree, ADDRESS, false))).toMatch(/no driver vfio-pci.*modprobe/)
    tree.loadable.add('vfio-pci')
    tree.unwritable = ''
    expect(refusal(() => bindDevice(tree, ADDRESS, false))).toMatch(/only root .*sudo/)
    tree.add({ address: '0000:09:00.0', group: null })
    expect(refusal(() => bindDevice(tree, '9:0.0', false))).toMatch(/No IOMMU.*firmware.*--without-iommu/)
  })

  test('without an IOMMU it needs huge pages, and then takes uio_pci_generic', () => {
    tree.add({ address: ADDRESS, group: null })
    expect(refusal(() => bindDevice(tree, ADDRESS, true))).toMatch(/none are reserved.*nr_hugepages/)
    tree.file('sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages', '64\n')
    expect(bindDevice(tree, ADDRESS, true).driver).toBe('uio_pci_generic')
    expect(tree.driverOf(ADDRESS)).toBe('uio_pci_generic')
  })

  test('refuses what is no NVMe controller, not there, or no address', () => {
    tree.add({ address: ADDRESS, class: '0x020000', driver: 'igb' })
    expect(refusal(() => bindDevice(tree, ADDRESS, false))).toMatch(/no NVMe controller \(class 020000/)
    expect(refusal(() => bindDevice(tree, '0000:04:00.0', false))).toMatch(/No PCI device is at 0000:04:00\.0/)
    expect(refusal(() => bindDevice(tree, 'nvme0', false))).toMatch(/"nvme0" is no PCI address/)
    expect(refusal(() => bindDevice(tree, '../../x', false))).toMatch(/no PCI address/)
  })
})

describe('release', () => {
  test('gives a device back to the kernel: no override, unbind, probe', () => {
    tree.add({ address: ADDRESS, driver: 'vfio-pci' })
    expect(releaseDevice(tree, ADDRESS)).toEqual({ address: ADDRESS, driver: 'nvme', already: false })
    expect(tree.done).toEqual([`${FOLDER}/driver_override=`, `${FOLDER}/driver/unbind=${ADDRESS}`,
      `bus/pci/drivers_probe=${ADDRESS}`])
    expect(releaseDevice(tree, ADDRESS).already).toBe(true)
  })

  test('refuses one that a process drives, since the kernel would wait for it for ever', () => {
    tree.add({ address: ADDRESS, driver: 'vfio-pci' })
    tree.link('proc/77/fd/30', '/dev/vfio/7')
    tree.file('proc/77/comm', 'weft\n')
    expect(refusal(() => releaseDevice(tree, ADDRESS))).toMatch(/\/dev\/vfio\/7 is held open by weft \(process 77\)/)
    expect(tree.done).toEqual([])
  })

  test('leaves alone what another driver has, and says when the kernel does not take it', () => {
    tree.add({ address: ADDRESS, driver: 'xen-pciback' })
    expect(refusal(() => releaseDevice(tree, ADDRESS))).toMatch(/driven by xen-pciback/)
    tree.add({ address: '0000:04:00.0', driver: 'vfio-pci' })
    tree.refusing.add('nvme')
    expect(refusal(() => releaseDevice(tree, '0000:04:00.0'))).toMatch(/has no driver now/)
  })
})

describe('access', () => {
  test('is by group, else by device node, else by uio', () => {
    tree.add({ address: ADDRESS, driver: 'vfio-pci' })
    tree.file(`sys/${FOLDER}/vfio-dev/vfio3/dev`, '')
    expect(accessTo(tree, ADDRESS)).toEqual({ by: 'iommufd', path: `${tree.dev}/vfio/devices/vfio3` })
    tree.file('dev/vfio/7', '')
    expect(accessTo(tree, ADDRESS)).toEqual({ by: 'vfio', address: ADDRESS, path: `${tree.dev}/vfio/7` })
    tree.add({ address: '0000:04:00.0', driver: 'uio_pci_generic', group: null })
    tree.file('sys/bus/pci/devices/0000:04:00.0/uio/uio2/name', '')
    expect(accessTo(tree, '0000:04:00.0')).toEqual({
      by: 'uio', folder: `${tree.sys}/bus/pci/devices/0000:04:00.0`, path: `${tree.dev}/uio2`,
    })
  })

  test('of a device that the kernel has is refused; taking it binds it', () => {
    tree.add({ address: ADDRESS })
    tree.file('dev/vfio/7', '')
    expect(refusal(() => accessTo(tree, ADDRESS))).toMatch(/driven by nvme.*weft pci bind 0000:03:00\.0/)
    expect(takeDevice(tree, ADDRESS)).toMatchObject({ by: 'vfio' })
    expect(tree.driverOf(ADDRESS)).toBe('vfio-pci')
  })
})
