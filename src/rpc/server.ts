/**
 * The control socket: a Unix socket that only its owner may use, or a named pipe on Windows.
 * serve starts and stops it; each client is a connection.ts.
 *
 * It is bound under another name and moved to its own, so that it is never there with permissions
 * that are too wide, and takes the place of one that a weft left behind when it was killed.
 *
 * Invariant: a socket on which somebody answers is left alone.
 */
import { chmodSync, lstatSync, mkdirSync, renameSync, statSync, unlinkSync } from 'node:fs'
import { type Server, type Socket, connect, createServer } from 'node:net'
import { dirname } from 'node:path'
import { StartError } from '../config/start-error.ts'
import { Connection } from './connection.ts'
import type { Dispatcher } from './dispatch.ts'

const CLIENTS_MAX = 64
const OWNER_ONLY = 0o600
const FOLDER_MODE = 0o755
/** Of sun_path, with the NUL after it. */
const PATH_BYTES_MAX = 107

/** Another process answers there. */
export class SocketTaken extends StartError {}

export class ControlServer {
  readonly path: string
  readonly #server: Server
  readonly #connections = new Set<Connection>()
  readonly #inode: number

  private constructor(path: string, server: Server) {
    this.path = path
    this.#server = server
    this.#inode = isPipe(path) ? 0 : statSync(path).ino
  }

  /** Throws a StartError; a SocketTaken where another weft answers. */
  static async open(path: string, dispatcher: Pick<Dispatcher, 'answer'>): Promise<ControlServer> {
    const server = createServer({ allowHalfOpen: true })
    server.maxConnections = CLIENTS_MAX
    if (isPipe(path)) await listen(server, path, path)
    else await bind(server, path)
    const control = new ControlServer(path, server)
    let count = 0
    server.on('connection', (socket) => control.#serve(socket, dispatcher, `${path} client ${++count}`))
    // Clients beyond the number, and those that go at once, are no reason to fail.
    server.on('error', () => {})
    return control
  }

  /** Resolves when the calls that were in work have been answered and every client has gone. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => { this.#server.close(() => resolve()) })
    if (!isPipe(this.path)) this.#unlink()
    const connections = [...this.#connections]
    for (const each of connections) each.end()
    await Promise.all(connections.map(({ done }) => done))
    await closed
  }

  #serve(socket: Socket, dispatcher: Pick<Dispatcher, 'answer'>, client: string): void {
    const connection = new Connection(socket, dispatcher, client)
    this.#connections.add(connection)
    void connection.done.then(() => this.#connections.delete(connection))
  }

  /** Unless somebody else has put his own in its place. */
  #unlink(): void {
    try {
      if (statSync(this.path).ino === this.#inode) unlinkSync(this.path)
    } catch {
      // It has gone already.
    }
  }
}

async function bind(server: Server, path: string): Promise<void> {
  const temporary = `${path}.${process.pid}`
  if (Buffer.byteLength(temporary) > PATH_BYTES_MAX) {
    throw new StartError(`${path} is too long for the path of a socket.`,
      'Choose a shorter one with --control.')
  }
  try {
    mkdirSync(dirname(path), { recursive: true, mode: FOLDER_MODE })
    await refuseTaken(path)
    removeIfThere(temporary)
    await listen(server, temporary, path)
    chmodSync(temporary, OWNER_ONLY)
    renameSync(temporary, path)
  } catch (error) {
    server.close()
    throw error instanceof StartError ? error : cannot(path, error)
  }
}

function listen(server: Server, path: string, wanted: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const failed = (error: NodeJS.ErrnoException): void => reject(error.code === 'EADDRINUSE'
      ? new SocketTaken(`Another weft answers on ${wanted}.`, remedyOf(wanted)) : cannot(wanted, error))
    server.once('error', failed)
    server.listen(path, () => {
      server.off('error', failed)
      resolve()
    })
  })
}

/** What is there may be a socket that nobody answers on, and nothing else. */
async function refuseTaken(path: string): Promise<void> {
  const facts = lstatSync(path, { throwIfNoEntry: false })
  if (facts === undefined) return
  if (!facts.isSocket()) {
    throw new StartError(`${path} is there already and is no socket.`,
      'Remove it, or choose another path with --control.')
  }
  const answered = await new Promise<boolean>((resolve) => {
    const probe = connect(path)
    const told = (answer: boolean): void => {
      probe.destroy()
      resolve(answer)
    }
    probe.once('connect', () => told(true))
    // ECONNREFUSED: nobody listens. Whoever may not even ask has no business in replacing it.
    probe.once('error', ({ code }: NodeJS.ErrnoException) => told(code !== 'ECONNREFUSED' && code !== 'ENOENT'))
  })
  if (answered) throw new SocketTaken(`Another weft answers on ${path}.`, remedyOf(path))
}

function removeIfThere(path: string): void {
  try {
    unlinkSync(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
}

function remedyOf(path: string): string {
  return `Stop that one, or choose another path than ${path} with --control.`
}

function cannot(path: string, error: unknown): StartError {
  const { code, message } = error as NodeJS.ErrnoException
  return new StartError(`The control socket ${path} cannot be made (${code ?? message}).`,
    'Choose another path with --control, or --control off.')
}

function isPipe(path: string): boolean {
  return path.startsWith('\\\\.\\pipe\\') || path.startsWith('\\\\?\\pipe\\')
}
