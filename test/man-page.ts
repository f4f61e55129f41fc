/**
 * Writes docs/weft.8, the manual page, from the commands of src/cli:   node test/man-page.ts
 * test/unit/cli/man-page.test.ts calls manPage() and fails when the file is not up to date.
 *
 * What a command's help says is what the page says: nothing is written here but what no command tells.
 */
import { writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Command } from 'commander'
import { createProgram } from '../src/cli/program.ts'

export const MAN_PAGE = fileURLToPath(new URL('../docs/weft.8', import.meta.url))

const FILES = [
  ['/etc/weft/weft.json', 'The configuration that weft service install takes when none is named.'],
  ['/var/lib/weft', 'What survives a restart: reservations, persistent event logs, counters. '
    + 'For users but root ~/.local/state/weft.'],
  ['/run/weft/weft.sock', 'The control socket.'],
] as const
const STATUS = [
  ['0', 'It did what it was asked.'], ['1', 'It failed at it.'],
  ['2', 'The question was wrong: a flag, a value, the configuration.'],
] as const
const SIGNALS = [
  ['SIGTERM, SIGINT', 'Ends weft serve: hosts are told, what was acknowledged goes to the medium. A second one ends it at once.'],
  ['SIGHUP', 'Reads the configuration again, and serves what it says.'],
  ['SIGUSR2', 'Writes the counters of the reactors to the log.'],
] as const

export function manPage(): string {
  const program = createProgram(() => {})
  return [
    '.\\" Made by test/man-page.ts from the commands of src/cli.',
    '.TH WEFT 8 "" "weft" "System administration"',
    '.SH NAME', `weft \\- ${text(lowerFirst(program.description()))}`,
    '.SH SYNOPSIS', ...program.commands.map((each) => `.B weft ${text(each.name())}\n${text(each.usage())}\n.br`),
    '.SH COMMANDS', ...program.commands.flatMap((each) => section(each, each.name())),
    '.SH EXIT STATUS', ...pairs(STATUS), '.SH SIGNALS', ...pairs(SIGNALS), '.SH FILES', ...pairs(FILES),
    '.SH SEE ALSO', '.BR nvme (1),', '.BR systemctl (1)', '',
  ].join('\n')
}

function section(command: Command, path: string): string[] {
  const help = command.createHelp()
  const words = [...help.visibleArguments(command).map((each) => [each.name(), each.description] as const),
    ...help.visibleOptions(command).map((each) => [each.flags, help.optionDescription(each)] as const)]
  return [
    `.SS weft ${text(path)} ${text(command.usage())}`, `${text(command.description())}.`, ...pairs(words),
    ...example(command), ...command.commands.flatMap((each) => section(each, `${path} ${each.name()}`)),
  ]
}

/** What help says behind the options. */
function example(command: Command): string[] {
  let whole = ''
  command.configureOutput({ writeOut: (part) => { whole += part }, getOutHelpWidth: () => 90 })
  const own = command.helpInformation()
  command.outputHelp()
  const after = whole.slice(whole.indexOf(own) + own.length).trim()
  return after === '' ? [] : ['.PP', '.nf', ...after.split('\n').map(text), '.fi']
}

function pairs(rows: readonly (readonly [string, string])[]): string[] {
  return rows.flatMap(([name, what]) => ['.TP', `.B ${text(name)}`, text(what)])
}

/** As troff reads it: no dots or quotes that begin a line, no backslashes that mean something. */
function text(plain: string): string {
  const escaped = plain.replaceAll('\\', '\\e').replaceAll('-', '\\-')
  return /^[.']/.test(escaped) ? `\\&${escaped}` : escaped
}

function lowerFirst(words: string): string {
  return words[0]!.toLowerCase() + words.slice(1)
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(MAN_PAGE, manPage())
