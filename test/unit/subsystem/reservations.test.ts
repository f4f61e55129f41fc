/** The order of things around a reservation: saved, then published, then told, then answered. */
import { beforeEach, describe, expect, test } from 'vitest'
import { RESERVATIONS } from '../../../src/config/kept-reservations.ts'
import {
  Reservations, type Associated, type KeptReservation, type ReservationAnswer, type ReservationRequest,
} from '../../../src/subsystem/reservations.ts'

const NQN = 'nqn.2026-01.com.example:disks'
const ONE = { uuid: 'uuid-1', nsid: 1 }
const TWO = { uuid: 'uuid-2', nsid: 2 }
const [A, B] = ['a'.repeat(32), 'b'.repeat(32)]
const KEY_A = '000000000000000a'
const KEY_B = '000000000000000b'
const NO_KEY = '0'.repeat(16)
const PERSIST = 0xc0000000 | 0

/** What happened, in order. */
let journal: string[]
let files: Map<string, readonly KeptReservation[]>
let controllers: Associated[]
let failing: boolean
/** Steps that wait until they are let go. */
let held: Map<string, () => void>
let holding: Set<string>
let reservations: Reservations

function step(name: string, words = ''): Promise<void> {
  journal.push(words === '' ? name : `${name} ${words}`)
  if (!holding.has(name)) return Promise.resolve()
  return new Promise((resolve) => { held.set(name, resolve) })
}

function made(): Reservations {
  return new Reservations({
    load: (nqn) => files.get(nqn) ?? null,
    save: async (nqn, kept) => {
      await step('save', String(kept.length))
      if (failing) throw new Error('no space')
      files.set(nqn, RESERVATIONS.schema.safeParse(JSON.parse(JSON.stringify(kept))).data!)
    },
    publish: ({ uuid, rights }) => step('publish',
      `${uuid} ${rights === null ? 'free' : `${rights.full.map((id) => id[0]).join('')}${rights.othersRead ? '+r' : ''}`}`),
    drain: (uuid, hostIds) => step('drain', `${uuid} ${hostIds.map((id) => id[0]).join('')}`),
    controllers: () => controllers,
    notify: (controller, type, nsid) => { journal.push(`notify ${controller} ${type} ${nsid}`) },
    unsaved: ({ message }) => { journal.push(`unsaved ${message}`) },
  })
}

beforeEach(() => {
  journal = []
  files = new Map()
  controllers = [{ index: 0, cntlid: 7, hostId: A }, { index: 1, cntlid: 9, hostId: B }]
  failing = false
  held = new Map()
  holding = new Set()
  reservations = made()
})

const ask = (hostId: string, request: ReservationRequest, namespaces = [ONE]): Promise<ReservationAnswer> =>
  reservations.execute(NQN, namespaces, hostId, request)
const command = (opcode: number, cdw10: number, key: string, secondKey: string): ReservationRequest =>
  ({ verb: 'command', command: { opcode, cdw10, key, secondKey } })
const register = (key: string, cdw10 = 0): ReservationRequest => command(0x0d, cdw10, NO_KEY, key)
const acquire = (key: string, action: number, type: number, victim = NO_KEY): ReservationRequest =>
  command(0x11, action | type << 8, key, victim)
const REPORT: ReservationRequest = { verb: 'report' }

async function must(hostId: string, ...requests: ReservationRequest[]): Promise<void> {
  for (const request of requests) expect((await ask(hostId, request)).status).toBe(0)
}

test('a registration alone is not published and not saved', async () => {
  await must(A, register(KEY_A))
  expect(journal).toEqual([])
})

test('a reservation is published before it is answered', async () => {
  await must(A, register(KEY_A))
  holding.add('publish')
  let answered = false
  const asked = ask(A, acquire(KEY_A, 0, 1)).then(() => { answered = true })
  await new Promise(setImmediate)
  expect(journal).toEqual(['publish uuid-1 a+r'])
  expect(answered).toBe(false)
  held.get('publish')!()
  await asked
})

test('requests of a subsystem wait for each other, those of another do not', async () => {
  await must(A, register(KEY_A))
  holding.add('publish')
  const first = ask(A, acquire(KEY_A, 0, 1))
  const second = ask(B, REPORT)
  let reported = false
  void second.then(() => { reported = true })
  await reservations.execute('nqn.2026-01.com.example:others', [ONE], B, REPORT)
  expect(reported).toBe(false)
  held.get('publish')!()
  await Promise.all([first, second])
})

describe('persistence', () => {
  test('saves before it publishes', async () => {
    await must(A, register(KEY_A, PERSIST), acquire(KEY_A, 0, 2))
    expect(journal).toEqual(['save 1', 'save 1', 'publish uuid-1 a'])
  })

  test('what is kept is there for the next daemon, and nothing else', async () => {
    await must(A, register(KEY_A, PERSIST), acquire(KEY_A, 0, 2))
    expect((await ask(B, register(KEY_B), [TWO])).status).toBe(0)
    const before = (await ask(A, REPORT)).payload
    reservations = made()
    expect(reservations.open([NQN])).toEqual([{ uuid: 'uuid-1', rights: { full: [A], othersRead: false } }])
    expect(reservations.open([NQN]), 'once').toEqual([])
    expect((await ask(A, REPORT)).payload).toEqual(before)
    expect((await ask(B, REPORT, [TWO])).payload).toHaveLength(64)
  })

  test('a state that cannot be saved changes nothing', async () => {
    await must(A, register(KEY_A, PERSIST))
    const before = (await ask(A, REPORT)).payload
    failing = true
    journal = []
    expect((await ask(A, acquire(KEY_A, 0, 1))).status).toBe(0x0006)
    expect(journal).toEqual(['save 1', 'unsaved no space'])
    expect((await ask(A, REPORT)).payload).toEqual(before)
    expect(files.get(NQN)![0]!.type).toBe(0)
    failing = false
    await must(A, acquire(KEY_A, 0, 1))
  })

  test('that is switched off is forgotten on the medium too', async () => {
    await must(A, register(KEY_A, PERSIST), register(KEY_A, 0x80000000 | 0))
    expect(files.get(NQN)).toEqual([])
  })

  test('the feature: one namespace, or several at once', async () => {
    const both = [ONE, TWO]
    expect((await ask(A, { verb: 'persistence', value: 1 }, both)).status).toBe(0)
    expect(journal).toEqual(['save 2'])
    expect((await ask(A, { verb: 'persistence', value: null }, [TWO])).dw0).toBe(1)
    expect((await ask(A, { verb: 'persistence', value: 0 }, [TWO])).status).toBe(0)
    expect((await ask(A, { verb: 'persistence', value: null }, [TWO])).dw0).toBe(0)
    expect(files.get(NQN)!.map(({ nsid }) => nsid)).toEqual([1])
    failing = true
    expect((await ask(A, { verb: 'persistence', value: 1 }, [TWO])).status).toBe(0x0006)
    expect((await ask(A, { verb: 'persistence', value: null }, [TWO])).dw0).toBe(0)
  })

  test('a namespace that is not exported at the moment keeps what it had', async () => {
    await must(A, register(KEY_A, PERSIST))
    reservations = made()
    reservations.open([NQN])
    await ask(B, register(KEY_B, PERSIST), [TWO])
    expect(files.get(NQN)!.map(({ uuid }) => uuid)).toEqual(['uuid-1', 'uuid-2'])
  })

  test('a deleted namespace leaves nothing', async () => {
    await must(A, register(KEY_A, PERSIST), acquire(KEY_A, 0, 1))
    await reservations.forget(NQN, 'uuid-1')
    expect(journal.slice(-2)).toEqual(['save 0', 'publish uuid-1 free'])
    expect((await ask(A, REPORT)).payload).toHaveLength(64)
  })
})

describe('notices', () => {
  test('go to every controller of the hosts, after the change is in force', async () => {
    controllers.push({ index: 2, cntlid: 11, hostId: B })
    await must(A, register(KEY_A))
    await must(B, register(KEY_B))
    await must(A, acquire(KEY_A, 0, 1), acquire(KEY_A, 1, 1, KEY_B))
    expect(journal).toEqual(['publish uuid-1 a+r', 'notify 1 1 1', 'notify 2 1 1'])
  })

  test('that are masked are not given', async () => {
    await must(A, register(KEY_A), { verb: 'mask', value: 0b0010 })
    await must(B, register(KEY_B))
    await must(A, acquire(KEY_A, 1, 1, KEY_B))
    expect(journal).toEqual([])
    await must(B, register(KEY_B), { verb: 'mask', value: 0b1100 })
    await must(A, acquire(KEY_A, 1, 1, KEY_B))
    expect(journal).toEqual(['notify 1 1 1'])
    expect((await ask(A, { verb: 'mask', value: null })).dw0).toBe(0b1100)
    expect((await ask(A, { verb: 'mask', value: null }, [TWO])).dw0).toBe(0)
  })
})

test('preempt and abort is answered when the commands of the others are over', async () => {
  await must(A, register(KEY_A))
  await must(B, register(KEY_B))
  await must(B, acquire(KEY_B, 0, 1))
  holding.add('drain')
  let answered = false
  const asked = ask(A, acquire(KEY_A, 2, 1, KEY_B)).then(() => { answered = true })
  await ask(B, REPORT)
  expect(journal.slice(1)).toEqual(['publish uuid-1 a+r', 'notify 1 1 1', 'drain uuid-1 b'])
  expect(answered).toBe(false)
  held.get('drain')!()
  await asked
})

describe('the report', () => {
  test('byte by byte', async () => {
    controllers.push({ index: 2, cntlid: 5, hostId: A })
    await must(A, register('1122334455667788', PERSIST))
    await must(B, register(KEY_B))
    controllers = controllers.filter(({ hostId }) => hostId === A)
    await must(A, acquire('1122334455667788', 0, 4))
    const { payload } = await ask(B, REPORT)
    expect(Buffer.from(payload).toString('hex')).toBe([
      '02000000', '04', '0200', '0000', '01', '00'.repeat(54),
      '0500', '01', '00'.repeat(5), '8877665544332211', A, '00'.repeat(32),
      'ffff', '00', '00'.repeat(5), '0b00000000000000', B, '00'.repeat(32),
    ].join(''))
  })

  test('of a type that all hold, all are holders', async () => {
    await must(A, register(KEY_A))
    await must(B, register(KEY_B))
    await must(A, acquire(KEY_A, 0, 6))
    const { payload } = await ask(B, REPORT)
    expect([payload[64 + 2], payload[128 + 2]]).toEqual([1, 1])
  })
})

test('a namespace that there is not', async () => {
  expect((await ask(A, REPORT, [])).status).toBe(0x400b)
})

describe('the file', () => {
  const entry = {
    uuid: 'u', nsid: 1, generation: 3, type: 1, holder: A, registrants: [{ hostId: A, key: KEY_A }],
  }
  const parse = (changes: object) => RESERVATIONS.schema.safeParse([{ ...entry, ...changes }])

  test('as it is written', () => expect(parse({}).success).toBe(true))
  test.each([
    [{ holder: B }, 'the registrant that holds it'], [{ type: 5 }, 'the registrant that holds it'],
    [{ type: 7 }, 'a whole number from 0 to 6'], [{ type: 6, holder: '', registrants: [] }, '0, where nobody'],
    [{ registrants: [{ hostId: A, key: NO_KEY }] }, 'a key'], [{ registrants: [{ hostId: 'x', key: KEY_A }] }, 'a host'],
    [{ registrants: [...entry.registrants, { hostId: A, key: KEY_B }] }, 'each host once'],
    [{ generation: -1 }, 'a whole number'], [{ more: 1 }, 'a reservation: uuid'],
  ])('refuses %j', (changes, said) => {
    const parsed = parse(changes)
    expect(parsed.success).toBe(false)
    expect(parsed.error!.issues.map(({ message }) => message).join()).toContain(said)
  })
})
