/**
 * A trace as tshark reads it: every PDU is one of its nvme-tcp dissector, none is malformed, and the fields are those
 * that went over the wire. Over IPv4 and IPv6, with and without digests, with PDUs longer than an IP packet can say.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { NQN, configuration, startDaemon, type Daemon } from '../daemon.ts'
import { tool } from './tool.ts'

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url))

let daemon: Daemon
let file = ''
let ports: number[] = []
let written = 0

async function weft(...args: string[]): Promise<string> {
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  let said = ''
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (bytes) => { said += String(bytes) })
  const [status] = await once(child, 'close') as [number]
  expect(status, said).toBe(0)
  return said
}

/** A trace of two hosts of weft's own, while they read and write. */
beforeAll(async () => {
  daemon = await startDaemon(configuration({ listeners: [{ address: '127.0.0.1', port: 0 }, { address: '::1', port: 0 }] }))
  file = join(dirname(daemon.path), 'trace.pcap')
  ports = daemon.listening.map(({ port }) => port)
  const started = daemon.line(({ method }) => method === 'weft_trace_start', 'it was traced')
  const control = join(dirname(daemon.path), 'weft.sock')
  const tracing = spawn(process.execPath, [MAIN, 'trace', '--control', control, '--pcap', file], { stdio: ['ignore', 'ignore', 'pipe'] })
  let said = ''
  tracing.stderr.on('data', (bytes) => { said += String(bytes) })
  const ended = once(tracing, 'close')
  await started
  const load = ['--rw', 'rw', '--depth', '2', '--overwrite']
  await weft('perf', `127.0.0.1:${ports[0]}`, NQN, ...load, '--bs', '4K', '--amount', '64K')
  await weft('perf', `127.0.0.1:${ports[0]}`, NQN, ...load, '--bs', '128K', '--amount', '1M')
  await weft('perf', `[::1]:${ports[1]}`, NQN, ...load, '--bs', '128K', '--amount', '1M', '--header-digest', '--data-digest')
  tracing.kill('SIGINT')
  await ended
  written = Number(/^(\d+) PDUs were written\.\n$/.exec(said)?.[1])
})
afterAll(() => daemon.stop())

/** The fields of each frame that a display filter lets through. */
function frames(filter: string, ...fields: string[]): string[][] {
  const decode = ports.flatMap((port) => ['-d', `tcp.port==${port},nvme-tcp`])
  const text = tool('tshark', ['-r', file, ...decode, '-Y', filter, '-T', 'fields', ...fields.flatMap((each) => ['-e', each])])
  return text.split('\n').slice(0, -1).map((line) => line.split('\t'))
}

test('every PDU is one, and none is malformed', () => {
  expect(written).toBeGreaterThan(100)
  expect(frames('nvme-tcp', 'frame.number')).toHaveLength(written)
  expect(frames('_ws.malformed', 'frame.number')).toEqual([])
  expect(frames('tcp.analysis.lost_segment or tcp.analysis.out_of_order or tcp.analysis.retransmission', 'frame.number')).toEqual([])
})

test('both versions of IP have PDUs longer than 64 KiB', () => {
  for (const version of ['ip', 'ipv6']) expect(frames(`${version} and frame.len > 131072`, 'frame.number'), version).not.toEqual([])
})

test('Connect names the subsystem, each command has an answer', () => {
  const names = frames('nvme.fabrics.cmd.connect.data.subnqn', 'nvme.fabrics.cmd.connect.data.subnqn')
  expect(names.length).toBeGreaterThan(3)
  expect(new Set(names.flat())).toEqual(new Set([NQN]))
  const opcodes = new Set(frames('nvme.cmd.opc', 'nvme.cmd.opc').flat())
  expect([...opcodes]).toEqual(expect.arrayContaining(['0x01', '0x02']))
})

test('types are those that were sent, none of them unknown', () => {
  const types = new Set(frames('nvme-tcp', 'nvme-tcp.type').flat())
  expect([...types].toSorted()).toEqual(['0', '1', '4', '5', '6', '7', '9'])
})
