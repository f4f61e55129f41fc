/**
 * Discovery controllers, and what is not there at all.
 * Rows of requirements.ts, whose header says what a row is and which specifications are meant.
 */
import type { Requirement } from '../requirements.ts'

export const DISCOVERY: readonly Requirement[] = [
  // ---- discovery
  // ---- discovery
  ['DSC-01', 'FAB: Discovery Log Page',
    'The header holds GENCTR, NUMREC, RECFMT 0; its first 20 bytes can be read alone.'],
  ['DSC-02', 'FAB: Discovery Log Page',
    'Every subsystem and listener that the host may use is one entry, and the discovery '
      + 'service itself the first.'],
  ['DSC-03', 'FAB: Discovery Log Page',
    'An entry says TCP, the address family, the port in ASCII, CNTLID FFFFh, ASQSZ of at '
      + 'least 32.'],
  ['DSC-04', 'FAB: Discovery Log Page',
    'Reading in pieces of 4096 bytes from 1024 on gives the same entries.'],
  ['DSC-05', 'FAB: Discovery Log Page',
    'A wildcard listener is listed with the address that the host reached.'],
  ['DSC-06', 'FAB: Discovery Log Page', 'Subsystems that the host may not use are not listed.'],
  ['DSC-07', 'FAB: Discovery Log Page',
    'GENCTR does not change while nothing changes, whoever reads.'],
  ['DSC-08', 'FAB: Discovery service',
    'The discovery NQN is served on the listeners of subsystems too.'],
  ['DSC-09', 'FAB: Discovery controller',
    'Commands that a discovery controller has not fail with 0/01h.'],
  ['DSC-10', 'BASE: Discovery Log Page',
    'Referrals are entries of SUBTYPE 1, told only to the hosts that they are for.'],
  ['DSC-11', 'BASE: Discovery Log Page',
    'With EXTDLPE each entry is followed by TEL, NUMEXAT and its attributes; DLPF and TDLPL say so.'],
  ['DSC-12', 'BASE: Discovery Log Page',
    'With PLEO only what is at the address that the host reached is listed; DLPF says so.'],
  ['DSC-13', 'BASE: Supported Log Pages',
    'LIDSPEC of the discovery log names the choices that there are.'],
  ['DSC-14', 'BASE: Unique discovery NQN',
    'A discovery service with a name of its own answers to it and to the well-known one, and '
      + 'tells it in its entry and in Identify Controller.'],
  ['DSC-15', 'FAB: Discovery controller',
    'Connect of an I/O queue is refused with 1/82h, also where only discovery is offered.'],
  ['DSC-16', 'BASE: Discovery Information Management',
    'What is registered with a central discovery controller is listed for every host until it is '
      + 'deregistered, with the attributes that came with it.'],
  ['DSC-17', 'BASE: Discovery Information Management',
    'What cannot be registered fails with 0/02h, 1/2Fh or 1/32h and changes nothing.'],
  ['DSC-18', 'BASE: Discovery Information Management',
    'DCTYPE says whether a discovery controller is a central one; a direct one has no such command.'],
  ['DSC-19', 'BASE: Discovery Information Management',
    'What a host registers over a connection that it keeps alive goes with that connection.'],
  ['DSC-20', 'BASE: Discovery Log Page Change',
    'A change of the log is told once, 2/F0h/70h, to those who asked for it and see it; reading '
      + 'the log without RAE makes the next change news again.'],
  ['DSC-21', 'BASE: Discovery Log Page', 'GENCTR is another one after each change of the log.'],
  ['DSC-22', 'BASE: Discovery Information Management',
    'weft registers what any host may use, and its discovery service, with a central discovery '
      + 'controller, and deregisters it when it stops.'],
  ['DSC-23', 'BASE: Discovery Information Management',
    'weft registers again when the central discovery controller comes back.'],
  ['DSC-24', 'TP 8009: DNS-SD',
    'The discovery service is announced as _nvme-disc._tcp with p and nqn, on the interfaces where '
      + 'it can be reached, and withdrawn at stop.'],
  // ---- not implemented or not tested yet
  // ---- not implemented or not tested yet
  ['NYI-04', 'TCP: TLS', 'TLS 1.3 with pre-shared keys.'],
  ['NYI-07', 'NVM: Get LBA Status',
    'The command, with its log, notice and feature; OACS does not announce it. NUSE tells what is allocated, and a '
      + 'Read or Verify which blocks are lost.'],
]
