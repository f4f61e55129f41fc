/**
 * The authenticator: who owes what, clocks, and what is told and ended. Messages are those of the test host.
 */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { Authenticator, type Party } from '../../../src/auth/authenticator.ts'
import { type HostKeys, Keys } from '../../../src/auth/keys.ts'
import { Secret } from '../../../src/auth/secret.ts'
import type { ToReactor } from '../../../src/reactor/messages.ts'
import { STATUS } from '../../../src/wire/status.ts'
import {
  CONTROLLER_KEY, CONTROLLER_SECRET, HOST_KEY, HOST_SECRET, challengeOf, failureOf, head, negotiate, reply,
} from '../../authentication-bytes.ts'

const NAMES = { hostnqn: 'nqn.2026-01.com.example:host', subnqn: 'nqn.2026-01.com.example:disks' }
const OTHER_KEY = Buffer.alloc(32, 5)

function keysOf(text: string): HostKeys {
  return {
    nqn: NAMES.hostnqn, key: Secret.parse(text) as Secret, controllerKey: Secret.parse(CONTROLLER_SECRET) as Secret,
    hashes: [1], groups: [0, 5],
  }
}

function party(more: Partial<Party> = {}): Party {
  return {
    reactor: 1, connection: 4, serial: 2, qid: 0, controller: 3, cntlid: 17, host: NAMES.hostnqn,
    address: '192.0.2.7:1000', subsystem: NAMES.subnqn, name: NAMES.subnqn, keepAliveMs: 0, ...more,
  }
}

function rig(secret: string | null = HOST_SECRET) {
  const keys = new Keys(secret === null ? new Map() : new Map([[NAMES.subnqn, [keysOf(secret)]]]))
  const posted: ToReactor[] = []
  const told: string[] = []
  const authenticator = new Authenticator({
    keys,
    post: (_reactor, message) => posted.push(message),
    proven: ({ qid }, method, again) => told.push(`proven ${qid} ${method}${again ? ' again' : ''}`),
    failed: ({ qid }, reason) => told.push(`failed ${qid} ${reason}`),
    expire: (controller, reason) => told.push(`expire ${controller} ${reason}`),
  })
  let slot = 0
  const ask = (message: Uint8Array | null, room = 4096): void => {
    slot += 1
    authenticator.receive({
      type: 'authentication', reactor: 1, slot, connection: 4, serial: 2, message, room: message === null ? room : 0,
    })
  }
  type Answer = Extract<ToReactor, { type: 'authenticated' }>
  const answer = async (): Promise<Answer> => {
    const is = (message: ToReactor): boolean => message.type === 'authenticated'
    while (!posted.some(is)) await new Promise((resolve) => setImmediate(resolve))
    return posted.splice(posted.findIndex(is), 1)[0] as Answer
  }
  const send = (message: Buffer): Promise<Answer> => (ask(message), answer())
  const receive = async (room?: number): Promise<Buffer> => (ask(null, room), Buffer.from((await answer()).message!))
  /** A whole transaction; the last answer that carries a message. */
  const authenticate = async (key = HOST_KEY, tid = 1, controllerKey?: Buffer): Promise<Buffer> => {
    await send(negotiate(tid, { hashes: [1], groups: [0] }))
    const challenge = challengeOf(await receive())
    await send(reply({ tid, challenge, names: NAMES, key, controllerKey }).message)
    return receive()
  }
  return { authenticator, keys, posted, told, ask, answer, send, receive, authenticate }
}

beforeEach(() => { vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }) })
afterEach(() => { vi.useRealTimers() })

describe('who owes', () => {
  test('a host with a key, until it has shown it', async () => {
    const { authenticator, authenticate, send, told } = rig()
    expect(authenticator.join(party())).toBe(true)
    await authenticate()
    expect(told).toEqual(['proven 0 sha-256, null'])
    expect(await send(negotiate(2))).toMatchObject({ status: 0, proven: false, connection: 4, serial: 2 })
    expect(authenticator.leave(party(), '', false)).toBe(true)
    expect(told).toHaveLength(1)
  })

  test('the answer that proves it says so, and no other', async () => {
    const { authenticator, send, ask, answer, receive } = rig()
    authenticator.join(party())
    await send(negotiate(1, { hashes: [1], groups: [0] }))
    const challenge = challengeOf(await receive())
    const { message } = reply({ tid: 1, challenge, names: NAMES, key: HOST_KEY, controllerKey: CONTROLLER_KEY })
    expect((await send(message)).proven).toBe(false)
    ask(null)
    expect((await answer()).proven).toBe(false)
    expect((await send(head(16, 1, 4, 1))).proven).toBe(true)
  })

  test('nobody else', async () => {
    const { authenticator, ask, answer } = rig(null)
    expect(authenticator.join(party())).toBe(false)
    ask(negotiate(1))
    expect((await answer()).status).toBe(STATUS.INVALID_OPCODE)
    expect(authenticator.leave(party(), '', false)).toBe(true)
  })

  test('a key that comes later counts for the next queue, and for authenticating again', async () => {
    const { authenticator, keys, authenticate, told } = rig(null)
    expect(authenticator.join(party())).toBe(false)
    keys.replace(new Map([[NAMES.subnqn, [keysOf(HOST_SECRET)]]]))
    expect(authenticator.join(party({ connection: 5 }))).toBe(true)
    await authenticate()
    expect(told).toEqual(['proven 0 sha-256, null again'])
  })
})

describe('keys that change', () => {
  test('a transaction ends with the key that it began with', async () => {
    const { authenticator, keys, send, receive, told } = rig()
    authenticator.join(party())
    await send(negotiate(1, { hashes: [1], groups: [0] }))
    const challenge = challengeOf(await receive())
    keys.replace(new Map([[NAMES.subnqn, [keysOf(CONTROLLER_SECRET)]]]))
    await send(reply({ tid: 1, challenge, names: NAMES, key: HOST_KEY }).message)
    await receive()
    expect(told).toEqual(['proven 0 sha-256, null'])
  })

  test('the next one needs the new key, and an open queue stays open until then', async () => {
    const { authenticator, keys, authenticate, told } = rig()
    authenticator.join(party())
    await authenticate()
    keys.replace(new Map([[NAMES.subnqn, [keysOf(CONTROLLER_SECRET)]]]))
    await authenticate(CONTROLLER_KEY, 2)
    expect(told.at(-1)).toBe('proven 0 sha-256, null again')
    expect(failureOf(await authenticate(HOST_KEY, 3))).toEqual([1, 1])
    expect(told.slice(-2)).toEqual([
      'failed 0 its key is not the one configured here', 'expire 3 authentication failed',
    ])
  })
})

describe('what fails', () => {
  test('is told once, and ends the connection after the answer', async () => {
    const { authenticator, authenticate, posted, told } = rig()
    authenticator.join(party())
    expect(failureOf(await authenticate(OTHER_KEY))).toEqual([1, 1])
    expect(posted).toEqual([{ type: 'dismiss', connection: 4, serial: 2, reason: 'authentication failed' }])
    expect(authenticator.leave(party(), 'authentication failed', false)).toBe(false)
    expect(told).toEqual(['failed 0 its key is not the one configured here'])
  })

  test('a host that leaves before is told of, unless nobody wants to know', () => {
    for (const quiet of [false, true]) {
      const { authenticator, told } = rig()
      authenticator.join(party({ qid: 2 }))
      expect(authenticator.leave(party(), '', quiet)).toBe(false)
      expect(told).toEqual(quiet ? [] : ['failed 2 it left before it had authenticated'])
    }
  })
})

describe('time', () => {
  test.each([
    ['no keep alive', 0, 120_000], ['its keep alive', 30_000, 30_000], ['a short one', 100, 5000],
    ['a long one', 2 ** 31, 120_000],
  ])('a host that does nothing, %s', (_name, keepAliveMs, limitMs) => {
    const { authenticator, posted, told } = rig()
    authenticator.join(party({ keepAliveMs }))
    vi.advanceTimersByTime(limitMs - 1)
    expect(posted).toEqual([])
    vi.advanceTimersByTime(1)
    expect(posted).toMatchObject([{ type: 'dismiss', connection: 4, serial: 2 }])
    expect(told).toEqual([`failed 0 it did not go on for ${limitMs / 1000} s`])
  })

  test('each step has its own', async () => {
    const { authenticator, posted, send, receive } = rig()
    authenticator.join(party({ keepAliveMs: 5000 }))
    vi.advanceTimersByTime(4000)
    await send(negotiate(1, { hashes: [1], groups: [0] }))
    vi.advanceTimersByTime(4000)
    await receive()
    vi.advanceTimersByTime(4000)
    expect(posted).toEqual([])
    vi.advanceTimersByTime(1000)
    expect(posted).toMatchObject([{ type: 'dismiss' }])
  })

  test('a failure that nobody fetches', async () => {
    const { authenticator, posted, send, told } = rig()
    authenticator.join(party({ keepAliveMs: 5000 }))
    await send(head(16, 9, 9, 1))
    await send(head(16, 9, 9, 1))
    vi.advanceTimersByTime(5000)
    expect(posted).toMatchObject([{ type: 'dismiss' }])
    expect(told).toHaveLength(1)
  })

  test('none for a queue that is open; again for one that authenticates again', async () => {
    const { authenticator, authenticate, posted, send, told } = rig()
    authenticator.join(party({ keepAliveMs: 5000 }))
    await authenticate()
    vi.advanceTimersByTime(1_000_000)
    expect(posted).toEqual([])
    await send(negotiate(2))
    vi.advanceTimersByTime(5000)
    expect(told.slice(1)).toEqual(['failed 0 it did not go on for 5 s', 'expire 3 authentication failed'])
  })

  test('none for a queue that has gone', () => {
    const { authenticator, posted } = rig()
    authenticator.join(party())
    authenticator.leave(party(), '', false)
    vi.advanceTimersByTime(1_000_000)
    expect(posted).toEqual([])
  })
})

describe('messages', () => {
  test('of a queue that is not known are answered', async () => {
    const { ask, answer } = rig()
    ask(negotiate(1))
    expect((await answer()).status).toBe(STATUS.SQ_DELETION)
  })

  test('of a queue that goes while one is worked on are answered, with nothing', async () => {
    const { authenticator, send, ask, answer, told } = rig()
    authenticator.join(party())
    await send(negotiate(1, { hashes: [1], groups: [5] }))
    ask(null)
    authenticator.leave(party(), '', false)
    expect(await answer()).toMatchObject({ status: STATUS.SQ_DELETION, message: null, proven: false })
    expect(told).toHaveLength(1)
  })

  test('a clock that runs out while a value is calculated proves nobody', async () => {
    const { authenticator, send, ask, answer, posted } = rig()
    authenticator.join(party({ keepAliveMs: 5000 }))
    await send(negotiate(1, { hashes: [1], groups: [5] }))
    ask(null)
    vi.advanceTimersByTime(5000)
    expect(await answer()).toMatchObject({ proven: false, message: null })
    expect(posted.every(({ type }) => type === 'dismiss')).toBe(true)
  })
})
