/**
 * DH-HMAC-CHAP that fails: every reason, what the host is told, and what becomes of its queue.
 * NVMe Base 2.0, 8.13.4.2 (AUTH_Failure1), 8.13.4.3 (AUTH_Failure2).
 *
 *   F1h │ T_ID │ RC 01h │ RCE 01 failed · 02 protocol · 03 channel · 04 hash · 05 group · 06 payload · 07 message
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import {
  CHAP, COMMON, CONTROLLER_SECRET, FAILURE2, HOST_KEY, HOST_SECRET, NEGOTIATE, REPLY, SUCCESS2, failureOf,
  head, negotiate, receiveMessage, reply, sendMessage,
} from '../authentication-bytes.ts'
import { read } from '../command-bytes.ts'
import { configuration, startDaemon, type Daemon, type LogLine } from '../daemon.ts'
import { answerChallenge, authenticate, begin } from '../host-authentication.ts'
import type { HostQueue } from '../host-queue.ts'
import { Session, enable, openAdmin, someHost, type Identity } from '../host-session.ts'
import { closeWires } from '../host.ts'

const SUBSYSTEM = 'nqn.2026-01.example:guarded'
const [KEYED, MUTUAL, STRICT, LONELY] = [
  someHost('keyed'), someHost('mutual'), someHost('strict'), someHost('lonely'),
]
const TID = 0x1234

let daemon: Daemon

beforeAll(async () => {
  const hosts = [
    { nqn: KEYED.hostnqn, key: HOST_SECRET }, { nqn: LONELY.hostnqn, key: HOST_SECRET },
    { nqn: MUTUAL.hostnqn, key: HOST_SECRET, controllerKey: CONTROLLER_SECRET },
    { nqn: STRICT.hostnqn, key: HOST_SECRET, hashes: ['sha-512'], dhGroups: ['ffdhe4096'] },
  ]
  daemon = await startDaemon(configuration({
    subsystems: [{ nqn: SUBSYSTEM, hosts, namespaces: [{ nsid: 1, memory: '16M' }] }],
  }))
})
afterAll(() => daemon.stop())
afterEach(closeWires)

const namesOf = (host: Identity) => ({ hostnqn: host.hostnqn, subnqn: SUBSYSTEM })
const connected = (identity: Identity): Promise<Session> => openAdmin(daemon.endpoint, { subnqn: SUBSYSTEM, identity })

/** What the host is told on its next Authentication Receive; then its connection ends. */
async function expectFailure(queue: HostQueue, rce: number, tid = TID): Promise<void> {
  const { data, status } = await receiveMessage(queue)
  expect(status).toBe('0/00h')
  expect(failureOf(data)).toEqual([1, rce])
  expect(data.readUInt16LE(4)).toBe(tid)
  expect(data.subarray(8).every((byte) => byte === 0)).toBe(true)
  await queue.wire.closed()
}

/** The line of the log about a host that has failed. */
function failedLine(identity: Identity, reason: RegExp): Promise<LogLine> {
  return daemon.line((line) => line['event'] === 'authenticationFailed' && line['hostNqn'] === identity.hostnqn
    && reason.test(String(line['reason'])), `${identity.hostnqn} failed`)
}

/** A reply that is right, for changing it. */
async function replyOf(queue: HostQueue, identity: Identity, offered = { groups: [1] }): Promise<Buffer> {
  const challenge = await begin(queue, TID, offered)
  return reply({ tid: TID, challenge, names: namesOf(identity), key: HOST_KEY }).message
}

describe('AUT-16: 01h, authentication failed', () => {
  test('another key', async () => {
    const { admin } = await connected(KEYED)
    const key = Buffer.from(HOST_KEY)
    key[31]! ^= 1
    const { answer } = await answerChallenge(admin, { names: namesOf(KEYED), tid: TID, key })
    expect(failureOf(answer)).toEqual([1, 1])
    await admin.wire.closed()
    const line = await failedLine(KEYED, /its key is not the one configured here/)
    expect(line['address']).toBe(`127.0.0.1:${admin.wire.localPort}`)
    expect(line).toMatchObject({ subsystem: SUBSYSTEM, queue: 0, level: 'warn' })
  })

  test.each([
    ['host', { hostnqn: MUTUAL.hostnqn, subnqn: SUBSYSTEM }],
    ['subsystem', { hostnqn: KEYED.hostnqn, subnqn: `${SUBSYSTEM}2` }],
  ])('a response for another %s', async (_what, names) => {
    const { admin } = await connected(KEYED)
    const { answer } = await answerChallenge(admin, { names, tid: TID })
    expect(failureOf(answer)).toEqual([1, 1])
  })

  test('a reply that was right for the challenge before', async () => {
    const first = await connected(KEYED)
    const recorded = await replyOf(first.admin, KEYED)
    const { admin } = await connected(KEYED)
    await begin(admin, TID, { groups: [1] })
    await sendMessage(admin, recorded)
    await expectFailure(admin, 1)
  })

  test('a challenge to a controller without a key', async () => {
    const { admin } = await connected(KEYED)
    const { answer } = await answerChallenge(admin, { names: namesOf(KEYED), tid: TID, controller: true })
    expect(failureOf(answer)).toEqual([1, 1])
    await failedLine(KEYED, /asks the controller to authenticate/)
  })

  test('its own challenge sent back', async () => {
    const { admin } = await connected(MUTUAL)
    const challenge = await begin(admin, TID, { groups: [0] })
    const { message } = reply({ tid: TID, challenge, names: namesOf(MUTUAL), key: HOST_KEY })
    message.writeUInt8(1, 8)
    message.writeUInt32LE(5, 12)
    message.set(challenge.value, 16 + challenge.value.length)
    await sendMessage(admin, message)
    await expectFailure(admin, 1)
  })
})

describe('AUT-17: what cannot be agreed on', () => {
  test.each([
    ['02h: another protocol', { authid: 2 }, 2, /does not offer DH-HMAC-CHAP/],
    ['03h: a secure channel', { scC: 1 }, 3, /a secure channel/],
    ['04h: hashes that nobody knows', { hashes: [0, 4, 255] }, 4, /none of the hashes allowed: sha-512/],
    ['04h: hashes that are not allowed', { hashes: [1, 2] }, 4, /none of the hashes allowed: sha-512/],
    ['04h: no hash', { hashes: [] }, 4, /none of the hashes allowed/],
    ['05h: groups that nobody knows', { groups: [6, 255] }, 5, /none of the DH groups allowed: ffdhe4096/],
    ['05h: groups that are not allowed', { groups: [0, 1, 2, 4, 5] }, 5, /none of the DH groups allowed/],
    ['05h: no group', { groups: [] }, 5, /none of the DH groups allowed/],
  ])('%s', async (_name, offered, rce, reason) => {
    const { admin } = await connected(STRICT)
    expect((await sendMessage(admin, negotiate(TID, offered))).status).toBe('0/00h')
    await expectFailure(admin, rce)
    await failedLine(STRICT, reason)
  })

  test('02h: no descriptor at all', async () => {
    const { admin } = await connected(STRICT)
    await sendMessage(admin, head(8, COMMON, NEGOTIATE, TID))
    await expectFailure(admin, 2)
  })
})

describe('AUT-18: 06h, incorrect payload', () => {
  test.each([
    ['AUTH_Negotiate, a byte short', negotiate(TID).subarray(0, 71)],
    ['AUTH_Negotiate with a byte more', Buffer.concat([negotiate(TID), Buffer.alloc(1)])],
    ['AUTH_Negotiate of 7 bytes', negotiate(TID).subarray(0, 7)],
    ['AUTH_Negotiate, a descriptor missing', Object.assign(Buffer.from(negotiate(TID)), { 7: 2 })],
    ['more hashes than fit', negotiate(TID, { halen: 31 })],
    ['more groups than fit', negotiate(TID, { dhlen: 31 })],
  ])('%s', async (_name, message) => {
    const { admin } = await connected(KEYED)
    expect((await sendMessage(admin, message)).status).toBe('0/00h')
    await expectFailure(admin, 6)
  })

  test('less than a header', async () => {
    const { admin } = await connected(KEYED)
    await sendMessage(admin, negotiate(TID).subarray(0, 5))
    await expectFailure(admin, 6, 0)
  })

  test.each([
    ['another T_ID', (message: Buffer) => message.writeUInt16LE(TID + 1, 4)],
    ['another HL', (message: Buffer) => message.writeUInt8(32, 6)],
    ['another DHVLEN', (message: Buffer) => message.writeUInt16LE(252, 10)],
    ['CVALID 2', (message: Buffer) => message.writeUInt8(2, 8)],
    ['CVALID 1 and SEQNUM 0', (message: Buffer) => message.writeUInt8(1, 8)],
    ['DH value 0', (message: Buffer) => message.fill(0, 16 + 128)],
    ['DH value 1', (message: Buffer) => message.fill(0, 16 + 128).writeUInt8(1, message.length - 1)],
    ['DH value beyond the prime', (message: Buffer) => message.fill(0xff, 16 + 128)],
  ])('a reply with %s', async (_name, change) => {
    const { admin } = await connected(KEYED)
    const message = await replyOf(admin, KEYED)
    change(message)
    await sendMessage(admin, message)
    await expectFailure(admin, 6)
  })

  test.each([['shorter', 4], ['longer', -4]])('a reply that is %s', async (_name, bytes) => {
    const { admin } = await connected(KEYED)
    const message = await replyOf(admin, KEYED)
    await sendMessage(admin, Buffer.concat([message, Buffer.alloc(4)]).subarray(0, message.length - bytes))
    await expectFailure(admin, 6)
  })

  test('a DH value for the NULL group', async () => {
    const { admin } = await connected(KEYED)
    const message = Buffer.concat([await replyOf(admin, KEYED, { groups: [0] }), Buffer.alloc(4, 7)])
    message.writeUInt16LE(4, 10)
    await sendMessage(admin, message)
    await expectFailure(admin, 6)
  })

  test.each([
    ['another T_ID', head(16, CHAP, SUCCESS2, TID + 1)], ['a byte more', head(17, CHAP, SUCCESS2, TID)],
  ])('AUTH_Success2 with %s', async (_name, message) => {
    const { admin } = await connected(MUTUAL)
    await answerChallenge(admin, { names: namesOf(MUTUAL), tid: TID, controller: true, offered: { groups: [0] } })
    await sendMessage(admin, message)
    await expectFailure(admin, 6)
  })

  test('no room for the challenge', async () => {
    const { admin } = await connected(KEYED)
    await sendMessage(admin, negotiate(TID, { groups: [0] }))
    const { data } = await receiveMessage(admin, 16 + 63)
    expect(failureOf(data)).toEqual([1, 6])
    await admin.wire.closed()
  })

  test('no room for a failure either', async () => {
    const { admin } = await connected(KEYED)
    await sendMessage(admin, negotiate(TID, { groups: [0] }))
    expect((await receiveMessage(admin, 4)).status).toBe('0/02h')
    await expectFailure(admin, 6)
  })
})

describe('AUT-19: 07h, incorrect protocol message', () => {
  test.each([
    ['an unknown type', head(16, 2, 0, 0)],
    ['an unknown message', head(16, CHAP, 0x77, 0)],
    ['a challenge, which only controllers send', head(16, CHAP, 1, 0)],
    ['a reply before any challenge', head(16, CHAP, REPLY, 0)],
    ['AUTH_Success2 before anything', head(16, CHAP, SUCCESS2, 0)],
    ['AUTH_Failure2 before anything', head(8, COMMON, FAILURE2, 0)],
    ['AUTH_Failure1, which only controllers send', head(8, COMMON, 0xf1, 0)],
  ])('%s', async (_name, message) => {
    const { admin } = await connected(KEYED)
    await sendMessage(admin, message)
    await expectFailure(admin, 7, 0)
    await failedLine(KEYED, /came when AUTH_Negotiate was due/)
  })

  test('a second AUTH_Negotiate', async () => {
    const { admin } = await connected(KEYED)
    await begin(admin, TID)
    await sendMessage(admin, negotiate(TID + 1))
    await expectFailure(admin, 7)
  })

  test('a second reply, the right one again', async () => {
    const { admin } = await connected(KEYED)
    const message = await replyOf(admin, KEYED)
    await sendMessage(admin, message)
    await sendMessage(admin, message)
    await expectFailure(admin, 7)
  })

  test('Authentication Receive when the reply is due', async () => {
    const { admin } = await connected(KEYED)
    await begin(admin, TID)
    await expectFailure(admin, 7)
  })

  test('AUTH_Success2 when the controller was not challenged, on a queue that is open by then', async () => {
    const { admin } = await connected(MUTUAL)
    await authenticate(admin, { names: namesOf(MUTUAL), tid: TID })
    await sendMessage(admin, head(16, CHAP, SUCCESS2, TID))
    await expectFailure(admin, 7, 0)
  })
})

describe('what a failure ends', () => {
  async function withIo(): Promise<{ session: Session; io: HostQueue }> {
    const session = await connected(MUTUAL)
    await authenticate(session.admin, { names: namesOf(MUTUAL), controller: true })
    await enable(session.admin)
    return { session, io: await session.connectIo(1) }
  }

  test('AUT-20: of an I/O queue that was never open, that queue alone', async () => {
    const { session, io } = await withIo()
    await sendMessage(io, head(16, CHAP, REPLY, 0))
    await expectFailure(io, 7, 0)
    const again = await session.connectIo(1)
    await authenticate(again, { names: namesOf(MUTUAL) })
    await again.must(read(1, 0, 1), { receive: 512 })
  })

  test.each(['admin', 'io'] as const)('AUT-20: of the %s queue that was open, the association', async (which) => {
    const { session, io } = await withIo()
    await authenticate(io, { names: namesOf(MUTUAL) })
    const queue = which === 'io' ? io : session.admin
    const key = Buffer.alloc(32, 9)
    const { answer } = await answerChallenge(queue, { names: namesOf(MUTUAL), key })
    expect(failureOf(answer)).toEqual([1, 1])
    await Promise.all([session.admin.wire.closed(), io.wire.closed()])
    await failedLine(MUTUAL, /its key is not/)
  })

  test('AUT-21: of the host, which says so', async () => {
    const { admin } = await connected(MUTUAL)
    await answerChallenge(admin, { names: namesOf(MUTUAL), tid: TID, controller: true })
    const message = head(8, COMMON, FAILURE2, TID)
    message.set([1, 1], 6)
    expect((await sendMessage(admin, message)).status).toBe('0/00h')
    await admin.wire.closed()
    await failedLine(MUTUAL, /does not accept the controller's answer: authentication failed/)
  })

  test('AUT-21: of the host, which cannot use the challenge', async () => {
    const { admin } = await connected(KEYED)
    await begin(admin, TID)
    const message = head(8, COMMON, FAILURE2, TID)
    message.set([1, 5], 6)
    expect((await sendMessage(admin, message)).status).toBe('0/00h')
    await admin.wire.closed()
    await failedLine(KEYED, /does not accept the controller's challenge: DH group not usable/)
  })

  test('AUT-20: a host that was told so may try again', async () => {
    const { admin } = await connected(KEYED)
    await sendMessage(admin, negotiate(TID, { authid: 3 }))
    await expectFailure(admin, 2)
    const again = await connected(KEYED)
    await authenticate(again.admin, { names: namesOf(KEYED) })
    await enable(again.admin)
  })
})

test('AUT-22: each failure is one line, and a host that leaves is one too', async () => {
  const identity = LONELY
  const lines = (): LogLine[] => daemon.lines.filter((line) => line['hostNqn'] === identity.hostnqn)
  const { admin } = await connected(identity)
  await begin(admin, TID)
  await admin.wire.destroy()
  await failedLine(identity, /it left before it had authenticated/)
  const failing = await connected(identity)
  await sendMessage(failing.admin, negotiate(TID, { authid: 3 }))
  await expectFailure(failing.admin, 2)
  await daemon.statistics()
  expect(lines().map((line) => line['event'])).toEqual(['authenticationFailed', 'authenticationFailed'])
  expect(JSON.stringify(daemon.lines)).not.toMatch(/DHHC-1|AAECAwQF/)
})
