/**
 * weft pci, and the shim's way to a device, on a real kernel: list, bind, refuse, map, read
 * registers, DMA, interrupts, reset, release. pci-run → mapping → probe.ts in the guest.
 */
import { PCI } from '../../../src/shim/abi.ts'
import { expect } from '../check.ts'
import type { VirtualMachine } from '../vm.ts'
import { awaitDisk, DRIVE, PAIR, type PciCheck, program, weft, weftWords } from './check.ts'

type Found = {
  readonly cap: readonly [number, number], readonly vs: number, readonly before: number
  readonly facts: { readonly vectors: number, readonly reset: boolean, readonly translated: boolean }
  readonly huge: number
  readonly polled: { readonly blocks: number, readonly news: number, readonly status: number }
  readonly asleep: Found['polled'] | null
  /** How often the vector fired for what was polled. */
  readonly fired: number
  readonly polledSaid: string, readonly asleepSaid: string | null
  readonly state: number, readonly closed: number
  /** With its memory space switched off; and after a reset. */
  readonly off: null | {
    readonly cap: number, readonly state: number
    readonly reset: number, readonly cc: number, readonly vs: number, readonly after: number
  }
}

const VERSION = 0x10400
const IDENTITY = /^weft0 QEMU NVMe Ctrl/

/** The kernel reads of the drive what was written before it was taken. */
const MARK = 'head -c 1048576 /dev/zero | tr "\\000" "\\132"'

export const MAPPING_CHECKS: readonly PciCheck[] = [
  { name: 'weft pci list shows the drives, their groups and their use', machine: 'iommu', run: list },
  { name: 'weft doctor finds the IOMMU and the module', machine: 'iommu', run: doctor(/ok +IOMMU +on, \d+ groups\n/) },
  { name: 'weft pci bind refuses a drive that is in use', machine: 'iommu', run: refuseUsed },
  { name: 'weft pci bind refuses one that shares its group', machine: 'iommu', run: refuseShared },
  { name: 'a drive is bound, mapped, asked, reset and given back', machine: 'iommu', run: mapped },
  { name: 'weft doctor misses the IOMMU', machine: 'plain', run: doctor(/lacks +IOMMU .*\n.*--without-iommu/) },
  { name: 'without an IOMMU a drive is driven with huge pages', machine: 'plain', run: unguarded },
]

async function list(vm: VirtualMachine): Promise<void> {
  const disk = await awaitDisk(vm, DRIVE)
  for (const address of PAIR) await awaitDisk(vm, address)
  await vm.require(`mkfs.ext4 -q -F /dev/${disk} && mkdir -p /mnt/used && mount /dev/${disk} /mnt/used`)
  const shown = await weft(vm, 'pci list')
  await vm.require('umount /mnt/used')
  const lines = shown.stdout.split('\n')
  const [own, first, second] = [DRIVE, ...PAIR].map((at) => lines.find((line) => line.startsWith(at)) ?? '')
  expect(/QEMU NVMe Ctrl +nvme +\d+ +mounted on \/mnt\/used$/.test(own!), `the mounted one: ${own}`)
  expect(/nvme +\d+ shared +-$/.test(first!) && / shared +-$/.test(second!), `${first} / ${second}`)
}

function doctor(said: RegExp): (vm: VirtualMachine) => Promise<void> {
  return async (vm) => {
    const { status, stdout, stderr } = await weft(vm, 'doctor')
    const found = said.test(stdout) && /ok +vfio-pci/.test(stdout) && /5 NVMe controllers/.test(stdout)
    expect(status === 0 && found, `status ${status}: ${stdout} ${stderr}`)
  }
}

async function refuseUsed(vm: VirtualMachine): Promise<void> {
  const disk = await awaitDisk(vm, DRIVE)
  const uses: readonly [string, string, RegExp][] = [
    [`mount /dev/${disk} /mnt/used`, 'umount /mnt/used', /mounted on \/mnt\/used.*umount/],
    [`exec 9< /dev/${disk}`, 'exec 9<&-', /held open by sh/],
  ]
  for (const [begin, end, said] of uses) {
    const outcome = await vm.run(
      `${begin} || exit 9; ${weftWords(`pci bind ${DRIVE}`)}; status=$?; ${end}; exit $status`)
    expect(outcome.status === 1 && said.test(outcome.stderr), `${outcome.status}: ${outcome.stderr}`)
  }
  await vm.require(`[ "$(basename $(readlink /sys/bus/pci/devices/${DRIVE}/driver))" = nvme ]`)
}

async function refuseShared(vm: VirtualMachine): Promise<void> {
  const outcome = await weft(vm, `pci bind ${PAIR[0]}`)
  expect(outcome.status === 1 && outcome.stderr.includes(`${PAIR[1]} (nvme)`),
    `${outcome.status}: ${outcome.stderr}`)
}

async function mapped(vm: VirtualMachine): Promise<void> {
  const disk = await awaitDisk(vm, DRIVE)
  await vm.require(`${MARK} > /dev/${disk} && sync`)
  const bound = await weft(vm, `pci bind ${DRIVE}`)
  expect(bound.status === 0 && /bound to vfio-pci/.test(bound.stdout), bound.stderr)
  for (const pages of [0, 32]) {
    await vm.require(`echo ${pages} > /proc/sys/vm/nr_hugepages`)
    const found = await program<Found>(vm, `test/guest/pci/probe.ts ${DRIVE}`)
    expectSound(found, pages > 0)
    const { facts, asleep } = found
    expect(facts.translated && facts.vectors > 1 && facts.reset, `facts: ${JSON.stringify(facts)}`)
    expect(found.fired > 0, `the vector did not fire: ${JSON.stringify(found)}`)
    // Whether the turn had to block depends on how fast the emulated drive is.
    expect(asleep !== null && asleep.status === 0 && asleep.news === 1 && IDENTITY.test(found.asleepSaid ?? ''), `asleep: ${JSON.stringify(found)}`)
    const { off } = found
    expect(off?.cap === -1 && off.state === PCI.LOST, `switched off: ${JSON.stringify(off)}`)
    expect(off.reset === 0 && off.cc === 0 && off.vs === VERSION && off.after === 0,
      `after the reset: ${JSON.stringify(off)}`)
  }
  await vm.require('echo 0 > /proc/sys/vm/nr_hugepages')
  await giveBack(vm)
}

function expectSound(found: Found, huge: boolean): void {
  const { cap, vs, polled } = found
  expect(vs === VERSION && (cap[1] & 0xffff) === 0x7ff, `CAP and VS: ${JSON.stringify(found)}`)
  expect(found.huge === (huge ? 1 : 0), `huge pages: ${JSON.stringify(found)}`)
  expect(polled.status === 0 && polled.news === 1 && polled.blocks === 0 &&
    IDENTITY.test(found.polledSaid), `polled: ${JSON.stringify(found)}`)
  expect(found.state === 0 && found.closed === 0, `the end: ${JSON.stringify(found)}`)
}

async function giveBack(vm: VirtualMachine): Promise<void> {
  const released = await weft(vm, `pci release ${DRIVE}`)
  expect(released.status === 0, released.stderr)
  const disk = await awaitDisk(vm, DRIVE)
  await vm.require(`${MARK} | cmp -n 1048576 - /dev/${disk}`)
}

async function unguarded(vm: VirtualMachine): Promise<void> {
  const disk = await awaitDisk(vm, DRIVE)
  await vm.require(`${MARK} > /dev/${disk} && sync`)
  const refused = await weft(vm, `pci bind ${DRIVE}`)
  expect(refused.status === 1 && /--without-iommu/.test(refused.stderr), refused.stderr)
  await vm.require('echo 64 > /proc/sys/vm/nr_hugepages')
  const bound = await weft(vm, `pci bind ${DRIVE} --without-iommu`)
  expect(bound.status === 0 && /Warning: .*overwrite any memory/.test(bound.stderr), bound.stderr)
  const found = await program<Found>(vm, `test/guest/pci/probe.ts ${DRIVE}`)
  expectSound(found, true)
  expect(!found.facts.translated && found.facts.vectors === 0, JSON.stringify(found.facts))
  await giveBack(vm)
}
