/**
 * The control interface over HTTP or HTTPS: POST / with a call or a batch, answered like on the socket. control.ts
 * starts it where the configuration says so, and moves it when that changes.
 *
 *   request ─▶ no web page? ─▶ token? ─▶ POST /? ─▶ at most 4 MiB? ─▶ one JSON value? ─▶ dispatcher ─▶ 200 | 204
 *
 * The token comes as `Bearer TOKEN`, or as the password of `Basic` with any user, since that is what clients of
 * SPDK's proxy send. It is compared by its digest, in constant time, before anything of a body is read.
 * Invariants: nothing is done for who has no token; a client that is slow, says too much or does not take its answer
 * is cut off; a token or certificate that is replaced is in force from the next request, or connection, on.
 */
import { timingSafeEqual } from 'node:crypto'
import { type IncomingMessage, type Server, type ServerResponse, createServer } from 'node:http'
import { type Server as TlsServer, createServer as createTlsServer } from 'node:https'
import { isDeepStrictEqual } from 'node:util'
import type { HttpConfig } from '../config/config.ts'
import { tokenDigestOf } from '../config/control-http.ts'
import { StartError } from '../config/start-error.ts'
import { type Log, endpointText } from '../control/log.ts'
import { Rarely } from '../control/rarely.ts'
import type { Endpoint } from '../subsystem/subsystem.ts'
import { REQUEST_BYTES_MAX } from './connection.ts'
import type { Dispatcher } from './dispatch.ts'
import { CODE } from './error.ts'
import { Values, ValuesError } from './values.ts'

const CONNECTIONS_MAX = 64
/** How long a client may take for the TLS handshake and its headers, for all of a request, and for its answer. */
const HEADERS_MS = 10_000
const REQUEST_MS = 30_000
const TAKE_MS = 30_000
const IDLE_MS = 60_000
/** How often Node looks for clients that take longer. */
const LOOK_MS = 1000
const HEADERS_BYTES_MAX = 8192

type Refusal = { readonly status: number; readonly reason: string }

export class HttpServer {
  readonly #dispatcher: Pick<Dispatcher, 'answer'>
  readonly #log: Pick<Log, 'notice' | 'warning' | 'failure'>
  readonly #rarely = new Rarely()
  /** Requests that are answered. */
  readonly #working = new Set<Promise<void>>()
  #wanted: HttpConfig | null = null
  #server: Server | TlsServer | null = null

  constructor(dispatcher: Pick<Dispatcher, 'answer'>, log: Pick<Log, 'notice' | 'warning' | 'failure'>) {
    this.#dispatcher = dispatcher
    this.#log = log
  }

  /** Where it listens; null: nowhere. */
  get endpoint(): Endpoint | null {
    const at = this.#server?.address()
    return at === null || at === undefined || typeof at === 'string' ? null : { address: at.address, port: at.port }
  }

  /** Throws a StartError when it cannot listen there. */
  async start(wanted: HttpConfig | null): Promise<void> {
    this.#wanted = null
    if (wanted === null) return
    this.#server = await listen(wanted, (request, response) => this.#serve(request, response))
    this.#wanted = wanted
    const { address, port } = this.endpoint!
    const protocol = wanted.tls === null ? 'http' : 'https'
    this.#log.notice(`Control over ${protocol}://${endpointText({ address, port })}/.`,
      { control: { address, port, protocol } })
  }

  /** While serving: elsewhere, or with another token or certificate. A failure is told in the log. */
  async configure(wanted: HttpConfig | null): Promise<void> {
    const before = this.#wanted
    if (isDeepStrictEqual(wanted, before)) return
    if (wanted !== null && before !== null && isSamePlace(wanted, before)) {
      this.#wanted = wanted
      if (wanted.tls !== null) (this.#server as TlsServer).setSecureContext(contextOf(wanted.tls))
      return this.#log.notice('Control over HTTP goes by another token or certificate now.', { change: 'control' })
    }
    // Who asked for the change may have come this way: he is answered before his connection ends.
    void this.#stop()
    try {
      await this.start(wanted)
      if (wanted === null) this.#log.notice('Control over HTTP is not offered any more.', { control: null })
    } catch (error) {
      if (!(error instanceof StartError)) throw error
      this.#log.failure(`${error.message} ${error.remedy}`)
    }
  }

  /** Resolves when what was in work has been answered and every client has gone. */
  async close(): Promise<void> {
    this.#wanted = null
    await this.#stop()
  }

  async #stop(): Promise<void> {
    const server = this.#server
    this.#server = null
    if (server === null) return
    const closed = new Promise<void>((resolve) => { server.close(() => resolve()) })
    server.closeIdleConnections()
    await Promise.all(this.#working)
    server.closeAllConnections()
    await closed
  }

  #serve(request: IncomingMessage, response: ServerResponse): void {
    const work = this.#respond(request, response).catch(() => { request.socket.destroy() })
    this.#working.add(work)
    void work.then(() => this.#working.delete(work))
  }

  /** Resolves when the client has taken its answer, or has gone. */
  async #respond(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const refusal = this.#refusal(request)
    if (refusal !== null) return refuse(response, refusal)
    const bytes = await bodyOf(request)
    if (bytes === null) return refuse(response, TOO_LONG)
    const { remoteAddress = '', remotePort = 0 } = request.socket
    const client = `http client ${endpointText({ address: remoteAddress, port: remotePort })}`
    const text = valueIn(bytes)
    const answer = text instanceof ValuesError ? parseError(text) : await this.#dispatcher.answer(text, client)
    await send(response, answer === null ? 204 : 200, answer ?? '', 'application/json')
  }

  #refusal({ method, url, headers, socket }: IncomingMessage): Refusal | null {
    // A browser lets any page send a request, with what it knows of passwords, and says whose it is.
    if (headers.origin !== undefined) return { status: 403, reason: 'No web page may call weft.' }
    if (this.#wanted === null) return { status: 503, reason: 'Control over HTTP ends.' }
    if (!isToken(tokenOf(headers.authorization ?? ''), this.#wanted.tokenDigest)) {
      const { remoteAddress: address = '' } = socket
      const remark = this.#rarely.tell(address)
      const why = headers.authorization === undefined ? 'showed no token' : 'showed a wrong token'
      if (remark !== null) this.#log.warning(`${address} ${why} to the control interface${remark}.`, { address })
      return { status: 401, reason: 'The token is missing or wrong.' }
    }
    if (url?.split('?')[0] !== '/') return { status: 404, reason: 'There is only POST /.' }
    if (method !== 'POST') return { status: 405, reason: 'Only POST.' }
    return Number(headers['content-length'] ?? 0) > REQUEST_BYTES_MAX ? TOO_LONG : null
  }
}

const TOO_LONG: Refusal = { status: 413, reason: `A request has at most ${REQUEST_BYTES_MAX} bytes.` }

/** '' where there is none. */
function tokenOf(authorization: string): string {
  const [, scheme = '', value = ''] = /^(\w+) +(\S+) *$/.exec(authorization) ?? []
  if (scheme.toLowerCase() === 'bearer') return value
  if (scheme.toLowerCase() !== 'basic') return ''
  const pair = Buffer.from(value, 'base64').toString('latin1')
  return pair.slice(pair.indexOf(':') + 1)
}

function isToken(token: string, digest: string): boolean {
  return timingSafeEqual(Buffer.from(tokenDigestOf(token), 'hex'), Buffer.from(digest, 'hex'))
}

/** null: too long. */
async function bodyOf(request: IncomingMessage): Promise<Buffer | null> {
  const pieces: Buffer[] = []
  let bytes = 0
  for await (const piece of request.iterator({ destroyOnReturn: false })) {
    bytes += (piece as Buffer).length
    if (bytes > REQUEST_BYTES_MAX) return null
    pieces.push(piece as Buffer)
  }
  return Buffer.concat(pieces)
}

/** The one value of a body, by the rules of the socket. */
function valueIn(bytes: Buffer): string | ValuesError {
  const values = new Values(REQUEST_BYTES_MAX)
  try {
    const texts = [...values.take(bytes)]
    return texts.length === 1 && !values.begun ? texts[0]! : new ValuesError('a request has one call or one batch')
  } catch (error) {
    if (error instanceof ValuesError) return error
    throw error
  }
}

function parseError({ message }: ValuesError): string {
  const error = { code: CODE.PARSE, message: 'Parse error', data: [`${message}.`] }
  return JSON.stringify({ jsonrpc: '2.0', id: null, error })
}

/** What is left of the request is not read: the connection ends. */
function refuse(response: ServerResponse, { status, reason }: Refusal): Promise<void> {
  response.setHeader('connection', 'close')
  if (status === 401) response.setHeader('www-authenticate', 'Bearer realm="weft"')
  if (status === 405) response.setHeader('allow', 'POST')
  return send(response, status, `${reason}\n`, 'text/plain; charset=utf-8')
}

function send(response: ServerResponse, status: number, text: string, type: string): Promise<void> {
  return new Promise((resolve) => {
    const late = setTimeout(() => response.destroy(), TAKE_MS)
    response.once('close', () => {
      clearTimeout(late)
      resolve()
    })
    response.writeHead(status, {
      'cache-control': 'no-store',
      ...(status !== 204 && { 'content-type': type, 'content-length': Buffer.byteLength(text) }),
    })
    response.end(text)
  })
}

function isSamePlace(one: HttpConfig, other: HttpConfig): boolean {
  return one.address === other.address && one.port === other.port && (one.tls === null) === (other.tls === null)
}

function contextOf({ certificate, key }: NonNullable<HttpConfig['tls']>): { cert: string; key: string } {
  return { cert: certificate, key }
}

function listen(
  wanted: HttpConfig, serve: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<Server | TlsServer> {
  const options = {
    headersTimeout: HEADERS_MS, requestTimeout: REQUEST_MS, keepAliveTimeout: IDLE_MS,
    connectionsCheckingInterval: LOOK_MS, maxHeaderSize: HEADERS_BYTES_MAX,
  }
  const server = wanted.tls === null ? createServer(options, serve)
    : createTlsServer({ ...options, ...contextOf(wanted.tls), handshakeTimeout: HEADERS_MS }, serve)
  server.maxConnections = CONNECTIONS_MAX
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(new StartError(
      `Control over HTTP cannot be offered on ${endpointText(wanted)} (${error.code ?? error.message}).`,
      'Choose another address and port with --http, or leave it out.',
    )))
    server.listen(wanted.port, wanted.address, () => {
      server.removeAllListeners('error')
      // Clients beyond the number, and those that go at once, are no reason to fail.
      server.on('error', () => {})
      resolve(server)
    })
  })
}
