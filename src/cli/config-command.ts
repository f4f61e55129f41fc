/**
 * `weft config check`, `weft import` and `weft export` on the command line: configurations that are looked at,
 * taken over from other targets and given to them. main.ts → here → config/{load,import,export}.ts.
 *
 * What was asked for goes to standard output, or the file that is named; remarks go to standard error.
 * Invariant: an imported configuration is one that `weft serve` accepts; a file is not replaced unasked.
 */
import { existsSync, writeFileSync } from 'node:fs'
import { Command, InvalidArgumentError, Option } from 'commander'
import type { Config } from '../config/config.ts'
import { FORMATS, exportConfig, type Format } from '../config/export.ts'
import { importConfig, kindOf } from '../config/import.ts'
import { folderOf, loadConfig, loadJson } from '../config/load.ts'
import { readConfig, surroundings } from '../config/read.ts'
import { configSchema } from '../config/schema.ts'
import { endpointText } from '../control/log.ts'
import { HostError } from '../host/error.ts'

/** A configuration may hold secrets. */
const OWNER_ONLY = 0o600

export function configCommand(): Command {
  const command = new Command('config').description('Look at a configuration')
  command.command('check')
    .description('Say whether a configuration can be served, and what is wrong with it')
    .argument('<file>', 'a configuration, as weft serve --config takes it')
    .option('--json', 'print JSON')
    .addHelpText('after', `
The exit status is 0 when it is good, 2 when there is a mistake in it.

Examples:
  $ weft config check /etc/weft/weft.json
`)
    .action((file: string, { json = false }: { json?: boolean }) => check(file, json))
  return command
}

function check(file: string, json: boolean): void {
  const config = loadConfig(file)
  const warnings = missing(config)
  if (json) return print({ file, ...factsOf(config), warnings })
  for (const each of warnings) remark(each)
  const { subsystems, namespaces, listeners } = factsOf(config)
  process.stdout.write(`${file} is good: ${counted(subsystems, 'subsystem')} with `
    + `${counted(namespaces, 'namespace')}, offered on ${listeners.join(', ')}.\n`)
}

function factsOf({ subsystems, listeners }: Config): { subsystems: number; namespaces: number; listeners: string[] } {
  const namespaces = subsystems.reduce((sum, each) => sum + each.namespaces.length, 0)
  return { subsystems: subsystems.length, namespaces, listeners: listeners.map(endpointText) }
}

/** What is not there now, but may be when the configuration is served. */
function missing({ subsystems }: Config): string[] {
  return subsystems.flatMap(({ nqn, namespaces }) => namespaces.flatMap(({ nsid, backing }) => {
    if (!('path' in backing) || existsSync(backing.path)) return []
    if (backing.kind === 'file' && backing.create) return []
    return [`Namespace ${nsid} of ${nqn}: there is no ${backing.kind} ${backing.path} yet.`]
  }))
}

type ImportOptions = { readonly output?: string; readonly force?: true; readonly rename: ReadonlyMap<string, string> }

export function importCommand(): Command {
  return new Command('import')
    .description('Take over the configuration of the Linux kernel\'s target, or of SPDK')
    .argument('<file>', 'what nvmetcli saved (/etc/nvmet/config.json), or SPDK\'s save_config printed')
    .option('-o, --output <file>', 'write the configuration to a file')
    .option('--force', 'replace that file if it is there')
    .addOption(new Option('--rename <old=new>', 'another NQN for a subsystem or a host, repeatable')
      .argParser(rename).default(new Map(), 'none'))
    .addHelpText('after', `
What cannot be taken over is told on standard error. Before weft serves it, stop the other
target: two programs must not write one disk.

Examples:
  $ weft import /etc/nvmet/config.json --output /etc/weft/weft.json
  $ weft import spdk.json | less
  $ weft import config.json --rename testnqn=nqn.2026-01.com.example:disks
`)
    .action(runImport)
}

function runImport(file: string, options: ImportOptions): void {
  const { source, written, notes } = importConfig(loadJson(file), file, { kindOf, renames: options.rename })
  readConfig(written, `What was made of ${file}`, surroundings(folderOf(file)))
  for (const each of notes) remark(each)
  deliver(written, options)
  if (options.output !== undefined) {
    process.stdout.write(`${options.output} holds the configuration of ${source}. To serve it: weft serve --config ${options.output}\n`)
  }
}

type ExportOptions = { readonly format: Format; readonly output?: string; readonly force?: true }

export function exportCommand(): Command {
  return new Command('export')
    .description('Write a configuration for another target, or with all that was derived')
    .argument('<file>', 'a configuration, as weft serve --config takes it')
    .addOption(new Option('--format <name>', 'weft, nvmet (nvmetcli restore) or spdk (load_config)')
      .choices(FORMATS).default('weft'))
    .option('-o, --output <file>', 'write it to a file')
    .option('--force', 'replace that file if it is there')
    .addHelpText('after', `
As weft's own it has every serial number, UUID and NGUID that was derived from this machine, so
that another machine serves the same disks to hosts that know them.

Examples:
  $ weft export weft.json --format nvmet --output /etc/nvmet/config.json
  $ weft export weft.json --format spdk | rpc.py load_config
`)
    .action(runExport)
}

function runExport(file: string, options: ExportOptions): void {
  const input = loadJson(file)
  const folder = folderOf(file)
  const config = readConfig(input, file, surroundings(folder))
  const exported = exportConfig(config, configSchema.parse(input), folder, options.format)
  for (const each of exported.notes) remark(each)
  deliver(exported.file, options)
}

function deliver(content: object, { output, force }: { readonly output?: string; readonly force?: true }): void {
  if (output === undefined) return print(content)
  try {
    writeFileSync(output, `${JSON.stringify(content, null, 2)}\n`, { flag: force ? 'w' : 'wx', mode: OWNER_ONLY })
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (code !== 'EEXIST') throw new HostError(`${output} cannot be written: ${message}.`)
    throw new HostError(`${output} is there already. Name another file, or replace it with --force.`)
  }
}

function rename(text: string, before: ReadonlyMap<string, string>): Map<string, string> {
  const at = text.indexOf('=')
  if (at <= 0) throw new InvalidArgumentError('Write OLD=NEW.')
  return new Map([...before, [text.slice(0, at), text.slice(at + 1)]])
}

function print(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value, null, 2)}\n`)
}

function remark(sentence: string): void {
  process.stderr.write(`${sentence}\n`)
}

function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`
}
