/** A running weft over HTTPS: asked by `weft rpc --url`, its token and certificate replaced by a reload. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { callMethod } from '../../../src/rpc/client.ts'
import { configuration, removeDirectory, startDaemon, temporaryDirectory, type Daemon } from '../../daemon.ts'
import { ONE, TWO, type Certificate } from '../../certificates.ts'

const MAIN = fileURLToPath(new URL('../../../src/main.ts', import.meta.url))
const [FIRST, SECOND] = ['b3f1c2d4e5f60718293a4b5c6d7e8f90', 'ffffffffffffffffffffffffffffffff']

let folder = ''
let daemon: Daemon
let url = ''

const at = (name: string): string => join(folder, name)

function provide(token: string, { certificate, key }: Certificate): void {
  for (const [name, text] of [['token', token], ['pem', certificate], ['key', key]] as const) {
    writeFileSync(at(name), text, { mode: 0o600 })
  }
}

const configured = () => configuration({
  control: {
    socket: false,
    http: { address: '127.0.0.1', port: 0, tokenFile: at('token'), certificateFile: at('pem'), keyFile: at('key') },
  },
})

beforeAll(async () => {
  folder = temporaryDirectory()
  provide(FIRST, ONE)
  daemon = await startDaemon(configured())
  const { control } = await daemon.line(({ control: told }) => told !== undefined, 'it said where it is controlled')
  url = `https://127.0.0.1:${(control as { port: number }).port}`
})

afterAll(async () => {
  await daemon.stop()
  removeDirectory(folder)
})

const call = (token: string, authorities: string, method: string, params = {}) =>
  callMethod({ url, token, authorities }, method, params)

async function rpc(...words: string[]): Promise<[status: number, text: string]> {
  const child = spawn(process.execPath, [MAIN, 'rpc', ...words, '--url', url, '--token', at('token'), '--ca', at('pem')])
  let text = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (bytes) => { text += String(bytes) })
  const [status] = await once(child, 'close') as [number]
  return [status, text]
}

test('answers who has the token, and says in its log who changed what', async () => {
  expect(await rpc('nvmf_get_subsystems')).toEqual([0, expect.stringContaining('"nqn"')])
  expect(await call(FIRST, ONE.certificate, 'log_set_level', { level: 'INFO' })).toEqual({ result: true })
  const line = await daemon.line(({ event }) => event === 'control', 'the change was logged')
  expect(line).toMatchObject({ method: 'log_set_level', client: expect.stringMatching(/^http client 127\.0\.0\.1:/) })
})

test('after a reload, who has the new token and trusts the new certificate', async () => {
  provide(SECOND, TWO)
  expect(await daemon.reload(configured())).toContain('Control over HTTP goes by another token or certificate now.')
  expect(await call(SECOND, TWO.certificate, 'spdk_get_version')).toHaveProperty('result')
  await expect(call(FIRST, TWO.certificate, 'spdk_get_version')).rejects.toThrow('does not accept the token')
  await expect(call(SECOND, ONE.certificate, 'spdk_get_version')).rejects.toThrow('vouches')
  expect(JSON.stringify(daemon.lines)).not.toMatch(/b3f1c2|ffffff|BEGIN/)
})

test('with a token that cannot be used, goes by what it had', async () => {
  writeFileSync(at('token'), 'short', { mode: 0o600 })
  expect((await daemon.reload(configured())).join('\n')).toMatch('nothing was changed')
  await daemon.line(({ message }) => String(message).startsWith('control.http.tokenFile: what is in'), 'it said why')
  writeFileSync(at('token'), SECOND, { mode: 0o600 })
  expect(await call(SECOND, TWO.certificate, 'spdk_get_version')).toHaveProperty('result')
})
