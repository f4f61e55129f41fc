/**
 * A host sends more than was asked for, elsewhere than was asked for, or what nobody asked for,
 * with data that would do harm if they landed. Whatever the target answers, no other block may
 * change.
 */
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { read, write } from '../command-bytes.ts'
import { NQN, startDaemon, type Daemon } from '../daemon.ts'
import { openSession } from '../host-session.ts'
import { closeWires, expectTermReq } from '../host.ts'
import { R2T, h2cData, r2tOf } from '../wire-bytes.ts'

const BLOCKS = 64
const BYTES = BLOCKS * 512
const EVIL = 0xee
const GOOD = 0x11

let daemon: Daemon

beforeAll(async () => {
  daemon = await startDaemon()
})
afterAll(() => daemon.stop())
afterEach(closeWires)

type Fault = (asked: { cccid: number; ttag: number; r2tl: number }) => Buffer
const evil = (bytes: number): Buffer => Buffer.alloc(bytes, EVIL)

const FAULTS: [string, Fault][] = [
  ['a megabyte too much', ({ cccid, ttag, r2tl }) =>
    h2cData({ cccid, ttag, datao: 0, data: evil(r2tl + (1 << 20)) })],
  ['the right length behind the end', ({ cccid, ttag, r2tl }) =>
    h2cData({ cccid, ttag, datao: r2tl, data: evil(r2tl) })],
  ['at an offset that wraps', ({ cccid, ttag }) =>
    h2cData({ cccid, ttag, datao: 0xfffff000, data: evil(8192) })],
  ['a DATAL that is negative in 32 bits', ({ cccid, ttag }) =>
    h2cData({ cccid, ttag, datao: 0, data: evil(4096), datal: 0xfffff000 })],
  ['with a tag nobody gave', ({ cccid, ttag }) =>
    h2cData({ cccid, ttag: ttag ^ 0x8000, datao: 0, data: evil(4096) })],
]

test.each(FAULTS)('%s', async (_name, fault) => {
  const session = await openSession(daemon.endpoint, { subnqn: NQN }, 2)
  const witness = session.queue(2)
  const good = Buffer.alloc(BYTES, GOOD)
  for (const slba of [0, BLOCKS, 2 * BLOCKS]) {
    await witness.must(write(1, slba, BLOCKS), { send: good, inCapsule: false })
  }
  const queue = session.queue(1)
  const transfer = { send: evil(BYTES), inCapsule: false }
  await queue.wire.send(queue.capsule(write(1, BLOCKS, BLOCKS), transfer))
  const pdu = await queue.wire.next()
  expect(pdu.type).toBe(R2T)
  const sent = fault(r2tOf(pdu))
  void queue.wire.send(sent)
  await expectTermReq(queue.wire, { fes: [1, 2, 4, 5], sent })
  for (const slba of [0, 2 * BLOCKS]) {
    const back = await witness.must(read(1, slba, BLOCKS), { receive: BYTES })
    expect(back.data.equals(good)).toBe(true)
  }
})
