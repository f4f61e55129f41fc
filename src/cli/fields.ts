/**
 * Prints a wire structure field by field, in the order and with the names of its table, as
 * nvme-cli does: numbers decimal or hexadecimal as people are used to, below each the meaning of
 * its bits. Called by identify.ts.
 */
import { printable } from '../control/text.ts'
import { bitsOf, layoutOf, takeBits } from '../wire/layout.ts'
import type { LayoutField } from '../wire/layout.ts'
import { takeNqn, takePadded } from '../wire/value.ts'

/** How a field is shown: [form, explanation]. Without an entry it is a decimal number. */
export type FieldForm = 'decimal' | 'hex' | 'text' | 'nqn' | 'bytes' | 'skip'
export type FieldRules = Readonly<Record<string, readonly [FieldForm, Explanation?]>>
/** A bits() table, or a sentence made from the value ('' for none). */
export type Explanation = object | ((value: number) => string)

export type FieldValue = number | string

/** name → value, reserved and vendor bytes left out; what --json prints. */
export function fieldValues(
  view: DataView, declared: object, rules: FieldRules,
): Record<string, FieldValue> {
  const values: Record<string, FieldValue> = {}
  for (const field of layoutOf(declared).fields) {
    const form = rules[field.name]?.[0] ?? 'decimal'
    if (form === 'skip' || field.name.startsWith('rsvd')) continue
    values[field.name] = valueOf(view, field, form)
  }
  return values
}

/** One line a field, and one indented for what it means. */
export function fieldLines(
  view: DataView, declared: object, rules: FieldRules, nameWidth: number,
): string[] {
  const lines: string[] = []
  for (const [name, value] of Object.entries(fieldValues(view, declared, rules))) {
    const [form, explanation] = rules[name] ?? ['decimal']
    const hex = form === 'hex' && typeof value === 'number'
    lines.push(`${name.padEnd(nameWidth)}: ${hex ? `0x${value.toString(16)}` : value}`)
    if (explanation !== undefined && typeof value === 'number') {
      lines.push(...explain(value, explanation).map((line) => `  ${line}`))
    }
  }
  return lines
}

function valueOf(view: DataView, field: LayoutField, form: FieldForm): FieldValue {
  const { offset, width } = field
  if (form === 'text') return printable(takePadded(view, offset, width))
  if (form === 'nqn') return printable(takeNqn(view, offset, width) ?? '?')
  const bytes = new Uint8Array(view.buffer, view.byteOffset + offset, width)
  if (form === 'bytes') return Buffer.from(bytes).toString('hex')
  // Up to 16 bytes wide; what no safe integer holds is shown digit by digit.
  const value = bytes.reduceRight((sum, byte) => sum * 256n + BigInt(byte), 0n)
  return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value.toString()
}

function explain(value: number, explanation: Explanation): string[] {
  if (typeof explanation === 'function') {
    const sentence = (explanation as (value: number) => string)(value)
    return sentence === '' ? [] : [sentence]
  }
  return bitsOf(explanation).fields.map(({ name, bit, width }) => {
    const last = width === 1 ? `${bit}` : `${bit + width - 1}:${bit}`
    return `[${last}] ${name}: ${takeBits(value, [bit, width])}`
  })
}
