/**
 * I/O commands, and what decides whether a host may give them.
 * Rows of requirements.ts, whose header says what a row is and which specifications are meant.
 */
import type { Requirement } from '../requirements.ts'

export const COMMANDS: readonly Requirement[] = [
  // ---- I/O
  // ---- I/O
  ['NVM-01', 'NVM: Read, Write',
    'A read returns what was written, from one block to 1 MiB, in both block sizes.'],
  ['NVM-02', 'NVM: Write', 'FUA is accepted on reads and writes.'],
  ['NVM-03', 'NVM: Flush', 'Flush succeeds for a namespace, and for FFFFFFFFh if VWC says so.'],
  ['NVM-04', 'NVM: Write Zeroes', 'Write Zeroes makes the blocks, and no others, read as zero.'],
  ['NVM-05', 'NVM: Dataset Management', 'Deallocated blocks, and no others, read as zero.'],
  ['NVM-06', 'NVM: Compare',
    'Compare succeeds on equal data and fails with 2/85h on different data.'],
  ['NVM-07', 'NVM: LBA range',
    'Blocks beyond the namespace fail with 0/80h, however large SLBA is.'],
  ['NVM-08', 'NVM: Data length', 'An SGL whose length is not that of the blocks fails with 0/0Fh.'],
  ['NVM-09', 'BASE: Namespaces', 'NSID 0, FFFFFFFFh or an inactive one fails with 0/0Bh.'],
  ['NVM-10', 'BASE: Opcodes',
    'An opcode that is not supported fails with 0/01h, with and without data, on every queue.'],
  ['NVM-11', 'BASE: MDTS', 'A transfer beyond MDTS fails with 0/02h; the connection lives.'],
  ['NVM-12', 'BASE: Queues',
    'What was written on one queue is read on another, on whatever reactor it lives.'],
  ['NVM-14', 'NVM: Namespaces', 'Namespaces of a controller do not share blocks.'],
  ['NVM-15', 'NVM: Null namespace', 'A null namespace accepts writes and reads as zero.'],
  ['NVM-16', 'NVM: Dataset Management',
    'Ranges that lie beyond the namespace fail with 0/80h; attributes without deallocate '
      + 'change nothing.'],
  ['NVM-17', 'BASE: Status', 'Errors of the host\'s making carry Do Not Retry.'],
  ['NVM-18', 'NVM: Write Zeroes',
    'Write Zeroes and Dataset Management work over the whole namespace.'],
  ['NVM-19', 'BASE: Namespace Write Protection',
    'A namespace configured as read-only says so, and fails what would change it with 0/20h.'],
  // ---- optional commands
  // ---- optional commands
  ['CMD-01', 'NVM: Copy',
    'Copy writes the source ranges one after the other, in descriptor formats 0 and 1.'],
  ['CMD-02', 'NVM: Copy',
    'A source range that overlaps the target is copied as it was before the command.'],
  ['CMD-03', 'NVM: Copy',
    'A range beyond MSSRL, ranges beyond MCL together, and more of them than MSRC fail with 1/83h.'],
  ['CMD-04', 'NVM: Copy', 'A source or a target beyond the namespace fails with 0/80h.'],
  ['CMD-05', 'NVM: Copy',
    'A descriptor format that OCFS does not have fails with 0/02h, a wrong length with 0/0Fh.'],
  ['CMD-06', 'NVM: Verify',
    'Verify reads blocks up to VSL without sending them; more fails with 0/02h.'],
  ['CMD-07', 'NVM: Write Zeroes',
    'Write Zeroes takes as many blocks as WZSL says; more fails with 0/02h.'],
  ['CMD-08', 'NVM: Compare', 'Compare takes as much data as MDTS allows.'],
  // ---- fused operations
  // ---- fused operations
  ['FUS-01', 'BASE: Fused Operations',
    'A Compare that is fused with a Write writes if the blocks are equal; FUSES and ACWU say so.'],
  ['FUS-02', 'BASE: Fused Operations',
    'If they are not, the Compare fails with 2/85h, the Write with 0/09h, and nothing is written.'],
  ['FUS-03', 'NVM: Compare and Write',
    'Halves with different blocks fail with 0/02h, both.'],
  ['FUS-04', 'NVM: ACWU, NACWU',
    'As many blocks as NACWU says are compared and written as one; more fail with 0/14h.'],
  ['FUS-05', 'BASE: Fused Operations',
    'A half whose other one is not next to it on the same queue fails with 0/0Ah, and is not run.'],
  ['FUS-06', 'BASE: Fused Operations',
    'Where one half is wrong, the other one fails with 0/09h.'],
  ['FUS-07', 'BASE: Fused Operations',
    'A reserved FUSE, and one on the admin queue, fail with 0/02h.'],
  ['FUS-08', 'NVM: Compare and Write',
    'Nothing on another queue comes between the halves, on whatever reactor it lives, and no read '
      + 'shows a part of them.'],
  ['FUS-09', 'NVM: Compare and Write',
    'Other commands on the same blocks wait, and go on.'],
  // ---- Asymmetric namespace access
  // ---- Asymmetric namespace access
  ['VIS-01', 'BASE: Namespaces',
    'To a host that a namespace is not there for, its NSID is inactive: in no list, zeroes in Identify, '
      + 'refused with 0/0Bh where a namespace is needed.'],
  ['VIS-02', 'BASE: Namespaces',
    'I/O commands of such a host on it are refused with 0/0Bh on every queue.'],
  ['VIS-03', 'BASE: ANA log page', 'Descriptors have the NSIDs that are active for the host, and no others.'],
  ['VIS-04', 'BASE: Asynchronous events',
    'A host that a namespace comes to be there for, or is there for no longer, is told by event and '
      + 'Changed Namespace List; the others are not.'],
  ['VIS-05', 'BASE: SMART log page',
    'Counters are of the whole subsystem, so that none goes back when a namespace is hidden.'],
  ['VIS-06', 'BASE: Format NVM, Sanitize',
    'A host formats what is there for it, else 0/0Bh; Sanitize, which concerns all of the subsystem, is for those that '
      + 'see all of it: to others SANICAP is 0, and it fails with 0/01h.'],
  ['ANA-01', 'BASE: Identify',
    'CMIC bit 3, OAES bit 11, ANATT, ANACAP with all five states, ANAGRPMAX and NANAGRPID are '
      + 'reported; MNAN is neither 0 nor above NN.'],
  ['ANA-02', 'BASE: Identify',
    'ANAGRPID of a namespace is its group, and NMIC bit 0 is set, through every controller.'],
  ['ANA-03', 'BASE: ANA log page',
    'Log 0Ch has a descriptor of each group that has namespaces, with the state of the listener '
      + 'that the controller was reached at, and their NSIDs in ascending order.'],
  ['ANA-04', 'BASE: ANA log page', 'With RGO the descriptors have no NSIDs, and NNSIDS 0.'],
  ['ANA-05', 'BASE: ANA log page',
    'The change counts of the log and of a group grow when what they stand for changes, and at no '
      + 'other time.'],
  ['ANA-06', 'BASE: ANA states',
    'I/O on a namespace through a path that is inaccessible, lost for good or changing ends with '
      + '3/02h, 3/01h or 3/03h, all without DNR; through the others it is executed.'],
  ['ANA-07', 'BASE: ANA states',
    'Get and Set Features of a namespace are refused with the same status, features of the '
      + 'controller, Identify and logs are not.'],
  ['ANA-08', 'BASE: ANA states',
    'NUSE is 0 through a path that is inaccessible or lost for good.'],
  ['ANA-09', 'BASE: Asynchronous events',
    'A change of state is told by type 2, information 03h, LID 0Ch to the controllers whose log '
      + 'changed, and to those alone.'],
  ['ANA-10', 'BASE: ANA states',
    'A write whose data come after its path became inaccessible is executed and answered.'],
  ['ANA-11', 'FAB: Association',
    'An I/O queue that comes by another listener than its admin queue is refused with 1/82h, '
      + 'IPO 42.'],
  ['ANA-12', 'NVM: Flush',
    'A Flush of all namespaces is refused when one of them cannot be reached through its path.'],
  ['AUT-23', 'BASE: In-band authentication',
    'A key that is changed counts from the next authentication on; queues that are open go on.'],
  // ---- reservations
  // ---- reservations
  ['RES-01', 'BASE: Identify Namespace',
    'ONCS bit 5, and in RESCAP all six types, persistence through power loss, and IEKEY as of 1.3.'],
  ['RES-02', 'BASE: Reservation Register',
    'A host registers a key that is not 0 (else 0/02h); again with the same key succeeds, with another fails '
      + 'with 0/83h.'],
  ['RES-03', 'BASE: Reservation Register',
    'Replacing and unregistering need the present key, else 0/83h; with IEKEY they do not.'],
  ['RES-04', 'BASE: Reservation Register', 'An action or a CPTPL that does not exist fails with 0/02h.'],
  ['RES-05', 'BASE: Reservation Report',
    'The report has GEN, RTYPE, REGSTRNT, PTPLS, and for each registrant CNTLID, RCSTS, RKEY and HOSTID.'],
  ['RES-06', 'BASE: Reservation Report',
    'A report is cut to NUMD, and filled up with zeroes; REGSTRNT counts those that were cut too.'],
  ['RES-07', 'BASE: Reservation Report',
    'On a fabric, where host identifiers have 128 bits, a report without EDS fails with 0/18h.'],
  ['RES-08', 'BASE: Reservations', 'Keys of another length, and NUMD that is not the length, fail with 0/0Fh.'],
  ['RES-09', 'BASE: Reservation Acquire',
    'Only registrants acquire, with their key, what nobody holds; else 0/83h. The holder may ask again.'],
  ['RES-10', 'BASE: Reservation Acquire',
    'IEKEY, an RTYPE or an action that does not exist fail with 0/02h.'],
  ['RES-11', 'BASE: Command Behavior in the Presence of a Reservation',
    'By type and role, commands that read and commands that write are executed or fail with 0/83h.'],
  ['RES-12', 'BASE: Command Behavior in the Presence of a Reservation',
    'A Flush of all namespaces fails with 0/83h where it would on one of them.'],
  ['RES-13', 'BASE: Reservations', 'A host is known by its host identifier, on every controller and queue.'],
  ['RES-14', 'BASE: Reservations',
    'A write that begins after the Acquire was answered is refused on every queue.'],
  ['RES-15', 'BASE: Preempting a Reservation or Registration',
    'Preempt takes registrations by key, and the reservation where the key is the holder\'s; of the types that '
      + 'all hold, the key 0 means all others.'],
  ['RES-16', 'BASE: Preempt and Abort',
    'Preempt and Abort is answered when no command of the preempted hosts can change blocks any more; those '
      + 'that waited for data end with 0/1Bh.'],
  ['RES-17', 'BASE: Reservation Release',
    'The holder releases the type that it holds, else 0/02h; clear ends all registrations.'],
  ['RES-18', 'BASE: Reservation Notification log',
    'Notices are told by an event of type 6 and read from LID 80h, oldest first, with a count from 1 on, the '
      + 'number of those behind it, and the NSID; reading without RAE takes one out.'],
  ['RES-19', 'BASE: Reservation Notification log',
    'Who does not read loses the notices that came last; a gap in the counts says so.'],
  ['RES-20', 'BASE: Reservation Notification Mask (82h)',
    'Notices that are masked for a namespace are not given; a bit that does not exist fails with 0/02h.'],
  ['RES-21', 'BASE: Reservation Persistence (83h)',
    'The feature and PTPLS are the same thing; NSID FFFFFFFFh sets it for all namespaces.'],
  ['RES-22', 'BASE: Reservations', 'At least 64 registrants; more than there is room for fail with 0/06h.'],
  ['RES-23', 'BASE: Persist Through Power Loss',
    'With PTPLS 1 registrations and the reservation outlive the daemon, however it ended; with 0 they do not.'],
  ['RES-24', 'BASE: Persist Through Power Loss',
    'What cannot be written to the medium fails with 0/06h and changes nothing.'],
  // ---- defects, formatting, sanitizing
  ['MED-01', 'NVM: Write Uncorrectable',
    'ONCS bit 1; afterwards Read, Compare, Verify, Copy and a fused Compare of the blocks fail with 2/81h on every '
      + 'queue, and those of the blocks beside them do not.'],
  ['MED-02', 'NVM: Write Uncorrectable',
    'A Write, Write Zeroes or Copy to the blocks makes them readable on every queue; to deallocate them does not.'],
  ['MED-03', 'NVM: Write Uncorrectable',
    'Blocks beyond the end fail with 0/80h, a protected namespace with 0/20h, no namespace with 0/0Bh.'],
  ['MED-04', 'NVM: Write Uncorrectable', 'What was marked in a file stays so when the daemon is killed.'],
  ['MED-05', 'BASE: Identify Controller', 'OACS bit 1; FNA: one namespace at a time, and no cryptographic erase.'],
  ['MED-06', 'BASE: Format NVM',
    'LBAF0 has 512 and LBAF1 4096 bytes; after a Format the namespace has blocks of that size on every queue, and '
      + 'nothing of what was in it, with a secure erase as without.'],
  ['MED-07', 'BASE: Format NVM', 'Other hosts get a namespace attribute notice.'],
  ['MED-08', 'BASE: Format NVM',
    'A format that does not exist fails with 1/0Ah, another secure erase and all namespaces with 0/02h, a protected '
      + 'namespace with 0/20h, a reserved one with 0/83h.'],
  ['MED-09', 'BASE: Format NVM',
    'A command whose data or turn come after the Format fails with 0/84h and changes nothing.'],
  ['MED-10', 'BASE: Format NVM',
    'The format outlives the daemon; it is the namespace\'s, also where its storage is another\'s later.'],
  ['MED-11', 'BASE: Sanitize',
    'SANICAP has block erase and overwrite; afterwards all namespaces are empty, the log says so, and controllers get '
      + 'the event of type 6.'],
  ['MED-12', 'BASE: Sanitize Operations',
    'Meanwhile I/O commands, Format NVM and Sanitize fail with 0/1Dh; Identify, logs and features go on.'],
  ['MED-13', 'BASE: Sanitize',
    'An action that does not exist, and No-Deallocate After Sanitize, fail with 0/02h; a protected namespace is why '
      + 'none is sanitized, 0/20h.'],
  ['MED-14', 'BASE: Sanitize Operations', 'A sanitize that was interrupted goes on with the next start.'],
  ['MED-15', 'BASE: Sanitize Operations',
    'After a failure commands fail with 0/1Ch until another one succeeds; where AUSE was set, a host may leave the '
      + 'failure mode.'],
]
