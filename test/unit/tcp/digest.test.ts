/**
 * Digests of what was received, computed several at a time: each command is still judged by its own bytes.
 */
import { expect, test } from 'vitest'
import { Digests } from '../../../src/tcp/digest.ts'
import { sqe, stampSgl } from '../../command-bytes.ts'
import { C2H_TERM_REQ, CAPSULE_RESP, capsuleCmd, cqeOf, crc32c, type Pdu } from '../../wire-bytes.ts'
import { WireRig } from './wire-rig.ts'

const BOTH = { header: true, data: true }

const pattern = (bytes: number, seed: number): Buffer =>
  Buffer.from(Uint8Array.from({ length: bytes }, (_, index) => (index * 7 + seed) & 0xff))

/** A Flush, or a Write with so many bytes in its capsule. */
function capsule(cid: number, bytes = 0): Buffer {
  const entry = stampSgl(sqe(bytes === 0 ? 0 : 1, 1), bytes === 0 ? 0x5a : 0x01, bytes)
  entry.writeUInt16LE(cid, 2)
  return capsuleCmd(entry, bytes === 0 ? null : pattern(bytes, cid), BOTH)
}

const cids = (pdus: readonly Pdu[]): number[] =>
  pdus.filter((pdu) => pdu.type === CAPSULE_RESP).map((pdu) => cqeOf(pdu).cid)

const upTo = (count: number): number[] => Array.from({ length: count }, (_, index) => index + 1)

function rig() {
  const wires = new WireRig()
  const connection = wires.live(BOTH)
  /** Answers to what comes at once. */
  const receive = (...capsules: Buffer[]): Pdu[] => {
    wires.feed(connection, Buffer.concat(capsules))
    return wires.sent(connection)
  }
  return { wires, receive }
}

test('commands of one length take ever fewer calls', () => {
  const { wires, receive } = rig()
  expect(cids(receive(...upTo(25).map((cid) => capsule(cid))))).toEqual(upTo(25))
  expect(wires.series).toEqual([2, 4, 8, 11])
})

test('writes of one length: headers and data', () => {
  const { wires, receive } = rig()
  expect(cids(receive(...upTo(6).map((cid) => capsule(cid, 512))))).toEqual(upTo(6))
  expect(wires.series.toSorted()).toEqual([2, 2, 4, 4])
})

test('lengths that change are guessed wrong, and judged right', () => {
  const { wires, receive } = rig()
  const mixed = upTo(20).map((cid) => capsule(cid, cid % 3 === 0 ? 512 : cid % 3 === 1 ? 0 : 1024))
  expect(cids(receive(...mixed))).toEqual(upTo(20))
  expect(Math.max(...wires.series)).toBeLessThanOrEqual(4)
})

test.each(upTo(12))('a header that is damaged, number %i of twelve', (bad) => {
  const { receive } = rig()
  const capsules = upTo(12).map((cid) => capsule(cid))
  capsules[bad - 1]![40]! ^= 1
  const pdus = receive(...capsules)
  expect(cids(pdus)).toEqual(upTo(bad - 1))
  expect(pdus.at(-1)!.type).toBe(C2H_TERM_REQ)
})

test.each(upTo(6))('data that are damaged, number %i of six', (bad) => {
  const { receive } = rig()
  const capsules = upTo(6).map((cid) => capsule(cid, 512))
  capsules[bad - 1]![300]! ^= 1
  const statuses = receive(...capsules).map((pdu) => cqeOf(pdu).status)
  expect(statuses).toEqual(upTo(6).map((cid) => (cid === bad ? '0/22h' : '0/00h')))
})

test('forget: the bytes may be others by now', () => {
  const { arena } = new WireRig()
  const crc32cSeries = (at: number, bytes: number, stride: number, count: number, to: number) => {
    for (let k = 0; k < count; k++) {
      const from = at + k * stride
      arena.words[(to >> 2) + k] = crc32c(arena.bytes.subarray(from, from + bytes))
    }
    return 0
  }
  const digests = new Digests(arena, { crc32c: () => 0, crc32cSeries })
  const at = arena.rxAt
  arena.bytes.set(Buffer.concat([capsule(1), capsule(2)]), at)
  expect(digests.headerMatches(at, 72, 76, at + 152)).toBe(true)
  arena.bytes[at + 76 + 40]! ^= 1
  digests.forget()
  expect(digests.headerMatches(at + 76, 72, 76, at + 152)).toBe(false)
})
