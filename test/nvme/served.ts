/**
 * A target that serves namespaces of a fake NVMe controller: the real reactors, the real shim, and in the place of the
 * device a region that the fake plays it on, in this process.
 *
 *   host ─ TCP ─▶ reactors (worker threads) ─ queues in DMA memory ─▶ FakeNvme, stepped by this thread
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Document } from '../../src/config/document.ts'
import { baseFromFlags } from '../../src/config/flags.ts'
import type { Log } from '../../src/control/log.ts'
import { loadPci } from '../../src/shim/pci.ts'
import { loadShim } from '../../src/shim/shim.ts'
import { startTarget, type Target } from '../../src/target.ts'
import { BAR_BYTES, FakeNvme, type FakeOptions } from './device.ts'

export const SERVED_NQN = 'nqn.2026-01.com.example:nvme'
const WAIT_MS = 30_000
const IDLE_MS = 1

export type Served = {
  readonly target: Target
  /** What it serves, as it is changed while it is served. */
  readonly document: Document
  readonly log: Log
  readonly folder: string
  readonly device: FakeNvme
  readonly endpoint: { readonly address: string; readonly port: number }
  /** Lines of the log, for people. */
  readonly told: string[]
  /** Resolves when a line has all of this in it. */
  line(part: string): Promise<void>
  until(reached: () => boolean, what: string): Promise<void>
  stop(): Promise<void>
}

/** more: flags besides those that say where the device is. first: the flag for the first namespace. */
export async function serveFake(
  options: Partial<FakeOptions> = {}, more: readonly (readonly [name: string, value: string])[] = [], reactors = 2,
  first: readonly [name: string, value: string] = ['--pci', '0000:03:00.0'],
): Promise<Served> {
  const folder = mkdtempSync(join(tmpdir(), 'weft-pci-'))
  const [shim, pci] = [loadShim(), loadPci()]
  const region = shim.regionCreate(BAR_BYTES, false)
  const device = new FakeNvme(new Int32Array(shim.regionView(region, BAR_BYTES)), options, (iova, bytes) => {
    const found = pci.reach(iova | 0, Math.floor(iova / 2 ** 32), bytes)
    return found === null ? null : new Uint8Array(found)
  }, (vector) => { pci.interrupt(0, vector) })
  device.master = true
  const told: string[] = []
  const log = new Proxy({}, { get: (_target, event: string) => (what: unknown) => {
    told.push(typeof what === 'string' ? what : `${event} ${JSON.stringify(what)}`)
  } }) as Log
  let ended = false
  const pump = (): void => {
    const busy = device.step()
    if (ended) return
    if (busy) setImmediate(pump)
    else setTimeout(pump, IDLE_MS)
  }
  pump()
  const end = (): void => {
    ended = true
    rmSync(folder, { recursive: true, force: true })
  }
  const flags = [
    first, ...more, ['--nqn', SERVED_NQN], ['--listen', '127.0.0.1:0'], ['--discovery', 'off'],
    ['--reactors', String(reactors)], ['--state', join(folder, 'state')], ['--control', 'off'],
  ].map(([name, value]) => ({ name: name!, value: value! }))
  const document = new Document({ read: () => baseFromFlags(flags), warn: (sentence) => { told.push(sentence) } })
  const take = () => ({ by: 'memory', region }) as const
  const target = await startTarget(document.config, log, { take }).catch((error: unknown) => {
    end()
    throw error
  })
  const until = async (reached: () => boolean, what: string): Promise<void> => {
    const deadline = Date.now() + WAIT_MS
    while (!reached()) {
      if (Date.now() > deadline) throw new Error(`${what} did not happen; the log says:\n${told.join('\n')}`)
      await new Promise((resolve) => { setTimeout(resolve, 5) })
    }
  }
  return {
    target, document, log, folder, device, told, until, endpoint: target.listeners[0]!,
    line: (part) => until(() => told.some((line) => line.includes(part)), `a line with "${part}"`),
    stop: async () => {
      await target.stop()
      end()
    },
  }
}
