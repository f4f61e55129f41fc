/**
 * What has to survive a restart: reservations, counters, logs. target makes the one store and whoever keeps
 * something calls it.       `state` in the configuration, --state on the command line.
 *
 *   DIR/nqn.2026-01.com.example%3Adisks.reservations.json     { "what", "version", "subsystem", "state" }
 *
 * Written as a new file beside the old one, synced, renamed over it, and the folder synced: whenever the process
 * or the machine ends, the old file or the new one is there, whole. Nothing is created before something is kept.
 * Invariant: a file that cannot be understood is never written over; load() has refused it before.
 */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import * as files from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { z } from 'zod'
import { lineOf, syntaxMistake } from './json-syntax.ts'
import { pathText, valueAt, type Path } from './mistake.ts'
import { StartError } from './start-error.ts'

/** A kind of file: its name, the version that is written now, and what may be in it. */
export type Subject<Value> = {
  /** Lower-case letters and hyphens. */
  readonly name: string
  /** 1 or more. Files of lower versions have to satisfy the schema too. */
  readonly version: number
  readonly schema: Pick<z.ZodType<Value>, 'safeParse'>
}

/** What of node:fs/promises is used: a test puts a failing one in its place. */
/** A value that is on the medium beside the one that it is to replace. */
export type Prepared = {
  /** It takes the place of the former one. Rejects with a StateError when that is not certain. */
  commit(): Promise<void>
  /** The former one stays. */
  abandon(): Promise<void>
}

export type Disk = Pick<typeof files, 'mkdir' | 'open' | 'rename' | 'unlink'>

/** The state could not be written. The message names the file and the reason. */
export class StateError extends Error {
  override readonly name = 'StateError'
}

/** Characters of a file name that are an NQN; a longer one is cut, and told from others by a digest. */
const NQN_LENGTH_MAX = 150
const DIGEST_LENGTH = 16
const FILE_MODE = 0o600
const FOLDER_MODE = 0o700

export class StateStore {
  readonly folder: string
  readonly #disk: Disk
  /** By path: the last save that was asked for, so that saves of one file come one after another. */
  readonly #saving = new Map<string, Promise<void>>()

  /** folder: an absolute path; it need not exist. */
  constructor(folder: string, disk: Disk = files) {
    this.folder = folder
    this.#disk = disk
  }

  /** Where a subject of a subsystem is kept. */
  path(nqn: string, subject: Pick<Subject<unknown>, 'name'>): string {
    return join(this.folder, `${fileNameOf(nqn)}.${subject.name}.json`)
  }

  /** What was kept, or null when nothing was. Throws StartError where the file is not to be trusted. */
  load<Value>(nqn: string, subject: Subject<Value>): Value | null {
    const path = this.path(nqn, subject)
    const text = readText(path)
    if (text === null) return null
    const syntax = syntaxMistake(text)
    if (syntax !== null) throw refuse(path, syntax.line, syntax.sentence)
    const content = JSON.parse(text) as unknown
    const wrong = (place: Path, allowed: string): StartError => refuse(
      path, lineOf(text, place),
      `${pathText(place)} is ${JSON.stringify(valueAt(content, place)) ?? 'missing'}, allowed: ${allowed}`,
    )
    if (valueAt(content, ['what']) !== subject.name) throw wrong(['what'], JSON.stringify(subject.name))
    const version = valueAt(content, ['version'])
    if (!Number.isInteger(version) || (version as number) < 1) throw wrong(['version'], 'a whole number from 1')
    if ((version as number) > subject.version) {
      throw refuse(path, lineOf(text, ['version']),
        `version ${version} is from a newer weft, this one knows versions up to ${subject.version}`)
    }
    if (valueAt(content, ['subsystem']) !== nqn) throw wrong(['subsystem'], JSON.stringify(nqn))
    const parsed = subject.schema.safeParse(valueAt(content, ['state']))
    if (parsed.success) return parsed.data
    const issue = parsed.error.issues[0]!
    throw wrong(['state', ...issue.path as Path], issue.message)
  }

  /**
   * Resolves when the value is on the medium. Rejects with a StateError when that is not certain: the old one is
   * kept then, unless only the last step failed, the sync of the folder. Saves of one file come one after another.
   */
  save<Value>(nqn: string, subject: Subject<Value>, value: Value): Promise<void> {
    const path = this.path(nqn, subject)
    const text = textOf(nqn, subject, value)
    const before = this.#saving.get(path) ?? Promise.resolve()
    const saved = before.catch(() => {}).then(() => this.#replace(path, text))
    this.#saving.set(path, saved)
    const forget = (): void => {
      if (this.#saving.get(path) === saved) this.#saving.delete(path)
    }
    saved.then(forget, forget)
    return saved
  }

  /**
   * The first half of save(): all that can fail for want of room or permission has been done when it resolves. The
   * caller sees to it that one value of a subject is prepared at a time, and that none is saved meanwhile.
   */
  async prepare<Value>(nqn: string, subject: Subject<Value>, value: Value): Promise<Prepared> {
    const path = this.path(nqn, subject)
    await this.#write(path, textOf(nqn, subject, value))
    return {
      commit: () => this.#commit(path),
      abandon: () => this.#disk.unlink(temporaryOf(path)).catch(() => {}),
    }
  }

  async #replace(path: string, text: string): Promise<void> {
    await this.#write(path, text)
    await this.#commit(path)
  }

  /** Beside the file. */
  async #write(path: string, text: string): Promise<void> {
    const temporary = temporaryOf(path)
    try {
      await this.#makeFolder()
      const file = await this.#disk.open(temporary, 'w', FILE_MODE)
      try {
        await file.writeFile(text)
        await file.sync()
      } finally {
        await file.close()
      }
    } catch (error) {
      throw await this.#failed(path, error)
    }
  }

  async #commit(path: string): Promise<void> {
    try {
      await this.#disk.rename(temporaryOf(path), path)
      await this.#syncFolder(this.folder)
    } catch (error) {
      throw await this.#failed(path, error)
    }
  }

  async #failed(path: string, error: unknown): Promise<StateError> {
    await this.#disk.unlink(temporaryOf(path)).catch(() => {})
    const { code, message } = error as NodeJS.ErrnoException
    return new StateError(`${path} cannot be written (${code ?? message})`)
  }

  /** Each folder that had to be made is synced into the one above it. */
  async #makeFolder(): Promise<void> {
    const first = await this.#disk.mkdir(this.folder, { recursive: true, mode: FOLDER_MODE })
    if (first === undefined) return
    for (let made = this.folder; made.length >= first.length; made = dirname(made)) {
      await this.#syncFolder(dirname(made))
    }
  }

  /** Windows has no such call: its file systems keep a journal of names. */
  async #syncFolder(path: string): Promise<void> {
    if (process.platform === 'win32') return
    const folder = await this.#disk.open(path, 'r')
    try {
      await folder.sync()
    } finally {
      await folder.close()
    }
  }
}

function temporaryOf(path: string): string {
  return `${path}.new`
}

function textOf<Value>(nqn: string, { name, version }: Subject<Value>, value: Value): string {
  return `${JSON.stringify({ what: name, version, subsystem: nqn, state: value }, null, 2)}\n`
}

/** An NQN as part of a file name on any system: what is not a letter, a digit, . _ or - is %XX. */
function fileNameOf(nqn: string): string {
  const plain = [...new TextEncoder().encode(nqn)].map((byte) => {
    const character = String.fromCharCode(byte)
    return /[A-Za-z0-9._-]/.test(character) ? character
      : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`
  }).join('')
  if (plain.length <= NQN_LENGTH_MAX) return plain
  const digest = createHash('sha256').update(nqn).digest('hex').slice(0, DIGEST_LENGTH)
  return `${plain.slice(0, NQN_LENGTH_MAX)}~${digest}`
}

/** null where there is no file. */
function readText(path: string): string | null {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (code === 'ENOENT') return null
    throw new StartError(`The kept state ${path} cannot be read (${code ?? message}).`,
      'Permit it, or choose another folder with --state.')
  }
}

function refuse(path: string, line: number, sentence: string): StartError {
  return new StartError(`The kept state ${path}, line ${line}, cannot be used: ${sentence}.`,
    'Nothing was changed in it. Repair it, or move it away to start without what it keeps.')
}
