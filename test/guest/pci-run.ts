/**
 * The guest suite of PCI devices: weft runs in the virtual machine and drives the emulated NVMe drives
 * that this has. npm run test:guest:pci → pci-run → machine, kernel, initramfs, vm, pci/*.
 *
 *   node test/guest/pci-run.ts [--only REGEXP] [--kernel 6.1|6.12]
 *
 * Prints 'ok NAME' or 'not ok NAME: WHY' for each check and closes with 'N passed, N failed'.
 * Invariant: whatever happens, qemu is ended by pid before this program ends.
 */
import { cpSync, mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { packInitramfs } from './initramfs.ts'
import { type Kernel, KERNEL_SERIES, type KernelSeries, obtainKernel } from './kernel.ts'
import { KERNEL_TARGET_WORDS } from './kernel-target.ts'
import { cacheDirectory, checkMachine, counterKhz, describeMachine, installPackages } from './machine.ts'
import { ILL_BLOCK, type PciCheck, type PciMachine, tidy } from './pci/check.ts'
import { FAULT_CHECKS } from './pci/faults.ts'
import { MAPPING_CHECKS } from './pci/mapping.ts'
import { RATIO_CHECKS } from './pci/ratio.ts'
import { SERVING_CHECKS } from './pci/serving.ts'
import { ZONE_CHECKS } from './pci/zones.ts'
import { VirtualMachine } from './vm.ts'

const CHECKS: readonly PciCheck[] = [...MAPPING_CHECKS, ...SERVING_CHECKS, ...ZONE_CHECKS, ...FAULT_CHECKS, ...RATIO_CHECKS]
const DISK_BYTES = 256 * 1024 * 1024
const [DISKS, ZONED_DISK, ILL_DISK] = [5, 3, 4]

type Options = { readonly only: RegExp; readonly kernel: KernelSeries }
type Ground = { readonly kernel: Kernel, readonly initramfs: string, readonly directory: string }

let running: VirtualMachine | null = null

/** The words of drive `number`: 0 by itself; 1 and 2 are functions of one device, and so in one IOMMU group. */
function driveWords(number: number, path: string): string[] {
  const drive = `if=none,id=disk${number},cache=unsafe`
  const controller = `nvme,serial=weft${number}`
  if (number === ZONED_DISK) {
    return ['-drive', `file=${path},format=raw,${drive}`, '-device', `${controller},id=zoned,addr=a`,
      '-device', 'nvme-ns,drive=disk3,bus=zoned,nsid=1,logical_block_size=4096,physical_block_size=4096,zoned=on,zoned.zone_size=4M,'
      + 'zoned.zone_capacity=3M,zoned.max_open=8,zoned.max_active=8,zoned.descr_ext_size=64']
  }
  if (number === ILL_DISK) {
    const event = ['event=none', 'iotype=read', `sector=${ILL_BLOCK}`, 'errno=5', 'once=off'].map((word) => `inject-error.0.${word}`)
    return ['-drive', `driver=blkdebug,image.driver=file,image.filename=${path},${event.join(',')},${drive}`,
      '-device', `${controller},drive=disk${number},addr=b`]
  }
  const place = number === 0 ? 'addr=8' : `addr=9.${number - 1},multifunction=on`
  return ['-drive', `file=${path},format=raw,${drive}`, '-device', `${controller},drive=disk${number},${place}`]
}

async function boot(ground: Ground, machine: PciMachine): Promise<VirtualMachine> {
  const directory = join(ground.directory, machine)
  mkdirSync(directory)
  const devices: string[] = []
  for (let number = 0; number < DISKS; number++) {
    const path = join(directory, `disk-${number}.img`)
    writeFileSync(path, '')
    truncateSync(path, DISK_BYTES)
    devices.push(...driveWords(number, path))
  }
  const guarded = machine === 'iommu'
  running = await VirtualMachine.boot({
    kernel: ground.kernel, initramfs: ground.initramfs, directory, counterKhz: await counterKhz(),
    machine: guarded ? ',kernel-irqchip=split' : '',
    devices: [...(guarded ? ['-device', 'intel-iommu,intremap=on,caching-mode=on'] : []), ...devices],
    kernelWords: guarded ? ['intel_iommu=on', ...KERNEL_TARGET_WORDS] : [],
  })
  await running.require('modprobe nvme')
  return running
}

async function runChecks(ground: Ground, options: Options): Promise<number> {
  const chosen = CHECKS.filter(({ name }) => options.only.test(name))
  if (chosen.length === 0) throw new Error(`no check's name matches ${options.only}`)
  let failed = 0
  for (const machine of ['iommu', 'plain'] as const) {
    const here = chosen.filter((check) => check.machine === machine)
    if (here.length === 0) continue
    const vm = await boot(ground, machine)
    for (const check of here) {
      const began = Date.now()
      let line = `ok ${check.name}`
      try {
        await check.run(vm)
      } catch (error) {
        failed++
        line = `not ok ${check.name}: ${(error as Error).message.replaceAll('\n', ' / ')}`
        await tidy(vm)
      }
      console.log(`${line} # ${((Date.now() - began) / 1000).toFixed(1)} s`)
    }
    await vm.stop()
  }
  console.log(`${chosen.length - failed} passed, ${failed} failed`)
  return failed
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: { only: { type: 'string', default: '' }, kernel: { type: 'string', default: '6.1' } },
  })
  const series = KERNEL_SERIES.find((at) => at === values.kernel)
  if (series === undefined) throw new Error(`--kernel is one of ${KERNEL_SERIES.join(', ')}`)
  checkMachine()
  console.log(`# ${await describeMachine()}`)
  await installPackages()
  const cache = cacheDirectory()
  const kernel = await obtainKernel(cache, series)
  const directory = mkdtempSync(join(tmpdir(), 'weft-guest-'))
  process.on('exit', () => {
    running?.destroy()
    rmSync(directory, { recursive: true, force: true })
  })
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => process.exit(130))
  const initramfs = await packInitramfs(kernel, directory)
  try {
    return await runChecks({ kernel, initramfs, directory }, { only: new RegExp(values.only), kernel: series })
  } finally {
    const kept = join(cache, 'last-pci-run')
    rmSync(kept, { recursive: true, force: true })
    cpSync(directory, kept, { recursive: true, filter: (source) => !/\/(?:port|.*\.img|.*\.cpio)$/.test(source) })
  }
}

try {
  process.exit(await main() === 0 ? 0 : 1)
} catch (error) {
  console.log(`not ok the suite: ${(error as Error).message}`)
  console.log('0 passed, 1 failed')
  process.exit(1)
}
