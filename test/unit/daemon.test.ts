/**
 * The daemon of the tests, as far as long runs need it: what waits for a line asks about each line once. It asked
 * about each before each: after 8,000 cycles of hosts, and seven minutes of fuzzing, that held up the test itself
 * until it said that command slots were still in use, or did not end.
 */
import { EventEmitter } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import type { ChildProcess } from 'node:child_process'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Daemon, removeDirectory, temporaryDirectory } from '../daemon.ts'

const LINES = 2000

let directory: string

beforeAll(() => {
  directory = temporaryDirectory()
})
afterAll(() => removeDirectory(directory))

/** A process that has said much already, and answers each signal. */
function talkative(): { daemon: Daemon; looks: () => number } {
  const stdout = new PassThrough()
  let looks = 0
  const report = (commands: number): string =>
    `${JSON.stringify({ event: 'statistics', reactors: [{ collections: 0, commands, slotsInUse: 3 }] })}\n`
  let signals = 0
  const child = Object.assign(new EventEmitter(), {
    stdout, stderr: new PassThrough(), exitCode: null, signalCode: null,
    kill: () => stdout.write(`${'{"event":"hostConnected"}\n'.repeat(50)}${report(++signals)}`),
  })
  const path = join(directory, 'weft.json')
  writeFileSync(path, '{}')
  const daemon = new Daemon(child as unknown as ChildProcess, path)
  for (let k = 0; k < LINES; k++) {
    daemon.lines.push({ get event() {
      looks++
      return 'hostConnected'
    } })
  }
  return { daemon, looks: () => looks }
}

test('what it counts is told however much it has said before, at the cost of the new lines', async () => {
  const { daemon, looks } = talkative()
  expect(await daemon.slotsInUse()).toBe(3)
  expect((await daemon.statistics())[0]?.commands, 'what was asked for last').toBe(2)
  expect(looks()).toBeLessThanOrEqual(LINES)
})

test('a line that was said before is found, each is asked about once', async () => {
  const { daemon, looks } = talkative()
  const found = daemon.line(({ event }) => event === 'statistics', 'a report')
  daemon.signal('SIGUSR2')
  expect(await found).toMatchObject({ event: 'statistics' })
  expect(await daemon.line(({ event }) => event === 'statistics', 'the same')).toBe(await found)
  expect(looks()).toBeLessThanOrEqual(2 * LINES)
})
