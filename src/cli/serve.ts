/**
 * `weft serve`: starts the target, says so, and stops it when asked. main.ts → here → target.
 *
 * Everything from outside comes in through ServeParts, so that a test can take its place.
 * Exit status: 0 when it stopped because it was told to, 1 when it could not start or go on.
 */
import type { Config } from '../config/config.ts'
import { StartError } from '../config/start-error.ts'
import { type Log, endpointText } from '../control/log.ts'
import type { Service } from '../control/service.ts'
import type { Shim } from '../shim/shim.ts'
import type { Inherited } from '../tcp/listener.ts'
import type { Target } from '../target.ts'
import { bannerText, connectCommands } from './banner.ts'
import type { Serving } from './banner.ts'
import { reload, type ReloadParts } from './reload.ts'
import type { Succession } from './succession.ts'
import { VERSION } from './version.ts'

export type ServedTarget = Serving & Pick<Target, 'stop' | 'stopForNext' | 'inheritance' | 'failed' | 'pulse'> & {
  readonly live: Pick<Target['live'], 'update' | 'config'>
}

/** What a target can be controlled through. */
export type ServedControl = { close(): Promise<void> }

export type ServeParts<Served extends ServedTarget = ServedTarget> = {
  /** inherited: what listens already. */
  readonly startTarget: (config: Config, log: Log, inherited?: readonly Inherited[]) => Promise<Served>
  /** Opens the control interface. Throws a StartError. */
  readonly openControl: (target: Served) => Promise<ServedControl>
  readonly log: Log
  /** Prints for a person; null when the log is for machines. */
  readonly print: ((text: string) => void) | null
  readonly complain: (text: string) => void
  /** What was typed: "weft", or "npm start --". */
  readonly command: string
  /** Calls `stop` with the name of each signal that asks weft to end; returns how to stop that. */
  readonly onSignal: (stop: (signal: string) => void) => () => void
  /** Who started weft and wants to know how it is. */
  readonly service: Pick<Service, 'ready' | 'reloading' | 'stopping' | 'watch' | 'handOver'>
  /** Gives up what is needed to open things, and no longer; throws a StartError. */
  readonly drop: () => void
  /** The next hand-over to another weft; asked for as long as this one serves. */
  readonly nextSuccession: () => Promise<Succession>
  /** Gives sockets to it. */
  readonly shim: Pick<Shim, 'pass'>
  /** Hosts may connect: whoever is taken over from may go. */
  readonly arrived: () => Promise<void>
  /** null: there is no file that could be read again. */
  readonly reload: ReloadParts | null
  /** Ends the process at once. */
  readonly exit: (status: number) => void
}

/** Acknowledged writes are durable within it or the medium is broken; 5 s is what is promised. */
export const STOP_MS = 4500
/** npm passes on the Ctrl-C that the terminal sends too: within this time it is the same one. */
export const SAME_SIGNAL_MS = 500
const STATUS_INTERRUPTED = 130

/** Returns the exit status. */
export async function serve<Served extends ServedTarget>(
  config: Config, parts: ServeParts<Served>,
): Promise<number> {
  const { log } = parts
  const asked = askedToStop(parts)
  const reloads = new Reloads(parts)
  log.started({ version: VERSION, pid: process.pid, node: process.version })
  try {
    const starting = parts.startTarget(config, log)
    const target = await Promise.race([starting, asked.signal])
    if (typeof target === 'string') return stopStarting(starting, target, parts)
    const control = await openControl(target, parts)
    await dropPrivileges(target, control, parts)
    await parts.arrived()
    parts.print?.(bannerText(config, target, VERSION, parts.command))
    const connect = connectCommands(config.subsystems, target.listeners)
    log.ready({ engine: target.engine, reactors: target.reactors, connect })
    parts.service.ready(statusText(target))
    return await goOn({ target, control }, asked.signal, reloads, parts)
  } catch (error) {
    if (!(error instanceof StartError)) throw error
    parts.complain(startErrorText(error))
    return 1
  } finally {
    asked.forget()
    reloads.forget()
  }
}

type Running<Served> = { readonly target: Served; readonly control: ServedControl }

/** Serves until it is told to stop, fails, or another weft serves instead. Returns the exit status. */
async function goOn<Served extends ServedTarget>(
  first: Running<Served>, signal: Promise<string>, reloads: Reloads, parts: ServeParts<Served>,
): Promise<number> {
  let running = first
  for (;;) {
    const { target, control } = running
    parts.service.watch(() => target.pulse())
    reloads.begin(target)
    const reason = await Promise.race([signal, target.failed, parts.nextSuccession()])
    reloads.pause()
    if (typeof reason === 'string' || reason instanceof Error) {
      if (typeof reason !== 'string') parts.log.failure(`The target failed: ${reason.message}`)
      await within(STOP_MS, control.close())
      return stopTarget(target, reason, parts)
    }
    const next = await handOver(running, reason, parts)
    if (next === null) return 0
    running = next
  }
}

/** null: the other one serves. Else what serves on, which is a new target when the old one was stopped already. */
async function handOver<Served extends ServedTarget>(
  running: Running<Served>, succession: Succession, parts: ServeParts<Served>,
): Promise<Running<Served> | null> {
  const { target, control } = running
  const { log, service } = parts
  const who = `weft ${succession.version} (process ${succession.pid})`
  const why = succession.pass(parts.shim, target.inheritance)
  if (why !== '') {
    await succession.cancel()
    log.failure(`${who} does not take over: ${why}.`)
    return running
  }
  log.notice(`${who} takes over: connections end, and hosts connect again to the same addresses.`)
  await within(STOP_MS, control.close())
  const inherited = await target.stopForNext()
  // Nothing turns now, and that is right.
  service.watch(() => Promise.resolve())
  if (await succession.yours()) {
    service.handOver(succession.pid)
    succession.done()
    log.notice(`${who} serves now.`)
    return null
  }
  log.failure(`${who} did not become ready and was ended; its log says why. This weft serves on.`)
  const again = await parts.startTarget(target.live.config, log, inherited)
  return { target: again, control: await openControl(again, parts) }
}

/** A target that cannot be controlled as it was told to be is stopped again. */
async function openControl<Served extends ServedTarget>(
  target: Served, parts: ServeParts<Served>,
): Promise<ServedControl> {
  try {
    return await parts.openControl(target)
  } catch (error) {
    await within(STOP_MS, target.stop())
    throw error
  }
}

/** Reloads what is served each time that somebody asks, from when it is served; before, once it is. */
class Reloads {
  readonly #parts: Pick<ServeParts, 'reload' | 'log' | 'service'>
  #target: ServedTarget | null = null
  #early = false
  readonly forget: () => void

  constructor(parts: Pick<ServeParts, 'reload' | 'log' | 'service'>) {
    this.#parts = parts
    this.forget = parts.reload?.onSignal(() => this.#asked()) ?? (() => {})
  }

  begin(target: ServedTarget): void {
    this.#target = target
    const asked = this.#early
    this.#early = false
    if (asked) this.#asked()
  }

  /** Until the next begin(). */
  pause(): void {
    this.#target = null
  }

  #asked(): void {
    if (this.#target === null) this.#early = true
    else void this.#reload(this.#target)
  }

  async #reload(target: ServedTarget): Promise<void> {
    const { reload: parts, service, log } = this.#parts
    service.reloading()
    await reload(target.live, parts!, log)
    service.ready(statusText(target))
  }
}

/** What systemctl status shows. */
function statusText({ namespaces, listeners }: Serving): string {
  const count = namespaces.length === 1 ? '1 namespace' : `${namespaces.length} namespaces`
  return `Serves ${count} on ${listeners.map(endpointText).join(', ')}.`
}

/** Whoever may not become the user that he named serves nothing. */
async function dropPrivileges(target: ServedTarget, control: ServedControl, { drop }: Pick<ServeParts, 'drop'>): Promise<void> {
  try {
    drop()
  } catch (error) {
    await within(STOP_MS, control.close())
    await within(STOP_MS, target.stop())
    throw error
  }
}

export function startErrorText({ message, remedy }: StartError): string {
  return `weft cannot start: ${message}${remedy === '' ? '' : `\n${remedy}`}\n`
}

/** The first signal; a second one, a moment later, ends the process at once. */
function askedToStop(parts: Pick<ServeParts, 'onSignal' | 'exit'>): { signal: Promise<string>; forget: () => void } {
  let forget = () => {}
  const signal = new Promise<string>((resolve) => {
    let first = 0
    forget = parts.onSignal((name) => {
      if (first === 0) {
        first = Date.now()
        resolve(name)
      } else if (Date.now() - first > SAME_SIGNAL_MS) {
        parts.exit(STATUS_INTERRUPTED)
      }
    })
  })
  return { signal, forget: () => forget() }
}

/** A target that is still opening is stopped as soon as it stands: nothing half open remains. */
async function stopStarting(
  starting: Promise<ServedTarget>, signal: string, parts: Pick<ServeParts, 'log' | 'service'>,
): Promise<number> {
  const target = await within(STOP_MS, starting)
  if (target === null) return 1
  return stopTarget(target, signal, parts)
}

async function stopTarget(
  target: ServedTarget, reason: string | Error, { log, service }: Pick<ServeParts, 'log' | 'service'>,
): Promise<number> {
  service.stopping()
  log.stopping({ reason: typeof reason === 'string' ? reason : 'it failed' })
  const stopped = await within(STOP_MS, target.stop().then(() => true))
  if (stopped === null) {
    log.failure('The target did not stop in time; writes that were not acknowledged may be lost.')
    return 1
  }
  log.stopped()
  return typeof reason === 'string' ? 0 : 1
}

/** null when it takes longer. */
function within<Value>(milliseconds: number, promise: Promise<Value>): Promise<Value | null> {
  let timer: NodeJS.Timeout
  const late = new Promise<null>((resolve) => {
    timer = setTimeout(() => resolve(null), milliseconds)
  })
  return Promise.race([promise, late]).finally(() => clearTimeout(timer))
}
