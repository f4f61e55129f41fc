/**
 * kill -9 of a daemon that keeps reservations: what was answered holds in the next one, from its first command on;
 * what cannot be kept is refused.
 */
import { mkdirSync, readFileSync, readdirSync, rmdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, expect, test } from 'vitest'
import { read, write } from '../command-bytes.ts'
import {
  NQN, configuration, removeDirectory, spawnDaemon, startDaemon, temporaryDirectory,
} from '../daemon.ts'
import { closeWires } from '../host.ts'
import { ACQUIRE, CPTPL_CLEAR, CPTPL_SET, REGISTER, ReservingHost } from '../reservation-bytes.ts'

const OK = '0/00h'
const CONFLICT = '0/83h'
const directory = temporaryDirectory()
afterAll(() => removeDirectory(directory))
afterEach(closeWires)

let folders = 0
const config = (state = join(directory, String(++folders))) => configuration({
  reactors: 2, state,
  subsystems: [{
    nqn: NQN, hosts: 'any',
    namespaces: [{ nsid: 1, file: join(directory, 'disk'), size: '16M' }, { nsid: 2, memory: '8M' }],
  }],
})

const fileOf = (folder: string): string => {
  const name = readdirSync(folder).find((each) => each.endsWith('.reservations.json'))
  return join(folder, name ?? 'there is none')
}

test('RES-23: through three lives, at whatever moment they end', async () => {
  const what = config()
  const first = await startDaemon(what)
  const a = await ReservingHost.open(first.endpoint, 0xa0n)
  const b = await ReservingHost.open(first.endpoint, 0xb0n)
  expect([await a.register(CPTPL_SET), await b.register(), await a.acquire(2)]).toEqual([OK, OK, OK])
  b.nsid = 2
  expect(await b.register()).toBe(OK)
  const before = await a.report()
  await first.kill()

  const second = await startDaemon(what)
  const again = await ReservingHost.open(second.endpoint, 0xa0n, a.identity)
  const other = await ReservingHost.open(second.endpoint, 0xb0n, b.identity)
  expect((await other.queue.submit(read(1, 0, 1), { receive: 512 })).status).toBe(CONFLICT)
  expect((await again.queue.submit(write(1, 0, 1), { send: Buffer.alloc(512) })).status).toBe(OK)
  const cntlids = [again, other].map(({ session }) => session.admin.cntlid)
  expect(await again.report()).toEqual({
    ...before, registrants: before.registrants.map((each, index) => ({ ...each, cntlid: cntlids[index] })),
  })
  other.nsid = 2
  expect((await other.report()).registrants, 'that one was not to be kept').toEqual([])
  other.nsid = 1
  // In the middle of a command: what was not answered may or may not be.
  void other.acquire(1, ACQUIRE.preempt, 0xa0n).catch(() => {})
  await second.kill()

  const third = await startDaemon(what)
  const last = await ReservingHost.open(third.endpoint, 0xb0n, b.identity)
  const { registrants, type } = await last.report()
  const hosts = registrants.map(({ hostid }) => hostid)
  expect([[2, [a.hostid, b.hostid]], [1, [b.hostid]]]).toContainEqual([type, hosts])
  expect(await last.register(REGISTER.register | CPTPL_CLEAR)).toBe(OK)
  await third.kill()

  const fourth = await startDaemon(what)
  const nobody = await ReservingHost.open(fourth.endpoint, 1n)
  expect(await nobody.report()).toEqual({ generation: 0, type: 0, persistent: 0, registrants: [] })
  await closeWires()
  await fourth.stop()
})

test('RES-23: what was acquired and released in turn is never a half of it', async () => {
  const what = config()
  for (let life = 0; life < 4; life += 1) {
    const daemon = await startDaemon(what)
    const host = await ReservingHost.open(daemon.endpoint, 7n, { hostid: Buffer.alloc(16, 7), hostnqn: `${NQN}-host` })
    expect(await host.register(CPTPL_SET)).toBe(OK)
    const endless = (async () => {
      for (;;) {
        await host.acquire(1)
        await host.release(1)
      }
    })().catch(() => {})
    for (let reads = 0; reads < 5 + 7 * life; reads += 1) await host.report()
    await daemon.kill()
    await endless
    const { state } = JSON.parse(readFileSync(fileOf(what.state!), 'utf8'))
    expect([0, 1]).toContain(state[0].type)
    expect(state[0].registrants).toHaveLength(1)
  }
})

test('RES-24: a file that cannot be written', async () => {
  const what = config()
  const daemon = await startDaemon(what)
  const host = await ReservingHost.open(daemon.endpoint, 7n)
  expect(await host.register()).toBe(OK)
  const before = await host.report()
  // Where the new file would be written.
  const taken = join(what.state!, `${NQN.replace(':', '%3A')}.reservations.json.new`)
  mkdirSync(taken, { recursive: true })
  for (let tries = 0; tries < 3; tries += 1) expect(await host.register(CPTPL_SET)).toBe('0/06h')
  expect(await host.report()).toEqual(before)
  expect(await host.acquire(1), 'what need not be kept works').toBe(OK)
  await daemon.statistics()
  const complaints = daemon.lines.filter((line) => /reservations.* cannot be written/.test(JSON.stringify(line)))
  expect(complaints, 'it is told once').toHaveLength(1)
  rmdirSync(taken)
  expect(await host.register(CPTPL_SET)).toBe(OK)
  expect(JSON.parse(readFileSync(fileOf(what.state!), 'utf8')).state[0].type).toBe(1)
  await closeWires()
  await daemon.stop()
})

test('a file that was spoiled keeps the daemon from starting, and is left as it is', async () => {
  const what = config()
  const daemon = await startDaemon(what)
  const host = await ReservingHost.open(daemon.endpoint, 7n)
  expect(await host.register(CPTPL_SET)).toBe(OK)
  await closeWires()
  await daemon.stop()
  const path = fileOf(what.state!)
  const spoiled = readFileSync(path, 'utf8').replace('"type": 0', '"type": 9')
  writeFileSync(path, spoiled)
  const refused = spawnDaemon(what)
  expect(await refused.exit()).toBe(1)
  expect(refused.text).toContain(`${path}, line 10, cannot be used: state[0].type is 9, allowed: a whole number from`)
  expect(readFileSync(path, 'utf8')).toBe(spoiled)
})
