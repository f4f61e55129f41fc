/**
 * What two wefts say to each other while one takes over from the other: lines of JSON on a Unix socket.
 * cli/succession.ts (who goes) and cli/heir.ts (who comes) → here.
 *
 *   heir       ── prepared {version, pid} ─▶ predecessor
 *              ◀─ sockets {listeners} ──────   and the sockets themselves, to the inbox
 *              ◀─ yours ────────────────────   nothing is open there any more
 *              ── ready ──────────────────▶
 *              ◀─ done ─────────────────────   the service is the heir's
 */
import type { Socket } from 'node:net'
import type { Inherited } from '../tcp/listener.ts'

export type Word =
  | { readonly type: 'prepared'; readonly version: string; readonly pid: number }
  | { readonly type: 'sockets'; readonly listeners: readonly Omit<Inherited, 'socket'>[] }
  | { readonly type: 'yours' | 'ready' | 'done' }

/** Set for the heir: the folder in which both find the two sockets. */
export const HAND_OVER = 'WEFT_HAND_OVER'
export const TALK = 'talk'
export const INBOX = 'inbox'

export class Talk {
  readonly #socket: Socket
  readonly #heard: Word[] = []
  #text = ''
  #ended = false
  #wake = (): void => {}

  constructor(socket: Socket) {
    this.#socket = socket
    socket.on('data', (bytes: Buffer) => {
      const lines = (this.#text + bytes.toString()).split('\n')
      this.#text = lines.pop()!
      for (const line of lines) this.#heard.push(JSON.parse(line) as Word)
      this.#wake()
    })
    const end = (): void => {
      this.#ended = true
      this.#wake()
    }
    socket.on('error', end)
    socket.on('close', end)
  }

  say(word: Word): void {
    this.#socket.write(`${JSON.stringify(word)}\n`)
  }

  /** The next word, where it is of this type; null when the other one has gone, or says nothing in time. */
  async hear<Type extends Word['type']>(type: Type, waitMs: number): Promise<Extract<Word, { type: Type }> | null> {
    const deadlineMs = Date.now() + waitMs
    for (;;) {
      const word = this.#heard.shift()
      if (word !== undefined) return word.type === type ? word as Extract<Word, { type: Type }> : null
      const leftMs = deadlineMs - Date.now()
      if (this.#ended || leftMs <= 0) return null
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, leftMs)
        this.#wake = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
  }

  end(): void {
    this.#socket.destroy()
  }
}
