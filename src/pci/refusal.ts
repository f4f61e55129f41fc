/**
 * Why a PCI device was not taken or given back, and what can be done about it, in an operator's words.
 * Thrown by the files of this folder; the command line and the start of the target print it.
 */

export class PciRefusal extends Error {
  override readonly name = 'PciRefusal'
  readonly address: string

  /** reasons: whole sentences, each with its remedy. */
  constructor(address: string, reasons: readonly string[]) {
    super(reasons.join('\n'))
    this.address = address
  }
}
