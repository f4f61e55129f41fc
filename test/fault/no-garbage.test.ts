/**
 * Five million commands through the real path, and no garbage collection in the reactor for their sake.
 * The project's own load generator is the host; the daemon counts collections itself and writes
 * them on SIGUSR2.
 */
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { NQN, startDaemon, type Daemon } from '../daemon.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const LOAD = `${ROOT}/.weft/build/load`
/** Until every shape of object and every path has been compiled, collections are no surprise. */
const WARM_UP = 1_000_000
const COMMANDS = 5_000_000
/**
 * One object of a command would be five and more. Less comes of what is done each second, and, on a machine that has
 * other things to do, of code that waits to be optimized; allocation.test.ts counts without both.
 */
const COLLECTIONS_MAX = 3

let daemon: Daemon

beforeAll(async () => {
  execFileSync('make', ['-s', '-C', `${ROOT}/bench/native`], { stdio: 'pipe' })
  daemon = await startDaemon()
})
afterAll(() => daemon.stop())

async function load(commands: number, op: string): Promise<{ commands: number; failed: number }> {
  const { port } = daemon.endpoint
  const args = [
    '--port', `${port}`, '--nqn', NQN, '--commands', `${commands}`, '--depth', '64', '--op', op,
  ]
  const child = spawn(LOAD, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  let said = ''
  child.stdout.on('data', (bytes: Buffer) => (said += bytes.toString()))
  child.stderr.on('data', (bytes: Buffer) => (said += bytes.toString()))
  const [code] = await once(child, 'close')
  expect(code, said).toBe(0)
  return JSON.parse(said.trim().split('\n').at(-1) ?? '{}')
}

async function totals(): Promise<{ collections: number; commands: number }> {
  const reactors = await daemon.statistics()
  return {
    collections: reactors.reduce((sum, one) => sum + one.collections, 0),
    commands: reactors.reduce((sum, one) => sum + one.commands, 0),
  }
}

test('mixed reads and writes of 4 KiB', { timeout: 240_000 }, async () => {
  await load(WARM_UP, 'mix')
  const before = await totals()
  const result = await load(COMMANDS, 'mix')
  expect([result.commands, result.failed]).toEqual([COMMANDS, 0])
  const after = await totals()
  expect(after.commands - before.commands).toBeGreaterThanOrEqual(COMMANDS)
  expect(after.collections - before.collections).toBeLessThanOrEqual(COLLECTIONS_MAX)
})
