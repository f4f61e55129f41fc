/**
 * `weft subsystem|namespace|listener|host|device`: each command at a running weft, what it says to people and to
 * programs, and its exit status.
 */
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { CommanderError } from 'commander'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { createProgram } from '../../../src/cli/program.ts'
import { HostError } from '../../../src/host/error.ts'
import { type Daemon, NQN, configuration, removeDirectory, startDaemon, temporaryDirectory } from '../../daemon.ts'
import { openSession, someHost } from '../../host-session.ts'
import { closeWires } from '../../host.ts'

const HOST = 'nqn.2026-01.com.example:host1'
const MADE = 'nqn.2026-01.com.example:made'
/** Of 127.0.0.0/8 some address that nobody else has. */
const byte = (): number => 1 + Math.floor(Math.random() * 253)
const PLACE = `127.${byte()}.${byte()}.${byte()}:4420`

const folder = temporaryDirectory()
const control = join(folder, 'control')
let daemon: Daemon
beforeAll(async () => {
  const subsystems = [{ nqn: NQN, hosts: 'any' as const, namespaces: [{ nsid: 1, memory: '16M' }] }]
  daemon = await startDaemon({ ...configuration({ subsystems }), ...{ control } })
})
afterAll(async () => {
  await closeWires()
  await daemon.stop()
  removeDirectory(folder)
})

type Outcome = { readonly status: number; readonly stdout: string; readonly stderr: string }

/** In this process: what main.ts does with a command line. */
async function weft(...words: string[]): Promise<Outcome> {
  let [status, stdout, stderr] = [0, '', '']
  const spies = [
    vi.spyOn(process.stdout, 'write').mockImplementation((text) => { stdout += String(text); return true }),
    vi.spyOn(process.stderr, 'write').mockImplementation((text) => { stderr += String(text); return true }),
  ]
  try {
    await createProgram((code) => { status = code }).parseAsync([...words, '--control', control], { from: 'user' })
  } catch (error) {
    if (error instanceof CommanderError) status = error.exitCode === 0 ? 0 : 2
    else if (error instanceof HostError) [status, stderr] = [1, error.message]
    else throw error
  } finally {
    for (const spy of spies) spy.mockRestore()
  }
  return { status, stdout, stderr }
}

async function done(...words: string[]): Promise<string> {
  const outcome = await weft(...words)
  expect(outcome, words.join(' ')).toMatchObject({ status: 0, stderr: '' })
  return outcome.stdout
}

async function asked<Answer>(...words: string[]): Promise<Answer> {
  return JSON.parse(await done(...words, '--json')) as Answer
}

test('a subsystem is made, shown, changed and removed', async () => {
  expect(await done('subsystem', 'add', MADE, '--serial', 'MADE1')).toContain(`Subsystem ${MADE} is there.`)
  expect(await weft('subsystem', 'add', MADE)).toMatchObject({ status: 4, stderr: expect.stringContaining('already') as string })
  expect(await asked('subsystem', 'show', MADE)).toMatchObject({ nqn: MADE, serial: 'MADE1', anyHost: false, namespaces: [] })
  expect(await done('subsystem', 'set', MADE, '--any-host')).toContain('any host may connect')
  expect(await weft('subsystem', 'set', MADE)).toMatchObject({ status: 2 })
  expect(await asked<{ nqn: string }[]>('subsystem', 'list')).toMatchObject([{ nqn: NQN }, { nqn: MADE, anyHost: true }])
  expect(await done('subsystem', 'list')).toMatch(new RegExp(`SUBSYSTEM.*\\n${NQN} .*\\n${MADE} +MADE1 +any +0 +0 +-`))
  expect(await done('subsystem', 'show', NQN)).toMatch(/serial: +\S+\n(.*\n)*namespaces: +1: memory, 16 MiB/)
  expect(await done('subsystem', 'remove', MADE)).toContain('was removed')
  expect(await weft('subsystem', 'remove', MADE))
    .toEqual({ status: 3, stdout: '', stderr: `There is no subsystem ${MADE}; there is ${NQN}.\n` })
})

test('a namespace is made, shown, changed and removed', async () => {
  const file = join(folder, 'disk.img')
  writeFileSync(file, '')
  expect(await done('namespace', 'add', NQN, '--file', file, '--size', '4M', '--nsid', '7', '--iops', '500', '--hosts', HOST))
    .toBe(`Namespace 7 of ${NQN} is there: ${file}, 4 MiB.\n`)
  expect(await weft('namespace', 'add', NQN, '--memory', '1M', '--nsid', '7')).toMatchObject({ status: 4 })
  expect(await asked('namespace', 'show', NQN, '7'))
    .toMatchObject({ subsystem: NQN, nsid: 7, kind: 'file', path: file, hosts: [HOST], limits: { iops: 500 }, anaGroup: 1 })
  expect(await asked('namespace', 'set', NQN, '7', '--size', '8M', '--iops', 'none', '--read-bandwidth', '3M', '--ana-group', '2', '--hosts', 'any'))
    .toMatchObject({ bytes: 8 << 20, hosts: 'any', limits: { readBandwidthMiB: 3 }, anaGroup: 2 })
  expect(await done('namespace', 'list', NQN)).toContain('readBandwidthMiB 3')
  expect(await asked('namespace', 'list')).toMatchObject([{ nsid: 1 }, { nsid: 7 }])
  expect(await weft('namespace', 'set', NQN, '7')).toMatchObject({ status: 2 })
  expect(await weft('namespace', 'set', NQN, 'x', '--size', '1M')).toMatchObject({ status: 2, stderr: 'x is no number of a namespace, from 1 on.\n' })
  expect(await weft('namespace', 'set', NQN, '7', '--size', '1 apple')).toMatchObject({ status: 1, stderr: expect.stringContaining('size: found') as string })
  expect(await weft('namespace', 'add', NQN)).toMatchObject({ status: 1, stderr: expect.stringContaining('exactly one of memory') as string })
  expect(await weft('namespace', 'add', NQN, '--iops', 'many')).toMatchObject({ status: 2 })
  expect(await done('namespace', 'remove', NQN, '7')).toContain('was removed')
  expect(await weft('namespace', 'show', NQN, '7')).toMatchObject({ status: 3, stderr: `${NQN} has no namespace 7.\n` })
  rmSync(file)
})

test('a device is made, used, changed, and removed when nobody uses it any more', async () => {
  expect(await done('device', 'add', 'disk0', '--memory', '1M', '--write-iops', '9')).toBe('Device disk0 is there: memory, 1 MiB.\n')
  expect(await weft('device', 'add', 'disk0', '--memory', '1M')).toMatchObject({ status: 4 })
  expect(await asked('namespace', 'add', NQN, '--use', 'disk0')).toMatchObject({ nsid: 2, device: 'disk0', limits: { writeIops: 9 } })
  expect(await asked('device', 'set', 'disk0', '--size', '2M')).toMatchObject({ bytes: 2 << 20, usedBy: { subsystem: NQN, nsid: 2 } })
  expect(await asked('namespace', 'set', NQN, '2', '--size', '3M', '--bandwidth', '5M')).toMatchObject({ bytes: 3 << 20 })
  expect(await asked('device', 'list')).toMatchObject([{ name: 'disk0', bytes: 3 << 20 }])
  expect(await done('device', 'show', 'disk0')).toContain(`used by: namespace 2 of ${NQN}`)
  expect(await weft('device', 'remove', 'disk0')).toMatchObject({ status: 1, stderr: expect.stringContaining('uses disk0') as string })
  expect(await weft('device', 'set', 'disk0')).toMatchObject({ status: 2 })
  await done('namespace', 'remove', NQN, '2')
  await done('device', 'remove', 'disk0')
  expect(await weft('device', 'show', 'disk0')).toMatchObject({ status: 3 })
})

test('a host is let in, shown, connected, and let in no longer', async () => {
  expect(await done('host', 'add', NQN, HOST)).toBe(`${HOST} may connect to ${NQN}.\n`)
  expect(await weft('host', 'add', NQN, HOST)).toMatchObject({ status: 4 })
  expect(await weft('host', 'add', NQN, `${HOST}2`, '--key', 'absent')).toMatchObject({ status: 1, stderr: expect.stringContaining('no key absent') as string })
  const other = someHost('cli')
  await openSession(daemon.endpoint, { subnqn: NQN, identity: other }, 1)
  expect(await asked('host', 'list', NQN))
    .toMatchObject([{ nqn: HOST, listed: true, connections: [] }, { nqn: other.hostnqn, listed: false, connections: [{ ioQueues: 1 }] }])
  expect(await done('host', 'show', NQN, other.hostnqn)).toMatch(/access: +any host may connect\n(.*\n)*connections: +127\.0\.0\.1:\d+, controller \d+, 1 I\/O queues/)
  expect(await weft('host', 'remove', NQN, other.hostnqn)).toMatchObject({ status: 3 })
  expect(await done('host', 'set', NQN, HOST)).toContain('key:            none')
  await done('host', 'remove', NQN, HOST)
  expect(await weft('host', 'show', NQN, HOST)).toMatchObject({ status: 3 })
})

test('a listener is added, moved to another state, and removed', async () => {
  expect(await done('listener', 'add', NQN, PLACE)).toBe(`${NQN} is served on ${PLACE}.\n`)
  expect(await weft('listener', 'add', NQN, PLACE)).toMatchObject({ status: 4 })
  expect(await asked('listener', 'set', NQN, PLACE, '--ana', 'non-optimized')).toMatchObject({ ana: { 1: 'non-optimized' } })
  expect(await weft('listener', 'set', NQN, PLACE)).toMatchObject({ status: 2 })
  expect(await weft('listener', 'set', NQN, PLACE, '--ana', 'fast')).toMatchObject({ status: 2 })
  expect(await done('listener', 'show', NQN, PLACE)).toContain('group 1: non-optimized')
  expect(await asked<{ address: string }[]>('listener', 'list')).toContainEqual(expect.objectContaining({ address: PLACE.split(':')[0] }))
  expect(await weft('listener', 'show', NQN, 'here')).toMatchObject({ status: 2 })
  await done('listener', 'remove', NQN, PLACE)
  expect(await weft('listener', 'remove', NQN, PLACE)).toMatchObject({ status: 3 })
})

test('where no weft answers, or words are wrong, the exit status says so', async () => {
  const elsewhere = createProgram(() => {}).parseAsync(['subsystem', 'list', '--control', join(folder, 'absent')], { from: 'user' })
  await expect(elsewhere).rejects.toThrow('No weft answers')
  expect(await weft('subsystem', 'show')).toMatchObject({ status: 2 })
  expect(await weft('namespace', 'polish', NQN)).toMatchObject({ status: 2 })
})
