/** What the manager of services hears: over a real socket, and when the signs of life come and stop. */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { Service } from '../../../src/control/service.ts'
import { loadShim } from '../../../src/shim/shim.ts'
import { configuration, startDaemon } from '../../daemon.ts'

const sent: string[] = []
const warnings: string[] = []
const log = { warning: (sentence: string) => { warnings.push(sentence) } }

function service(environment: Record<string, string | undefined>, result = 0): Service {
  return new Service(environment, (path, text) => {
    sent.push(`${path} ${text}`)
    return result
  }, log)
}

beforeEach(() => {
  sent.length = 0
  warnings.length = 0
  vi.useFakeTimers()
})
afterEach(() => { vi.useRealTimers() })

test('without a manager nothing is sent', async () => {
  const alone = service({ WATCHDOG_USEC: '3000000' })
  alone.ready('Serves.')
  alone.watch(() => Promise.resolve())
  await vi.advanceTimersByTimeAsync(10_000)
  expect(sent).toEqual([])
})

test('each step is a datagram; a reload has its time', () => {
  const environment = { NOTIFY_SOCKET: '/run/notify', WATCHDOG_USEC: '0', OTHER: 'x' }
  const one = service(environment)
  one.ready('Serves 1 namespace.')
  one.reloading()
  one.stopping()
  expect(sent[0]).toBe('/run/notify READY=1\nSTATUS=Serves 1 namespace.\n')
  expect(sent[1]).toMatch(/^\/run\/notify RELOADING=1\nMONOTONIC_USEC=\d+\nSTATUS=.*\n$/)
  expect(sent[2]).toMatch(/^\/run\/notify STOPPING=1\n/)
  expect(environment).toEqual({ OTHER: 'x' })
})

test('signs of life come while the reactors turn, and stop when one does not', async () => {
  let turned = (): void => {}
  const one = service({ NOTIFY_SOCKET: '@abstract', WATCHDOG_USEC: '3000000', WATCHDOG_PID: String(process.pid) })
  one.watch(() => new Promise((resolve) => { turned = resolve }))
  await vi.advanceTimersByTimeAsync(1000)
  expect(sent).toEqual([])
  turned()
  await vi.advanceTimersByTimeAsync(1000)
  expect(sent).toEqual(['@abstract WATCHDOG=1\n'])
  await vi.advanceTimersByTimeAsync(10_000)
  expect(sent.length).toBe(1)
  turned()
  await vi.advanceTimersByTimeAsync(0)
  expect(sent.length).toBe(2)
})

test('a watchdog for another process is not ours', () => {
  expect(service({ NOTIFY_SOCKET: '/run/notify', WATCHDOG_USEC: '3000000', WATCHDOG_PID: '1' }).watchdogMs).toBe(0)
})

test('a manager that cannot be reached is warned of once', () => {
  const one = service({ NOTIFY_SOCKET: '/run/notify' }, -2)
  one.ready('')
  one.stopping()
  expect(warnings).toEqual(['The manager of services cannot be told anything at /run/notify (ENOENT).'])
})

/** A manager of services: prints what it is told. Node has no such sockets, so it is in Python, as elsewhere. */
const MANAGER = `
import socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
print("bound", flush=True)
while True:
    print(s.recv(4096).decode().strip().replace("\\n", " "), flush=True)
`

test('a daemon tells a real socket that it is ready, alive, reloads and stops', async (context) => {
  vi.useRealTimers()
  const folder = mkdtempSync(join(tmpdir(), 'weft-test-'))
  const path = join(folder, 'notify')
  const manager: ChildProcess = spawn('python3', ['-c', MANAGER, path], { stdio: ['ignore', 'pipe', 'inherit'] })
  const failed = await Promise.race([once(manager.stdout!, 'data').then(() => false), once(manager, 'error').then(() => true)])
  if (failed) return context.skip('there is no Python')
  let heard = ''
  manager.stdout!.on('data', (bytes: Buffer) => { heard += bytes.toString() })
  const hears = (what: RegExp): Promise<void> =>
    vi.waitFor(() => expect(heard).toMatch(what), { timeout: 20_000, interval: 20 })
  try {
    expect(loadShim().notify(join(folder, 'none'), 'READY=1')).toBe(-2)
    const daemon = await startDaemon(configuration(), ['env', `NOTIFY_SOCKET=${path}`, 'WATCHDOG_USEC=300000'])
    await hears(/READY=1 STATUS=Serves 1 namespace on 127\.0\.0\.1:\d+\./)
    await hears(/WATCHDOG=1[^]*WATCHDOG=1/)
    daemon.signal('SIGHUP')
    await hears(/RELOADING=1 MONOTONIC_USEC=\d+ [^]*READY=1/)
    await daemon.stop()
    await hears(/STOPPING=1/)
  } finally {
    manager.kill()
    rmSync(folder, { recursive: true })
  }
})
