/**
 * What a call of the control interface fails with on the client's side; client.ts and http-client.ts throw it, cli
 * shows it. Its message says what to do.
 */

/** Nobody answers, or nobody who speaks this. */
export class RpcClientError extends Error {
  override readonly name = 'RpcClientError'
}
