/**
 * What is asked of Namespace Management and Namespace Attachment: rows of requirements.ts, which tells of the sources.
 */
import type { Requirement } from '../requirements.ts'

const [MANAGEMENT, ATTACHMENT] = ['BASE: Namespace Management', 'BASE: Namespace Attachment']

export const NAMESPACES: readonly Requirement[] = [
  ['POL-01', 'BASE: Identify Controller, OACS',
    'Both commands are there, and announced by OACS bit 3 and the effects log, where the subsystem has a pool; else they '
      + 'fail with 0/01h.'],
  ['POL-02', 'BASE: Identify Controller; NVM: Identify Namespace',
    'TNVMCAP counts the pool and the namespaces beside it, UNVMCAP what is free; NVMCAP is what a namespace takes, in '
      + 'whole granules.'],
  ['POL-03', 'BASE: Namespace Granularity List; NVM: Identify Namespace',
    'CNS 16h tells the granule of the pool; CNS 00h of NSID FFFFFFFFh what all namespaces have in common: formats, no '
      + 'thin provisioning.'],
  ['POL-04', MANAGEMENT,
    'Create answers with the NSID, the lowest that is free; the namespace is allocated (CNS 10h, 11h, 1Ah) and attached '
      + 'to no controller (CNS 00h, 02h, 03h, 12h).'],
  ['POL-05', 'NVM: Namespace Management, Host Software Specified Fields',
    'FLBAS, NMIC and ANAGRPID are as the host says; ANACAP bit 7 announces the last.'],
  ['POL-06', MANAGEMENT,
    'What cannot be created is refused and changes nothing: 1/15h without capacity, 1/1Bh where NCAP is less than NSZE, '
      + '1/0Ah for formats and protection information, 1/24h for ANA groups, 1/29h for command sets, else 0/02h.'],
  ['POL-07', MANAGEMENT, 'A namespace of all of UNVMCAP can be created, whichever were deleted before.'],
  ['POL-08', ATTACHMENT,
    'The controllers of the list have the namespace from then on, in all that they tell and execute; others do not.'],
  ['POL-09', ATTACHMENT,
    'A controller that a namespace is detached from answers commands for it with 0/0Bh; those that it had begun are over '
      + 'when the command is answered.'],
  ['POL-10', ATTACHMENT,
    'Attached already is 1/18h, not attached 1/1Ah, a list that is empty, not ascending or names a controller that there '
      + 'is not 1/1Ch; then nothing of the list is done.'],
  ['POL-11', ATTACHMENT, 'A private namespace (NMIC bit 0 cleared) is attached to one controller; others fail with 1/19h.'],
  ['POL-12', 'FAB: Dynamic controller model',
    'All controllers of a host begin with the same namespaces: those that any of its controllers had when the last '
      + 'attachment changed. Configured ones are attached to all until they are detached.'],
  ['POL-13', 'FAB: Static controller model', 'What is attached to a controller outlives its association.'],
  ['POL-14', 'BASE: Namespace Attribute Changed',
    'Controllers that get or lose a namespace are told by event and changed namespace list, but the one that processed '
      + 'the command; others are not.'],
  ['POL-15', MANAGEMENT,
    'Delete takes the namespace away from all controllers, with I/O under way too; its blocks read as zero in the next '
      + 'one.'],
  ['POL-16', MANAGEMENT,
    'NSID FFFFFFFFh deletes all namespaces. Those of the configuration cannot be deleted: 0/15h, and then none is.'],
  ['POL-17', 'BASE: Reservations, Command Behavior',
    'Who may not write a reserved namespace may not delete, attach or detach it: 0/83h; a namespace that is deleted '
      + 'takes its registrants along.'],
  ['POL-18', 'BASE: Namespace Write Protection', 'A namespace that is write protected is not deleted: 0/20h.'],
  ['POL-19', MANAGEMENT,
    'Namespaces, their identifiers and data, and attachments outlive the daemon, however it ended, and reloads.'],
]
