/**
 * More connections than the target was configured for. Those it cannot take it closes;
 * those that it has go on; when some leave, others come in.
 */
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { read } from '../command-bytes.ts'
import { NQN, configuration, startDaemon, type Daemon } from '../daemon.ts'
import { openSession, tryConnect } from '../host-session.ts'
import { Wire, closeWires } from '../host.ts'
import { icReq } from '../wire-bytes.ts'

const CONNECTIONS = 16
const FLOOD = 200

let daemon: Daemon

beforeAll(async () => {
  daemon = await startDaemon(configuration({ limits: { connections: CONNECTIONS } }))
})
afterAll(() => daemon.stop())
afterEach(closeWires)

/** Opens one and asks to begin; true when the target answered, false when it closed. */
async function welcome(): Promise<boolean> {
  const wire = await Wire.open(daemon.endpoint)
  await wire.send(icReq())
  return wire.next().then(() => true, () => false)
}

test('two hundred at once beside one that works', async () => {
  const witness = await openSession(daemon.endpoint, { subnqn: NQN })
  const answers = await Promise.all(Array.from({ length: FLOOD }, welcome))
  const taken = answers.filter((answered) => answered).length
  expect(taken).toBeGreaterThan(0)
  expect(taken, 'half of all connections, for one address').toBeLessThanOrEqual(CONNECTIONS / 2)
  await witness.queue(1).must(read(1, 0, 8), { receive: 4096 })
  await closeWires()
  const again = async (): Promise<string> => {
    const wire = await Wire.open(daemon.endpoint)
    const answer = await wire.initialize().catch(() => null)
    if (answer === null) return 'closed'
    return (await tryConnect(wire, { subnqn: NQN })).completion.status
  }
  await expect.poll(again).toBe('0/00h')
})

test('a thousand one after the other', async () => {
  for (let index = 0; index < 1000; index += 1) {
    const wire = await Wire.open(daemon.endpoint)
    await wire.destroy()
  }
  const session = async (): Promise<string> => {
    const opened = await openSession(daemon.endpoint, { subnqn: NQN }).catch(() => null)
    await closeWires()
    return opened === null ? 'refused' : 'open'
  }
  await expect.poll(session).toBe('open')
})
