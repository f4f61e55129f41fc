/**
 * `weft rpc METHOD [PARAMS]`: calls a method of a running weft and prints what it answers.
 * main.ts → here → rpc/client.ts; the help of a method is made of its description in rpc/.
 *
 * Exit status: 0 with the result on standard output; 1 with the error on standard error; 2 when there
 * is no such method, or what was typed is no parameter.
 */
import { readFileSync } from 'node:fs'
import { Command, InvalidArgumentError } from 'commander'
import { nearest } from '../config/mistake.ts'
import { HostError } from '../host/error.ts'
import { METHODS } from '../rpc/catalogue.ts'
import { RpcClientError, callMethod, type RpcFailure } from '../rpc/client.ts'
import type { Method } from '../rpc/method.ts'
import { rowsOf } from '../rpc/open-rpc.ts'
import { type PlaceOptions, placeOf, withPlace } from './place.ts'

const STANDARD_INPUT = '-'
const STATUS_MISTAKE = 2

const EXAMPLES = `
Parameters are NAME=VALUE, or one JSON object, or - to read that from standard input. A value is
JSON where it can be, else text; a name with dots goes into an object.

Examples:
  $ weft rpc nvmf_get_subsystems
  $ weft rpc nvmf_subsystem_get_controllers nqn=nqn.2026-01.com.example:disks
  $ weft rpc log_set_level '{"level": "DEBUG"}'
  $ weft rpc nvmf_get_subsystems --help
  $ weft rpc nvmf_get_subsystems --url https://192.0.2.10:9421 --token token --ca weft.pem
`

export function rpcCommand(end: (status: number) => void): Command {
  const command = withPlace(new Command('rpc')
    .description('Call a method of a running weft: what its control interface can do')
    .argument('[method]', 'name of the method; without one, they are listed')
    .argument('[params...]', 'its parameters'))
    .addHelpText('after', ({ command: { args } }) =>
      METHODS.some(({ name }) => args.includes(name)) ? '' : EXAMPLES)
    .action(async (name: string | undefined, words: readonly string[], options: PlaceOptions) => {
      if (name === undefined) return void process.stdout.write(listText())
      try {
        end(await call(known(name), words, options))
      } catch (error) {
        if (!(error instanceof InvalidArgumentError)) throw error
        command.error(`${error.message}.`, { exitCode: STATUS_MISTAKE })
      }
    })
  // Of one method, when one is named.
  const general = command.helpInformation.bind(command)
  command.helpInformation = (context) => {
    const method = METHODS.find(({ name }) => command.args.includes(name))
    return method === undefined ? general(context) : helpText(method)
  }
  return command
}

async function call(method: Method, words: readonly string[], options: PlaceOptions): Promise<number> {
  const params = paramsOf(words)
  const place = placeOf(options)
  try {
    const outcome = await callMethod(place, method.name, params)
    if (outcome.error === undefined) {
      process.stdout.write(`${JSON.stringify(outcome.result, null, 2)}\n`)
      return 0
    }
    process.stderr.write(failureText(method.name, outcome.error))
    return 1
  } catch (error) {
    if (error instanceof RpcClientError) throw new HostError(error.message)
    throw error
  }
}

function known(name: string): Method {
  const found = METHODS.find((each) => each.name === name)
  if (found !== undefined) return found
  const near = nearest(name, METHODS.map((each) => each.name))
  throw new InvalidArgumentError(`There is no method ${name}${near === null ? '' : `, did you mean ${near}`}`)
}

/** "nqn=…" "listen_address.traddr=…", or one object. */
export function paramsOf(words: readonly string[]): object {
  if (words.length === 1 && words[0] === STANDARD_INPUT) return objectOf(readFileSync(0, 'utf8'))
  if (words.length === 1 && words[0]!.trimStart().startsWith('{')) return objectOf(words[0]!)
  const params: Record<string, unknown> = Object.create(null)
  for (const word of words) {
    const [whole, name, text] = /^([A-Za-z_][\w.]*)=(.*)$/s.exec(word) ?? []
    if (whole === undefined) {
      throw new InvalidArgumentError(`${JSON.stringify(word)} is neither NAME=VALUE nor a JSON object`)
    }
    const steps = name!.split('.')
    let place = params
    for (const step of steps.slice(0, -1)) place = (place[step] ??= Object.create(null)) as typeof params
    place[steps.at(-1)!] = valueOf(text!)
  }
  return params
}

function objectOf(text: string): object {
  try {
    const value = JSON.parse(text) as unknown
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value
  } catch {
    // Said below.
  }
  throw new InvalidArgumentError('The parameters are no JSON object')
}

/** Numbers that are too large to be exact, and whatever is not JSON, are text. */
function valueOf(text: string): unknown {
  try {
    const value = JSON.parse(text) as unknown
    return typeof value === 'number' && String(value) !== text ? text : value
  } catch {
    return text
  }
}

export function failureText(method: string, { code, message, data }: RpcFailure): string {
  const lines = Array.isArray(data) ? data.map((line) => `  ${String(line)}\n`) : []
  return `${method}: ${message} (${code})\n${lines.join('')}`
}

function listText(): string {
  const width = Math.max(...METHODS.map(({ name }) => name.length))
  return METHODS.map(({ name, summary }) => `${name.padEnd(width)}  ${summary}\n`).join('')
}

export function helpText(method: Method): string {
  const rows = rowsOf(method)
  const words = Object.entries(method.example).flatMap(([name, value]) =>
    typeof value === 'object' ? [] : [`${name}=${String(value)}`])
  const objects = Object.values(method.example).some((value) => typeof value === 'object')
  const typed = objects ? `'${JSON.stringify(method.example)}'` : words.join(' ')
  const params = rows.length === 0 ? ['It takes no parameters.'] : [
    'Parameters:', ...rows.map(({ name, type, required, description }) =>
      `  ${name}  ${type}${required ? ', required' : ''}${description === '' ? '' : `\n      ${description}`}`),
  ]
  return [
    `weft rpc ${method.name}`, '', method.summary, '', ...params, '', `Answers: ${method.result}`, '',
    'Example:', `  $ weft rpc ${method.name} ${typed}`.trimEnd(), '',
  ].join('\n')
}
