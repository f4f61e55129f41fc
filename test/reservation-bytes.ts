/**
 * Reservation commands as bytes, written by hand for the tests, and a host that uses them.
 * test → reservation-bytes → host-session. NVMe Base 2.0, Reservation Register, Report, Acquire, Release.
 */
import { expect } from 'vitest'
import { sqe } from './command-bytes.ts'
import type { Completion, HostQueue } from './host-queue.ts'
import { openSession, someHost, type Identity, type Session } from './host-session.ts'
import type { Endpoint } from './host.ts'
import { NQN } from './daemon.ts'

export const REGISTER = { register: 0, unregister: 1, replace: 2 }
export const ACQUIRE = { acquire: 0, preempt: 1, preemptAndAbort: 2 }
export const RELEASE = { release: 0, clear: 1 }
export const IEKEY = 1 << 3
export const CPTPL_CLEAR = 0x80000000
export const CPTPL_SET = 0xc0000000

/** CRKEY at 0, NRKEY or PRKEY at 8. */
export function keys(current: bigint, second: bigint): Buffer {
  const bytes = Buffer.alloc(16)
  bytes.writeBigUInt64LE(current, 0)
  bytes.writeBigUInt64LE(second, 8)
  return bytes
}

/** Reservation Register: RREGA 2:0, IEKEY 3, CPTPL 31:30. */
export function resvRegister(nsid: number, cdw10: number): Buffer {
  return sqe(0x0d, nsid, [cdw10])
}

/** Reservation Report: NUMD 0's based, EDS bit 0 of CDW11. */
export function resvReport(nsid: number, dwords: number, eds = 1): Buffer {
  return sqe(0x0e, nsid, [dwords - 1, eds])
}

/** Reservation Acquire: RACQA 2:0, IEKEY 3, RTYPE 15:8. */
export function resvAcquire(nsid: number, cdw10: number, type: number): Buffer {
  return sqe(0x11, nsid, [cdw10 + type * 0x100])
}

/** Reservation Release: RRELA 2:0, IEKEY 3, RTYPE 15:8. */
export function resvRelease(nsid: number, cdw10: number, type: number): Buffer {
  return sqe(0x15, nsid, [cdw10 + type * 0x100])
}

export type Report = {
  generation: number
  type: number
  persistent: number
  registrants: { cntlid: number; holds: number; key: bigint; hostid: string }[]
}

export function reportOf(data: Buffer): Report {
  const registrants = []
  for (let at = 64; at < 64 + 64 * data.readUInt16LE(5); at += 64) {
    registrants.push({
      cntlid: data.readUInt16LE(at), holds: data.readUInt8(at + 2), key: data.readBigUInt64LE(at + 8),
      hostid: data.toString('hex', at + 16, at + 32),
    })
  }
  return {
    generation: data.readUInt32LE(0), type: data.readUInt8(4), persistent: data.readUInt8(9), registrants,
  }
}

/** A host with its key, and the commands of its first I/O queue. */
export class ReservingHost {
  readonly session: Session
  readonly identity: Identity
  key: bigint
  nsid = 1

  constructor(session: Session, identity: Identity, key: bigint) {
    this.session = session
    this.identity = identity
    this.key = key
  }

  static async open(
    endpoint: Endpoint, key: bigint, identity = someHost('resv'), queues = 1, subnqn = NQN,
  ): Promise<ReservingHost> {
    return new ReservingHost(await openSession(endpoint, { subnqn, identity }, queues), identity, key)
  }

  get queue(): HostQueue {
    return this.session.queue(1)
  }

  get hostid(): string {
    return this.identity.hostid.toString('hex')
  }

  /** newKey: its own, unless given. */
  async register(cdw10 = 0, newKey = this.key, current = 0n): Promise<string> {
    return (await this.queue.submit(resvRegister(this.nsid, cdw10), { send: keys(current, newKey) })).status
  }

  async acquire(type: number, cdw10 = 0, victim = 0n, current = this.key): Promise<string> {
    return (await this.queue.submit(resvAcquire(this.nsid, cdw10, type), { send: keys(current, victim) })).status
  }

  async release(type: number, cdw10 = 0, current = this.key): Promise<string> {
    return (await this.queue.submit(resvRelease(this.nsid, cdw10, type), { send: keys(current, 0n) })).status
  }

  reportBytes(bytes: number, eds = 1): Promise<Completion> {
    return this.queue.submit(resvReport(this.nsid, bytes / 4, eds), { receive: bytes })
  }

  async report(): Promise<Report> {
    const { data, status } = await this.reportBytes(64 + 64 * 300)
    expect(status).toBe('0/00h')
    return reportOf(data)
  }

  /** Back to no registrations at all, whoever is registered. */
  async wipe(): Promise<void> {
    await this.register(REGISTER.replace | IEKEY)
    expect(await this.release(0, RELEASE.clear)).toBe('0/00h')
  }
}
