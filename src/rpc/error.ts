/**
 * What a client is told when a method cannot do what it was asked: a code, a short message, and the
 * sentences that explain it. Methods throw it; dispatch.ts answers with it.   JSON-RPC 2.0, 5.1
 *
 * Codes and short messages are those that SPDK's clients look at: the five of JSON-RPC, and -errno
 * of what a block device method failed with.
 */

export const CODE = {
  PARSE: -32700,
  INVALID_REQUEST: -32600,
  METHOD_NOT_FOUND: -32601,
  INVALID_PARAMS: -32602,
  INTERNAL: -32603,
  /** -EEXIST, -ENODEV, -ENOENT */
  EXISTS: -17,
  NO_DEVICE: -19,
  NO_ENTRY: -2,
} as const

export class RpcError extends Error {
  override readonly name = 'RpcError'
  readonly code: number
  /** For people: what is wrong where, and what would be right. */
  readonly details: readonly string[]

  constructor(code: number, message: string, details: readonly string[] = []) {
    super(message)
    this.code = code
    this.details = details
  }
}

/** What was asked for cannot be: the parameters are right in form, but not here and now. */
export function invalid(...details: string[]): RpcError {
  return new RpcError(CODE.INVALID_PARAMS, 'Invalid parameters', details)
}

export function noDevice(sentence: string): RpcError {
  return new RpcError(CODE.NO_DEVICE, 'No such device', [sentence])
}

export function exists(sentence: string): RpcError {
  return new RpcError(CODE.EXISTS, 'File exists', [sentence])
}
