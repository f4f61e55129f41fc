/**
 * Namespace Management and Attachment as bytes, written by hand for the tests, and hosts that use them.
 * test → namespace-bytes → host-session. NVMe Base 2.0; NVM Command Set 1.0, Host Software Specified Fields.
 *
 *   opcode 0Dh: SEL 0 creates, 1 deletes          opcode 15h: SEL 0 attaches, 1 detaches          SEL is in CDW10
 */
import { expect } from 'vitest'
import { identify, read, sqe } from './command-bytes.ts'
import type { Completion } from './host-queue.ts'
import type { Session } from './host-session.ts'

/** Of the namespaces that create() makes, unless it is told otherwise: 8 MiB. */
export const BLOCKS = 8 * (1 << 20) / 512

export const CREATE_NAMESPACE = sqe(0x0d, 0, [0])
export const deleteNamespace = (nsid: number): Buffer => sqe(0x0d, nsid, [1])
export const attachNamespace = (nsid: number): Buffer => sqe(0x15, nsid, [0])
export const detachNamespace = (nsid: number): Buffer => sqe(0x15, nsid, [1])

/** NSZE 0, NCAP 8, FLBAS 26, DPS 29, NMIC 30, ANAGRPID 92, NVMSETID 100, ENDGID 102; 4096 bytes. */
export function namespaceRequest(fields: {
  nsze: number | bigint
  ncap?: number | bigint
  flbas?: number
  dps?: number
  nmic?: number
  anagrpid?: number
  nvmsetid?: number
  endgid?: number
}): Buffer {
  const data = Buffer.alloc(4096)
  data.writeBigUInt64LE(BigInt(fields.nsze), 0)
  data.writeBigUInt64LE(BigInt(fields.ncap ?? fields.nsze), 8)
  data.writeUInt8(fields.flbas ?? 0, 26)
  data.writeUInt8(fields.dps ?? 0, 29)
  data.writeUInt8(fields.nmic ?? 1, 30)
  data.writeUInt32LE(fields.anagrpid ?? 0, 92)
  data.writeUInt16LE(fields.nvmsetid ?? 0, 100)
  data.writeUInt16LE(fields.endgid ?? 0, 102)
  return data
}

/** The number of controllers at 0, their CNTLIDs from 2 on; 4096 bytes. */
export function controllerList(...cntlids: readonly number[]): Buffer {
  const data = Buffer.alloc(4096)
  data.writeUInt16LE(cntlids.length, 0)
  for (const [k, cntlid] of cntlids.entries()) data.writeUInt16LE(cntlid, 2 + 2 * k)
  return data
}

export const identified = async ({ admin }: Session, cns: number, nsid = 0): Promise<Buffer> =>
  (await admin.must(identify(cns, nsid), { receive: 4096 })).data
export const listed = async (at: Session, cns: number): Promise<number[]> => {
  const data = await identified(at, cns)
  return Array.from({ length: 1024 }, (_, k) => data.readUInt32LE(4 * k)).filter((nsid) => nsid !== 0)
}
/** CNS 12h: those that have a namespace; 13h: all. */
export const controllers = async (at: Session, nsid: number, cns = 0x12): Promise<number[]> => {
  const data = await identified(at, cns, nsid)
  return Array.from({ length: data.readUInt16LE(0) }, (_, k) => data.readUInt16LE(2 + 2 * k))
}
export const cntlidOf = ({ admin }: Session): number => admin.cntlid
/** TNVMCAP 280, UNVMCAP 296 of Identify Controller; their upper halves are zero here. */
export const capacity = async (at: Session): Promise<[total: number, free: number]> => {
  const data = await identified(at, 1)
  expect([data.readBigUInt64LE(288), data.readBigUInt64LE(304)]).toEqual([0n, 0n])
  return [Number(data.readBigUInt64LE(280)), Number(data.readBigUInt64LE(296))]
}
export type Request = Parameters<typeof namespaceRequest>[0]
export const tryCreate = ({ admin }: Session, request: Request, command = CREATE_NAMESPACE): Promise<Completion> =>
  admin.submit(command, { send: namespaceRequest(request) })
export const create = async (at: Session, more: Partial<Request> = {}): Promise<number> => {
  const { status, dw0 } = await tryCreate(at, { nsze: BLOCKS, ...more })
  expect(status).toBe('0/00h')
  return dw0
}
export const attach = async (at: Session, nsid: number, ...cntlids: number[]): Promise<string> =>
  (await at.admin.submit(attachNamespace(nsid), { send: controllerList(...cntlids) })).status
export const detach = async (at: Session, nsid: number, ...cntlids: number[]): Promise<string> =>
  (await at.admin.submit(detachNamespace(nsid), { send: controllerList(...cntlids) })).status
export const remove = async (at: Session, nsid: number): Promise<string> =>
  (await at.admin.submit(deleteNamespace(nsid))).status
export const readable = async (at: Session, nsid: number): Promise<string> =>
  (await at.queue(1).submit(read(nsid, 0, 1), { receive: 512 })).status
