/**
 * The wire tables against bytes written by hand: what the reference lists as golden, and packets
 * of the same kind. No encoder of ours is used here; a wrong offset cannot agree with itself.
 */
import { describe, expect, test } from 'vitest'
import { CQE, CQE_CONNECT_INVALID, CQE_STATUS } from '../../../src/wire/cqe.ts'
import {
  CAP, CATTR_NO_SQ_FLOW, CC, CONNECT, CONNECT_DATA, FABRICS_TYPE, PROPERTY_GET,
} from '../../../src/wire/fabrics.ts'
import { layoutOf, takeBits } from '../../../src/wire/layout.ts'
import { DISCOVERY_ENTRY, ERROR_ENTRY, SMART_LOG } from '../../../src/wire/log-page.ts'
import {
  C2H_DATA, CAPSULE_CMD, CAPSULE_RESP, CH, H2C_DATA, ICREQ, ICRESP, PDU_FLAG, PDU_TYPE, PDUS, R2T,
  TERM_REQ,
} from '../../../src/wire/pdu.ts'
import {
  DSM_RANGE, FABRICS_OPCODE, GET_LOG_PAGE, IDENTIFY, READ_WRITE, RW_CONTROL, SGL_ID, SQE,
} from '../../../src/wire/sqe.ts'

/** 'aa bb 00*3' → the five bytes. */
function bytes(text: string): DataView {
  const out: number[] = []
  for (const word of text.trim().split(/\s+/)) {
    const [byte, times] = word.split('*')
    for (let n = Number(times ?? 1); n > 0; n -= 1) out.push(Number.parseInt(byte!, 16))
  }
  return new DataView(Uint8Array.from(out).buffer)
}

const u8 = (view: DataView, at: number): number => view.getUint8(at)
const u16 = (view: DataView, at: number): number => view.getUint16(at, true)
const u32 = (view: DataView, at: number): number => view.getUint32(at, true)

describe('PDUs', () => {
  test('ICReq with both digests', () => {
    const view = bytes('00 00 80 00 80 00 00 00 00 00 00 03 00*116')
    expect(view.byteLength).toBe(layoutOf(ICREQ).bytes)
    expect(u8(view, CH.type)).toBe(PDU_TYPE.ICREQ)
    expect(u8(view, CH.hlen)).toBe(128)
    expect(u32(view, CH.plen)).toBe(128)
    expect(u8(view, ICREQ.dgst)).toBe(3)
    expect(u32(view, ICREQ.maxr2t)).toBe(0)
  })

  test('ICReq: HPDA and MAXR2T', () => {
    const view = bytes('00 00 80 00 80 00 00 00 00 00 1f 00 07 00 00 00 00*112')
    expect(u16(view, ICREQ.pfv)).toBe(0)
    expect(u8(view, ICREQ.hpda)).toBe(31)
    expect(u32(view, ICREQ.maxr2t)).toBe(7)
  })

  test('ICResp, MAXH2CDATA 128 KiB', () => {
    const view = bytes('01 00 80 00 80 00 00 00 00 00 00 03 00 00 02 00 00*112')
    expect(view.byteLength).toBe(layoutOf(ICRESP).bytes)
    expect(u8(view, CH.type)).toBe(PDU_TYPE.ICRESP)
    expect(u8(view, ICRESP.cpda)).toBe(0)
    expect(u8(view, ICRESP.dgst)).toBe(3)
    expect(u32(view, ICRESP.maxh2cdata)).toBe(131072)
  })

  test('R2T', () => {
    const view = bytes('09 00 18 00 18 00 00 00 05 00 01 00 00 00 00 00 00 00 02 00 00 00 00 00')
    expect(u8(view, CH.type)).toBe(PDU_TYPE.R2T)
    expect(u16(view, R2T.cccid)).toBe(5)
    expect(u16(view, R2T.ttag)).toBe(1)
    expect(u32(view, R2T.r2to)).toBe(0)
    expect(u32(view, R2T.r2tl)).toBe(131072)
  })

  test('H2CData, LAST, 4096 bytes', () => {
    const view = bytes('06 04 18 18 18 10 00 00 05 00 01 00 00 00 00 00 00 10 00 00 00 00 00 00')
    expect(u8(view, CH.type)).toBe(PDU_TYPE.H2C_DATA)
    expect(u8(view, CH.flags)).toBe(PDU_FLAG.LAST)
    expect(u8(view, CH.pdo)).toBe(24)
    expect(u32(view, CH.plen)).toBe(24 + 4096)
    expect(u16(view, H2C_DATA.cccid)).toBe(5)
    expect(u16(view, H2C_DATA.ttag)).toBe(1)
    expect(u32(view, H2C_DATA.datao)).toBe(0)
    expect(u32(view, H2C_DATA.datal)).toBe(4096)
  })

  test('C2HData, LAST, 4096 bytes', () => {
    const view = bytes('07 04 18 18 18 10 00 00 07 00 00 00 00 20 00 00 00 10 00 00 00 00 00 00')
    expect(u8(view, CH.type)).toBe(PDU_TYPE.C2H_DATA)
    expect(u16(view, C2H_DATA.cccid)).toBe(7)
    expect(u32(view, C2H_DATA.datao)).toBe(8192)
    expect(u32(view, C2H_DATA.datal)).toBe(4096)
  })

  test('C2HTermReq: FEI is not aligned', () => {
    const view = bytes('03 00 18 00 30 00 00 00 01 00 02 00 00 00 00 00 00*8 00*24')
    expect(u8(view, CH.type)).toBe(PDU_TYPE.C2H_TERM_REQ)
    expect(u32(view, CH.plen)).toBe(48)
    expect(u16(view, TERM_REQ.fes)).toBe(1)
    expect(u32(view, TERM_REQ.fei)).toBe(2)
  })

  test('each type has the header length and the rules of the specification', () => {
    const rules = PDUS.map((row) => [
      row.type, row.name, layoutOf(row.header).bytes, row.digest, row.content, row.sender,
    ])
    expect(rules).toEqual([
      [0, 'ICReq', 128, false, 'never', 'host'], [1, 'ICResp', 128, false, 'never', 'target'],
      [2, 'H2CTermReq', 24, false, 'always', 'host'],
      [3, 'C2HTermReq', 24, false, 'always', 'target'],
      [4, 'CapsuleCmd', 72, true, 'maybe', 'host'], [5, 'CapsuleResp', 24, true, 'never', 'target'],
      [6, 'H2CData', 24, true, 'always', 'host'], [7, 'C2HData', 24, true, 'always', 'target'],
      [9, 'R2T', 24, true, 'never', 'target'],
    ])
  })
})

describe('commands', () => {
  test('Connect, cid 0, qid 0, sqsize 31, kato 5000', () => {
    const view = bytes(`04 00 48 48 48 04 00 00 7f 40 00 00 01 00*19
      00*8 00 04 00 00 00*3 01 00 00 00 00 1f 00 00 00 88 13 00 00 00*12`)
    const at = CAPSULE_CMD.sqe
    expect(view.byteLength).toBe(layoutOf(CAPSULE_CMD).bytes)
    expect(u32(view, CH.plen)).toBe(1096)
    expect(u8(view, at + SQE.opcode)).toBe(FABRICS_OPCODE)
    expect(u8(view, at + SQE.flags)).toBe(0x40)
    expect(u8(view, at + CONNECT.fctype)).toBe(FABRICS_TYPE.CONNECT)
    expect(u8(view, at + CONNECT.sglId)).toBe(SGL_ID.IN_CAPSULE)
    expect(u32(view, at + CONNECT.sglLength)).toBe(layoutOf(CONNECT_DATA).bytes)
    expect(u16(view, at + CONNECT.recfmt)).toBe(0)
    expect(u16(view, at + CONNECT.qid)).toBe(0)
    expect(u16(view, at + CONNECT.sqsize)).toBe(31)
    expect(u8(view, at + CONNECT.cattr) & CATTR_NO_SQ_FLOW).toBe(0)
    expect(u32(view, at + CONNECT.kato)).toBe(5000)
  })

  test('the fields that a refused Connect points at are where IPO says', () => {
    expect([CONNECT.qid, CONNECT.sqsize]).toEqual([42, 44])
    expect([CONNECT_DATA.cntlid, CONNECT_DATA.subnqn, CONNECT_DATA.hostnqn]).toEqual([16, 256, 512])
  })

  test('Property Get CAP, cid 1', () => {
    const view = bytes(`04 00 48 00 48 00 00 00 7f 40 01 00 04 00*19
      00*12 00*3 5a 01 00 00 00 00 00 00 00 00*16`)
    const at = CAPSULE_CMD.sqe
    expect(u16(view, at + PROPERTY_GET.cid)).toBe(1)
    expect(u8(view, at + PROPERTY_GET.fctype)).toBe(FABRICS_TYPE.PROPERTY_GET)
    expect(u8(view, at + PROPERTY_GET.sglId)).toBe(SGL_ID.TRANSPORT)
    expect(u8(view, at + PROPERTY_GET.attrib)).toBe(1)
    expect(u32(view, at + PROPERTY_GET.ofst)).toBe(0)
  })

  test('Write of 8 blocks at 123456789Ah with FUA', () => {
    const view = bytes(`01 40 34 12 02 00 00 00 00*16 00*8 00 10 00 00 00*3 01
      9a 78 56 34 12 00 00 00 07 00 00 40 00*4 00*8`)
    expect(view.byteLength).toBe(64)
    expect(u16(view, READ_WRITE.cid)).toBe(0x1234)
    expect(u32(view, READ_WRITE.nsid)).toBe(2)
    expect(view.getBigUint64(READ_WRITE.slba, true)).toBe(0x12_3456_789an)
    expect(u16(view, READ_WRITE.nlb)).toBe(7)
    expect(u16(view, READ_WRITE.control)).toBe(RW_CONTROL.FUA)
  })

  test('one range of Dataset Management', () => {
    const view = bytes('00 00 00 00 08 00 00 00 10 00 00 00 00 00 00 00')
    expect(u32(view, DSM_RANGE.nlb)).toBe(8)
    expect(u32(view, DSM_RANGE.slba)).toBe(16)
  })

  test('Identify CNS 06h, CSI 2, CNTID 7', () => {
    const view = bytes('06 40 00 00 00*36 06 00 07 00 00 00 00 02 00*16')
    expect(u8(view, IDENTIFY.cns)).toBe(6)
    expect(u16(view, IDENTIFY.cntid)).toBe(7)
    expect(u8(view, IDENTIFY.csi)).toBe(2)
  })

  test('Get Log Page 70h, RAE, 1024 dwords from 1024', () => {
    const view = bytes('02 40 00 00 00*36 70 80 ff 03 00 00 00 00 00 04 00 00 00*4 00*8')
    expect(u8(view, GET_LOG_PAGE.lid)).toBe(0x70)
    expect(u8(view, GET_LOG_PAGE.lspRae) >> 7).toBe(1)
    expect(u16(view, GET_LOG_PAGE.numdl)).toBe(1023)
    expect(u16(view, GET_LOG_PAGE.numdu)).toBe(0)
    expect(u32(view, GET_LOG_PAGE.lpo)).toBe(1024)
  })
})

describe('completions', () => {
  test('CAP of depth 128 in the answer to Property Get', () => {
    const view = bytes(
      '05 00 18 00 18 00 00 00 7f 00 01 1e 20 00 00 00 02 00 00 00 01 00 00 00')
    const at = CAPSULE_RESP.cqe
    const low = u32(view, at + CQE.dw0)
    const high = u32(view, at + CQE.dw1)
    expect(takeBits(low, CAP.mqes)).toBe(127)
    expect(takeBits(low, CAP.cqr)).toBe(1)
    expect(takeBits(low, CAP.to)).toBe(30)
    expect(takeBits(high, CAP.cssNvm)).toBe(1)
    expect(takeBits(high, CAP.cssIocs)).toBe(0)
    expect(takeBits(high, CAP.mpsmin)).toBe(0)
    expect(u16(view, at + CQE.sqhd)).toBe(2)
    expect(u16(view, at + CQE.cid)).toBe(1)
    expect(u16(view, at + CQE.status)).toBe(0)
  })

  test('Connect refused: HOSTNQN in the data; status 1/84h, DNR', () => {
    const view = bytes('00 02 01 00 00 00 00 00 01 00 00 00 34 12 08 83')
    expect(u16(view, CQE_CONNECT_INVALID.ipo)).toBe(CONNECT_DATA.hostnqn)
    expect(u8(view, CQE_CONNECT_INVALID.iattr)).toBe(1)
    const status = u16(view, CQE.status)
    expect(takeBits(status, CQE_STATUS.sct)).toBe(1)
    expect(takeBits(status, CQE_STATUS.sc)).toBe(0x84)
    expect(takeBits(status, CQE_STATUS.dnr)).toBe(1)
    expect(takeBits(status, CQE_STATUS.p)).toBe(0)
  })

  test('CC as Linux writes it to enable', () => {
    const word = 0x0046_0001
    expect(takeBits(word, CC.en)).toBe(1)
    expect(takeBits(word, CC.iosqes)).toBe(6)
    expect(takeBits(word, CC.iocqes)).toBe(4)
    expect(takeBits(0x0046_4001, CC.shn)).toBe(1)
  })
})

test('log pages: the offsets that hosts read', () => {
  expect([SMART_LOG.dur, SMART_LOG.duw, SMART_LOG.hrc, SMART_LOG.hwc, SMART_LOG.mdie])
    .toEqual([32, 48, 64, 80, 160])
  expect([ERROR_ENTRY.sqid, ERROR_ENTRY.status, ERROR_ENTRY.lba, ERROR_ENTRY.nsid])
    .toEqual([8, 12, 16, 24])
  expect([DISCOVERY_ENTRY.trsvcid, DISCOVERY_ENTRY.subnqn, DISCOVERY_ENTRY.traddr])
    .toEqual([32, 256, 512])
  expect(DISCOVERY_ENTRY.sectype).toBe(768)
})
