/**
 * A small NVMe/TCP host for the commands that ask a target something: an admin queue, one command
 * at a time. discover and identify → here → pdu-socket.ts.
 *
 *   open: TCP → ICReq/ICResp → Connect → CC.EN=1 → CSTS.RDY      close: CC.SHN → the socket
 *
 * Every command carries its data in the capsule or gets some back, so no R2T comes.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { hostIdentity, machineId } from '../config/identity.ts'
import { CQE, CQE_CONNECT_INVALID } from '../wire/cqe.ts'
import {
  CNTLID_DYNAMIC, CONNECT, CONNECT_DATA, CONNECT_DATA_BYTES, CSTS_MASK, FABRICS, FABRICS_TYPE,
  NQN_BYTES, PROPERTY, PROPERTY_GET, PROPERTY_SET,
} from '../wire/fabrics.ts'
import {
  C2H_DATA, CAPSULE_CMD, CAPSULE_CMD_BYTES, CAPSULE_RESP, CH, ICREQ, IC_BYTES, PDU_FLAG, PDU_TYPE,
  SHORT_HEADER_BYTES,
} from '../wire/pdu.ts'
import {
  ADMIN_OPCODE, FABRICS_OPCODE, GET_LOG_PAGE, IDENTIFY, IDENTIFY_BYTES, PSDT_SGL, SGL_ID, SQE,
  SQE_BYTES,
} from '../wire/sqe.ts'
import { DO_NOT_RETRY, STATUS, describeStatus } from '../wire/status.ts'
import { putHex, putNqn } from '../wire/value.ts'
import { HostError } from './host-error.ts'
import { PduSocket } from './pdu-socket.ts'

const TIMEOUT_MS = 5000
const READY_TRIES = 100
const READY_PAUSE_MS = 50
/** IOCQES 4, IOSQES 6, EN: see CC in wire/fabrics.ts. */
const CC_ENABLE = 4 << 20 | 6 << 16 | 1
const CC_SHUT_DOWN = CC_ENABLE | 1 << 14
const ADMIN_SQSIZE = 31

export type HostTarget = { readonly address: string; readonly port: number; readonly nqn: string }

export class Host {
  readonly #pdus: PduSocket
  readonly #nqn: string
  #cid = 0

  static async open({ address, port, nqn }: HostTarget): Promise<Host> {
    const host = new Host(await PduSocket.open(address, port, TIMEOUT_MS), nqn)
    try {
      await host.#initialize()
      await host.#connect()
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

  /** The 4096 bytes of an Identify. */
  async identify(cns: number, nsid: number): Promise<DataView> {
    const sqe = command(ADMIN_OPCODE.IDENTIFY)
    sqe.setUint32(SQE.nsid, nsid, true)
    sqe.setUint8(IDENTIFY.cns, cns)
    return (await this.#execute('Identify', sqe, IDENTIFY_BYTES)).data
  }

  /** offset and bytes are multiples of 4. */
  async logPage(lid: number, offset: number, bytes: number): Promise<DataView> {
    const sqe = command(ADMIN_OPCODE.GET_LOG_PAGE)
    const numd = bytes / 4 - 1
    sqe.setUint8(GET_LOG_PAGE.lid, lid)
    sqe.setUint16(GET_LOG_PAGE.numdl, numd & 0xffff, true)
    sqe.setUint16(GET_LOG_PAGE.numdu, numd >>> 16, true)
    sqe.setUint32(GET_LOG_PAGE.lpo, offset, true)
    return (await this.#execute('Get Log Page', sqe, bytes)).data
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
    if (response.getUint8(CH.type) === PDU_TYPE.ICRESP && response.byteLength === IC_BYTES) return
    throw new HostError('The other side does not speak NVMe/TCP.')
  }

  async #connect(): Promise<void> {
    const host = hostIdentity(machineId())
    const data = new DataView(new ArrayBuffer(CONNECT_DATA_BYTES))
    putHex(data, CONNECT_DATA.hostid, host.id)
    data.setUint16(CONNECT_DATA.cntlid, CNTLID_DYNAMIC, true)
    putNqn(data, CONNECT_DATA.subnqn, NQN_BYTES, this.#nqn)
    putNqn(data, CONNECT_DATA.hostnqn, NQN_BYTES, host.nqn)
    const sqe = fabrics(FABRICS_TYPE.CONNECT)
    sqe.setUint16(CONNECT.sqsize, ADMIN_SQSIZE, true)
    await this.#execute(`Connect to ${this.#nqn}`, sqe, 0, data)
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

  /** answerBytes: what the controller is asked for; data: what it gets, in the capsule. */
  async #execute(
    what: string, sqe: DataView, answerBytes: number, data?: DataView,
  ): Promise<{ cqe: DataView; data: DataView }> {
    this.#cid = (this.#cid + 1) & 0x7fff
    sqe.setUint16(SQE.cid, this.#cid, true)
    sqe.setUint32(SQE.sglLength, data?.byteLength ?? answerBytes, true)
    sqe.setUint8(SQE.sglId, data === undefined ? SGL_ID.TRANSPORT : SGL_ID.IN_CAPSULE)
    this.#pdus.send(capsule(sqe, data))
    const answer = new Uint8Array(answerBytes)
    for (;;) {
      const pdu = await this.#pdus.receive()
      const type = pdu.getUint8(CH.type)
      if (type === PDU_TYPE.C2H_DATA) {
        if (this.#place(pdu, answer)) {
          return { cqe: new DataView(new ArrayBuffer(16)), data: viewOf(answer) }
        }
      } else if (type === PDU_TYPE.CAPSULE_RESP && pdu.byteLength >= SHORT_HEADER_BYTES) {
        const cqe = new DataView(pdu.buffer, CAPSULE_RESP.cqe)
        if (cqe.getUint16(CQE.cid, true) !== this.#cid) continue
        refuse(what, cqe, sqe)
        return { cqe, data: viewOf(answer) }
      } else {
        throw new HostError(`The target answered ${what} with a PDU that does not belong there.`)
      }
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

function refuse(what: string, cqe: DataView, sqe: DataView): void {
  const status = cqe.getUint16(CQE.status, true) >> 1
  if (status === STATUS.SUCCESS) return
  if (status === STATUS.CONNECT_INVALID_PARAMETERS
    && cqe.getUint8(CQE_CONNECT_INVALID.iattr) === 1
    && cqe.getUint16(CQE_CONNECT_INVALID.ipo, true) === CONNECT_DATA.subnqn) {
    throw new HostError(`${what} was refused: there is no subsystem of that name. `
      + 'weft discover shows which there are.')
  }
  const ofFabrics = sqe.getUint8(SQE.opcode) === FABRICS_OPCODE
  const code = status & ~DO_NOT_RETRY
  throw new HostError(`${what} was refused: ${describeStatus(code, ofFabrics)}.`)
}

function command(opcode: number): DataView {
  const sqe = new DataView(new ArrayBuffer(SQE_BYTES))
  sqe.setUint8(SQE.opcode, opcode)
  sqe.setUint8(SQE.flags, PSDT_SGL)
  return sqe
}

function fabrics(type: number): DataView {
  const sqe = command(FABRICS_OPCODE)
  sqe.setUint8(FABRICS.fctype, type)
  return sqe
}

function capsule(sqe: DataView, data: DataView | undefined): Uint8Array {
  const bytes = CAPSULE_CMD_BYTES + (data?.byteLength ?? 0)
  const pdu = new DataView(new ArrayBuffer(bytes))
  const pdo = data === undefined ? 0 : CAPSULE_CMD_BYTES
  putHead(pdu, PDU_TYPE.CAPSULE_CMD, CAPSULE_CMD_BYTES, pdo, bytes)
  const whole = bytesOf(pdu)
  whole.set(bytesOf(sqe), CAPSULE_CMD.sqe)
  if (data !== undefined) whole.set(bytesOf(data), CAPSULE_CMD_BYTES)
  return whole
}

function putHead(pdu: DataView, type: number, hlen: number, pdo: number, plen: number): void {
  pdu.setUint8(CH.type, type)
  pdu.setUint8(CH.hlen, hlen)
  pdu.setUint8(CH.pdo, pdo)
  pdu.setUint32(CH.plen, plen, true)
}

function bytesOf(view: DataView): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength)
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
