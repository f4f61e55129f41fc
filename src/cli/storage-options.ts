/**
 * Options about storage that `weft namespace` and `weft device` share: what it is made of, and what hosts may do with
 * it in a second; and what is sent of them. Sizes stay as they were typed: weft says what is wrong with them.
 */
import { resolve } from 'node:path'
import { type Command, InvalidArgumentError, Option } from 'commander'
import { parseSize } from '../config/size.ts'
import { mistaken } from './running.ts'

export type StorageOptions = {
  readonly memory?: string
  readonly null?: string
  readonly file?: string
  readonly size?: string
  readonly device?: string
  readonly block?: string
  readonly uuid?: string
  readonly readOnly?: true
}

type LimitOptions = Readonly<Record<string, unknown>>

const LIMITS = [
  ['iops', 'commands in a second'], ['read-iops', 'commands that read'], ['write-iops', 'commands that write'],
  ['bandwidth', 'bytes in a second, such as 100M'], ['read-bandwidth', 'bytes read'], ['write-bandwidth', 'bytes written'],
] as const
const NONE = 'none'

export function withStorage(command: Command): Command {
  return command
    .option('--memory <size>', 'memory; lost when weft stops')
    .option('--null <size>', 'nothing: reads as zeroes')
    .option('--file <path>', 'a file')
    .option('--size <size>', 'of a file: created or extended to it')
    .option('--device <path>', 'a block device')
    .addOption(new Option('--block <bytes>', 'bytes of a block').choices(['512', '4096']))
    .option('--uuid <uuid>', 'its UUID; one is derived unless said')
    .option('--read-only', 'it is not to be written')
}

export function withLimits(command: Command): Command {
  for (const [name, text] of LIMITS) {
    command.option(`--${name} <count>`, `at most so many ${text}; ${NONE} takes the limit away`, limitOf)
  }
  return command
}

/** As the configuration has it. Paths are from here, not from where weft was started. */
export function storageFrom({ memory, null: nothing, file, size, device, block, uuid, readOnly }: StorageOptions): object {
  return withoutHoles({
    memory, null: nothing, file: file === undefined ? undefined : resolve(file), size,
    device: device === undefined ? undefined : resolve(device),
    block: block === undefined ? undefined : Number(block), uuid, readOnly,
  })
}

/** undefined where nothing is said about limits. */
export function limitsFrom(options: LimitOptions): Record<string, unknown> | undefined {
  const said = LIMITS.map(([name]) => camel(name)).filter((key) => options[key] !== undefined)
  return said.length === 0 ? undefined : Object.fromEntries(said.map((key) => [key, options[key] === NONE ? null : options[key]]))
}

export function withoutHoles(fields: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined))
}

export function nsidFrom(text: string): number {
  if (!/^\d{1,9}$/.test(text) || Number(text) === 0) throw mistaken(`${text} is no number of a namespace, from 1 on.`)
  return Number(text)
}

function camel(name: string): string {
  return name.replace(/-(.)/, (_, letter: string) => letter.toUpperCase())
}

function limitOf(text: string): number | string {
  if (text === NONE) return text
  const value = parseSize(text)
  if (value === null || value === 0) throw new InvalidArgumentError(`A number such as 20000 or 100M, or ${NONE}.`)
  return value
}
