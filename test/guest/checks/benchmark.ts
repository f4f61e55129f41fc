/**
 * bench/fio/run.ts as a user runs it, small: what it writes, what it refuses, and weft beside the
 * kernel's own target in the same boot.
 * run → checks/benchmark → vm, kernel-target.
 *
 * Figures are printed, never judged: the processor is emulated, and one target is across a network
 * of the emulator's, the other on the guest's loopback.
 */
import { type Bench, type Check, expect } from '../check.ts'
import { deviceOf, Host } from '../host.ts'
import { GUEST_NODE, GUEST_REPOSITORY } from '../initramfs.ts'
import { endKernelTarget, serveFromKernel } from '../kernel-target.ts'
import { MAIN } from '../target.ts'
import type { VirtualMachine } from '../vm.ts'

const FIO = `${GUEST_NODE} --disable-warning=ExperimentalWarning ` +
  `${GUEST_REPOSITORY}/bench/fio/run.ts`
/** Short, because only their form matters here; libaio, because guests may forbid io_uring. */
const PACE = '--seconds 0.3 --ramp 0 --engine libaio'
const CASES = 10
/** No large writes: to a target on the loopback they trip a check of 6.1 (kernel-target.ts). */
const COMPARED = ['read-depth-32', 'write-depth-32', 'mix-depth-64'] as const

type Results = {
  readonly label: string
  readonly cases: Readonly<Record<string, { readonly iops: number, readonly p99Ns: number }>>
}

export const BENCHMARK_CHECKS: readonly Check[] = [
  {
    name: 'bench/fio measures a namespace, and writes JSON, a table and a plot',
    run: ({ vm, host }) => host.within(MAIN, {}, async (connection) => {
      const device = deviceOf(connection, 1)
      await vm.require(`busybox dd if=/dev/zero of=${device} bs=1M count=1 oflag=direct 2>&1`)
      const said = await vm.require(
        `${FIO} run ${device} ${PACE} --label weft --json /run/weft.json --svg /run/weft.svg`)
      const results = await resultsIn(vm, '/run/weft.json')
      const names = Object.keys(results.cases)
      expect(names.length === CASES, `there are ${names.length} cases: ${names.join(', ')}`)
      const idle = names.filter((name) => !(results.cases[name]!.iops > 0 &&
        results.cases[name]!.p99Ns > 0))
      expect(idle.length === 0, `nothing was measured in ${idle.join(', ')}`)
      const untold = names.filter((name) => !said.includes(`${name} `))
      expect(untold.length === 0, `the table lacks ${untold.join(', ')}: ${said}`)
      await expectPlot(vm, '/run/weft.svg', names)
    }),
  },
  {
    name: 'bench/fio refuses a device with a file system, and leaves it as it is',
    run: ({ vm, host }) => host.within(MAIN, {}, async (connection) => {
      const device = deviceOf(connection, 1)
      await vm.require(`mkfs.ext4 -q -F ${device}`)
      const run = `${FIO} run ${device} ${PACE} --jobs write-depth-32 --json /run/refused.json`
      const refused = await vm.run(run)
      expect(refused.status === 1 && /ext2, ext3 or ext4.*--force/.test(refused.stderr),
        `status ${refused.status}: ${refused.stderr}`)
      await vm.require(`[ ! -e /run/refused.json ] && e2fsck -f -n ${device}`)
      await vm.require(`mkdir -p /mnt/weft && mount ${device} /mnt/weft`)
      const mounted = await vm.run(run)
      await vm.require('umount /mnt/weft')
      expect(mounted.status === 1 && /mounted on \/mnt\/weft/.test(mounted.stderr),
        `mounted: status ${mounted.status}: ${mounted.stderr}`)
      await vm.require(`${run} --force`)
    }),
  },
  {
    name: "bench/fio compares weft with the kernel's target",
    weftOnly: true,
    run: compareWithKernel,
  },
]

async function compareWithKernel({ vm, host }: Bench): Promise<void> {
  await measure(vm, host, 'weft')
  const kernelHost = new Host(vm, await serveFromKernel(vm))
  try {
    await measure(vm, kernelHost, 'nvmet')
  } finally {
    await endKernelTarget(vm)
  }
  const said = await vm.require(
    `${FIO} compare /run/weft.json /run/nvmet.json --svg /run/compare.svg`)
  await expectPlot(vm, '/run/compare.svg', [...COMPARED, 'weft', 'nvmet'])
  const weft = await resultsIn(vm, '/run/weft.json')
  const nvmet = await resultsIn(vm, '/run/nvmet.json')
  for (const name of COMPARED) {
    const [ours, theirs] = [weft.cases[name], nvmet.cases[name]]
    expect(ours !== undefined && theirs !== undefined, `${name} is missing: ${said}`)
    console.log(`# ${name}: × ${(ours.iops / theirs.iops).toFixed(2)} (weft ` +
      `${Math.round(ours.iops)} IOPS from outside the emulated machine, nvmet ` +
      `${Math.round(theirs.iops)} inside)`)
  }
}

async function measure(vm: VirtualMachine, host: Host, label: string): Promise<void> {
  await host.within(MAIN, {}, async (connection) => {
    const device = deviceOf(connection, 1)
    await vm.require(`${FIO} run ${device} ${PACE} --force --label ${label} ` +
      `--json /run/${label}.json --jobs ${COMPARED.join(' ')}`)
  })
}

async function resultsIn(vm: VirtualMachine, file: string): Promise<Results> {
  return JSON.parse(await vm.require(`cat ${file}`)) as Results
}

async function expectPlot(
  vm: VirtualMachine, file: string, words: readonly string[],
): Promise<void> {
  const svg = await vm.require(`cat ${file}`)
  const missing = ['<svg ', '</svg>', ...words].filter((word) => !svg.includes(word))
  expect(missing.length === 0, `the plot lacks ${missing.join(', ')}`)
}
