/** `weft trace`: records as text and as packets, byte by byte; and the command at a running weft. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Pcap, pcapHeader } from '../../../src/cli/pcap.ts'
import { TraceText } from '../../../src/cli/trace-text.ts'
import type { TraceAnswerRecord } from '../../../src/rpc/methods/trace.ts'
import { connect, connectData, read, stampSgl } from '../../command-bytes.ts'
import { NQN, startDaemon, type Daemon } from '../../daemon.ts'
import { openSession } from '../../host-session.ts'
import { closeWires } from '../../host.ts'
import { capsuleCmd, icReq } from '../../wire-bytes.ts'

const MAIN = fileURLToPath(new URL('../../../src/main.ts', import.meta.url))
const AT_MS = new Date(2026, 0, 2, 3, 4, 5).getTime()
const HOST = 'nqn.2026-01.example:host'

function named(qid = -1, remote = '192.0.2.7:51234', local = '192.0.2.1:4420'): TraceAnswerRecord {
  const who = qid === -1 ? { hostNqn: '', subsystem: '' } : { hostNqn: HOST, subsystem: NQN }
  return { kind: 'connection', connection: '0/1/2', time_ms: AT_MS, facts: { remote, local, ...who, qid } }
}

function pdu(kind: 'received' | 'sent', bytes: Buffer, more: Partial<TraceAnswerRecord> = {}): TraceAnswerRecord {
  return {
    kind, connection: '0/1/2', time_ms: AT_MS + 0.123, stream_at: 0, bytes: bytes.length,
    header: bytes.toString('base64'), ...more,
  }
}

/** CapsuleResp, R2T and data headers are 24 bytes: written here by hand. */
function short(type: number, flags: number, plen: number, ...words: number[]): Buffer {
  const bytes = Buffer.alloc(24)
  bytes.set([type, flags, 24, 0], 0)
  bytes.writeUInt32LE(plen, 4)
  for (const [k, word] of words.entries()) bytes.writeUInt32LE(word >>> 0, 8 + 4 * k)
  return bytes
}

function command(entry: Buffer, cid: number, data: Buffer | null = null): Buffer {
  entry.writeUInt16LE(cid, 2)
  return capsuleCmd(entry, data)
}

describe('as text', () => {
  const lines = (...records: TraceAnswerRecord[]): string[] => {
    const text = new TraceText()
    return records.map((record) => text.line(record).replace(/^03:04:05\.\d{6} 192\.0\.2\.7:51234 /, ''))
  }

  test('a connection, from ICReq to its end', () => {
    const data = connectData({ hostid: Buffer.alloc(16, 1), subnqn: NQN, hostnqn: HOST })
    expect(lines(
      named(), pdu('received', icReq({ dgst: 1, maxr2t: 3 })), named(0),
      pdu('received', command(stampSgl(connect({ qid: 0, sqsize: 31, kato: 5000 }), 1, 1024), 7, data)),
      pdu('sent', short(5, 0, 24, 0x10001, 0, 0, 7), { time_ms: AT_MS + 1.123 }),
      { kind: 'ended', connection: '0/1/2', time_ms: AT_MS, reason: 'the host\nreset the connection' },
    )).toEqual([
      'q? · at 192.0.2.1:4420: host not known yet\n', 'q? ▶ ICReq dgst 1 maxr2t 3\n',
      `q0 · at 192.0.2.1:4420: ${HOST} on ${NQN}\n`, 'q0 ▶ CONNECT cid 7 qid 0 sqsize 31 kato 5000, 1024 bytes with it\n',
      'q0 ◀ CapsuleResp cid 7 dw0 10001h success · CONNECT, 1000 µs\n', 'q0 · ended: the host\\x0areset the connection\n',
    ])
  })

  test('reads and writes, with how long they took', () => {
    expect(lines(
      named(1), pdu('received', command(stampSgl(read(1, 8, 8), 0x5a, 4096), 5)),
      pdu('sent', short(7, 12, 4120, 5, 0, 4096), { bytes: 4120, time_ms: AT_MS + 0.238 }),
      pdu('sent', short(9, 0, 24, 0x2_0005, 0, 8192)), pdu('received', short(6, 4, 8216, 0x2_0005, 0, 8192), { bytes: 8216 }),
      pdu('sent', short(5, 0, 24, 0, 0, 0, 0x80 << 17 | 9)),
    ).slice(1)).toEqual([
      'q1 ▶ READ cid 5 nsid 1 slba 8 nlb 7\n', 'q1 ◀ C2HData cid 5 offset 0 bytes 4096 last success · READ, 115 µs\n',
      'q1 ◀ R2T cid 5 ttag 2 offset 0 bytes 8192\n', 'q1 ▶ H2CData cid 5 ttag 2 offset 0 bytes 8192 last\n',
      expect.stringMatching(/^q1 ◀ CapsuleResp cid 9 LBA Out of Range \(0\/80h\)/),
    ])
  })

  test('what is no PDU, as bytes; and what is cut', () => {
    const odd = pdu('received', Buffer.from('ff00ff', 'hex'))
    expect(lines(named(1), odd, pdu('received', short(4, 0, 72))).slice(1)).toEqual([
      'q1 ▶ 3 bytes that are no PDU: ff00ff\n', expect.stringMatching(/^q1 ▶ 24 bytes that are no PDU: 0400180048/),
    ])
  })
})

describe('as packets', () => {
  test('the file says what it has', () => {
    expect(pcapHeader().toString('hex')).toBe('d4c3b2a10200040000000000000000000000040065000000')
  })

  test('of IPv4: addresses, ports and places of the connection', () => {
    const pcap = new Pcap()
    expect(pcap.packet(named(1))).toBeNull()
    pcap.packet(pdu('sent', Buffer.alloc(24), { stream_at: 100 }))
    const packet = pcap.packet(pdu('received', Buffer.from('0102', 'hex'), { stream_at: 0xffff_fffe, bytes: 10 }))!
    const [seconds, micros] = [Math.floor(AT_MS / 1000), 123]
    expect([packet.readUInt32LE(0), packet.readUInt32LE(4), packet.readUInt32LE(8), packet.readUInt32LE(12)])
      .toEqual([seconds, micros, 42, 50])
    // 45, 0, length 50, 0, no fragments, TTL 64, TCP, a checksum that fits: by hand.
    expect(packet.subarray(16, 36).toString('hex')).toBe('45000032000000004006' + 'f6bd' + 'c0000207' + 'c0000201')
    expect(packet.subarray(36).toString('hex')).toBe('c822' + '1144' + 'ffffffff' + '0000007d' + '5018ffff00000000' + '0102')
  })

  test('longer than IP can say, of either version', () => {
    const pcap = new Pcap()
    pcap.packet(named(1))
    const large = pdu('sent', Buffer.alloc(24), { bytes: 131_096 })
    const packet = pcap.packet(large)!
    expect([packet.readUInt32LE(12), packet.readUInt16BE(18)]).toEqual([131_096 + 40, 0])
    pcap.packet(named(1, '[2001:db8::7]:51234', '[::1]:4420'))
    const jumbo = pcap.packet(large)!
    expect(jumbo.readUInt32LE(12)).toBe(131_096 + 20 + 48)
    expect(jumbo.subarray(16, 72).toString('hex')).toBe(
      '6000000000000040' + '0'.repeat(31) + '1' + '20010db8' + '0'.repeat(23) + '7' + '0600c204' + '00020034' + '1144c822'
      + '00000001'.slice(0, 8))
  })

  test('the end is one, of what nobody has named there is none', () => {
    const pcap = new Pcap()
    expect(pcap.packet(pdu('sent', Buffer.alloc(24)))).toBeNull()
    pcap.packet(named(1))
    const end: TraceAnswerRecord = { kind: 'ended', connection: '0/1/2', time_ms: AT_MS, reason: '' }
    expect(pcap.packet(end)![16 + 20 + 13]).toBe(0x11)
    expect(pcap.packet(end)).toBeNull()
  })
})

describe('a running weft', () => {
  let daemon: Daemon
  beforeAll(async () => { daemon = await startDaemon() })
  afterAll(async () => {
    await closeWires()
    await daemon.stop()
  })

  test('is traced until there are enough PDUs', async () => {
    const folder = dirname(daemon.path)
    const file = join(folder, 'trace.pcap')
    const started = daemon.line(({ method }) => method === 'weft_trace_start', 'it was traced')
    const args = ['trace', '--control', join(folder, 'weft.sock'), '--count', '6', '--pcap', file]
    const child = spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', 'ignore', 'pipe'] })
    let said = ''
    child.stderr.on('data', (bytes) => { said += String(bytes) })
    const ended = once(child, 'close')
    await started
    await openSession(daemon.endpoint, { subnqn: NQN }, 1)
    expect(await ended).toEqual([0, null])
    expect(said).toBe('6 PDUs were written.\n')
    const written = readFileSync(file)
    expect(written.readUInt16BE(24 + 16 + 22)).toBe(daemon.endpoint.port)
    await daemon.line(({ method }) => method === 'weft_trace_stop', 'it was not traced any more')
  })
})
