/**
 * CRC32C of many bytes: the digest of NVMe/TCP, four bytes at a step, for both ends of the simulation.
 * shim and host-queue call it. test/wire-bytes.ts has the plain one, which crc.test.ts compares it with.
 */
const TABLES = tablesOf(4)

function tablesOf(count: number): Uint32Array[] {
  const first = Uint32Array.from({ length: 256 }, (_, byte) => {
    let crc = byte
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1
    return crc
  })
  const tables = [first]
  while (tables.length < count) {
    tables.push(tables.at(-1)!.map((crc) => (crc >>> 8) ^ first[crc & 0xff]!))
  }
  return tables
}

/** Of bytes [at, end), as an int32. */
export function crc32c(bytes: Uint8Array, at: number, end: number): number {
  const [t0, t1, t2, t3] = TABLES as [Uint32Array, Uint32Array, Uint32Array, Uint32Array]
  let crc = -1
  let k = at
  for (; k + 4 <= end; k += 4) {
    crc ^= bytes[k]! | (bytes[k + 1]! << 8) | (bytes[k + 2]! << 16) | (bytes[k + 3]! << 24)
    crc = t3[crc & 0xff]! ^ t2[(crc >>> 8) & 0xff]! ^ t1[(crc >>> 16) & 0xff]! ^ t0[crc >>> 24]!
  }
  for (; k < end; k++) crc = (crc >>> 8) ^ t0[(crc ^ bytes[k]!) & 0xff]!
  return ~crc
}
