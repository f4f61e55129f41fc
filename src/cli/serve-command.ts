/**
 * `weft serve` on the command line: its flags, their help, and the process around serve.ts.
 * main.ts → here → config/flags.ts, serve.ts.
 */
import { Command, Option } from 'commander'
import { Document, type Serving } from '../config/document.ts'
import { baseFromFlags } from '../config/flags.ts'
import type { Flag } from '../config/flags.ts'
import { LOG_LEVELS, createLog } from '../control/log.ts'
import type { Log, LogFormat, LogLevel } from '../control/log.ts'
import { drop, findUser } from '../control/privileges.ts'
import { openControl } from '../rpc/control.ts'
import { reloadNow } from './reload.ts'
import { Heir } from './heir.ts'
import { serve } from './serve.ts'
import { Upgrades } from './upgrades.ts'
import { VERSION } from './version.ts'

type Options = { readonly log?: LogFormat; readonly logLevel: LogLevel; readonly runAs?: string }

const STOP_SIGNALS = ['SIGTERM', 'SIGINT'] as const
/** Of a terminal that has gone, where there is no file to read again; on Windows, of a console that is closed. */
const RELOAD_SIGNAL = 'SIGHUP'
const HANGUP_ENDS = process.platform === 'win32'

/** [flag with its value, what it does, group] in the order of the help. */
const FLAGS = [
  ['--memory <size>', 'a namespace in memory, lost when weft stops', 'Namespaces'],
  ['--null <size>', 'a namespace that forgets what is written and reads as zeroes', 'Namespaces'],
  ['--file <path>', 'a namespace in a file', 'Namespaces'],
  ['--size <size>', 'of the file before it: created, or extended, to this size', 'Namespaces'],
  ['--device <path>', 'a namespace on a block device', 'Namespaces'],
  ['--pci <address>', 'a namespace of an NVMe device that weft drives, 0000:03:00.0 or …/2', 'Namespaces'],
  ['--pool <path:size>', 'a file that hosts create namespaces in (nvme create-ns), of this size', 'Namespaces'],
  ['--block <bytes>', 'block size of the namespace before it, 512 or 4096', 'Namespaces'],
  ['--read-only', 'the namespace before it is not to be written', 'Namespaces'],
  ['--nqn <nqn>', 'name of the subsystem (derived from the machine id)', 'Subsystem'],
  ['--host <nqn>', 'a host that may connect, repeatable (any)', 'Subsystem'],
  ['--hosts <list>', 'the same in one: any, or NQNs with commas between', 'Subsystem'],
  ['--serial <text>', 'serial number of the controllers (derived)', 'Subsystem'],
  ['--model <text>', 'model of the controllers (weft)', 'Subsystem'],
  ['--label <text>', 'what people call it, told in extended discovery entries', 'Subsystem'],
  ['--host-key <file>', 'the secret that the host before it authenticates with', 'Subsystem'],
  ['--controller-key <file>', 'what the controller authenticates with to that host', 'Subsystem'],
  ['--listen <address:port>', 'where hosts connect, repeatable (127.0.0.1:4420)', 'Network'],
  ['--discovery <address:port>', 'discovery service, repeatable, or off (port 8009)', 'Network'],
  ['--discovery-nqn <nqn>', 'a name of its own for the discovery service', 'Discovery'],
  ['--referral <address:port>', 'another discovery service, repeatable (port 8009)', 'Discovery'],
  ['--announce', 'announce the discovery service by mDNS', 'Discovery'],
  ['--register <address:port>', 'a central one to register with, repeatable (port 8009)', 'Discovery'],
  ['--central', 'others may register what they have with it', 'Discovery'],
  ['--reactors <count>', 'threads that serve (one for each processor but one)', 'Performance'],
  ['--cpus <list>', 'the processors they are pinned to, such as 2,3 or 4-7', 'Performance'],
  ['--poll', 'never sleep: lowest latency, all of a processor', 'Performance'],
  ['--engine <name>', 'auto, uring or epoll (auto)', 'Performance'],
  ['--queue-depth <count>', 'entries of an I/O queue (1024)', 'Limits'],
  ['--max-transfer <size>', 'data of one command (1M)', 'Limits'],
  ['--in-capsule <size>', 'data that comes with a write command (16K)', 'Limits'],
  ['--metrics <address:port>', 'offer Prometheus metrics and health over HTTP (port 9420)', 'Other'],
  ['--state <folder>', 'what survives a restart (/var/lib/weft, or ~/.local/state/weft)', 'Other'],
  ['--control <path>', 'socket for weft rpc, or off (/run/weft/weft.sock, or your own)', 'Other'],
  ['--http <address:port>', 'the same over HTTP or, with a certificate, HTTPS (port 9421)', 'Other'],
  ['--http-token <file>', 'a file with the token that its clients show', 'Other'],
  ['--http-certificate <file>', 'its certificate, in PEM', 'Other'],
  ['--http-key <file>', 'the key of the certificate', 'Other'],
  ['--http-plain', 'no certificate is needed, though others may listen', 'Other'],
  ['--config <file>', 'read all this from a JSON file', 'Other'],
] as const

const EXAMPLES = `
A namespace flag may be repeated: namespaces 1, 2, 3 … in the order of the flags. Sizes are
binary: 64K, 256M, 10G, 1.5TiB. Without a namespace flag, 1 GiB of memory is served.

Examples:
  $ weft serve --file disk.img --size 10G --listen 0.0.0.0:4420
  $ weft serve --device /dev/nvme1n1 --nqn nqn.2026-01.com.example:fast --reactors 2 --cpus 2,3
  $ weft serve --memory 256M --block 4096 --null 1T --listen [::]:4420
  $ weft serve --file a.img --file b.img --read-only --host nqn.2026-01.com.example:host1
  $ weft serve --pool pool.img:1T --listen 0.0.0.0:4420
  $ weft serve --config weft.json --log json

In weft.json:
  {
    "reactors": 2,
    "listeners": [{ "address": "0.0.0.0", "port": 4420 }],
    "subsystems": [{
      "nqn": "nqn.2026-01.com.example:disks",
      "hosts": "any",
      "namespaces": [{ "file": "disk.img", "size": "10G" }, { "memory": "256M", "block": 4096 }]
    }]
  }
`

/** end() is called with the exit status. */
export function serveCommand(end: (status: number) => void): Command {
  const flags: Flag[] = []
  const command = new Command('serve')
    .description('Serve files, block devices or memory to NVMe/TCP hosts')
    .addHelpText('after', EXAMPLES)
  for (const [form, text, group] of FLAGS) {
    const name = form.split(' ')[0]!
    const option = new Option(form, text).helpGroup(`${group}:`)
    command.addOption(option)
    // The order among different flags counts, which the option values alone do not keep.
    command.on(`option:${name.slice(2)}`, (value: string | null) => {
      flags.push({ name, value: value ?? '' })
    })
  }
  return command
    .addOption(new Option('--log <form>', 'text for people, json for machines').helpGroup('Log:')
      .choices(['text', 'json']))
    .addOption(new Option('--log-level <level>', 'the least that is logged').helpGroup('Log:')
      .choices(LOG_LEVELS).default('info'))
    .addOption(new Option('--run-as <user>', 'become this user when everything is open').helpGroup('Other:'))
    .action(async (options: Options) => end(await run(flags, options)))
}

async function run(flags: readonly Flag[], options: Options): Promise<number> {
  // What is warned of before there is a log is told in it.
  const early: string[] = []
  let warn = (sentence: string): void => void early.push(sentence)
  const open = (): Document => new Document({ read: () => baseFromFlags(flags), warn: (sentence) => warn(sentence) })
  let document = open()
  const user = options.runAs === undefined ? null : findUser(options.runAs)
  const heir = await Heir.of(process.env)
  const file = flags.findLast(({ name }) => name === '--config')?.value
  const { stdout, stderr } = process
  // A log whose reader has gone is no reason to stop serving.
  stdout.on('error', () => {})
  const format = options.log ?? (stdout.isTTY ? 'text' : 'json')
  const log: Log = createLog({
    format,
    level: options.logLevel,
    colour: stdout.isTTY === true && process.env.NO_COLOR === undefined,
    write: (line) => { stdout.write(line) },
  })
  warn = (sentence) => log.warning(sentence)
  for (const sentence of early) warn(sentence)
  // Loaded here, so that help and mistakes need no native code.
  const { startTarget } = await import('../target.ts')
  const { Service } = await import('../control/service.ts')
  const { loadShim } = await import('../shim/shim.ts')
  const inherited = await heir?.prepared(loadShim(), VERSION)
  // Whoever was taken over from may have been told to change something meanwhile.
  if (heir !== null) document = open()
  const { config } = document
  const service = new Service(process.env, (path, text) => loadShim().notify(path, text), log)
  const upgrades = new Upgrades({ words: process.argv.slice(2), environment: service.environment })
  const reload = file === undefined ? null : {
    source: file, apply: (live: Serving) => document.reload(live),
    onSignal: (again: () => void) => onSignals(HANGUP_ENDS ? [] : [RELOAD_SIGNAL], again),
  }
  return serve(config, {
    startTarget: (wanted, to, left = inherited) => startTarget(wanted, to, { inherited: left }),
    service,
    nextSuccession: () => upgrades.next(),
    shim: { pass: (path, sockets) => loadShim().pass(path, sockets) },
    arrived: async () => heir?.ready(),
    drop: () => { if (user !== null) drop(user, config.state) },
    openControl: (target) => openControl(config, {
      target, log, version: VERSION, document, upgrade: (wish) => upgrades.ask(wish, target.live.config),
      reload: reload === null ? null : () => reloadNow(target.live, reload, log),
    }),
    log,
    print: format === 'text' ? (text) => { stdout.write(text) } : null,
    complain: (text) => { stderr.write(text) },
    command: process.env.npm_lifecycle_event === 'start' ? 'npm start --' : 'weft',
    onSignal: (stop) => onSignals(file === undefined || HANGUP_ENDS ? [...STOP_SIGNALS, RELOAD_SIGNAL] : STOP_SIGNALS, stop),
    reload,
    exit: (status) => process.exit(status),
  })
}

function onSignals(signals: readonly NodeJS.Signals[], act: (signal: string) => void): () => void {
  for (const signal of signals) process.on(signal, act)
  return () => {
    for (const signal of signals) process.off(signal, act)
  }
}
