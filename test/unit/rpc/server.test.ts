/** server, connection, client: a real socket in a temporary folder, with a dispatcher that is none. */
import { linkSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createServer, connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { StartError } from '../../../src/config/start-error.ts'
import { callMethod } from '../../../src/rpc/client.ts'
import { REQUEST_BYTES_MAX } from '../../../src/rpc/connection.ts'
import { ControlServer, SocketTaken } from '../../../src/rpc/server.ts'

let folder = ''
let path = ''
let servers: ControlServer[] = []
let sockets: Socket[] = []

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'weft-rpc-'))
  path = join(folder, 'weft.sock')
})

afterEach(async () => {
  for (const socket of sockets) socket.destroy()
  await Promise.all(servers.map((server) => server.close()))
  servers = []
  sockets = []
  rmSync(folder, { recursive: true })
})

type Answer = (text: string, client: string) => Promise<string | null>

async function open(answer: Answer = (text) => Promise.resolve(text), at = path): Promise<ControlServer> {
  const server = await ControlServer.open(at, { answer })
  servers.push(server)
  return server
}

/** A client that keeps what it gets. */
class Client {
  text = ''
  readonly socket: Socket
  readonly closed: Promise<void>
  #wanted = (): void => {}

  constructor(at = path) {
    this.socket = connect(at)
    sockets.push(this.socket)
    this.socket.on('data', (bytes) => {
      this.text += bytes.toString()
      this.#wanted()
    })
    this.socket.on('error', () => {})
    this.closed = new Promise((resolve) => { this.socket.once('close', () => resolve()) })
  }

  lines(count: number): Promise<string[]> {
    return new Promise((resolve) => {
      this.#wanted = () => {
        const lines = this.text.split('\n').slice(0, -1)
        if (lines.length >= count) resolve(lines)
      }
      this.#wanted()
    })
  }
}

describe('the socket', () => {
  test('is its owner\'s alone, leaves nothing beside it, and goes with the server', async () => {
    const server = await open()
    expect(statSync(path).mode & 0o777).toBe(0o600)
    expect(readdirSync(folder)).toEqual(['weft.sock'])
    await server.close()
    expect(readdirSync(folder)).toEqual([])
    servers = []
  })

  test('of a weft that was killed is replaced', async () => {
    const dead = createServer()
    await new Promise<void>((resolve) => { dead.listen(join(folder, 'first'), resolve) })
    // A socket that nobody listens on any more: its name outlives its server as a hard link would.
    linkSync(join(folder, 'first'), path)
    await new Promise((resolve) => { dead.close(resolve) })
    expect(statSync(path).isSocket()).toBe(true)
    await open()
    const client = new Client()
    client.socket.write('{}')
    expect(await client.lines(1)).toEqual(['{}'])
  })

  test('on which somebody answers is left alone', async () => {
    await open()
    const refused = ControlServer.open(path, { answer: () => Promise.resolve(null) })
    await expect(refused).rejects.toThrow(SocketTaken)
    await expect(refused).rejects.toThrow(`Another weft answers on ${path}.`)
    const client = new Client()
    client.socket.write('[1]')
    expect(await client.lines(1)).toEqual(['[1]'])
    expect(readdirSync(folder)).toEqual(['weft.sock'])
  })

  test('is not put in the place of a file, nor where its path is too long', async () => {
    writeFileSync(path, 'precious')
    await expect(open()).rejects.toThrow(`${path} is there already and is no socket.`)
    const long = join(folder, 'x'.repeat(100))
    await expect(open(undefined, long)).rejects.toThrow('too long for the path of a socket')
    await expect(open(undefined, join(path, 'below'))).rejects.toThrow(StartError)
  })

  test('in a folder that is not there: it is made', async () => {
    await open(undefined, join(folder, 'run/weft.sock'))
    expect(readdirSync(join(folder, 'run'))).toEqual(['weft.sock'])
  })
})

describe('a client', () => {
  test('gets its answers in its order, one in work at a time', async () => {
    let inWork = 0
    let most = 0
    await open(async (text) => {
      most = Math.max(most, ++inWork)
      await new Promise((resolve) => { setImmediate(resolve) })
      inWork--
      return text
    })
    const client = new Client()
    client.socket.write('[1][2]')
    client.socket.write('[3]')
    expect(await client.lines(3)).toEqual(['[1]', '[2]', '[3]'])
    expect(most).toBe(1)
  })

  test('that closes its side still gets the answer', async () => {
    await open()
    const client = new Client()
    client.socket.end('[1]')
    await client.closed
    expect(client.text).toBe('[1]\n')
  })

  test('does not wait for one that is slow', async () => {
    let release = (): void => {}
    await open((text) => text === '["slow"]'
      ? new Promise((resolve) => { release = () => resolve(text) }) : Promise.resolve(text))
    const slow = new Client()
    slow.socket.write('["slow"]')
    const quick = new Client()
    quick.socket.write('["quick"]')
    expect(await quick.lines(1)).toEqual(['["quick"]'])
    release()
    expect(await slow.lines(1)).toEqual(['["slow"]'])
  })

  test('that sends no JSON is told so and cut off', async () => {
    await open()
    const client = new Client()
    client.socket.write('hello')
    await client.closed
    expect(JSON.parse(client.text)).toMatchObject({
      id: null, error: { code: -32700, message: 'Parse error', data: ['a request begins with { or [.'] },
    })
  })

  test('that sends more than fits is told so and cut off', async () => {
    await open()
    const client = new Client()
    client.socket.write(`["${'x'.repeat(REQUEST_BYTES_MAX)}"]`)
    await client.closed
    expect(JSON.parse(client.text)).toMatchObject({ error: { code: -32700 } })
  })

  test('that reads nothing is not answered any further', async () => {
    const answered: string[] = []
    await open((text) => {
      answered.push(text)
      return Promise.resolve(`"${'x'.repeat(1024 * 1024)}"`)
    })
    const client = new Client()
    client.socket.pause()
    client.socket.write('[1][2][3][4]')
    const other = new Client()
    other.socket.write('["other"]')
    await other.lines(1)
    expect(answered).not.toContain('[3]')
    client.socket.resume()
    expect(await client.lines(4)).toHaveLength(4)
  })

  test('gets the answer that is in work when the server closes', async () => {
    let begun = (): void => {}
    const inWork = new Promise<void>((resolve) => { begun = resolve })
    let release = (): void => {}
    const server = await open((text) => {
      begun()
      return new Promise((resolve) => { release = () => resolve(text) })
    })
    const [busy, idle] = [new Client(), new Client()]
    busy.socket.write('[1][2]')
    await inWork
    const closed = server.close()
    await idle.closed
    release()
    await closed
    await busy.closed
    expect(busy.text).toBe('[1]\n')
  })
})

describe('callMethod', () => {
  test('resolves with the result, or with the error', async () => {
    await open((text) => Promise.resolve(text.includes('"good"')
      ? '{"id":1,"result":[{"a":1}]}' : '{"id":1,"error":{"code":-19,"message":"No such device"}}'))
    expect(await callMethod(path, 'good', {})).toEqual({ result: [{ a: 1 }] })
    expect(await callMethod(path, 'bad', {})).toEqual({ error: { code: -19, message: 'No such device' } })
  })

  test('says what to do where nobody answers, or somebody else', async () => {
    await expect(callMethod(path, 'x', {})).rejects.toThrow(`No weft answers on ${path}.`)
    await open(() => Promise.resolve('hello'))
    await expect(callMethod(path, 'x', {})).rejects.toThrow(`What answers on ${path} is no weft`)
  })
})
