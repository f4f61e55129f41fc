/**
 * Discovery information as bytes, written by hand for the tests: the data of Discovery Information
 * Management. test → information-bytes; imports nothing of src/.        NVMe Base 2.0.
 *
 *   header 1024: 0 TDL (4) · 8 NUMENT (8) · 16 ENTFMT (2) · 18 ETYPE (2) · 20 PORTLCL · 22 EKTYPE (2)
 *                24 EID (256) · 280 ENAME (256) · 536 EVER (64)
 *   entry 1024:  0 TRTYPE · 1 ADRFAM · 2 SUBTYPE · 8 ASQSZ · 10 EFLAGS · 32 TRSVCID · 256 SUBNQN · 512 TRADDR
 *   extended:    1024 TEL (4) · 1028 NUMEXAT (2) · 1032 attributes: type (2), length (2), value
 */

export type EntryFields = {
  trtype?: number
  adrfam?: number
  subtype?: number
  asqsz?: number
  eflags?: number
  trsvcid?: string
  subnqn?: string
  traddr?: string
  /** Each a type and a value; makes the entry an extended one. */
  attributes?: readonly (readonly [type: number, value: string])[]
}

export function informationEntry(fields: EntryFields = {}): Buffer {
  const base = Buffer.alloc(1024)
  base.set([fields.trtype ?? 3, fields.adrfam ?? 1, fields.subtype ?? 2], 0)
  base.writeUInt16LE(0xffff, 6)
  base.writeUInt16LE(fields.asqsz ?? 32, 8)
  base.writeUInt16LE(fields.eflags ?? 0, 10)
  base.write((fields.trsvcid ?? '4420').padEnd(32), 32)
  base.write(`${fields.subnqn ?? 'nqn.2026-01.example:registered'}\0`, 256)
  base.write((fields.traddr ?? '192.0.2.20').padEnd(256), 512)
  if (fields.attributes === undefined) return base
  const attributes = fields.attributes.map(([type, value]) => {
    const head = Buffer.alloc(4)
    head.writeUInt16LE(type, 0)
    head.writeUInt16LE(value.length, 2)
    return Buffer.concat([head, Buffer.from(value, 'latin1')])
  })
  const tail = Buffer.alloc(8)
  tail.writeUInt32LE(1032 + Buffer.concat(attributes).length, 0)
  tail.writeUInt16LE(attributes.length, 4)
  return Buffer.concat([base, tail, ...attributes])
}

export type HeaderFields = {
  tdl?: number
  nument?: number
  entfmt?: number
  etype?: number
  ektype?: number
  eid?: string
  ename?: string
}

export function information(header: HeaderFields, ...entries: Buffer[]): Buffer {
  const bytes = Buffer.alloc(1024)
  const length = 1024 + Buffer.concat(entries).length
  bytes.writeUInt32LE(header.tdl ?? length, 0)
  bytes.writeUInt32LE(header.nument ?? entries.length, 8)
  bytes.writeUInt16LE(header.entfmt ?? 1, 16)
  bytes.writeUInt16LE(header.etype ?? 2, 18)
  bytes.writeUInt16LE(header.ektype ?? 0x5f, 22)
  bytes.write(`${header.eid ?? 'nqn.2026-01.example:registrant'}\0`, 24)
  bytes.write((header.ename ?? '').padEnd(256), 280)
  return Buffer.concat([bytes, ...entries])
}
