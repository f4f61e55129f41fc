/**
 * `weft perf` on the command line: its flags, in the words of fio where fio has one. main.ts → here → host/load.ts,
 * perf-report.ts.
 *
 * Exit status: 0 all went well, 1 a command failed or what was read is not what was written.
 * Invariant: nothing is written to a namespace without --overwrite.
 */
import { Command, InvalidArgumentError, Option } from 'commander'
import type { Secret } from '../auth/secret.ts'
import { IO_PORT } from '../config/complete.ts'
import { parseSize } from '../config/size.ts'
import { HostError } from '../host/error.ts'
import type { LoadWish } from '../host/load.ts'
import { type Address, controllerKeyOption, keyOption, parseAddress, secretsOf } from './ask-commands.ts'
import { progressText, reportJson, reportText } from './perf-report.ts'

const KINDS: Readonly<Record<string, { readonly random: boolean; readonly reads: number | null }>> = {
  read: { random: false, reads: 1 }, write: { random: false, reads: 0 }, rw: { random: false, reads: null },
  randread: { random: true, reads: 1 }, randwrite: { random: true, reads: 0 }, randrw: { random: true, reads: null },
}
const LINE_MS = 500
const DEFAULT_TIME_S = 10

type PerfOptions = {
  readonly namespace: number
  readonly rw: string
  readonly mix: number
  readonly bs: number
  readonly depth: number
  readonly connections: number
  readonly size?: number
  readonly offset: number
  readonly time?: number
  readonly amount?: number
  readonly verify?: true
  readonly overwrite?: true
  readonly headerDigest?: true
  readonly dataDigest?: true
  readonly seed: number
  readonly json?: true
  readonly key?: Secret
  readonly controllerKey?: Secret
}

/** end() is called with the exit status. */
export function perfCommand(end: (status: number) => void): Command {
  return new Command('perf')
    .description('Measure a target: read, write, verify')
    .argument('<address[:port]>', `where it listens, port ${IO_PORT} if none`, parseAddress)
    .argument('<nqn>', 'the subsystem, as discover shows it')
    .option('-n, --namespace <nsid>', 'the namespace', whole(1, 0xffff_fffe), 1)
    .addOption(new Option('--rw <kind>', 'what is done').choices(Object.keys(KINDS)).default('randread'))
    .option('--mix <percent>', 'reads among rw and randrw', whole(0, 100), 70)
    .option('--bs <size>', 'data of one command', size(512, 16 * 1024 ** 2), 4096)
    .option('--depth <count>', 'commands in flight on each connection', whole(1, 1024), 32)
    .option('--connections <count>', 'I/O queues', whole(1, 128), 1)
    .option('--size <size>', 'how much of the namespace is used (all)', size(512, Number.MAX_SAFE_INTEGER))
    .option('--offset <size>', 'from where on', size(0, Number.MAX_SAFE_INTEGER), 0)
    .option('--time <seconds>', `how long (${DEFAULT_TIME_S}, or until --amount is reached)`, whole(1, 1_000_000))
    .option('--amount <size>', 'how much is transferred', size(512, Number.MAX_SAFE_INTEGER))
    .option('--verify', 'look whether what is read is what was written')
    .option('--overwrite', 'yes, what is in the namespace may be lost')
    .option('--header-digest', 'digests over headers')
    .option('--data-digest', 'digests over data')
    .option('--seed <number>', 'another order of random places', whole(0, 0xffff_ffff), 1)
    .addOption(keyOption())
    .addOption(controllerKeyOption())
    .option('--json', 'print JSON')
    .addHelpText('after', `
With --verify each block carries its place, the number of the write and a CRC. Whatever was
written is read once more at the end. A run that only reads looks at what an earlier one with the
same --bs and --offset has written.

Examples:
  $ weft perf 192.0.2.10 nqn.2026-01.com.example:disks
  $ weft perf 192.0.2.10 nqn.2026-01.com.example:disks --rw read --bs 128K --depth 8 --time 30
  $ weft perf 127.0.0.1:4420 nqn.2026-01.com.example:scratch --rw randrw --verify --overwrite \\
      --size 1G --connections 4 --data-digest
`)
    .action(async (address: Address, nqn: string, options: PerfOptions) => end(await run(address, nqn, options)))
}

async function run(address: Address, nqn: string, options: PerfOptions): Promise<number> {
  const wish = wishOf(address, nqn, options)
  const { loadShim } = await import('../shim/shim.ts')
  const { load } = await import('../host/load.ts')
  let stopped = false
  const stop = (): void => { stopped = true }
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, stop)
  const shows = process.stderr.isTTY === true && options.json === undefined
  let shownMs = 0
  const result = await load(loadShim(), wish, (so, elapsedMs) => {
    if (!shows || elapsedMs < shownMs + LINE_MS) return
    shownMs = elapsedMs
    process.stderr.write(`\r${progressText(so, elapsedMs, wish)}`)
  }, () => stopped)
  if (shows) process.stderr.write('\r\x1b[K')
  process.stdout.write(options.json ? `${JSON.stringify(reportJson(result, wish), null, 2)}\n` : reportText(result, wish))
  return result.wrong === 0 && result.errors.size === 0 ? 0 : 1
}

function wishOf({ address, port }: Address, nqn: string, options: PerfOptions): LoadWish {
  const kind = KINDS[options.rw]!
  const reads = kind.reads ?? options.mix / 100
  if (reads !== 1 && options.overwrite === undefined) {
    throw new HostError(`--rw ${options.rw} writes over what is in namespace ${options.namespace} of ${nqn}. `
      + 'If that may be lost, say --overwrite.')
  }
  const { time, amount } = options
  const seconds = time ?? (amount === undefined ? DEFAULT_TIME_S : null)
  return {
    address, port: port ?? IO_PORT, nqn, secrets: secretsOf(options), nsid: options.namespace, reads,
    random: kind.random, blockBytes: options.bs, depth: options.depth, connections: options.connections,
    sizeBytes: options.size ?? null, offsetBytes: options.offset, timeMs: seconds === null ? null : seconds * 1000,
    amountBytes: amount ?? null, verify: options.verify ?? false, headerDigest: options.headerDigest ?? false,
    dataDigest: options.dataDigest ?? false, seed: options.seed,
  }
}

function whole(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = Number(text)
    if (/^\d+$/.test(text) && value >= least && value <= most) return value
    throw new InvalidArgumentError(`Write a whole number from ${least} to ${most}.`)
  }
}

function size(least: number, most: number): (text: string) => number {
  return (text) => {
    const bytes = parseSize(text)
    if (bytes !== null && bytes >= least && bytes <= most) return bytes
    throw new InvalidArgumentError('Write a size such as 4096, 4K, 128K or 1G.')
  }
}
