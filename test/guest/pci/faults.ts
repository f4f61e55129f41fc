/**
 * Faults of a drive that QEMU can bring about: a block that cannot be read. The host is told by the status that the
 * drive gave, everything else goes on. pci-run → faults → serving, check.
 */
import { expect } from '../check.ts'
import { deviceOf } from '../host.ts'
import type { VirtualMachine } from '../vm.ts'
import { ILL_BLOCK, ILL_DRIVE, type PciCheck, weft } from './check.ts'
import { start, stop, within } from './serving.ts'

const BLOCK_BYTES = 512

export const FAULT_CHECKS: readonly PciCheck[] = [
  { name: 'a block that the drive cannot read', machine: 'iommu', run: unreadable },
]

async function unreadable(vm: VirtualMachine): Promise<void> {
  await start(vm, ILL_DRIVE)
  await within(vm, async (connection) => {
    const device = deviceOf(connection, 1)
    const readOf = (block: number): string =>
      `nvme read ${device} --start-block=${block} --block-count=0 --data-size=${BLOCK_BYTES} --data=/run/block`
    const bad = await vm.run(readOf(ILL_BLOCK))
    // nvme-cli ends with the status, or its lowest byte.
    expect(bad.status !== 0 && /unrecovered read error/i.test(bad.stderr + bad.stdout), `${bad.status}: ${bad.stderr}${bad.stdout}`)
    await vm.require(`${readOf(ILL_BLOCK - 1)} && ${readOf(ILL_BLOCK + 1)}`)
    await vm.require(`dd if=/dev/urandom of=/run/blocks bs=4096 count=16 status=none
dd if=/run/blocks of=${device} bs=4096 oflag=direct status=none
dd if=${device} bs=4096 count=16 iflag=direct status=none | cmp - /run/blocks`)
    const smart = JSON.parse(await vm.require(`nvme smart-log ${device} --output-format=json`)) as { readonly media_errors: number }
    expect(smart.media_errors > 0, `media errors: ${JSON.stringify(smart)}`)
  })
  expect(await stop(vm, 'TERM') === 0, 'the daemon did not end with status 0')
  expect((await weft(vm, `pci release ${ILL_DRIVE}`)).status === 0, 'the drive was not given back')
}
