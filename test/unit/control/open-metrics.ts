/**
 * A strict reader of OpenMetrics 1.0 and of Prometheus' text form, for tests: it accepts what the specification
 * says and throws with the line at anything else.      OpenMetrics 1.0, "Overall Structure", "MetricFamily"
 */
type Sample = {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}
type Family = { type: string; unit: string; help: string; readonly samples: Sample[] }

const NAME = /^[a-zA-Z_:][a-zA-Z0-9_:]*$/
const SUFFIXES: Readonly<Record<string, readonly string[]>> = {
  counter: ['_total'], gauge: [''], info: ['_info'], histogram: ['_bucket', '_count', '_sum'],
}

export function readMetrics(text: string, form: 'openmetrics' | 'prometheus'): Map<string, Family> {
  const families = new Map<string, Family>()
  if (!text.endsWith('\n')) throw new Error('the last line has no end')
  const lines = text.slice(0, -1).split('\n')
  if (form === 'openmetrics' && lines.pop() !== '# EOF') throw new Error('the last line is not # EOF')
  let current = ''
  const seen = new Set<string>()
  for (const line of lines) {
    const fail = (why: string): never => { throw new Error(`${why}: ${line}`) }
    if (line.startsWith('#')) {
      const [, kind, name, rest] = /^# (TYPE|UNIT|HELP) (\S+) (.*)$/.exec(line) ?? fail('is no metadata')
      if (!NAME.test(name!)) fail('is no name')
      if (name !== current && families.has(name!)) fail('a family comes twice, or is interleaved')
      const family = families.get(name!) ?? { type: '', unit: '', help: '', samples: [] }
      if (family.samples.length !== 0) fail('metadata after samples')
      families.set(name!, family)
      current = name!
      const key = kind!.toLowerCase() as 'type' | 'unit' | 'help'
      if (family[key] !== '') fail('metadata twice')
      if (key === 'unit' && !name!.endsWith(`_${rest}`)) fail('a name without its unit')
      if (key === 'type' && SUFFIXES[rest!] === undefined) fail('a type there is not')
      if (key === 'help' && /\\(?![\\n"])/.test(rest!.replace(/\\\\/g, ''))) fail('an escape there is not')
      family[key] = rest!
      continue
    }
    const sample = sampleOf(line) ?? fail('is no sample')
    const family = families.get(current) ?? fail('a sample without a family')
    const plain = form === 'prometheus' && family.type !== 'histogram'
    const suffixes = plain ? [''] : SUFFIXES[family.type] ?? []
    if (!suffixes.some((each) => sample.name === current + each)) fail(`no sample of ${current}`)
    if (form === 'prometheus' && family.type === 'counter' && !current.endsWith('_total')) fail('no _total')
    const key = `${sample.name} ${JSON.stringify(sample.labels)}`
    if (seen.has(key)) fail('a sample twice')
    seen.add(key)
    if (family.type === 'counter' && !(sample.value >= 0)) fail('a counter below zero')
    family.samples.push(sample)
  }
  for (const [name, family] of families) if (family.type === 'histogram') checkHistogram(name, family)
  return families
}

function sampleOf(line: string): Sample | null {
  const [whole, name, , inner, value] =
    /^([a-zA-Z_:][a-zA-Z0-9_:]*)(\{(.*)\})? (-?\d+(?:\.\d+)?(?:e[+-]?\d+)?|[+-]Inf|NaN)$/.exec(line) ?? []
  if (whole === undefined) return null
  const labels: Record<string, string> = {}
  let rest = inner ?? ''
  while (rest !== '') {
    const [pair, label, text, comma] =
      /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\n"])*)"(,(?=.)|$)/.exec(rest) ?? []
    if (pair === undefined || comma === undefined || label! in labels) return null
    labels[label!] = text!.replace(/\\(.)/g, (_, escaped: string) => escaped === 'n' ? '\n' : escaped)
    rest = rest.slice(pair.length)
  }
  return { name: name!, labels, value: value === '+Inf' ? Infinity : Number(value) }
}

/** Buckets ascend in both, end with +Inf, and agree with the count. */
function checkHistogram(name: string, { samples }: Family): void {
  const groups = new Map<string, { bound: number; seen: number; count: number; sum: number }>()
  for (const { name: full, labels, value } of samples) {
    const { le, ...rest } = labels
    const key = JSON.stringify(rest)
    const group = groups.get(key) ?? { bound: -Infinity, seen: 0, count: NaN, sum: NaN }
    groups.set(key, group)
    if (full.endsWith('_bucket')) {
      if (le !== '+Inf' && !/^\d+\.\d+$|^\d(\.\d+)?e-\d\d$/.test(le ?? '')) throw new Error(`${name}: le="${le}"`)
      const bound = le === '+Inf' ? Infinity : Number(le)
      if (bound <= group.bound) throw new Error(`${name}: buckets do not ascend at ${le}`)
      if (value < group.seen) throw new Error(`${name}: counts do not ascend at ${le}`)
      Object.assign(group, { bound, seen: value })
    } else if (full.endsWith('_count')) group.count = value
    else group.sum = value
  }
  for (const [key, { bound, seen, count, sum }] of groups) {
    if (bound !== Infinity || seen !== count || !(sum >= 0)) throw new Error(`${name}: ${key} does not add up`)
  }
}
