/**
 * Benchmarks a connected NVMe device with fio, and compares what was measured on several targets.
 *
 *   node src/launch.mjs --run bench/fio/run.ts run /dev/nvme1n1 --label weft
 *   node src/launch.mjs --run bench/fio/run.ts compare weft.json other.json --svg compare.svg
 *
 * The job files beside this one are the cases. `run` OVERWRITES the device, and refuses one that is
 * mounted, claimed or holds a file system unless --force is given. Exit: 0 good, 1 refused, failed.
 */
import { execFileSync, spawn } from 'node:child_process'
import { readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { cpus, hostname, release } from 'node:os'
import { basename, join } from 'node:path'
import { Command, InvalidArgumentError } from 'commander'
import { reasonsAgainst } from './device.ts'
import { plot } from './plot.ts'
import { figuresOf, readResults, resultsTable } from './results.ts'
import type { Figures, TargetResults } from './results.ts'

const JOBS = readdirSync(import.meta.dirname)
  .filter((name) => name.endsWith('.fio'))
  .map((name) => basename(name, '.fio'))
/** Reads before writes, small before large, and within these deep before shallow. */
const ORDER = ['read-depth-128', 'read-depth-32', 'read-depth-1', 'read-4-jobs', 'write-depth-128',
  'write-depth-32', 'write-depth-1', 'mix-depth-64', 'read-128k', 'write-128k']

type RunOptions = {
  readonly label?: string
  readonly seconds: number
  readonly ramp: number
  readonly engine: string
  readonly jobs?: string[]
  readonly readOnly?: true
  readonly force?: true
  readonly cpus?: string
  readonly json?: string
  readonly svg?: string
}

const number = (text: string): number => {
  const value = Number(text)
  if (!Number.isFinite(value) || value < 0)
    throw new InvalidArgumentError('allowed: numbers from 0.')
  return value
}

const program = new Command('bench/fio/run.ts')
  .description('fio on a connected NVMe device, and comparisons of what it measured.')
program.command('run <device>')
  .description('run the job files on a device, which is OVERWRITTEN, and write NAME.json')
  .option('--label <name>', 'what the target is called in tables and plots (the device)')
  .option('--seconds <s>', 'measured time of a job', number, 10)
  .option('--ramp <s>', 'time before it', number, 2)
  .option('--engine <name>', "fio's ioengine: io_uring, libaio, psync …", 'io_uring')
  .option('--jobs <name...>', `only these: ${ORDER.join(', ')}`)
  .option('--read-only', 'only the jobs that read; the device is not changed')
  .option('--cpus <list>', 'processors for fio, as 1 or 2-3')
  .option('--force', 'although it holds a file system or is in use')
  .option('--json <file>', 'where the results go (LABEL.json)')
  .option('--svg <file>', 'plot them, too')
  .action(run)
program.command('compare <files...>')
  .description('print the results of several targets beside each other, the first as the measure')
  .option('--svg <file>', 'plot them, too')
  .action(compare)
program.addHelpText('after', `
Connect first, with as many I/O queues as you want to measure, and with digests where you want them:
  nvme connect -t tcp -a 192.0.2.1 -s 4420 -n NQN --nr-io-queues=4 [--hdr-digest --data-digest]
The job read-4-jobs spreads over four processors and so over up to four of these queues.`)

try {
  await program.parseAsync()
} catch (error) {
  console.error(`fio: ${(error as Error).message}`)
  process.exitCode = 1
}

async function run(device: string, options: RunOptions): Promise<void> {
  const jobs = chooseJobs(options)
  if (options.readOnly !== true && options.force !== true) {
    const reasons = reasonsAgainst(device)
    if (reasons.length > 0) {
      throw new Error(`${device} would be overwritten, but ${reasons.join('; ')}. `
        + 'Give --force to do it nevertheless, or --read-only.')
    }
  }
  requireFio()
  const cases: Record<string, Figures> = {}
  for (const job of jobs) {
    process.stderr.write(`${job} …\n`)
    cases[job] = figuresOf(await fio(device, job, options))
  }
  const label = options.label ?? basename(device)
  const results: TargetResults = { format: 'weft fio results 1', label, device,
    machine: `${hostname()}, ${cpus()[0]?.model.trim()}, Linux ${release()}`, cases }
  const file = options.json ?? `${label.replace(/[^\w.-]+/g, '-')}.json`
  writeFileSync(file, `${JSON.stringify(results, null, 1)}\n`)
  console.log(`${resultsTable([results])}\n\nWritten to ${file}.`)
  writePlot([results], options.svg)
}

function compare(files: string[], options: { readonly svg?: string }): void {
  const targets = files.map(readResults)
  console.log(resultsTable(targets))
  writePlot(targets, options.svg)
}

function writePlot(targets: readonly TargetResults[], file: string | undefined): void {
  if (file === undefined) return
  writeFileSync(file, plot(targets, targets.map(({ label }) => label).join(', ')))
  console.log(`Plotted to ${file}.`)
}

function chooseJobs(options: RunOptions): string[] {
  const unknown = options.jobs?.filter((name) => !JOBS.includes(name)) ?? []
  if (unknown.length > 0)
    throw new Error(`no job is called ${unknown.join(', ')}; there are ${ORDER.join(', ')}`)
  const wanted = ORDER.filter((name) => options.jobs?.includes(name) ?? true)
  return options.readOnly === true ? wanted.filter((name) => readsOnly(name)) : wanted
}

function readsOnly(job: string): boolean {
  return /^rw=randread$/m.test(readFileSync(join(import.meta.dirname, `${job}.fio`), 'utf8'))
}

function requireFio(): void {
  try {
    execFileSync('fio', ['--version'], { stdio: 'ignore' })
  } catch {
    throw new Error('fio is not installed: apt install fio, dnf install fio, …')
  }
}

function fio(device: string, job: string, options: RunOptions): Promise<string> {
  const words = [join(import.meta.dirname, `${job}.fio`), '--output-format=json',
    ...options.readOnly === true ? ['--readonly'] : []]
  // fio takes options after a job file for another job, so its processors are set from outside.
  const pin = options.cpus === undefined ? [] : ['taskset', '-c', options.cpus]
  const [command, ...rest] = [...pin, 'fio', ...words]
  const child = spawn(command!, rest, {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, DEVICE: device, ENGINE: options.engine,
      SECONDS: milliseconds(options.seconds), RAMP: milliseconds(options.ramp) },
  })
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => { output += chunk })
  return new Promise((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (status) => {
      if (status === 0) resolve(output)
      else reject(new Error(`fio ended with status ${status} in ${job}`))
    })
  })
}

/** fio reads whole numbers only, but takes a unit. */
function milliseconds(seconds: number): string {
  return `${Math.round(seconds * 1000)}ms`
}
