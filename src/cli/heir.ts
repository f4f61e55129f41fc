/**
 * A weft that takes over from another one, which has started it: `weft upgrade`. serve-command makes one where the
 * environment names the other. The words that are exchanged are in control/talk.ts; succession.ts has the other side.
 *
 * Invariant: it opens no storage before the other one has closed its own.
 */
import { once } from 'node:events'
import { connect } from 'node:net'
import { join } from 'node:path'
import { StartError } from '../config/start-error.ts'
import { HAND_OVER, INBOX, TALK, Talk } from '../control/talk.ts'
import { errnoName, type Shim } from '../shim/shim.ts'
import type { Inherited } from '../tcp/listener.ts'

/** The other one ends associations, flushes and closes meanwhile. */
const YOURS_MS = 60_000
const WORD_MS = 10_000

export class Heir {
  readonly #folder: string
  readonly #talk: Talk

  constructor(folder: string, talk: Talk) {
    this.#folder = folder
    this.#talk = talk
  }

  /** null: nobody is taken over from. Takes the name out of the environment. */
  static async of(environment: Record<string, string | undefined>): Promise<Heir | null> {
    const folder = environment[HAND_OVER]
    delete environment[HAND_OVER]
    if (folder === undefined) return null
    const socket = connect(join(folder, TALK))
    try {
      await once(socket, 'connect')
    } catch (error) {
      throw new StartError(`The weft that is to be taken over from cannot be reached: ${(error as Error).message}.`)
    }
    return new Heir(folder, new Talk(socket))
  }

  /** Everything but the storage is there: resolves with what listens when the storage is free. */
  async prepared(shim: Pick<Shim, 'inbox' | 'take' | 'socketClose'>, version: string): Promise<Inherited[]> {
    const inbox = shim.inbox(join(this.#folder, INBOX))
    if (inbox < 0) throw new StartError(`Sockets cannot be received in ${this.#folder} (${errnoName(inbox)}).`)
    this.#talk.say({ type: 'prepared', version, pid: process.pid })
    const word = await this.#talk.hear('sockets', YOURS_MS)
    const sockets = word === null ? [] : shim.take(inbox, WORD_MS)
    shim.socketClose(inbox)
    if (word === null || typeof sockets === 'number' || sockets.length !== word.listeners.length) {
      throw new StartError('The weft that was to be taken over from did not give its sockets.')
    }
    if (await this.#talk.hear('yours', YOURS_MS) === null) {
      throw new StartError('The weft that was to be taken over from keeps its storage.')
    }
    return word.listeners.map((each, index) => ({ ...each, socket: sockets[index]! }))
  }

  /** Hosts may connect. Resolves when the other one has let go of everything, or has gone. */
  async ready(): Promise<void> {
    this.#talk.say({ type: 'ready' })
    await this.#talk.hear('done', WORD_MS)
    this.#talk.end()
  }
}
