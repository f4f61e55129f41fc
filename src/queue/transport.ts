/**
 * What a queue asks of its transport. tcp/send.ts is the one implementation; queue calls it without
 * knowing what a PDU is, so that another transport can take its place.
 */
import type { Slot } from '../reactor/slots.ts'
export interface Transport {
  /** Sends the slot's CQE (status, dw0, dw1). sent(slot) follows when it has left. */
  respond(slot: Slot): void
  /** Sends slots.bytes of payload from the slot's place, then success. sent(slot) follows. */
  sendData(slot: Slot): void
  /** Asks the host for bytes of the slot's data from offset on, under a tag. */
  requestData(slot: Slot, tag: number, offset: number, bytes: number): void
}
