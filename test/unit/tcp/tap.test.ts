/**
 * The tap: what is recorded of connections that carry commands, by who is wanted; and that nothing is while nobody
 * traces. On the real receiver and sender, with rings that turn over as the shim's do.
 */
import { describe, expect, test } from 'vitest'
import { TRACE, type TraceFacts, type TraceRecord, TraceRing } from '../../../src/reactor/trace-ring.ts'
import { PHASE, type Connection } from '../../../src/tcp/connection.ts'
import { connect, connectData, sqe, stampSgl } from '../../command-bytes.ts'
import {
  C2H_DATA, C2H_TERM_REQ, CAPSULE_CMD as CAPSULE, CAPSULE_RESP, H2C_DATA as H2C, IC_REQ, IC_RESP, R2T, capsuleCmd, h2cData,
  icReq,
} from '../../wire-bytes.ts'
import { WireRig } from './wire-rig.ts'

const [READ, WRITE] = [2, 1]
const HOST = 'nqn.2026-01.example:host'

/** A rig whose reactor is traced. */
class TraceRig extends WireRig {
  readonly ring = TraceRing.of(1 << 16)
  look: (() => void) | null = null

  trace(wish: { host?: string; address?: string } = {}, known: { hostNqn: string; connection: Connection }[] = []): void {
    this.look = this.connections.trace({
      kind: 'trace',
      reactors: [{
        wish: { host: null, address: null, ...wish }, ring: this.ring.memory,
        known: known.map(({ hostNqn, connection: { index, serial } }) =>
          ({ connection: index, serial, hostNqn, subsystem: 's', qid: 1 })),
      }],
    }, 0)
  }

  override turn(): void {
    this.look?.()
    super.turn()
  }

  /** All that was recorded since: "▶4" is a CapsuleCmd. */
  recorded(): string[] {
    return this.records().map(({ kind, bytes }) => `${' ·▶◀-'[kind]}${kind === TRACE.NAMED || kind === TRACE.ENDED ? '' : bytes[0]}`)
  }

  records(): TraceRecord[] {
    return this.ring.take(1000)
  }
}

function command(opcode: number, cid: number, bytes: number): Buffer {
  const entry = stampSgl(sqe(opcode, 1), 0x5a, bytes)
  entry.writeUInt16LE(cid, 2)
  return capsuleCmd(entry)
}

const factsOf = ({ bytes }: TraceRecord): TraceFacts => JSON.parse(Buffer.from(bytes).toString()) as TraceFacts

describe('a connection that is traced', () => {
  test('shows what comes and goes, in order, each with its place in its stream', () => {
    const rig = new TraceRig()
    const connection = rig.live()
    rig.trace()
    rig.feed(connection, command(READ, 1, 4096), command(READ, 2, 512))
    rig.sent(connection)
    const [named, ...records] = rig.records()
    expect(factsOf(named!)).toEqual({ remote: '192.0.2.7:1', local: '192.0.2.1:4420', hostNqn: '', subsystem: '', qid: -1 })
    const shown = records.map(({ kind, streamAt, wireBytes, bytes }) => [kind, bytes[0], streamAt, wireBytes, bytes.length])
    expect(shown).toEqual([
      [TRACE.RECEIVED, CAPSULE, 0, 72, 72], [TRACE.RECEIVED, CAPSULE, 72, 72, 72],
      [TRACE.SENT, C2H_DATA, 0, 24 + 4096, 24], [TRACE.SENT, CAPSULE_RESP, 4120, 24, 24],
      [TRACE.SENT, C2H_DATA, 4144, 24 + 512, 24], [TRACE.SENT, CAPSULE_RESP, 4680, 24, 24],
    ])
    expect(records.map(({ timeMs }) => timeMs)).toEqual(records.map(({ timeMs }) => timeMs).toSorted((a, b) => a - b))
  })

  test('misses nothing when its send ring starts over, again and again', () => {
    const rig = new TraceRig()
    const connection = rig.live()
    rig.trace()
    rig.records()
    for (let cid = 1; cid < 200; cid++) {
      rig.feed(connection, command(READ, cid, 512), ...(cid % 3 === 0 ? [command(READ, cid + 40, 512)] : []))
      rig.sent(connection)
      const each = [`▶${CAPSULE}`, ...(cid % 3 === 0 ? [`▶${CAPSULE}`] : [])]
      const answers = each.flatMap(() => [`◀${C2H_DATA}`, `◀${CAPSULE_RESP}`])
      expect(rig.recorded(), `round ${cid}`).toEqual([...each, ...answers])
    }
  })

  test.each([[false], [true]])('shows H2CData once, whether it is copied or placed; digests %s', (digests) => {
    const rig = new TraceRig({}, { transferBytes: 16_384 })
    const connection = rig.live({ header: digests, data: digests })
    const agreed = { header: digests, data: digests }
    rig.trace()
    rig.records()
    const entry = stampSgl(sqe(WRITE, 1), 0x5a, 16_384)
    entry.writeUInt16LE(5, 2)
    rig.feed(connection, capsuleCmd(entry, null, agreed))
    const [r2t] = rig.sent(connection)
    const data = h2cData({ cccid: 5, ttag: r2t!.bytes.readUInt16LE(10), datao: 0, data: Buffer.alloc(16_384, 7) }, agreed)
    for (let at = 0; at < data.length; at += 5000) rig.feed(connection, data.subarray(at, at + 5000))
    rig.sent(connection)
    rig.feed(connection, capsuleCmd(stampSgl(sqe(READ, 1), 0x5a, 512), null, agreed))
    const records = rig.records()
    expect(records.map(({ kind, bytes }) => `${' ·▶◀'[kind]}${bytes[0]}`))
      .toEqual([`▶${CAPSULE}`, `◀${R2T}`, `▶${H2C}`, `◀${CAPSULE_RESP}`, `▶${CAPSULE}`])
    expect(records[2]).toMatchObject({ wireBytes: data.length })
    expect(records[2]!.bytes.length).toBe(digests ? 28 : 24)
    expect(records[4]!.streamAt).toBe(records[0]!.wireBytes + data.length)
  })

  test('shows what it was ended for', () => {
    const rig = new TraceRig()
    const connection = rig.live()
    rig.trace()
    rig.records()
    rig.feed(connection, command(READ, 1, 512), Buffer.from('ffffffffffffffffffff', 'hex'))
    rig.sent(connection)
    rig.now(50)
    rig.closed(connection)
    rig.now(200)
    rig.turn()
    const records = rig.records()
    expect(records.map(({ kind, bytes }) => kind === TRACE.ENDED ? 'ended' : bytes[0]))
      .toEqual([CAPSULE, 0xff, C2H_DATA, CAPSULE_RESP, C2H_TERM_REQ, 'ended'])
    expect(records[1]).toMatchObject({ wireBytes: 10, streamAt: 72 })
    expect(Buffer.from(records.at(-1)!.bytes).toString()).toMatch(/^Invalid PDU Header Field/)
  })
})

describe('one host that is wanted', () => {
  test('is shown from its first PDU on, though who it is comes later', () => {
    const rig = new TraceRig()
    rig.trace({ host: HOST })
    const [wanted, other] = [rig.open(), rig.open()]
    for (const connection of [wanted, other]) {
      rig.feed(connection, icReq())
      rig.sent(connection)
    }
    expect(rig.records()).toEqual([])
    for (const [connection, hostnqn] of [[wanted, HOST], [other, `${HOST}2`]] as const) {
      const data = connectData({ hostid: Buffer.alloc(16, 1), subnqn: 'nqn.2026-01.example:s', hostnqn })
      rig.feed(connection, capsuleCmd(stampSgl(connect({ qid: 3 }), 0x01, 1024), data))
    }
    const records = rig.records()
    expect(records.map(({ kind, connection, bytes }) => [kind, connection, kind === TRACE.NAMED ? 0 : bytes[0]])).toEqual([
      [TRACE.NAMED, wanted.index, 0], [TRACE.RECEIVED, wanted.index, IC_REQ], [TRACE.SENT, wanted.index, IC_RESP],
      [TRACE.RECEIVED, wanted.index, CAPSULE],
    ])
    expect(factsOf(records[0]!)).toMatchObject({ hostNqn: HOST, subsystem: 'nqn.2026-01.example:s', qid: 3 })
    expect(records[3]!.bytes.length).toBe(72 + 1024)
  })

  test('is shown where it is connected already, and nobody else', () => {
    const rig = new TraceRig()
    const [wanted, other] = [rig.live(), rig.live()]
    rig.trace({ host: HOST }, [{ hostNqn: HOST, connection: wanted }, { hostNqn: `${HOST}2`, connection: other }])
    for (const connection of [wanted, other]) {
      rig.feed(connection, command(READ, 1, 512))
      rig.sent(connection)
    }
    const records = rig.records()
    expect(records).toHaveLength(4)
    expect(new Set(records.map(({ connection }) => connection))).toEqual(new Set([wanted.index]))
  })

  test.each([['192.0.2.7', 4], ['192.0.2.7:1', 4], ['192.0.2.7:2', 0], ['192.0.2.70', 0]])('at %s: %i records', (address, count) => {
    const rig = new TraceRig()
    const connection = rig.live()
    rig.trace({ address })
    rig.feed(connection, command(READ, 1, 512))
    rig.sent(connection)
    expect(rig.records()).toHaveLength(count)
  })
})

/** Opcode, and FCTYPE where the NSID of others is: Authentication Send. */
test.each([['a Write', WRITE, 1], ['an Authentication Send', 0x7f, 5]])('the payload of %s is not recorded', (_name, opcode, fctype) => {
  const rig = new TraceRig()
  const connection = rig.live()
  rig.trace()
  const entry = stampSgl(sqe(opcode, fctype), 0x01, 512)
  rig.feed(connection, capsuleCmd(entry, Buffer.alloc(512, 0x5e)))
  rig.sent(connection)
  const records = rig.records().filter(({ kind }) => kind !== TRACE.NAMED)
  expect(records).toHaveLength(2)
  expect(records[0]).toMatchObject({ wireBytes: 72 + 512 })
  for (const { bytes } of records) expect(Buffer.from(bytes).includes('5e5e5e5e', 0, 'hex')).toBe(false)
})

test('while nobody traces nothing is recorded, and the receiver is called as it was', () => {
  const rig = new TraceRig()
  const connection = rig.live()
  rig.trace()
  rig.look = rig.connections.trace({ kind: 'trace', reactors: null }, 0)
  rig.records()
  rig.feed(connection, command(READ, 1, 512))
  rig.sent(connection)
  expect([rig.records(), rig.look, connection.phase]).toEqual([[], null, PHASE.LIVE])
})

describe('the ring', () => {
  const record = { kind: TRACE.SENT, connection: 1, serial: 2, timeMs: 3.5, streamAt: 4, wireBytes: 5 }

  test('hands out what was put in, over its end and on', () => {
    const ring = TraceRing.of(1024)
    const other = new TraceRing(ring.memory)
    for (let k = 1; k < 300; k++) {
      const bytes = Buffer.alloc(1 + k * 7 % 120, k)
      ring.write({ ...record, streamAt: k }, Buffer.concat([Buffer.from([0]), bytes]), 1, 1 + bytes.length)
      if (k % 3 !== 0) continue
      const taken = other.take(10)
      expect(taken.map(({ streamAt }) => streamAt)).toEqual([k - 2, k - 1, k])
      expect(taken[2]).toEqual({ ...record, streamAt: k, bytes: new Uint8Array(bytes) })
    }
    expect(ring.droppedCount).toBe(0)
  })

  test('counts what does not fit, and leaves it out', () => {
    const ring = TraceRing.of(1024)
    for (let k = 0; k < 20; k++) ring.write({ ...record, streamAt: k }, Buffer.alloc(60), 0, 60)
    expect(ring.droppedCount).toBe(11)
    expect(ring.take(100).map(({ streamAt }) => streamAt)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8])
  })
})
