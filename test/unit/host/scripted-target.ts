/**
 * A target that follows a script: bytes written by hand, so that the host's encoding and decoding
 * are checked against the specification and not against our own tables. unit tests → here.
 */
import { createServer } from 'node:net'
import type { AddressInfo, Server, Socket } from 'node:net'
import { afterEach, expect } from 'vitest'

/** What the target answers to a command: data (C2HData), DW0, status; or bytes as they are. */
export type Answer = { data?: Buffer; dw0?: number; status?: number; success?: boolean; raw?: Buffer }
/** sqe: the 64 bytes; data: what came in the capsule. */
export type Script = (sqe: Buffer, data: Buffer) => Answer

const servers = new Set<Server>()
afterEach(() => {
  for (const server of servers) server.close()
  servers.clear()
})

export function hex(text: string): Buffer {
  return Buffer.from(text.replace(/\s/g, ''), 'hex')
}

/** Serves one script; splits what it sends into odd pieces. dataArrived answers H2CData. */
export async function scripted(
  script: Script, icResp = '0100800080000000 0000 00 00 00000200',
  dataArrived: (pdu: Buffer) => Buffer = () => Buffer.alloc(0),
): Promise<number> {
  const server = createServer((socket) => {
    let received = Buffer.alloc(0)
    socket.on('error', () => {})
    socket.on('data', (bytes) => {
      received = Buffer.concat([received, bytes])
      while (received.length >= 8 && received.length >= received.readUInt32LE(4)) {
        const pdu = received.subarray(0, received.readUInt32LE(4))
        received = received.subarray(pdu.length)
        if (pdu[0] === 0) {
          expect(pdu).toEqual(Buffer.concat([hex('0000800080000000'), Buffer.alloc(120)]))
          sendInPieces(socket, Buffer.concat([hex(icResp), Buffer.alloc(112)]))
        } else if (pdu[0] === 6) {
          socket.write(dataArrived(pdu))
        } else {
          sendInPieces(socket, answerOf(pdu, script))
        }
      }
    })
  })
  servers.add(server)
  await new Promise<void>((resolve) => { server.listen(0, '127.0.0.1', resolve) })
  return (server.address() as AddressInfo).port
}

function sendInPieces(socket: Socket, bytes: Buffer): void {
  socket.write(bytes.subarray(0, 5))
  socket.write(bytes.subarray(5))
}

function answerOf(pdu: Buffer, script: Script): Buffer {
  expect([pdu[0], pdu[1], pdu[2]]).toEqual([4, 0, 72])
  expect(pdu[3]).toBe(pdu.length > 72 ? 72 : 0)
  const sqe = pdu.subarray(8, 72)
  expect(sqe[1]).toBe(0x40)
  const { data, dw0 = 0, status = 0, success = false, raw } = script(sqe, pdu.subarray(72))
  if (raw !== undefined) return raw
  const parts: Buffer[] = []
  if (data !== undefined) {
    expect([sqe[39], sqe.readUInt32LE(32)]).toEqual([0x5a, data.length])
    // In two PDUs, the second one last.
    const half = data.length >> 3 << 2
    for (const [from, to] of [[0, half], [half, data.length]] as const) {
      const head = Buffer.alloc(24)
      const flags = to < data.length ? 0 : success ? 0x0c : 0x04
      head.set([7, flags, 24, 24])
      head.writeUInt32LE(24 + to - from, 4)
      sqe.copy(head, 8, 2, 4)
      head.writeUInt32LE(from, 12)
      head.writeUInt32LE(to - from, 16)
      parts.push(head, data.subarray(from, to))
    }
  }
  if (!success) {
    const response = Buffer.from(hex('0500180018000000'.padEnd(48, '0')))
    response.writeUInt32LE(dw0, 8)
    sqe.copy(response, 20, 2, 4)
    response.writeUInt16LE(status << 1, 22)
    parts.push(response)
  }
  return Buffer.concat(parts)
}

/** Fabrics commands as every target answers them; the rest is the script's. */
export function controller(script: Script, commands: Buffer[] = []): Script {
  return (sqe, data) => {
    commands.push(Buffer.concat([sqe, data]))
    if (sqe[0] !== 0x7f) return script(sqe, data)
    // Property Get CSTS: ready.
    return sqe[4] === 4 ? { dw0: 1 } : {}
  }
}
