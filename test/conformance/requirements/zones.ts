/**
 * Requirements of namespaces with zones: Zoned Namespace Command Set 1.1 (ZNS). requirements.ts has them all.
 */
import type { Requirement } from '../requirements.ts'

export const ZONES: readonly Requirement[] = [
  ['ZNS-01', 'BASE: Controller Capabilities, CSS',
    'A controller with such a namespace announces all I/O command sets (CAP bit 43) and takes CC.CSS 110b; '
      + 'CNS 1Ch names the combination of NVM and zones.'],
  ['ZNS-02', 'ZNS: Identify',
    'CNS 05h and 06h with CSI 2 tell zone size, limits and ZASL as the device does, CNS 03h CSI 2, '
      + 'CNS 07h with CSI 2 these namespaces alone; another namespace fails with 1/29h.'],
  ['ZNS-03', 'BASE: Controller Configuration, CSS',
    'A host that enabled the NVM command set alone does not see them.'],
  ['ZNS-04', 'ZNS: Commands Supported and Effects',
    'LID 05h with CSI 2 lists the zone commands, with CSI 0 it does not; without zones CSI 2 fails with 0/02h.'],
  ['ZNS-05', 'ZNS: Zone Management Receive', 'Reports the zones from SLBA on, all or those of a state; partial or all counted.'],
  ['ZNS-06', 'ZNS: Zone Management Receive', 'The extended report has the descriptor extensions.'],
  ['ZNS-07', 'ZNS: Zone Management Send', 'Opens, closes, finishes and resets a zone, or all; sets an extension.'],
  ['ZNS-08', 'ZNS: Write', 'A write that is not at the write pointer fails with 1/BCh, into a full zone with 1/B9h.'],
  ['ZNS-09', 'ZNS: Zone Append', 'Writes at the write pointer; the completion tells the LBA. More than ZASL fails with 0/02h.'],
  ['ZNS-10', 'ZNS: Read', 'Blocks of several zones fail with 1/B8h where OZCS does not permit it.'],
  ['ZNS-11', 'ZNS: Write Zeroes', 'Zeroes are written at the write pointer, however many commands of the device it takes.'],
  ['ZNS-14', 'ZNS: Changed Zone List', 'Zones that change by themselves are told by event 2/EFh with the NSID in DW1, to hosts that ask for it, '
    + 'and are in LID BFh of the namespace until it is read without RAE.'],
  ['ZNS-12', 'ZNS: I/O commands', 'A namespace without zones refuses the zone commands with 0/01h.'],
  ['ZNS-13', 'ZNS: I/O commands', 'Unknown actions and reports, wrong lengths and LBAs beyond the end are refused before the device sees them.'],
]
