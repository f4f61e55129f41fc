/**
 * Layouts: where the fields of a wire structure are, declared once.
 * Every structure in src/wire is made here; the hot path reads the offsets, describe() and
 * docs/WIRE.md the rest.
 *
 *   const SQE = layout('SQE', 64, { opcode: [0, 1], flags: [1, 1], cid: [2, 2], … })
 *   SQE.cid === 2            a plain number with a literal type: costs what a constant costs
 *   layoutOf(SQE).fields     names, offsets and widths, for everything that is not hot
 *
 * Invariant: the fields tile [0, bytes) in the order they are declared. A gap, an overlap or a
 * wrong total throws when the module is loaded and names the field. Reserved bytes are fields too,
 * called rsvd and their offset.
 */

/** [offset, width], both in bytes. */
export type FieldPlace = readonly [offset: number, width: number]

export type LayoutField = { readonly name: string; readonly offset: number; readonly width: number }

export type LayoutFacts = {
  readonly name: string
  readonly bytes: number
  readonly fields: readonly LayoutField[]
}

export type Layout<Fields extends Record<string, FieldPlace>> = {
  readonly [Name in keyof Fields]: Fields[Name][0]
}

const registry = new Map<object, LayoutFacts>()

/** Declares a structure of `bytes` bytes, returns its offsets; throws if the fields do not tile. */
export function layout<const Fields extends Record<string, FieldPlace>>(
  name: string, bytes: number, fields: Fields,
): Layout<Fields> {
  const list: LayoutField[] = []
  const offsets: Record<string, number> = {}
  let end = 0
  for (const [fieldName, [offset, width]] of Object.entries(fields)) {
    const where = `layout ${name}: field ${fieldName}`
    if (!Number.isSafeInteger(offset) || !Number.isSafeInteger(width) || width < 1) {
      throw new Error(`${where} has no valid place: [${offset}, ${width}]`)
    }
    if (offset > end) throw new Error(`${where} leaves a gap: it starts at ${offset}, not ${end}`)
    if (offset < end) throw new Error(`${where} overlaps: it starts at ${offset}, not at ${end}`)
    if (/^rsvd/.test(fieldName) && fieldName !== `rsvd${offset}`) {
      throw new Error(`${where} should be called rsvd${offset}`)
    }
    offsets[fieldName] = offset
    list.push(Object.freeze({ name: fieldName, offset, width }))
    end = offset + width
  }
  const last = list.at(-1)?.name ?? '(none)'
  if (end !== bytes) {
    throw new Error(`layout ${name}: field ${last} ends at ${end}, not at ${bytes}`)
  }
  const made = Object.freeze(offsets) as Layout<Fields>
  registry.set(made, Object.freeze({ name, bytes, fields: Object.freeze(list) }))
  return made
}

/** What was declared about a layout. */
export function layoutOf(declared: object): LayoutFacts {
  const facts = registry.get(declared)
  if (facts === undefined) throw new Error('layoutOf: this object was not made by layout()')
  return facts
}

export function isLayout(value: unknown): boolean {
  return typeof value === 'object' && value !== null && registry.has(value)
}

/** [lowest bit, width], both in bits, of one word of up to 64 bits. */
export type BitPlace = readonly [bit: number, width: number]

export type BitField = { readonly name: string; readonly bit: number; readonly width: number }

export type BitFacts = {
  readonly name: string
  readonly width: number
  readonly fields: readonly BitField[]
}

const bitRegistry = new Map<object, BitFacts>()

/**
 * Declares the bit fields of a word of `width` bits. Bits without a field are reserved; an overlap,
 * a field outside the word, or one that crosses from the low to the high 32 bits throws.
 */
export function bits<const Fields extends Record<string, BitPlace>>(
  name: string, width: number, fields: Fields,
): Readonly<Fields> {
  const list = []
  let end = 0
  for (const [fieldName, [bit, fieldWidth]] of Object.entries(fields)) {
    const where = `bits ${name}: field ${fieldName}`
    if (bit < end) throw new Error(`${where} overlaps: it starts at bit ${bit}, not from ${end} on`)
    end = bit + fieldWidth
    if (fieldWidth < 1 || end > width) throw new Error(`${where} does not fit ${width} bits`)
    if (bit >> 5 !== (end - 1) >> 5) throw new Error(`${where} crosses a 32-bit boundary`)
    list.push(Object.freeze({ name: fieldName, bit, width: fieldWidth }))
  }
  const made = Object.freeze({ ...fields })
  bitRegistry.set(made, Object.freeze({ name, width, fields: Object.freeze(list) }))
  return made
}

/** What was declared about a word of bit fields. */
export function bitsOf(declared: object): BitFacts {
  const facts = bitRegistry.get(declared)
  if (facts === undefined) throw new Error('bitsOf: this object was not made by bits()')
  return facts
}

export function isBits(value: unknown): boolean {
  return typeof value === 'object' && value !== null && bitRegistry.has(value)
}

/** The value of a bit field, from the 32-bit word that holds it (of a 64-bit word: that half). */
export function takeBits(word: number, place: BitPlace): number {
  return (word >>> (place[0] & 31)) & (2 ** place[1] - 1)
}

/** A value at its place in the 32-bit word that holds it, to be ORed with others. */
export function putBits(place: BitPlace, value: number): number {
  return (value << (place[0] & 31)) >>> 0
}
