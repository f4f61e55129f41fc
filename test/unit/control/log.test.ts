/** The log: events as objects for machines, as sentences for people. */
import { expect, test } from 'vitest'
import { createLog } from '../../../src/control/log.ts'
import type { Log, LogFormat, LogLevel } from '../../../src/control/log.ts'

const HOST = {
  hostNqn: 'nqn.2026-01.com.example:host', address: '192.0.2.7:51234',
  subsystem: 'nqn.2026-01.com.example:disks',
}

function logged(
  write: (log: Log) => void, format: LogFormat, level: LogLevel = 'info', colour = false,
): string[] {
  const lines: string[] = []
  write(createLog({ format, level, colour, write: (line) => { lines.push(line) } }))
  expect(lines.every((line) => /^[^\n]*\n$/.test(line))).toBe(true)
  return lines.map((line) => line.trimEnd())
}

const EVENTS: [event: string, level: string, write: (log: Log) => void, sentence: string][] = [
  ['listening', 'info', (log) => log.listening({ address: '::1', port: 4420 }),
    'Listening on [::1]:4420.'],
  ['listening', 'info', (log) => log.listening({ address: '192.0.2.1', port: 8009,
    service: 'discovery' }), 'Discovery on 192.0.2.1:8009.'],
  ['ready', 'info', (log) => log.ready({ engine: 'epoll', reactors: 2 }),
    'Ready: hosts may connect.'],
  ['hostConnected', 'info', (log) => log.hostConnected({ ...HOST, controller: 3, queues: 1 }),
    `${HOST.hostNqn} at ${HOST.address} connected to ${HOST.subsystem} as controller 3 `
    + 'with 1 I/O queue.'],
  ['hostDisconnected', 'info',
    (log) => log.hostDisconnected({ ...HOST, controller: 3, reason: 'keep alive expired' }),
    `${HOST.hostNqn} at ${HOST.address} left ${HOST.subsystem} (controller 3): `
    + 'keep alive expired.'],
  ['refused', 'warn', (log) => log.refused({ ...HOST, reason: 'it is not in the list' }),
    `Warning: Refused ${HOST.hostNqn} at ${HOST.address} for ${HOST.subsystem}: `
    + 'it is not in the list.'],
  ['deviceError', 'error', (log) => log.deviceError({ subsystem: HOST.subsystem, namespace: 2,
    device: '/dev/x', reason: 'EIO' }),
  `Error: /dev/x (namespace 2 of ${HOST.subsystem}) failed: EIO.`],
  ['connectionError', 'warn',
    (log) => log.connectionError({ address: '192.0.2.7:1', reason: 'header digest' }),
    'Warning: Connection from 192.0.2.7:1 ended by an error: header digest.'],
  ['notice', 'info', (log) => log.notice('It is so.', { path: '/x' }), 'It is so.'],
  ['warning', 'warn', (log) => log.warning('Beware.'), 'Warning: Beware.'],
  ['failure', 'error', (log) => log.failure('It broke.'), 'Error: It broke.'],
  ['stopped', 'info', (log) => log.stopped(), 'Stopped.'],
]

test.each(EVENTS)('%s as JSON', (event, level, write) => {
  const [line, ...more] = logged(write, 'json')
  expect(more).toEqual([])
  const record = JSON.parse(line!)
  expect(record).toMatchObject({ event, level })
  expect(new Date(record.time).toISOString()).toBe(record.time)
  expect(record.message).not.toBe('')
})

test('a JSON line has the facts of the event', () => {
  const [line] = logged((log) => log.refused({ ...HOST, reason: 'r' }), 'json')
  expect(JSON.parse(line!)).toMatchObject({ ...HOST, reason: 'r' })
})

test.each(EVENTS)('%s as text', (_event, _level, write, sentence) => {
  const [line, ...more] = logged(write, 'text')
  expect(more).toEqual([])
  expect(line).toMatch(/^\d\d:\d\d:\d\d {2}/)
  expect(line!.slice(10)).toBe(sentence)
})

test('colour changes no word', () => {
  for (const [, , write, sentence] of EVENTS) {
    const [line] = logged(write, 'text', 'info', true)
    expect(line).toContain('\x1b[')
    expect(line!.replace(/\x1b\[\d+m/g, '').slice(10)).toBe(sentence)
  }
})

test('a host cannot move the cursor, or begin a line', () => {
  const hostNqn = 'nqn\n12:00:00  Stopped.\x1b[2J\u009b2J'
  const [line] = logged((log) => log.refused({ ...HOST, hostNqn, reason: 'r' }), 'text')
  expect(line).toContain('nqn\\x0a12:00:00  Stopped.\\x1b[2J\\x9b2J')
  expect(line).not.toMatch(/[\x00-\x1f\x7f-\x9f]/)
})

test('what is below the level is not written', () => {
  const all = (log: Log): void => EVENTS.forEach(([, , write]) => write(log))
  expect(logged(all, 'json', 'error')).toHaveLength(2)
  expect(logged((log) => log.started({ version: '1', pid: 1, node: 'v24' }), 'json')).toEqual([])
  expect(logged((log) => log.started({ version: '1', pid: 1, node: 'v24' }), 'json', 'debug'))
    .toHaveLength(1)
})
