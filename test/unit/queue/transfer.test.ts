/**
 * Transfers: which R2Ts are asked for, which tags are believed, and that none is lost.
 */
import { describe, expect, test } from 'vitest'
import { Transfers } from '../../../src/queue/transfer.ts'
import type { Transport } from '../../../src/queue/transport.ts'
import { SLOT, type Slot, Slots } from '../../../src/reactor/slots.ts'
import { ownerOf } from '../reactor/owner.ts'

type Asked = { readonly cid: number; readonly tag: number; readonly offset: number; readonly bytes: number }

function rig(transferBytes = 1000, perCommand = 2, slotCount = 4, tags = slotCount * perCommand) {
  const slots = new Slots(slotCount)
  const asked: Asked[] = []
  const transport: Transport = {
    respond: () => {}, sendData: () => {},
    requestData: (slot, tag, offset, bytes) => { asked.push({ cid: slot.cid, tag, offset, bytes }) },
  }
  const transfers = new Transfers(slots, transport, tags, transferBytes, perCommand)
  const command = (
    bytes: number, transfersMax: number, more: { connection?: number; cid?: number } = {},
  ): Slot => {
    const owner = ownerOf(more.connection)
    const slot = Object.assign(slots.take(owner), { bytes, cid: more.cid ?? 7 })
    transfers.begin(slot, transfersMax)
    return slot
  }
  const take = (): Asked[] => asked.splice(0)
  /** All of a tag's data arrives, in this many parts. */
  const arrive = ({ tag, bytes }: Asked, parts = 1): void => {
    for (let part = 1; part <= parts; part++) {
      const from = Math.floor(bytes * (part - 1) / parts)
      const to = Math.floor(bytes * part / parts)
      expect(transfers.arrived(tag, to - from)).toBe(part === parts)
    }
  }
  return { slots, transfers, command, take, arrive }
}

describe('asking', () => {
  test.each([1, 999, 1000, 1001, 1 << 20])('%i bytes at once, where one R2T at a time is allowed', (bytes) => {
    const { command, take, transfers, arrive } = rig()
    const slot = command(bytes, 1)
    const [r2t, ...rest] = take()
    expect([r2t, rest]).toEqual([{ cid: 7, tag: r2t!.tag, offset: 0, bytes }, []])
    arrive(r2t!, Math.min(3, bytes))
    expect(slot.state).toBe(SLOT.RECEIVING)
    expect(transfers.close(r2t!.tag, 1)).toBe(true)
    expect([slot.state, slot.received, slot.open]).toEqual([SLOT.EXECUTING, bytes, 0])
    expect(transfers.freeCount).toBe(transfers.count)
  })

  test.each([[1, 1], [1000, 1], [1001, 2], [2000, 2], [5500, 6]])('%i bytes in %i pieces, else', (bytes, pieces) => {
    const { command, take, transfers, arrive } = rig()
    const slot = command(bytes, 65536)
    const open = take()
    let [next, count, done] = [0, 0, false]
    while (open.length !== 0) {
      expect([open.length <= 2, slot.open]).toEqual([true, open.length])
      const r2t = open.shift()!
      expect(r2t.offset).toBe(next)
      next += r2t.bytes
      count++
      arrive(r2t)
      done = transfers.close(r2t.tag, 65536)
      open.push(...take())
    }
    expect([next, count, done, slot.state]).toEqual([bytes, pieces, true, SLOT.EXECUTING])
    expect(transfers.freeCount).toBe(transfers.count)
  })

  test('the command is complete when the last of its tags is, whichever that is', () => {
    const { command, take, transfers, arrive } = rig()
    const slot = command(1500, 2)
    const [first, second] = take()
    arrive(second!)
    expect(transfers.close(second!.tag, 2)).toBe(false)
    arrive(first!)
    expect(transfers.close(first!.tag, 2)).toBe(true)
    expect(slot.received).toBe(1500)
  })

  test('every slot can ask for all that it may', () => {
    const { command, take, transfers } = rig(100, 2, 4)
    for (let count = 0; count < 4; count++) command(1000, 2)
    expect(new Set(take().map(({ tag }) => tag)).size).toBe(8)
    expect(transfers.freeCount).toBe(0)
  })
})

describe('tags', () => {
  test('are believed while they are open, of their connection and command', () => {
    const { command, take, transfers, arrive } = rig()
    command(100, 1, { connection: 3, cid: 9 })
    const [r2t] = take()
    expect(transfers.matches(r2t!.tag, 3, 9)).toBe(true)
    expect(transfers.matches(r2t!.tag, 2, 9)).toBe(false)
    expect(transfers.matches(r2t!.tag, 3, 8)).toBe(false)
    arrive(r2t!)
    transfers.close(r2t!.tag, 1)
    expect(transfers.matches(r2t!.tag, 3, 9)).toBe(false)
  })

  test('that were never given are not', () => {
    const { transfers } = rig()
    for (const tag of [0, 1, transfers.count - 1, transfers.count, 0xffff]) {
      expect(transfers.matches(tag, 0, 0)).toBe(false)
      expect(transfers.matches(tag, -1, 0)).toBe(false)
    }
  })

  test('know what must come next', () => {
    const { command, take, transfers } = rig()
    command(1500, 2)
    const [, second] = take()
    expect([transfers.next[second!.tag], transfers.end[second!.tag]]).toEqual([1000, 1500])
    expect(transfers.arrived(second!.tag, 499)).toBe(false)
    expect(transfers.next[second!.tag]).toBe(1499)
    expect(() => transfers.arrived(second!.tag, 2)).toThrow('no more arrives')
  })
})

test('a connection that goes leaves no tag; the others keep theirs', () => {
  const { command, take, transfers } = rig()
  command(2000, 2, { connection: 1 })
  command(2000, 2, { connection: 2, cid: 8 })
  const r2ts = take()
  transfers.forget(1)
  expect(transfers.freeCount).toBe(transfers.count - 2)
  expect(r2ts.map(({ tag, cid }) => transfers.matches(tag, cid === 8 ? 2 : 1, cid))).toEqual([false, false, true, true])
  transfers.forget(1)
  transfers.forget(2)
  transfers.forget(2)
  expect(transfers.freeCount).toBe(transfers.count)
})

test('a pool that is too small is our own mistake', () => {
  const slots = new Slots(4)
  const transport = {} as Transport
  expect(() => new Transfers(slots, transport, 3, 1000, 2)).toThrow('ask for its data')
  expect(() => new Transfers(slots, transport, 65536, 1000, 2)).toThrow('16 bits')
})

test('with few tags a command has to do with one; none goes without, and tags come back', () => {
  const { slots: pool, command, take, arrive, transfers } = rig(1000, 2, 4, 5)
  const slots = [0, 1, 2, 3].map((connection) => command(2000, 9, { connection }))
  expect(slots.map(({ open }) => open)).toEqual([2, 1, 1, 1])
  const asked = take()
  expect(transfers.freeCount).toBe(0)
  for (const each of asked.slice(0, 2)) arrive(each)
  expect(transfers.close(asked[0]!.tag, 9)).toBe(false)
  expect(transfers.close(asked[1]!.tag, 9)).toBe(true)
  pool.free(slots[0]!)
  const later = command(2000, 9)
  expect(later.open, 'the spare tag is free again').toBe(2)
  transfers.forget(0)
  expect(transfers.freeCount).toBe(2)
})
