/** The program as a process: help, version, mistakes, and their exit status. */
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))

function weft(...words: string[]) {
  return spawnSync(process.execPath, ['src/main.ts', ...words], { cwd: ROOT, encoding: 'utf8' })
}

test('--version is that of the package', () => {
  const { status, stdout } = weft('--version')
  const { version } = JSON.parse(readFileSync(`${ROOT}/package.json`, 'utf8'))
  expect([status, stdout]).toEqual([0, `${version}\n`])
})

test.each([
  ['serve', '$ weft serve --device'], ['discover', '$ weft discover 192'],
  ['identify', '$ weft identify 192'], ['rpc', '$ weft rpc nvmf_get_subsystems'],
])('%s --help has examples', (command, example) => {
  const { status, stdout } = weft(command, '--help')
  expect(status).toBe(0)
  expect(stdout).toContain(example)
})

test.each([
  [['serve', '--bogus'], "unknown option '--bogus'"],
  [['bogus'], 'too many arguments'],
  [['serve', '--memory'], 'argument missing'],
  [['serve', '--memory', '1Q', '--engine', 'x'], 'The command line: 2 mistakes\n  --engine: found'],
  [['--memory', '1Q'], 'The command line: one mistake\n  --memory 1Q: found "1Q"'],
  [['discover'], 'missing required argument'],
  [['discover', '4420'], 'Write 192.0.2.10'],
  [['identify', '192.0.2.1', 'x', '-n', '0'], 'A namespace has a number from 1 on.'],
  [['rpc', 'nvmf_get_subsystem'], 'There is no method nvmf_get_subsystem, did you mean nvmf_get_subsystems'],
  [['rpc', 'log_set_level', 'DEBUG'], '"DEBUG" is neither NAME=VALUE nor a JSON object.'],
])('%j is a mistake: status 2, nothing on stdout', (words, sentence) => {
  const { status, stdout, stderr } = weft(...words)
  expect(stderr).toContain(sentence)
  expect([status, stdout]).toEqual([2, ''])
})

test('what cannot be read or reached: status 1, one sentence', () => {
  const absent = weft('serve', '--config', '/nonexistent/weft.json')
  expect(absent.stderr).toContain('There is no configuration file /nonexistent/weft.json.')
  expect(absent.status).toBe(1)
  const closed = weft('discover', '127.0.0.1:1')
  expect([closed.status, closed.stderr]).toEqual([1, 'Nothing listens on 127.0.0.1:1.\n'])
})

test('rpc METHOD --help is about that method', () => {
  const { status, stdout } = weft('rpc', 'nvmf_subsystem_get_listeners', '--help')
  expect(status).toBe(0)
  expect(stdout).toMatch(/^weft rpc nvmf_subsystem_get_listeners\n/)
  expect(stdout).toContain('\n  nqn  string, required\n      NQN of the subsystem.\n')
  expect(stdout).not.toContain('Usage:')
})

test('rpc where no weft is: status 1, one sentence', () => {
  const { status, stderr } = weft('rpc', 'spdk_get_version', '--control', '/nonexistent/weft.sock')
  expect([status, stderr]).toEqual([1, 'No weft answers on /nonexistent/weft.sock. '
    + 'Start one (weft serve), or name its socket with --control.\n'])
})
