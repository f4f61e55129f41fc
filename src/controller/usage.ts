/**
 * Usage: how much space a namespace takes, where that may be less than its size: in a file that gets space
 * when blocks are written first. target makes it, and has it look every second; identify tells it, as NUSE.
 *
 *   commands, or another target ─▶ tick ─▶ stat ─▶ the shared block ─▶ identify, on any reactor
 *
 * A file that nobody uses is looked at in turn, one a second: others may change it too.   NVM Command Set 1.0, 4.1
 * Invariant: a namespace that takes the numbers of another one begins without a figure.
 */
import type { DeviceSnapshot, SubsystemSnapshot } from '../subsystem/subsystem.ts'
import { isSparse } from './capabilities.ts'
import { COUNT, type Shared } from './shared.ts'

export type UsageParts = {
  readonly shared: Pick<Shared, 'total' | 'setUsed'>
  /** Bytes that a file takes, null where that cannot be told. */
  readonly bytesOf: (path: string) => Promise<number | null>
}

type Entry = {
  readonly path: string
  readonly uuid: string
  /** Commands that were counted when it was looked at last. */
  commands: number
  /** Something may have changed since: it is looked at once more after the last command. */
  stale: boolean
  looking: boolean
}

export class Usage {
  readonly #parts: UsageParts
  /** By counter. */
  readonly #entries = new Map<number, Entry>()
  #turn = 0

  constructor(parts: UsageParts) {
    this.#parts = parts
  }

  /** What is exported from now on, before reactors know. */
  adopt(subsystems: readonly SubsystemSnapshot[]): void {
    const present = new Set<number>()
    for (const { counter, uuid, path } of subsystems.flatMap(sparseOf)) {
      present.add(counter)
      const known = this.#entries.get(counter)
      if (known !== undefined && known.uuid === uuid && known.path === path) known.stale = true
      else this.#enter(counter, { path, uuid, commands: -1, stale: true, looking: false })
    }
    for (const counter of [...this.#entries.keys()]) if (!present.has(counter)) this.#leave(counter)
  }

  /** Looks at what may have changed. Resolves when that is done; nobody has to wait for it. */
  async tick(): Promise<void> {
    const entries = [...this.#entries]
    const next = entries.length === 0 ? undefined : entries[this.#turn++ % entries.length]
    await Promise.all(entries.map(async ([counter, entry]) => {
      const commands = this.#parts.shared.total(counter, COUNT.WRITES) + this.#parts.shared.total(counter, COUNT.OTHERS)
      const changed = commands !== entry.commands
      if (entry.looking || !(changed || entry.stale || entry === next?.[1])) return
      entry.commands = commands
      entry.stale = changed
      await this.#look(counter, entry)
    }))
  }

  async #look(counter: number, entry: Entry): Promise<void> {
    entry.looking = true
    const bytes = await this.#parts.bytesOf(entry.path)
    entry.looking = false
    if (this.#entries.get(counter) === entry) this.#parts.shared.setUsed(counter, bytes)
  }

  #enter(counter: number, entry: Entry): void {
    this.#entries.set(counter, entry)
    this.#parts.shared.setUsed(counter, null)
  }

  #leave(counter: number): void {
    this.#entries.delete(counter)
    this.#parts.shared.setUsed(counter, null)
  }
}

type Sparse = { readonly counter: number; readonly uuid: string; readonly path: string }

function sparseOf({ namespaces }: SubsystemSnapshot): Sparse[] {
  return namespaces.flatMap(({ counter, uuid, device }) =>
    isSparse(device) && 'path' in device && !isPart(device) ? [{ counter, uuid, path: device.path }] : [])
}

/** What a part of a file takes cannot be told from the file. */
function isPart(device: DeviceSnapshot): boolean {
  return device.kind === 'file' && device.base !== undefined
}
