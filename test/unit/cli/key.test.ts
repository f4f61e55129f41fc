/** `weft key` as a process: what it makes, what it says of a secret, and that it shows none. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { TRANSFORMED } from '../auth/vectors.ts'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))
let folder = ''
beforeAll(() => { folder = mkdtempSync(join(tmpdir(), 'weft-key-')) })
afterAll(() => rmSync(folder, { recursive: true, force: true }))

function key(words: readonly string[], input = '') {
  return spawnSync(process.execPath, ['src/main.ts', 'key', ...words], { cwd: ROOT, encoding: 'utf8', input })
}

test.each([
  [[], '01', 32, 'transformed with sha-256'],
  [['--transform', 'none'], '00', 32, 'used as it is'],
  [['--transform', 'none', '--bytes', '64'], '00', 64, 'used as it is'],
  [['--transform', 'sha-384'], '02', 48, 'transformed with sha-384'],
  [['--transform', 'sha-512'], '03', 64, 'transformed with sha-512'],
])('generate %j, and check', (words, tag, bytes, how) => {
  const made = key(['generate', ...words])
  expect([made.status, made.stderr]).toEqual([0, ''])
  expect(made.stdout).toMatch(new RegExp(`^DHHC-1:${tag}:[A-Za-z0-9+/=]+:\n$`))
  expect(key(['generate', ...words]).stdout).not.toBe(made.stdout)
  const checked = key(['check', '-'], made.stdout)
  expect([checked.status, checked.stdout]).toEqual([0, `A good secret of ${bytes} bytes, ${how}.\n`])
})

test('generate into a file of its own, which is not replaced', () => {
  const path = join(folder, 'made')
  const made = key(['generate', '--file', path])
  expect([made.status, made.stdout]).toEqual([0, `${path} holds a new secret, and only you may read it.\n`])
  expect(statSync(path).mode & 0o777).toBe(0o600)
  expect(key(['check', path]).status).toBe(0)
  const before = readFileSync(path, 'utf8')
  const again = key(['generate', '--file', path])
  expect([again.status, again.stderr]).toEqual([1, `${path} is there already, and a key is not replaced. Name another file.\n`])
  expect(readFileSync(path, 'utf8')).toBe(before)
})

test.each([
  ['a wrong character', TRANSFORMED[0]![2].replace('AAEC', 'AAED'), 'This is no secret: its CRC-32 does not match'],
  ['nothing', '', 'This is no secret: it does not begin with DHHC-1:'],
])('check says what is wrong: %s', (_name, text, sentence) => {
  const { status, stdout, stderr } = key(['check', '-'], text)
  expect([status, stdout]).toEqual([1, ''])
  expect(stderr).toContain(sentence)
  expect(stderr).not.toContain('BAUG')
})

test('check refuses a file that others may read', () => {
  const path = join(folder, 'open')
  writeFileSync(path, TRANSFORMED[0]![2], { mode: 0o644 })
  const { status, stderr } = key(['check', path])
  expect(status).toBe(1)
  expect(stderr).toContain(`chmod 600 ${path}`)
})

test.each([
  [['generate', '--bytes', '33'], 2, 'Allowed choices are 32, 48, 64'],
  [['generate', '--transform', 'md5'], 2, 'Allowed choices are none, sha-256'],
  [['generate', '--transform', 'sha-512', '--bytes', '32'], 1, 'only when it has 64 bytes, not 32'],
  [['check'], 2, 'missing required argument'],
  [['bogus'], 2, "unknown command 'bogus'"],
])('%j is a mistake', (words, status, sentence) => {
  const found = key(words)
  expect(found.stderr).toContain(sentence)
  expect([found.status, found.stdout]).toEqual([status, ''])
})
