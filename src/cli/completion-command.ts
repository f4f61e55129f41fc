/**
 * `weft completion SHELL`: the words that a shell offers after "weft", made of the commands themselves.
 * main.ts → here. The script is printed; the shell's own place for it is in the help.
 */
import { Argument, Command } from 'commander'

const SHELLS = ['bash', 'zsh', 'fish'] as const
type Shell = (typeof SHELLS)[number]

/** A command, as it is typed: 'config check'; and what may come next. */
export type Words = {
  readonly path: string
  readonly commands: readonly { readonly name: string; readonly text: string }[]
  readonly options: readonly { readonly name: string; readonly text: string; readonly choices: readonly string[] }[]
}

/** program is asked for when it is complete. */
export function completionCommand(program: () => Command): Command {
  return new Command('completion')
    .description('Print a script that completes weft\'s words in a shell')
    .addArgument(new Argument('<shell>', 'the shell').choices(SHELLS))
    .addHelpText('after', `
Examples:
  $ weft completion bash > /etc/bash_completion.d/weft
  $ weft completion zsh > "\${fpath[1]}/_weft"
  $ weft completion fish > ~/.config/fish/completions/weft.fish
`)
    .action((shell: Shell) => {
      process.stdout.write(completionScript(program(), shell))
    })
}

export function completionScript(program: Command, shell: Shell): string {
  const words = wordsOf(program, '')
  return shell === 'fish' ? fishScript(words) : bashScript(words, shell)
}

/** Of a command and all below it. */
export function wordsOf(command: Command, path: string): Words[] {
  const commands = command.commands.map((each) => ({ name: each.name(), text: each.description() }))
  const options = command.options.filter(({ hidden }) => !hidden).map(({ long, description, argChoices }) => ({
    name: long!, text: description, choices: argChoices ?? [],
  }))
  const own = { path, commands, options: [...options, { name: '--help', text: 'display help for command', choices: [] }] }
  return [own, ...command.commands.flatMap((each) => wordsOf(each, `${path} ${each.name()}`.trim()))]
}

function bashScript(words: readonly Words[], shell: Shell): string {
  const cases = words.map(({ path, commands, options }) => {
    const next = [...commands.map(({ name }) => name), ...options.map(({ name }) => name)]
    return `    '${path}') words='${next.join(' ')}' ;;`
  })
  const values = words.flatMap(({ path, options }) => options.filter(({ choices }) => choices.length !== 0)
    .map(({ name, choices }) => `    '${path} ${name}') words='${choices.join(' ')}' ;;`))
  return [
    ...(shell === 'zsh' ? ['#compdef weft', 'autoload -U +X bashcompinit && bashcompinit'] : []),
    '_weft() {',
    '  local current=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} path= words= word k',
    '  for ((k = 1; k < COMP_CWORD; k++)); do',
    '    word="$path ${COMP_WORDS[k]}"; word=${word# }',
    '    case "$word" in',
    `      ${words.filter(({ path }) => path !== '').map(({ path }) => `'${path}'`).join('|')}) path=$word ;;`,
    '    esac',
    '  done',
    '  case "$path $before" in',
    ...values,
    '  esac',
    '  [ -n "$words" ] || case "$path" in',
    ...cases,
    '  esac',
    '  COMPREPLY=($(compgen -W "$words" -- "$current"))',
    '  [ ${#COMPREPLY[@]} -ne 0 ] || COMPREPLY=($(compgen -f -- "$current"))',
    '}',
    'complete -o filenames -F _weft weft',
    '',
  ].join('\n')
}

function fishScript(words: readonly Words[]): string {
  const lines = ['# Completions of weft.']
  for (const { path, commands, options } of words) {
    const seen = path.split(' ').filter((word) => word !== '')
    const children = commands.map(({ name }) => name)
    const conditions = seen.map((word) => `__fish_seen_subcommand_from ${word}`)
    if (children.length !== 0) conditions.push(`not __fish_seen_subcommand_from ${children.join(' ')}`)
    const when = conditions.length === 0 ? '' : ` -n '${conditions.join('; and ')}'`
    for (const { name, text } of commands) lines.push(`complete -c weft -f${when} -a ${name} -d ${fishText(text)}`)
    for (const { name, text, choices } of options) {
      const values = choices.length === 0 ? '' : ` -x -a '${choices.join(' ')}'`
      lines.push(`complete -c weft${when} -l ${name.slice(2)}${values} -d ${fishText(text)}`)
    }
  }
  return `${lines.join('\n')}\n`
}

function fishText(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll('\'', '\\\'')}'`
}
