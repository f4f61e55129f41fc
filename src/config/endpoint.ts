/**
 * Addresses as people write them on a command line: 192.0.2.7:4420, [::1]:4420, ::1, 4420.
 * Used by flags.ts for listeners and by cli for what it connects to.
 */

/** port null: none was written. */
export type WrittenAddress = { readonly address: string | null; readonly port: number | null }

/**
 * Takes a text apart; null when it cannot be an address. Whether the address is numeric, and the
 * port in range, is for others to check. Digits alone are a port.
 */
export function parseEndpoint(text: string): WrittenAddress | null {
  if (/^\d+$/.test(text)) return { address: null, port: Number(text) }
  const bracketed = /^\[([^\[\]]+)\](?::(\d+))?$/.exec(text)
  if (bracketed !== null) return { address: bracketed[1]!, port: portOf(bracketed[2]) }
  if (/^[^\s\[\]]*:[^\s\[\]]*:[^\s\[\]]*$/.test(text)) return { address: text, port: null }
  const plain = /^([^\s:\[\]]+)(?::(\d+))?$/.exec(text)
  return plain === null ? null : { address: plain[1]!, port: portOf(plain[2]) }
}

function portOf(digits: string | undefined): number | null {
  return digits === undefined ? null : Number(digits)
}
