/**
 * Somebody connects and then says nothing, or stops half way: no ICReq, no Connect, half a PDU.
 * Such a connection may not be held for ever; one that has connected may be silent as long as it
 * likes.
 */
import { afterAll, beforeAll, expect, test } from 'vitest'
import { keepAlive, read } from '../command-bytes.ts'
import { NQN, startDaemon, type Daemon } from '../daemon.ts'
import { openSession } from '../host-session.ts'
import { Wire, closeWires } from '../host.ts'
import { icReq } from '../wire-bytes.ts'

const CLOSED_MS = 45_000

let daemon: Daemon

beforeAll(async () => {
  daemon = await startDaemon()
})
afterAll(async () => {
  await closeWires()
  await daemon.stop()
})

test('all at once, and a quiet but connected one stays', async () => {
  const quiet = await openSession(daemon.endpoint, { subnqn: NQN, kato: 0 })
  const silent = await Wire.open(daemon.endpoint)
  const half = await Wire.open(daemon.endpoint)
  await half.send(icReq().subarray(0, 100))
  const unconnected = await Wire.initialized(daemon.endpoint)
  const capsuleless = await Wire.initialized(daemon.endpoint)
  await capsuleless.send(Buffer.from([4, 0, 72, 72, 72, 4]))
  await Promise.all([silent, half, unconnected, capsuleless].map((wire) => wire.closed(CLOSED_MS)))
  expect(silent.unread).toBe(0)
  await quiet.queue(1).must(read(1, 0, 1), { receive: 512 })
  await quiet.admin.must(keepAlive())
})
