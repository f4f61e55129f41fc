/**
 * The targets of a comparison as processes: weft itself, the C responder, and a peer that somebody
 * else started.          bench.ts → target → src/main.ts, bench/native/responder.
 *
 * Only processes started here are ended here. A peer is at most paused while another target is
 * measured: one that spins would take half of the core that both are pinned to.
 */
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { RESPONDER } from './load.ts'
import type { Target } from './load.ts'

export const NQN = 'nqn.2024-01.io.weft:bench'
const START_MS_MAX = 20_000
const TICKS_PER_SECOND = 100

export type Running = {
  readonly target: Target
  readonly startedMs: number
  stop(): Promise<void>
}

export type WeftChoice = {
  readonly cpu: number
  /** Further words for `weft serve`. */
  readonly words: readonly string[]
  readonly nodeFlags?: readonly string[]
  /** In tables, where it is not the only one: weft. */
  readonly name?: string
}

/** Starts `weft serve` on a free port of the loopback and waits until it answers an ICReq. */
export async function startWeft(choice: WeftChoice): Promise<Running> {
  const port = await freePort()
  const main = join(import.meta.dirname, '..', 'src', 'main.ts')
  // Whoever names processors, to serve with several reactors say, chooses them all.
  const cpus = choice.words.includes('--cpus') ? [] : ['--cpus', String(choice.cpu)]
  const state = mkdtempSync(join(tmpdir(), 'weft-bench-'))
  const began = performance.now()
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning',
    ...choice.nodeFlags ?? [], main, 'serve',
    '--memory', '1G', '--null', '1T', ...cpus, '--listen', `127.0.0.1:${port}`,
    '--nqn', NQN, '--state', state, ...choice.words],
  { stdio: ['ignore', 'pipe', 'inherit'] })
  child.on('exit', () => rmSync(state, { recursive: true, force: true }))
  child.stdout.resume()
  await untilAnswered(port, child)
  const startedMs = performance.now() - began
  const name = choice.name ?? 'weft'
  const target = { name, address: '127.0.0.1', port, nqn: NQN, pid: child.pid! }
  return { target, startedMs, stop: () => stop(child) }
}

/** Starts the C responder on a port of the system's choice. */
export async function startResponder(cpu: number, stores: boolean): Promise<Running> {
  const began = performance.now()
  const child = spawn(RESPONDER, ['--cpu', String(cpu), ...stores ? ['--store'] : []],
    { stdio: ['ignore', 'pipe', 'inherit'] })
  const port = await new Promise<number>((resolve, reject) => {
    child.on('exit', () => reject(new Error('the responder did not start')))
    createInterface({ input: child.stdout }).on('line', (line) =>
      resolve((JSON.parse(line) as { port: number }).port))
  })
  const target = { name: 'responder', address: '127.0.0.1', port, nqn: NQN, pid: child.pid! }
  return { target, startedMs: performance.now() - began, stop: () => stop(child) }
}

/** "HOST:PORT/NQN", IPv6 hosts in brackets. Throws a sentence that says what is wrong. */
export function parsePeer(text: string, pid: number | null): Target {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:/]+)):(\d+)\/(nqn\..+)$/.exec(text)
  const port = Number(match?.[3])
  if (match === null || port < 1 || port > 65535)
    throw new Error(`--against is '${text}'; allowed: HOST:PORT/NQN, as 127.0.0.1:4420/nqn.2024…`)
  return { name: 'peer', address: match[1] ?? match[2]!, port, nqn: match[4]!, pid }
}

/** Stops and continues a process around the measurement of another one. */
export function pause(target: Target, paused: boolean): void {
  if (target.pid !== null) process.kill(target.pid, paused ? 'SIGSTOP' : 'SIGCONT')
}

/** CPU seconds of all threads of a process so far. */
export function cpuSeconds(pid: number): number {
  const text = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND
}

/** Resident bytes of a process, shared memory included. */
export function residentBytes(pid: number): number {
  const match = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))
  return Number(match?.[1]) * 1024
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

/** Tries until an ICReq is answered in whole. */
async function untilAnswered(port: number, child: ChildProcess): Promise<void> {
  const end = performance.now() + START_MS_MAX
  while (performance.now() < end) {
    if (child.exitCode !== null) throw new Error(`weft ended with status ${child.exitCode}`)
    if (await answersInitialize(port)) return
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
  child.kill('SIGKILL')
  throw new Error(`weft did not answer within ${START_MS_MAX / 1000} s`)
}

function answersInitialize(port: number): Promise<boolean> {
  const request = Buffer.alloc(128)
  request[2] = 128
  request[4] = 128
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    let bytes = 0
    const end = (answered: boolean): void => {
      socket.destroy()
      resolve(answered)
    }
    socket.on('connect', () => socket.write(request))
    socket.on('data', (chunk) => {
      bytes += chunk.length
      if (bytes >= 128) end(chunk.length === 128 && chunk[0] === 1)
    })
    socket.on('error', () => end(false))
    socket.on('close', () => end(false))
  })
}

function stop(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) return resolve()
    const late = setTimeout(() => child.kill('SIGKILL'), 6000)
    child.on('exit', () => {
      clearTimeout(late)
      resolve()
    })
    child.kill('SIGTERM')
  })
}
