/**
 * The same drive served twice in one boot, over TCP on the guest's loopback: by weft, which drives it
 * itself, and by the kernel's nvmet on the kernel's driver; bench/fio measures both.
 * pci-run → ratio → serving, bench/fio/run.ts.
 *
 * Figures are printed, never judged: the processor and the drive are emulated, and host, target and
 * drive share two cores.
 */
import { expect } from '../check.ts'
import { deviceOf, Host } from '../host.ts'
import { GUEST_NODE, GUEST_REPOSITORY } from '../initramfs.ts'
import type { VirtualMachine } from '../vm.ts'
import { awaitDisk, DRIVE, type PciCheck, weft } from './check.ts'
import { PORT, SERVED, start, stop, within } from './serving.ts'

const FIO = `${GUEST_NODE} --disable-warning=ExperimentalWarning ${GUEST_REPOSITORY}/bench/fio/run.ts`
const PACE = '--seconds 2 --ramp 0.5 --engine libaio --force'
const CASES = ['read-depth-1', 'read-depth-32', 'write-depth-32', 'mix-depth-64'] as const
const NVMET = '/sys/kernel/config/nvmet'

type Results = { readonly cases: Readonly<Record<string, { readonly iops: number }>> }

export const RATIO_CHECKS: readonly PciCheck[] = [
  { name: 'bench: weft on a drive of its own beside nvmet on the kernel\'s', machine: 'iommu', run: compare },
]

async function compare(vm: VirtualMachine): Promise<void> {
  await awaitDisk(vm, DRIVE)
  await start(vm)
  await within(vm, (connection) => measure(vm, deviceOf(connection, 1), 'weft'))
  await stop(vm, 'TERM')
  expect((await weft(vm, `pci release ${DRIVE}`)).status === 0, 'the drive was not given back')
  await serveByKernel(vm, await awaitDisk(vm, DRIVE))
  try {
    const host = new Host(vm, { address: '127.0.0.1', port: PORT, discoveryPort: PORT })
    await host.within(SERVED, {}, (connection) => measure(vm, deviceOf(connection, 1), 'nvmet'))
  } finally {
    await vm.run(`rm ${NVMET}/ports/9/subsystems/*; rmdir ${NVMET}/ports/9
rmdir ${NVMET}/subsystems/${SERVED.nqn}/namespaces/1 ${NVMET}/subsystems/${SERVED.nqn}`)
  }
  const [ours, theirs] = await Promise.all(['weft', 'nvmet'].map((label) => resultsOf(vm, label)))
  for (const name of CASES) {
    const [own, other] = [ours!.cases[name]?.iops ?? 0, theirs!.cases[name]?.iops ?? 0]
    expect(own > 0 && other > 0, `${name} was not measured`)
    console.log(`# ${name}: × ${(own / other).toFixed(2)} (weft ${Math.round(own)} IOPS, nvmet ${Math.round(other)})`)
  }
}

async function measure(vm: VirtualMachine, device: string, label: string): Promise<void> {
  await vm.require(`${FIO} run ${device} ${PACE} --label ${label} --json /run/${label}.json --jobs ${CASES.join(' ')}`)
}

async function resultsOf(vm: VirtualMachine, label: string): Promise<Results> {
  return JSON.parse(await vm.require(`cat /run/${label}.json`)) as Results
}

async function serveByKernel(vm: VirtualMachine, disk: string): Promise<void> {
  const subsystem = `${NVMET}/subsystems/${SERVED.nqn}`
  const port = `${NVMET}/ports/9`
  await vm.require(`set -e
modprobe configfs; modprobe nvmet-tcp
mountpoint -q /sys/kernel/config || mount -t configfs configfs /sys/kernel/config
mkdir ${subsystem} ${subsystem}/namespaces/1 ${port}
echo 1 > ${subsystem}/attr_allow_any_host
echo /dev/${disk} > ${subsystem}/namespaces/1/device_path
echo 1 > ${subsystem}/namespaces/1/enable
echo tcp > ${port}/addr_trtype
echo ipv4 > ${port}/addr_adrfam
echo 127.0.0.1 > ${port}/addr_traddr
echo ${PORT} > ${port}/addr_trsvcid
ln -s ${subsystem} ${port}/subsystems/`)
}
