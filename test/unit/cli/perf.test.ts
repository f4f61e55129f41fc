/** weft perf against a daemon: load, verification that finds what is wrong, digests, keys; and what it refuses. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { hostIdentity, machineId } from '../../../src/config/identity.ts'
import { type Daemon, NQN, configuration, startDaemon } from '../../daemon.ts'

const MAIN = fileURLToPath(new URL('../../../src/main.ts', import.meta.url))
const KEY = 'DHHC-1:00:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh+KfiaR:'
const KEYED = 'nqn.2026-01.example:keyed'
const HOST = hostIdentity(machineId()).nqn

type Report = {
  read: { commands: number; bytes: number }; write: { commands: number; bytes: number }
  verified?: number; wrong?: number; complaints?: string[]; errors: Record<string, number>
}

let folder = ''
let daemon: Daemon
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'weft-test-'))
  writeFileSync(join(folder, 'key'), KEY, { mode: 0o600 })
  daemon = await startDaemon(configuration({
    limits: { inCapsule: '8K' },
    subsystems: [
      { nqn: NQN, hosts: 'any', namespaces: [{ nsid: 1, memory: '16M' }, { nsid: 2, file: join(folder, 'disk.img'), size: '4M', block: 4096 }] },
      { nqn: KEYED, hosts: [{ nqn: HOST, key: KEY, dhGroups: ['null'] }], namespaces: [{ nsid: 1, memory: '4M' }] },
    ],
  }))
})
afterAll(async () => {
  await daemon.stop()
  rmSync(folder, { recursive: true })
})

async function perf(nqn: string, ...words: string[]): Promise<{ status: number; report: Report | null; stderr: string }> {
  const { address, port } = daemon.endpoint
  const child = spawn(process.execPath, [MAIN, 'perf', `${address}:${port}`, nqn, '--json', ...words])
  let [stdout, stderr] = ['', '']
  child.stdout.on('data', (bytes: Buffer) => { stdout += bytes.toString() })
  child.stderr.on('data', (bytes: Buffer) => { stderr += bytes.toString() })
  const [status] = await once(child, 'close') as [number]
  return { status, report: stdout === '' ? null : JSON.parse(stdout) as Report, stderr }
}

test('a mix of reads and writes is counted to the byte, and verified, with digests on two connections', async () => {
  const { status, report, stderr } = await perf(NQN, '--rw', 'randrw', '--amount', '8M', '--verify', '--overwrite',
    '--header-digest', '--data-digest', '--connections', '2', '--depth', '8')
  expect({ status, stderr }).toEqual({ status: 0, stderr: '' })
  expect(report!.read.bytes + report!.write.bytes).toBe(8 * 1024 ** 2)
  expect(report!.write.commands).toBeGreaterThan(200)
  expect(report).toMatchObject({ wrong: 0, errors: {} })
  expect(report!.verified).toBeGreaterThan(report!.read.commands)
})

test('writes larger than a capsule go by R2Ts', async () => {
  const { status, report } = await perf(NQN, '--rw', 'write', '--bs', '64K', '--amount', '8M', '--verify', '--overwrite', '--depth', '4')
  expect(status).toBe(0)
  expect(report).toMatchObject({ write: { commands: 128 }, verified: 128, wrong: 0 })
})

test('data that changed on the medium between two runs is found, with its block', async () => {
  const words = ['-n', '2', '--amount', '4M', '--verify', '--depth', '4']
  expect(await perf(NQN, ...words, '--rw', 'write', '--overwrite')).toMatchObject({ status: 0, report: { verified: 1024, wrong: 0 } })
  expect(await perf(NQN, ...words, '--rw', 'read')).toMatchObject({ status: 0, report: { verified: 1024, wrong: 0 } })
  const file = openSync(join(folder, 'disk.img'), 'r+')
  writeSync(file, 'x', 5 * 4096 + 3000)
  closeSync(file)
  const { status, report } = await perf(NQN, ...words, '--rw', 'read')
  expect({ status, ...report }).toMatchObject({ status: 1, wrong: 1, complaints: ['Block 5: its CRC does not match.'] })
})

test('a host that has to authenticate does, on every queue', async () => {
  const words = ['--rw', 'read', '--amount', '1M', '--connections', '2']
  expect(await perf(KEYED, ...words, '--key', join(folder, 'key'))).toMatchObject({ status: 0, report: { read: { commands: 256 } } })
  const { status, stderr } = await perf(KEYED, ...words)
  expect(status).toBe(1)
  expect(stderr).toContain('--key')
})

test.each([
  ['writes without --overwrite', ['--rw', 'randwrite'], 'say --overwrite'],
  ['a namespace that is not there', ['-n', '9'], 'no namespace 9'],
  ['a size that is none of the target', ['-n', '2', '--bs', '512'], 'blocks of 4096 bytes'],
  ['more than the target takes in a command', ['--bs', '4M'], 'takes at most 1048576 bytes'],
])('%s: refused in words', async (_name, words, sentence) => {
  const { status, stderr, report } = await perf(NQN, ...words, '--amount', '1M')
  expect({ status, report }).toEqual({ status: 1, report: null })
  expect(stderr).toContain(sentence)
})
