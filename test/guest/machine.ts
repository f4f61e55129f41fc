/**
 * What the suite needs of the machine it runs on: Debian packages, a directory to keep things in,
 * and the frequency of its clock.
 * run → machine → command.
 *
 * Invariant: nothing is installed that is there already, and every failure is one sentence.
 */
import { accessSync, constants, mkdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { requireCommand, runCommand } from './command.ts'

/** Package → what it is for. All are in Debian's main archive. */
const PACKAGES: Readonly<Record<string, string>> = {
  'qemu-system-x86': 'the virtual machine',
  'busybox-static': 'the first programs of the guest',
  'nvme-cli': 'the commands under test',
  fio: 'input and output with verification',
  cpio: 'packing the first root',
  kmod: 'the order of kernel modules',
  e2fsprogs: 'the file system check',
  'xz-utils': 'packed kernel modules',
}

const LOCK_TIMEOUT_S = 300
const ATTEMPTS = 4
const PAUSE_MS = 5_000
const INSTALL_TIMEOUT_MS = 900_000

/** Options for every apt-get: wait for another apt's lock, and ask a slow mirror again. */
export const APT_OPTIONS: readonly string[] = [
  '-o', `DPkg::Lock::Timeout=${LOCK_TIMEOUT_S}`, '-o', 'Acquire::Retries=5',
  '-o', 'Acquire::http::Timeout=60',
]

export const APT_ENVIRONMENT = { DEBIAN_FRONTEND: 'noninteractive' }

/** Throws one sentence when this machine cannot host the guest at all. */
export function checkMachine(): void {
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    throw new Error('the guest suite needs Linux on x86-64; ' +
      `this is ${process.platform} on ${process.arch}`)
  }
  if (process.getuid?.() !== 0) {
    throw new Error('the guest suite needs root, to install packages and export the file system; ' +
      'run it with sudo')
  }
  try {
    accessSync('/usr/bin/apt-get', constants.X_OK)
  } catch {
    throw new Error('the guest suite needs Debian (apt-get), where it installs ' +
      Object.keys(PACKAGES).join(', '))
  }
}

/** Where kernels and images are kept between runs: WEFT_CACHE, or .weft/guest of the checkout. */
export function cacheDirectory(): string {
  const root = process.env['WEFT_CACHE'] ?? join(import.meta.dirname, '../../.weft')
  const directory = resolve(root, 'guest')
  mkdirSync(directory, { recursive: true })
  return directory
}

/** Installs the packages that are missing. Returns their names. */
export async function installPackages(): Promise<readonly string[]> {
  const missing = await missingPackages()
  if (missing.length === 0) return missing
  const install = ['install', '-y', '--no-install-recommends', ...missing]
  let reason = ''
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    if (attempt > 0) {
      // A list that is missing or old is the usual cause; another's broken source must not matter.
      await runCommand('apt-get', [...APT_OPTIONS, 'update'], { environment: APT_ENVIRONMENT })
    }
    const outcome = await runCommand('apt-get', [...APT_OPTIONS, ...install], {
      environment: APT_ENVIRONMENT, timeoutMs: INSTALL_TIMEOUT_MS,
    })
    if (outcome.status === 0) return missing
    reason = outcome.stderr.trim().split('\n').at(-1) ?? ''
    await new Promise((wake) => setTimeout(wake, PAUSE_MS * attempt))
  }
  throw new Error(`apt-get could not install ${missing.join(', ')} (${reason}); ` +
    'install them by hand and run again')
}

async function missingPackages(): Promise<readonly string[]> {
  const missing: string[] = []
  for (const name of Object.keys(PACKAGES)) {
    const outcome = await runCommand('dpkg-query', ['-W', '-f', '${db:Status-Status}', name])
    if (outcome.status !== 0 || outcome.stdout !== 'installed') missing.push(name)
  }
  return missing
}

/**
 * The machine's time stamp counter in kHz, or null where it cannot be told.
 * The emulated counter runs at this rate; a guest that is told need not calibrate, which fails
 * on a busy machine.
 */
export async function counterKhz(): Promise<number | null> {
  const log = await runCommand('dmesg', [])
  const detected = /tsc: (?:Refined TSC clocksource calibration:|Detected) ([\d.]+) MHz/
    .exec(log.stdout)
  const listed = /^cpu MHz\s*: ([\d.]+)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))
  const mhz = Number(detected?.[1] ?? listed?.[1] ?? Number.NaN)
  return Number.isFinite(mhz) ? Math.round(mhz * 1000) : null
}

/** The name of this machine's processor and kernel, for the first lines of the report. */
export async function describeMachine(): Promise<string> {
  const kernel = (await requireCommand('uname', ['-sr'])).trim()
  const cpu = /^model name\s*: (.+)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1]
  return `${kernel}, ${cpu ?? 'unknown processor'}, node ${process.version}`
}
