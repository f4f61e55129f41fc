/**
 * A central discovery controller: what hosts register with it, and how others are told.
 * NVMe Base 2.0, Discovery Information Management (21h), Discovery Log Page Change (F0h).
 *
 *   CDW10 3:0 TAS: 0 register · 1 deregister · 2 update        data: see information-bytes.ts
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import {
  DISCOVERY_NQN, asyncEventRequest, getLogPage, identify, setFeatures, sqe,
} from '../command-bytes.ts'
import { configuration, startDaemon, type Daemon } from '../daemon.ts'
import { openSession, someHost, type Identity, type Session } from '../host-session.ts'
import { closeWires } from '../host.ts'
import { information, informationEntry as entry, type EntryFields } from '../information-bytes.ts'

const [REGISTER, DEREGISTER, UPDATE] = [0, 1, 2]
const ENTRY_BYTES = 1024
/** What an admin queue takes in a capsule, whatever the target. */
const IN_CAPSULE_BYTES = 8192
const DISCOVERY_LOG_EVENTS = 0x8000_0000
/** Type 2, information F0h, log page 70h. */
const LOG_CHANGED = 0x0070_f002

let daemon: Daemon

beforeAll(async () => {
  daemon = await startDaemon(configuration({
    reactors: 2, discovery: { central: true, listeners: false },
  }))
})
afterAll(() => daemon.stop())
afterEach(closeWires)

const open = (kato = 0, identity: Identity = someHost()): Promise<Session> =>
  openSession(daemon.endpoint, { subnqn: DISCOVERY_NQN, identity, kato }, 0)

async function manage(at: Session, task: number, data: Buffer): Promise<string> {
  const transfer = { send: data, inCapsule: data.length <= IN_CAPSULE_BYTES }
  return (await at.admin.submit(sqe(0x21, 0, [task]), transfer)).status
}

const named = (name: string, more: EntryFields = {}): Buffer =>
  entry({ subnqn: `nqn.2026-01.example:${name}`, ...more })

async function read(at: Session, bytes: number, lsp = 0): Promise<Buffer> {
  const command = getLogPage(0x70, bytes / 4, 0)
  command.writeUInt8(command.readUInt8(41) | lsp, 41)
  return (await at.admin.must(command, { receive: bytes })).data
}

async function log(at: Session, lsp = 0): Promise<{ generation: number; data: Buffer; names: string[] }> {
  const data = await read(at, (await read(at, 24, lsp)).readUInt32LE(20), lsp)
  const names: string[] = []
  if (lsp === 0) {
    for (let from = ENTRY_BYTES; from < data.length; from += ENTRY_BYTES) {
      const name = data.toString('latin1', from + 256, from + 512).replace(/\0+$/, '')
      if (name.startsWith('nqn.2026-01.example:reg')) names.push(name.slice(20))
    }
  }
  return { generation: Number(data.readBigUInt64LE(0)), data, names }
}

describe('registering', () => {
  test('DSC-16 DSC-21: register, update and deregister, as another host sees it', async () => {
    const [at, other] = [await open(), await open()]
    const before = (await log(other)).generation
    expect(await manage(at, REGISTER, information({}, named('reg1'), named('reg2')))).toBe('0/00h')
    const first = await log(other)
    expect(first.names).toEqual(['reg1', 'reg2'])
    expect(first.generation).not.toBe(before)
    const listed = first.data.subarray(first.data.length - ENTRY_BYTES)
    expect(listed.equals(named('reg2')), 'as it was registered').toBe(true)
    expect(await manage(at, UPDATE, information({}, named('reg2', { asqsz: 64 })))).toBe('0/00h')
    const second = await log(other)
    expect(second.data.readUInt16LE(second.data.length - ENTRY_BYTES + 8)).toBe(64)
    expect(await manage(at, DEREGISTER, information({}, named('reg1')))).toBe('0/00h')
    expect((await log(other)).names).toEqual(['reg2'])
    expect(await manage(at, DEREGISTER, information({}))).toBe('0/00h')
    const last = await log(other)
    expect(last.names).toEqual([])
    expect(new Set([before, first.generation, second.generation, last.generation]).size).toBe(4)
  })

  test('DSC-16: more than a capsule takes, with attributes', async () => {
    const at = await open()
    const entries = Array.from({ length: 20 }, (_, index) =>
      named(`reg${index}`, { attributes: [[2, `shelf ${index}`.padEnd(12)]] }))
    expect(await manage(at, REGISTER, information({ entfmt: 2 }, ...entries))).toBe('0/00h')
    const { data } = await log(at, 1)
    const whole = Buffer.concat(entries)
    expect(data.subarray(data.length - whole.length).equals(whole)).toBe(true)
    expect(await manage(at, DEREGISTER, information({}))).toBe('0/00h')
  })

  test('DSC-17: what cannot be registered', async () => {
    const at = await open()
    const { generation } = await log(at)
    const good = named('reg1')
    for (const [task, data, status] of [
      [3, information({}, good), '0/02h'], [REGISTER, information({ entfmt: 3 }, good), '0/02h'],
      [REGISTER, information({ ektype: 1 }, good), '0/02h'],
      [REGISTER, information({ nument: 3 }, good), '0/02h'],
      [REGISTER, information({}, good, named('reg2', { trsvcid: 'x' })), '1/2Fh'],
      [UPDATE, information({}, good), '1/2Fh'],
      [REGISTER, information({ etype: 1, eid: 'nqn.someone' }, good), '1/2Fh'],
      [REGISTER, Buffer.alloc(512), '0/0Fh'],
      [REGISTER, information({}, ...Array.from({ length: 513 }, (_, index) => named(`reg${index}`))), '1/32h'],
    ] as const) {
      expect(await manage(at, task, data)).toBe(status)
    }
    expect((await log(at)).generation).toBe(generation)
  })

  test('DSC-18: DCTYPE', async () => {
    const at = await open()
    expect((await at.admin.must(identify(1), { receive: 4096 })).data[1806]).toBe(2)
  })

  test('DSC-19: goes with a connection that was to be kept alive', async () => {
    const [at, other] = [await open(30_000), await open()]
    await manage(at, REGISTER, information({}, named('reg1')))
    expect((await log(other)).names).toEqual(['reg1'])
    await at.end()
    await daemon.line((line) => line['entity'] !== undefined
      && /is not connected any more/.test(String(line['message'])), 'it forgot the registration')
    expect((await log(await open())).names).toEqual([])
  })
})

describe('events', () => {
  /** A host that is told of changes; its request is outstanding. */
  async function listener(events = DISCOVERY_LOG_EVENTS): Promise<{ at: Session; event: Promise<number> }> {
    const at = await open(30_000)
    await at.admin.must(setFeatures(0x0b, events))
    await log(at)
    const event = at.admin.submit(asyncEventRequest()).then(({ dw0 }) => dw0)
    return { at, event }
  }

  test('DSC-20: once, and again when the log was read', async () => {
    const [{ at, event }, registrar] = [await listener(), await open()]
    await manage(registrar, REGISTER, information({}, named('reg1')))
    expect(await event).toBe(LOG_CHANGED)
    const again = at.admin.submit(asyncEventRequest()).then(({ dw0 }) => dw0)
    await manage(registrar, REGISTER, information({}, named('reg2')))
    // A round trip on every queue: an event that is told too early would have come before.
    await at.admin.must(identify(1), { receive: 4096 })
    expect(await Promise.race([again, Promise.resolve(0)])).toBe(0)
    expect((await log(at)).names).toEqual(['reg1', 'reg2'])
    await manage(registrar, DEREGISTER, information({}))
    expect(await again).toBe(LOG_CHANGED)
  })

  test('DSC-20: not to those who did not ask', async () => {
    const [{ at, event }, registrar] = [await listener(0), await open()]
    await manage(registrar, REGISTER, information({}, named('reg1')))
    await at.admin.must(identify(1), { receive: 4096 })
    expect(await Promise.race([event, Promise.resolve(0)])).toBe(0)
    await manage(registrar, DEREGISTER, information({}))
  })
})

test('DSC-18: a direct discovery controller', async () => {
  const direct = await startDaemon(configuration())
  try {
    const at = await openSession(direct.endpoint, { subnqn: DISCOVERY_NQN }, 0)
    expect((await at.admin.must(identify(1), { receive: 4096 })).data[1806]).toBe(1)
    expect(await manage(at, REGISTER, information({}, named('reg1')))).toBe('0/01h')
  } finally {
    await direct.stop()
  }
})
