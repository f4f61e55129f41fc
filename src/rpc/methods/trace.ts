/**
 * Methods to see the PDUs of hosts: `weft trace` is made of them. catalogue.ts lists them. SPDK has no word for it.
 */
import { setTimeout as pause } from 'node:timers/promises'
import { whole } from '../../config/schema.ts'
import type { TracePiece } from '../../control/tracer.ts'
import { TRACE, type TraceFacts } from '../../reactor/trace-ring.ts'
import { type RpcError, exists, invalid } from '../error.ts'
import { method } from '../method.ts'
import { hostNqn, text } from '../spdk-form.ts'

const RECORDS_MAX = 5000
const WAIT_MS_MAX = 5000
/** How often it is looked for records, while there are none. */
const LOOK_MS = 20

const id = whole(1, 2 ** 31 - 1).describe('What weft_trace_start has answered.')
const KINDS: Readonly<Record<number, string>> = {
  [TRACE.NAMED]: 'connection', [TRACE.RECEIVED]: 'received', [TRACE.SENT]: 'sent', [TRACE.ENDED]: 'ended',
}

/** What weft_trace_read answers, as clients see it. */
export type TraceAnswer = {
  readonly dropped: number
  readonly records: readonly TraceAnswerRecord[]
}

export type TraceAnswerRecord = {
  readonly kind: 'connection' | 'received' | 'sent' | 'ended'
  /** "0/17/3": reactor, index and serial. */
  readonly connection: string
  readonly time_ms: number
  readonly stream_at?: number
  readonly bytes?: number
  /** Base64. */
  readonly header?: string
  readonly facts?: TraceFacts
  readonly reason?: string
}

export const TRACE_METHODS = [
  method('weft_trace_start', {
    summary: 'Records the headers of PDUs from now on, of one host, one address or connection, or all.',
    params: {
      host: hostNqn.optional().describe('NQN of the host; left out, any.'),
      address: text('an address such as 192.0.2.7, or with the port of one connection 192.0.2.7:51234').optional()
        .describe('Where the host is; left out, anywhere.'),
    },
    result: 'The id of the trace. It ends when it is stopped, or is not read for 15 seconds. There is one at a time.',
    changes: true,
    example: { host: 'nqn.2014-08.org.nvmexpress:uuid:4c4c4544-0035-5910-804b-c2c04f4d3233' },
    run: async (params, { target }) => {
      const found = await target.tracer.start({ host: params.host ?? null, address: params.address ?? null })
      if (found === null) throw exists('Somebody traces already, and there is one trace at a time.')
      return { id: found }
    },
  }),
  method('weft_trace_read', {
    summary: 'Hands out what a trace has recorded since it was read last.',
    params: {
      id,
      wait_ms: whole(0, WAIT_MS_MAX).optional().describe('How long to wait while there is nothing; 0 unless said.'),
    },
    result: 'An object: dropped (records for which there was no room, since the start), and records, each with kind '
      + '("connection" with facts, "received" and "sent" with bytes, stream_at and header in Base64, "ended" with '
      + 'reason), connection and time_ms. Of payload there is none; of Connect all is there.',
    example: { id: 1, wait_ms: 1000 },
    run: async (params, { target }): Promise<TraceAnswer> => {
      const until = performance.now() + (params.wait_ms ?? 0)
      for (;;) {
        const piece = target.tracer.read(params.id, RECORDS_MAX)
        if (piece === null) throw noTrace(params.id)
        if (piece.records.length !== 0 || performance.now() >= until) {
          return { dropped: piece.droppedCount, records: piece.records.map(answerOf) }
        }
        await pause(LOOK_MS)
      }
    },
  }),
  method('weft_trace_stop', {
    summary: 'Ends a trace: nothing is recorded any more.',
    params: { id },
    result: 'true',
    changes: true,
    example: { id: 1 },
    run: async (params, { target }) => {
      if (!await target.tracer.stop(params.id)) throw noTrace(params.id)
      return true
    },
  }),
]

function noTrace(which: number): RpcError {
  return invalid(`id: found ${which}, but there is no such trace (any more): one that is not read for 15 s ends.`)
}

function answerOf(record: TracePiece['records'][number]): TraceAnswerRecord {
  const { kind, reactor, connection, serial, timeMs, streamAt, wireBytes, bytes } = record
  const common = {
    kind: KINDS[kind] as TraceAnswerRecord['kind'], connection: `${reactor}/${connection}/${serial}`, time_ms: timeMs,
  }
  const content = Buffer.from(bytes)
  if (kind === TRACE.NAMED) return { ...common, facts: JSON.parse(content.toString()) as TraceFacts }
  if (kind === TRACE.ENDED) return { ...common, reason: content.toString() }
  return { ...common, stream_at: streamAt, bytes: wireBytes, header: content.toString('base64') }
}
