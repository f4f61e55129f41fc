/**
 * One weft takes over from another: the same addresses, the same data; and where the next one cannot, the one that is
 * there serves on. Nobody who connects meanwhile is refused.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { callMethod } from '../../src/rpc/client.ts'
import { type Daemon, type DaemonConfig, NQN, configuration, removeDirectory, startDaemon, temporaryDirectory } from '../daemon.ts'

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url))

vi.setConfig({ testTimeout: 300_000 })

let folder = ''
let daemon: Daemon
beforeEach(() => { folder = temporaryDirectory() })
afterEach(() => removeDirectory(folder))

async function start(namespaces: NonNullable<DaemonConfig['subsystems']>[number]['namespaces']): Promise<void> {
  // What the heir needs outlives the folder of the daemon that was started first.
  const kept = { control: control(), state: join(folder, 'state') }
  daemon = await startDaemon({ ...configuration({ subsystems: [{ nqn: NQN, hosts: 'any', namespaces }] }), ...kept } as DaemonConfig)
}

async function weft(...words: string[]): Promise<{ status: number; stdout: string; stderr: string }> {
  const child = spawn(process.execPath, [MAIN, ...words])
  let [stdout, stderr] = ['', '']
  child.stdout.on('data', (bytes: Buffer) => { stdout += bytes.toString() })
  child.stderr.on('data', (bytes: Buffer) => { stderr += bytes.toString() })
  const [status] = await once(child, 'close') as [number]
  return { status, stdout, stderr }
}

const control = (): string => join(folder, 'control')

async function pid(): Promise<number> {
  const { result } = await callMethod(control(), 'weft_get_status', {}) as { result: { pid: number } }
  return result.pid
}

/** The data of a whole run, written before and read after. */
function perf(...words: string[]): Promise<{ status: number; stdout: string; stderr: string }> {
  const { address, port } = daemon.endpoint
  return weft('perf', `${address}:${port}`, NQN, '--verify', '--amount', '4M', '--depth', '8', '--json', ...words)
}

/** Connects over and over; how often it was refused. */
function knock(): { stop: () => Promise<number> } {
  let going = true
  let refused = 0
  const done = (async () => {
    while (going) {
      const socket = connect({ host: daemon.endpoint.address, port: daemon.endpoint.port })
      await once(socket, 'connect').catch((error: NodeJS.ErrnoException) => {
        if (error.code === 'ECONNREFUSED') refused += 1
      })
      socket.on('error', () => {})
      socket.destroy()
      // Slower than a listener's queue fills while the one goes and the other comes.
      await sleep(100)
    }
  })()
  return { stop: async () => {
    going = false
    await done
    return refused
  } }
}

test('the next weft serves the same data at the same address, and nobody was refused', async () => {
  await start([{ nsid: 1, file: join(folder, 'disk.img'), size: '4M', block: 4096 }])
  expect(await perf('--rw', 'write', '--overwrite')).toMatchObject({ status: 0 })
  expect(await callMethod(control(), 'nvmf_create_subsystem', { nqn: `${NQN}-made` })).toEqual({ result: true })
  const knocking = knock()
  const taken = await weft('upgrade', '--control', control())
  expect(taken, daemon.text).toMatchObject({ status: 0, stderr: '' })
  // Its output is the heir's too, and stays open.
  await vi.waitFor(() => expect(daemon.child.exitCode).toBe(0), { timeout: 120_000, interval: 50 })
  expect(await knocking.stop()).toBe(0)
  const heir = Number(/process (\d+)/.exec(taken.stdout)![1])
  try {
    expect(heir).not.toBe(daemon.child.pid)
    expect(await pid()).toBe(heir)
    expect(await perf('--rw', 'read')).toMatchObject({ status: 0, stdout: expect.stringContaining('"verified": 1024') as string })
    const kept = await callMethod(control(), 'nvmf_get_subsystems', { nqn: `${NQN}-made` })
    expect(kept, 'what was changed is kept').toMatchObject({ result: [{ nqn: `${NQN}-made` }] })
  } finally {
    process.kill(heir, 'SIGTERM')
    await vi.waitFor(() => expect(() => process.kill(heir, 0)).toThrow(), { timeout: 60_000, interval: 50 })
  }
  expect(daemon.text).not.toMatch(/assert|leak|cannot/i)
})

test('a next one that does not start changes nothing, and one that cannot open its storage is replaced by the old one', async () => {
  const namespace = { nsid: 1, file: join(folder, 'disk.img'), size: '4M', block: 4096 } as const
  await start([namespace])
  expect(await perf('--rw', 'write', '--overwrite')).toMatchObject({ status: 0 })
  const failed = await callMethod(control(), 'weft_upgrade', { program: ['/bin/false'] })
  expect(JSON.stringify(failed)).toContain('does not start')
  const config = JSON.parse(readFileSync(daemon.path, 'utf8')) as { subsystems: { namespaces: object[] }[] }
  config.subsystems[0]!.namespaces.push({ nsid: 2, device: join(folder, 'no-device') })
  writeFileSync(daemon.path, JSON.stringify(config))
  const { status, stderr } = await weft('upgrade', '--control', control())
  expect({ status, stderr }).toMatchObject({ status: 1, stderr: expect.stringContaining('serves on') as string })
  expect(await pid()).toBe(daemon.child.pid)
  expect(await perf('--rw', 'read')).toMatchObject({ status: 0, stdout: expect.stringContaining('"verified": 1024') as string })
  writeFileSync(daemon.path, daemon.configured)
  await daemon.reload(JSON.parse(daemon.configured) as DaemonConfig)
  daemon.signal('SIGTERM')
  expect(await daemon.exit()).toBe(0)
})

test('what is in memory is not lost unasked', async () => {
  await start([{ nsid: 1, memory: '4M' }])
  const refused = await callMethod(control(), 'weft_upgrade', { program: [process.execPath, MAIN] })
  expect(JSON.stringify(refused)).toContain('--lose-memory')
  expect(await pid()).toBe(daemon.child.pid)
  await daemon.stop()
})
