/**
 * History: bytes of the persistent event log, what is recorded by itself, and what the next run finds.
 */
import { describe, expect, test } from 'vitest'
import {
  formatEnded, formatStarted, sanitizeEnded, sanitizeStarted, timestampChanged,
} from '../../../src/controller/event-data.ts'
import { EVENTS_MAX, History, type KeptHistory, LOG_UNITS } from '../../../src/controller/history.ts'
import type { SubsystemSnapshot } from '../../../src/subsystem/subsystem.ts'
import { namespaceSnapshot, subsystemSnapshot } from './association.ts'

const NQN = subsystemSnapshot().nqn
const DAY_MS = 86_400_000
const START_MS = 0x0102_0304_0506
const LIFE = { powerOnHours: 9, powerCycles: 4, unsafe: false }
const [HEALTH, POWER_ON, HARDWARE, NAMESPACE] = [1, 4, 5, 6]

const two = subsystemSnapshot({
  serial: 'S123', model: 'weft', namespaces: [namespaceSnapshot(1, { uuid: 'a' }), namespaceSnapshot(2, { uuid: 'b' })],
})

function run(files: Map<string, KeptHistory>, subsystem: SubsystemSnapshot = two, life = LIFE) {
  let nowMs = START_MS
  const saves: KeptHistory[] = []
  const history = new History({
    load: (nqn) => files.get(nqn) ?? null,
    save: async (nqn, kept) => {
      files.set(nqn, kept)
      saves.push(kept)
    },
    nowMs: () => nowMs, firmware: '1.2.3', health: () => new Uint8Array(512).fill(7),
  })
  history.adopt([subsystem], () => life)
  return { history, saves, pass: (ms: number) => { nowMs += ms }, log: () => Buffer.from(history.log(NQN, life)) }
}

/** The events of a log, as a host walks over them. */
function eventsIn(log: Buffer): { type: number; cntlid: number; timeMs: number; data: Buffer }[] {
  const events = []
  let at = 512
  while (at < log.length) {
    const [ehl, el] = [log.readUInt8(at + 2), log.readUInt16LE(at + 22)]
    expect([log.readUInt8(at + 1), ehl, log.readUInt16LE(at + 20)], 'revision, EHL, VSIL').toEqual([1, 21, 0])
    events.push({
      type: log.readUInt8(at), cntlid: log.readUInt16LE(at + 4), timeMs: log.readUIntLE(at + 6, 6),
      data: log.subarray(at + ehl + 3, at + ehl + 3 + el),
    })
    at += ehl + 3 + el
  }
  expect(events.length, 'TNEV').toBe(log.readUInt32LE(4))
  return events
}
const typesIn = (log: Buffer): number[] => eventsIn(log).map(({ type }) => type)

test('the header', () => {
  const { log } = run(new Map())
  const bytes = log()
  expect([bytes[0], bytes.readUInt32LE(4), Number(bytes.readBigUInt64LE(8))]).toEqual([0x0d, 1, bytes.length])
  expect([bytes[16], bytes.readUInt16LE(18)], 'revision, LHL').toEqual([2, 492])
  expect(bytes.toString('hex', 20, 28), 'timestamp').toBe('0605040302010200')
  expect([bytes.readUInt32LE(28), bytes.readUInt32LE(44)], 'hours, cycles').toEqual([9, 4])
  expect(bytes.toString('latin1', 56, 76)).toBe('S123'.padEnd(20))
  expect(bytes.toString('latin1', 76, 116)).toBe('weft'.padEnd(40))
  expect(bytes.toString('latin1', 116, 372)).toBe(NQN.padEnd(256, '\0'))
  expect([bytes.readUInt16LE(372), bytes.readUInt32LE(374)], 'generation, context').toEqual([1, 1 << 18])
  const types = Array.from({ length: 256 }, (_, type) => type)
    .filter((type) => (bytes[480 + (type >> 3)]! & 1 << (type & 7)) !== 0)
  expect(types).toEqual(expect.arrayContaining([HEALTH, POWER_ON, HARDWARE, NAMESPACE]))
  expect(types.filter((type) => [0, 2, 0x0c, 0x0d].includes(type)), 'what never happens').toEqual([])
})

test('power on', () => {
  const [event] = eventsIn(run(new Map()).log())
  expect(event).toMatchObject({ type: POWER_ON, cntlid: 0xffff, timeMs: START_MS })
  expect(event!.data.length).toBe(44)
  expect(event!.data.toString('latin1', 0, 8)).toBe('1.2.3   ')
  expect([event!.data.readUInt16LE(8), event!.data.readUInt32LE(24)], 'controller, cycles').toEqual([0xffff, 4])
  expect(event!.data.toString('hex', 36, 44)).toBe('0605040302010000')
})

test('after a kill there is an unsafe shutdown', () => {
  const [on, error] = eventsIn(run(new Map(), two, { ...LIFE, unsafe: true }).log())
  expect(on!.type).toBe(POWER_ON)
  expect([error!.type, error!.data.toString('hex')]).toEqual([HARDWARE, '08000000'])
})

test('namespaces that come and go', () => {
  const { history, log } = run(new Map())
  const third = namespaceSnapshot(3, { uuid: 'c', blockCount: 0x1234 })
  history.adopt([{ ...two, namespaces: [two.namespaces[0]!, third] }], () => LIFE)
  const [added, removed] = eventsIn(log())
  expect(added!.data.toString('hex')).toBe(
    '0000000000000000' + '3412000000000000' + '0000000000000000' + '3412000000000000' + '00000100' + '00000000'
    + '00000000' + '03000000')
  expect([removed!.type, removed!.data.readUInt32LE(0), removed!.data.readUInt32LE(44)]).toEqual([NAMESPACE, 1, 2])
  history.adopt([{ ...two, namespaces: [two.namespaces[0]!, { ...third, blockCount: 5 }] }], () => LIFE)
  expect(eventsIn(log()).length, 'a resize is none of them').toBe(3)
})

test('a snapshot of the health each day, and at the end', async () => {
  const { history, pass, log } = run(new Map())
  history.tick()
  for (let hour = 0; hour < 47; hour++) {
    pass(DAY_MS / 24)
    history.tick()
  }
  expect(typesIn(log())).toEqual([HEALTH, HEALTH, POWER_ON])
  await history.close()
  const [last] = eventsIn(log())
  expect(last!.data.equals(Buffer.alloc(512, 7))).toBe(true)
  expect(typesIn(log())).toEqual([HEALTH, HEALTH, HEALTH, POWER_ON])
})

describe('is bounded', () => {
  test('the oldest of the most frequent type make room, and PELS is never exceeded', () => {
    const { history, log } = run(new Map())
    for (let index = 0; index < EVENTS_MAX + 10; index++) history.record(NQN, HEALTH, new Uint8Array(512), index)
    const events = eventsIn(log())
    expect([events.length, events[0]!.cntlid, events.at(-2)!.cntlid]).toEqual([EVENTS_MAX, EVENTS_MAX + 9, 11])
    expect(events.at(-1)!.type, 'what is rare stays').toBe(POWER_ON)
    expect(log().length).toBeLessThanOrEqual(LOG_UNITS * 65536)
    expect(log().readUInt16LE(372), 'generation').toBe(EVENTS_MAX + 11)
  })

  test('also where a file brings more', () => {
    const event = { type: HEALTH, cntlid: 1, timeMs: 5, data: '00' }
    const { log } = run(new Map([[NQN, { recorded: 999, events: Array(EVENTS_MAX + 50).fill(event) }]]))
    expect(eventsIn(log()).length).toBe(EVENTS_MAX)
  })
})

describe('over restarts', () => {
  test('events stay, and the generation counts on', async () => {
    const files = new Map<string, KeptHistory>()
    const first = run(files)
    first.history.use(NQN)
    first.history.record(NQN, 7, Uint8Array.of(1, 2, 3), 17)
    await first.history.close()
    const { log } = run(files)
    const events = eventsIn(log())
    expect(events.map(({ type }) => type)).toEqual([POWER_ON, HEALTH, 7, POWER_ON])
    expect([events[2]!.cntlid, events[2]!.data.toString('hex')]).toEqual([17, '010203'])
    expect(log().readUInt16LE(372)).toBe(4)
  })

  test('nothing is kept before a host has used the subsystem, then once a second at most', async () => {
    const { history, saves } = run(new Map())
    history.tick()
    expect(saves).toEqual([])
    history.use(NQN)
    for (let index = 0; index < 5; index++) history.record(NQN, 7, new Uint8Array(1))
    history.tick()
    history.tick()
    expect(saves.map(({ events }) => events.length)).toEqual([7])
  })

  test('a subsystem that goes is written', () => {
    const { history, saves } = run(new Map())
    history.use(NQN)
    history.adopt([], () => LIFE)
    expect(saves.length).toBe(1)
    expect(history.log(NQN, LIFE).length, 'and is not there any more').toBe(512)
  })
})

test('the data of the other events', () => {
  const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
  expect(hex(timestampChanged(Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8), 258))).toBe('01020304050607080201000000000000')
  expect(hex(formatStarted(3, 4, 0x200))).toBe('030000000400000000020000')
  expect(hex(formatEnded(3, 0))).toBe('030000000000000000000000')
  expect(hex(formatEnded(3, 0x6))).toBe('030000000001000006000000')
  expect(hex(sanitizeStarted(2, 3, 4))).toBe('020000000300000004000000')
  expect(hex(sanitizeEnded(0xffff, 0x101))).toBe('ffff010100000000')
})
