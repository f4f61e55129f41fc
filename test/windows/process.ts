/**
 * A Windows program under Wine, seen as a child process: wine.ts and test/daemon.ts start programs so.
 *
 * Wine gives a program no pipe of Linux, so it writes to files, which are read as they grow. SIGINT is
 * Ctrl+C to it, the only signal that it can heed; any other ends it at once, as TerminateProcess does.
 *
 * Invariant: 'close' comes after everything that it wrote was read.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { EventEmitter } from 'node:events'
import { closeSync, openSync, readSync, rmSync } from 'node:fs'
import { PassThrough } from 'node:stream'

const LOOK_MS = 20
const CHUNK_BYTES = 65536

/** A Node for Windows, and how it is run. wine.ts makes one; it travels to tests as JSON in $WEFT_WINE. */
export type WineNode = {
  readonly wine: string
  readonly node: string
  readonly environment: Readonly<Record<string, string>>
  /** The tree of sources that it runs, and runs in. */
  readonly folder: string
}

/** The one that tests are to start daemons with; null: this system's own Node. */
export function wineNode(): WineNode | null {
  const text = process.env['WEFT_WINE']
  return text === undefined ? null : JSON.parse(text) as WineNode
}

export class WineProcess extends EventEmitter {
  readonly stdout = new PassThrough()
  readonly stderr = new PassThrough()
  exitCode: number | null = null
  signalCode: NodeJS.Signals | null = null
  readonly #child: ChildProcess
  readonly #files: readonly { readonly path: string; readonly descriptor: number; readonly to: PassThrough }[]

  /** output: a path that its output begins with, which is removed in the end. */
  constructor(program: WineNode, words: readonly string[], output: string) {
    super()
    const paths = [`${output}.out`, `${output}.err`] as const
    const written = paths.map((path) => openSync(path, 'w'))
    this.#files = paths.map((path, at) => ({
      path, descriptor: openSync(path, 'r'), to: at === 0 ? this.stdout : this.stderr,
    }))
    this.#child = spawn(program.wine, [program.node, ...words], {
      stdio: ['ignore', ...written], env: { ...process.env, ...program.environment },
      cwd: program.folder,
    })
    for (const descriptor of written) closeSync(descriptor)
    const timer = setInterval(() => this.#look(), LOOK_MS)
    this.#child.on('error', (error) => this.emit('error', error))
    this.#child.on('exit', (status, signal) => {
      clearInterval(timer)
      this.#look()
      this.exitCode = status
      this.signalCode = signal
      this.emit('exit', status, signal)
      this.#end(status, signal)
    })
  }

  get pid(): number | undefined {
    return this.#child.pid
  }

  /** SIGTERM is what a console's Ctrl+C is there. */
  kill(signal: NodeJS.Signals = 'SIGTERM'): boolean {
    return this.#child.kill(signal === 'SIGTERM' ? 'SIGINT' : signal)
  }

  #look(): void {
    const chunk = Buffer.alloc(CHUNK_BYTES)
    for (const { descriptor, to } of this.#files) {
      for (let bytes = 1; bytes > 0;) {
        bytes = readSync(descriptor, chunk, 0, CHUNK_BYTES, null)
        if (bytes > 0) to.write(Buffer.from(chunk.subarray(0, bytes)))
      }
    }
  }

  #end(status: number | null, signal: NodeJS.Signals | null): void {
    let open = this.#files.length
    for (const { path, descriptor, to } of this.#files) {
      closeSync(descriptor)
      rmSync(path, { force: true })
      to.on('close', () => {
        open -= 1
        if (open === 0) this.emit('close', status, signal)
      })
      to.end()
      to.resume()
    }
  }
}
