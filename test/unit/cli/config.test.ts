/** weft config check, weft import and weft export as a person types them: what comes out, where, and the status. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'

const MAIN = fileURLToPath(new URL('../../../src/main.ts', import.meta.url))
const NQN = 'nqn.2026-01.com.example:disks'
const WEFT = { subsystems: [{ nqn: NQN, namespaces: [{ memory: '64M' }, { device: '/dev/is-not-there' }] }] }
const KERNEL = {
  hosts: [],
  ports: [{ addr: { trtype: 'tcp', adrfam: 'ipv4', traddr: '127.0.0.1', trsvcid: '4420' }, portid: 1, subsystems: ['testnqn'] }],
  subsystems: [{
    nqn: 'testnqn', attr: { allow_any_host: '1', serial: 'abc' }, allowed_hosts: [],
    namespaces: [{ nsid: 1, enable: 1, device: { path: '/dev/is-not-there', uuid: 'd592cdf3-5d1c-44e0-8412-3fcf7d99df27' } }],
  }],
}

let folder = ''
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'weft-test-'))
  writeFileSync(join(folder, 'weft.json'), JSON.stringify(WEFT))
  writeFileSync(join(folder, 'broken.json'), JSON.stringify({ ...WEFT, reactor: 2, listeners: [{ address: 'here' }] }))
  writeFileSync(join(folder, 'kernel.json'), JSON.stringify(KERNEL))
})
afterAll(() => rmSync(folder, { recursive: true }))

function weft(...words: string[]): { status: number | null; stdout: string; stderr: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, ...words], { cwd: folder, encoding: 'utf8' })
  return { status, stdout, stderr }
}

test('a good configuration is good, and what is not there yet is told', () => {
  expect(weft('config', 'check', 'weft.json')).toEqual({
    status: 0,
    stdout: 'weft.json is good: 1 subsystem with 2 namespaces, offered on 127.0.0.1:4420.\n',
    stderr: `Namespace 2 of ${NQN}: there is no device /dev/is-not-there yet.\n`,
  })
})

test('a mistake is told with its place, and the status is 2', () => {
  const { status, stdout, stderr } = weft('config', 'check', 'broken.json')
  expect({ status, stdout }).toEqual({ status: 2, stdout: '' })
  expect(stderr).toContain('unknown key "reactor", did you mean "reactors"?')
  expect(stderr).toContain('listeners[0].address: found "here", allowed: a numeric')
})

test('import writes a configuration that config check finds good, and replaces no file unasked', () => {
  const words = ['import', 'kernel.json', '--rename', `testnqn=${NQN}`, '--output', 'imported.json']
  expect(weft(...words)).toMatchObject({ status: 0, stderr: '' })
  const path = join(folder, 'imported.json')
  expect(statSync(path).mode & 0o777).toBe(0o600)
  expect(JSON.parse(readFileSync(path, 'utf8'))).toMatchObject({ subsystems: [{ nqn: NQN, serial: 'abc' }] })
  expect(weft('config', 'check', 'imported.json').status).toBe(0)
  expect(weft(...words)).toMatchObject({ status: 1, stderr: expect.stringContaining('is there already') as string })
  expect(weft(...words, '--force').status).toBe(0)
})

test('export prints the file for another target, and remarks beside it', () => {
  const { status, stdout, stderr } = weft('export', 'weft.json', '--format', 'nvmet')
  expect(status).toBe(0)
  expect(JSON.parse(stdout)).toMatchObject({ ports: [{ portid: 1 }], subsystems: [{ nqn: NQN, namespaces: [{ nsid: 2 }] }] })
  expect(stderr).toBe(`Namespace 1 of ${NQN} is left out: the kernel's target has no memory namespaces.\n`)
})
