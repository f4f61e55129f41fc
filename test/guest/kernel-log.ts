/**
 * Reads the guest's kernel log after every check and tells complaints from conversation.
 * run → kernel-log → vm (dmesg). The sentences are those of Linux 6.1 to 6.12, drivers nvme, block
 * and ext4.
 *
 * Invariant: a line about storage that no list knows is a complaint.
 */
import type { VirtualMachine } from './vm.ts'

/** Lines that concern the test at all. */
const CONCERNS =
  /nvme|blk_update_request|I\/O error|EXT4-fs|JBD2|WARNING:|BUG:|Oops|general protection/i

/** Said by a healthy host. */
const CONVERSATION: readonly RegExp[] = [
  /nvme nvme\d+: new ctrl: /,
  /nvme nvme\d+: creating \d+ I\/O queues\./,
  /nvme nvme\d+: mapped \d+\/\d+\/\d+ default\/read\/poll queues\./,
  /nvme nvme\d+: Removing ctrl: NQN /,
  /nvme nvme\d+: Removing after discovery/,
  /nvme_core: loading out-of-tree|nvme: module verification/,
  /nvmet: (?:adding nsid|creating (?:nvm|discovery) controller)/,
  /nvmet_tcp: enabling port/,
  /nvmet: connect (?:request for invalid subsystem|by host \S+ for subsystem \S+ not allowed)/,
  /EXT4-fs \(nvme\w+\): (?:mounted|unmounting) filesystem/,
]

/** Said by a host whose target went away and came back. */
export const RECONNECTION: readonly RegExp[] = [
  /nvme nvme\d+: starting error recovery/,
  /nvme nvme\d+: Reconnecting in \d+ seconds/,
  /nvme nvme\d+: failed to connect socket: -\d+/,
  /nvme nvme\d+: Failed reconnect attempt \d+/,
  /nvme nvme\d+: Successfully reconnected/,
  /nvme nvme\d+: queue \d+: (?:timeout|timed out)/,
  /nvme nvme\d+: I\/O tag \d+ \([0-9a-f]+\) (?:type \d+ )?opcode /,
  /nvme nvme\d+: receive failed:\s+-\d+/,
  /nvme nvme\d+: queue \d+: failed to send request|nvme nvme\d+: failed to send request -\d+/,
  /nvme nvme\d+: failed nvme_keep_alive_end_io error=\d+/,
  /nvme nvme\d+: queue \d+: receive failed/,
  // TCP_CLOSING: both ends have closed at the same time.
  /nvme nvme\d+: queue \d+ socket state 11$/,
  /nvme nvme\d+: failed to (?:recv|receive|send) icre\w+ .*-?\d+/i,
  /nvme nvme\d+: queue \d+: type \d+, failed to receive icresp/i,
  /nvme nvme\d+: Property (?:Set|Get) error: /,
  /nvme nvme\d+: (?:Failed to configure AEN|failed to set APST)/,
  /nvme nvme\d+: Connect command failed, (?:err|error)/,
  /nvme nvme\d+: Reading CAP failed|nvme nvme\d+: Device not ready/,
  /nvme nvme\d+: long keepalive RTT/,
  /block nvme\d+n\d+: no usable path - requeuing I\/O/,
  /nvme_ns_head_submit_bio: \d+ callbacks suppressed/,
]

export class KernelLog {
  readonly #vm: VirtualMachine
  readonly #lines: string[] = []

  constructor(vm: VirtualMachine) {
    this.#vm = vm
  }

  /** All lines taken so far. */
  get text(): string {
    return this.#lines.join('\n')
  }

  /** Takes the lines since the last call out of the kernel, returns the complaints among them. */
  async complaints(expected: readonly RegExp[]): Promise<readonly string[]> {
    const said = await this.#vm.require('busybox dmesg -c')
    const lines = said.split('\n').filter((at) => at !== '')
    this.#lines.push(...lines)
    const known = [...CONVERSATION, ...expected]
    return lines.filter((at) => CONCERNS.test(at) && !known.some((each) => each.test(at)))
  }
}
