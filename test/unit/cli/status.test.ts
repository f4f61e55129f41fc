/**
 * `weft status` and `weft top`: what a screen says of two reports, and the commands at a running weft.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { screenText } from '../../../src/cli/screen.ts'
import type { ClassReport, Report } from '../../../src/control/report.ts'
import { CLASSES, type CommandClass } from '../../../src/controller/tally.ts'
import { BUCKETS, bucketOf } from '../../../src/reactor/histogram.ts'
import { NQN, startDaemon, type Daemon } from '../../daemon.ts'
import { openSession } from '../../host-session.ts'
import { closeWires } from '../../host.ts'

const MAIN = fileURLToPath(new URL('../../../src/main.ts', import.meta.url))
const MIB = 1 << 20

function timed(us: number, count: number): ClassReport {
  const buckets = new Array<number>(BUCKETS).fill(0)
  buckets[bucketOf(us)] = count
  return { count, sumUs: us * count, buckets }
}

/** reads: so many, 100 µs each, of 1 MiB. */
function report(atMs: number, reads: number): Report {
  const none = Object.fromEntries(CLASSES.map((name) => [name, timed(0, 0)])) as Record<CommandClass, ClassReport>
  return {
    version: '1.2.3', atMs, startedMs: 0, residentBytes: 64 * MIB, cpuUs: atMs * 500,
    listeners: [{ address: '::1', port: 4420, service: 'nvm' }],
    subsystems: [{
      nqn: NQN,
      namespaces: [{
        nsid: 1, kind: 'file', path: '/srv/disk.img', bytes: 1024 * MIB, readBytes: reads * MIB, writtenBytes: 0,
        commands: { ...none, read: timed(100, reads) }, errors: { LBA_OUT_OF_RANGE: 3 },
      }],
    }],
    hosts: [{
      hostNqn: 'nqn.host:\x1b[2J', address: '192.0.2.7:1', subsystem: NQN, controller: 1, queues: 2, commands: reads,
      bytes: reads * MIB, outstanding: 7,
    }],
    reactors: [{
      reactor: 0, openUs: atMs * 1000, busyUs: atMs * 250, turns: 5, syscalls: 6, receivedBytes: 7, sentBytes: 8,
      commands: reads, collections: 1, connections: 3, slots: 4096, slotsUsed: 7, bufferBytes: 64 * MIB,
      bufferBytesUsed: 0,
    }],
  }
}

describe('a screen', () => {
  const screen = (columns = 1000): string[] => screenText(report(60_000, 10), report(62_000, 30), columns).split('\n')
  const line = (beginning: string): string[] =>
    screen().find((each) => each.trimStart().startsWith(beginning))!.trim().split(/ {2,}/)

  test('says how fast a namespace is, and how many commands failed', () => {
    expect(line(NQN)).toEqual([
      NQN, '1', '/srv/disk.img', '1 GiB', '10', '10.0', '112µs', '0', '0.0', '-', '3',
    ])
  })

  test('says how long commands took, as quantiles and as a histogram', () => {
    const [head, row] = ['LATENCY', NQN].map((start, k) => screen().filter((each) => each.startsWith(start))[k]!)
    expect(row!.split(/ {2,}/)).toEqual([NQN, '1', 'read', '112µs', '112µs', '112µs', '█'])
    // 100 µs stands between 64 and 128: seven powers of two from 1 µs.
    expect(row!.indexOf('█') - head!.indexOf('<1µs')).toBe(7)
    const spread = report(62_000, 10)
    const buckets = spread.subsystems[0]!.namespaces[0]!.commands.read.buckets as number[]
    buckets[0] = 1
    buckets[bucketOf(2 ** 20)] = 1000
    const lines = screenText(report(60_000, 10), spread, 1000).split('\n')
    const at = lines.find((each) => each.startsWith('LATENCY'))!.indexOf('<1µs')
    expect(lines.filter((each) => each.startsWith(NQN))[1]!.slice(at)).toBe(`▁${' '.repeat(20)}█`)
  })

  test('says nothing of how long where there was no command', () => {
    expect(screenText(report(60_000, 10), report(62_000, 10), 1000)).not.toContain('LATENCY')
  })

  test('says who is connected, and shows what would move the cursor as a code', () => {
    expect(line('nqn.host')).toEqual(['nqn.host:\\x1b[2J', '192.0.2.7:1', NQN, '2', '10', '10.0', '7'])
    expect(screen().join('')).not.toContain('\x1b')
  })

  test('says what the reactors and the process take', () => {
    expect(line('0')).toEqual(['0', '25%', '10', '3', '7 of 4096', '0 bytes of 64 MiB'])
    expect(screen()[0]).toBe('weft 1.2.3, up 1 min, 64 MiB of memory, 50% of a processor')
    expect(line('[::1]:4420')).toEqual(['[::1]:4420', 'nvm'])
  })

  test('is no wider than the terminal', () => {
    expect(Math.max(...screen(40).map((each) => each.length))).toBe(40)
  })

  test('of a weft that was started anew in between shows nothing below 0', () => {
    expect(screenText(report(60_000, 30), report(61_000, 10), 1000)).not.toMatch(/ -\d/)
  })
})

describe('a running weft', () => {
  let daemon: Daemon
  beforeAll(async () => { daemon = await startDaemon() })
  afterAll(async () => {
    await closeWires()
    await daemon.stop()
  })

  const weft = (...args: string[]) => {
    const child = spawn(process.execPath, [MAIN, ...args, '--control', join(dirname(daemon.path), 'weft.sock')])
    const said = { text: '' }
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (bytes) => { said.text += String(bytes) })
    return { child, said, end: once(child, 'close').then(([status]) => ({ status: status as number, text: said.text })) }
  }

  test('is asked by status, as JSON too', async () => {
    await openSession(daemon.endpoint, { subnqn: NQN }, 1)
    const [text, json] = await Promise.all([weft('status').end, weft('status', '--json').end])
    expect([text.status, json.status]).toEqual([0, 0])
    expect(text.text).toMatch(/LISTENER[^]*127\.0\.0\.1:\d+[^]*memory +64 MiB[^]*nqn\.2026-01\.example:test/)
    expect((JSON.parse(json.text) as Report).hosts).toMatchObject([{ subsystem: NQN, queues: 1 }])
  })

  test('is asked by top until it is told to end', async () => {
    const { child, said, end } = weft('top', '--interval', '0.1')
    await expect.poll(() => said.text.split('LISTENER').length, { timeout: 15_000 }).toBeGreaterThan(2)
    child.kill('SIGINT')
    expect((await end).status).toBe(0)
  })
})
