/**
 * `weft trace`: what PDUs a host and a running weft exchange, as text or as a file for Wireshark, until Ctrl-C.
 * main.ts → here → rpc/client.ts for the records, trace-text.ts and pcap.ts for their forms.
 *
 * Exit status: 0; 1 when no weft answers, or somebody traces already.
 */
import { createWriteStream } from 'node:fs'
import { once } from 'node:events'
import { setTimeout as pause } from 'node:timers/promises'
import type { Writable } from 'node:stream'
import { Command, InvalidArgumentError } from 'commander'
import { HostError } from '../host/error.ts'
import { RpcClientError, callMethod } from '../rpc/client.ts'
import type { TraceAnswer, TraceAnswerRecord } from '../rpc/methods/trace.ts'
import { Pcap, pcapHeader } from './pcap.ts'
import { type PlaceOptions, placeOf, withPlace } from './place.ts'
import { TraceText } from './trace-text.ts'

const WAIT_MS = 500
/** What a file is meant by that is no file. */
const STANDARD_OUTPUT = '-'

type Options = PlaceOptions & {
  readonly host?: string
  readonly address?: string
  readonly pcap?: string
  readonly count?: number
  readonly json?: true
}

export function traceCommand(): Command {
  return withPlace(new Command('trace').description('Show the PDUs that hosts and a running weft exchange, until Ctrl-C'))
    .option('--host <nqn>', 'of this host only')
    .option('--address <address[:port]>', 'of hosts at this address, or of this one connection')
    .option('--pcap <file>', 'write them for Wireshark instead, - for standard output')
    .option('--count <number>', 'end after so many PDUs', parseCount)
    .option('--json', 'print a JSON line for each')
    .addHelpText('after', `
Headers are shown, no payload and so no secrets; of Connect, who connects. While nobody traces it costs
nothing. What cannot be kept up with is counted and left out. Wireshark takes ports other than 4420
for NVMe/TCP with "Decode As".

Examples:
  $ weft trace --host nqn.2014-08.org.nvmexpress:uuid:4c4c4544-0035-5910-804b-c2c04f4d3233
  $ weft trace --address 192.0.2.7:51234 --pcap connection.pcap
  $ weft trace --pcap - | tshark -r - -d tcp.port==4420,nvme-tcp
`)
    .action(run)
}

async function run(options: Options): Promise<void> {
  const place = placeOf(options)
  const ask = async (method: string, params: object): Promise<unknown> => {
    try {
      const outcome = await callMethod(place, method, params)
      if (outcome.error === undefined) return outcome.result
      const { message, data } = outcome.error
      throw new HostError(Array.isArray(data) && data.length !== 0 ? data.join('\n') : `${method}: ${message}`)
    } catch (error) {
      throw error instanceof RpcClientError ? new HostError(error.message) : error
    }
  }
  const out = new Output(options)
  const { host, address, count = Infinity } = options
  const { id } = await ask('weft_trace_start', { host, address }) as { id: number }
  const enough = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => enough.abort())
  // Whoever reads it has gone, or the file system is full.
  out.failed.then(() => enough.abort(), () => enough.abort())
  let dropped = 0
  let seen = 0
  try {
    while (!enough.signal.aborted && seen < count) {
      const piece = await ask('weft_trace_read', { id, wait_ms: WAIT_MS }) as TraceAnswer
      for (const record of piece.records) {
        if (seen >= count) break
        if (record.kind === 'received' || record.kind === 'sent') seen++
        await out.write(record)
      }
      if (piece.dropped !== dropped) tell(`${piece.dropped - dropped} records were left out: there was no room for them.`)
      dropped = piece.dropped
      if (piece.records.length === 0) await pause(0)
    }
  } finally {
    await ask('weft_trace_stop', { id }).catch(() => {})
    await out.end()
  }
  if (options.pcap !== undefined) tell(`${seen} PDUs were written.`)
}

function tell(sentence: string): void {
  process.stderr.write(`${sentence}\n`)
}

/** Where records go, in which form. */
class Output {
  /** Settles when nothing can be written any more. */
  readonly failed: Promise<unknown>
  readonly #stream: Writable
  readonly #form: (record: TraceAnswerRecord) => Buffer | string | null
  readonly #isOurs: boolean

  constructor({ pcap: path, json }: Options) {
    this.#isOurs = path !== undefined && path !== STANDARD_OUTPUT
    this.#stream = this.#isOurs ? createWriteStream(path!) : process.stdout
    this.failed = once(this.#stream, 'error')
    const [pcap, text] = [new Pcap(), new TraceText()]
    if (path !== undefined) this.#stream.write(pcapHeader())
    this.#form = path !== undefined ? (record) => pcap.packet(record)
      : json === true ? (record) => `${JSON.stringify(record)}\n` : (record) => text.line(record)
  }

  async write(record: TraceAnswerRecord): Promise<void> {
    const piece = this.#form(record)
    if (piece === null || this.#stream.destroyed || this.#stream.write(piece)) return
    await Promise.race([once(this.#stream, 'drain'), this.failed]).catch(() => {})
  }

  async end(): Promise<void> {
    if (!this.#isOurs) return
    const { errored } = this.#stream
    if (errored !== null) throw new HostError(`The file cannot be written: ${errored.message}.`)
    this.#stream.end()
    await once(this.#stream, 'close')
  }
}

function parseCount(text: string): number {
  const count = Number(text)
  if (!Number.isInteger(count) || count < 1) throw new InvalidArgumentError('A number from 1 on.')
  return count
}
