/**
 * Where and why a text is not JSON, and whether an object has a key twice (which JSON.parse takes,
 * silently dropping the first). Called by load.ts and state-store.ts before JSON.parse, whose own
 * messages name no line for most mistakes.
 */
import type { Path } from './mistake.ts'

export type SyntaxMistake = {
  /** From 1. */
  readonly line: number
  readonly column: number
  readonly sentence: string
}

const STRING = /"(?:[^"\\\x00-\x1f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y
const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w.])/y
const WORD = /[A-Za-z_]+/y
const SPACE = /[ \t\r\n]*/y
const DEPTH_MAX = 100

/** The first mistake, or null when the text is JSON. */
export function syntaxMistake(text: string): SyntaxMistake | null {
  const reader = new Reader(text)
  try {
    reader.value(0)
    reader.space()
    if (reader.at < text.length) reader.fail('the end of the file was expected here')
    return null
  } catch (error) {
    if (!(error instanceof Found)) throw error
    const before = text.slice(0, reader.at).split('\n')
    return { line: before.length, column: before.at(-1)!.length + 1, sentence: error.message }
  }
}

/**
 * The line, from 1, of the value at a place of a text that is JSON; of what it would be in, where
 * it is missing.
 */
export function lineOf(text: string, place: Path): number {
  const reader = new Reader(text, place)
  reader.value(0)
  return text.slice(0, reader.nearestAt).split('\n').length
}

class Found extends Error {}

class Reader {
  at = 0
  readonly text: string
  /** The place that is looked for, and where the deepest value on the way to it begins. */
  readonly #place: Path
  nearestAt = 0
  #matched = 0

  constructor(text: string, place: Path = []) {
    this.text = text
    this.#place = place
  }

  /** A value under a key or an index: on the way to the place or not. */
  step(step: string | number, depth: number): void {
    const onTheWay = this.#matched === depth && this.#place[depth] === step
    if (onTheWay) {
      this.#matched += 1
      this.space()
      this.nearestAt = this.at
    }
    this.value(depth + 1)
    // Past it: what has the same name elsewhere is not meant.
    if (onTheWay) this.#matched = -1
  }

  value(depth: number): void {
    this.space()
    if (depth > DEPTH_MAX) this.fail('this is nested too deeply')
    const next = this.text[this.at]
    if (next === '{') this.object(depth)
    else if (next === '[') this.list(depth)
    else if (next === '"') this.string()
    else if (this.take(NUMBER) === null) this.word()
  }

  object(depth: number): void {
    const keys = new Set<string>()
    this.at += 1
    this.space()
    if (this.skip('}')) return
    do {
      this.space()
      if (this.text[this.at] === '}') this.fail('a comma before } is one too many')
      if (this.text[this.at] !== '"') this.fail('a key in double quotes was expected here')
      const start = this.at
      const key = this.string()
      if (keys.has(key)) {
        this.at = start
        this.fail(`the key ${JSON.stringify(key)} is there a second time`)
      }
      keys.add(key)
      this.space()
      if (!this.skip(':')) this.fail('a colon was expected here, after the key')
      this.step(key, depth)
      this.space()
    } while (this.skip(','))
    if (!this.skip('}')) this.fail('a comma or } was expected here')
  }

  list(depth: number): void {
    this.at += 1
    this.space()
    if (this.skip(']')) return
    let index = 0
    do {
      this.space()
      if (this.text[this.at] === ']') this.fail('a comma before ] is one too many')
      this.step(index++, depth)
      this.space()
    } while (this.skip(','))
    if (!this.skip(']')) this.fail('a comma or ] was expected here')
  }

  string(): string {
    const found = this.take(STRING)
    if (found === null) this.fail('this text has no closing quote, or holds what JSON forbids')
    return JSON.parse(found) as string
  }

  word(): void {
    const start = this.at
    const word = this.take(WORD)
    if (word === 'true' || word === 'false' || word === 'null') return
    this.at = start
    if (start === this.text.length) this.fail('the file ends here, a value was expected')
    if (this.text[start] === '/' || this.text[start] === '#') this.fail('JSON has no comments')
    if (this.text[start] === "'") this.fail('JSON wants double quotes')
    this.fail(word === null ? 'a value was expected here' : `${word} needs double quotes`)
  }

  space(): void {
    this.take(SPACE)
  }

  skip(character: string): boolean {
    if (this.text[this.at] !== character) return false
    this.at += 1
    return true
  }

  take(pattern: RegExp): string | null {
    pattern.lastIndex = this.at
    const match = pattern.exec(this.text)
    if (match === null) return null
    this.at = pattern.lastIndex
    return match[0]
  }

  fail(sentence: string): never {
    throw new Found(sentence)
  }
}
