/** http-server, http-client: over loopback, with a dispatcher that says what it was asked. */
import { connect } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { afterEach, describe, expect, test } from 'vitest'
import type { HttpConfig } from '../../../src/config/config.ts'
import { tokenDigestOf } from '../../../src/config/control-http.ts'
import { StartError } from '../../../src/config/start-error.ts'
import { callMethod } from '../../../src/rpc/client.ts'
import { REQUEST_BYTES_MAX } from '../../../src/rpc/connection.ts'
import { HttpServer } from '../../../src/rpc/http-server.ts'
import { ONE, TWO, type Certificate } from '../../certificates.ts'

const TOKEN = 'b3f1c2d4e5f60718293a4b5c6d7e8f90'
const OTHER = 'ffffffffffffffffffffffffffffffff'

let said: string[] = []
let asked: { text: string; client: string }[] = []
let answer = (text: string): Promise<string | null> => Promise.resolve(`{"result":${text}}`)
const plainly = answer
const tell = (sentence: string): void => { said.push(sentence) }
const make = (): HttpServer => new HttpServer({
  answer: (text, client) => {
    asked.push({ text, client })
    return answer(text)
  },
}, { notice: tell, warning: tell, failure: tell })
let server = make()

afterEach(async () => {
  await server.close()
  server = make()
  ;[said, asked, answer] = [[], [], plainly]
})

function config(tls: Certificate | null = null, token = TOKEN, port = 0): HttpConfig {
  return { address: '127.0.0.1', port, tokenDigest: tokenDigestOf(token), tls }
}

const url = (protocol = 'http'): string => `${protocol}://127.0.0.1:${server.endpoint!.port}/`

function post(body: string, headers: Record<string, string> = {}, path = ''): Promise<Response> {
  return fetch(`${url()}${path}`, { method: 'POST', body, headers: { authorization: `Bearer ${TOKEN}`, ...headers } })
}

describe('a request', () => {
  test('is answered as on the socket; one without an answer with none', async () => {
    await server.start(config())
    const response = await post('  {"id":1}\n')
    expect([response.status, await response.text()]).toEqual([200, '{"result":{"id":1}}'])
    expect(response.headers.get('content-type')).toBe('application/json')
    expect(asked).toEqual([{ text: '{"id":1}', client: expect.stringMatching(/^http client 127\.0\.0\.1:\d+$/) }])
    answer = () => Promise.resolve(null)
    const silent = await post('[{}]')
    expect([silent.status, await silent.text()]).toEqual([204, ''])
  })

  test('with the token as a password, as clients of SPDK\'s proxy send it', async () => {
    await server.start(config())
    const basic = (pair: string) => ({ authorization: `Basic ${Buffer.from(pair).toString('base64')}` })
    expect((await post('{}', basic(`spdkcsi:${TOKEN}`))).status).toBe(200)
    expect((await post('{}', basic(`${TOKEN}:`))).status).toBe(401)
  })

  const REFUSED: [what: string, headers: Record<string, string>, path: string, status: number][] = [
    ['without a token', { authorization: '' }, '', 401],
    ['with another token', { authorization: `Bearer ${OTHER}` }, '', 401],
    ['with a part of the token', { authorization: `Bearer ${TOKEN.slice(0, -1)}` }, '', 401],
    ['with the token of another scheme', { authorization: `Digest ${TOKEN}` }, '', 401],
    ['of a web page', { origin: 'http://127.0.0.1' }, '', 403],
    ['for something else', {}, 'metrics', 404],
  ]
  test.each(REFUSED)('%s is refused, and nothing done', async (_what, headers, path, status) => {
    await server.start(config())
    const response = await post('{}', headers, path)
    expect([response.status, asked]).toEqual([status, []])
    expect(response.headers.get('connection')).toBe('close')
    expect([await response.text(), ...said].join()).not.toMatch(/b3f1|ffff/)
  })

  test('refused for its token is told in the log, and not each time', async () => {
    await server.start(config())
    for (let k = 0; k < 3; k++) await post('{}', { authorization: `Bearer ${OTHER}` })
    expect(said.filter((line) => line.includes('token'))).toEqual(['127.0.0.1 showed a wrong token to the control interface.'])
  })

  test('that is no POST is refused', async () => {
    await server.start(config())
    const response = await fetch(url(), { headers: { authorization: `Bearer ${TOKEN}` } })
    expect([response.status, response.headers.get('allow')]).toEqual([405, 'POST'])
  })

  test('that is too long is refused, also when it does not say how long it is', async () => {
    await server.start(config())
    expect((await post(`"${'x'.repeat(REQUEST_BYTES_MAX)}"`)).status).toBe(413)
    const piece = Buffer.alloc(1024 * 1024, ' ')
    const head = `POST / HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${TOKEN}\r\nTransfer-Encoding: chunked\r\n\r\n`
    const pieces = Array.from({ length: 5 }, () => [Buffer.from('100000\r\n'), piece, Buffer.from('\r\n')]).flat()
    expect(await raw(Buffer.concat([Buffer.from(head), ...pieces]))).toMatch(/^HTTP\/1\.1 413 /)
    expect(asked).toEqual([])
  })

  test.each([['hello'], ['{}{}'], ['{"a":'], [''], ['['.repeat(100)]])('of %j is a parse error', async (body) => {
    await server.start(config())
    expect(await (await post(body)).json()).toMatchObject({ id: null, error: { code: -32700 } })
    expect(asked).toEqual([])
  })
})

/** What is answered to these bytes, until the server hangs up. */
function raw(bytes: Buffer): Promise<string> {
  return new Promise((resolve) => {
    let text = ''
    const socket = connect(server.endpoint!.port, '127.0.0.1', () => socket.write(bytes))
    socket.on('data', (piece) => { text += String(piece) })
    socket.on('error', () => {})
    socket.on('close', () => resolve(text))
  })
}

/** Common name of the certificate that is shown. */
function shown(): Promise<string> {
  return new Promise((resolve, reject) => {
    const { port } = server.endpoint!
    const socket = connectTls({ port, host: '127.0.0.1', rejectUnauthorized: false }, () => {
      resolve(String(socket.getPeerCertificate().subject.CN))
      socket.destroy()
    })
    socket.on('error', reject)
  })
}

describe('the server', () => {
  test('with a certificate speaks TLS, and changes it and the token while it listens', async () => {
    await server.start(config(ONE))
    const { port } = server.endpoint!
    expect(said[0]).toBe(`Control over https://127.0.0.1:${port}/.`)
    expect(await shown()).toBe('weft-test-one')
    const place = { url: url('https'), token: TOKEN, authorities: ONE.certificate }
    expect(await callMethod(place, 'x', {})).toMatchObject({ result: { method: 'x' } })
    await server.configure(config(TWO, OTHER))
    expect([server.endpoint!.port, await shown()]).toEqual([port, 'weft-test-two'])
    await expect(callMethod({ ...place, authorities: TWO.certificate }, 'x', {})).rejects.toThrow('does not accept the token')
    expect(await callMethod({ ...place, token: OTHER, authorities: TWO.certificate }, 'x', {})).toHaveProperty('result')
    expect(said.join()).not.toContain(OTHER)
  })

  test('goes elsewhere, and away; an answer that is in work is given', async () => {
    await server.start(config())
    const first = url()
    let release = (): void => {}
    let begun = (): void => {}
    const inWork = new Promise<void>((resolve) => { begun = resolve })
    answer = (text) => new Promise((resolve) => {
      release = () => resolve(text)
      begun()
    })
    const slow = post('[1]')
    await inWork
    await server.configure({ ...config(), address: '127.0.0.2' })
    expect(server.endpoint!.address).toBe('127.0.0.2')
    await expect(fetch(first)).rejects.toThrow()
    release()
    expect(await (await slow).text()).toBe('[1]')
    await server.configure(null)
    expect([server.endpoint, said.at(-1)]).toEqual([null, 'Control over HTTP is not offered any more.'])
  })

  test('a port that is taken is said, at the start and while serving', async () => {
    await server.start(config())
    const { port } = server.endpoint!
    const second = make()
    await expect(second.start(config(null, TOKEN, port))).rejects.toThrow(StartError)
    await second.configure(config(null, OTHER, port))
    expect(said.at(-1)).toMatch(/Control over HTTP cannot be offered on 127\.0\.0\.1:\d+ \(EADDRINUSE\).*Choose another/)
  })

  test('who asks for no more than to be waited for is closed', async () => {
    await server.start(config())
    expect(await raw(Buffer.from(`GET / HTTP/1.1\r\n${'x: y\r\n'.repeat(2000)}`))).toMatch(/^HTTP\/1\.1 431 /)
  })
})

describe('callMethod', () => {
  test('says what to do where nobody answers, or somebody who is not trusted', async () => {
    await server.start(config(ONE))
    const place = { url: url('https'), token: TOKEN, authorities: null }
    await expect(callMethod(place, 'x', {})).rejects.toThrow(/vouches for the certificate .*--ca/)
    await expect(callMethod({ ...place, url: url() }, 'x', {})).rejects.toThrow(/cannot be asked/)
    await server.close()
    server = make()
    await expect(callMethod({ ...place, url: 'http://127.0.0.1:1/' }, 'x', {})).rejects.toThrow('No weft answers at')
  })
})
