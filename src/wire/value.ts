/**
 * Values of wire structures that no DataView method writes or reads: numbers of 64 bits, text,
 * identifiers. Cold path only: the builders of Identify and log pages, Connect, and tests use it.
 *
 * A number of 64 bits is a safe integer on our side. Text that is too long is our own mistake,
 * since configuration is validated, and is cut rather than written over the next field.
 */

/** value: a safe integer, 0 or more. */
export function putU64(view: DataView, at: number, value: number): void {
  view.setUint32(at, value % 2 ** 32, true)
  view.setUint32(at + 4, Math.floor(value / 2 ** 32), true)
}

/** NaN where it is not a safe integer. */
export function takeU64(view: DataView, at: number): number {
  const value = view.getUint32(at + 4, true) * 2 ** 32 + view.getUint32(at, true)
  return Number.isSafeInteger(value) ? value : NaN
}

/** Text padded with spaces, as serial, model, firmware and addresses are. */
export function putPadded(view: DataView, at: number, width: number, text: string): void {
  for (let index = 0; index < width; index += 1) {
    view.setUint8(at + index, index < text.length ? text.charCodeAt(index) : 0x20)
  }
}

/** Text without the spaces and NULs after it. */
export function takePadded(view: DataView, at: number, width: number): string {
  const bytes = new Uint8Array(view.buffer, view.byteOffset + at, width)
  return String.fromCharCode(...bytes).replace(/[ \0]+$/, '')
}

/** UTF-8 ended by a NUL; the rest of the field is zero already. */
export function putNqn(view: DataView, at: number, width: number, nqn: string): void {
  const bytes = new TextEncoder().encode(nqn).subarray(0, width - 1)
  new Uint8Array(view.buffer, view.byteOffset + at, width).set(bytes)
}

/** UTF-8 up to the first NUL; null where there is none or the bytes are not UTF-8. */
export function takeNqn(view: DataView, at: number, width: number): string | null {
  const bytes = new Uint8Array(view.buffer, view.byteOffset + at, width)
  const end = bytes.indexOf(0)
  if (end < 0) return null
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes.subarray(0, end))
  } catch {
    return null
  }
}

/** Hexadecimal digits, hyphens left out, as bytes in the order they are written in. */
export function putHex(view: DataView, at: number, digits: string): void {
  const plain = digits.replaceAll('-', '')
  for (let index = 0; index < plain.length / 2; index += 1) {
    view.setUint8(at + index, Number.parseInt(plain.slice(2 * index, 2 * index + 2), 16))
  }
}
