/**
 * Keys that change while hosts are connected: what the next authentication needs, and what stays.
 * NVMe Base 2.0, 8.13; the configuration is read again on SIGHUP.
 */
import { chmodSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import {
  CONTROLLER_KEY, CONTROLLER_SECRET, HOST_KEY, HOST_SECRET, failureOf, negotiate, sendMessage,
} from '../authentication-bytes.ts'
import { identify, read } from '../command-bytes.ts'
import {
  configuration, startDaemon, temporaryDirectory, type Daemon, type DaemonConfig, type HostConfig,
} from '../daemon.ts'
import { answerChallenge, authenticate } from '../host-authentication.ts'
import { Session, enable, openAdmin, someHost, tryConnect } from '../host-session.ts'
import { Wire, closeWires } from '../host.ts'

const SUBSYSTEM = 'nqn.2026-01.example:guarded'
const HOST = someHost('keyed')
const NAMES = { hostnqn: HOST.hostnqn, subnqn: SUBSYSTEM }
const ATR = 1 << 17
/** The other one of the two secrets there are. */
const NEW_KEY = CONTROLLER_KEY
const NEW_SECRET = CONTROLLER_SECRET

let daemon: Daemon
let folder = ''

function guarded(host: Partial<HostConfig>): DaemonConfig {
  return configuration({
    subsystems: [{
      nqn: SUBSYSTEM, hosts: [{ nqn: HOST.hostnqn, ...host }], namespaces: [{ nsid: 1, memory: '8M' }],
    }],
  })
}

function writeKey(text: string): string {
  const path = join(folder, 'host.key')
  writeFileSync(path, text)
  chmodSync(path, 0o600)
  return path
}

beforeAll(async () => {
  folder = temporaryDirectory()
  daemon = await startDaemon(guarded({ key: HOST_SECRET }))
})
afterAll(async () => {
  rmSync(folder, { recursive: true, force: true })
  await daemon.stop()
})
beforeEach(() => change(guarded({ key: HOST_SECRET })))
afterEach(closeWires)

async function change(config: DaemonConfig): Promise<void> {
  const said = await daemon.reload(config)
  expect(said.join('\n')).toContain('was read again: what it says is served')
}

/** An admin queue and an I/O queue, both authenticated with this key. */
async function open(key: Buffer): Promise<Session> {
  const session = await openAdmin(daemon.endpoint, { subnqn: SUBSYSTEM, identity: HOST })
  await authenticate(session.admin, { names: NAMES, key })
  await enable(session.admin)
  await authenticate(await session.connectIo(1), { names: NAMES, key })
  return session
}

async function expectOpen(session: Session): Promise<void> {
  await session.admin.must(identify(1), { receive: 4096 })
  await session.queue(1).must(read(1, 0, 1), { receive: 512 })
}

async function expectRefused(key: Buffer): Promise<void> {
  const { admin } = await openAdmin(daemon.endpoint, { subnqn: SUBSYSTEM, identity: HOST })
  expect(failureOf((await answerChallenge(admin, { names: NAMES, key })).answer)).toEqual([1, 1])
}

test.each([
  ['in the configuration', async () => change(guarded({ key: NEW_SECRET }))],
  ['in a file', async () => {
    await change(guarded({ keyFile: writeKey(HOST_SECRET) }))
    writeKey(NEW_SECRET)
    await change(guarded({ keyFile: join(folder, 'host.key') }))
  }],
])('AUT-23: another key %s', async (_name, changeKey) => {
  const session = await open(HOST_KEY)
  await changeKey()
  await expectOpen(session)
  await expectRefused(HOST_KEY)
  await expectOpen(await open(NEW_KEY))
  // The queues of before authenticate again with what counts now.
  await authenticate(session.admin, { names: NAMES, key: NEW_KEY, tid: 7 })
  await authenticate(session.queue(1), { names: NAMES, key: NEW_KEY, tid: 8 })
  await expectOpen(session)
})

test('AUT-23: the old key ends the association of who authenticates again with it', async () => {
  const session = await open(HOST_KEY)
  await change(guarded({ key: NEW_SECRET }))
  const { answer } = await answerChallenge(session.queue(1), { names: NAMES, key: HOST_KEY })
  expect(failureOf(answer)).toEqual([1, 1])
  await Promise.all([session.admin.wire.closed(), session.queue(1).wire.closed()])
})

test('AUT-23: a key where there was none, and none where there was one', async () => {
  await change(guarded({}))
  const session = await openAdmin(daemon.endpoint, { subnqn: SUBSYSTEM, identity: HOST })
  await enable(session.admin)
  await change(guarded({ key: HOST_SECRET }))
  await session.admin.must(identify(1), { receive: 4096 })
  const wire = await Wire.initialized(daemon.endpoint)
  expect((await tryConnect(wire, session.ioWish(1))).completion.dw0 & ATR).toBe(ATR)
  await authenticate(session.admin, { names: NAMES })
  await change(guarded({}))
  const free = await Wire.initialized(daemon.endpoint)
  expect((await tryConnect(free, session.ioWish(2))).completion.dw0 & ATR).toBe(0)
  expect((await sendMessage(session.admin, negotiate(3))).status).toBe('0/01h')
})

test('AUT-23: a configuration with a bad key changes nothing, and shows nothing', async () => {
  await daemon.reload(guarded({ key: HOST_SECRET.replace('AAEC', 'AAED') }))
  await daemon.line(({ message }) => /hosts\[0\]\.key: its CRC-32 does not match/.test(String(message)),
    'the mistake is told')
  await expectOpen(await open(HOST_KEY))
  expect(JSON.stringify(daemon.lines)).not.toMatch(/AAEC|AAED|DHHC-1:0/)
})
