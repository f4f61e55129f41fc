/** The host beyond plain questions: data in the capsule, and as R2Ts ask for it. */
import { expect, test } from 'vitest'
import { HostError } from '../../../src/host/error.ts'
import { Host } from '../../../src/host/host.ts'
import { controller, hex, scripted, type Answer } from '../host/scripted-target.ts'

const NQN = 'nqn.2014-08.org.nvmexpress.discovery'

const pattern = (bytes: number): Uint8Array =>
  Uint8Array.from({ length: bytes }, (_, at) => at * 7)

const open = async (port: number): Promise<Host> =>
  Host.open({ address: '127.0.0.1', port, nqn: NQN })

test('Discovery Information Management has its task and its data in the capsule', async () => {
  const commands: Buffer[] = []
  const host = await open(await scripted(controller(() => ({}), commands)))
  await host.manageDiscovery(2, pattern(2048))
  const dim = commands.find((each) => each[0] === 0x21)!
  expect([dim[39], dim.readUInt32LE(32), dim.readUInt32LE(40)]).toEqual([1, 2048, 2])
  expect(dim.subarray(64).equals(Buffer.from(pattern(2048)))).toBe(true)
  await host.close()
})

/** R2T: 8 CCCID, 10 TTAG, 12 R2TO, 16 R2TL. */
function r2t(sqe: Buffer, ttag: number, from: number, bytes: number): Buffer {
  const pdu = Buffer.from(hex('0900180018000000'.padEnd(48, '0')))
  sqe.copy(pdu, 8, 2, 4)
  pdu.writeUInt16LE(ttag, 10)
  pdu.writeUInt32LE(from, 12)
  pdu.writeUInt32LE(bytes, 16)
  return pdu
}

test('more than a capsule takes goes as R2Ts say, in pieces of MAXH2CDATA', async () => {
  const pieces: [flags: number, ttag: number, from: number, bytes: number][] = []
  const received = Buffer.alloc(12288)
  let command = Buffer.alloc(64)
  const port = await scripted(controller((sqe): Answer => {
    if (sqe[0] !== 0x21) return {}
    expect([sqe[39], sqe.readUInt32LE(32)]).toEqual([0x5a, 12288])
    command = Buffer.from(sqe)
    return { raw: r2t(sqe, 5, 0, 8192) }
  }), '0100800080000000 0000 00 00 00100000', (pdu): Buffer => {
    expect([pdu[0], pdu[2], pdu[3], pdu.readUInt16LE(8)]).toEqual([6, 24, 24, command.readUInt16LE(2)])
    const [from, bytes] = [pdu.readUInt32LE(12), pdu.readUInt32LE(16)]
    pieces.push([pdu[1]!, pdu.readUInt16LE(10), from, bytes])
    pdu.copy(received, from, 24, 24 + bytes)
    if (from === 4096) return r2t(command, 6, 8192, 4096)
    if (from !== 8192) return Buffer.alloc(0)
    const done = Buffer.from(hex('0500180018000000'.padEnd(48, '0')))
    command.copy(done, 20, 2, 4)
    return done
  })
  const host = await open(port)
  await host.manageDiscovery(0, pattern(12288))
  expect(pieces).toEqual([[0, 5, 0, 4096], [4, 5, 4096, 4096], [4, 6, 8192, 4096]])
  expect(received.equals(Buffer.from(pattern(12288)))).toBe(true)
  await host.close()
})

test('an R2T beyond the data ends it', async () => {
  const port = await scripted(controller((sqe) =>
    (sqe[0] === 0x21 ? { raw: r2t(sqe, 1, 8192, 8192) } : {})))
  const host = await open(port)
  const asked = host.manageDiscovery(0, pattern(12288))
  await expect(asked).rejects.toThrow(HostError)
  await expect(asked).rejects.toThrow('asked for data that there is not')
  await host.close()
})
