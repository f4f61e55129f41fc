/**
 * `npm run bench`: measures weft, alone or next to another target and the C responder, and prints
 * what it found with the machine and the commit that it was found on.
 *
 *   bench ─┬─ matrix → load (native host)  ──TCP, loopback──▶ weft | peer | responder
 *          └─ life   → start, memory, idle, long runs
 *
 * Targets run on one core, the generator on another. Nothing is measured before it is filled, and
 * nothing here changes the machine. Exit: 0 when everything ran, 1 when not.
 */
import { writeFileSync } from 'node:fs'
import { Command, InvalidArgumentError } from 'commander'
import { CASES, connectionCases, depthCases } from './cases.ts'
import type { Case } from './cases.ts'
import { measureLife, measureLong } from './life.ts'
import type { Life, LongRun } from './life.ts'
import { buildNative } from './load.ts'
import type { Target } from './load.ts'
import { fill, runCase } from './matrix.ts'
import type { CaseRuns } from './matrix.ts'
import { CASES_NOTE, casesTable, lifeTable, longTable, profileTable } from './print.ts'
import { measureProfile } from './profile.ts'
import type { Profile } from './profile.ts'
import { availableCpus, describeMachine, machineLine } from './machine.ts'
import { parsePeer, pause, startResponder, startWeft } from './target.ts'
import type { Running } from './target.ts'

type Options = {
  readonly against?: string
  readonly peerPid?: number
  readonly weft: boolean
  readonly responder?: true | 'stores'
  readonly pairs?: number
  readonly seconds?: number
  readonly quick?: true
  readonly case?: string[]
  readonly life?: true
  readonly growth?: true
  readonly long?: number
  readonly profile?: true
  readonly reactors?: number
  readonly targetCpu: number
  readonly loadCpu: number
  readonly json?: string
  readonly list?: true
}

const EXAMPLES = `
Examples:
  npm run bench                                   the whole table for weft alone
  npm run bench -- --quick                        five cases, one second each
  npm run bench -- --responder                    beside what the kernel's TCP stack leaves
  npm run bench -- --against 127.0.0.1:4420/nqn.2024-01.org.example:disk --peer-pid 1234
  npm run bench -- --reactors 2 --case connections   two reactors beside one
  npm run bench -- --case "depth 32" -- --poll    the words after -- go to weft serve

A peer serves a memory device of at least 1000 MiB as namespace 1, and, for the null case, a device
that keeps nothing as namespace 2. WHAT IT HOLDS IS OVERWRITTEN. With --peer-pid (same machine) its
CPU time is measured too, and it is paused (SIGSTOP) while weft is measured, and weft while it is.`

const whole = (text: string): number => {
  const value = Number(text)
  if (!Number.isInteger(value) || value < 0)
    throw new InvalidArgumentError('allowed: whole numbers from 0.')
  return value
}
const positive = (text: string): number => {
  if (!(Number(text) > 0)) throw new InvalidArgumentError('allowed: numbers above 0.')
  return Number(text)
}

const program = new Command('bench')
  .description('Measures weft over NVMe/TCP on the loopback.')
  .argument('[weft-words...]', 'after --: further words for weft serve')
  .option('--against <HOST:PORT/NQN>', 'measure this target beside weft, in alternating pairs')
  .option('--peer-pid <pid>', "the peer's process, on this machine", whole)
  .option('--no-weft', 'leave weft out: the peer or the responder alone')
  .option('--responder [stores]', 'measure the C responder too; "stores": it keeps what is written')
  .option('--pairs <n>', 'runs of each case and target (5; with --quick 1)', positive)
  .option('--seconds <s>', 'measured time of a run (2; with --quick 1)', positive)
  .option('--quick', 'five cases, one run each')
  .option('--case <text...>', 'only cases whose name contains one of these')
  .option('--life', 'start, memory, idle time, first command after idle')
  .option('--growth', 'depths from 1 to 1024 and connections from 1 to 1000')
  .option('--long <seconds>', 'the tail of one long run, and the way to full speed', positive)
  .option('--profile', 'where the time of a command goes, by perf')
  .option('--reactors <n>', 'weft with as many reactors beside weft with one', positive)
  .option('--target-cpu <n>', 'core of the targets that are started here', whole, 0)
  .option('--load-cpu <n>', 'core of the generator', whole, 1)
  .option('--json <file>', 'write every run to this file')
  .option('--list', 'list the cases and end')
  .addHelpText('after', EXAMPLES)

await main(program.parse().args, program.opts<Options>())

async function main(weftWords: string[], options: Options): Promise<void> {
  const only = options.life === true || options.growth === true || options.long !== undefined
    || options.profile === true
  const cases = only && options.case === undefined && options.quick === undefined
    ? [] : chooseCases(options)
  if (options.list === true) {
    console.log(cases.map(({ name }) => name).join('\n'))
    return
  }
  const machine = describeMachine(import.meta.dirname)
  console.log(`${machineLine(machine)}\ntargets on core ${options.targetCpu}, `
    + `generator on core ${options.loadCpu}; 4 KiB unless said\n`)
  buildNative()
  const choice = { cpu: options.targetCpu, words: weftWords }
  const results: {
    cases: CaseRuns[], growth: CaseRuns[], profile: Profile[], life?: Life, long?: LongRun
  }
    = { cases: [], growth: [], profile: [] }
  const growth = options.growth === true ? [...depthCases(), ...connectionCases()] : []
  const running: Running[] = []
  let failed = false
  try {
    if (cases.length + growth.length > 0) {
      const targets = await startTargets(options, weftWords, running)
      resumeOnSignal(targets)
      note('filling')
      await fill(targets, options.loadCpu)
      results.cases = await runCases(cases, targets, options)
      results.growth = await runCases(growth, targets, options)
    }
    await stopAll(running)
    if (options.life === true) {
      note('start, memory, idle')
      results.life = await measureLife(choice, { starts: 5, idleConnections: 100,
        idleSeconds: options.seconds ?? 10, cpu: options.loadCpu })
      print(lifeTable(results.life))
    }
    if (options.profile === true) {
      results.profile = await measureProfile(
        choice, options.seconds ?? 3, options.loadCpu, note)
      print(profileTable(results.profile))
    }
    if (options.long !== undefined) {
      note(`long run, ${options.long} s`)
      results.long = await measureLong(choice, options.long, options.loadCpu)
      print(longTable(results.long))
    }
  } catch (error) {
    failed = true
    note('')
    console.error(`bench: ${(error as Error).message}`)
  } finally {
    await stopAll(running)
  }
  if (options.json !== undefined)
    writeFileSync(options.json, `${JSON.stringify({ machine, options, ...results }, null, 1)}\n`)
  const refused = [...results.cases, ...results.growth]
    .some(({ refusals }) => refusals['weft'] !== undefined)
  process.exitCode = failed || refused ? 1 : 0
}

function chooseCases(options: Options): readonly Case[] {
  const wanted = options.case
  if (wanted !== undefined)
    return CASES.filter(({ name }) => wanted.some((text) => name.includes(text)))
  return options.quick === true ? CASES.filter(({ quick }) => quick) : CASES
}

async function startTargets(
  options: Options, weftWords: string[], running: Running[],
): Promise<Target[]> {
  // Read before anything is started: a mistake should not cost a start.
  const peer = options.against === undefined
    ? null : parsePeer(options.against, options.peerPid ?? null)
  const choice = { cpu: options.targetCpu, words: weftWords }
  if (options.weft) {
    const several = reactorWords(options)
    running.push(await startWeft({ ...choice, words: [...several, ...weftWords] }))
    if (several.length > 0) running.push(await startWeft({ ...choice, name: 'one reactor' }))
  }
  if (options.responder !== undefined)
    running.push(await startResponder(options.targetCpu, options.responder === 'stores'))
  const [weft, ...others] = running.map(({ target }) => target)
  const targets = [weft, peer, ...others].filter((one) => one !== null && one !== undefined)
  if (targets.length === 0) throw new Error('--no-weft leaves nothing to measure')
  return targets
}

/** One core for each reactor: the target's, then those that the generator leaves, then its own. */
function reactorWords({ reactors, targetCpu, loadCpu }: Options): string[] {
  if (reactors === undefined) return []
  const all = [...availableCpus().filter((cpu) => cpu !== targetCpu && cpu !== loadCpu), loadCpu]
  const cpus = [targetCpu, ...all].slice(0, reactors)
  if (cpus.length < reactors)
    throw new Error(`--reactors is ${reactors}; this machine has ${cpus.length} cores`)
  if (cpus.includes(loadCpu)) console.log(`the generator shares core ${loadCpu} with a reactor\n`)
  return ['--reactors', String(reactors), '--cpus', cpus.join(',')]
}

async function runCases(
  cases: readonly Case[], targets: readonly Target[], options: Options,
): Promise<CaseRuns[]> {
  const pace = {
    pairs: options.pairs ?? (options.quick === true ? 1 : 5),
    seconds: options.seconds ?? (options.quick === true ? 1 : 2),
    cpu: options.loadCpu,
  }
  const done: CaseRuns[] = []
  for (const one of cases) done.push(await runCase(one, targets, pace, note))
  if (done.length > 0) print(`${casesTable(done)}\n${CASES_NOTE}`)
  return done
}

async function stopAll(running: Running[]): Promise<void> {
  for (const one of running.splice(0)) await one.stop()
}

/** An interrupted bench leaves no peer paused, and nothing running that it started. */
function resumeOnSignal(targets: readonly Target[]): void {
  const end = (): void => {
    for (const target of targets) {
      pause(target, false)
      if (target.name !== 'peer' && target.pid !== null) process.kill(target.pid, 'SIGTERM')
    }
    process.exit(130)
  }
  process.once('SIGINT', end)
  process.once('SIGTERM', end)
}

/** What is going on, on a terminal only, in one line that the next replaces. */
function note(text: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\x1b[K${text}`)
}

function print(text: string): void {
  note('')
  console.log(`${text}\n`)
}
