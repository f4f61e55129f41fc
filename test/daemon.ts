/**
 * The daemon under test as a child process: configured, started, waited for, stopped.
 * test → daemon → src/main.ts over its command line, its standard output and signals only.
 *
 * Invariant: a daemon that a test started is gone when the test file ends, and unless the test
 * killed it, it went with exit code 0 and without a word about anything left over.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { expect } from 'vitest'
import type { Endpoint } from './host.ts'
import { WineProcess, wineNode } from './windows/process.ts'

/** Daemons run under Wine, driven from here: test/windows/run.ts. */
const WINE = wineNode()
const MAIN = fileURLToPath(new URL('../src/main.ts', import.meta.url))
const START_MS = 60_000
const STOP_MS = 30_000
const LINE_MS = 45_000

export const NQN = 'nqn.2026-01.example:weft-test'

export type NamespaceConfig = {
  nsid?: number
  memory?: string
  file?: string
  null?: string
  device?: string
  size?: string
  readOnly?: boolean
  block?: 512 | 4096
  uuid?: string
  qos?: Record<string, number | string>
  hosts?: string[]
  /** One of devices. */
  use?: string
}

/** A host with a key. */
export type HostConfig = {
  nqn: string
  key?: string
  keyFile?: string
  controllerKey?: string
  hashes?: string[]
  dhGroups?: string[]
}

export type HostsConfig = 'any' | (string | HostConfig)[]

export type SubsystemConfig = {
  nqn: string
  label?: string
  hosts?: HostsConfig
  namespaces: NamespaceConfig[]
  pool?: { path: string; size: string }
  controllers?: 'dynamic' | 'static'
  minCntlid?: number
  maxCntlid?: number
}

export type DaemonConfig = {
  reactors?: number
  engine?: 'auto' | 'uring' | 'epoll'
  listeners?: Endpoint[]
  discovery?: Endpoint[] | false | {
    nqn?: string; listeners?: Endpoint[] | false; hosts?: HostsConfig; central?: boolean
  }
  metrics?: Endpoint
  announce?: boolean
  register?: { address: string; port?: number }[]
  referrals?: { address: string; port?: number; subnqn?: string; hosts?: string[] }[]
  devices?: Record<string, Omit<NamespaceConfig, 'nsid' | 'qos' | 'use'>>
  subsystems?: SubsystemConfig[]
  limits?: Record<string, number | string>
  /** What survives a restart; a folder of the daemon's own, removed when it exits, unless given. */
  state?: string
  /** Its control socket; one of the daemon's own, beside its configuration, unless given. */
  control?: string | false | { socket?: string | false; http?: object }
}

/** What each reactor says of itself on SIGUSR2. */
export type ReactorStatistics = { collections: number; commands: number; slotsInUse: number }

/** One JSON line of the daemon's output. */
export type LogLine = Record<string, unknown>

export class Daemon {
  readonly child: ChildProcess
  /** Its configuration file. */
  readonly path: string
  /** The configuration that it was started with. */
  readonly configured: string
  /** Where hosts connect. */
  endpoint: Endpoint = { address: '', port: 0 }
  /** Every "listening" line, in order. */
  readonly listening: Endpoint[] = []
  /** Everything it wrote on standard output, decoded. */
  readonly lines: LogLine[] = []
  /** What it wrote that is not JSON, on either stream. */
  text = ''
  private readonly watchers = new Set<() => void>()
  /** Resolves when it has exited and everything that it wrote was read. */
  private readonly closed: Promise<unknown>

  constructor(child: ChildProcess, path: string) {
    this.child = child
    this.path = path
    this.configured = readFileSync(path, 'utf8')
    if (child.stdout === null || child.stderr === null) throw new Error('no pipes to the daemon')
    createInterface({ input: child.stdout }).on('line', (line) => this.heard(line))
    createInterface({ input: child.stderr }).on('line', (line) => this.heard(line))
    child.on('exit', () => this.notify())
    this.closed = new Promise((resolve) => child.once('close', resolve))
  }

  get exited(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null
  }

  private notify(): void {
    for (const watcher of [...this.watchers]) watcher()
  }

  private heard(line: string): void {
    try {
      const decoded = JSON.parse(line) as LogLine
      this.lines.push(decoded)
      if (decoded['event'] === 'listening') {
        const at = { address: String(decoded['address']), port: Number(decoded['port']) }
        this.listening.push(at)
      }
    } catch {
      this.text += `${line}\n`
    }
    this.notify()
  }

  /**
   * Resolves with the first line, past (from number `from` on) or to come, that satisfies `wanted`, which is asked
   * once for each: after an hour under load there are very many.
   */
  line(wanted: (line: LogLine) => boolean, what: string, waitMs = LINE_MS, from = 0): Promise<LogLine> {
    let next = from
    return new Promise((resolve, reject) => {
      const stop = (): void => {
        clearTimeout(timer)
        this.watchers.delete(look)
      }
      const fail = (why: string): void => {
        stop()
        const tail = this.lines.slice(-20).map((line) => JSON.stringify(line)).join('\n')
        reject(new Error(`${why} before ${what}\n${this.text}${tail}`))
      }
      const look = (): void => {
        while (next < this.lines.length) {
          const line = this.lines[next++] as LogLine
          if (!wanted(line)) continue
          stop()
          return resolve(line)
        }
        if (this.exited) fail('the daemon exited')
      }
      const timer = setTimeout(() => fail(`${waitMs} ms passed`), waitMs)
      this.watchers.add(look)
      look()
    })
  }

  /** Resolves with the exit code, when all that it wrote is in `lines` and `text`; -1 when a signal ended it. */
  async exit(waitMs = STOP_MS): Promise<number> {
    if (!this.exited) {
      const late = AbortSignal.timeout(waitMs)
      await once(this.child, 'exit', { signal: late }).catch(() => {
        throw new Error(`the daemon still runs after ${waitMs} ms\n${this.text}`)
      })
    }
    await this.closed
    return this.child.exitCode ?? -1
  }

  signal(name: NodeJS.Signals): void {
    this.child.kill(name)
  }

  /** SIGTERM, and the end that an operator is promised: code 0, nothing left over. */
  async stop(): Promise<void> {
    this.signal('SIGTERM')
    try {
      expect(await this.exit(), this.text).toBe(0)
    } finally {
      await this.kill()
    }
    const left = this.lines.filter((line) => /leak/i.test(JSON.stringify(line)))
    expect(left).toEqual([])
    expect(this.text).not.toMatch(/leak|assert/i)
  }

  async kill(): Promise<void> {
    if (this.exited) return
    this.child.kill('SIGKILL')
    await this.exit()
  }

  /** Writes another configuration, or whatever text, and has it read. The lines about it, the last one last. */
  async reload(config: DaemonConfig | string): Promise<string[]> {
    const said = this.lines.length
    const { state, control } = JSON.parse(this.configured) as { state: string; control: string }
    writeFileSync(this.path, typeof config === 'string' ? config : JSON.stringify({ state, control, ...config }))
    this.signal('SIGHUP')
    const ends = (line: LogLine): boolean => /was read again|nothing was changed/.test(String(line['message']))
    await this.line(ends, 'it read its configuration again', LINE_MS, said)
    return this.lines.slice(said).map((line) => String(line['message']))
  }

  /** What the reactors count, asked for and answered now; what was logged before is in `lines` then. */
  async statistics(): Promise<ReactorStatistics[]> {
    const said = this.lines.length
    this.signal('SIGUSR2')
    const report = await this.line(({ event }) => event === 'statistics', 'it wrote its statistics', LINE_MS, said)
    return report['reactors'] as ReactorStatistics[]
  }

  /** Command slots that no reactor has given back yet. */
  async slotsInUse(): Promise<number> {
    return (await this.statistics()).reduce((sum, one) => sum + one.slotsInUse, 0)
  }

  /** Resident memory in bytes, as the kernel counts it. */
  async residentBytes(): Promise<number> {
    const status = await readFile(`/proc/${this.child.pid}/status`, 'utf8')
    return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1] ?? 0) * 1024
  }
}

const LOOPBACK: Endpoint = { address: '127.0.0.1', port: 0 }

/** A configuration that serves one memory namespace of 512-byte blocks to anybody. */
export function configuration(changes: DaemonConfig = {}): DaemonConfig {
  return {
    reactors: 1,
    listeners: [LOOPBACK],
    discovery: false,
    subsystems: [{ nqn: NQN, hosts: 'any', namespaces: [{ nsid: 1, memory: '64M' }] }],
    ...changes,
  }
}

/** A directory of the test's own; removed by removeDirectory. */
export function temporaryDirectory(): string {
  return mkdtempSync(join(tmpdir(), 'weft-test-'))
}

export function removeDirectory(path: string): void {
  rmSync(path, { recursive: true, force: true })
}

/** Starts it without waiting; `wrapper` is a command that executes the rest of its arguments. */
export function spawnDaemon(
  config: DaemonConfig,
  wrapper: readonly string[] = [],
  nodeFlags: readonly string[] = [],
): Daemon {
  const directory = temporaryDirectory()
  const path = join(directory, 'weft.json')
  const control = WINE === null ? join(directory, 'weft.sock') : `\\\\.\\pipe\\${basename(directory)}`
  writeFileSync(path, JSON.stringify({ state: join(directory, 'state'), control, ...config }))
  const child = spawnServe(directory, path, wrapper, nodeFlags)
  child.once('exit', () => removeDirectory(directory))
  return new Daemon(child, path)
}

function spawnServe(
  directory: string, path: string, wrapper: readonly string[], nodeFlags: readonly string[],
): ChildProcess {
  if (WINE !== null) {
    const words = [...nodeFlags, 'src/main.ts', 'serve', '--config', path]
    return new WineProcess(WINE, words, join(directory, 'output')) as unknown as ChildProcess
  }
  const [program, ...words] = [...wrapper, process.execPath, ...nodeFlags, MAIN, 'serve', '--config', path]
  return spawn(program as string, words, { stdio: ['ignore', 'pipe', 'pipe'] })
}

/** Starts it and waits until it serves. */
export async function startDaemon(
  config: DaemonConfig = configuration(),
  wrapper: readonly string[] = [],
  nodeFlags: readonly string[] = [],
): Promise<Daemon> {
  const daemon = spawnDaemon(config, wrapper, nodeFlags)
  try {
    await daemon.line((line) => line['event'] === 'ready', 'it was ready', START_MS)
  } catch (error) {
    await daemon.kill()
    throw error
  }
  const first = daemon.listening[0]
  if (first === undefined) throw new Error('it never said where it listens')
  daemon.endpoint = first
  return daemon
}
