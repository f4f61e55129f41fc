/**
 * Asks a running weft: one call over its control socket, or over HTTP (http-client.ts). cli calls it.
 *
 * Invariant: a call has one outcome: what was answered, or a RpcClientError that says what to do.
 */
import { type Socket, connect } from 'node:net'
import { RpcClientError } from './client-error.ts'
import { type HttpPlace, post } from './http-client.ts'
import { Values, ValuesError } from './values.ts'

export { RpcClientError }

const ANSWER_BYTES_MAX = 64 * 1024 * 1024

export type RpcFailure = {
  readonly code: number
  readonly message: string
  readonly data?: unknown
}

export type RpcOutcome =
  | { readonly result: unknown; readonly error?: undefined }
  | { readonly error: RpcFailure }

/** place: a URL with what goes with it, or the path of a socket. Rejects with a RpcClientError. */
export async function callMethod(place: string | HttpPlace, method: string, params: unknown): Promise<RpcOutcome> {
  const request = JSON.stringify({ jsonrpc: '2.0', id: 1, method, params })
  if (typeof place !== 'string') return outcomeOf(await post(place, request), place.url)
  return callSocket(place, request)
}

async function callSocket(path: string, request: string): Promise<RpcOutcome> {
  const socket = await open(path)
  try {
    socket.write(request)
    const values = new Values(ANSWER_BYTES_MAX)
    for await (const bytes of socket) {
      for (const text of values.take(bytes as Buffer)) return outcomeOf(text, path)
    }
  } catch (error) {
    if (error instanceof RpcClientError) throw error
    const reason = error instanceof ValuesError ? `: ${error.message}` : ''
    throw new RpcClientError(`What answers on ${path} is no weft${reason}.`)
  } finally {
    socket.destroy()
  }
  throw new RpcClientError(`weft hung up on ${path} without an answer; its log may say why.`)
}

function outcomeOf(text: string, path: string): RpcOutcome {
  const answer = parsed(text)
  if (answer?.error !== undefined) return { error: answer.error }
  if (answer === null || !('result' in answer)) throw new RpcClientError(`What answers on ${path} is no weft.`)
  return { result: answer.result }
}

function parsed(text: string): { result?: unknown; error?: RpcFailure } | null {
  try {
    return JSON.parse(text) as { result?: unknown; error?: RpcFailure }
  } catch {
    return null
  }
}

function open(path: string): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(path)
    socket.once('connect', () => resolve(socket))
    socket.once('error', ({ code, message }: NodeJS.ErrnoException) => reject(new RpcClientError(
      code === 'ENOENT' || code === 'ECONNREFUSED' || code === 'ENOTSOCK'
        ? `No weft answers on ${path}. Start one (weft serve), or name its socket with --control.`
        : code === 'EACCES' ? `${path} may not be used by you: try as the user who runs weft, or with sudo.`
          : `${path} cannot be used (${code ?? message}).`)))
  })
}
