/**
 * Where the time of one command goes: nanoseconds in TypeScript, in Node beside it, in the shim and
 * in the kernel.                                    bench.ts → profile → perf, load.
 *
 *   CPU time of the process ÷ commands = ns a command;   perf's samples = the share of each part
 *
 * V8 writes a map of its code for perf, which costs time at the start and none later. The kernel's
 * part is what the system calls of the target do, on the loopback some of the other side's, too.
 */
import { execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Case } from './cases.ts'
import { CASES, SPAN_BYTES } from './cases.ts'
import { runLoad } from './load.ts'
import type { Target } from './load.ts'
import { fill } from './matrix.ts'
import { startWeft } from './target.ts'
import type { WeftChoice } from './target.ts'

const PROFILED = ['read, depth 128', 'read, depth 1', 'write, depth 128', 'read, depth 32, digests',
  'null device, read, depth 128']
const NODE_FLAGS = ['--perf-basic-prof', '--interpreted-frames-native-stack']
const SAMPLES_PER_SECOND = 4999
/** perf begins a little after the load, when everything is compiled, and ends before it. */
const LEAD_SECONDS = 1

export type Part = 'typescript' | 'node' | 'shim' | 'kernel'

export type Profile = {
  readonly name: string
  /** CPU time of the target for one command. */
  readonly totalNs: number
  readonly ns: Readonly<Record<Part, number>>
}

/** Throws where perf is missing or may not look. */
export async function measureProfile(
  choice: WeftChoice, seconds: number, cpu: number, note: (text: string) => void,
): Promise<Profile[]> {
  requirePerf()
  const weft = await startWeft({ ...choice, nodeFlags: NODE_FLAGS })
  const folder = mkdtempSync(join(tmpdir(), 'weft-profile-'))
  try {
    await fill([weft.target], cpu)
    const profiles: Profile[] = []
    for (const one of CASES.filter(({ name }) => PROFILED.includes(name))) {
      note(`profile: ${one.name}`)
      profiles.push(await profileCase(one, weft.target, seconds, cpu, join(folder, 'samples')))
    }
    return profiles
  } finally {
    await weft.stop()
    rmSync(folder, { recursive: true, force: true })
    rmSync(join('/tmp', `perf-${weft.target.pid}.map`), { force: true })
  }
}

async function profileCase(
  one: Case, target: Target, seconds: number, cpu: number, file: string,
): Promise<Profile> {
  const load = runLoad(target, [...one.words, '--nsid', String(one.nsid), '--ramp', '0',
    '--seconds', String(seconds + 2 * LEAD_SECONDS), '--span', String(SPAN_BYTES),
    '--cpu', String(cpu)])
  await new Promise((resolve) => setTimeout(resolve, LEAD_SECONDS * 1000))
  await record(target.pid!, seconds, file)
  const run = await load
  const totalNs = run.watchedSeconds * 1e9 / run.commands
  const report = execFileSync('perf', ['report', '--input', file, '--no-children', '--stdio',
    '--sort', 'dso', '--field-separator', ';'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
  const shares = partsOf(report)
  const ns = Object.fromEntries(Object.entries(shares)
    .map(([part, share]) => [part, share * totalNs])) as Record<Part, number>
  return { name: one.name, totalNs, ns }
}

function record(pid: number, seconds: number, file: string): Promise<void> {
  const perf = spawn('perf', ['record', '--event', 'cpu-clock', '--freq', String(SAMPLES_PER_SECOND),
    '--pid', String(pid), '--output', file, '--', 'sleep', String(seconds)],
  { stdio: ['ignore', 'ignore', 'pipe'] })
  let said = ''
  perf.stderr.on('data', (chunk) => { said += chunk })
  return new Promise((resolve, reject) => {
    perf.on('error', reject)
    perf.on('exit', (status) => {
      if (status === 0) resolve()
      else reject(new Error(`perf record ended with status ${status}: ${said.trim()}`))
    })
  })
}

/** Shares of all samples, from perf's lines 'PERCENT;NAME OF THE OBJECT'. */
export function partsOf(report: string): Record<Part, number> {
  const percent: Record<Part, number> = { typescript: 0, node: 0, shim: 0, kernel: 0 }
  for (const line of report.split('\n')) {
    const match = /^\s*([\d.]+)%?\s*;(.+)$/.exec(line)
    if (match !== null) percent[partOf(match[2]!.trim())] += Number(match[1])
  }
  const sum = Object.values(percent).reduce((all, each) => all + each, 0)
  if (sum === 0) throw new Error('perf has no samples: is the target idle?')
  for (const part of Object.keys(percent) as Part[]) percent[part] /= sum
  return percent
}

/** Copies and checksums of the shim are the C library's, and nobody else of weight calls that. */
function partOf(object: string): Part {
  if (/^\[JIT\]|perf-\d+\.map/.test(object)) return 'typescript'
  if (/^shim.*\.so|^libc[.-]/.test(object)) return 'shim'
  if (/^\[(?:kernel|guest|vdso)|^\[[a-z0-9_]+\]$/.test(object)) return 'kernel'
  return 'node'
}

function requirePerf(): void {
  try {
    execFileSync('perf', ['--version'], { stdio: 'ignore' })
  } catch {
    throw new Error('--profile needs perf, which is not installed: apt-get install linux-perf')
  }
}
