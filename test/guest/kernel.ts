/**
 * The guest's kernel: a Debian package, downloaded and unpacked into the cache, never installed.
 * run → kernel → command.
 *
 * Invariant: a directory that exists under its final name is complete; work happens beside it.
 */
import {
  cpSync, existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { requireCommand, runCommand } from './command.ts'
import { APT_ENVIRONMENT, APT_OPTIONS } from './machine.ts'

export const KERNEL_SERIES = ['6.1', '6.12'] as const
export type KernelSeries = (typeof KERNEL_SERIES)[number]

/** tree holds boot/vmlinuz-VERSION and lib/modules/VERSION. */
export type Kernel = { readonly version: string; readonly image: string; readonly tree: string }

const ATTEMPTS = 4
const PAUSE_MS = 5_000
const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg'

/** Finds the kernel in the cache, or downloads and unpacks it there (about 70 to 100 MB). */
export async function obtainKernel(cache: string, series: KernelSeries): Promise<Kernel> {
  const tree = join(cache, `kernel-${series}`)
  if (!existsSync(tree)) {
    const work = `${tree}.${process.pid}`
    rmSync(work, { recursive: true, force: true })
    mkdirSync(work, { recursive: true })
    try {
      await unpackKernel(work, series)
      renameSync(work, tree)
    } finally {
      rmSync(work, { recursive: true, force: true })
    }
  }
  const version = readFileSync(join(tree, 'version'), 'utf8').trim()
  return { version, image: join(tree, 'boot', `vmlinuz-${version}`), tree }
}

async function unpackKernel(work: string, series: KernelSeries): Promise<void> {
  const archive = await downloadKernel(work, series)
  await requireCommand('dpkg-deb', ['-x', archive, join(work, 'unpacked')])
  const unpacked = join(work, 'unpacked')
  for (const part of ['boot', 'lib']) {
    const source = [join(unpacked, part), join(unpacked, 'usr', part)].find((at) => existsSync(at))
    if (source === undefined) throw new Error(`the kernel package for ${series} has no ${part}`)
    cpSync(source, join(work, part), { recursive: true })
  }
  const version = readdirSync(join(work, 'lib/modules'))[0]
  if (version === undefined) throw new Error(`the kernel package for ${series} has no modules`)
  await requireCommand('depmod', ['-b', work, version])
  writeFileSync(join(work, 'version'), `${version}\n`)
  for (const at of [unpacked, archive, join(work, 'apt')]) {
    rmSync(at, { recursive: true, force: true })
  }
}

/** Resolves with the path of the package. apt checks its signature and sum. */
async function downloadKernel(work: string, series: KernelSeries): Promise<string> {
  let reason = ''
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    const options = series === '6.1' ? [] : await backportsState(work)
    if (attempt > 0 || series !== '6.1') {
      await runCommand('apt-get', [...APT_OPTIONS, ...options, 'update'],
        { environment: APT_ENVIRONMENT })
    }
    const listed = await runCommand('apt-cache', [...options, 'depends', 'linux-image-amd64'])
    const name = newestImage(listed.stdout, series)
    if (name === null) {
      reason = `no linux-image of ${series} is listed`
    } else {
      const outcome = await runCommand('apt-get', [...APT_OPTIONS, ...options, 'download', name], {
        directory: work, environment: APT_ENVIRONMENT, timeoutMs: 900_000,
      })
      const archive = readdirSync(work).find((file) => file.endsWith('.deb'))
      if (outcome.status === 0 && archive !== undefined) return join(work, archive)
      reason = outcome.stderr.trim().split('\n').at(-1) ?? ''
    }
    await new Promise((wake) => setTimeout(wake, PAUSE_MS * attempt))
  }
  throw new Error(`apt-get could not download a Linux ${series} kernel (${reason}); ` +
    'the suite needs Debian 12 sources')
}

/** The package that linux-image-amd64 stands for, such as linux-image-6.1.0-30-amd64. */
function newestImage(depends: string, series: KernelSeries): string | null {
  const pattern = new RegExp(`(linux-image-${series.replace('.', '\\.')}[.+][^\\s]*-amd64)`)
  return pattern.exec(depends)?.[1] ?? null
}

/** Options that point apt at backports in a state of its own; the machine's sources stay as is. */
async function backportsState(work: string): Promise<readonly string[]> {
  const targets = await requireCommand('apt-get',
    ['indextargets', '--format', '$(REPO_URI) $(CODENAME)', 'Created-By: Packages'])
  const line = targets.split('\n').find((at) => at.endsWith(' bookworm'))
  if (line === undefined) throw new Error('a 6.12 kernel needs the sources of Debian 12 (bookworm)')
  const state = join(work, 'apt')
  mkdirSync(join(state, 'lists/partial'), { recursive: true })
  mkdirSync(join(state, 'cache/archives/partial'), { recursive: true })
  writeFileSync(join(state, 'sources.list'),
    `deb [signed-by=${KEYRING}] ${line.split(' ')[0]} bookworm-backports main\n`)
  return [
    '-o', `Dir::Etc::SourceList=${state}/sources.list`, '-o', 'Dir::Etc::SourceParts=-',
    '-o', `Dir::State::Lists=${state}/lists`, '-o', `Dir::Cache=${state}/cache`,
    '-o', 'APT::Sandbox::User=root',
  ]
}
