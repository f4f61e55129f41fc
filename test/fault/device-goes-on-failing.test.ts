/**
 * A medium that fails again and again: the SMART log warns, of the subsystem and of the namespace that it is, and
 * hosts that asked for the event are told once.          NVMe Base 2.0, SMART / Health, Critical Warning
 */
import { truncateSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { asyncEventRequest, getLogPage, read, setFeatures, write } from '../command-bytes.ts'
import {
  NQN, configuration, removeDirectory, startDaemon, temporaryDirectory, type Daemon,
} from '../daemon.ts'
import { openSession } from '../host-session.ts'
import { closeWires } from '../host.ts'

const MIB = 1 << 20
const LOST_SLBA = (32 * MIB) / 512
const DEGRADED = 4
const EVENTS = 0x0b

let daemon: Daemon
let directory: string

beforeAll(async () => {
  directory = temporaryDirectory()
  daemon = await startDaemon(configuration({
    subsystems: [{
      nqn: NQN, hosts: 'any',
      namespaces: [{ nsid: 1, file: join(directory, 'disk'), size: '64M' }, { nsid: 2, memory: '8M' }],
    }],
  }))
})
afterAll(async () => {
  closeWires()
  await daemon.stop()
  removeDirectory(directory)
})

test('is a critical warning, and an event for who asked for it', async () => {
  const session = await openSession(daemon.endpoint, { subnqn: NQN })
  const [queue, { admin }] = [session.queue(1), session]
  const warningOf = async (nsid: number): Promise<number> =>
    (await admin.must(getLogPage(2, 128, 0, { nsid, rae: true }), { receive: 512 })).data.readUInt8(0)
  await queue.must(write(1, LOST_SLBA, 8), { send: Buffer.alloc(4096), inCapsule: false })
  truncateSync(join(directory, 'disk'), 16 * MIB)
  await admin.must(setFeatures(EVENTS, DEGRADED))
  const told = admin.submit(asyncEventRequest(), { held: true })
  expect(await warningOf(0)).toBe(0)
  for (let index = 0; index < 40; index++) {
    expect((await queue.submit(read(1, LOST_SLBA, 8), { receive: 4096 })).status).toBe('2/81h')
  }
  // Type SMART, reliability, LID 02h.
  expect((await told).dw0).toBe(0x02_0001)
  expect([await warningOf(0), await warningOf(1), await warningOf(2)]).toEqual([DEGRADED, DEGRADED, 0])
})
