/**
 * A running weft, as the commands talk to it that change what it serves: subsystem, namespace, listener, host and
 * device. They → here → rpc/client.ts. No file is edited: weft keeps by itself what it was told.
 *
 * Exit status: 0; 1 it failed or was refused; 2 the words were wrong; 3 there is no such thing; 4 it is there already.
 */
import { Command } from 'commander'
import { HostError } from '../host/error.ts'
import { RpcClientError, callMethod } from '../rpc/client.ts'
import { CODE } from '../rpc/error.ts'
import { type PlaceOptions, placeOf, withPlace } from './place.ts'

const STATUS_FAILED = 1
const STATUS_MISTAKE = 2
const STATUS_ABSENT = 3
const STATUS_PRESENT = 4
const STATUSES = new Map<number, number>([
  [CODE.NO_DEVICE, STATUS_ABSENT], [CODE.NO_ENTRY, STATUS_ABSENT], [CODE.EXISTS, STATUS_PRESENT],
])

/** A sentence, and the exit status that goes with it. */
export class Refusal extends Error {
  override readonly name = 'Refusal'
  readonly status: number

  constructor(sentence: string, status: number) {
    super(sentence)
    this.status = status
  }
}

export function absent(sentence: string): Refusal {
  return new Refusal(sentence, STATUS_ABSENT)
}

export function present(sentence: string): Refusal {
  return new Refusal(sentence, STATUS_PRESENT)
}

export function mistaken(sentence: string): Refusal {
  return new Refusal(sentence, STATUS_MISTAKE)
}

export class Running {
  readonly #options: PlaceOptions

  constructor(options: PlaceOptions) {
    this.#options = options
  }

  /** What the method answers. Throws a Refusal, or a HostError where nobody answers. */
  async call<Answer>(method: string, params: object = {}): Promise<Answer> {
    try {
      const outcome = await callMethod(placeOf(this.#options), method, params)
      if (outcome.error === undefined) return outcome.result as Answer
      const { code, message, data } = outcome.error
      const sentence = Array.isArray(data) && data.length !== 0 ? data.join('\n') : `${message}.`
      throw new Refusal(sentence, STATUSES.get(code) ?? STATUS_FAILED)
    } catch (error) {
      if (error instanceof RpcClientError) throw new HostError(error.message)
      throw error
    }
  }
}

export type End = (status: number) => void
/** What a command has to say: data for programs, and text for people. */
export type Said = { readonly data: unknown; readonly text: string }

/** A command at a running weft. args are those that it was given, before the options. */
export function runningCommand(
  name: string, description: string, end: End,
  act: (weft: Running, args: readonly string[], options: Record<string, unknown>) => Promise<Said>,
): Command {
  const command = withPlace(new Command(name).description(description))
    .option('--json', 'print JSON')
  return command.action(async (...given: unknown[]) => {
    // Behind the arguments commander gives the options and the command.
    const args = given.slice(0, -2) as string[]
    const options = command.opts()
    try {
      const { data, text } = await act(new Running(options), args.filter((each) => each !== undefined), options)
      process.stdout.write(options.json === true ? `${JSON.stringify(data, null, 2)}\n` : text)
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      process.stderr.write(`${error.message}\n`)
      end(error.status)
    }
  })
}

/** A noun: its commands, which there is always one of to call. */
export function nounCommand(name: string, description: string, commands: readonly Command[]): Command {
  const noun = new Command(name).description(description)
  for (const each of commands) noun.addCommand(each)
  return noun
}
