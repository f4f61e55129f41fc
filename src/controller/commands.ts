/**
 * Commands: the one table of what the executors run. admin and io refuse what is not in it, identify takes the
 * bits of OACS and ONCS from it, log-page the effects log.   NVMe Base 2.0, Commands Supported and Effects
 *
 * A new command is a row here and a case in its executor; hosts then find it wherever they look.
 *
 * Invariant: a command is executed exactly when it has a row; a test sends every opcode to see that.
 */
import { erasesAll, erasesMedia } from '../subsystem/format.ts'
import type { SubsystemSnapshot } from '../subsystem/subsystem.ts'
import { OACS_BITS, ONCS_BITS } from '../wire/identify.ts'
import { putBits } from '../wire/layout.ts'
import { EFFECT_BITS } from '../wire/log-page.ts'
import { ADMIN_OPCODE, FABRICS_OPCODE, IO_OPCODE, ZONE_OPCODE } from '../wire/sqe.ts'

export type Command = {
  readonly opcode: number
  readonly name: string
  /** Of EFFECT_BITS, csupp among them. */
  readonly effects: number
  /** The bit of Identify Controller that announces it: OACS of admin commands, ONCS of I/O commands. */
  readonly announced: number
  /** Discovery controllers have it too. */
  readonly discovery: boolean
  /** null: every subsystem has it. */
  readonly when: ((subsystem: SubsystemSnapshot) => boolean) | null
}

const SUPPORTED = putBits(EFFECT_BITS.csupp, 1)
/** Blocks change. */
const CHANGES_BLOCKS = putBits(EFFECT_BITS.lbcc, 1)
/** CSE: with no other command of the namespace, or of any namespace, at the same time. */
const [ALONE_IN_NAMESPACE, ALONE] = [1, 2]

type More = Partial<Omit<Command, 'opcode' | 'name'>>

/** effects: besides csupp. */
function command(opcode: number, name: string, { effects = 0, ...more }: More = {}): Command {
  return { opcode, name, effects: SUPPORTED | effects, announced: 0, discovery: false, when: null, ...more }
}

const BOTH = { discovery: true }
const RESERVATION = { announced: putBits(ONCS_BITS.reservations, 1) }

/** Other namespaces are there afterwards, or other controllers have them. */
const INVENTORY: More = {
  effects: putBits(EFFECT_BITS.nic, 1), announced: putBits(OACS_BITS.namespaceManagement, 1),
  when: ({ pool }) => pool !== undefined,
}

export const ADMIN_COMMANDS: readonly Command[] = [
  command(ADMIN_OPCODE.GET_LOG_PAGE, 'Get Log Page', BOTH),
  command(ADMIN_OPCODE.IDENTIFY, 'Identify', BOTH),
  command(ADMIN_OPCODE.ABORT, 'Abort', BOTH),
  command(ADMIN_OPCODE.SET_FEATURES, 'Set Features', BOTH),
  command(ADMIN_OPCODE.GET_FEATURES, 'Get Features', BOTH),
  command(ADMIN_OPCODE.ASYNC_EVENT_REQUEST, 'Asynchronous Event Request', BOTH),
  command(ADMIN_OPCODE.KEEP_ALIVE, 'Keep Alive', BOTH),
  command(ADMIN_OPCODE.FORMAT_NVM, 'Format NVM', {
    effects: CHANGES_BLOCKS | putBits(EFFECT_BITS.ncc, 1) | putBits(EFFECT_BITS.cse, ALONE_IN_NAMESPACE),
    announced: putBits(OACS_BITS.format, 1), when: erasesMedia,
  }),
  command(ADMIN_OPCODE.SANITIZE, 'Sanitize', {
    effects: CHANGES_BLOCKS | putBits(EFFECT_BITS.cse, ALONE), when: erasesAll,
  }),
  command(ADMIN_OPCODE.NAMESPACE_MANAGEMENT, 'Namespace Management', INVENTORY),
  command(ADMIN_OPCODE.NAMESPACE_ATTACHMENT, 'Namespace Attachment', INVENTORY),
  command(ADMIN_OPCODE.DISCOVERY_INFORMATION_MANAGEMENT, 'Discovery Information Management', {
    discovery: true, when: ({ central }) => central === true,
  }),
  command(FABRICS_OPCODE, 'Fabrics', BOTH),
]

export const IO_COMMANDS: readonly Command[] = [
  command(IO_OPCODE.FLUSH, 'Flush'),
  command(IO_OPCODE.WRITE, 'Write', { effects: CHANGES_BLOCKS }),
  command(IO_OPCODE.READ, 'Read'),
  command(IO_OPCODE.WRITE_UNCORRECTABLE, 'Write Uncorrectable', {
    effects: CHANGES_BLOCKS, announced: putBits(ONCS_BITS.writeUncorrectable, 1),
  }),
  command(IO_OPCODE.COMPARE, 'Compare', { announced: putBits(ONCS_BITS.compare, 1) }),
  command(IO_OPCODE.WRITE_ZEROES, 'Write Zeroes', {
    effects: CHANGES_BLOCKS, announced: putBits(ONCS_BITS.writeZeroes, 1),
  }),
  command(IO_OPCODE.DATASET_MANAGEMENT, 'Dataset Management', {
    effects: CHANGES_BLOCKS, announced: putBits(ONCS_BITS.dsm, 1),
  }),
  command(IO_OPCODE.VERIFY, 'Verify', { announced: putBits(ONCS_BITS.verify, 1) }),
  command(IO_OPCODE.COPY, 'Copy', { effects: CHANGES_BLOCKS, announced: putBits(ONCS_BITS.copy, 1) }),
  command(IO_OPCODE.RESERVATION_REGISTER, 'Reservation Register', RESERVATION),
  command(IO_OPCODE.RESERVATION_REPORT, 'Reservation Report', RESERVATION),
  command(IO_OPCODE.RESERVATION_ACQUIRE, 'Reservation Acquire', RESERVATION),
  command(IO_OPCODE.RESERVATION_RELEASE, 'Reservation Release', RESERVATION),
  command(FABRICS_OPCODE, 'Fabrics'),
]

/** Of a namespace with zones: those of others, but for one that knows no zones, and these. zones.ts executes them. */
export const ZONE_COMMANDS: readonly Command[] = [
  ...IO_COMMANDS.filter(({ opcode }) => opcode !== IO_OPCODE.WRITE_UNCORRECTABLE),
  command(ZONE_OPCODE.MANAGEMENT_SEND, 'Zone Management Send', { effects: CHANGES_BLOCKS }),
  command(ZONE_OPCODE.MANAGEMENT_RECEIVE, 'Zone Management Receive'),
  command(ZONE_OPCODE.APPEND, 'Zone Append', { effects: CHANGES_BLOCKS }),
]

/** The admin commands of a subsystem's controllers. */
export function adminCommandsOf(subsystem: SubsystemSnapshot): Command[] {
  return ADMIN_COMMANDS.filter((each) =>
    (subsystem.kind === 'nvm' || each.discovery) && (each.when === null || each.when(subsystem)))
}

export function hasAdminCommand(subsystem: SubsystemSnapshot, opcode: number): boolean {
  const found = ADMIN_COMMANDS.find((each) => each.opcode === opcode)
  if (found === undefined || (subsystem.kind === 'discovery' && !found.discovery)) return false
  return found.when === null || found.when(subsystem)
}

/** OACS or ONCS, as far as commands decide about it. Several commands may share a bit. */
export function announcedBy(commands: readonly Command[]): number {
  return commands.reduce((bits, each) => bits | each.announced, 0)
}

/** By opcode: 1 = io executes it. A typed array: it is asked for every command but Read and Write. */
export const IO_SUPPORTED: Readonly<Uint8Array> = Uint8Array.from(
  { length: 256 },
  (_, opcode) => +IO_COMMANDS.some((each) => each.opcode === opcode && opcode !== FABRICS_OPCODE),
)
