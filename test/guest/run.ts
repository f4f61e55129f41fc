/**
 * The guest suite: a real Linux host in a virtual machine against weft on this machine.
 * npm run test:guest → run → machine, kernel, initramfs, vm, weft, checks/*.
 *
 *   node test/guest/run.ts [--only REGEXP] [--kernel 6.1|6.12] [--target weft|kernel]
 *
 * Prints 'ok NAME' or 'not ok NAME: WHY' for each check and closes with 'N passed, N failed'.
 * Invariant: whatever happens, qemu and the daemon are ended by pid before this program ends.
 */
import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import type { Bench, Check } from './check.ts'
import { AUTHENTICATION_CHECKS } from './checks/authentication.ts'
import { BENCHMARK_CHECKS } from './checks/benchmark.ts'
import { COMMAND_CHECKS } from './checks/commands.ts'
import { DISCOVERY_CHECKS } from './checks/discovery.ts'
import { FIELD_CHECKS } from './checks/fields.ts'
import { FILESYSTEM_CHECKS } from './checks/filesystem.ts'
import { LIVE_CHECKS } from './checks/live.ts'
import { LOG_CHECKS } from './checks/logs.ts'
import { MULTIPATH_CHECKS } from './checks/multipath.ts'
import { OPTIONAL_CHECKS } from './checks/optional.ts'
import { OUTAGE_CHECKS } from './checks/outage.ts'
import { POOL_CHECKS } from './checks/pool.ts'
import { REFERRAL_CHECKS } from './checks/referral.ts'
import { RESERVATION_CHECKS } from './checks/reservation.ts'
import { VERIFY_CHECKS } from './checks/verify.ts'
import { Host } from './host.ts'
import { packInitramfs } from './initramfs.ts'
import { type Kernel, KERNEL_SERIES, type KernelSeries, obtainKernel } from './kernel.ts'
import { KernelLog } from './kernel-log.ts'
import { KERNEL_TARGET_WORDS, serveFromKernel } from './kernel-target.ts'
import { cacheDirectory, checkMachine, counterKhz, describeMachine, installPackages }
  from './machine.ts'
import { VirtualMachine } from './vm.ts'
import { Weft } from './weft.ts'

const CHECKS: readonly Check[] = [
  ...DISCOVERY_CHECKS, ...REFERRAL_CHECKS, ...FIELD_CHECKS, ...COMMAND_CHECKS, ...OPTIONAL_CHECKS,
  ...LOG_CHECKS, ...VERIFY_CHECKS, ...FILESYSTEM_CHECKS, ...OUTAGE_CHECKS, ...MULTIPATH_CHECKS,
  ...LIVE_CHECKS, ...POOL_CHECKS, ...RESERVATION_CHECKS, ...AUTHENTICATION_CHECKS, ...BENCHMARK_CHECKS,
]

/** A check takes at most this long, whatever its steps allow. */
const CHECK_TIMEOUT_MS = 900_000
/** After this, what is left is not run: a target that hangs must not take the day. */
const SUITE_TIMEOUT_MS = 45 * 60_000
const BOOTS_MAX = 4
/** Some checks quote whole logs. */
const REASON_LENGTH_MAX = 4000

type Options = {
  readonly only: RegExp
  readonly kernel: KernelSeries
  readonly target: 'weft' | 'kernel'
}

/** What is prepared once, before the first boot. */
type Ground = {
  readonly options: Options
  readonly kernel: Kernel
  readonly initramfs: string
  readonly counterKhz: number | null
  /** For the guest: its share, its sockets, its console. */
  readonly directory: string
  /** For the daemon: its images and its log. */
  readonly images: string
}

class Suite {
  readonly #ground: Ground
  #vm: VirtualMachine | null = null
  #weft: Weft | null = null
  #log: KernelLog | null = null
  #boots = 0
  #complaints = 0
  #late = false
  passed = 0
  failed = 0

  constructor(ground: Ground) {
    this.#ground = ground
  }

  async run(): Promise<void> {
    const until = Date.now() + SUITE_TIMEOUT_MS
    const { only, target, kernel } = this.#ground.options
    const chosen = CHECKS.filter((at) => only.test(at.name) &&
      !(target === 'kernel' && at.weftOnly === true) && at.kernels?.includes(kernel) !== false)
    if (chosen.length === 0) throw new Error(`no check's name matches ${only}`)
    let bench: Bench | null = null
    for (const check of chosen) {
      let began = Date.now()
      let reason: string | null
      try {
        if (began > until) throw new Error(`not run: ${SUITE_TIMEOUT_MS / 60_000} minutes are over`)
        bench ??= await this.#setUp()
        began = Date.now()
        reason = await this.#judge(check, bench)
      } catch (error) {
        reason = (error as Error).message
      }
      this.#report(check.name, reason, Date.now() - began)
      if (reason !== null && bench !== null && !(await this.#tidy(bench))) bench = null
    }
    await bench?.host.release().catch(() => {})
    if (bench?.weft != null) await this.#endWeft(bench.weft)
    this.#report('the kernel log has no complaint from nvme',
      this.#complaints === 0 ? null : `${this.#complaints}, see above`, 0)
  }

  /** Ends everything this suite started, without waiting. */
  destroy(): void {
    this.#weft?.destroy()
    this.#vm?.destroy()
  }

  /** A freshly booted guest and a running target. */
  async #setUp(): Promise<Bench> {
    await this.#vm?.stop()
    this.#weft?.destroy()
    this.#weft = null
    if (this.#boots === BOOTS_MAX) throw new Error(`not run: the guest hung ${BOOTS_MAX} times`)
    this.#boots += 1
    const { options, kernel, initramfs, counterKhz, images } = this.#ground
    const directory = join(this.#ground.directory, String(this.#boots))
    mkdirSync(directory)
    const began = Date.now()
    const vm = await VirtualMachine.boot({
      kernel, initramfs, directory, counterKhz,
      kernelWords: options.target === 'kernel' ? KERNEL_TARGET_WORDS : [],
    })
    this.#vm = vm
    await vm.require('modprobe nvme-tcp && busybox dmesg -c > /dev/null')
    this.#log = new KernelLog(vm)
    console.log(`# Linux ${kernel.version} is up after ${seconds(Date.now() - began)} s`)
    if (options.target === 'kernel') {
      return { vm, host: new Host(vm, await serveFromKernel(vm)), weft: null }
    }
    const weft = await Weft.prepare(images)
    this.#weft = weft
    await weft.start()
    return { vm, host: new Host(vm, weft.target), weft }
  }

  /** Runs one check. Resolves with why it failed, or null. */
  async #judge(check: Check, bench: Bench): Promise<string | null> {
    if (bench.weft?.running === false) await bench.weft.start()
    const reason = await this.#inTime(this.#run(check, bench))
    const fault = bench.weft?.takeFault() ?? null
    const complaints = await this.#log?.complaints(check.expected ?? []) ?? []
    this.#complaints += complaints.length
    const said = complaints.length === 0 ? null
      : `the kernel complains: ${complaints.slice(0, 4).join(' / ')}`
    const reasons = [fault, reason, said].filter((at) => at !== null)
    return reasons.length === 0 ? null : reasons.join('; ')
  }

  async #run(check: Check, bench: Bench): Promise<void> {
    if (check.shares !== true) await bench.host.release()
    await check.run(bench)
  }

  /** Resolves with null, or with the reason for a rejection or for running out of time. */
  async #inTime(work: Promise<void>): Promise<string | null> {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<string>((resolve) => {
      timer = setTimeout(() => {
        this.#late = true
        resolve(`no end after ${CHECK_TIMEOUT_MS / 1000} s`)
      }, CHECK_TIMEOUT_MS)
    })
    const done = work.then(() => null, (error: Error) => error.message)
    const reason = await Promise.race([done, late])
    clearTimeout(timer)
    return reason
  }

  /** After a failure: nothing may be left mounted or connected. False: the guest is beyond that. */
  async #tidy(bench: Bench): Promise<boolean> {
    try {
      // A check that is late still runs: only a guest that is gone ends it.
      if (this.#late) throw new Error('late')
      await bench.vm.require('rm -f /run/io-goes-on; busybox umount -f /mnt/weft 2> /dev/null; ' +
        'nvme disconnect-all; ! ls /sys/class/nvme/nvme* > /dev/null 2>&1', 60_000)
      bench.host.forget()
      await this.#log?.complaints([])
      return true
    } catch {
      this.#late = false
      console.log(`# the guest is stuck and is booted anew; its console: ${bench.vm.consoleTail()}`)
      return false
    }
  }

  async #endWeft(weft: Weft): Promise<void> {
    if (!weft.running) return
    const began = Date.now()
    const name = 'the daemon ends with status 0 on SIGTERM'
    try {
      const ending = await weft.stop('SIGTERM')
      this.#report(name, ending.status === 0 ? null : `${ending.status ?? ending.signal}`,
        Date.now() - began)
    } catch (error) {
      this.#report(name, (error as Error).message, Date.now() - began)
    }
  }

  #report(name: string, reason: string | null, elapsedMs: number): void {
    if (reason === null) {
      this.passed += 1
      console.log(`ok ${name} # ${seconds(elapsedMs)} s`)
    } else {
      this.failed += 1
      const words = reason.length > REASON_LENGTH_MAX ? `${reason.slice(0, REASON_LENGTH_MAX)} …` : reason
      console.log(`not ok ${name}: ${words.replaceAll('\n', ' / ')} # ${seconds(elapsedMs)} s`)
    }
  }
}

function seconds(ms: number): string {
  return (ms / 1000).toFixed(1)
}

function readOptions(): Options {
  const { values } = parseArgs({
    options: {
      only: { type: 'string', default: '' },
      kernel: { type: 'string', default: '6.1' },
      target: { type: 'string', default: 'weft' },
    },
  })
  const kernel = KERNEL_SERIES.find((at) => at === values.kernel)
  if (kernel === undefined) throw new Error(`--kernel is one of ${KERNEL_SERIES.join(', ')}`)
  if (values.target !== 'weft' && values.target !== 'kernel') {
    throw new Error('--target is weft or kernel')
  }
  return { only: new RegExp(values.only), kernel, target: values.target }
}

async function main(): Promise<number> {
  const options = readOptions()
  checkMachine()
  console.log(`# ${await describeMachine()}`)
  const installed = await installPackages()
  if (installed.length > 0) console.log(`# installed ${installed.join(', ')}`)
  const cache = cacheDirectory()
  const kernel = await obtainKernel(cache, options.kernel)
  const directory = mkdtempSync(join(tmpdir(), 'weft-guest-'))
  const images = mkdtempSync(join(cache, 'run-'))
  const initramfs = await packInitramfs(kernel, directory)
  const suite = new Suite(
    { options, kernel, initramfs, counterKhz: await counterKhz(), directory, images })
  process.on('exit', () => {
    suite.destroy()
    for (const at of [directory, images]) rmSync(at, { recursive: true, force: true })
  })
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => process.exit(130))
  }
  try {
    await suite.run()
  } finally {
    suite.destroy()
    const kept = keepRecords(cache, directory, images)
    if (suite.failed > 0) console.log(`# logs: ${kept}`)
  }
  console.log(`${suite.passed} passed, ${suite.failed} failed`)
  return suite.failed === 0 && suite.passed > 0 ? 0 : 1
}

/** Keeps the consoles and the daemon's log of this run, and returns where. */
function keepRecords(cache: string, directory: string, images: string): string {
  const kept = join(cache, 'last-run')
  rmSync(kept, { recursive: true, force: true })
  const isRecord = (source: string): boolean => !/\/(?:port|.*\.img|.*\.cpio)$/.test(source)
  cpSync(directory, kept, { recursive: true, filter: isRecord })
  cpSync(images, join(kept, 'weft'), { recursive: true, filter: isRecord })
  return kept
}

try {
  process.exit(await main())
} catch (error) {
  console.log(`not ok the suite: ${(error as Error).message}`)
  console.log('0 passed, 1 failed')
  process.exit(1)
}
