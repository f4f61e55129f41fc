/**
 * Connect as one reactor decodes it: bytes that are well formed, and bytes that are not.
 */
import { describe, expect, test } from 'vitest'
import { decodeConnect } from '../../../src/controller/connect.ts'
import { connect, connectData } from '../../command-bytes.ts'
import { fakeArena } from '../reactor/fake-arena.ts'
import { HOST, HOST_ID } from './association.ts'

const SUBSYSTEM = 'nqn.2026-01.com.example:disks'
const INVALID_PARAMETERS = 0x182
const INCOMPATIBLE_FORMAT = 0x4180
const SQSIZE = 44
const SUBNQN = 0x10100
const HOSTNQN = 0x10200

const data = (more: { subnqn?: string; hostnqn?: string; cntlid?: number } = {}): Buffer =>
  connectData({ hostid: Buffer.from(HOST_ID, 'hex'), subnqn: SUBSYSTEM, hostnqn: HOST, ...more })

/** Decoded where a buffer lies in an arena; queues of 128. */
function decode(command: Buffer, payload: Buffer) {
  const arena = fakeArena()
  const at = arena.buffersAt + 4096
  arena.bytes.fill(0xff)
  arena.bytes.set(payload, at)
  arena.bytes.set(command, at + 1024)
  return decodeConnect(arena, at + 1024, at, 128)
}

test('what an admin queue says', () => {
  expect(decode(connect({ sqsize: 31, cattr: 4, kato: 5000 }), data())).toEqual({
    qid: 0, depth: 32, cntlid: 0xffff, keepAliveMs: 5000, flowControlOff: true, hostNqn: HOST,
    hostId: HOST_ID, subsystemNqn: SUBSYSTEM,
  })
})

test('what an I/O queue says; its KATO is nothing', () => {
  expect(decode(connect({ qid: 3, sqsize: 127, cattr: 3, kato: 5000 }), data({ cntlid: 17 }))).toMatchObject({
    qid: 3, depth: 128, cntlid: 17, keepAliveMs: 0, flowControlOff: false,
  })
})

test('the longest keep alive is not negative', () => {
  expect(decode(connect({ kato: 0xffff_ffff }), data())).toMatchObject({ keepAliveMs: 0xffff_ffff })
})

describe('refused', () => {
  test('another record format', () => {
    expect(decode(connect({ recfmt: 1 }), data())).toEqual({ status: INCOMPATIBLE_FORMAT, dw0: 0 })
  })

  test.each([[0, 0], [0, 4096], [0, 0xffff], [1, 0], [1, 128], [1, 0xffff]])(
    'queue %i with SQSIZE %i', (qid, sqsize) => {
      expect(decode(connect({ qid, sqsize }), data())).toEqual({ status: INVALID_PARAMETERS, dw0: SQSIZE })
    },
  )

  test.each<[string, Buffer]>([
    ['empty', Buffer.alloc(256)],
    ['not ended', Buffer.alloc(256, 'n')],
    ['224 bytes long', Buffer.concat([Buffer.alloc(224, 'n'), Buffer.alloc(32)])],
    ['not UTF-8', Buffer.concat([Buffer.from('nqn.\xff\xfe', 'latin1'), Buffer.alloc(250)])],
    ['half of a character', Buffer.concat([Buffer.from('nqn.\xe2\x82', 'latin1'), Buffer.alloc(250)])],
  ])('a name that is %s', (_what, name) => {
    const [subsystem, host] = [data(), data()]
    name.copy(subsystem, 256)
    name.copy(host, 512)
    expect(decode(connect(), subsystem)).toEqual({ status: INVALID_PARAMETERS, dw0: SUBNQN })
    expect(decode(connect(), host)).toEqual({ status: INVALID_PARAMETERS, dw0: HOSTNQN })
  })
})

describe('a name', () => {
  test('may have 223 bytes, and rubbish behind its end', () => {
    const longest = `nqn.${'x'.repeat(219)}`
    const payload = data({ subnqn: longest })
    payload.fill(0xff, 256 + 224, 512)
    expect(decode(connect(), payload)).toMatchObject({ subsystemNqn: longest })
  })

  test('is what its bytes say, to the first', () => {
    expect(decode(connect(), data({ hostnqn: `\ufeff${HOST}` }))).toMatchObject({ hostNqn: `\ufeff${HOST}` })
    expect(decode(connect(), data({ hostnqn: 'nqn.é' }))).toMatchObject({ hostNqn: 'nqn.é' })
  })
})
