/**
 * The reactors as the control plane has them: it posts to them here, and what they post comes through here. One that
 * dies is replaced by another, with what lasts of what they were told (standing.ts).
 *
 *   turns ─ a mistake of our own ─▶ 'died': why ─ its shim is closed ─▶ 'buried' ─▶ lost() ─▶ the next one starts
 *
 * A reactor's number in messages is its index and how often it was started: what is for one that has died never
 * reaches the next one with its index. Regions, files and listeners are the process's: they outlive it.
 * Invariant: the next one starts after the kernel is done with the memory of the one before.
 */
import { Worker } from 'node:worker_threads'
import type { Log } from './control/log.ts'
import { indexOf, numberOf } from './reactor/number.ts'
import type { ReactorSetup, ToControl, ToReactor } from './reactor/messages.ts'
import type { Shim } from './shim/shim.ts'
import { StartError } from './config/start-error.ts'
import { Standing } from './standing.ts'

/** setup: for the one that comes in its place. */
export type ReactorHandle = {
  readonly worker: Worker
  readonly shim: number
  readonly engine: number
  readonly setup: ReactorSetup
}

/** What a reactor has to say while it turns. */
export type Said = Exclude<ToControl, { type: 'up' | 'died' | 'buried' }>

/** So many deaths within so long are taken for an accident each; one more, and starting again does not help. */
export const DEATHS_MAX = 3
export const DEATHS_MS = 600_000
/** How long a reactor that has died may wait for the devices that work for it. */
const BURIAL_MS = 10_000
/** Nobody's shim: it has not said yet which one is its own, and looks at what was posted when it begins. */
const NOWHERE = -1

export type ReactorParts = {
  readonly handles: readonly ReactorHandle[]
  readonly shim: Pick<Shim, 'wake'>
  readonly log: Pick<Log, 'failure' | 'notice' | 'warning'>
  /** index: of the reactor that says it. */
  readonly receive: (message: Said, index: number) => void
  /** It has gone, with all of its connections; its successor is not there yet. number: in messages. */
  readonly lost: (number: number) => void
  /** A reactor has ended, and none comes in its place. */
  readonly ended: () => void
  readonly start?: ((setup: ReactorSetup) => Worker) | undefined
  readonly nowMs?: () => number
}

class Place {
  readonly index: number
  /** How often it was started again. */
  life = 0
  handle: ReactorHandle
  shim: number
  /** Connections, and those on their way to it; Infinity: it gets none. */
  load = 0
  /** Why it died, while it is being buried. */
  death = ''
  overdue: NodeJS.Timeout | undefined

  constructor(index: number, handle: ReactorHandle) {
    this.index = index
    this.handle = handle
    this.shim = handle.shim
  }

  get number(): number {
    return numberOf(this.index, this.life)
  }
}

export class Reactors {
  /** Resolves when one has died and none can take its place. */
  readonly failed: Promise<Error>
  readonly #parts: ReactorParts
  readonly #places: readonly Place[]
  readonly #standing: Standing
  readonly #deathsMs: number[] = []
  #fail: (error: Error) => void = () => {}
  #endedCount = 0
  #allEnded: () => void = () => {}
  #stopping = false

  constructor(parts: ReactorParts) {
    this.#parts = parts
    this.failed = new Promise((resolve) => { this.#fail = resolve })
    this.#standing = new Standing(parts.handles[0]?.setup)
    this.#places = parts.handles.map((handle, index) => new Place(index, handle))
    for (const place of this.#places) this.#watch(place, place.handle.worker)
  }

  get count(): number {
    return this.#places.length
  }

  /** One or more have ended, and none came in its place. */
  get anyEnded(): boolean {
    return this.#endedCount !== 0
  }

  /** number: as in messages. One that has died gets nothing, and neither does its successor. */
  post(number: number, message: ToReactor): void {
    const place = this.#places[indexOf(number)]!
    if (place.number !== number) return
    place.handle.worker.postMessage(message)
    this.#parts.shim.wake(place.shim)
  }

  /** The first reactor accepts on it from now on. */
  listen(listener: number): void {
    const first = this.#places[0]!
    this.#standing.listen(listener)
    if (first.shim !== NOWHERE) this.post(first.number, { type: 'listen', listener })
  }

  broadcast(message: ToReactor): void {
    if (message.type === 'change') this.#standing.note(message.change)
    for (const { number } of this.#places) this.post(number, message)
  }

  /** The number of the one with the fewest connections, which gets one more. */
  choose(): number {
    let least = this.#places[0]!
    for (const place of this.#places) if (place.load < least.load) least = place
    least.load++
    return least.number
  }

  /** A connection of it has gone. */
  relieve(number: number): void {
    const place = this.#places[indexOf(number)]!
    if (place.number === number) place.load--
  }

  /** Ends all of them: hosts have drainMs to go, and all of it takes stopMs at most. */
  async stop(drainMs: number, stopMs: number): Promise<void> {
    this.#stopping = true
    const done = new Promise<void>((resolve) => { this.#allEnded = resolve })
    // One that has died before ends no second time.
    if (this.#endedCount === this.count) return
    const overdue = setTimeout(() => {
      this.#parts.log.warning('A reactor did not stop in time and is ended.')
      for (const { handle } of this.#places) void handle.worker.terminate()
    }, stopMs)
    this.broadcast({ type: 'stop', drainMs })
    await done
    clearTimeout(overdue)
  }

  #watch(place: Place, worker: Worker): void {
    const { life, index, number } = place
    worker.on('message', (message: ToControl) => {
      if (message.type === 'died') this.#died(place, message)
      else if (message.type === 'buried') this.#buried(place)
      else if (message.type === 'up') this.#up(place, message.shim)
      // A reactor knows its index only.
      else this.#parts.receive(life !== 0 && 'reactor' in message ? { ...message, reactor: number } : message, index)
    })
    worker.on('error', (error) => this.#fail(new Error(`reactor ${index} died: ${error.message}`)))
    worker.on('exit', () => {
      if (place.life !== life) return
      clearTimeout(place.overdue)
      if (!this.#stopping) this.#fail(new Error(`reactor ${index} ended unexpectedly`))
      this.#endedCount++
      this.#parts.ended()
      if (this.#endedCount === this.count) this.#allEnded()
    })
  }

  #up(place: Place, shim: number): void {
    place.shim = shim
    if (place.life === 0) return
    this.#parts.log.notice(`Reactor ${place.index} turns again.`, { reactor: place.index })
    // Not before: who stops meanwhile, or removes a listener, closes it.
    if (place.index !== 0 || this.#stopping) return
    for (const listener of this.#standing.listeners) this.post(place.number, { type: 'listen', listener })
  }

  #died(place: Place, { reason, stack }: Extract<ToControl, { type: 'died' }>): void {
    const { log } = this.#parts
    place.death = reason
    place.load = Infinity
    log.failure(`Reactor ${place.index} died: ${reason}. Its connections end.`, { reactor: place.index, stack })
    place.overdue = setTimeout(() => {
      this.#fail(new Error(`reactor ${place.index} died: ${reason}; and a device still works for it`))
    }, BURIAL_MS)
  }

  /** Its shim is closed; what it was sent and did not see, it puts away when it is told to rest. */
  #buried(place: Place): void {
    clearTimeout(place.overdue)
    const { worker } = place.handle
    if (!this.#stopping && this.#mayStartAgain(place)) {
      this.#parts.lost(place.number)
      this.#startAgain(place)
    }
    worker.postMessage({ type: 'stop', drainMs: 0 } satisfies ToReactor)
  }

  #mayStartAgain({ death }: Place): boolean {
    const { nowMs = () => performance.now() } = this.#parts
    const now = nowMs()
    this.#deathsMs.push(now)
    const recent = this.#deathsMs.filter((atMs) => now - atMs < DEATHS_MS)
    if (recent.length <= DEATHS_MAX) return true
    const seconds = Math.max(1, Math.round((now - recent[0]!) / 1000))
    this.#fail(new Error(`reactors died ${recent.length} times in ${seconds} s, the last one of: ${death}`))
    return false
  }

  #startAgain(place: Place): void {
    const { start = spawnReactor } = this.#parts
    const setup = { ...place.handle.setup, ...this.#standing.setup }
    place.life++
    place.handle = { ...place.handle, worker: start(setup), setup }
    place.shim = NOWHERE
    place.load = 0
    place.death = ''
    this.#watch(place, place.handle.worker)
    for (const change of this.#standing.changes) this.post(place.number, { type: 'change', id: 0, change })
  }
}

export function spawnReactor(setup: ReactorSetup): Worker {
  return new Worker(new URL('./reactor-worker.ts', import.meta.url), { workerData: setup })
}

/** Starts the worker of one reactor; resolves when it turns. Rejects with a StartError. */
export function startReactor(setup: ReactorSetup): Promise<ReactorHandle> {
  const worker = spawnReactor(setup)
  return new Promise((resolve, reject) => {
    const failed = (error: Error): void => reject(new StartError(
      `Reactor ${setup.reactor} cannot start: ${error.message}.`,
    ))
    worker.once('error', failed)
    worker.once('message', (message: ToControl) => {
      if (message.type !== 'up') return
      worker.off('error', failed)
      resolve({ worker, shim: message.shim, engine: message.engine, setup })
    })
  })
}
