/**
 * What weft tells the manager of services that started it: that it serves, reads its configuration again, stops,
 * and that it is alive.   cli/serve → here → shim.                                    sd_notify(3), systemd.service(5)
 *
 *   NOTIFY_SOCKET ◀─ READY=1  RELOADING=1 … READY=1  WATCHDOG=1 …  STOPPING=1
 *
 * Invariant: WATCHDOG=1 is sent only after every reactor has turned since the one before.
 */
import { errnoName, type Shim } from '../shim/shim.ts'
import type { Log } from './log.ts'

/** A sign of life is given this often in the time that the manager allows, so that one may come late. */
const SIGNS = 3
const US_PER_MS = 1000
const NS_PER_US = 1000n

type Environment = Readonly<Record<string, string | undefined>>

export class Service {
  readonly #socket: string
  readonly #watchdogMs: number
  readonly #environment: Environment
  readonly #send: Shim['notify']
  readonly #log: Pick<Log, 'warning'>
  #timer: NodeJS.Timeout | undefined
  #asked = false
  #warned = false

  /** Takes the socket out of the environment: what weft starts is not the service. */
  constructor(environment: Record<string, string | undefined>, send: Shim['notify'], log: Pick<Log, 'warning'>) {
    this.#socket = environment.NOTIFY_SOCKET ?? ''
    this.#watchdogMs = watchdogMs(environment)
    this.#send = send
    this.#log = log
    const { NOTIFY_SOCKET, WATCHDOG_USEC } = environment
    this.#environment = { NOTIFY_SOCKET, WATCHDOG_USEC }
    for (const name of ['NOTIFY_SOCKET', 'WATCHDOG_USEC', 'WATCHDOG_PID']) delete environment[name]
  }

  /** For a process that becomes the service. */
  get environment(): Environment {
    return this.#environment
  }

  /** How often the manager wants a sign of life, in ms; 0: never. */
  get watchdogMs(): number {
    return this.#watchdogMs
  }

  ready(status: string): void {
    this.#tell('READY=1', `STATUS=${status}`)
  }

  /** The next word has to be ready(). */
  reloading(): void {
    const nowUs = process.hrtime.bigint() / NS_PER_US
    this.#tell('RELOADING=1', `MONOTONIC_USEC=${nowUs}`, 'STATUS=Reads its configuration again.')
  }

  stopping(): void {
    clearInterval(this.#timer)
    this.#tell('STOPPING=1', 'STATUS=Ends connections, and flushes what was written.')
  }

  /** Another process is the service from now on. */
  handOver(pid: number): void {
    clearInterval(this.#timer)
    this.#tell(`MAINPID=${pid}`)
  }

  /** pulse resolves when every reactor has turned. One that does not turn any more stops the signs of life. */
  watch(pulse: () => Promise<void>): void {
    clearInterval(this.#timer)
    if (this.#watchdogMs === 0) return
    this.#timer = setInterval(() => {
      if (this.#asked) return
      this.#asked = true
      void pulse().then(() => {
        this.#asked = false
        this.#tell('WATCHDOG=1')
      })
    }, this.#watchdogMs / SIGNS)
    this.#timer.unref()
  }

  #tell(...lines: string[]): void {
    if (this.#socket === '') return
    const result = this.#send(this.#socket, `${lines.join('\n')}\n`)
    if (result === 0 || this.#warned) return
    this.#warned = true
    this.#log.warning(`The manager of services cannot be told anything at ${this.#socket} (${errnoName(result)}).`)
  }
}

/** Meant for another process where the manager names one. */
function watchdogMs({ WATCHDOG_USEC: limit, WATCHDOG_PID: pid, NOTIFY_SOCKET: socket }: Environment): number {
  if (socket === undefined || (pid !== undefined && Number(pid) !== process.pid)) return 0
  const us = Number(limit)
  return Number.isFinite(us) && us > 0 ? us / US_PER_MS : 0
}
