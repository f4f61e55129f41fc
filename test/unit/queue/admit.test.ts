/**
 * Admit: what is wrong with an entry before anybody looks at the command, and what becomes of each
 * outcome. The entries are in an arena, as a receive ring has them.
 */
import { describe, expect, test } from 'vitest'
import { PENDING, STALL, WANTS_DATA } from '../../../src/device/device.ts'
import { ADMITTED, MISMATCH, TOO_LONG } from '../../../src/queue/admit.ts'
import { SLOT } from '../../../src/reactor/slots.ts'
import { sqe, stampSgl } from '../../command-bytes.ts'
import { cqeOf } from '../../wire-bytes.ts'
import { ownerOf } from '../reactor/owner.ts'
import { WireRig } from '../tcp/wire-rig.ts'

const [IN_CAPSULE, TRANSPORT] = [0x01, 0x5a]

/** A command with CID 7 on I/O queue 1, or another queue. */
function rig(qid = 1) {
  const wires = new WireRig()
  const connection = wires.live()
  connection.queue.qid = qid
  const at = wires.arena.scratchAt
  const admit = (entry: Buffer, dataBytes = 0, digestFailed = false): number => {
    entry.writeUInt16LE(7, 2)
    wires.arena.bytes.set(entry, at)
    return wires.admission.admit(connection, at >> 2, at + 64, dataBytes, digestFailed)
  }
  const status = (): string => cqeOf(wires.sent(connection).at(-1)!).status
  return { wires, connection, admit, status }
}

const entry = (opcode: number, id: number, bytes: number, address = 0): Buffer =>
  stampSgl(sqe(opcode, 1), id, bytes, address)

describe('refused with a status', () => {
  const flagged = (flags: number): Buffer => {
    const bytes = entry(0, TRANSPORT, 0)
    bytes.writeUInt8(flags, 1)
    return bytes
  }
  const farAway = (): Buffer => {
    const bytes = entry(1, IN_CAPSULE, 512)
    bytes.writeUInt32LE(1, 28)
    return bytes
  }

  test.each<[string, Buffer, number, string]>([
    ['fused both ways', flagged(0x43), 0, '0/02h'],
    ['PRPs', flagged(0x00), 0, '0/02h'], ['SGL segments', flagged(0x80), 0, '0/02h'],
    ['both', flagged(0xc0), 0, '0/02h'],
    ['an offset into the capsule', entry(1, IN_CAPSULE, 512, 4), 512, '0/16h'],
    ['an offset beyond 4 GiB', farAway(), 512, '0/16h'],
    ['data in the capsule of a Read', entry(2, IN_CAPSULE, 512), 512, '0/11h'],
    ['data in the capsule of a Flush', entry(0, IN_CAPSULE, 512), 512, '0/11h'],
    ['a keyed SGL', entry(1, 0x40, 512), 0, '0/11h'], ['a bit bucket', entry(2, 0x10, 512), 0, '0/11h'],
    ['data both ways', entry(3, TRANSPORT, 512), 0, '0/01h'],
    ['more than may be transferred', entry(1, TRANSPORT, (1 << 20) + 1), 0, '0/02h'],
    ['2 GiB', entry(1, TRANSPORT, 0x8000_0000), 0, '0/02h'], ['4 GiB', entry(2, TRANSPORT, 0xffff_ffff), 0, '0/02h'],
  ])('%s', (_what, bytes, dataBytes, expected) => {
    const { wires, admit, status } = rig()
    expect(admit(bytes, dataBytes)).toBe(ADMITTED)
    expect([status(), wires.asked]).toEqual([expected, []])
    expect(wires.inUse()).toEqual({ slots: 0, pages: 0, adminPages: 0, tags: 0 })
  })
})

describe('for the transport to refuse', () => {
  test.each<[string, Buffer, number]>([
    ['less data than the SGL says', entry(1, IN_CAPSULE, 512), 256],
    ['more data than the SGL says', entry(1, IN_CAPSULE, 512), 516],
    ['data that the SGL does not know of', entry(1, TRANSPORT, 512), 512],
    ['no data at all', entry(1, IN_CAPSULE, 512), 0],
    ['a length of 4 GiB', entry(1, IN_CAPSULE, 0xffff_fe00), 512],
  ])('%s', (_what, bytes, dataBytes) => {
    const { wires, admit } = rig()
    expect([admit(bytes, dataBytes), wires.inUse().slots]).toEqual([MISMATCH, 0])
  })

  test('more in a capsule than the queue takes', () => {
    const { admit } = rig()
    expect(admit(entry(1, IN_CAPSULE, 8196), 8196)).toBe(TOO_LONG)
    expect(admit(entry(1, IN_CAPSULE, 8192), 8192)).toBe(ADMITTED)
  })

  test.each([[0, 0x81], [1, 0x7f]])('8 KiB on queue %i with opcode %i, whatever I/O may bring', (qid, opcode) => {
    const { admit } = rig(qid)
    const bytes = entry(opcode, IN_CAPSULE, 8192)
    if (opcode === 0x7f) bytes.writeUInt32LE(1, 4)
    expect(admit(bytes, 8192)).toBe(ADMITTED)
  })
})

test('which way the data of a Fabrics command go is in its type', () => {
  const { wires, admit } = rig()
  const seen: number[] = []
  wires.executor.start = (slot) => {
    seen.push(slot.direction)
    return PENDING
  }
  for (const type of [1, 2, 4]) {
    const bytes = entry(0x7f, TRANSPORT, 1024)
    bytes.writeUInt32LE(type, 4)
    admit(bytes)
  }
  admit(entry(0x7f, TRANSPORT, 0))
  expect(seen).toEqual([1, 2, 0, 0])
})

describe('outcomes', () => {
  test('an answer at once', () => {
    const { wires, admit, status } = rig()
    wires.executor.start = () => 0x4080
    admit(entry(1, TRANSPORT, 512))
    expect([status(), wires.inUse().slots]).toEqual(['0/80h', 0])
  })

  test('data in the capsule are placed, and the command runs', () => {
    const { wires, admit, status } = rig()
    admit(entry(1, IN_CAPSULE, 512), 512)
    expect([status(), wires.asked]).toEqual(['0/00h', ['start 1 cid 7', 'run 1 cid 7']])
  })

  test('data that TypeScript reads are there before the next turn', () => {
    const { wires, admit } = rig()
    const at = wires.buffers.take(4096)
    wires.executor.start = (slot) => {
      slot.own(at)
      slot.readable = 1
      return WANTS_DATA
    }
    let seen = 0
    wires.executor.run = () => {
      seen = wires.arena.bytes[at + 511]!
      return PENDING
    }
    wires.arena.bytes[wires.arena.scratchAt + 64 + 511] = 0xa5
    admit(entry(1, IN_CAPSULE, 512), 512)
    expect(seen).toBe(0xa5)
    expect(wires.work.copyRoom()).toBe(wires.sizes.copiesMax)
  })

  test('a place beyond 4 GiB', () => {
    const { wires, connection } = rig()
    const slot = Object.assign(wires.slots.take(connection), { region: 1, lo: -256, hi: 6 })
    wires.admission.place(slot, 255, 4096, 4)
    wires.admission.place(slot, 256, 8192, 4)
    const w = wires.arena.copiesAt >> 2
    expect([...wires.arena.words.subarray(w, w + 3)]).toEqual([1, -1, 6])
    expect([...wires.arena.words.subarray(w + 8, w + 11)]).toEqual([1, 0, 7])
  })

  test('without a slot to spare a command is told to come again', () => {
    const { wires, connection, admit, status } = rig()
    while (!wires.slots.exhaustedFor(ownerOf())) wires.slots.take(connection)
    admit(entry(0, TRANSPORT, 0))
    expect([status(), wires.asked, wires.slots.freeCount]).toEqual(['0/21h', [], 1])
  })

  test('without a buffer it waits aside; with data behind it in the ring', () => {
    const { wires, admit } = rig()
    wires.executor.start = () => STALL
    expect(admit(entry(1, IN_CAPSULE, 512), 512)).toBe(STALL)
    expect(wires.inUse().slots).toBe(0)
    expect(admit(entry(1, TRANSPORT, 512))).toBe(ADMITTED)
    expect(wires.slots.all.filter((slot) => slot.state === SLOT.HELD).length).toBe(1)
  })

  test('an admin command waits in the ring: it would not be asked for again', () => {
    const { wires, admit } = rig(0)
    wires.executor.start = () => STALL
    expect([admit(entry(2, TRANSPORT, 512)), wires.inUse().slots]).toEqual([STALL, 0])
  })

  test('data that were damaged, or that an Abort was waiting for, are not executed', () => {
    const { wires, connection, admit, status } = rig()
    admit(entry(1, TRANSPORT, 512))
    const slot = wires.slots.all.find((each) => each.state === SLOT.RECEIVING)!
    slot.enter(SLOT.EXECUTING)
    slot.digestFailed = 1
    wires.admission.complete(slot, connection.queue)
    expect(status()).toBe('0/22h')
    expect(wires.asked).toEqual(['start 1 cid 7'])
  })
})
