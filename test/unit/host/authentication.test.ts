/**
 * weft's own host against a target that wants it to authenticate, and how it says what went wrong.
 */
import { spawnSync } from 'node:child_process'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Secret } from '../../../src/auth/secret.ts'
import { hostIdentity, machineId } from '../../../src/config/identity.ts'
import { Host } from '../../../src/host/host.ts'
import { CONTROLLER_SECRET, HOST_SECRET } from '../../authentication-bytes.ts'
import { configuration, startDaemon, type Daemon } from '../../daemon.ts'

const ROOT = fileURLToPath(new URL('../../..', import.meta.url))
const OURS = hostIdentity(machineId()).nqn
const name = (group: string): string => `nqn.2026-01.example:guarded-${group}`
const GROUPS = ['null', 'ffdhe2048', 'ffdhe8192']
const ONE_WAY = 'nqn.2026-01.example:one-way'
const DISCOVERY = 'nqn.2014-08.org.nvmexpress.discovery'

const [key, controllerKey] = [HOST_SECRET, CONTROLLER_SECRET].map((text) => Secret.parse(text) as Secret)
let daemon: Daemon
let folder = ''

beforeAll(async () => {
  const host = { nqn: OURS, key: HOST_SECRET, controllerKey: CONTROLLER_SECRET }
  daemon = await startDaemon(configuration({
    discovery: { listeners: false, hosts: [host] },
    subsystems: [
      ...GROUPS.map((group) => ({
        nqn: name(group), hosts: [{ ...host, dhGroups: [group] }], namespaces: [{ memory: '1M' }],
      })),
      { nqn: ONE_WAY, hosts: [{ nqn: OURS, key: HOST_SECRET }], namespaces: [{ memory: '1M' }] },
    ],
  }))
  folder = mkdtempSync(join(tmpdir(), 'weft-secrets-'))
  for (const [file, text] of [['key', HOST_SECRET], ['controller', CONTROLLER_SECRET]] as const) {
    writeFileSync(join(folder, file), text)
    chmodSync(join(folder, file), 0o600)
  }
})
afterAll(async () => {
  rmSync(folder, { recursive: true, force: true })
  await daemon.stop()
})

type Wish = Partial<Parameters<typeof Host.open>[0]>

async function identify(nqn: string, wish: Wish): Promise<number> {
  const host = await Host.open({ ...daemon.endpoint, nqn, ...wish })
  try {
    return (await host.identify(1, 0)).byteLength
  } finally {
    await host.close()
  }
}

test.each(GROUPS)('both ways, %s', async (group) => {
  expect(await identify(name(group), { secrets: { key: key!, controllerKey: controllerKey! } })).toBe(4096)
})

test('one way, and with the discovery service', async () => {
  expect(await identify(ONE_WAY, { secrets: { key: key!, controllerKey: null } })).toBe(4096)
  expect(await identify(DISCOVERY, { secrets: { key: key!, controllerKey: null } })).toBe(4096)
})

test.each([
  ['no key', ONE_WAY, null, `${ONE_WAY} wants ${OURS} to authenticate: name a file with its key by --key.`],
  ['a wrong key', ONE_WAY, { key: controllerKey!, controllerKey: null },
    `${ONE_WAY} does not take ${OURS} for what it is: authentication failed.`],
  ['a controller that has none', ONE_WAY, { key: key!, controllerKey: controllerKey! }, 'authentication failed'],
  ['a controller that has another', name('null'), { key: key!, controllerKey: key! },
    `The target does not know the controller's key of ${name('null')}.`],
])('%s', async (_name, nqn, secrets, sentence) => {
  await expect(identify(nqn, { secrets })).rejects.toThrow(sentence)
})

test('a controller that confirms its key to nobody is not believed', async () => {
  await expect(identify(name('ffdhe2048'), { secrets: { key: key!, controllerKey: key! } }))
    .rejects.toThrow('does not know the controller\'s key')
  const line = await daemon.line((each) => each['event'] === 'authenticationFailed'
    && /does not accept the controller's answer/.test(String(each['reason'])), 'the host said so')
  expect(line['hostNqn']).toBe(OURS)
})

test('on the command line', () => {
  const weft = (...words: string[]) =>
    spawnSync(process.execPath, ['src/main.ts', ...words], { cwd: ROOT, encoding: 'utf8' })
  const at = `127.0.0.1:${daemon.endpoint.port}`
  const [mine, theirs] = [join(folder, 'key'), join(folder, 'controller')]
  const found = weft('discover', at, '--key', mine, '--controller-key', theirs)
  expect([found.status, found.stderr]).toEqual([0, ''])
  expect(found.stdout).toContain(ONE_WAY)
  expect(weft('identify', at, ONE_WAY, '--key', mine).status).toBe(0)
  const none = weft('identify', at, ONE_WAY)
  expect([none.status, none.stderr]).toEqual([1, expect.stringContaining('name a file with its key by --key')])
  const missing = weft('identify', at, ONE_WAY, '--key', join(folder, 'none'))
  expect([missing.status, missing.stderr]).toEqual([2, expect.stringContaining('there is no file')])
  const half = weft('identify', at, ONE_WAY, '--controller-key', theirs)
  expect([half.status, half.stderr]).toEqual([1, expect.stringContaining('goes with --key')])
})
