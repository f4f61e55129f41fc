/**
 * Builds and runs the native load generator, and reads what it measured.
 * bench.ts and tests → load → bench/native/load.
 *
 * The generator prints one JSON line and ends with 0 only when every command succeeded; anything
 * else is thrown here with the sentence that it wrote.
 */
import { execFile, execFileSync, spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

const ROOT = join(import.meta.dirname, '..')
const BUILD = join(ROOT, '.weft', 'build')
export const LOAD = join(BUILD, 'load')
export const RESPONDER = join(BUILD, 'responder')

/** Where a subsystem is served. pid: the process to watch and to pause, where it is known. */
export type Target = {
  readonly name: string
  readonly address: string
  readonly port: number
  readonly nqn: string
  readonly pid: number | null
}

export type LoadResult = {
  readonly iops: number
  readonly mibPerSecond: number
  readonly commands: number
  readonly seconds: number
  readonly latencyNs: Readonly<Record<
    'min' | 'mean' | 'p50' | 'p90' | 'p99' | 'p999' | 'p9999' | 'max', number>>
  readonly failed: number
  readonly errors: Readonly<Record<string, number>>
  readonly verified: number
  readonly differing: number
  /** Share of the time in which the generator had nothing to do; near 0 it is the bottleneck. */
  readonly waitingPercent: number
  readonly userSeconds: number
  readonly systemSeconds: number
  /** CPU time of Target.pid in the measured time; 0 when not watched. */
  readonly watchedSeconds: number
  readonly connectMs: number
  readonly controllers: number
  readonly intervals?: readonly number[]
}

/** Compiles the generator and the responder where they are older than their sources. */
export function buildNative(): void {
  execFileSync('make', ['-s', '-C', join(ROOT, 'bench', 'native'), `OUT=${BUILD}`],
    { stdio: ['ignore', 'ignore', 'inherit'] })
}

export function loadWords(target: Target, words: readonly string[]): string[] {
  const watch = target.pid === null ? [] : ['--watch-pid', String(target.pid)]
  return ['--address', target.address, '--port', String(target.port), '--nqn', target.nqn,
    ...watch, ...words]
}

/** Runs the generator to its end. */
export function runLoad(target: Target, words: readonly string[]): Promise<LoadResult> {
  return new Promise((resolve, reject) => {
    const all = loadWords(target, words)
    execFile(LOAD, all, { maxBuffer: 1 << 24 }, (error, output, complaints) => {
      if (error === null) resolve(JSON.parse(output.trim().split('\n').at(-1)!) as LoadResult)
      else reject(new Error(`load ${words.join(' ')}: ${complaints.trim() || error.message}`))
    })
  })
}

/** Starts the generator and resolves when all its connections stand; `ended` is its result. */
export async function startLoad(
  target: Target, words: readonly string[],
): Promise<{ child: ChildProcess, ended: Promise<LoadResult> }> {
  const child = spawn(LOAD, loadWords(target, ['--announce', ...words]),
    { stdio: ['ignore', 'pipe', 'inherit'] })
  const lines = createInterface({ input: child.stdout })
  let result: LoadResult | null = null
  const ended = new Promise<LoadResult>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', (status) => {
      if (status === 0 && result !== null) resolve(result)
      else reject(new Error(`load ${words.join(' ')} ended with status ${status}`))
    })
  })
  await new Promise<void>((resolve, reject) => {
    ended.then(() => resolve(), reject)
    lines.on('line', (line) => {
      const message = JSON.parse(line) as { event: string }
      if (message.event === 'connected') resolve()
      else result = message as unknown as LoadResult
    })
  })
  return { child, ended }
}
