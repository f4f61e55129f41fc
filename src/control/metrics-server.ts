/**
 * The metrics server: what is offered to monitoring over HTTP. target starts it where the configuration asks for
 * it; it reads the observer.
 *
 *   GET /metrics   everything that is counted, as OpenMetrics when asked for, else as Prometheus text
 *   GET /healthz   200 while every reactor turns, else 503 and which does not
 *   GET /readyz    200 while hosts may connect, else 503
 *
 * It says what is served and who is connected: it belongs on a network of its own, or on the loopback.
 * Invariant: nothing that a client does changes anything; one that says nothing is closed.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { isDeepStrictEqual } from 'node:util'
import { StartError } from '../config/start-error.ts'
import type { Endpoint } from '../subsystem/subsystem.ts'
import { CONTENT_TYPES, type Form } from './exposition.ts'
import { endpointText, type Log } from './log.ts'
import { metricsText } from './metrics.ts'
import type { Observer } from './observer.ts'

const REQUEST_MS = 5000
const CONNECTIONS_MAX = 64
const TEXT = 'text/plain; charset=utf-8'

type Answer = { readonly status: number; readonly type: string; readonly text: string }

export class MetricsServer {
  readonly #observer: Pick<Observer, 'report' | 'stuck' | 'ready'>
  readonly #log: Pick<Log, 'notice' | 'failure'>
  #wanted: Endpoint | null = null
  #server: Server | null = null

  constructor(observer: Pick<Observer, 'report' | 'stuck' | 'ready'>, log: Pick<Log, 'notice' | 'failure'>) {
    this.#observer = observer
    this.#log = log
  }

  /** Where it listens; null: nowhere. */
  get endpoint(): Endpoint | null {
    const at = this.#server?.address()
    return at === null || at === undefined || typeof at === 'string' ? null : { address: at.address, port: at.port }
  }

  /** Throws a StartError when it cannot listen there. */
  async start(wanted: Endpoint | null): Promise<void> {
    this.#wanted = wanted
    if (wanted === null) return
    this.#server = await listen(wanted, (request, response) => this.#respond(request, response))
    const { address, port } = this.endpoint!
    this.#log.notice(`Metrics on http://${endpointText({ address, port })}/metrics.`, { metrics: { address, port } })
  }

  /** While serving: somewhere else from now on. A failure is told in the log. */
  async configure(wanted: Endpoint | null): Promise<void> {
    if (isDeepStrictEqual(wanted, this.#wanted)) return
    this.stop()
    try {
      await this.start(wanted)
      if (wanted === null) this.#log.notice('Metrics are not offered any more.', { metrics: null })
    } catch (error) {
      if (!(error instanceof StartError)) throw error
      this.#log.failure(`${error.message} ${error.remedy}`)
    }
  }

  stop(): void {
    this.#server?.close()
    this.#server?.closeAllConnections()
    this.#server = null
    this.#wanted = null
  }

  #respond(request: IncomingMessage, response: ServerResponse): void {
    const { status, type, text } = this.#answer(request)
    response.writeHead(status, {
      'content-type': type, 'content-length': Buffer.byteLength(text), 'cache-control': 'no-store',
      ...(status === 405 && { allow: 'GET, HEAD' }),
    })
    response.end(request.method === 'HEAD' ? undefined : text)
  }

  #answer({ method, url = '/', headers }: IncomingMessage): Answer {
    if (method !== 'GET' && method !== 'HEAD') return { status: 405, type: TEXT, text: 'Only GET and HEAD.\n' }
    switch (url.split('?')[0]) {
      case '/metrics': {
        const form = formOf(headers.accept ?? '')
        return { status: 200, type: CONTENT_TYPES[form], text: metricsText(this.#observer.report(), form) }
      }
      case '/healthz': {
        const stuck = this.#observer.stuck()
        const lines = stuck.map(({ reactor, forMs }) => `Reactor ${reactor} has not turned for ${forMs} ms.\n`)
        return { status: stuck.length === 0 ? 200 : 503, type: TEXT, text: lines.join('') || 'ok\n' }
      }
      case '/readyz':
        return this.#observer.ready ? { status: 200, type: TEXT, text: 'ok\n' }
          : { status: 503, type: TEXT, text: 'Hosts cannot connect.\n' }
      default:
        return { status: 404, type: TEXT, text: 'There is /metrics, /healthz and /readyz.\n' }
    }
  }
}

/** By what a client accepts: OpenMetrics where it asks for it by name. */
function formOf(accept: string): Form {
  return accept.includes('application/openmetrics-text') ? 'openmetrics' : 'prometheus'
}

function listen(
  wanted: Endpoint, respond: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<Server> {
  const server = createServer({ requestTimeout: REQUEST_MS, headersTimeout: REQUEST_MS }, respond)
  server.maxConnections = CONNECTIONS_MAX
  // Monitoring is no reason to stay.
  server.unref()
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(new StartError(
      `Metrics cannot be offered on ${endpointText(wanted)} (${error.code ?? error.message}).`,
      'Choose another --metrics address and port, or leave it out.',
    )))
    server.listen(wanted.port, wanted.address, () => {
      server.removeAllListeners('error')
      server.on('error', () => {})
      resolve(server)
    })
  })
}
