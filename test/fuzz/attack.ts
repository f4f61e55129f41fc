/**
 * Attacks: connections that get as far as a host may, and then say what grammar.ts makes. Each is made from a seed,
 * so that one that found something is kept as its seed.  fuzz.test.ts makes them, a few at a time.
 */
import { DISCOVERY_NQN } from '../command-bytes.ts'
import { HostQueue } from '../host-queue.ts'
import { openAdmin, openSession, someHost, tryConnect } from '../host-session.ts'
import { Wire, type Endpoint } from '../host.ts'
import { Random } from '../random.ts'
import { nearlyRight, type Names } from './grammar.ts'

const PDUS = 16
const REPLY_MS = 30
/** As long as the target needs to end a connection. */
const PATIENCE_MS = 2

export const OPEN_NQN = 'nqn.2026-01.example:fuzzed'
export const GUARDED_NQN = 'nqn.2026-01.example:guarded'
export const KEYED_HOST = 'nqn.2026-01.example:keyed'

/** How far it gets in order. */
const STATES = ['silent', 'greeted', 'admin', 'enabled', 'io', 'authenticating', 'discovery'] as const

/** Sends what the seed says. Returns how many PDUs that were. The target may end it at any time. */
export async function attack(endpoint: Endpoint, seed: number): Promise<number> {
  const random = new Random(seed)
  const digests = { header: random.chance(40), data: random.chance(40) }
  const identity = someHost('fuzz')
  const state = random.pick(STATES)
  const wish = {
    subnqn: state === 'discovery' ? DISCOVERY_NQN : OPEN_NQN, digests, hpda: random.below(32),
    maxr2t: random.below(4), identity, kato: 0,
  }
  const opened = await reach(state, endpoint, wish)
  if (opened === null) return 0
  const { queue, others } = opened
  const names: Names = {
    ...identity, cntlid: queue.cntlid,
    subnqn: random.pick([OPEN_NQN, OPEN_NQN, GUARDED_NQN, DISCOVERY_NQN, 'nqn.2026-01.example:nobody']),
  }
  // One that does not wait has sent all before the first answer: most of it comes behind what ends the connection.
  const patient = random.chance(60)
  let sent = 0
  for (; sent < PDUS && !queue.wire.hasEnded; sent++) {
    const bytes = nearlyRight(random, names, state === 'silent' ? { header: false, data: false } : digests)
    if (random.chance(15)) await queue.wire.trickle(bytes, [1 + random.below(40)])
    else await queue.wire.send(bytes)
    if (patient) await new Promise((resolve) => { setTimeout(resolve, PATIENCE_MS) })
  }
  await queue.wire.next(REPLY_MS).catch(() => null)
  if (random.chance(50)) queue.wire.reset()
  await Promise.all([queue, ...others].map(({ wire }) => wire.destroy()))
  return sent
}

type Wish = Parameters<typeof openSession>[1]

/** null: there was no room for it, which is an answer too. */
async function reach(
  state: (typeof STATES)[number], endpoint: Endpoint, wish: Wish,
): Promise<{ queue: HostQueue; others: HostQueue[] } | null> {
  try {
    if (state === 'silent') return { queue: new HostQueue(await Wire.open(endpoint), 0), others: [] }
    if (state === 'greeted') return { queue: new HostQueue(await Wire.initialized(endpoint, wish), 0), others: [] }
    if (state === 'authenticating') {
      const wire = await Wire.initialized(endpoint, wish)
      const { queue } = await tryConnect(wire, {
        ...wish, subnqn: GUARDED_NQN, identity: { ...someHost(), hostnqn: KEYED_HOST },
      })
      return { queue, others: [] }
    }
    if (state === 'io') {
      const session = await openSession(endpoint, wish, 1)
      return { queue: session.queue(1), others: [session.admin] }
    }
    const session = state === 'admin' ? await openAdmin(endpoint, wish) : await openSession(endpoint, wish, 0)
    return { queue: session.admin, others: [] }
  } catch (error) {
    if (/expected|ended|reset/i.test(String(error))) return null
    throw error
  }
}
