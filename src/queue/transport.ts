/**
 * What a queue asks of its transport. tcp/send.ts is the one implementation; queue calls it without
 * knowing what a PDU is, so that another transport can take its place.
 */
export interface Transport {
  /** Sends the slot's CQE (status, dw0, dw1). sent(slot) follows when it has left. */
  respond(slot: number): void
  /** Sends slots.bytes of payload from the slot's place, then success. sent(slot) follows. */
  sendData(slot: number): void
  /** Asks the host for bytes of the slot's data from offset on, under a tag. */
  requestData(slot: number, tag: number, offset: number, bytes: number): void
}
