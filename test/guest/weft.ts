/**
 * The daemon under test: a child process of this machine, started, signalled and watched.
 * run and checks/outage → weft → src/main.ts serve.
 *
 * Invariant: no daemon outlives the suite; an exit that nobody asked for is remembered as a fault.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { createWriteStream, writeFileSync, type WriteStream } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { createInterface } from 'node:readline'
import { GUARDED, type KeyedHost, MAIN, POOLED, SUBSYSTEMS, type Subsystem, type Target } from './target.ts'
import { MACHINE_ADDRESS } from './vm.ts'

const LOOPBACK = '127.0.0.1'
const READY_TIMEOUT_MS = 60_000
const EXIT_TIMEOUT_MS = 30_000
/** How many of the daemon's last lines a failure quotes. */
const LINES_KEPT = 5
const PROGRAM = join(import.meta.dirname, '../../src/main.ts')

/** How the daemon ended: its exit status, or null and the signal. */
export type Ending = { readonly status: number | null; readonly signal: string | null }

/** Settings of the configuration file beside what is served. */
export type Settings = {
  readonly reactors?: number
  readonly engine?: 'uring' | 'epoll'
  /** Other discovery services that hosts are told of. */
  readonly referrals?: readonly { readonly address: string; readonly port: number }[]
  /** Its discovery controllers are central ones. */
  readonly central?: boolean
  /** Hosts that may ask the discovery service; any, where it is left out. */
  readonly discoveryHosts?: readonly KeyedHost[]
  /** Listeners besides the usual one, or instead of it, with the state of their paths. */
  readonly paths?: readonly (readonly [port: number, state: AnaState])[]
}

export type AnaState = 'optimized' | 'non-optimized' | 'inaccessible' | 'persistent-loss' | 'change'

/** A namespace that a check adds while hosts are connected. */
export type ExtraNamespace = { readonly nsid: number; readonly memory: string; readonly block?: 512 | 4096 }

export class Weft {
  readonly port: number
  readonly discoveryPort: number
  readonly #directory: string
  readonly #log: WriteStream
  /** The process that has taken over; 0: none. */
  #heir = 0
  #child: ChildProcess | null = null
  #lastLines: string[] = []
  #fault: string | null = null
  #reloaded: (message: string) => void = () => {}

  private constructor(directory: string, port: number, discoveryPort: number) {
    this.#directory = directory
    this.port = port
    this.discoveryPort = discoveryPort
    this.#log = createWriteStream(join(directory, 'weft.log'))
  }

  /** Prepares a daemon that keeps its configuration, images and log in directory. */
  static async prepare(directory: string): Promise<Weft> {
    return new Weft(directory, await freePort(), await freePort())
  }

  get target(): Target {
    return { address: MACHINE_ADDRESS, port: this.port, discoveryPort: this.discoveryPort }
  }

  get pid(): number | undefined {
    return this.#child?.pid
  }

  get running(): boolean {
    return this.#child !== null
  }

  /** What went wrong with the daemon since it was last asked, or null. */
  takeFault(): string | null {
    const fault = this.#fault
    this.#fault = null
    return fault
  }

  /** Writes the configuration; returns its path. extra: namespaces that the main subsystem has besides. */
  #configure({ discoveryHosts, central = false, paths, ...settings }: Settings, extra: readonly ExtraNamespace[] = []): string {
    const config = join(this.#directory, 'weft.json')
    const served = [...SUBSYSTEMS, GUARDED, POOLED].map((at) => subsystemConfig(at, this.#directory, at === MAIN ? extra : []))
    writeFileSync(config, JSON.stringify({
      ...settings,
      state: join(this.#directory, 'state'),
      control: join(this.#directory, 'control'),
      listeners: (paths ?? [[this.port, 'optimized']]).map(([port, ana]) => ({ address: LOOPBACK, port, ana })),
      discovery: {
        listeners: [{ address: LOOPBACK, port: this.discoveryPort }], hosts: discoveryHosts ?? 'any',
        central,
      },
      subsystems: served,
    }, null, 2))
    return config
  }

  /** Has it read its configuration again, with these namespaces besides; resolves when that is served. */
  async reload(extra: readonly ExtraNamespace[], settings: Settings = {}): Promise<void> {
    const child = this.#child
    if (child === null) throw new Error('weft is not running')
    this.#configure(settings, extra)
    const said = new Promise<string>((resolve) => { this.#reloaded = resolve })
    child.kill('SIGHUP')
    const late = new Promise<string>((resolve) => setTimeout(resolve, EXIT_TIMEOUT_MS, 'nothing').unref())
    const message = await Promise.race([said, late])
    if (!/what it says is served/.test(message)) throw new Error(`weft said about its configuration: ${message}`)
  }

  /** Starts the daemon and resolves when it says that it is ready. */
  async start(settings: Settings = {}): Promise<void> {
    const config = this.#configure(settings)
    const child = spawn(process.execPath, [PROGRAM, 'serve', '--config', config],
      { stdio: ['ignore', 'pipe', 'pipe'] })
    this.#child = child
    this.#lastLines = []
    const ready = new Promise<void>((resolve, reject) => {
      const timer = setTimeout(() => {
        reject(new Error(`weft was not ready after ${READY_TIMEOUT_MS / 1000} s: ${this.#said()}`))
      }, READY_TIMEOUT_MS)
      child.once('error', reject)
      child.once('exit', (status, signal) => {
        clearTimeout(timer)
        reject(new Error(`weft ended before it was ready (${status ?? signal}): ${this.#said()}`))
      })
      this.#watch(child, () => {
        clearTimeout(timer)
        resolve()
      })
    })
    child.once('exit', (status, signal) => {
      // stop() takes the child out first: whoever is still here left on its own.
      if (this.#child !== child) return
      this.#child = null
      this.#fault = `weft ended by itself (${status ?? signal}): ${this.#said()}`
    })
    await ready
  }

  /** Sends the signal and resolves when the daemon has ended. */
  async stop(signal: 'SIGTERM' | 'SIGKILL'): Promise<Ending> {
    const child = this.#child
    if (child === null) throw new Error('weft is not running')
    this.#child = null
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        child.kill('SIGKILL')
        reject(new Error(`weft had not ended ${EXIT_TIMEOUT_MS / 1000} s after ${signal}`))
      }, EXIT_TIMEOUT_MS)
      child.once('exit', (status, ended) => {
        clearTimeout(timer)
        resolve({ status, signal: ended })
      })
      child.kill(signal)
    })
  }

  /** Another weft takes over; it is not a child, so it is ended by endHeir(). */
  async upgrade(): Promise<void> {
    const child = this.#child
    if (child === null) throw new Error('weft is not running')
    this.#child = null
    const words = [PROGRAM, 'upgrade', '--control', join(this.#directory, 'control'), '--lose-memory']
    const { stdout } = await promisify(execFile)(process.execPath, words).catch((error: Error) => {
      this.#child = child
      throw error
    })
    this.#heir = Number(/process (\d+)/.exec(stdout)?.[1] ?? 0)
    if (this.#heir === 0) throw new Error(`weft upgrade said: ${stdout}`)
  }

  /** Ends what has taken over, in order. */
  async endHeir(): Promise<void> {
    process.kill(this.#heir, 'SIGTERM')
    const deadlineMs = Date.now() + EXIT_TIMEOUT_MS
    while (isAlive(this.#heir)) {
      if (Date.now() > deadlineMs) throw new Error('what had taken over did not end')
      await new Promise((wake) => setTimeout(wake, 100))
    }
    this.#heir = 0
  }

  /** Ends the daemon at once, for good. May be called at any time. */
  destroy(): void {
    if (this.#heir !== 0 && isAlive(this.#heir)) process.kill(this.#heir, 'SIGKILL')
    const child = this.#child
    this.#child = null
    child?.kill('SIGKILL')
    this.#log.end()
  }

  #watch(child: ChildProcess, ready: () => void): void {
    for (const stream of [child.stdout, child.stderr]) {
      if (stream === null) continue
      createInterface({ input: stream }).on('line', (line) => {
        if (!this.#log.writableEnded) this.#log.write(`${line}\n`)
        const { event, message } = readLine(line)
        this.#lastLines.push(message)
        if (this.#lastLines.length > LINES_KEPT) this.#lastLines.shift()
        if (event === 'ready') ready()
        if (/was read again|nothing was changed/.test(message)) this.#reloaded(message)
      })
    }
  }

  #said(): string {
    return this.#lastLines.join(' / ') || '(it said nothing)'
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

/** One line of the log; a line that is not JSON is a message as it stands. */
function readLine(line: string): { readonly event: string | null; readonly message: string } {
  try {
    const { event, message } = JSON.parse(line) as { event?: unknown; message?: unknown }
    return {
      event: typeof event === 'string' ? event : null,
      message: typeof message === 'string' ? message : line,
    }
  } catch {
    return { event: null, message: line }
  }
}

function subsystemConfig(subsystem: Subsystem, directory: string, extra: readonly ExtraNamespace[]): unknown {
  const stem = subsystem.nqn.split(':').at(-1)
  return {
    nqn: subsystem.nqn,
    hosts: subsystem.keyedHosts ?? subsystem.hosts,
    namespaces: [...subsystem.namespaces.map((at) => {
      const size = `${at.bytes / (1024 * 1024)}M`
      const medium = at.kind === 'memory'
        ? { memory: size }
        : { file: join(directory, `${stem}-${at.nsid}.img`), size, create: true }
      return { nsid: at.nsid, ...medium, block: at.blockBytes }
    }), ...extra],
    ...(subsystem.poolBytes === undefined ? {} : { pool: { path: join(directory, `${stem}.pool`), size: subsystem.poolBytes } }),
  }
}

/** A TCP port that is free now; it stays the daemon's over all its restarts. */
export async function freePort(): Promise<number> {
  const server = createServer()
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, LOOPBACK, () => {
      const address = server.address()
      const port = address !== null && typeof address === 'object' ? address.port : 0
      server.close(() => resolve(port))
    })
  })
}
