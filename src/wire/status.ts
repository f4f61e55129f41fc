/**
 * Status codes: every answer a command can get, one row each.
 * Whoever completes a command uses STATUS; logs and tests use describeStatus().
 * NVMe Base 2.0, Status Field Definition; NVM Command Set 1.0; NVMe over Fabrics.
 *
 *   CQE status field >> 1:   14 DNR | 13 More | 12:11 CRD | 10:8 SCT | 7:0 SC
 *
 * DNR, do not retry, is set where the same command can only fail again. It is not set where
 * waiting, reconnecting or another path may help: hosts give up for good when they see it.
 * Linux turns 0/02h into "not supported", so a bad LBA or a media fault never answers with it.
 */

/** [name, SCT, SC, DNR, 'Title: what it means'] */
const ROWS = [
  // Generic
  ['SUCCESS', 0, 0x00, 0, 'Successful Completion: the command did what it asked for'],
  ['INVALID_OPCODE', 0, 0x01, 1, 'Invalid Command Opcode: this queue has no such command'],
  ['INVALID_FIELD', 0, 0x02, 1, 'Invalid Field in Command: a field has a value it may not have'],
  ['CID_CONFLICT', 0, 0x03, 1,
    'Command ID Conflict: another command of this queue has the same identifier'],
  ['DATA_TRANSFER_ERROR', 0, 0x04, 0, 'Data Transfer Error: the data did not arrive whole'],
  ['POWER_LOSS_ABORT', 0, 0x05, 0,
    'Commands Aborted due to Power Loss Notification: the target is going down'],
  ['INTERNAL_ERROR', 0, 0x06, 0, 'Internal Error: the target failed; its log says how'],
  ['ABORT_REQUESTED', 0, 0x07, 0, 'Command Abort Requested: an Abort command named this one'],
  ['SQ_DELETION', 0, 0x08, 0,
    'Command Aborted due to SQ Deletion: its queue ended before the command did'],
  ['FAILED_FUSED', 0, 0x09, 0,
    'Command Aborted due to Failed Fused Command: the other half of the pair failed'],
  ['MISSING_FUSED', 0, 0x0a, 1,
    'Command Aborted due to Missing Fused Command: the other half of the pair did not come'],
  ['INVALID_NAMESPACE', 0, 0x0b, 1,
    'Invalid Namespace or Format: this controller has no such active namespace'],
  ['COMMAND_SEQUENCE_ERROR', 0, 0x0c, 1,
    'Command Sequence Error: something else has to come before this command'],
  ['INVALID_SGL_SEGMENT_DESCRIPTOR', 0, 0x0d, 1,
    'Invalid SGL Segment Descriptor: it cannot be used here'],
  ['INVALID_NUMBER_OF_SGL_DESCRIPTORS', 0, 0x0e, 1,
    'Invalid Number of SGL Descriptors: one is all a command may have'],
  ['DATA_SGL_LENGTH_INVALID', 0, 0x0f, 1,
    'Data SGL Length Invalid: the length given is not the length of the data'],
  ['METADATA_SGL_LENGTH_INVALID', 0, 0x10, 1,
    'Metadata SGL Length Invalid: the namespace has no metadata of that length'],
  ['SGL_DESCRIPTOR_TYPE_INVALID', 0, 0x11, 1,
    'SGL Descriptor Type Invalid: only in-capsule and transport data blocks exist here'],
  ['ATOMIC_WRITE_UNIT_EXCEEDED', 0, 0x14, 1,
    'Atomic Write Unit Exceeded: more blocks than are compared and written as one'],
  ['SGL_OFFSET_INVALID', 0, 0x16, 1, 'SGL Offset Invalid: in-capsule data starts at offset 0'],
  ['OPERATION_DENIED', 0, 0x15, 1,
    'Operation Denied: hosts may not do this; the configuration says what there is'],
  ['HOST_ID_INCONSISTENT', 0, 0x18, 1,
    'Host Identifier Inconsistent Format: a fabric uses 128-bit host identifiers'],
  ['KEEP_ALIVE_EXPIRED', 0, 0x19, 0,
    'Keep Alive Timer Expired: the host was not heard of in time'],
  ['KEEP_ALIVE_INVALID', 0, 0x1a, 1,
    'Keep Alive Timeout Invalid: the controller cannot keep this time'],
  ['PREEMPT_ABORT', 0, 0x1b, 0,
    'Command Aborted due to Preempt and Abort: another host took the reservation'],
  ['SANITIZE_FAILED', 0, 0x1c, 1,
    'Sanitize Failed: the last sanitize did, and nothing is served until one succeeds'],
  ['SANITIZE_IN_PROGRESS', 0, 0x1d, 0,
    'Sanitize In Progress: all data are being erased, for the whole subsystem'],
  ['NAMESPACE_WRITE_PROTECTED', 0, 0x20, 1,
    'Namespace is Write Protected: it is exported for reading only'],
  ['COMMAND_INTERRUPTED', 0, 0x21, 0, 'Command Interrupted: the same command may succeed now'],
  ['TRANSIENT_TRANSPORT_ERROR', 0, 0x22, 0,
    'Transient Transport Error: the data was damaged on its way'],
  ['MEDIA_NOT_READY', 0, 0x24, 0,
    'Admin Command Media Not Ready: the storage behind the namespace is not ready yet'],
  ['LBA_OUT_OF_RANGE', 0, 0x80, 1,
    'LBA Out of Range: the command reaches beyond the end of the namespace'],
  ['CAPACITY_EXCEEDED', 0, 0x81, 1, 'Capacity Exceeded: the storage has no space left'],
  ['NAMESPACE_NOT_READY', 0, 0x82, 0,
    'Namespace Not Ready: the storage behind it cannot be used at the moment'],
  ['RESERVATION_CONFLICT', 0, 0x83, 1,
    'Reservation Conflict: a reservation of another host forbids this command'],
  ['FORMAT_IN_PROGRESS', 0, 0x84, 0, 'Format In Progress: the namespace is being formatted'],
  // Command specific
  ['INVALID_QUEUE_ID', 1, 0x01, 1, 'Invalid Queue Identifier: no such queue may be connected'],
  ['INVALID_QUEUE_SIZE', 1, 0x02, 1, 'Invalid Queue Size: 0 or more than the controller allows'],
  ['ABORT_LIMIT_EXCEEDED', 1, 0x03, 0,
    'Abort Command Limit Exceeded: too many Abort commands at a time'],
  ['AER_LIMIT_EXCEEDED', 1, 0x05, 1,
    'Asynchronous Event Request Limit Exceeded: as many as allowed are waiting'],
  ['INVALID_FIRMWARE_SLOT', 1, 0x06, 1, 'Invalid Firmware Slot: there is no such slot'],
  ['INVALID_LOG_PAGE', 1, 0x09, 1, 'Invalid Log Page: this controller has no such log'],
  ['INVALID_FORMAT', 1, 0x0a, 1, 'Invalid Format: the namespace cannot have this format'],
  ['FEATURE_NOT_SAVEABLE', 1, 0x0d, 1,
    'Feature Identifier Not Saveable: the value lasts as long as the controller'],
  ['FEATURE_NOT_CHANGEABLE', 1, 0x0e, 1, 'Feature Not Changeable: the value is fixed'],
  ['FEATURE_NOT_NAMESPACE_SPECIFIC', 1, 0x0f, 1,
    'Feature Not Namespace Specific: the value holds for the whole controller'],
  ['NAMESPACE_INSUFFICIENT_CAPACITY', 1, 0x15, 1,
    'Namespace Insufficient Capacity: the pool has not as much left as the namespace needs'],
  ['NAMESPACE_IDENTIFIER_UNAVAILABLE', 1, 0x16, 1,
    'Namespace Identifier Unavailable: there are as many namespaces as there can be'],
  ['NAMESPACE_ALREADY_ATTACHED', 1, 0x18, 1,
    'Namespace Already Attached: a controller of the list has it already'],
  ['NAMESPACE_IS_PRIVATE', 1, 0x19, 1,
    'Namespace Is Private: it is attached to a controller, and no other may have it'],
  ['NAMESPACE_NOT_ATTACHED', 1, 0x1a, 1,
    'Namespace Not Attached: a controller of the list does not have it'],
  ['THIN_PROVISIONING_NOT_SUPPORTED', 1, 0x1b, 1,
    'Thin Provisioning Not Supported: a namespace has as much capacity as it has blocks'],
  ['CONTROLLER_LIST_INVALID', 1, 0x1c, 1,
    'Controller List Invalid: it is empty, not ascending, or names a controller that is not there'],
  ['ANA_GROUP_INVALID', 1, 0x24, 1, 'ANA Group Identifier Invalid: there is no such group'],
  ['NAMESPACE_ATTACHMENT_LIMIT_EXCEEDED', 1, 0x27, 1,
    'Namespace Attachment Limit Exceeded: as many as can be remembered have the namespace'],
  ['IOCS_NOT_SUPPORTED', 1, 0x29, 1,
    'I/O Command Set Not Supported: the controller, or the namespace, has another one'],
  ['IOCS_COMBINATION_REJECTED', 1, 0x2b, 1,
    'I/O Command Set Combination Rejected: there is no such combination'],
  ['INVALID_DISCOVERY_INFORMATION', 1, 0x2f, 1,
    'Invalid Discovery Information: an entry cannot be registered as it is'],
  ['INSUFFICIENT_DISCOVERY_RESOURCES', 1, 0x32, 1,
    'Insufficient Discovery Resources: there is no room for that many entries'],
  ['CONFLICTING_ATTRIBUTES', 1, 0x80, 1,
    'Conflicting Attributes: the attributes contradict each other'],
  ['INVALID_PROTECTION_INFORMATION', 1, 0x81, 1,
    'Invalid Protection Information: the namespace has none, but the command asks for it'],
  ['READ_ONLY_RANGE', 1, 0x82, 1,
    'Attempted Write to Read Only Range: the blocks cannot be written'],
  ['COMMAND_SIZE_LIMIT_EXCEEDED', 1, 0x83, 1,
    'Command Size Limit Exceeded: more blocks or ranges than the controller takes'],
  // Of namespaces with zones
  ['INVALID_ZONE_OPERATION', 1, 0xb6, 1,
    'Invalid Zone Operation Request: the zone does not take this action as it was asked for'],
  ['ZONE_BOUNDARY_ERROR', 1, 0xb8, 1, 'Zoned Boundary Error: the blocks are of several zones'],
  ['ZONE_FULL', 1, 0xb9, 1, 'Zone Is Full: it has to be reset before it is written again'],
  ['ZONE_READ_ONLY', 1, 0xba, 1, 'Zone Is Read Only: the device does not write it any more'],
  ['ZONE_OFFLINE', 1, 0xbb, 1, 'Zone Is Offline: the device has given it up'],
  ['ZONE_INVALID_WRITE', 1, 0xbc, 1, 'Zone Invalid Write: the write is not at the write pointer'],
  ['TOO_MANY_ACTIVE_ZONES', 1, 0xbd, 0,
    'Too Many Active Zones: one has to be finished or reset first'],
  ['TOO_MANY_OPEN_ZONES', 1, 0xbe, 0, 'Too Many Open Zones: one has to be closed first'],
  ['INVALID_ZONE_STATE_TRANSITION', 1, 0xbf, 1,
    'Invalid Zone State Transition: the zone is in a state that does not lead there'],
  // Fabrics. The numbers are shared with the NVM commands above; the opcode tells which is meant.
  ['INCOMPATIBLE_FORMAT', 1, 0x80, 1, 'Incompatible Format: there is no such record format'],
  ['CONTROLLER_BUSY', 1, 0x81, 0,
    'Controller Busy: no controller is free, or the one named has another association'],
  ['CONNECT_INVALID_PARAMETERS', 1, 0x82, 0,
    'Connect Invalid Parameters: the field that the completion names is wrong'],
  ['CONNECT_RESTART_DISCOVERY', 1, 0x83, 1,
    'Connect Restart Discovery: the subsystem is to be found elsewhere'],
  ['CONNECT_INVALID_HOST', 1, 0x84, 1,
    'Connect Invalid Host: this host may not use this subsystem'],
  ['INVALID_QUEUE_TYPE', 1, 0x85, 1,
    'Invalid Queue Type: the admin queue cannot be disconnected by a command'],
  ['DISCOVER_RESTART', 1, 0x90, 0,
    'Discover Restart: the log changed while it was being read'],
  ['AUTHENTICATION_REQUIRED', 1, 0x91, 1,
    'Authentication Required: the host has to authenticate first'],
  // Media and data integrity
  ['WRITE_FAULT', 2, 0x80, 0, 'Write Fault: the storage could not write'],
  ['UNRECOVERED_READ_ERROR', 2, 0x81, 0, 'Unrecovered Read Error: the storage could not read'],
  ['COMPARE_FAILURE', 2, 0x85, 1, 'Compare Failure: the blocks are not what the host expected'],
  ['ACCESS_DENIED', 2, 0x86, 1, 'Access Denied: the storage does not permit it'],
  // Path
  ['INTERNAL_PATH_ERROR', 3, 0x00, 0,
    'Internal Path Error: the namespace cannot be reached through this controller at the moment'],
  // None says "do not retry": Linux would not try another path then.
  ['ANA_PERSISTENT_LOSS', 3, 0x01, 0,
    'Asymmetric Access Persistent Loss: this path to the namespace does not come back'],
  ['ANA_INACCESSIBLE', 3, 0x02, 0,
    'Asymmetric Access Inaccessible: this controller does not reach the namespace, others may'],
  ['ANA_TRANSITION', 3, 0x03, 0,
    'Asymmetric Access Transition: the state of this path to the namespace is changing'],
  ['CONTROLLER_PATH_ERROR', 3, 0x60, 0,
    'Controller Pathing Error: the controller lost its way to the storage'],
  ['ABORTED_BY_HOST', 3, 0x71, 0, 'Command Aborted By Host: the host gave the command up'],
] as const

export type StatusName = (typeof ROWS)[number][0]

export const DO_NOT_RETRY = 1 << 14
export const STATUS_MORE = 1 << 13

const codeOf = (sct: number, sc: number, dnr: number): number => sc | sct << 8 | dnr << 14

/** name → code, ready for a CQE: write `code << 1` into CQE.status. */
export const STATUS = Object.freeze(
  Object.fromEntries(ROWS.map(([name, sct, sc, dnr]) => [name, codeOf(sct, sc, dnr)])),
) as Readonly<Record<StatusName, number>>

/** The table itself, for the documentation and for tests. */
export const STATUS_ROWS: readonly (readonly [StatusName, number, number, number, string])[] = ROWS

const hex = (value: number): string => `${value.toString(16).toUpperCase().padStart(2, '0')}h`

/**
 * 'LBA Out of Range (0/80h), do not retry: the command reaches beyond …'. Of codes that Fabrics
 * and NVM commands share, `fabrics` says whose meaning is wanted.
 */
export function describeStatus(code: number, fabrics = false): string {
  const sct = code >> 8 & 7
  const sc = code & 0xff
  const rows = ROWS.filter((row) => row[1] === sct && row[2] === sc)
  const row = fabrics ? rows.at(-1) : rows[0]
  const [title, meaning] = row === undefined ? ['Unknown Status'] : row[4].split(': ')
  const retry = (code & DO_NOT_RETRY) === 0 ? '' : ', do not retry'
  return `${title} (${sct}/${hex(sc)})${retry}${meaning === undefined ? '' : `: ${meaning}`}`
}
