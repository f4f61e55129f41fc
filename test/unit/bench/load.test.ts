/**
 * The load generator is a judge, so it is judged here: against the responder, which does no more
 * than answer, it must pass what is right and notice what is not.
 */
import { execFileSync, spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { connect, createServer } from 'node:net'
import type { AddressInfo, Server } from 'node:net'
import { createInterface } from 'node:readline'
import { afterEach, beforeAll, describe, expect, test } from 'vitest'
import { LOAD, RESPONDER, buildNative, runLoad, startLoad } from '../../../bench/load.ts'
import type { Target } from '../../../bench/load.ts'

const children: ChildProcess[] = []
const servers: Server[] = []

beforeAll(buildNative, 120_000)
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL')
  for (const server of servers.splice(0)) server.close()
})

async function responder(...words: string[]): Promise<Target> {
  const child = spawn(RESPONDER, ['--mib', '4', ...words],
    { stdio: ['ignore', 'pipe', 'inherit'] })
  children.push(child)
  const port = await new Promise<number>((resolve) => {
    createInterface({ input: child.stdout }).on('line', (line) =>
      resolve((JSON.parse(line) as { port: number }).port))
  })
  return { name: 'responder', address: '127.0.0.1', port, nqn: 'nqn.test', pid: null }
}

/** A wire that flips one bit of what the target sends on its nth connection. */
async function flipping(target: Target, nth: number, offset: number): Promise<Target> {
  let count = 0
  const server = createServer((host) => {
    const index = ++count
    let seen = 0
    const wire = connect(target.port, target.address)
    host.pipe(wire).on('error', () => host.destroy())
    wire.on('data', (chunk) => {
      const at = offset - seen
      seen += chunk.length
      if (index === nth && at >= 0 && at < chunk.length) chunk[at]! ^= 0x10
      host.write(chunk)
    }).on('end', () => host.end())
    host.on('error', () => wire.destroy())
  })
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return { ...target, port: (server.address() as AddressInfo).port }
}

/** Ends as the generator would for a person: its status and what it wrote. */
function outcome(words: readonly string[]): Promise<{ status: number, output: string }> {
  return new Promise((resolve) => {
    const child = spawn(LOAD, words, { stdio: ['ignore', 'pipe', 'pipe'] })
    let output = ''
    child.stdout.on('data', (chunk) => { output += chunk })
    child.stderr.on('data', (chunk) => { output += chunk })
    child.on('close', (status) => resolve({ status: status!, output }))
  })
}

const at = ({ port }: Target): string[] => ['--port', String(port), '--nqn', 'nqn.test']

test('CRC32C and the histogram agree with what they must be', () => {
  expect(JSON.parse(execFileSync(LOAD, ['--self-test'], { encoding: 'utf8' }))).toMatchObject(
    { good: true })
})

describe('against a target that keeps what is written', () => {
  test.each([
    ['in-capsule', ['--block', '4K']],
    ['R2T', ['--block', '128K', '--in-capsule-max', '0']],
    ['H2CData in pieces, several connections', ['--block', '64K', '--h2c-max', '4K',
      '--connections', '6']],
    ['both digests', ['--block', '32K', '--header-digest', '--data-digest', '--r2t-max', '4']],
  ])('everything verifies: %s', async (_, words) => {
    const result = await runLoad(await responder('--store'),
      ['--op', 'mix', '--verify', '--commands', '500', '--depth', '8', ...words])
    expect(result).toMatchObject({ commands: 500, failed: 0, differing: 0 })
    expect(result.verified).toBeGreaterThan(300)
  })
})

test('a target that loses what is written is found out', async () => {
  const { status, output } = await outcome([...at(await responder()),
    '--op', 'mix', '--verify', '--commands', '500'])
  expect(status).toBe(4)
  expect(output).toMatch(/LBA \d+ differs at byte 0; expected generation/)
})

describe('one flipped bit', () => {
  // An I/O queue's stream with digests: ICResp, the answer to Connect, then a C2HData a read.
  const pduBytes = 24 + 4 + 128 * 1024 + 4
  const secondPdu = 128 + 28 + pduBytes
  const words = ['--block', '128K', '--commands', '50', '--depth', '1', '--in-capsule-max', '0']

  test('in data is a failed command, by the data digest', async () => {
    const target = await flipping(await responder(), 2, secondPdu + 5000)
    const { status, output } = await outcome([...at(target), ...words, '--header-digest',
      '--data-digest'])
    expect(status).toBe(3)
    expect(output).toContain('"failed":1,"errors":{"0/22":1}')
  })

  test('in a header ends the run, by the header digest', async () => {
    const target = await flipping(await responder(), 2, secondPdu + 16)
    const { status, output } = await outcome([...at(target), ...words, '--header-digest',
      '--data-digest'])
    expect(status).toBe(2)
    expect(output).toMatch(/header digest/)
  })

  test('is found by comparing where there are no digests', async () => {
    const target = await flipping(await responder('--store'), 2, 400_000)
    const { status } = await outcome([...at(target), ...words, '--verify', '--op', 'read'])
    expect(status).toBe(4)
  })
})

test('an exact number of commands is issued, whatever the depth', async () => {
  const result = await runLoad(await responder(), ['--commands', '1001', '--depth', '64',
    '--connections', '3'])
  expect(result.commands).toBe(1001)
})

test('idle controllers stay, keep alive, and leave in order', async () => {
  const { ended } = await startLoad(await responder(), ['--connections', '0',
    '--idle-connections', '5', '--seconds', '1.2', '--keep-alive-ms', '1000'])
  expect(await ended).toMatchObject({ controllers: 5, commands: 0 })
})

describe('mistakes are one sentence and a status', () => {
  test.each([
    [['--depth', '0'], 1, /--depth is '0'; allowed: 1 to 4096/],
    [['--bolck', '4K'], 1, /unknown option '--bolck'/],
    [['--block'], 1, /--block needs a value/],
    [['--block', '700'], 2, /no multiple of the namespace's 512 bytes/],
    [['--block', '4M'], 2, /above the target's MDTS, 1048576 bytes/],
    [['--span', '1T'], 2, /beyond the namespace's 4194304 bytes/],
    [['--port', '1'], 2, /connect to 127.0.0.1 port 1: Connection refused/],
  ])('%j', async (words, status, sentence) => {
    const { status: ended, output } = await outcome([...at(await responder()), ...words])
    expect(output).toMatch(sentence)
    expect(ended).toBe(status)
  })
})
