/**
 * Asks a weft elsewhere: one call over HTTP or HTTPS, with a token. client.ts calls it for a place that is a URL.
 *
 * Invariant: as in client.ts; the token goes to nobody else: redirections are not followed.
 */
import { type ClientRequest, type IncomingMessage, request as plainRequest } from 'node:http'
import { request as tlsRequest } from 'node:https'
import { RpcClientError } from './client-error.ts'

const ANSWER_BYTES_MAX = 64 * 1024 * 1024
/** How long nothing may come. */
const SILENCE_MS = 60_000
/** Of certificates that nobody vouches for. */
const UNTRUSTED = ['DEPTH_ZERO_SELF_SIGNED_CERT', 'SELF_SIGNED_CERT_IN_CHAIN', 'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT', 'UNABLE_TO_GET_ISSUER_CERT_LOCALLY']

export type HttpPlace = {
  /** http: or https:. */
  readonly url: string
  readonly token: string
  /** PEM of who vouches for the certificate; null: those that the system trusts. */
  readonly authorities: string | null
}

/** The text that is answered. Rejects with a RpcClientError. */
export async function post(place: HttpPlace, body: string): Promise<string> {
  const response = await responseTo(place, body)
  const pieces: Buffer[] = []
  let bytes = 0
  try {
    for await (const piece of response) {
      bytes += (piece as Buffer).length
      if (bytes > ANSWER_BYTES_MAX) throw new RpcClientError(`What ${place.url} answers is too long.`)
      pieces.push(piece as Buffer)
    }
  } catch (error) {
    if (error instanceof RpcClientError) throw error
    throw new RpcClientError(`${place.url} hung up in the middle of its answer.`)
  }
  const text = Buffer.concat(pieces).toString()
  if (response.statusCode === 200) return text
  if (response.statusCode === 401) throw new RpcClientError(`${place.url} does not accept the token.`)
  throw new RpcClientError(`${place.url} answers with status ${response.statusCode}; is it a weft?`)
}

function responseTo({ url, token, authorities }: HttpPlace, body: string): Promise<IncomingMessage> {
  const options = {
    method: 'POST', agent: false, timeout: SILENCE_MS,
    headers: {
      'authorization': `Bearer ${token}`, 'content-type': 'application/json', 'content-length': Buffer.byteLength(body),
    },
  }
  return new Promise((resolve, reject) => {
    const sent: ClientRequest = url.startsWith('https:')
      ? tlsRequest(url, { ...options, ...(authorities !== null && { ca: authorities }) }, resolve)
      : plainRequest(url, options, resolve)
    sent.on('timeout', () => sent.destroy(new RpcClientError(`${url} says nothing.`)))
    sent.on('error', (error: NodeJS.ErrnoException) => reject(reasonOf(url, error)))
    sent.end(body)
  })
}

function reasonOf(url: string, error: NodeJS.ErrnoException): RpcClientError {
  if (error instanceof RpcClientError) return error
  const { code = '', message } = error
  if (code === 'ECONNREFUSED') {
    return new RpcClientError(`No weft answers at ${url}. Its configuration says where: control.http.`)
  }
  if (UNTRUSTED.includes(code)) {
    return new RpcClientError(`Nobody that is trusted here vouches for the certificate of ${url} (${code}). `
      + 'Name the certificate of who does with --ca.')
  }
  return new RpcClientError(`${url} cannot be asked: ${message}.`)
}
