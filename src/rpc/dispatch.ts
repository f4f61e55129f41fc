/**
 * From the text of a request to the text of its answer: JSON-RPC 2.0, one call or a batch.
 * connection.ts and http.ts call it; it calls the methods.               JSON-RPC 2.0, 4 to 6
 *
 *   text ─▶ JSON? ─▶ a list? ─▶ request? ─▶ method? ─▶ parameters? ─▶ run ─▶ result | error
 *
 * Invariant: whatever a client sends and a method throws, there is an answer where one is due, and
 * the calls of a batch are answered in its order.
 */
import { ConfigError } from '../config/mistake.ts'
import { StartError } from '../config/start-error.ts'
import { StateError } from '../config/state-store.ts'
import type { Context } from './context.ts'
import { CODE, RpcError } from './error.ts'
import type { Method } from './method.ts'

/** Calls of one batch. */
const BATCH_MAX = 1000

type Id = string | number | null
type Answer = {
  readonly jsonrpc: '2.0'
  readonly id: Id
  readonly result?: unknown
  readonly error?: { readonly code: number; readonly message: string; readonly data?: unknown }
}

export class Dispatcher {
  readonly #methods: ReadonlyMap<string, Method>
  readonly #context: Context

  constructor(methods: readonly Method[], context: Context) {
    this.#methods = new Map(methods.map((each) => [each.name, each]))
    this.#context = context
  }

  /** The answer; null where none is due. client: who asks, for the log. */
  async answer(text: string, client: string): Promise<string | null> {
    let request: unknown
    try {
      request = JSON.parse(text)
    } catch {
      return JSON.stringify(failed(null, new RpcError(CODE.PARSE, 'Parse error')))
    }
    if (!Array.isArray(request)) {
      const answer = await this.#call(request, client)
      return answer === null ? null : JSON.stringify(answer)
    }
    if (request.length === 0 || request.length > BATCH_MAX) {
      const sentence = `a batch has from 1 to ${BATCH_MAX} calls`
      return JSON.stringify(failed(null, invalidRequest(sentence)))
    }
    const answers: Answer[] = []
    for (const each of request) {
      const answer = await this.#call(each, client)
      if (answer !== null) answers.push(answer)
    }
    return answers.length === 0 ? null : JSON.stringify(answers)
  }

  async #call(request: unknown, client: string): Promise<Answer | null> {
    if (typeof request !== 'object' || request === null || Array.isArray(request)) {
      return failed(null, invalidRequest('a call is an object'))
    }
    const { jsonrpc, id, method, params } = request as Record<string, unknown>
    const isId = id === undefined || id === null || typeof id === 'string' || typeof id === 'number'
    const answerTo = isId && id !== undefined ? id as Id : null
    // SPDK takes calls that leave "jsonrpc" out, so some of its clients do.
    if (!isId) return failed(null, invalidRequest('"id" is a text or a number'))
    if (jsonrpc !== undefined && jsonrpc !== '2.0') {
      return failed(answerTo, invalidRequest('"jsonrpc" is "2.0"'))
    }
    if (typeof method !== 'string') return failed(answerTo, invalidRequest('"method" is a text'))
    const answer = await this.#run(method, params, client).then(
      (result): Answer => ({ jsonrpc: '2.0', id: answerTo, result: result ?? null }),
      (error: unknown) => failed(answerTo, error))
    return id === undefined ? null : answer
  }

  async #run(name: string, params: unknown, client: string): Promise<unknown> {
    const method = this.#methods.get(name)
    if (method === undefined) {
      throw new RpcError(CODE.METHOD_NOT_FOUND, 'Method not found', [
        `There is no method ${JSON.stringify(name.slice(0, 100))}; rpc_get_methods lists them.`])
    }
    const { log } = this.#context
    try {
      const result = await method.call(params, this.#context)
      if (method.changes) log.control({ method: name, client, outcome: 'done' })
      return result
    } catch (error) {
      if (method.changes) {
        const { code, message } = errorOf(error)
        log.control({ method: name, client, outcome: `refused (${code} ${message})` })
      }
      // A mistake of our own: the client is told that much, the log where it is.
      if (!isExpected(error)) log.failure(`${name} failed: ${(error as Error).stack ?? String(error)}`)
      throw error
    }
  }
}

function invalidRequest(sentence: string): RpcError {
  return new RpcError(CODE.INVALID_REQUEST, 'Invalid Request', [`${sentence}.`])
}

function isExpected(error: unknown): boolean {
  return error instanceof RpcError || error instanceof ConfigError || error instanceof StartError
    || error instanceof StateError
}

function failed(id: Id, error: unknown): Answer {
  const { code, message, details } = errorOf(error)
  return {
    jsonrpc: '2.0', id,
    error: { code, message, ...(details.length === 0 ? {} : { data: details }) },
  }
}

function errorOf(error: unknown): Pick<RpcError, 'code' | 'message' | 'details'> {
  if (error instanceof RpcError) return error
  if (error instanceof StartError) {
    const { message, remedy } = error
    return new RpcError(CODE.INVALID_PARAMS, 'Invalid parameters', [`${message} ${remedy}`.trim()])
  }
  if (error instanceof ConfigError) {
    const lines = error.message.split('\n').slice(1).map((line) => line.trim())
    return new RpcError(CODE.INVALID_PARAMS, 'Invalid parameters', lines)
  }
  if (error instanceof StateError) {
    return new RpcError(CODE.INTERNAL, 'Internal error', [`${error.message}.`])
  }
  return new RpcError(CODE.INTERNAL, 'Internal error')
}
