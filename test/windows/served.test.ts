/**
 * A host on Linux uses what weft serves as a Windows program: load that checks every byte, a process
 * that is ended in the middle, and one that is asked to stop. run.ts starts this with $WEFT_WINE.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeAll, describe, expect, test } from 'vitest'
import { buildNative, runLoad, type LoadResult } from '../../bench/load.ts'
import { flush, read, write } from '../command-bytes.ts'
import {
  NQN, configuration, removeDirectory, startDaemon, temporaryDirectory, type Daemon,
} from '../daemon.ts'
import { openSession } from '../host-session.ts'
import { closeWires } from '../host.ts'
import { wineNode } from './process.ts'

const BLOCK_BYTES = 512
const LOAD_COMMANDS = 4000
let daemon: Daemon | null = null
const folders: string[] = []

function folder(): string {
  const made = temporaryDirectory()
  folders.push(made)
  return made
}

async function serve(namespace: object): Promise<Daemon> {
  daemon = await startDaemon(configuration({
    reactors: 2, subsystems: [{ nqn: NQN, hosts: 'any', namespaces: [{ nsid: 1, ...namespace }] }],
  }))
  return daemon
}

function load(words: readonly string[]): Promise<LoadResult> {
  const at = daemon!.endpoint
  return runLoad({ name: 'wine', address: at.address, port: at.port, nqn: NQN, pid: null },
    ['--verify', '--op', 'mix', '--span', '16M', '--commands', String(LOAD_COMMANDS), ...words])
}

describe.skipIf(wineNode() === null)('served by a Windows program', { timeout: 600_000 }, () => {
  beforeAll(() => buildNative())

  afterEach(async () => {
    await closeWires()
    await daemon?.kill()
    daemon = null
    for (const each of folders.splice(0)) removeDirectory(each)
  })

  test.each([
    ['4 KiB, four queues', ['--connections', '4', '--depth', '16']],
    ['4 KiB with digests', ['--header-digest', '--data-digest', '--connections', '2']],
    ['128 KiB by R2T', ['--block', '128K', '--depth', '8', '--in-capsule-max', '0']],
  ])('memory holds what a host wrote: %s', async (_, words) => {
    await serve({ memory: '64M' })
    const { failed, differing, verified } = await load(words)
    expect({ failed, differing }).toEqual({ failed: 0, differing: 0 })
    expect(verified).toBeGreaterThan(LOAD_COMMANDS / 2)
    await daemon!.stop()
  })

  test.each([
    ['4 KiB, four queues', ['--connections', '4', '--depth', '16']],
    ['64 KiB', ['--block', '64K', '--depth', '4']],
  ])('a file holds what a host wrote: %s', async (_, words) => {
    await serve({ file: join(folder(), 'disk.img'), size: '64M' })
    const { failed, differing, verified } = await load(words)
    expect({ failed, differing }).toEqual({ failed: 0, differing: 0 })
    expect(verified).toBeGreaterThan(LOAD_COMMANDS / 2)
    await daemon!.stop()
  })

  test('what was flushed is there after the process was ended, and for the next one', async () => {
    const path = join(folder(), 'disk.img')
    const first = await serve({ file: path, size: '4M' })
    const at = await openSession(first.endpoint, { subnqn: NQN }, 1)
    const blocks = Buffer.alloc(16 * BLOCK_BYTES, 0)
    for (let i = 0; i < blocks.length; i++) blocks[i] = (i * 7 + (i >> 9)) & 0xff
    await at.queue(1).must(write(1, 100, 16), { send: blocks })
    await at.queue(1).must(flush(1))
    await first.kill()
    const image = readFileSync(path)
    expect(image.length).toBe(4 << 20)
    expect(image.subarray(100 * BLOCK_BYTES, 116 * BLOCK_BYTES).equals(blocks)).toBe(true)
    const second = await serve({ file: path, size: '4M' })
    const again = await openSession(second.endpoint, { subnqn: NQN }, 1)
    const { data } = await again.queue(1).must(read(1, 100, 16), { receive: blocks.length })
    expect(data.equals(blocks)).toBe(true)
    await second.stop()
  })

  test('a file that a weft serves is refused to the next', async () => {
    const path = join(folder(), 'disk.img')
    const first = await serve({ file: path, size: '4M' })
    await expect(serve({ file: path })).rejects.toThrow(/in use by another process that has locked it/)
    daemon = first
    await first.stop()
  })

  test('Ctrl+C with a host connected ends it in order', async () => {
    const asked = await serve({ memory: '16M' })
    await openSession(asked.endpoint, { subnqn: NQN }, 1)
    await asked.stop()
    expect(asked.lines.map(({ event }) => event)).toContain('stopped')
  })
})
