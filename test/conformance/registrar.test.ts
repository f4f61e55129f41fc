/**
 * weft as one that registers: a second weft is the central discovery controller, whose log shows it.
 * NVMe Base 2.0, Discovery Information Management.
 */
import { afterEach, expect, test } from 'vitest'
import { DISCOVERY_NQN, asyncEventRequest, getLogPage, setFeatures } from '../command-bytes.ts'
import { NQN, configuration, startDaemon, type Daemon, type DaemonConfig } from '../daemon.ts'
import { openSession } from '../host-session.ts'
import { closeWires, type Endpoint } from '../host.ts'

const PRIVATE_NQN = 'nqn.2026-01.example:private'
const HOST = '127.0.0.1'
const running = new Set<Daemon>()

afterEach(async () => {
  await closeWires()
  for (const daemon of running) await daemon.kill()
  running.clear()
})

async function start(config: Parameters<typeof startDaemon>[0]): Promise<Daemon> {
  const daemon = await startDaemon(config)
  running.add(daemon)
  return daemon
}

const central = (port = 0): Promise<Daemon> => start(configuration({
  listeners: [{ address: HOST, port }], discovery: { central: true, listeners: false }, subsystems: [],
}))

const offering = (register: Endpoint[], privateHosts: 'any' | string[]): DaemonConfig => configuration({
  register,
  subsystems: [
    { nqn: NQN, hosts: 'any', namespaces: [{ nsid: 1, memory: '8M' }] },
    { nqn: PRIVATE_NQN, hosts: privateHosts, namespaces: [{ nsid: 1, null: '1G' }] },
  ],
})

const registering = (port: number): Promise<Daemon> =>
  start(offering([{ address: HOST, port }], ['nqn.2026-01.example:host']))

const said = (daemon: Daemon, words: RegExp): Promise<unknown> =>
  daemon.line((line) => words.test(String(line['message'])), `it said ${words}`)

const text = (bytes: Buffer): string => bytes.toString('latin1').replace(/[\0 ]+$/, '')

/** "SUBTYPE NQN ADDRESS PORT" of each entry but that of the service that is asked. */
async function listed(endpoint: Endpoint): Promise<string[]> {
  const at = await openSession(endpoint, { subnqn: DISCOVERY_NQN }, 0)
  const data = (await at.admin.must(getLogPage(0x70, 1024 * 8 / 4, 0), { receive: 1024 * 8 })).data
  const found: string[] = []
  for (let index = 1; index < Number(data.readBigUInt64LE(8)); index += 1) {
    const entry = data.subarray(1024 * (index + 1), 1024 * (index + 2))
    found.push([
      entry.readUInt8(2), text(entry.subarray(256, 512)), text(entry.subarray(512, 768)), text(entry.subarray(32, 64)),
    ].join(' '))
  }
  await at.end()
  return found
}

test('DSC-22: at start, and taken back at stop', async () => {
  const there = await central()
  const here = await registering(there.endpoint.port)
  await said(here, /^Registered 2 entries with the central discovery controller /)
  const { port } = here.endpoint
  expect(await listed(there.endpoint)).toEqual([
    `1 ${DISCOVERY_NQN} ${HOST} ${port}`, `2 ${NQN} ${HOST} ${port}`,
  ])
  await here.stop()
  await said(here, /^Deregistered from the central discovery controller /)
  expect(await listed(there.endpoint)).toEqual([])
  await there.stop()
})

test('DSC-22: what changes, and who is told, live', async () => {
  const there = await central()
  const place = { address: HOST, port: there.endpoint.port }
  const here = await registering(place.port)
  await said(here, /^Registered 2 entries/)
  const at = await openSession(there.endpoint, { subnqn: DISCOVERY_NQN, kato: 60_000 }, 0)
  await at.admin.must(setFeatures(0x0b, 0x8000_0000))
  const changed = async (config: DaemonConfig): Promise<string[]> => {
    const event = at.admin.must(asyncEventRequest())
    await here.reload(config)
    expect((await event).dw0).toBe(0x0070_f002)
    await at.admin.must(getLogPage(0x70, 256, 0), { receive: 1024 })
    return listed(there.endpoint)
  }
  const { port } = here.endpoint
  const [service, open, other] = [
    `1 ${DISCOVERY_NQN} ${HOST} ${port}`, `2 ${NQN} ${HOST} ${port}`, `2 ${PRIVATE_NQN} ${HOST} ${port}`,
  ]
  expect(await changed(offering([place], 'any'))).toEqual([service, open, other])
  expect(await changed(offering([place], ['nqn.2026-01.example:host']))).toEqual([service, open])
  expect(await changed(offering([], 'any'))).toEqual([])
  await here.stop()
  await there.stop()
})

test('DSC-23: again, when it comes back', async () => {
  const first = await central()
  const { port } = first.endpoint
  const here = await registering(port)
  await said(here, /^Registered 2 entries/)
  await first.kill()
  await said(here, /^Not registered with the central discovery controller .* It is tried again\.$/)
  const second = await central(port)
  const registrations = (): number =>
    here.lines.filter((line) => /^Registered 2/.test(String(line['message']))).length
  await here.line(() => registrations() === 2, 'it registered again')
  expect(await listed(second.endpoint)).toHaveLength(2)
  const lost = here.lines.filter((line) => /^Not registered/.test(String(line['message'])))
  expect(lost, 'one line for each change').toHaveLength(1)
  await here.stop()
  await second.stop()
})

test('DSC-22: not with a direct discovery controller', async () => {
  const direct = await start(configuration())
  const here = await registering(direct.endpoint.port)
  await said(here, /^Not registered .*: 127\.0\.0\.1:\d+ is no central discovery controller\. /)
  await here.stop()
  await direct.stop()
})
