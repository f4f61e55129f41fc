/**
 * npm run fuzz: attacks on a daemon, as many as the time allows, beside a host that minds its own business and
 * verifies its data all along. Afterwards nothing may be left over.            WEFT_FUZZ_SECONDS, WEFT_FUZZ_SEED
 *
 * Invariant: whatever is sent, the daemon lives, answers the witness, and gives every slot back.
 */
import { readFileSync } from 'node:fs'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { HOST_SECRET } from '../authentication-bytes.ts'
import { keepAlive, read, write } from '../command-bytes.ts'
import { configuration, startDaemon, type Daemon } from '../daemon.ts'
import { openSession, someHost, type Session } from '../host-session.ts'
import { closeWires } from '../host.ts'
import { Random } from '../random.ts'
import { GUARDED_NQN, KEYED_HOST, OPEN_NQN, attack } from './attack.ts'

const SECONDS = Number(process.env['WEFT_FUZZ_SECONDS'] ?? 20)
const SEED = Number(process.env['WEFT_FUZZ_SEED'] ?? 1)
const AT_A_TIME = 6
const WITNESS_NQN = 'nqn.2026-01.example:witness'
const WITNESS = { ...someHost(), hostnqn: 'nqn.2026-01.example:the-witness' }
const BLOCKS = 2048
/** Far more than an attack takes on a machine that does other things. */
const ATTACK_MS = 120_000
const MEBIBYTE = 1024 * 1024

/** Seeds that found something once. */
const corpus = JSON.parse(readFileSync(new URL('./corpus/seeds.json', import.meta.url), 'utf8')) as
  { seed: number; found: string }[]

let daemon: Daemon
let before = 0

beforeAll(async () => {
  daemon = await startDaemon(configuration({
    reactors: 2,
    subsystems: [
      { nqn: OPEN_NQN, hosts: 'any', namespaces: [{ nsid: 1, memory: '16M' }, { nsid: 2, null: '16M' }] },
      { nqn: GUARDED_NQN, hosts: [{ nqn: KEYED_HOST, key: HOST_SECRET }], namespaces: [{ nsid: 1, memory: '1M' }] },
      { nqn: WITNESS_NQN, hosts: [WITNESS.hostnqn], namespaces: [{ nsid: 1, memory: '8M' }] },
    ],
  }))
  before = await daemon.residentBytes()
})
afterAll(() => daemon.stop())
afterEach(closeWires)

/** Writes and reads until it is told to stop. Returns how often. */
async function witness(session: Session, going: () => boolean): Promise<number> {
  const random = new Random(SEED)
  const queue = session.queue(1)
  const known = new Map<number, Buffer>()
  let count = 0
  for (; going(); count++) {
    const slba = random.below(BLOCKS / 8) * 8
    const data = random.bytes(4096)
    await queue.must(write(1, slba, 8), { send: data })
    known.set(slba, data)
    const other = random.pick([...known.keys()])
    const back = await queue.must(read(1, other, 8), { receive: 4096 })
    expect(back.data.equals(known.get(other) as Buffer), `block ${other} of the witness`).toBe(true)
    if (count % 50 === 0) await session.admin.must(keepAlive())
  }
  return count
}

/** An attack that does not end has found something: a connection that is neither read nor closed. */
async function ended(seed: number): Promise<number> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`the attack of seed ${seed} had not ended after ${ATTACK_MS} ms`)), ATTACK_MS)
  })
  return Promise.race([attack(daemon.endpoint, seed), late]).finally(() => clearTimeout(timer))
}

async function nothingIsLeft(): Promise<void> {
  await closeWires()
  await expect.poll(() => daemon.slotsInUse(), { timeout: 20_000 }).toBe(0)
  expect(daemon.exited).toBe(false)
}

test.each(corpus)('seed $seed: $found', async ({ seed }) => {
  await ended(seed)
  await nothingIsLeft()
})

test(`${SECONDS} s of attacks from seed ${SEED} on`, { timeout: SECONDS * 1000 + 2 * ATTACK_MS }, async () => {
  const session = await openSession(daemon.endpoint, { subnqn: WITNESS_NQN, identity: WITNESS, kato: 30_000 })
  const end = Date.now() + SECONDS * 1000
  const recent: number[] = []
  let [seed, attacks, pdus] = [SEED, 0, 0]
  const attacker = async (): Promise<void> => {
    while (Date.now() < end) {
      const mine = seed++
      recent.push(mine)
      if (recent.length > 4 * AT_A_TIME) recent.shift()
      const sent = await ended(mine)
      pdus += sent
      attacks++
    }
  }
  const attackers = Promise.all(Array.from({ length: AT_A_TIME }, attacker))
  try {
    let attacking = true
    void attackers.then(() => { attacking = false }, () => { attacking = false })
    const [verified] = await Promise.all([witness(session, () => attacking), attackers])
    await nothingIsLeft()
    const grown = (await daemon.residentBytes()) - before
    console.log(`${attacks} attacks, ${pdus} PDUs, ${verified} verified writes beside them; `
      + `the daemon grew by ${(grown / MEBIBYTE).toFixed(0)} MiB`)
    expect(verified).toBeGreaterThan(0)
    expect(attacks).toBeGreaterThan(0)
  } catch (error) {
    throw new Error(`among the seeds ${recent.join(', ')}: ${(error as Error).message}`, { cause: error })
  }
})
