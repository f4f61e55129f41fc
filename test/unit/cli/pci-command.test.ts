/**
 * What `weft pci list` shows, on a fabricated /sys.
 */
import { afterEach, beforeEach, expect, test } from 'vitest'
import { listDevices, listText } from '../../../src/cli/pci-command.ts'
import { PciTree } from '../../pci-tree.ts'

let tree: PciTree
beforeEach(() => { tree = new PciTree() })
afterEach(() => tree.destroy())

test('every NVMe controller has a line: model, driver, group, use', () => {
  tree.file('pci.ids', '# list\n1b35  Somebody\n\t0010  Other\n1b36  Red Hat, Inc.\n\t0001  Bridge\n'
    + '\t0010  QEMU NVM Express Controller\n\t\t1af4 1100  Board\n1b37  Next\n')
  tree.add({ address: '0000:03:00.0',
    controller: { name: 'nvme0', model: 'Fast Drive', paths: ['nvme0n1', 'hwmon1'] } })
  tree.disk('nvme0n1', '259:0', { nvme0n1p1: '259:1', nvme0n1p2: '259:2' })
  tree.file('proc/self/mountinfo', '9 1 259:1 / / rw - ext4 /dev/nvme0n1p1 rw\n')
  tree.file('proc/swaps', 'Filename\n/dev/nvme0n1p2 partition\n')
  tree.add({ address: '0000:04:00.0', driver: 'vfio-pci', group: '8' })
  tree.add({ address: '0000:04:00.1', driver: null, group: '8' })
  tree.add({ address: '0000:05:00.0', driver: null, group: null })
  tree.add({ address: '0000:06:00.0', class: '0x020000' })
  expect(listText(listDevices(tree)).split('\n')).toEqual([
    'ADDRESS       MODEL                                      DRIVER    GROUP     USE',
    '0000:03:00.0  Fast Drive                                 nvme      7 shared  mounted on /, swap',
    '0000:04:00.0  Red Hat, Inc. QEMU NVM Express Controller  vfio-pci  8 shared  -',
    '0000:04:00.1  Red Hat, Inc. QEMU NVM Express Controller  -         8 shared  -',
    '0000:05:00.0  Red Hat, Inc. QEMU NVM Express Controller  -         -         -',
    '',
  ])
})

test('a machine without a list of identifiers shows the numbers; one without drives says so', () => {
  expect(listText(listDevices(tree))).toMatch(/no NVMe controller/)
  tree.add({ address: '0000:04:00.0', driver: null })
  expect(listDevices(tree)[0]).toEqual({
    address: '0000:04:00.0', model: 'PCI 1b36:0010', driver: null, group: '7', neighbours: [], uses: [],
  })
})
