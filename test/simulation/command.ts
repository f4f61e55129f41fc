/**
 * Commands of the simulated hosts, with the usual things filled in. traffic, exchange, rights and host make them.
 */
import type { Command } from './host-queue.ts'

/** A command with the usual things filled in. */
export function command(
  fields: Pick<Command, 'opcode' | 'cdw' | 'done'> & Partial<Command>,
): Command {
  return {
    nsid: 0, fuse: 0, second: null, type: 0, sendBytes: 0, receiveBytes: 0, fill: null, cid: 0, host: -1, from: 0, submittedUs: 0, received: 0, asked: 0, sent: 0,
    dw0: 0, dw1: 0, status: -1, answered: false, ...fields,
  }
}
