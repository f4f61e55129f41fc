/**
 * What no single value of a configuration shows: two things with one name, a namespace without a
 * medium or with two, keys that do not go together. Called by read.ts with what a person wrote.
 *
 * It looks at the input itself and skips whatever has not the right type (schema.ts complains about
 * that), so that both kinds of mistake are reported at once.
 */
import { connectionBytes, connectionsThatFit, limitsOf } from '../limits.ts'
import { CNTLID_MAX, CNTLID_MIN } from '../wire/fabrics.ts'
import { mistake } from './mistake.ts'
import { pciPlace, pciText } from '../nvme/address.ts'
import type { Mistake, Path } from './mistake.ts'
import type { LimitsConfig } from './config.ts'
import { formatSize, parseSize } from './size.ts'

type Fields = Record<string, unknown>

/** Static controllers of a subsystem. */
const STATIC_MAX = 1024
const MEDIA = ['memory', 'null', 'file', 'device', 'pci', 'use'] as const

/** namespacesMax: in all subsystems together. */
export function contradictions(input: unknown, namespacesMax: number): Mistake[] {
  if (!isFields(input)) return []
  const mistakes: Mistake[] = []
  const { cpus, reactors } = input
  if (Array.isArray(cpus)) {
    mistakes.push(...repeated(cpus.map((cpu, at) => [['cpus', at], cpu]), 'each processor once'))
    if (typeof reactors === 'number' && cpus.length > 0 && cpus.length !== reactors) {
      mistakes.push(mistake(['cpus'], cpus, `${reactors} processors, as many as reactors`))
    }
  }
  mistakes.push(...repeatedEndpoints(['listeners'], input.listeners))
  mistakes.push(...discoveryMistakes(input))
  mistakes.push(...limitMistakes(input.limits))
  const subsystems = objectsOf(input.subsystems)
  mistakes.push(...repeated(subsystems.map(({ at, fields }) =>
    [['subsystems', at, 'nqn'], fields.nqn ?? '']), 'a name that no other subsystem has',
  (value) => value === '' ? 'left out more than once' : null))
  for (const { at, fields } of subsystems) {
    mistakes.push(...repeatedEndpoints(['subsystems', at, 'listeners'], fields.listeners))
  }
  const devices = isFields(input.devices) ? input.devices : {}
  mistakes.push(...cntlidMistakes(subsystems), ...namespaceMistakes(subsystems, devices, namespacesMax))
  return mistakes
}

function namespaceMistakes(subsystems: Numbered[], devices: Fields, namespacesMax: number): Mistake[] {
  const mistakes: Mistake[] = []
  const ids: Record<'uuid' | 'nguid' | 'file' | 'device' | 'pci' | 'use', Named[]> = {
    uuid: [], nguid: [], file: [], device: [], pci: [], use: [],
  }
  for (const [name, fields] of Object.entries(devices)) {
    if (!isFields(fields)) continue
    mistakes.push(...mediumMistakes(['devices', name], fields))
    for (const key of ['file', 'device', 'pci'] as const) {
      const value = fields[key]
      ids[key].push([['devices', name, key], typeof value === 'string' ? foldedAs(key, value) : value])
    }
  }
  let count = 0
  for (const subsystem of subsystems) {
    const { pool } = subsystem.fields
    if (isFields(pool)) ids.file.push([['subsystems', subsystem.at, 'pool', 'path'], pool.path])
    const nsids: Named[] = []
    for (const { at, fields } of objectsOf(subsystem.fields.namespaces)) {
      const path = ['subsystems', subsystem.at, 'namespaces', at]
      count += 1
      mistakes.push(...mediumMistakes(path, fields))
      if (typeof fields.use === 'string' && !Object.hasOwn(devices, fields.use)) {
        const names = Object.keys(devices)
        const known = names.length === 0 ? 'there is none' : `there is ${names.slice(0, 10).join(', ')}`
        mistakes.push(mistake([...path, 'use'], fields.use, `the name of one of devices; ${known}`))
      }
      nsids.push([[...path, 'nsid'], fields.nsid])
      for (const key of ['uuid', 'nguid', 'file', 'device', 'pci', 'use'] as const) {
        const value = fields[key]
        const folded = typeof value === 'string' ? foldedAs(key, value) : value
        ids[key].push([[...path, key], folded])
      }
    }
    mistakes.push(...repeated(nsids, 'a number that no other namespace of the subsystem has'))
  }
  for (const named of Object.values(ids)) {
    mistakes.push(...repeated(named, 'one that no other namespace has'))
  }
  if (count > namespacesMax) {
    mistakes.push(mistake(['subsystems'], `${count} namespaces`, `at most ${namespacesMax} in all`))
  }
  return mistakes
}

/** What is the same, written in one way. */
function foldedAs(key: string, value: string): string {
  if (key === 'pci') {
    const place = pciPlace(value)
    return place === null ? value : pciText(place)
  }
  return key.endsWith('id') ? value.toLowerCase() : value
}

type Range = { readonly at: number; readonly first: number; readonly last: number }

/** CNTLIDs: a range that is none, a controller of two subsystems, or none for a subsystem. */
function cntlidMistakes(subsystems: Numbered[]): Mistake[] {
  const mistakes: Mistake[] = []
  const fixed: Range[] = []
  const open: Range[] = []
  for (const { at, fields } of subsystems) {
    const { controllers, minCntlid = CNTLID_MIN, maxCntlid = CNTLID_MAX } = fields
    if (typeof minCntlid !== 'number' || typeof maxCntlid !== 'number') continue
    if (minCntlid > maxCntlid) {
      const path = ['subsystems', at, 'maxCntlid']
      mistakes.push(mistake(path, maxCntlid, `at least minCntlid (${minCntlid})`))
    } else if (controllers === 'static' && maxCntlid - minCntlid >= STATIC_MAX) {
      mistakes.push(mistake(['subsystems', at, 'controllers'], controllers,
        `together with minCntlid and maxCntlid, for at most ${STATIC_MAX} controllers`))
    } else {
      const range = { at, first: minCntlid, last: maxCntlid }
      if (controllers === 'static') fixed.push(range)
      else open.push(range)
    }
  }
  fixed.sort((one, other) => one.first - other.first)
  for (const [index, { at, first }] of fixed.entries()) {
    const before = fixed[index - 1]
    if (before === undefined || before.last < first) continue
    mistakes.push(mistake(['subsystems', at, 'minCntlid'], first,
      `above ${before.last}, as ${before.first} to ${before.last} are those of another subsystem`))
  }
  for (const { at, first, last } of open) {
    let next = first
    for (const each of fixed) if (each.first <= next && each.last >= next) next = each.last + 1
    if (next <= last) continue
    mistakes.push(mistake(['subsystems', at, 'maxCntlid'], last,
      `more: all from ${first} to ${last} are static controllers of other subsystems`))
  }
  return mistakes
}

function mediumMistakes(path: Path, fields: Fields): Mistake[] {
  const mistakes: Mistake[] = []
  const media = MEDIA.filter((key) => fields[key] !== undefined)
  if (media.length !== 1) {
    const found = media.length === 0 ? undefined : media
    mistakes.push(mistake(path, found, 'exactly one of memory, null, file, device, pci and use'))
    return mistakes
  }
  if (media[0] !== 'file') {
    for (const key of media[0] === 'use' ? ['size', 'create', 'block'] : ['size', 'create']) {
      if (fields[key] === undefined) continue
      const allowed = media[0] === 'use' ? `nothing: that is for devices.${String(fields.use)} to say`
        : media[0] === 'device' || media[0] === 'pci' ? 'nothing: a device has its size'
        : `nothing: "${media[0]}" is the size itself`
      mistakes.push(mistake([...path, key], fields[key], allowed))
    }
  } else if (fields.create === true && fields.size === undefined) {
    mistakes.push(mistake([...path, 'size'], undefined, 'the size of the file to create'))
  }
  if (fields.create === true && fields.readOnly === true) {
    mistakes.push(mistake([...path, 'create'], true, 'false, for what is readOnly'))
  }
  const size = media[0] === 'file' ? 'size' : media[0]!
  return [...mistakes, ...fractions(path, size, fields)]
}

/** A size that ends within a block. */
function fractions(path: Path, key: string, fields: Fields): Mistake[] {
  const { [key]: written, block = 512 } = fields
  if (block !== 512 && block !== 4096) return []
  if (typeof written !== 'string' && typeof written !== 'number') return []
  const bytes = parseSize(written)
  if (bytes === null || bytes % block === 0) return []
  return [mistake([...path, key], written, `a multiple of the block size, ${block} bytes`)]
}

function limitMistakes(limits: unknown): Mistake[] {
  if (!isFields(limits)) return []
  const { ioQueues, connections } = limits
  if (typeof ioQueues !== 'number' || typeof connections !== 'number') return []
  if (ioQueues < connections || connections < 2) return []
  return [mistake(['limits', 'ioQueues'], ioQueues,
    `less than connections (${connections}), as one connection is the admin queue`)]
}

/** The discovery service, and those that it tells of or registers with. */
function discoveryMistakes(input: Fields): Mistake[] {
  const { discovery, referrals, register } = input
  const mistakes = [
    ...repeatedEndpoints(['referrals'], referrals), ...repeatedEndpoints(['register'], register),
  ]
  if (!isFields(discovery)) return [...mistakes, ...repeatedEndpoints(['discovery'], discovery)]
  mistakes.push(...repeatedEndpoints(['discovery', 'listeners'], discovery.listeners))
  const taken = objectsOf(input.subsystems).some(({ fields }) => fields.nqn === discovery.nqn)
  if (discovery.nqn !== undefined && taken) {
    mistakes.push(mistake(['discovery', 'nqn'], discovery.nqn, 'a name that no subsystem has'))
  }
  return mistakes
}

/** What a reactor cannot have at one time, with all that was left out filled in. */
export function oversized(limits: LimitsConfig): Mistake[] {
  const sizing = { ...limits, engine: 0 }
  const { connections, queueDepth, inCapsuleBytes, bufferBytes } = limits
  const fit = connectionsThatFit(sizing)
  if (fit >= connections) return []
  const each = formatSize(connectionBytes(limitsOf({ ...sizing, connections: Math.max(1, fit) })))
  if (fit === 0) {
    return [mistake(['limits', 'buffers'], formatSize(bufferBytes),
      'less: a reactor has 2 GiB for buffers and connections, and none of the latter fits beside them')]
  }
  return [mistake(['limits', 'connections'], connections,
    `at most ${fit}: a reactor has 2 GiB, and each connection takes ${each} of it with a queueDepth of `
    + `${queueDepth} and ${formatSize(inCapsuleBytes)} inCapsule. More fit with less of those, or of buffers; `
    + 'connections are counted for each reactor')]
}

function repeatedEndpoints(path: Path, list: unknown): Mistake[] {
  const named = objectsOf(list).map(({ at, fields }): Named => {
    const { address, port, subnqn } = fields
    const known = typeof address === 'string' && port !== 0
    const text = `${address} ${port ?? ''} ${typeof subnqn === 'string' ? subnqn : ''}`
    return [[...path, at], known ? text.trimEnd() : undefined]
  })
  return repeated(named, 'each address and port once')
}

type Named = [path: Path, name: unknown]
type Numbered = { readonly at: number; readonly fields: Fields }

/** One mistake for each name that was there before. */
function repeated(
  named: readonly Named[], allowed: string, foundOf: (name: unknown) => unknown = () => null,
): Mistake[] {
  const seen = new Set<unknown>()
  const mistakes: Mistake[] = []
  for (const [path, name] of named) {
    if (name === undefined || typeof name === 'object') continue
    if (seen.has(name)) mistakes.push(mistake(path, foundOf(name) ?? name, allowed))
    seen.add(name)
  }
  return mistakes
}

function objectsOf(value: unknown): Numbered[] {
  if (!Array.isArray(value)) return []
  return value.flatMap((fields, at) => (isFields(fields) ? [{ at, fields }] : []))
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
