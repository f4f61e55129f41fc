/**
 * A drive with zones that weft serves: the guest's kernel shows a zoned block device, fio writes and verifies it by
 * zones, nvme-cli manages and appends, and the kernel's own driver finds the same afterwards.
 * pci-run → zones → serving, check.
 *
 * Invariant: whatever a zone holds by weft, it holds by the kernel.
 */
import { expect } from '../check.ts'
import { deviceOf } from '../host.ts'
import type { VirtualMachine } from '../vm.ts'
import { awaitDisk, type PciCheck, weft, ZONED_DRIVE } from './check.ts'
import { start, stop, within } from './serving.ts'

/** As pci-run.ts makes the drive: zones of 4 MiB, of which 3 MiB can be written, in blocks of 4096 bytes. */
const ZONE_BLOCKS = 1024
const CAPACITY_BLOCKS = 768
const ZONES = 64
const [EMPTY, FULL] = [1, 14]

export const ZONE_CHECKS: readonly PciCheck[] = [
  { name: 'a drive with zones is served as one', machine: 'iommu', run: zoned },
]

type Zone = { readonly slba: number, readonly wp: number, readonly state: string, readonly cap: number }

async function zonesOf(vm: VirtualMachine, device: string): Promise<readonly Zone[]> {
  const said = await vm.require(`nvme zns report-zones ${device} --descs=${ZONES} --output-format=json`)
  return (JSON.parse(said) as { readonly zone_list: readonly Zone[] }).zone_list
}

async function zoned(vm: VirtualMachine): Promise<void> {
  await start(vm, ZONED_DRIVE)
  let before = ''
  await within(vm, async (connection) => {
    const device = deviceOf(connection, 1)
    await asTheKernelSees(vm, device)
    await written(vm, device)
    await appended(vm, device)
    before = await sums(vm, device)
  })
  expect(await stop(vm, 'TERM') === 0, 'the daemon did not end with status 0')
  const released = await weft(vm, `pci release ${ZONED_DRIVE}`)
  expect(released.status === 0, released.stderr)
  const after = await sums(vm, `/dev/${await awaitDisk(vm, ZONED_DRIVE)}`)
  expect(after === before, `weft: ${before} / the kernel: ${after}`)
}

async function asTheKernelSees(vm: VirtualMachine, device: string): Promise<void> {
  const queue = `/sys/block/${device.slice('/dev/'.length)}/queue`
  const said = (await vm.require(`cat ${queue}/zoned ${queue}/nr_zones ${queue}/chunk_sectors`)).trim().split('\n')
  expect(said.join(' ') === `host-managed ${ZONES} ${ZONE_BLOCKS * 8}`, `the kernel sees ${said.join(' ')}`)
  const own = JSON.parse(await vm.require(`nvme zns id-ns ${device} --output-format=json`)) as
    { readonly mor: number, readonly lbafe: readonly { readonly zsze: number, readonly zdes: number }[] }
  expect(own.mor === 7 && own.lbafe[0]?.zsze === ZONE_BLOCKS && own.lbafe[0].zdes === 1, JSON.stringify(own))
  await vm.require(`nvme zns reset-zone ${device} --select-all`)
  const zones = await zonesOf(vm, device)
  expect(zones.length === ZONES && zones.every(({ cap }) => cap === CAPACITY_BLOCKS), JSON.stringify(zones[0]))
}

/**
 * By fio, at depth 32 into several zones at a time; then all of it is read and compared. Linux has no scheduler for
 * NVMe by itself, not even with zones: without one, writes of a zone by two queues overtake each other.
 */
async function written(vm: VirtualMachine, device: string): Promise<void> {
  await vm.require('for at in /sys/block/nvme*c*n1/queue/scheduler; do echo mq-deadline > $at; done')
  await vm.require(`fio --name=zones --filename=${device} --zonemode=zbd --rw=randwrite --bs=16k --size=16m \\
    --max_open_zones=4 --ioengine=libaio --direct=1 --iodepth=32 --verify=crc32c --verify_fatal=1 \\
    --verify_state_save=0 --randrepeat=1 --output-format=terse > /dev/null`)
}

/** Two appends, a write that is not at the write pointer, a zone that is finished, and one that is reset. */
async function appended(vm: VirtualMachine, device: string): Promise<void> {
  const zslba = 20 * ZONE_BLOCKS
  await vm.require('head -c 4096 /dev/urandom > /run/appended')
  for (const at of [0, 1]) {
    const said = await vm.require(
      `nvme zns zone-append ${device} --zslba=${zslba} --data-size=4096 --data=/run/appended`)
    expect(said.toLowerCase().includes((zslba + at).toString(16)), `append ${at}: ${said}`)
  }
  await vm.require(`dd if=${device} bs=4096 skip=${zslba + 1} count=1 iflag=direct status=none | cmp - /run/appended`)
  const refused = await vm.run(
    `nvme write ${device} --start-block=${zslba} --block-count=0 --data-size=4096 --data=/run/appended`)
  expect(refused.status !== 0 && /zone/i.test(refused.stderr + refused.stdout),
    `a write behind the write pointer: ${refused.status} ${refused.stderr}`)
  await vm.require(`nvme zns finish-zone ${device} --start-lba=${zslba}; nvme zns open-zone ${device} --start-lba=${30 * ZONE_BLOCKS}
nvme zns reset-zone ${device} --start-lba=${30 * ZONE_BLOCKS}`)
  const zones = await zonesOf(vm, device)
  const stateOf = (zone: number): string => zones[zone]!.state
  expect(stateOf(20) !== stateOf(30) && stateOf(30) === stateOf(40), `states ${EMPTY} and ${FULL}: ${stateOf(20)}, ${stateOf(30)}`)
}

/** What the zones hold, and how far each is written. */
async function sums(vm: VirtualMachine, device: string): Promise<string> {
  const pointers = (await zonesOf(vm, device)).map(({ slba, wp }) => `${slba}:${wp}`).join(' ')
  const sum = await vm.require(`for zone in 0 1 2 3 20; do
  dd if=${device} bs=4096 skip=$((zone * ${ZONE_BLOCKS})) count=${CAPACITY_BLOCKS} iflag=direct status=none
done | sha256sum`)
  return `${sum.trim()} ${pointers}`
}
