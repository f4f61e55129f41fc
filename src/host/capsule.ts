/**
 * What a host builds and reads around its commands: SQEs with the fields that all have, capsules, and the meaning of
 * a status. host.ts and ring-queue.ts call it.                    NVMe/TCP Transport 1.0a, CapsuleCmd; NVMe Base 2.0
 */
import { hostIdentity, machineId } from '../config/identity.ts'
import { SECP_NVME, SPSP } from '../wire/authentication.ts'
import { CQE, CQE_CONNECT_INVALID } from '../wire/cqe.ts'
import {
  AUTHENTICATION_SEND, CNTLID_DYNAMIC, CONNECT_DATA, CONNECT_DATA_BYTES, FABRICS, NQN_BYTES,
} from '../wire/fabrics.ts'
import { CAPSULE_CMD, CAPSULE_CMD_BYTES, CH, PDU_TYPE } from '../wire/pdu.ts'
import { FABRICS_OPCODE, PSDT_SGL, SQE, SQE_BYTES } from '../wire/sqe.ts'
import { DO_NOT_RETRY, STATUS, describeStatus } from '../wire/status.ts'
import { putHex, putNqn } from '../wire/value.ts'
import { HostError } from './error.ts'

/** The name of this machine's host. */
export function hostNqn(): string {
  return hostIdentity(machineId()).nqn
}

/** Of this machine's host. controller: CNTLID_DYNAMIC for an admin queue. */
export function connectData(subsystem: string, controller = CNTLID_DYNAMIC): DataView {
  const host = hostIdentity(machineId())
  const data = new DataView(new ArrayBuffer(CONNECT_DATA_BYTES))
  putHex(data, CONNECT_DATA.hostid, host.id)
  data.setUint16(CONNECT_DATA.cntlid, controller, true)
  putNqn(data, CONNECT_DATA.subnqn, NQN_BYTES, subsystem)
  putNqn(data, CONNECT_DATA.hostnqn, NQN_BYTES, host.nqn)
  return data
}

export function misplaced(what: string): HostError {
  return new HostError(`The target answered ${what} with a PDU that does not belong there.`)
}

export function refuse(what: string, cqe: DataView, sqe: DataView): void {
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

export function command(opcode: number): DataView {
  const sqe = new DataView(new ArrayBuffer(SQE_BYTES))
  sqe.setUint8(SQE.opcode, opcode)
  sqe.setUint8(SQE.flags, PSDT_SGL)
  return sqe
}

export function fabrics(type: number): DataView {
  const sqe = command(FABRICS_OPCODE)
  sqe.setUint8(FABRICS.fctype, type)
  return sqe
}

/** Authentication Send or Receive: TL and AL are at the same place. */
export function authentication(type: number, bytes: number): DataView {
  const sqe = fabrics(type)
  sqe.setUint8(AUTHENTICATION_SEND.spsp0, SPSP)
  sqe.setUint8(AUTHENTICATION_SEND.spsp1, SPSP)
  sqe.setUint8(AUTHENTICATION_SEND.secp, SECP_NVME)
  sqe.setUint32(AUTHENTICATION_SEND.tl, bytes, true)
  return sqe
}

export function capsule(sqe: DataView, data: Uint8Array | undefined): Uint8Array {
  const bytes = CAPSULE_CMD_BYTES + (data?.length ?? 0)
  const pdu = new DataView(new ArrayBuffer(bytes))
  const pdo = data === undefined ? 0 : CAPSULE_CMD_BYTES
  putHead(pdu, PDU_TYPE.CAPSULE_CMD, CAPSULE_CMD_BYTES, pdo, bytes)
  const whole = bytesOf(pdu)
  whole.set(bytesOf(sqe), CAPSULE_CMD.sqe)
  if (data !== undefined) whole.set(data, CAPSULE_CMD_BYTES)
  return whole
}

export function putHead(pdu: DataView, type: number, hlen: number, pdo: number, plen: number): void {
  pdu.setUint8(CH.type, type)
  pdu.setUint8(CH.hlen, hlen)
  pdu.setUint8(CH.pdo, pdo)
  pdu.setUint32(CH.plen, plen, true)
}

export function bytesOf(view: DataView): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength)
}

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
