/**
 * `weft service` on the command line: weft as a service of this machine. main.ts → here → control/unit.ts, systemctl.
 *
 * Exit status of `status`: 0 it runs, 3 it does not, 4 there is no such service, as others of its kind have it.
 * Invariant: a unit that weft did not write is not replaced, and not removed.
 */
import { execFileSync } from 'node:child_process'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Command, InvalidArgumentError, Option } from 'commander'
import { loadConfig } from '../config/load.ts'
import { knownUser } from '../control/privileges.ts'
import { unitText } from '../control/unit.ts'
import { HostError } from '../host/error.ts'

const LAUNCH = fileURLToPath(new URL('../launch.mjs', import.meta.url))
const UNIT_FOLDER = '/etc/systemd/system'
const CONFIG_FILE = '/etc/weft/weft.json'
const MARK = '# Written by weft service install.'
const STATUS_STOPPED = 3
const STATUS_UNKNOWN = 4

type InstallOptions = {
  readonly name: string
  readonly config: string
  readonly user?: string
  readonly runAs?: string
  readonly now?: true
  readonly dryRun?: true
}

/** end() is called with the exit status. */
export function serviceCommand(end: (status: number) => void): Command {
  const command = new Command('service').description('Run weft as a service of systemd')
  const name = (): Option => new Option('--name <name>', 'name of the service').default('weft').argParser(parseName)
  command.command('install')
    .description('Write the unit, and have weft started with the machine')
    .addOption(name())
    .option('--config <file>', 'the configuration that it serves', CONFIG_FILE)
    .addOption(new Option('--user <name>', 'whom systemd starts it as (root)').conflicts('runAs'))
    .option('--run-as <name>', 'start as root, become this user when everything is open')
    .option('--now', 'start it now as well')
    .option('--dry-run', 'print the unit, change nothing')
    .addHelpText('after', `
A user of systemd's (--user) needs to be permitted to open the disks; one that weft becomes by
itself (--run-as) does not, but disks that are added later have to be.

Examples:
  $ weft service install --now
  $ weft service install --config /etc/weft/fast.json --name weft-fast --user weft
  $ weft service install --dry-run | systemd-analyze verify /dev/stdin
`)
    .action(install)
  command.command('remove').description('Stop it, and remove the unit').addOption(name())
    .action(({ name: unit }: { name: string }) => remove(unit))
  command.command('status').description('Say whether it runs').addOption(name())
    .option('--json', 'print JSON')
    .action(({ name: unit, json = false }: { name: string; json?: boolean }) => end(status(unit, json)))
  return command
}

function install(options: InstallOptions): void {
  const file = resolve(options.config)
  const config = loadConfig(file)
  const { user = null, runAs = null, dryRun = false, now = false } = options
  for (const each of [user, runAs]) if (each !== null && !dryRun) knownUser(each)
  const text = unitText({ program: [process.execPath, LAUNCH], file, config, user, runAs })
  if (dryRun) {
    process.stdout.write(text)
    return
  }
  const path = unitPath(options.name)
  checkOwn(path)
  try {
    writeFileSync(path, text)
  } catch (error) {
    throw new HostError(`${path} cannot be written: ${(error as Error).message}. It takes root, and a machine with systemd.`)
  }
  systemctl('daemon-reload')
  systemctl('enable', ...(now ? ['--now'] : []), `${options.name}.service`)
  const then = now ? 'It runs' : `To start it now: systemctl start ${options.name}`
  process.stdout.write(`${path} is written, and weft is started with the machine. ${then}.\n`
    + `Its log: journalctl -u ${options.name}\n`)
}

function remove(name: string): void {
  const path = unitPath(name)
  if (checkOwn(path) === null) throw new HostError(`There is no ${path}.`)
  systemctl('disable', '--now', `${name}.service`)
  rmSync(path)
  systemctl('daemon-reload')
  process.stdout.write(`${name} is stopped, and ${path} is removed. Its configuration and its state are still there.\n`)
}

function status(name: string, json: boolean): number {
  const keys = ['LoadState', 'ActiveState', 'SubState', 'MainPID', 'StatusText', 'UnitFileState', 'NRestarts']
  const lines = systemctl('show', `${name}.service`, `--property=${keys.join(',')}`).trim().split('\n')
  const facts = Object.fromEntries(lines.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]))
  if (json) process.stdout.write(`${JSON.stringify(facts, null, 2)}\n`)
  else process.stdout.write(statusText(name, facts))
  if (facts.LoadState !== 'loaded') return STATUS_UNKNOWN
  return facts.ActiveState === 'active' || facts.ActiveState === 'reloading' ? 0 : STATUS_STOPPED
}

function statusText(name: string, facts: Record<string, string | undefined>): string {
  if (facts.LoadState !== 'loaded') return `There is no service ${name}. To make one: weft service install\n`
  const { ActiveState: active, SubState: sub, MainPID: pid, StatusText: text, UnitFileState: enabled, NRestarts: restarts } = facts
  const boot = enabled === 'enabled' ? 'is started with the machine' : 'is not started with the machine'
  const again = restarts === undefined || restarts === '0' ? '' : `, was restarted ${restarts} times`
  const process = pid === undefined || pid === '0' ? '' : `, process ${pid}`
  return `${name} is ${active} (${sub})${process}, ${boot}${again}.\n${text ? `${text}\n` : ''}`
}

/** Its text; null where there is none. Throws where somebody else wrote it. */
function checkOwn(path: string): string | null {
  let text: string
  try {
    text = readFileSync(path, 'utf8')
  } catch {
    return null
  }
  if (text.startsWith(MARK)) return text
  throw new HostError(`${path} is not of weft's making, so weft does not touch it. Choose another --name.`)
}

function unitPath(name: string): string {
  return join(UNIT_FOLDER, `${name}.service`)
}

function systemctl(...words: string[]): string {
  try {
    return execFileSync('systemctl', words, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
  } catch (error) {
    const { code, stderr } = error as NodeJS.ErrnoException & { stderr?: string }
    if (code === 'ENOENT') {
      throw new HostError('There is no systemd on this machine. Have weft serve started by what there is instead; '
        + 'it stays in the foreground.')
    }
    throw new HostError(`systemctl ${words.join(' ')} failed: ${(stderr ?? '').trim() || String(code)}`)
  }
}

function parseName(text: string): string {
  if (/^[A-Za-z0-9][A-Za-z0-9_.@-]{0,200}$/.test(text) && !text.endsWith('.service')) return text
  throw new InvalidArgumentError('Write a name of letters, digits, - and _, such as weft.')
}
