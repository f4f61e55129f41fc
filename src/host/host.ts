/**
 * A small NVMe/TCP host, for asking a target something and for registering with it: an admin queue,
 * one command at a time, and one event request beside it. cli and discovery → here → pdu-socket.ts.
 *
 *   open: TCP → ICReq/ICResp → Connect → CC.EN=1 → CSTS.RDY      close: CC.SHN → the socket
 *
 * Data that a command takes goes in the capsule where it may, else as the target's R2Ts say.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { hostIdentity, machineId } from '../config/identity.ts'
import { CQE, CQE_CONNECT } from '../wire/cqe.ts'
import {
  AUTHREQ_ATR, CONNECT, CSTS_MASK, FABRICS_TYPE, PROPERTY, PROPERTY_GET, PROPERTY_SET,
} from '../wire/fabrics.ts'
import { FID } from '../wire/feature.ts'
import { putBits } from '../wire/layout.ts'
import {
  C2H_DATA, CAPSULE_RESP, CH, H2C_DATA, ICREQ, ICRESP, IC_BYTES, PDU_FLAG, PDU_TYPE, R2T,
  SHORT_HEADER_BYTES,
} from '../wire/pdu.ts'
import {
  ADMIN_OPCODE, DISCOVERY_INFORMATION_MANAGEMENT, GET_LOG_PAGE, GET_LOG_PAGE_LSP_RAE, IDENTIFY,
  IDENTIFY_BYTES, SET_FEATURES, SGL_ID, SQE,
} from '../wire/sqe.ts'
import { type HostSecrets, authenticate } from './authentication.ts'
import {
  authentication, bytesOf, capsule, command, connectData, fabrics, misplaced, putHead, refuse, viewOf,
} from './capsule.ts'
import { HostError } from './error.ts'
import { PduSocket } from './pdu-socket.ts'

const TIMEOUT_MS = 5000
const READY_TRIES = 100
const READY_PAUSE_MS = 50
/** IOCQES 4, IOSQES 6, EN: see CC in wire/fabrics.ts. */
const CC_ENABLE = 4 << 20 | 6 << 16 | 1
const CC_SHUT_DOWN = CC_ENABLE | 1 << 14
const ADMIN_SQSIZE = 31
/** What an admin queue takes in a capsule on every target. */
const IN_CAPSULE_MAX = 8192
/** Commands count up to it, the event request has the next one. */
const CID_MAX = 0x7fff
const EVENT_CID = 0x8000

export type HostTarget = {
  readonly address: string
  readonly port: number
  readonly nqn: string
  /** 0 or left out: the target does not expect to hear of us. */
  readonly keepAliveMs?: number
  /** What this host authenticates with, where it has to. */
  readonly secrets?: HostSecrets | null
}

/** What a reading of a log may say besides offset and length. */
export type LogOptions = {
  readonly lsp?: number
  /** The event that pointed to the log is not answered by this. */
  readonly retainEvent?: boolean
}

export class Host {
  readonly #pdus: PduSocket
  readonly #nqn: string
  #cid = 0
  /** Most bytes of an H2CData. */
  #maxDataBytes = 0
  #eventAsked = false
  #controllerId = 0
  /** DW0 of an event that was told and not yet taken. */
  #event: number | null = null

  static async open(target: HostTarget): Promise<Host> {
    const { address, port, nqn, keepAliveMs = 0, secrets = null } = target
    const host = new Host(await PduSocket.open(address, port, TIMEOUT_MS), nqn)
    try {
      await host.#initialize()
      if (await host.#connect(keepAliveMs)) await host.#authenticate(secrets)
      await host.#enable()
      return host
    } catch (error) {
      host.#pdus.close()
      throw error
    }
  }

  constructor(pdus: PduSocket, nqn: string) {
    this.#pdus = pdus
    this.#nqn = nqn
  }

  /** This side's address of the connection. */
  get localAddress(): string {
    return this.#pdus.localAddress
  }

  /** The controller that it was given. */
  get controllerId(): number {
    return this.#controllerId
  }

  /** How many I/O queues there may be, of those that are asked for. */
  async grantQueues(count: number): Promise<number> {
    const sqe = command(ADMIN_OPCODE.SET_FEATURES)
    sqe.setUint8(SET_FEATURES.fid, FID.NUMBER_OF_QUEUES)
    sqe.setUint32(SET_FEATURES.cdw11, (count - 1) | (count - 1) << 16, true)
    const { cqe } = await this.#execute('Set Features Number of Queues', sqe, 0)
    const granted = cqe.getUint32(CQE.dw0, true)
    return Math.min(granted & 0xffff, granted >>> 16, count - 1) + 1
  }

  /** The 4096 bytes of an Identify. */
  async identify(cns: number, nsid: number): Promise<DataView> {
    const sqe = command(ADMIN_OPCODE.IDENTIFY)
    sqe.setUint32(SQE.nsid, nsid, true)
    sqe.setUint8(IDENTIFY.cns, cns)
    return (await this.#execute('Identify', sqe, IDENTIFY_BYTES)).data
  }

  /** offset and bytes are multiples of 4. */
  async logPage(
    lid: number, offset: number, bytes: number, { lsp = 0, retainEvent = false }: LogOptions = {},
  ): Promise<DataView> {
    const sqe = command(ADMIN_OPCODE.GET_LOG_PAGE)
    const numd = bytes / 4 - 1
    sqe.setUint8(GET_LOG_PAGE.lid, lid)
    sqe.setUint8(GET_LOG_PAGE.lspRae, putBits(GET_LOG_PAGE_LSP_RAE.lsp, lsp)
      | putBits(GET_LOG_PAGE_LSP_RAE.rae, +retainEvent))
    sqe.setUint16(GET_LOG_PAGE.numdl, numd & 0xffff, true)
    sqe.setUint16(GET_LOG_PAGE.numdu, numd >>> 16, true)
    sqe.setUint32(GET_LOG_PAGE.lpo, offset, true)
    return (await this.#execute('Get Log Page', sqe, bytes)).data
  }

  /** Discovery Information Management: task is one of DIM_TASK. */
  async manageDiscovery(task: number, information: Uint8Array): Promise<void> {
    const sqe = command(ADMIN_OPCODE.DISCOVERY_INFORMATION_MANAGEMENT)
    sqe.setUint8(DISCOVERY_INFORMATION_MANAGEMENT.tas, task)
    await this.#execute('Discovery Information Management', sqe, 0, information)
  }

  /** Which events are told: the bits of feature 0Bh. */
  async configureEvents(events: number): Promise<void> {
    const sqe = command(ADMIN_OPCODE.SET_FEATURES)
    sqe.setUint8(SET_FEATURES.fid, FID.ASYNC_EVENTS)
    sqe.setUint32(SET_FEATURES.cdw11, events, true)
    await this.#execute('Set Features', sqe, 0)
  }

  async keepAlive(): Promise<void> {
    await this.#execute('Keep Alive', command(ADMIN_OPCODE.KEEP_ALIVE), 0)
  }

  /** The next event, as DW0 of its completion; null: none in time, or interrupted. */
  async event(waitMs: number): Promise<number | null> {
    if (!this.#eventAsked && this.#event === null) {
      const sqe = command(ADMIN_OPCODE.ASYNC_EVENT_REQUEST)
      sqe.setUint16(SQE.cid, EVENT_CID, true)
      sqe.setUint8(SQE.sglId, SGL_ID.TRANSPORT)
      this.#pdus.send(capsule(sqe, undefined))
      this.#eventAsked = true
    }
    const deadlineMs = Date.now() + waitMs
    while (this.#event === null) {
      const pdu = await this.#pdus.receiveWithin(Math.max(0, deadlineMs - Date.now()), true)
      if (pdu === null) return null
      if (!this.#takeEvent(pdu)) throw misplaced('Asynchronous Event Request')
    }
    const event = this.#event
    this.#event = null
    return event
  }

  /** Ends the waiting for an event: the present one, or the next. */
  interrupt(): void {
    this.#pdus.interrupt()
  }

  /** Tells the controller, does not wait for it to finish. */
  async close(): Promise<void> {
    try {
      await this.#setCc(CC_SHUT_DOWN)
    } catch {
      // It has gone already, which is what was wanted.
    }
    this.#pdus.close()
  }

  async #initialize(): Promise<void> {
    const request = new DataView(new ArrayBuffer(IC_BYTES))
    putHead(request, PDU_TYPE.ICREQ, IC_BYTES, 0, IC_BYTES)
    request.setUint16(ICREQ.pfv, 0, true)
    this.#pdus.send(bytesOf(request))
    const response = await this.#pdus.receive()
    if (response.getUint8(CH.type) !== PDU_TYPE.ICRESP || response.byteLength !== IC_BYTES) {
      throw new HostError('The other side does not speak NVMe/TCP.')
    }
    this.#maxDataBytes = response.getUint32(ICRESP.maxh2cdata, true)
  }

  /** True when the target wants this host to authenticate. */
  async #connect(keepAliveMs: number): Promise<boolean> {
    const data = connectData(this.#nqn)
    const sqe = fabrics(FABRICS_TYPE.CONNECT)
    sqe.setUint16(CONNECT.sqsize, ADMIN_SQSIZE, true)
    sqe.setUint32(CONNECT.kato, keepAliveMs, true)
    const { cqe } = await this.#execute(`Connect to ${this.#nqn}`, sqe, 0, bytesOf(data))
    this.#controllerId = cqe.getUint16(CQE_CONNECT.cntlid, true)
    return (cqe.getUint32(CQE.dw0, true) & AUTHREQ_ATR) !== 0
  }

  async #authenticate(secrets: HostSecrets | null): Promise<void> {
    const names = { host: hostIdentity(machineId()).nqn, subsystem: this.#nqn }
    if (secrets === null) {
      throw new HostError(`${this.#nqn} wants ${names.host} to authenticate: name a file with its `
        + 'key by --key.')
    }
    await authenticate({
      send: async (message) => {
        const sqe = authentication(FABRICS_TYPE.AUTHENTICATION_SEND, message.length)
        await this.#execute('Authentication Send', sqe, 0, message)
      },
      receive: async (bytes) => {
        const sqe = authentication(FABRICS_TYPE.AUTHENTICATION_RECEIVE, bytes)
        const { data } = await this.#execute('Authentication Receive', sqe, bytes)
        return Buffer.from(bytesOf(data))
      },
    }, names, secrets)
  }

  async #enable(): Promise<void> {
    await this.#setCc(CC_ENABLE)
    for (let tries = 0; tries < READY_TRIES; tries += 1) {
      const sqe = fabrics(FABRICS_TYPE.PROPERTY_GET)
      sqe.setUint32(PROPERTY_GET.ofst, PROPERTY.CSTS, true)
      const { cqe } = await this.#execute('Property Get CSTS', sqe, 0)
      const csts = cqe.getUint32(CQE.dw0, true)
      if ((csts & CSTS_MASK.CFS) !== 0) throw new HostError('The controller reports a fatal error.')
      if ((csts & CSTS_MASK.RDY) !== 0) return
      await sleep(READY_PAUSE_MS)
    }
    throw new HostError('The controller does not become ready.')
  }

  async #setCc(value: number): Promise<void> {
    const sqe = fabrics(FABRICS_TYPE.PROPERTY_SET)
    sqe.setUint32(PROPERTY_SET.ofst, PROPERTY.CC, true)
    sqe.setUint32(PROPERTY_SET.value, value, true)
    await this.#execute('Property Set CC', sqe, 0)
  }

  /** answerBytes: what the controller is asked for; data: what it gets. */
  async #execute(
    what: string, sqe: DataView, answerBytes: number, data?: Uint8Array,
  ): Promise<{ cqe: DataView; data: DataView }> {
    this.#cid = (this.#cid + 1) & CID_MAX
    const inCapsule = data !== undefined && data.length <= IN_CAPSULE_MAX
    sqe.setUint16(SQE.cid, this.#cid, true)
    sqe.setUint32(SQE.sglLength, data?.length ?? answerBytes, true)
    sqe.setUint8(SQE.sglId, inCapsule ? SGL_ID.IN_CAPSULE : SGL_ID.TRANSPORT)
    this.#pdus.send(capsule(sqe, inCapsule ? data : undefined))
    const answer = new Uint8Array(answerBytes)
    for (;;) {
      const pdu = await this.#pdus.receive()
      const type = pdu.getUint8(CH.type)
      if (type === PDU_TYPE.C2H_DATA) {
        if (this.#place(pdu, answer)) {
          return { cqe: new DataView(new ArrayBuffer(16)), data: viewOf(answer) }
        }
      } else if (type === PDU_TYPE.R2T && data !== undefined && !inCapsule) {
        this.#sendData(pdu, data)
      } else if (type === PDU_TYPE.CAPSULE_RESP && pdu.byteLength >= SHORT_HEADER_BYTES) {
        if (this.#takeEvent(pdu)) continue
        const cqe = new DataView(pdu.buffer, CAPSULE_RESP.cqe)
        if (cqe.getUint16(CQE.cid, true) !== this.#cid) continue
        refuse(what, cqe, sqe)
        return { cqe, data: viewOf(answer) }
      } else {
        throw misplaced(what)
      }
    }
  }

  /** True when the PDU is the answer to the event request. */
  #takeEvent(pdu: DataView): boolean {
    if (!this.#eventAsked || pdu.byteLength < SHORT_HEADER_BYTES
      || pdu.getUint8(CH.type) !== PDU_TYPE.CAPSULE_RESP) return false
    const cqe = new DataView(pdu.buffer, CAPSULE_RESP.cqe)
    if (cqe.getUint16(CQE.cid, true) !== EVENT_CID) return false
    this.#eventAsked = false
    refuse('Asynchronous Event Request', cqe, command(ADMIN_OPCODE.ASYNC_EVENT_REQUEST))
    this.#event = cqe.getUint32(CQE.dw0, true)
    return true
  }

  /** What an R2T asks for, in as many PDUs as the target wants. */
  #sendData(r2t: DataView, data: Uint8Array): void {
    const short = r2t.byteLength < SHORT_HEADER_BYTES
    const from = short ? 0 : r2t.getUint32(R2T.r2to, true)
    const end = from + (short ? 0 : r2t.getUint32(R2T.r2tl, true))
    if (short || end > data.length || r2t.getUint16(R2T.cccid, true) !== this.#cid
      || this.#maxDataBytes < 4) {
      throw new HostError('The target asked for data that there is not.')
    }
    for (let at = from; at < end; at += this.#maxDataBytes) {
      const part = data.subarray(at, Math.min(end, at + this.#maxDataBytes))
      const pdu = new DataView(new ArrayBuffer(SHORT_HEADER_BYTES + part.length))
      putHead(pdu, PDU_TYPE.H2C_DATA, SHORT_HEADER_BYTES, SHORT_HEADER_BYTES, pdu.byteLength)
      pdu.setUint8(CH.flags, at + part.length === end ? PDU_FLAG.LAST : 0)
      pdu.setUint16(H2C_DATA.cccid, this.#cid, true)
      pdu.setUint16(H2C_DATA.ttag, r2t.getUint16(R2T.ttag, true), true)
      pdu.setUint32(H2C_DATA.datao, at, true)
      pdu.setUint32(H2C_DATA.datal, part.length, true)
      bytesOf(pdu).set(part, SHORT_HEADER_BYTES)
      this.#pdus.send(bytesOf(pdu))
    }
  }

  /** True when it completes the command as well. */
  #place(pdu: DataView, answer: Uint8Array): boolean {
    const short = pdu.byteLength < SHORT_HEADER_BYTES
    const at = short ? 0 : pdu.getUint32(C2H_DATA.datao, true)
    const bytes = short ? 0 : pdu.getUint32(C2H_DATA.datal, true)
    const from = pdu.getUint8(CH.pdo)
    if (short || at + bytes > answer.length || from + bytes > pdu.byteLength
      || pdu.getUint16(C2H_DATA.cccid, true) !== this.#cid) {
      throw new HostError('The target sent data that nobody asked for.')
    }
    answer.set(new Uint8Array(pdu.buffer, from, bytes), at)
    return (pdu.getUint8(CH.flags) & PDU_FLAG.SUCCESS) !== 0
  }
}
