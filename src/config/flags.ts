/**
 * A command line as a configuration: the flags of `weft serve` become what a person would have
 * written in JSON, and go the same way from there (read.ts). A mistake names its flag.
 *
 * Namespaces are numbered in the order of their flags. --size, --block and --read-only belong to
 * the namespace flag before them; --block before the first is for all.
 */
import { resolve } from 'node:path'
import type { Config } from './config.ts'
import { GRANULE_BYTES } from '../device/allocation.ts'
import { EMBEDDED_NAMESPACE } from './complete.ts'
import { parseEndpoint } from './endpoint.ts'
import { folderOf, loadJson } from './load.ts'
import { mistake, pathText } from './mistake.ts'
import type { Mistake, Path } from './mistake.ts'
import { readConfig, surroundings } from './read.ts'
import type { Surroundings } from './complete.ts'

/** One flag, in the order of the command line; value '' where it takes none. */
export type Flag = { readonly name: string; readonly value: string }

type Fields = Record<string, unknown>

const NAMESPACE_FLAGS = ['--memory', '--null', '--file', '--device', '--pci']
const ANY_ADDRESS = '0.0.0.0'
const LOOPBACK = '127.0.0.1'
const LIMIT_KEYS: Record<string, string> = {
  '--queue-depth': 'queueDepth',
  '--max-transfer': 'maxTransfer',
  '--in-capsule': 'inCapsule',
}

const HTTP_KEYS: Record<string, string> = {
  '--http-token': 'tokenFile', '--http-certificate': 'certificateFile', '--http-key': 'keyFile',
  '--http-plain': 'plain',
}

/** What the flags of the host before them are called. */
const KEY_FILES: Record<string, string> = {
  '--host-key': 'keyFile', '--controller-key': 'controllerKeyFile',
}

/** What somebody wrote, before it is looked at: the way from there to a Config is readConfig. */
export type Base = {
  readonly input: unknown
  /** What was read, for messages. */
  readonly source: string
  /** The file that was named, as an absolute path. */
  readonly file: string | null
  readonly around: Surroundings
  readonly nameOf: (path: Path) => string
  readonly mistakes: readonly Mistake[]
}

/**
 * What to serve. Without a flag that says so: 1 GiB of memory. --config names a file, and the other
 * flags then change what is in it, but cannot add namespaces. Throws ConfigError or StartError.
 */
export function configFromFlags(
  flags: readonly Flag[], around: Surroundings = surroundings(process.cwd()),
): Config {
  const { input, source, around: place, nameOf, mistakes } = baseFromFlags(flags, around)
  return readConfig(input, source, place, nameOf, mistakes)
}

/** Throws ConfigError where the file is no JSON, or StartError. */
export function baseFromFlags(
  flags: readonly Flag[], around: Surroundings = surroundings(process.cwd()),
): Base {
  const file = flags.findLast(({ name }) => name === '--config')?.value
  const reader = new FlagReader(file === undefined ? {} : objectOf(loadJson(file)), file, around)
  for (const flag of flags) reader.take(flag)
  reader.finish()
  const folder = file === undefined ? around.folder : folderOf(file)
  return {
    input: reader.input, source: file ?? 'The command line',
    file: file === undefined ? null : resolve(around.folder, file),
    around: { ...around, folder }, nameOf: (path) => reader.nameOf(path), mistakes: reader.mistakes,
  }
}

class FlagReader {
  readonly mistakes: Mistake[] = []
  readonly input: Fields
  readonly #file: string | undefined
  readonly #around: Surroundings
  /** What the values of the flags are called in the configuration. */
  readonly #names = new Map<string, string>()
  readonly #namespaces: Fields[] = []
  readonly #subsystem: Fields = {}
  readonly #replaced = new Set<string>()
  #blockOfAll: unknown = undefined

  constructor(base: unknown, file: string | undefined, around: Surroundings) {
    this.input = (base ?? {}) as Fields
    this.#file = file
    this.#around = around
  }

  take({ name, value }: Flag): void {
    if (name === '--config') return
    if (NAMESPACE_FLAGS.includes(name)) return this.#namespace(name, value)
    if (name === '--pool') return this.#pool(name, value)
    if (['--size', '--block', '--read-only'].includes(name)) return this.#attribute(name, value)
    if (['--nqn', '--serial', '--model', '--label', '--host', '--hosts'].includes(name)) {
      return this.#subsystemFlag(name, value)
    }
    const keyFile = KEY_FILES[name]
    if (keyFile !== undefined) return this.#hostKey(keyFile, name, value)
    if (name === '--listen') return this.#endpoint('listeners', name, value)
    if (name === '--discovery') return this.#discovery(name, value)
    if (name === '--discovery-nqn') return this.#discoveryKey('nqn', name, value)
    if (name === '--central') return this.#discoveryKey('central', name, true)
    if (name === '--announce') return this.#set(['announce'], name, true)
    if (name === '--register') return this.#remote('register', name, value)
    if (name === '--referral') return this.#remote('referrals', name, value)
    const limit = LIMIT_KEYS[name]
    if (limit !== undefined) {
      const limits = { ...(this.input.limits as Fields), [limit]: numberOr(value) }
      return this.#set(['limits'], name, limits, ['limits', limit])
    }
    if (name === '--cpus') return this.#set(['cpus'], name, cpusOf(value))
    if (name === '--metrics') return this.#metrics(name, value)
    if (name === '--poll') return this.#set(['poll'], name, true)
    if (name === '--state') {
      // Relative to where the command is given, though what stands in a file is not.
      return this.#set(['state'], name, value === '' ? '' : resolve(this.#around.folder, value))
    }
    if (name === '--control') {
      const path = resolve(this.#around.folder, value)
      return this.#control('socket', name, value === 'off' ? false : value === '' ? '' : path)
    }
    if (name.startsWith('--http')) return this.#http(name, value)
    this.#set([name.slice(2)], name, name === '--reactors' ? numberOr(value) : value)
  }

  /** Puts the subsystem of the flags in its place. */
  finish(): void {
    if (this.#file !== undefined) return
    const isBare = this.#namespaces.length === 0 && this.#subsystem.pool === undefined
    if (isBare) this.#namespaces.push({ ...EMBEDDED_NAMESPACE })
    for (const namespace of this.#namespaces) {
      if (this.#blockOfAll !== undefined) namespace.block ??= this.#blockOfAll
    }
    this.input.subsystems = [{ ...this.#subsystem, namespaces: this.#namespaces }]
  }

  /** The flag that a place comes from; of what stands in a file, the place in the file. */
  nameOf(path: Path): string {
    for (let length = path.length; length > 0; length -= 1) {
      const name = this.#names.get(pathText(path.slice(0, length)))
      if (name !== undefined) return name
    }
    return pathText(path)
  }

  #set(path: Path, name: string, value: unknown, named: Path = path): void {
    this.input[path[0]!] = value
    this.#names.set(pathText(named), name)
  }

  #namespace(name: string, value: string): void {
    if (this.#file !== undefined) return this.#notWithFile(name, value)
    const path = ['subsystems', 0, 'namespaces', this.#namespaces.length]
    const size = name === '--memory' || name === '--null'
    this.#namespaces.push({ [name.slice(2)]: size ? numberOr(value) : value })
    this.#names.set(pathText(path), `${name} ${value}`)
  }

  /** PATH:SIZE; a path may have colons. */
  #pool(name: string, value: string): void {
    if (this.#file !== undefined) return this.#notWithFile(name, value)
    const end = value.lastIndexOf(':')
    const path = ['subsystems', 0, 'pool']
    if (end <= 0) this.mistakes.push(mistake([`${name} ${value}`], 'no size', 'PATH:SIZE such as /srv/pool.img:1T'))
    this.#subsystem.pool = end <= 0 ? { path: value, size: GRANULE_BYTES } : {
      path: value.slice(0, end), size: numberOr(value.slice(end + 1)),
    }
    for (const key of ['path', 'size']) this.#names.set(pathText([...path, key]), `${name} ${value}`)
  }

  #attribute(name: string, value: string): void {
    if (this.#file !== undefined) return this.#notWithFile(name, value)
    const current = this.#namespaces.at(-1)
    const setting = name === '--read-only' ? true : numberOr(value)
    const key = name === '--read-only' ? 'readOnly' : name.slice(2)
    if (current === undefined) {
      if (name === '--block') this.#blockOfAll = setting
      else this.mistakes.push(this.#before(name, value))
      return
    }
    current[key] = setting
    const at = this.#namespaces.length - 1
    this.#names.set(pathText(['subsystems', 0, 'namespaces', at, key]), `${name} ${value}`.trim())
  }

  #before(name: string, value: string): Mistake {
    const place = name === '--size' ? '--file' : 'a namespace: --file, --device, --pci, --memory or --null'
    return mistake([`${name} ${value}`.trim()], 'no namespace before it', `after ${place}`)
  }

  /** Secrets come from files: whoever lists the processes sees a command line. */
  #hostKey(key: string, name: string, value: string): void {
    if (this.#file !== undefined) return this.#notWithFile(name, value)
    const { hosts } = this.#subsystem
    if (!Array.isArray(hosts)) {
      this.mistakes.push(mistake([`${name} ${value}`], 'no host before it', 'after --host'))
      return
    }
    const last: unknown = hosts.at(-1)
    const fields = typeof last === 'object' ? (last as Fields) : { nqn: last }
    this.#subsystem.hosts = [...hosts.slice(0, -1), { ...fields, [key]: value }]
    const path = ['subsystems', 0, 'hosts', hosts.length - 1, key]
    this.#names.set(pathText(path), `${name} ${value}`)
  }

  #subsystemFlag(name: string, value: string): void {
    if (this.#file !== undefined) return this.#notWithFile(name, value)
    const key = name === '--host' ? 'hosts' : name.slice(2)
    this.#names.set(pathText(['subsystems', 0, key]), name)
    if (key !== 'hosts') {
      this.#subsystem[key] = value
    } else if (value === 'any') {
      this.#subsystem.hosts = 'any'
    } else {
      const before = Array.isArray(this.#subsystem.hosts) ? this.#subsystem.hosts : []
      this.#subsystem.hosts = [...before, ...value.split(',')]
    }
  }

  /** --discovery says where it listens; the other flags make an object of what is there. */
  #discovery(name: string, value: string): void {
    const before = this.input.discovery
    if (isObject(before)) {
      this.input.discovery = before.listeners
      this.#discovery(name, value)
      this.input.discovery = { ...before, listeners: this.input.discovery }
      return
    }
    if (value !== 'off') return this.#endpoint('discovery', name, value)
    this.#replaced.add('discovery')
    this.#set(['discovery'], name, false)
  }

  #discoveryKey(key: string, name: string, value: unknown): void {
    const before = this.input.discovery
    const object = isObject(before) ? before : before === undefined ? {} : { listeners: before }
    this.#set(['discovery'], name, { ...object, [key]: value }, ['discovery', key])
  }

  /** The first one replaces what is in the file, the next ones are added. */
  #endpoint(key: string, name: string, value: string): void {
    const allowed = 'ADDRESS:PORT such as 0.0.0.0:4420 or [::]:4420, an address, or a port'
    const { list, path } = this.#next(key, name, value)
    const parsed = parseEndpoint(value)
    if (parsed === null) this.mistakes.push(mistake(path, value, allowed))
    const { address, port } = parsed ?? { address: ANY_ADDRESS, port: null }
    const endpoint = { address: address ?? ANY_ADDRESS, ...(port === null ? {} : { port }) }
    this.input[key] = [...list, endpoint]
  }

  #metrics(name: string, value: string): void {
    const parsed = parseEndpoint(value)
    const allowed = 'ADDRESS:PORT such as 127.0.0.1:9420 or [::1]:9420, an address, or a port'
    if (parsed === null) this.mistakes.push(mistake(['metrics'], value, allowed))
    const { address, port } = parsed ?? { address: null, port: null }
    // Unlike what is served, it is nobody's business unless somebody says so.
    const place = { address: address ?? LOOPBACK, ...(port === null ? {} : { port }) }
    this.#set(['metrics'], name, place)
  }

  /** The short form of `control` is the socket alone. */
  #control(key: 'socket' | 'http', name: string, value: unknown): void {
    const before = this.input.control
    const object = isObject(before) ? before : before === undefined ? {} : { socket: before }
    const short = key === 'socket' && !isObject(before)
    this.#set(['control'], name, short ? value : { ...object, [key]: value }, short ? ['control'] : ['control', key])
  }

  #http(name: string, value: string): void {
    const { control } = this.input
    const before = isObject(control) && isObject(control.http) ? control.http : {}
    if (name === '--http') {
      const parsed = parseEndpoint(value)
      const allowed = 'ADDRESS:PORT such as 127.0.0.1:9421 or [::1]:9421, an address, or a port'
      if (parsed === null) this.mistakes.push(mistake(['control', 'http'], value, allowed))
      const { address = null, port = null } = parsed ?? {}
      const place = { address: address ?? LOOPBACK, ...(port === null ? {} : { port }) }
      return this.#control('http', name, { ...before, ...place })
    }
    const key = HTTP_KEYS[name]!
    // Relative to where the command is given, though what stands in a file is not.
    const set = key === 'plain' ? true : value === '' ? '' : resolve(this.#around.folder, value)
    this.#control('http', '--http', { ...before, [key]: set })
    this.#names.set(pathText(['control', 'http', key]), `${name} ${value}`.trim())
  }

  /** Where somebody else listens: an address is needed. */
  #remote(key: string, name: string, value: string): void {
    const { list, path } = this.#next(key, name, value)
    const { address = null, port = null } = parseEndpoint(value) ?? {}
    if (address !== null) {
      this.input[key] = [...list, { address, ...(port === null ? {} : { port }) }]
      return
    }
    const allowed = 'ADDRESS:PORT such as 192.0.2.10:8009 or [2001:db8::10]:8009, or an address'
    this.mistakes.push(mistake(path, value, allowed))
  }

  #next(key: string, name: string, value: string): { list: unknown[]; path: Path } {
    const before = this.#replaced.has(key) ? this.input[key] : []
    const list = Array.isArray(before) ? before : []
    const path = [key, list.length]
    this.#names.set(pathText(path), `${name} ${value}`)
    if (key === 'discovery') {
      this.#names.set(pathText([key, 'listeners', list.length]), `${name} ${value}`)
    }
    this.#replaced.add(key)
    return { list, path }
  }

  #notWithFile(name: string, value: string): void {
    this.mistakes.push({
      path: [`${name} ${value}`.trim()],
      sentence: `not together with --config: write it in ${this.#file} instead`,
    })
  }
}

/** A copy, as the flags change it; what is no object is left for the schema to refuse. */
function objectOf(json: unknown): unknown {
  const object = typeof json === 'object' && json !== null && !Array.isArray(json)
  return object ? { ...json } : json
}

function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** Digits as a number; anything else as it was typed, for the message. */
function numberOr(value: string): number | string {
  return /^\d+$/.test(value) ? Number(value) : value
}

/** "2,3" and "0-3" */
function cpusOf(value: string): unknown[] {
  return value.split(',').flatMap((part) => {
    const range = /^(\d{1,4})-(\d{1,4})$/.exec(part)
    if (range === null) return [numberOr(part)]
    const [first, last] = [Number(range[1]), Number(range[2])]
    if (last < first) return [part]
    return Array.from({ length: last - first + 1 }, (_, at) => first + at)
  })
}
