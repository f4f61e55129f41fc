/**
 * What `weft doctor` finds on machines that are fabricated: each line with and without what it asks for.
 */
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { cannotServe, diagnose, diagnosisText, type Finding, type Machine } from '../../../src/cli/doctor.ts'
import { PciTree } from '../../pci-tree.ts'

let tree: PciTree
beforeEach(() => { tree = new PciTree() })
afterEach(() => tree.destroy())

function machine(change: Partial<Machine> = {}): Machine {
  return {
    system: tree, node: '24.1.0', compiler: 'cc (Debian) 12.2.0', engines: { uring: true }, root: true,
    kernel: '6.1.0-1', canOpen: () => false, ...change,
  }
}

function found(what: string, change: Partial<Machine> = {}): Finding {
  const { serve, drive } = diagnose(machine(change))
  return [...serve, ...drive].find((each) => each.what === what)!
}

function complete(): void {
  tree.add({ address: '0000:03:00.0', driver: 'vfio-pci' })
  tree.file('sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages', '64\n')
  tree.file('sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages', '60\n')
}

test('a machine that has everything has nothing but ok', () => {
  complete()
  const diagnosis = diagnose(machine())
  expect([...diagnosis.serve, ...diagnosis.drive].filter(({ state }) => state !== 'ok')).toEqual([])
  expect(cannotServe(diagnosis)).toBe(false)
  expect(diagnosisText(diagnosis)).toMatch(/^To serve:\n {2}ok {5}Node {10}24\.1\.0\n/)
  expect(diagnosisText(diagnosis)).toMatch(/ok {5}huge pages {4}64 of 2 MiB reserved, 60 free/)
})

const lacking: [string, string, () => Partial<Machine> | void, RegExp, boolean][] = [
  ['an old Node', 'Node', () => ({ node: '22.17.9' }), /22\.18 or newer/, true],
  ['a Node that strips no types yet', 'Node', () => ({ node: '23.5.1' }), /22\.18 or newer/, true],
  ['no compiler', 'C compiler', () => ({ compiler: null, engines: null }), /apt-get install gcc make/, true],
  ['no native part', 'native part', () => ({ engines: null }), /Start weft once/, true],
  ['io_uring switched off', 'io_uring', () => {
    tree.file('proc/sys/kernel/io_uring_disabled', '2\n')
    return { engines: { uring: false } }
  }, /sysctl kernel\.io_uring_disabled=0/, false],
  ['io_uring refused', 'io_uring', () => ({ engines: { uring: false } }), /seccomp/, false],
  ['no drive', 'drives', () => {}, /passed through/, true],
  ['VT-d not used', 'IOMMU', () => { tree.file('sys/firmware/acpi/tables/DMAR', '') }, /intel_iommu=on/, true],
  ['AMD-Vi not used', 'IOMMU', () => { tree.file('sys/firmware/acpi/tables/IVRS', '') }, /amd_iommu=off/, true],
  ['no IOMMU', 'IOMMU', () => {}, /firmware.*--without-iommu/, true],
  ['no module', 'vfio-pci', () => {}, /linux-image-amd64/, true],
  ['no permission', 'permissions', () => ({ root: false }), /sudo weft pci bind/, true],
  ['no permission for a group', 'permissions', () => {
    tree.file('dev/vfio/12', '')
    return { root: false }
  }, /sudo chown \$USER \/dev\/vfio\/12/, true],
  ['little memory to lock', 'locked memory', () => {
    tree.file('proc/self/limits', 'Max locked memory         8388608              8388608              bytes\n')
    return { root: false }
  }, /ulimit -l unlimited.*LimitMEMLOCK/, true],
  ['no huge pages', 'huge pages', () => {}, /echo 512 > \/sys\/kernel/, false],
]

describe('a machine with', () => {
  test.each(lacking)('%s is told how to get it', (_, what, change, remedy, needed) => {
    const { state, remedy: told, needed: really } = found(what, change() ?? {})
    expect(state).toBe('lacks')
    expect(told).toMatch(remedy)
    expect(really).toBe(needed)
  })

  const having: [string, string, () => Partial<Machine> | void, RegExp][] = [
    ['a native part but no compiler', 'C compiler', () => ({ compiler: null }), /compiled already/],
    ['an oldest Node that does', 'Node', () => ({ node: '22.18.0' }), /22\.18\.0/],
    ['IOMMU groups', 'IOMMU', () => complete(), /on, 1 group$/],
    ['a module that is not loaded', 'vfio-pci', () => {
      tree.file('modules/6.1.0-1/modules.dep', 'kernel/drivers/vfio/pci/vfio-pci.ko: x\n')
    }, /weft pci bind loads it/],
    ['a group of one\'s own', 'permissions', () => {
      tree.file('dev/vfio/12', '')
      return { root: false, canOpen: (path) => /vfio\/(12|vfio)$/.test(path) }
    }, /groups 12/],
    ['unlimited locked memory', 'locked memory', () => {
      tree.file('proc/self/limits', 'Max locked memory         unlimited            unlimited            bytes\n')
      return { root: false }
    }, /unlimited/],
  ]

  test.each(having)('%s lacks nothing there', (_, what, change, said) => {
    const { state, found: told } = found(what, change() ?? {})
    expect(state).toBe('ok')
    expect(told).toMatch(said)
  })
})

test('only what weft cannot serve without decides the exit status', () => {
  expect(cannotServe(diagnose(machine({ engines: { uring: false } })))).toBe(false)
  expect(cannotServe(diagnose(machine({ node: '20.0.0' })))).toBe(true)
})
