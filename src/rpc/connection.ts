/**
 * One client of the control socket: its calls are answered one after the other, in its order.
 * server.ts makes it; it calls values.ts and dispatch.ts.
 *
 * Invariants: at most one call is in work; nothing more is read while answers that the client has not
 * taken are kept, so what a client can make weft keep is one read, one request and one answer.
 */
import type { Socket } from 'node:net'
import type { Dispatcher } from './dispatch.ts'
import { CODE } from './error.ts'
import { Values, ValuesError } from './values.ts'

/** A configuration of a thousand namespaces has room in it many times. */
export const REQUEST_BYTES_MAX = 4 * 1024 * 1024
/** How long a client may leave its answer lying; it is cut off then. */
const TAKE_MS = 30_000

export class Connection {
  /** Settles when the client has gone and nothing of it is in work. */
  readonly done: Promise<void>
  readonly #socket: Socket
  readonly #dispatcher: Pick<Dispatcher, 'answer'>
  readonly #client: string
  #working = false
  #ending = false

  constructor(socket: Socket, dispatcher: Pick<Dispatcher, 'answer'>, client: string) {
    this.#socket = socket
    this.#dispatcher = dispatcher
    this.#client = client
    // One that goes in the middle of an answer is no mistake of ours.
    socket.on('error', () => {})
    this.done = this.#serve()
  }

  /** Answers what is in work, then hangs up. */
  end(): void {
    this.#ending = true
    if (!this.#working) this.#socket.destroy()
  }

  async #serve(): Promise<void> {
    const values = new Values(REQUEST_BYTES_MAX)
    try {
      // What is left to send goes out also when the loop is left.
      for await (const bytes of this.#socket.iterator({ destroyOnReturn: false })) {
        for (const text of values.take(bytes as Buffer)) {
          await this.#answer(text)
          if (this.#ending) return this.#hangUp()
        }
      }
      this.#hangUp()
    } catch (error) {
      if (!(error instanceof ValuesError)) return void this.#socket.destroy()
      // Where the next request begins is not known any more.
      await this.#send(JSON.stringify({
        jsonrpc: '2.0', id: null,
        error: { code: CODE.PARSE, message: 'Parse error', data: [`${error.message}.`] },
      })).catch(() => {})
      this.#hangUp()
    }
  }

  async #answer(text: string): Promise<void> {
    this.#working = true
    const answer = await this.#dispatcher.answer(text, this.#client)
    if (answer !== null && !this.#socket.destroyed) await this.#send(answer)
    this.#working = false
  }

  /** Resolves when the client has taken all of it but what the kernel keeps. */
  #send(answer: string): Promise<void> {
    if (this.#socket.write(`${answer}\n`)) return Promise.resolve()
    return new Promise((resolve, reject) => {
      const settle = (act: () => void): void => {
        clearTimeout(late)
        this.#socket.off('drain', drained).off('close', closed)
        act()
      }
      const drained = (): void => settle(resolve)
      const closed = (): void => settle(() => reject(new Error('the client has gone')))
      const late = setTimeout(() => this.#socket.destroy(), TAKE_MS)
      this.#socket.once('drain', drained).once('close', closed)
    })
  }

  #hangUp(): void {
    this.#socket.destroySoon()
  }
}
