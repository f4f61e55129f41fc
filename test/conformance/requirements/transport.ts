/**
 * PDUs on a connection: their headers, initialization, digests, capsules, data.
 * Rows of requirements.ts, whose header says what a row is and which specifications are meant.
 */
import type { Requirement } from '../requirements.ts'

export const TRANSPORT: readonly Requirement[] = [
  // ---- PDU headers and termination
  // ---- PDU headers and termination
  ['PDU-01', 'TCP: PDU common header',
    'A PDU type that is reserved is answered with C2HTermReq, FES 01h, FEI 0.'],
  ['PDU-02', 'TCP: PDU common header',
    'A PDU type that only controllers send is answered with C2HTermReq, FES 01h, FEI 0.'],
  ['PDU-03', 'TCP: PDU common header', 'A wrong HLEN is answered with C2HTermReq, FES 01h, FEI 2.'],
  ['PDU-04', 'TCP: PDU common header',
    'A PLEN that the PDU type does not allow is answered with C2HTermReq, FES 01h, FEI 4.'],
  ['PDU-05', 'TCP: PDU common header',
    'A PDO before the end of the header, unaligned, or beyond the PDU is answered with '
      + 'C2HTermReq, FES 01h, FEI 3.'],
  ['PDU-06', 'TCP: PDU common header',
    'A digest flag that contradicts the negotiation is answered with C2HTermReq, FES 01h, FEI 1.'],
  ['PDU-07', 'TCP: Terminate Connection Request',
    'C2HTermReq has HLEN 24, no flags and no digests even where digests are on, reserved '
      + 'bytes 0, and a copy of the offending header of at most 128 bytes.'],
  ['PDU-08', 'TCP: Error handling',
    'After C2HTermReq the target sends nothing more and closes in order when the host does.'],
  ['PDU-09', 'TCP: Error handling',
    'After C2HTermReq the target closes within 30 seconds although the host does not.'],
  ['PDU-10', 'TCP: Error handling',
    'A fatal error on one connection is not noticed on the others.'],
  ['PDU-11', 'TCP: Terminate Connection Request',
    'On H2CTermReq the target closes the connection and sends no PDU.'],
  ['PDU-12', 'TCP: Terminate Connection Request', 'A malformed H2CTermReq closes the connection.'],
  ['PDU-13', 'TCP: PDU structure', 'PDUs are recognised however TCP splits or joins them.'],
  // ---- initialization
  // ---- initialization
  ['ICR-01', 'TCP: Initialize Connection Response',
    'ICResp has type 1, HLEN and PLEN 128, PFV 0 and reserved bytes 0.'],
  ['ICR-02', 'TCP: Initialize Connection Response',
    'ICResp enables exactly the digests that the host asked for.'],
  ['ICR-03', 'TCP: Initialize Connection Response',
    'CPDA is 0: the target wants no padding (Linux refuses any other value).'],
  ['ICR-04', 'TCP: Initialize Connection Response',
    'MAXH2CDATA is a multiple of 4 and at least 4096.'],
  ['ICR-05', 'TCP: Initialize Connection Request',
    'A PFV other than 0 is answered with C2HTermReq, FES 01h, FEI 8.'],
  ['ICR-06', 'TCP: Initialize Connection Request',
    'An HPDA above 31 is answered with C2HTermReq, FES 01h, FEI 10.'],
  ['ICR-07', 'TCP: Initialize Connection Request',
    'C2HData begins at a multiple of (HPDA + 1) * 4 bytes.'],
  ['ICR-08', 'TCP: Initialize Connection Request', 'Every value of MAXR2T is accepted.'],
  ['ICR-09', 'TCP: Initialize Connection Request',
    'A second ICReq is answered with C2HTermReq, FES 02h.'],
  ['ICR-10', 'TCP: Initialize Connection Request',
    'Any PDU before ICReq is answered with C2HTermReq, FES 02h.'],
  ['ICR-11', 'TCP: Initialize Connection Response', 'ICResp leaves the target in one piece.'],
  ['ICR-12', 'TCP: Initialize Connection Request',
    'An ICReq with a wrong HLEN or PLEN is answered with C2HTermReq, FES 01h, FEI 2 or 4.'],
  // ---- digests
  // ---- digests
  ['DIG-01', 'TCP: Digests', 'Digests are CRC32C, stored little-endian.'],
  ['DIG-02', 'TCP: Digests', 'An enabled digest is on every PDU that can carry it, and is right.'],
  ['DIG-03', 'TCP: Header digest', 'A wrong HDGST is answered with C2HTermReq, FES 03h.'],
  ['DIG-04', 'TCP: Data digest',
    'A wrong DDGST of in-capsule data fails the command with 0/22h Transient Transport Error; '
      + 'the connection lives.'],
  ['DIG-05', 'TCP: Data digest',
    'A wrong DDGST of H2CData fails the command with 0/22h once its transfer has ended; the '
      + 'connection lives.'],
  ['DIG-06', 'TCP: Digests',
    'Data of every size arrive unchanged under each combination of digests.'],
  // ---- capsules
  // ---- capsules
  ['CAP-01', 'TCP: Command capsule',
    'In-capsule data at an offset other than 0 fail with 0/16h SGL Offset Invalid; the '
      + 'connection lives.'],
  ['CAP-02', 'TCP: Command capsule',
    'In-capsule data whose length is not that of the SGL are answered with C2HTermReq, FES 01h.'],
  ['CAP-03', 'TCP: Command capsule',
    'In-capsule data beyond IOCCSZ, on the admin queue beyond 8192 bytes if that is more, are '
      + 'answered with C2HTermReq, FES 05h.'],
  ['CAP-04', 'BASE: SGL descriptors',
    'An SGL descriptor type that TCP has not is answered with status 0/11h; the connection lives.'],
  ['CAP-05', 'TCP: Command capsule',
    'Admin and fabrics commands take up to 8192 bytes in the capsule on every queue.'],
  ['CAP-06', 'TCP: Command capsule',
    'I/O commands take up to IOCCSZ * 16 - 64 bytes in the capsule.'],
  ['CAP-07', 'BASE: SGL descriptors',
    'A command that moves data with an SGL of length 0 fails with 0/0Fh.'],
  ['CAP-08', 'TCP: Command capsule',
    'In-capsule data begin where PDO says: unaligned, or inside the header, is a header error '
      + '(FES 01h, FEI 3).'],
  // ---- data transfer
  // ---- data transfer
  ['DAT-01', 'TCP: Ready to Transfer',
    'R2Ts cover the data of a command once, in order, without gap or overlap, and echo its CID.'],
  ['DAT-02', 'TCP: H2C data transfer',
    'An R2T may be answered with any number of H2CData PDUs, split by TCP anywhere.'],
  ['DAT-03', 'TCP: Ready to Transfer',
    'No more than MAXR2T + 1 R2Ts of a command are outstanding.'],
  ['DAT-04', 'TCP: H2C data transfer',
    'Transfers of several commands interleave on one connection.'],
  ['DAT-05', 'TCP: H2C data transfer',
    'H2CData with a TTAG that is not live (0, unknown, or of a finished transfer) is answered '
      + 'with C2HTermReq, FES 02h.'],
  ['DAT-06', 'TCP: H2C data transfer',
    'H2CData whose CCCID is not that of its TTAG is answered with C2HTermReq, FES 02h.'],
  ['DAT-07', 'TCP: H2C data transfer',
    'H2CData whose DATAO is not the next byte is answered with C2HTermReq, FES 04h.'],
  ['DAT-08', 'TCP: H2C data transfer',
    'H2CData beyond the R2T is answered with C2HTermReq, FES 04h.'],
  ['DAT-09', 'TCP: H2C data transfer',
    'H2CData whose DATAL is 0 or not the length that PLEN leaves is answered with C2HTermReq, '
      + 'FES 01h.'],
  ['DAT-10', 'TCP: H2C data transfer',
    'LAST before the end of an R2T, or none at its end, is answered with C2HTermReq, FES 01h, '
      + 'FEI 1.'],
  ['DAT-11', 'TCP: H2C data transfer',
    'An H2CData PDU of more than MAXH2CDATA bytes is answered with C2HTermReq.'],
  ['DAT-12', 'TCP: C2H data transfer',
    'C2HData are contiguous from 0; LAST is on the last one only.'],
  ['DAT-13', 'TCP: C2H data transfer',
    'While SQ flow control is on, SUCCESS is never set and a CapsuleResp follows the data.'],
  ['DAT-14', 'TCP: C2H data transfer',
    'With SQ flow control off, SUCCESS replaces the CapsuleResp of a read that succeeded.'],
  ['DAT-15', 'TCP: C2H data transfer',
    'A read that fails is answered with a CapsuleResp only, whatever flow control says.'],
  ['DAT-16', 'FAB: Submission queue flow control',
    'SQHD moves on by one with every completion, modulo SQSIZE + 1.'],
  ['DAT-17', 'FAB: Submission queue flow control',
    'With SQ flow control off, SQHD is FFFFh in the Connect response.'],
  ['DAT-18', 'FAB: Submission queues',
    'SQSIZE + 1 commands may be outstanding, and a new one sent as soon as a response is seen.'],
  ['DAT-19', 'TCP: C2H data transfer',
    'A successful command delivers exactly the bytes that were asked for.'],
]
