/**
 * Holders: who is ended when buffers are few, and who is not.
 */
import { describe, expect, test } from 'vitest'
import { HOLD_MS, HOLDING } from '../../../src/tcp/holders.ts'
import { PENDING, WANTS_DATA } from '../../../src/device/device.ts'
import { read, stampSgl, write } from '../../command-bytes.ts'
import { capsuleCmd, NO_DIGESTS } from '../../wire-bytes.ts'
import { WireRig } from './wire-rig.ts'

const TRANSPORT = 0x5a
const SECOND = 1000

function command(sqe: Buffer, cid: number): Buffer {
  sqe.writeUInt16LE(cid, 2)
  return capsuleCmd(stampSgl(sqe, TRANSPORT, 4096), null, NO_DIGESTS)
}

function rig(scarce = true) {
  const wires = new WireRig()
  if (scarce) wires.pool.freePages = 24
  const connection = wires.live()
  connection.queue.qid = 1
  let nowMs = 5000
  /** Looks once a second for so long. */
  const pass = (ms: number): void => {
    for (const until = nowMs + ms; nowMs < until; ) {
      nowMs += SECOND
      wires.connections.tick(nowMs)
    }
  }
  pass(SECOND)
  return { wires, connection, pass }
}

describe('a host that owes data', () => {
  test('is ended when nothing has come for long, and others need what it holds', () => {
    const { wires, connection, pass } = rig()
    wires.feed(connection, command(write(1, 0, 8), 3))
    pass(HOLD_MS)
    expect(connection.reason).toBe('')
    pass(2 * SECOND)
    expect(connection.reason).toBe(HOLDING)
  })

  test('is left alone while there is enough for everybody', () => {
    const { wires, connection, pass } = rig(false)
    wires.feed(connection, command(write(1, 0, 8), 3))
    pass(10 * HOLD_MS)
    expect(connection.reason).toBe('')
    wires.pool.freePages = 24
    pass(SECOND)
    expect(connection.reason).toBe(HOLDING)
  })

  test('is left alone while anything of its moves', () => {
    const { wires, connection, pass } = rig()
    wires.feed(connection, command(write(1, 0, 8), 3))
    for (let cid = 10; cid < 20; cid++) {
      pass(HOLD_MS - SECOND)
      wires.feed(connection, command(read(1, 0, 8), cid))
    }
    expect(connection.reason).toBe('')
  })
})

test('a host whose commands the device has is not to blame', () => {
  const { wires, connection, pass } = rig()
  wires.executor.start = () => PENDING
  wires.feed(connection, command(read(1, 0, 8), 3))
  pass(10 * HOLD_MS)
  expect(connection.reason).toBe('')
})

test('a host that waits is not to blame', () => {
  const { wires, connection, pass } = rig()
  wires.executor.start = () => WANTS_DATA
  pass(10 * HOLD_MS)
  expect([connection.reason, wires.gone]).toEqual(['', []])
})
