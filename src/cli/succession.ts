/**
 * A hand-over, on the side of the weft that goes: starts the next one, gives it the sockets that listen, stops serving,
 * and is told that the other one serves; or serves on. serve.ts → here; heir.ts has the other side.
 *
 *   start it ─▶ it is prepared ─▶ sockets ─▶ our target stops ─▶ storage is its own ─▶ it is ready ─▶ we end
 *              └ else: nothing has happened                      └ else: it is ended, and our target starts anew
 *
 * Hosts notice that their connections end, as in any restart, and connect to the same sockets again: in between they
 * wait in the queue of the listener, which never closes. Invariant: at no time do two of them have the storage open.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { type Server, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { HAND_OVER, INBOX, TALK, Talk } from '../control/talk.ts'
import { errnoName, type Shim } from '../shim/shim.ts'
import type { Inherited } from '../tcp/listener.ts'

export type SuccessionWish = {
  /** The next weft: a program and its leading arguments, to which `words` are added. */
  readonly program: readonly string[]
  readonly words: readonly string[]
  readonly environment: Readonly<Record<string, string | undefined>>
}

/** What the next one has to do before it opens storage: compile and install, if it was never started. */
const PREPARED_MS = 120_000
const READY_MS = 60_000
const KILLED_MS = 5000

/** Why there is no hand-over; nothing has changed. */
export class SuccessionError extends Error {
  override readonly name = 'SuccessionError'
}

export class Succession {
  readonly version: string
  readonly pid: number
  readonly #folder: string
  readonly #child: ChildProcess
  readonly #server: Server
  readonly #talk: Talk

  private constructor(folder: string, child: ChildProcess, server: Server, talk: Talk, version: string, pid: number) {
    this.#folder = folder
    this.#child = child
    this.#server = server
    this.#talk = talk
    this.version = version
    this.pid = pid
  }

  /** Starts the next one; resolves when it is prepared. Throws a SuccessionError. */
  static async begin({ program, words, environment }: SuccessionWish): Promise<Succession> {
    const folder = mkdtempSync(join(tmpdir(), 'weft-'))
    const server = createServer()
    server.listen(join(folder, TALK))
    await once(server, 'listening')
    const [file, ...leading] = program
    const child = spawn(file!, [...leading, ...words], {
      stdio: ['ignore', 'inherit', 'inherit'], env: { ...process.env, ...environment, [HAND_OVER]: folder },
    })
    let timer: NodeJS.Timeout | undefined
    const failure = new Promise<string>((resolve) => {
      child.once('error', (error) => resolve(`${file} cannot be run: ${error.message}`))
      child.once('exit', (status, signal) => resolve(`it ended (${signal ?? `status ${status}`}); the log of weft has what it said`))
      timer = setTimeout(() => resolve(`it was not prepared within ${PREPARED_MS / 1000} s`), PREPARED_MS)
    })
    const begun = prepared(server)
    const result = await Promise.race([begun, failure])
    clearTimeout(timer)
    const reason = typeof result === 'string' ? result
      : result.pid === child.pid ? '' : 'the program starts weft as another process instead of becoming it'
    if (typeof result !== 'string' && reason === '') {
      return new Succession(folder, child, server, result.talk, result.version, result.pid)
    }
    await end(child)
    server.close()
    rmSync(folder, { recursive: true })
    throw new SuccessionError(`The next weft does not start: ${reason}.`)
  }

  /** Gives it what listens. '', or why that cannot be done. */
  pass(shim: Pick<Shim, 'pass'>, inheritance: readonly Inherited[]): string {
    const result = shim.pass(join(this.#folder, INBOX), inheritance.map(({ socket }) => socket))
    if (result < 0) return `the sockets cannot be passed (${errnoName(result)})`
    const listeners = inheritance.map(({ wanted, discoveryOnly }) => ({ wanted, discoveryOnly }))
    this.#talk.say({ type: 'sockets', listeners })
    return ''
  }

  /** Our storage is closed. Resolves with true when the next one serves, false when it has been ended instead. */
  async yours(): Promise<boolean> {
    this.#talk.say({ type: 'yours' })
    if (await this.#talk.hear('ready', READY_MS) !== null) return true
    await this.cancel()
    return false
  }

  /** It is the service now, and goes on without us. */
  done(): void {
    this.#talk.say({ type: 'done' })
    this.#child.unref()
    this.#server.close()
    rmSync(this.#folder, { recursive: true, force: true })
  }

  /** Ends it; resolves when it has gone, and its storage is free. */
  async cancel(): Promise<void> {
    await end(this.#child)
    this.#talk.end()
    this.#server.close()
    rmSync(this.#folder, { recursive: true, force: true })
  }
}

/** The heir may have become another process of the same id; it is known by what it says. */
async function prepared(server: Server): Promise<{ talk: Talk; version: string; pid: number } | string> {
  const [socket] = await once(server, 'connection')
  const talk = new Talk(socket)
  const word = await talk.hear('prepared', PREPARED_MS)
  if (word !== null) return { talk, version: word.version, pid: word.pid }
  return 'it gave up; the log of weft has what it said'
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return
  const gone = once(child, 'exit', { signal: AbortSignal.timeout(KILLED_MS) })
  child.kill('SIGKILL')
  await gone.catch(() => {})
}
