/**
 * A host that sends nonsense: PDUs with flipped bits, cut, doubled, out of order, or plain noise,
 * in every state of a connection. The target may answer as it likes; it may not end, not hang,
 * and not harm the host beside it. A seed that fails goes into SEEDS.
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import {
  abort, asyncEventRequest, compare, connect, connectData, datasetManagement, disconnect,
  getLogPage, identify, keepAlive, propertyGet, read, setFeatures, sqe, write,
} from '../command-bytes.ts'
import { NQN, configuration, startDaemon, type Daemon } from '../daemon.ts'
import { openSession, someHost, type Session } from '../host-session.ts'
import { HostQueue } from '../host-queue.ts'
import { Wire, closeWires } from '../host.ts'
import { Random } from '../random.ts'
import { h2cData, h2cTermReq, icReq, resealHeader, type Digests } from '../wire-bytes.ts'

const SEEDS = [1, 2, 3, 4]
const CONNECTIONS_A_SEED = 120
const PDUS_A_CONNECTION = 12
const WITNESS_SLBA = 100_000

let daemon: Daemon

beforeAll(async () => {
  daemon = await startDaemon(configuration({ reactors: 2 }))
})
afterAll(() => daemon.stop())
afterEach(closeWires)

/** PDUs that a well-behaved host might send at some time. */
function sensible(random: Random, queue: HostQueue): Buffer {
  const slba = random.below(1000)
  const blocks = 1 + random.below(64)
  const send = Buffer.alloc(512 * (1 + random.below(16)), 0xbb)
  const identity = someHost()
  return random.pick([
    () => queue.capsule(read(1, slba, blocks), { receive: blocks * 512 }),
    () => queue.capsule(write(1, slba, send.length / 512), { send }),
    () => queue.capsule(write(1, slba, blocks), { send: Buffer.alloc(blocks * 512),
      inCapsule: false }),
    () => queue.capsule(compare(1, slba, send.length / 512), { send }),
    () => queue.capsule(datasetManagement(1, 2), { send: Buffer.alloc(32) }),
    () => queue.capsule(identify(random.below(9), 1), { receive: 4096 }),
    () => queue.capsule(getLogPage(random.below(6), 128), { receive: 512 }),
    () => queue.capsule(setFeatures(random.below(256), random.below(65536))),
    () => queue.capsule(asyncEventRequest()),
    () => queue.capsule(abort(random.below(3), random.below(64))),
    () => queue.capsule(propertyGet(random.below(0x80), 4)),
    () => queue.capsule(disconnect()),
    () => queue.capsule(connect({ qid: random.below(4) }),
      { send: connectData({ ...identity, subnqn: NQN }) }),
    () => queue.capsule(sqe(random.below(256), random.below(4)), { receive: 4096 }),
    () => queue.capsule(keepAlive()),
    () => h2cData({ cccid: random.below(16), ttag: random.below(64), datao: 0, data: send },
      queue.wire.digests),
    () => h2cTermReq(1, 0, Buffer.alloc(24)),
    () => icReq(),
  ])()
}

/** The same, spoilt; often with a digest that is right again, to get past the first check. */
function spoil(random: Random, pdu: Buffer, digests: Digests): Buffer {
  const bytes = Buffer.from(pdu)
  const flips = random.below(4)
  for (let flip = 0; flip < flips; flip += 1) {
    const at = random.below(Math.min(bytes.length, 76))
    bytes.writeUInt8(bytes.readUInt8(at) ^ (1 << random.below(8)), at)
  }
  const hlen = bytes.readUInt8(2)
  const sealable = digests.header && random.chance(70) && bytes.length >= hlen + 4 && hlen >= 8
  if (sealable) resealHeader(bytes, hlen)
  if (random.chance(10)) return bytes.subarray(0, random.below(bytes.length))
  if (random.chance(10)) return Buffer.concat([bytes, bytes])
  if (random.chance(5)) return random.bytes(random.below(300))
  return bytes
}

async function nuisance(random: Random): Promise<void> {
  const digests = { header: random.chance(50), data: random.chance(50) }
  const wish = { subnqn: NQN, digests, hpda: random.below(32), maxr2t: random.below(4) }
  const state = random.below(4)
  let queue: HostQueue
  if (state === 0) queue = new HostQueue(await Wire.open(daemon.endpoint), 0)
  else if (state === 1) queue = new HostQueue(await Wire.initialized(daemon.endpoint, wish), 0)
  else {
    const session: Session = await openSession(daemon.endpoint, wish, 1)
    queue = state === 2 ? session.admin : session.queue(1)
  }
  for (let index = 0; index < PDUS_A_CONNECTION && !queue.wire.hasEnded; index += 1) {
    const bytes = spoil(random, sensible(random, queue), digests)
    if (random.chance(20)) await queue.wire.trickle(bytes, [1 + random.below(40)])
    else await queue.wire.send(bytes)
  }
  if (random.chance(50)) queue.wire.reset()
  await closeIdle(queue)
}

/** Gives the target a moment of traffic to answer in, then goes without a word. */
async function closeIdle(queue: HostQueue): Promise<void> {
  await queue.wire.next(50).catch(() => null)
  await queue.wire.destroy()
}

describe.each(SEEDS)('seed %i', (seed) => {
  test('the target outlives it, and the witness keeps its data', async () => {
    const random = new Random(seed)
    const witness = await openSession(daemon.endpoint, { subnqn: NQN, kato: 0 })
    const send = random.bytes(4096)
    await witness.queue(1).must(write(1, WITNESS_SLBA, 8), { send })
    for (let index = 0; index < CONNECTIONS_A_SEED; index += 4) {
      await Promise.all([1, 2, 3, 4].map(() => nuisance(random)))
      const back = await witness.queue(1).must(read(1, WITNESS_SLBA, 8), { receive: 4096 })
      expect(back.data.equals(send)).toBe(true)
    }
    await witness.admin.must(keepAlive())
    await closeWires()
    await expect.poll(() => daemon.slotsInUse()).toBe(0)
  })
})
