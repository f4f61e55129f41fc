/**
 * Exposition: families of metrics as text that Prometheus reads, in either of its two forms. metrics.ts fills it.
 *
 *   OpenMetrics 1.0                                Prometheus text 0.0.4
 *   # TYPE weft_data_bytes counter                 # HELP weft_data_bytes_total …
 *   # UNIT weft_data_bytes bytes                   # TYPE weft_data_bytes_total counter
 *   # HELP weft_data_bytes …                       weft_data_bytes_total{namespace="1"} 4096
 *   weft_data_bytes_total{namespace="1"} 4096
 *   # EOF
 *
 * Invariant: the samples of a family stand together, below what is said of it; a name is a family once.
 */
import { assert } from '../assert.ts'

export type Form = 'openmetrics' | 'prometheus'

export const CONTENT_TYPES: Readonly<Record<Form, string>> = {
  openmetrics: 'application/openmetrics-text; version=1.0.0; charset=utf-8',
  prometheus: 'text/plain; version=0.0.4; charset=utf-8',
}

export type Labels = Readonly<Record<string, string | number>>

export type Family = {
  /** Without the suffixes of its samples; ends in its unit, where it has one. */
  readonly name: string
  readonly type: 'counter' | 'gauge' | 'histogram' | 'info'
  readonly unit?: 'bytes' | 'seconds'
  readonly help: string
}

export class Exposition {
  readonly #form: Form
  readonly #lines: string[] = []
  readonly #names = new Set<string>()
  #family: Family | null = null

  constructor(form: Form) {
    this.#form = form
  }

  /** What follows is of this family. */
  begin(family: Family): void {
    const { name, type, unit, help } = family
    assert(!this.#names.has(name), 'a name is a family once')
    assert(unit === undefined || name.endsWith(`_${unit}`), 'a family is named after its unit')
    this.#names.add(name)
    this.#family = family
    if (this.#form === 'openmetrics') {
      this.#lines.push(`# TYPE ${name} ${type}`)
      if (unit !== undefined) this.#lines.push(`# UNIT ${name} ${unit}`)
      this.#lines.push(`# HELP ${name} ${escape(help)}`)
      return
    }
    const shown = name + suffixOf(type)
    this.#lines.push(`# HELP ${shown} ${help.replace(/\\/g, '\\\\').replace(/\n/g, '\\n')}`)
    this.#lines.push(`# TYPE ${shown} ${type === 'info' ? 'gauge' : type}`)
  }

  /** Of a counter, a gauge or an info. */
  sample(labels: Labels, value: number): void {
    const { name, type } = this.#family!
    assert(type !== 'histogram', 'a histogram is more than one sample')
    this.#line(name + suffixOf(type), labels, value)
  }

  /** counts: of each bucket alone; bounds: where each of them ends; rest: beyond the last one. */
  histogram(labels: Labels, bounds: readonly number[], counts: readonly number[], rest: number, sum: number): void {
    const { name } = this.#family!
    let seen = 0
    for (const [bucket, bound] of bounds.entries()) {
      seen += counts[bucket]!
      this.#line(`${name}_bucket`, { ...labels, le: floatText(bound) }, seen)
    }
    this.#line(`${name}_bucket`, { ...labels, le: '+Inf' }, seen + rest)
    this.#line(`${name}_count`, labels, seen + rest)
    this.#line(`${name}_sum`, labels, sum)
  }

  text(): string {
    const end = this.#form === 'openmetrics' ? '# EOF\n' : ''
    return `${this.#lines.join('\n')}\n${end}`
  }

  #line(name: string, labels: Labels, value: number): void {
    const pairs = Object.entries(labels).map(([label, text]) => `${label}="${escape(String(text))}"`)
    this.#lines.push(`${name}${pairs.length === 0 ? '' : `{${pairs.join(',')}}`} ${value}`)
  }
}

function suffixOf(type: Family['type']): string {
  if (type === 'counter') return '_total'
  return type === 'info' ? '_info' : ''
}

/** Numbers of labels, as OpenMetrics wants them: 1e-06, 0.000128, 1.0. */
function floatText(value: number): string {
  if (Number.isInteger(value)) return `${value}.0`
  if (value >= 1e-4) return String(value)
  const [mantissa, exponent] = value.toExponential().split('e')
  return `${mantissa}e-${exponent!.slice(1).padStart(2, '0')}`
}

function escape(text: string): string {
  return text.replace(/\\/g, '\\\\').replace(/"/g, '\\"').replace(/\n/g, '\\n')
}
