/** The control interface over HTTP in a configuration: its files, what is refused, and that nothing secret is shown. */
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Config } from '../../../src/config/config.ts'
import { tokenDigestOf } from '../../../src/config/control-http.ts'
import { changeable, fixedDifferences } from '../../../src/config/difference.ts'
import { configFromFlags } from '../../../src/config/flags.ts'
import { ConfigError } from '../../../src/config/mistake.ts'
import { readConfig } from '../../../src/config/read.ts'
import { ONE, TWO } from '../../certificates.ts'

const TOKEN = 'b3f1c2d4e5f60718293a4b5c6d7e8f90'
let folder = ''

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'weft-http-'))
  const files: [string, string, number][] = [
    ['token', `${TOKEN}\n`, 0o600], ['open', TOKEN, 0o644], ['short', 'abc', 0o600], ['two-words', `${TOKEN} x`, 0o600],
    ['one.pem', ONE.certificate, 0o644], ['one.key', ONE.key, 0o600], ['two.key', TWO.key, 0o600],
  ]
  for (const [name, text, mode] of files) {
    writeFileSync(join(folder, name), text)
    chmodSync(join(folder, name), mode)
  }
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const around = () => ({ machineId: 'm', cpuCount: 2, folder, state: '/state', control: '/default' })

function read(control: unknown): Config {
  return readConfig({ control, subsystems: [] }, 'test', around())
}

function mistakesOf(act: () => unknown): string {
  try {
    act()
  } catch (error) {
    if (error instanceof ConfigError) return error.message
    throw error
  }
  return ''
}

const HTTP = { address: '127.0.0.1', tokenFile: 'token' }
const TLS = { certificateFile: 'one.pem', keyFile: 'one.key' }

test('the short form is the socket; the long one has both', () => {
  expect(read('a').control).toEqual({ path: join(folder, 'a'), required: true })
  expect(read(false).control).toEqual({ path: null, required: false })
  const http = { address: '127.0.0.1', port: 9421, tokenDigest: tokenDigestOf(TOKEN), tls: null }
  expect(read({ http: HTTP }).control).toEqual({ path: '/default', required: false, http })
  expect(read({ socket: false, http: { ...HTTP, port: 1 } }).control)
    .toEqual({ path: null, required: false, http: { ...http, port: 1 } })
  expect(read({ socket: 'b', http: { ...HTTP, ...TLS, address: '0.0.0.0' } }).control)
    .toEqual({ path: join(folder, 'b'), required: true, http: { ...http, address: '0.0.0.0', tls: ONE_READ } })
})

const ONE_READ = { certificate: ONE.certificate, key: ONE.key.trim() }

test('flags say the same, beside a file as well', () => {
  const flag = (name: string, value = '') => ({ name, value })
  const { control } = configFromFlags([
    flag('--http', '0.0.0.0:1'), flag('--control', 'off'), flag('--http-token', 'token'),
    flag('--http-certificate', 'one.pem'), flag('--http-key', 'one.key'),
  ], around())
  const http = { address: '0.0.0.0', port: 1, tokenDigest: tokenDigestOf(TOKEN), tls: ONE_READ }
  expect(control).toEqual({ path: null, required: false, http })
  writeFileSync(join(folder, 'weft.json'), JSON.stringify({ control: 'socket', subsystems: [] }))
  const both = configFromFlags([
    flag('--config', join(folder, 'weft.json')), flag('--http', '1'), flag('--http-token', 'token'),
  ], around())
  expect(both.control).toMatchObject({ path: join(folder, 'socket'), http: { address: '127.0.0.1', port: 1, tls: null } })
  expect(mistakesOf(() => configFromFlags([flag('--http', '0.0.0.0:1'), flag('--http-token', 'nothing')], around())))
    .toMatch(/--http-token nothing: there is no file .*nothing; allowed: one token[^]*--http: found "0\.0\.0\.0", allowed/)
  expect(mistakesOf(() => configFromFlags([flag('--http', 'a b')], around()))).toMatch('--http: found "a b", allowed: ADDRESS:PORT')
})

const WRONG: [what: string, control: unknown, sentence: string][] = [
  ['no object, path or false', 7, 'control: found 7, allowed: false, the path of a socket, or an object with: socket, http'],
  ['no token', { http: { address: '127.0.0.1' } }, 'control.http.tokenFile: found nothing, allowed: a path'],
  ['a token that others may read', { http: { ...HTTP, tokenFile: 'open' } }, 'may be used by others than its owner: chmod 600'],
  ['a token that can be guessed', { http: { ...HTTP, tokenFile: 'short' } }, 'is no token; allowed: one token of at least 20'],
  ['two tokens', { http: { ...HTTP, tokenFile: 'two-words' } }, 'is no token; allowed'],
  ['a network without a certificate', { http: { ...HTTP, address: '::' } },
    'control.http.address: found "::", allowed: 127.0.0.1 or ::1, as without a certificate everybody'],
  ['a certificate alone', { http: { ...HTTP, certificateFile: 'one.pem' } }, 'control.http.keyFile: found nothing'],
  ['a key alone', { http: { ...HTTP, keyFile: 'one.key' } }, 'control.http.certificateFile: found nothing'],
  ['another key', { http: { ...HTTP, ...TLS, keyFile: 'two.key' } }, 'do not go together'],
  ['no certificate there', { http: { ...HTTP, ...TLS, certificateFile: 'none' } }, 'cannot be read (ENOENT)'],
  ['a certificate, and plain', { http: { ...HTTP, ...TLS, plain: true } }, 'control.http.plain: found true beside a certificate'],
]

test.each(WRONG)('%s: refused, with the place', (_what, control, sentence) => {
  const text = mistakesOf(() => read(control))
  expect(text).toContain(sentence)
  expect(text).not.toContain(TOKEN)
  expect(text).not.toContain('BEGIN')
})

test('a network without a certificate is taken from who insists', () => {
  expect(read({ http: { ...HTTP, address: '::', plain: true } }).control.http).toMatchObject({ address: '::', tls: null })
})

test('the token is not kept', () => {
  expect(inspect(read({ http: HTTP }), { depth: 9 })).not.toContain(TOKEN)
})

test('HTTP changes while it is served, the socket at a new start', () => {
  const [before, after] = [read({ socket: 'a', http: HTTP }), read({ socket: 'b', http: { ...HTTP, port: 1 } })]
  expect(fixedDifferences(before, after)).toEqual(['control'])
  expect(changeable(before, after).control).toEqual({ ...before.control, http: after.control.http })
  expect(fixedDifferences(before, read({ socket: 'a' }))).toEqual([])
  expect(changeable(before, read({ socket: 'a' })).control).toEqual({ path: before.control.path, required: true })
})
