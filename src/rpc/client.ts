/**
 * Asks a running weft: one call over its control socket. cli calls it.
 *
 * Invariant: a call has one outcome: what was answered, or a RpcClientError that says what to do.
 */
import { type Socket, connect } from 'node:net'
import { Values, ValuesError } from './values.ts'

const ANSWER_BYTES_MAX = 64 * 1024 * 1024

/** Nobody answers, or nobody who speaks this. */
export class RpcClientError extends Error {
  override readonly name = 'RpcClientError'
}

export type RpcFailure = {
  readonly code: number
  readonly message: string
  readonly data?: unknown
}

export type RpcOutcome =
  | { readonly result: unknown; readonly error?: undefined }
  | { readonly error: RpcFailure }

/** Rejects with a RpcClientError. */
export async function callMethod(path: string, method: string, params: unknown): Promise<RpcOutcome> {
  const socket = await open(path)
  try {
    socket.write(JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }))
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
