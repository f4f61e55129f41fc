/**
 * Hand-overs that are asked for over the control interface, for serve.ts, which does them one after the other. The
 * method weft_upgrade asks; serve-command puts the two together.
 *
 * Invariant: one at a time; whoever asks hears at once when the next weft cannot start, and nothing has changed then.
 */
import { accessSync, constants } from 'node:fs'
import type { Backing, Config } from '../config/config.ts'
import { Succession, SuccessionError, type SuccessionWish } from './succession.ts'

export type UpgradeWish = {
  /** Program and leading arguments of the next weft. */
  readonly program: readonly string[]
  /** What is in memory may be lost. */
  readonly losesMemory: boolean
}

export class Upgrades {
  readonly #wish: Omit<SuccessionWish, 'program'>
  #busy = false
  #next: (succession: Succession) => void = () => {}

  /** wish: with what the next one is started. */
  constructor(wish: Omit<SuccessionWish, 'program'>) {
    this.#wish = wish
  }

  /** Resolves with the next hand-over; called again when it has failed. */
  next(): Promise<Succession> {
    this.#busy = false
    return new Promise((resolve) => { this.#next = resolve })
  }

  /** config: what is served now. Resolves when the next weft is about to take over. Throws a SuccessionError. */
  async ask({ program, losesMemory }: UpgradeWish, config: Config): Promise<{ version: string; pid: number }> {
    if (process.platform === 'win32') throw new SuccessionError('Sockets cannot be handed over on this system.')
    const inMemory = storageIn(config).filter(({ backing }) => backing.kind === 'memory')
    if (inMemory.length !== 0 && !losesMemory) {
      const names = inMemory.map(({ name }) => name).join(', ')
      throw new SuccessionError(`What is in memory is not carried over: ${names}. If it may be lost, say --lose-memory.`)
    }
    const closed = storageIn(config).filter(({ backing, readOnly }) => !isOpenable(backing, readOnly))
    if (closed.length !== 0) {
      // Neither the next one nor, if that fails, this one could serve it again.
      throw new SuccessionError(`weft gave up the rights to open ${closed.map(({ name }) => name).join(', ')}, so nobody `
        + 'can take over from it. Restart it instead: hosts wait for that too.')
    }
    if (this.#busy) throw new SuccessionError('A hand-over is under way already.')
    this.#busy = true
    try {
      const succession = await Succession.begin({ ...this.#wish, program })
      this.#next(succession)
      return { version: succession.version, pid: succession.pid }
    } catch (error) {
      this.#busy = false
      throw error
    }
  }
}

type Storage = { readonly name: string; readonly backing: Backing; readonly readOnly: boolean }

function storageIn({ subsystems, devices = [] }: Config): Storage[] {
  return [
    ...devices.map(({ name, backing, readOnly }) => ({ name: `device ${name}`, backing, readOnly })),
    ...subsystems.flatMap(({ nqn, namespaces }) => namespaces.filter(({ use }) => use === undefined)
      .map(({ nsid, backing, readOnly }) => ({ name: `namespace ${nsid} of ${nqn}`, backing, readOnly }))),
  ]
}

function isOpenable(backing: Backing, readOnly: boolean): boolean {
  // Who drives a controller was root, or had its files given to him.
  if (backing.kind === 'pci') return process.getuid?.() === 0
  if (!('path' in backing)) return true
  try {
    accessSync(backing.path, readOnly ? constants.R_OK : constants.R_OK | constants.W_OK)
    return true
  } catch {
    return false
  }
}
