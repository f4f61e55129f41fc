/**
 * Events about the health of what is served: a medium that fails again and again is a critical warning, what the
 * target itself fails at is an error. Hosts are told once, until they have read the log.
 * NVMe Base 2.0, Asynchronous Event Information (Error, SMART / Health)
 */
import { truncateSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { asyncEventRequest, getLogPage, read, setFeatures, write } from '../command-bytes.ts'
import { NQN, configuration, removeDirectory, startDaemon, temporaryDirectory } from '../daemon.ts'
import { openSession } from '../host-session.ts'
import { closeWires } from '../host.ts'

const MIB = 1 << 20
const LOST_SLBA = (32 * MIB) / 512
const DEGRADED = 4
const EVENTS = 0x0b
const TIMESTAMP = 0x0e
const NONE = 0xffff

afterEach(closeWires)

test('AEN-12: a medium that goes on failing is a critical warning, told to those who asked', async () => {
  const directory = temporaryDirectory()
  const daemon = await startDaemon(configuration({
    subsystems: [{
      nqn: NQN, hosts: 'any',
      namespaces: [{ nsid: 1, file: join(directory, 'disk'), size: '64M' }, { nsid: 2, memory: '8M' }],
    }],
  }))
  const session = await openSession(daemon.endpoint, { subnqn: NQN })
  const { admin: other } = await openSession(daemon.endpoint, { subnqn: NQN })
  const [queue, { admin }] = [session.queue(1), session]
  const warningOf = async (nsid: number): Promise<number> =>
    (await admin.must(getLogPage(2, 128, 0, { nsid, rae: true }), { receive: 512 })).data.readUInt8(0)
  await queue.must(write(1, LOST_SLBA, 8), { send: Buffer.alloc(4096), inCapsule: false })
  truncateSync(join(directory, 'disk'), 16 * MIB)
  await admin.must(setFeatures(EVENTS, DEGRADED))
  const told = admin.submit(asyncEventRequest(), { held: true })
  let untold = true
  void other.submit(asyncEventRequest(), { held: true }).then(() => { untold = false }, () => {})
  expect(await warningOf(0)).toBe(0)
  for (let index = 0; index < 40; index++) {
    expect((await queue.submit(read(1, LOST_SLBA, 8), { receive: 4096 })).status).toBe('2/81h')
  }
  expect((await told).dw0, 'type SMART, reliability, LID 02h').toBe(0x02_0001)
  expect([await warningOf(0), await warningOf(1), await warningOf(2)]).toEqual([DEGRADED, DEGRADED, 0])
  await other.must(getLogPage(2, 128, 0, { nsid: 0 }), { receive: 512 })
  expect(untold, 'feature 0Bh of the other one does not ask for it').toBe(true)
  closeWires()
  await daemon.stop()
  removeDirectory(directory)
})

test('AEN-11: what the target fails at by itself is in the error log, and told', async () => {
  // No folder can be made there, not by root either.
  const daemon = await startDaemon(configuration({ state: '/sys/weft-state' }))
  const { admin } = await openSession(daemon.endpoint, { subnqn: NQN }, 0)
  for (const times of ['once', 'and again, since the log was read']) {
    const told = admin.submit(asyncEventRequest(), { held: true })
    // Setting the clock is a persistent event, and cannot be kept.
    await admin.must(setFeatures(TIMESTAMP), { send: Buffer.alloc(8, 1) })
    expect((await told).dw0, `type error, Transient Internal Error, LID 01h: ${times}`).toBe(0x01_0400)
    const { data } = await admin.must(getLogPage(1, 16), { receive: 64 })
    expect([data.readUInt16LE(8), data.readUInt16LE(10), data.readUInt16LE(14)], 'SQID, CID, location')
      .toEqual([NONE, NONE, NONE])
    expect(data.readUInt16LE(12) >> 1, 'Internal Error').toBe(0x06)
    expect(data.readUInt32LE(24), 'NSID').toBe(0)
  }
  closeWires()
  await daemon.stop()
})
