/**
 * An association of the test host: admin queue, enabling, I/O queues.
 * test → host-session → host-queue. NVMe over Fabrics 1.1, Connect and Property commands.
 *
 * Every step is a function of its own, so that a test can stop in front of the one it is about.
 */
import { randomBytes } from 'node:crypto'
import { expect } from 'vitest'
import {
  DISCOVERY_NQN, connect, connectData, propertyGet, propertySet, setFeatures,
} from './command-bytes.ts'
import { HostQueue, type Completion } from './host-queue.ts'
import { Wire, type Endpoint, type Negotiation } from './host.ts'

export const PROPERTY_CAP = 0x00
export const PROPERTY_VS = 0x08
export const PROPERTY_CC = 0x14
export const PROPERTY_CSTS = 0x1c

/** IOSQES 6, IOCQES 4, EN 1. */
export const CC_ENABLE = 0x00460001
export const CC_DISABLE = 0x00460000
export const CATTR_NO_FLOW_CONTROL = 0x04

/** Admin queue depth of Linux, 0's based. */
const ADMIN_SQSIZE = 31

export type Identity = { readonly hostid: Buffer; readonly hostnqn: string }

/** A host that nobody else is. */
export function someHost(name = 'test'): Identity {
  const hostid = randomBytes(16)
  return { hostid, hostnqn: `nqn.2026-01.example:${name}-${hostid.toString('hex')}` }
}

export type ConnectWish = Negotiation & {
  subnqn: string
  identity?: Identity
  cntlid?: number
  qid?: number
  sqsize?: number
  cattr?: number
  /** Milliseconds. */
  kato?: number
  recfmt?: number
  /** Replaces the 1024 bytes altogether. */
  data?: Buffer
}

/** Sends Connect on an initialized connection; the completion may be a refusal. */
export async function tryConnect(
  wire: Wire,
  wish: ConnectWish,
): Promise<{ queue: HostQueue; completion: Completion }> {
  const qid = wish.qid ?? 0
  const queue = new HostQueue(wire, qid)
  const identity = wish.identity ?? someHost()
  const data = wish.data ?? connectData({ ...identity, cntlid: wish.cntlid ?? 0xffff,
    subnqn: wish.subnqn })
  const cattr = wish.cattr ?? 0
  const command = connect({
    qid, cattr, sqsize: wish.sqsize ?? ADMIN_SQSIZE, kato: wish.kato ?? 0,
    recfmt: wish.recfmt ?? 0,
  })
  const completion = await queue.submit(command, { send: data })
  queue.cntlid = completion.dw0 & 0xffff
  queue.flowControlDisabled = (cattr & CATTR_NO_FLOW_CONTROL) !== 0
  return { queue, completion }
}

/** TCP, ICReq, Connect; must succeed. */
export async function connectQueue(endpoint: Endpoint, wish: ConnectWish): Promise<HostQueue> {
  const wire = await Wire.initialized(endpoint, wish)
  const { queue, completion } = await tryConnect(wire, wish)
  expect(completion.status, 'Connect').toBe('0/00h')
  return queue
}

export async function getProperty(admin: HostQueue, ofst: number): Promise<number> {
  return (await admin.must(propertyGet(ofst, 4))).dw0
}

export async function setCc(admin: HostQueue, value: number): Promise<void> {
  await admin.must(propertySet(PROPERTY_CC, value))
}

/** Polls CSTS until the bits under `mask` are `value`; each poll is a round trip, none sleeps. */
export async function waitForCsts(admin: HostQueue, mask: number, value: number): Promise<number> {
  for (let poll = 0; poll < 20_000; poll += 1) {
    const csts = await getProperty(admin, PROPERTY_CSTS)
    if ((csts & mask) === value) return csts
  }
  throw new Error(`CSTS never became ${value} under the mask ${mask}`)
}

export async function enable(admin: HostQueue): Promise<void> {
  await setCc(admin, CC_ENABLE)
  await waitForCsts(admin, 1, 1)
}

/** An association under way: one admin queue, its I/O queues, and what is needed to add more. */
export class Session {
  readonly endpoint: Endpoint
  readonly admin: HostQueue
  readonly io: HostQueue[] = []
  readonly wish: ConnectWish & { identity: Identity }

  constructor(endpoint: Endpoint, admin: HostQueue, wish: ConnectWish & { identity: Identity }) {
    this.endpoint = endpoint
    this.admin = admin
    this.wish = wish
  }

  /** What Connect on I/O queue `qid` says, unless `changes` says otherwise. */
  ioWish(qid: number, changes: Partial<ConnectWish> = {}): ConnectWish {
    return { ...this.wish, cntlid: this.admin.cntlid, qid, sqsize: 127, kato: 0, ...changes }
  }

  async connectIo(qid: number, changes: Partial<ConnectWish> = {}): Promise<HostQueue> {
    const queue = await connectQueue(this.endpoint, this.ioWish(qid, changes))
    this.io.push(queue)
    return queue
  }

  /** The I/O queue with this number; they are connected from 1 on. */
  queue(qid: number): HostQueue {
    const found = this.io.find((queue) => queue.qid === qid)
    if (found === undefined) throw new Error(`queue ${qid} is not connected`)
    return found
  }

  async end(): Promise<void> {
    await Promise.all([this.admin, ...this.io].map((queue) => queue.wire.destroy()))
  }
}

/** Admin queue connected, controller not enabled. */
export async function openAdmin(endpoint: Endpoint, wish: ConnectWish): Promise<Session> {
  const full = { ...wish, identity: wish.identity ?? someHost() }
  return new Session(endpoint, await connectQueue(endpoint, full), full)
}

/** Admin queue, enabled, `queues` I/O queues: where a Linux host is when it starts to read. */
export async function openSession(
  endpoint: Endpoint,
  wish: ConnectWish,
  queues = 1,
): Promise<Session> {
  const session = await openAdmin(endpoint, wish)
  await enable(session.admin)
  // A discovery controller has no I/O queues to ask for.
  if (wish.subnqn === DISCOVERY_NQN) return session
  const count = Math.max(0, queues - 1)
  await session.admin.must(setFeatures(0x07, count + count * 0x10000))
  for (let qid = 1; qid <= queues; qid += 1) await session.connectIo(qid)
  return session
}
