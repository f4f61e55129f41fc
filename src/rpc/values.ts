/**
 * Takes JSON values out of a stream of bytes, however they come: in pieces, several at once, with or
 * without newlines between them (SPDK's clients send none). connection.ts and client.ts feed it.
 *
 *   bytes ─▶ … {"a":"}"}[…] … ─▶ one text for each object or list
 *
 * Only brackets and strings are looked at here; JSON.parse says whether the text is JSON.
 * Invariant: never keeps more than `bytesMax` bytes, nor follows more than DEPTH_MAX brackets.
 */

const DEPTH_MAX = 64
const [QUOTE, BACKSLASH, OPEN, CLOSE, OPEN_LIST, CLOSE_LIST] = [0x22, 0x5c, 0x7b, 0x7d, 0x5b, 0x5d]
const SPACES = [0x20, 0x09, 0x0a, 0x0d]

/** The stream cannot be followed any further. */
export class ValuesError extends Error {
  override readonly name = 'ValuesError'
}

export class Values {
  readonly #bytesMax: number
  readonly #pieces: Buffer[] = []
  #keptBytes = 0
  #depth = 0
  #inString = false
  #escaped = false

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }

  /** True while a value has begun and not ended. */
  get begun(): boolean {
    return this.#depth !== 0
  }

  /** The values that these bytes complete. Throws a ValuesError, and is not to be used any more. */
  * take(bytes: Buffer): Generator<string> {
    let start = 0
    for (let at = 0; at < bytes.length; at++) {
      const byte = bytes[at]!
      if (this.#depth === 0) {
        start = at
        if (SPACES.includes(byte)) continue
        if (byte !== OPEN && byte !== OPEN_LIST) {
          throw new ValuesError('a request begins with { or [')
        }
      }
      if (!this.#step(byte)) continue
      yield this.#complete(bytes.subarray(start, at + 1))
      start = at + 1
    }
    if (this.#depth !== 0) this.#keep(bytes.subarray(start))
  }

  /** True when this byte completes a value. */
  #step(byte: number): boolean {
    if (this.#inString) {
      if (this.#escaped) this.#escaped = false
      else if (byte === BACKSLASH) this.#escaped = true
      else if (byte === QUOTE) this.#inString = false
      return false
    }
    if (byte === QUOTE) this.#inString = true
    else if (byte === OPEN || byte === OPEN_LIST) {
      this.#depth++
      if (this.#depth > DEPTH_MAX) throw new ValuesError('it is nested too deeply')
    } else if (byte === CLOSE || byte === CLOSE_LIST) {
      this.#depth--
      return this.#depth === 0
    }
    return false
  }

  #keep(piece: Buffer): void {
    this.#keptBytes += piece.length
    if (this.#keptBytes > this.#bytesMax) {
      throw new ValuesError(`it is longer than ${this.#bytesMax} bytes`)
    }
    this.#pieces.push(Buffer.from(piece))
  }

  #complete(last: Buffer): string {
    this.#keep(last)
    const whole = Buffer.concat(this.#pieces.splice(0))
    this.#keptBytes = 0
    try {
      return new TextDecoder('utf-8', { fatal: true }).decode(whole)
    } catch {
      throw new ValuesError('it is not UTF-8')
    }
  }
}
