/**
 * A host sends part of a PDU and is gone: in order, by a reset, at every byte of it.
 * The target must forget the connection, and everybody else must not notice.
 */
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { keepAlive, read, write } from '../command-bytes.ts'
import { NQN, configuration, startDaemon, type Daemon } from '../daemon.ts'
import { openSession, tryConnect } from '../host-session.ts'
import { Wire, closeWires } from '../host.ts'
import { icReq } from '../wire-bytes.ts'

/** So few that a connection which is not given back is missed soon. */
const CONNECTIONS = 24

let daemon: Daemon

beforeAll(async () => {
  daemon = await startDaemon(configuration({ limits: { connections: CONNECTIONS } }))
})
afterAll(() => daemon.stop())
afterEach(closeWires)

test.each(['in order', 'by a reset'])('inside ICReq, %s', async (how) => {
  const witness = await openSession(daemon.endpoint, { subnqn: NQN })
  for (const bytes of [0, 1, 7, 8, 9, 64, 127]) {
    const wire = await Wire.open(daemon.endpoint)
    await wire.send(icReq().subarray(0, bytes))
    if (how === 'in order') wire.finish()
    else wire.reset()
    await wire.closed()
    await wire.destroy()
  }
  await witness.queue(1).must(read(1, 0, 1), { receive: 512 })
})

test('inside a capsule and its data, at every length, more often than there are connections',
  async () => {
    const witness = await openSession(daemon.endpoint, { subnqn: NQN })
    const data = Buffer.alloc(512, 0xee)
    await witness.queue(1).must(write(1, 0, 1), { send: Buffer.alloc(512, 0x11) })
    for (let bytes = 1; bytes < 72 + 512; bytes += bytes < 80 ? 5 : 50) {
      const session = await openSession(daemon.endpoint, { subnqn: NQN })
      const queue = session.queue(1)
      const capsule = queue.capsule(write(1, 0, 1), { send: data })
      await queue.wire.send(capsule.subarray(0, bytes))
      queue.wire.finish()
      await queue.wire.closed()
      await session.end()
    }
    const back = await witness.queue(1).must(read(1, 0, 1), { receive: 512 })
    expect(back.data.equals(Buffer.alloc(512, 0x11)), 'nothing was written').toBe(true)
    await witness.admin.must(keepAlive())
  })

test('before Connect, more often than there are connections', async () => {
  for (let index = 0; index < 3 * CONNECTIONS; index += 1) {
    const wire = await Wire.initialized(daemon.endpoint)
    wire.reset()
    await wire.destroy()
  }
  const connected = async (): Promise<string> => {
    const wire = await Wire.initialized(daemon.endpoint)
    return (await tryConnect(wire, { subnqn: NQN })).completion.status
  }
  await expect.poll(connected).toBe('0/00h')
})
