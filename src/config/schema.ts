/**
 * What a person may write in a configuration: zod schemas, one for each object of the JSON file.
 * read.ts parses with them; complete.ts fills in what was left out. Values are checked one by one
 * here; what two of them say together is checked in contradictions.ts.
 *
 * Every schema's error is the sentence of what is allowed there; read.ts adds where and what was
 * found. Sizes come out in bytes.
 */
import { isIP } from 'node:net'
import { z } from 'zod'
import { AUTH_GROUPS, AUTH_HASHES } from '../wire/authentication.ts'
import { nearest } from './mistake.ts'
import { PCI_FORM, pciPlace } from '../nvme/address.ts'
import { ANA_GROUPS_MAX, ANA_NAMES } from '../subsystem/ana.ts'
import { CNTLID_MAX, CNTLID_MIN } from '../wire/fabrics.ts'
import { NQN_FORM, isNqn } from './nqn.ts'
import { GRANULE_BYTES } from '../device/allocation.ts'
import { DISCOVERY_NQN } from '../subsystem/subsystem.ts'
import { SIZE_FORM, formatSize, parseSize } from './size.ts'

export const LIMITS = { namespaces: 1024, reactors: 256, subsystems: 256, endpoints: 64 }
const GIB = 1024 ** 3
const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i
const NIL = /^[0-]+$/

export const flag = z.boolean({ error: 'true or false' })

const nqn = z.string({ error: NQN_FORM }).refine(isNqn, { error: NQN_FORM })

const endpoint = section({
  address: z.string({ error: addressForm() }).refine((text) => isIP(text) !== 0, {
    error: addressForm(),
  }),
  port: whole(0, 65535, '(0: one that is free)').optional(),
})

const referralNqn = z.string({ error: NQN_FORM })
  .refine((value) => value === DISCOVERY_NQN || isNqn(value), { error: NQN_FORM })

const anaForm = 'one of "' + ANA_NAMES.join('", "') + '", or an object of such for group numbers'
const anaState = z.enum(ANA_NAMES, { error: anaForm })
const anaGroup = z.string().refine((text) => /^[1-9]\d{0,2}$/.test(text) && Number(text) <= ANA_GROUPS_MAX, {
  error: `group numbers from 1 to ${ANA_GROUPS_MAX}`,
})

const listener = section({
  ...endpoint.shape,
  ana: z.union([anaState, z.record(anaGroup, anaState, { error: anaForm })], { error: anaForm }).optional(),
})

/** Of a subsystem: the others know it by its port, so that is a real one. */
const ownListener = section({ ...listener.shape, port: whole(1, 65535).optional() })

const path = z.string({ error: 'a path' }).min(1, { error: 'a path' })

/** In a second, of all hosts together. Bandwidth in bytes. */
const qosSchema = section({
  iops: whole(1, 1e9).optional(),
  readIops: whole(1, 1e9).optional(),
  writeIops: whole(1, 1e9).optional(),
  bandwidth: size(4096, 2 ** 50).optional(),
  readBandwidth: size(4096, 2 ** 50).optional(),
  writeBandwidth: size(4096, 2 ** 50).optional(),
})

const medium = {
  memory: size(4096, 2 ** 52).optional(),
  null: size(4096, 2 ** 52).optional(),
  file: path.optional(),
  size: size(4096, 2 ** 52).optional(),
  create: flag.optional(),
  device: path.optional(),
  block: z.literal([512, 4096], { error: '512 or 4096' }).optional(),
  uuid: text('a UUID such as 6c1e7c2e-4f4b-8a6b-9d3e-0f5a7b1c2d3e', (value) =>
    UUID.test(value) && !NIL.test(value)).optional(),
}

const nameForm = '1 to 64 letters, digits, and . _ : / - among them, not nqn. first'
export const deviceName = text(nameForm, (value) =>
  /^[A-Za-z0-9_.:\/-]{1,64}$/.test(value) && !value.startsWith('nqn.'))

const seenByForm = '"any", or a list of host NQNs'
/** Of the hosts of the subsystem those that see the namespace; none, where the list is empty. */
const seenBy = told((written) => (Array.isArray(written)
  ? z.array(nqn, { error: seenByForm }) : z.literal('any', { error: seenByForm })))

const pci = text(PCI_FORM, (value) => pciPlace(value) !== null).optional()

export const namespaceSchema = section({
  nsid: whole(1, LIMITS.namespaces).optional(),
  ...medium,
  pci,
  use: deviceName.optional(),
  nguid: text('32 hexadecimal digits, not all 0', (value) =>
    /^[0-9a-f]{32}$/i.test(value) && !NIL.test(value)).optional(),
  readOnly: flag.optional(),
  anaGroup: whole(1, ANA_GROUPS_MAX).optional(),
  qos: qosSchema.optional(),
  hosts: seenBy.optional(),
})

/** Storage with a name. */
export const deviceSchema = section({ ...medium, pci, readOnly: flag.optional(), qos: qosSchema.optional() })

/** A host with a key. The secrets themselves are looked at in keys.ts. */
const hostSchema = section({
  nqn,
  key: z.string({ error: 'a secret in quotes' }).optional(),
  keyFile: path.optional(),
  controllerKey: z.string({ error: 'a secret in quotes' }).optional(),
  controllerKeyFile: path.optional(),
  hashes: names(AUTH_HASHES.map(({ name }) => name)).optional(),
  dhGroups: names(AUTH_GROUPS.map(({ name }) => name)).optional(),
})
const nqnsForm = '"any", or a list of at least one host NQN'
const hostsForm = '"any", or a list of host NQNs and {"nqn", "key", …}'
const nqns = z.union([
  z.literal('any'),
  z.array(nqn).min(1, { error: nqnsForm }),
], { error: nqnsForm })
const host = told((written) => (typeof written === 'object' ? hostSchema : nqn))
const hosts = told((written) => (Array.isArray(written)
  ? z.array(host, { error: hostsForm }) : z.literal('any', { error: hostsForm })))

/** Hosts create namespaces of whole granules: device/allocation.ts. */
const poolSchema = section({
  path,
  size: size(GRANULE_BYTES, 2 ** 50, (bytes) => bytes % GRANULE_BYTES === 0, ', a multiple of 1 MiB'),
})

export const subsystemSchema = section({
  nqn: nqn.optional(),
  serial: text('1 to 20 printable ASCII characters', (value) =>
    /^[\x21-\x7e](?:[\x20-\x7e]{0,18}[\x21-\x7e])?$/.test(value)).optional(),
  model: text('1 to 40 printable ASCII characters', (value) =>
    /^[\x21-\x7e](?:[\x20-\x7e]{0,38}[\x21-\x7e])?$/.test(value)).optional(),
  label: text('1 to 256 printable ASCII characters', (value) =>
    /^[\x21-\x7e](?:[\x20-\x7e]{0,254}[\x21-\x7e])?$/.test(value)).optional(),
  hosts: hosts.optional(),
  anyHost: flag.optional(),
  controllers: z.enum(['dynamic', 'static'], { error: '"dynamic" or "static"' }).optional(),
  minCntlid: whole(CNTLID_MIN, CNTLID_MAX).optional(),
  maxCntlid: whole(CNTLID_MIN, CNTLID_MAX).optional(),
  listeners: list(ownListener, LIMITS.endpoints).optional(),
  namespaces: list(namespaceSchema, LIMITS.namespaces).optional(),
  pool: poolSchema.optional(),
})

const limitsSchema = section({
  connections: whole(1, 4096).optional(),
  queueDepth: whole(16, 1024).optional(),
  ioQueues: whole(1, 256).optional(),
  inCapsule: size(0, 256 * 1024, (bytes) => bytes % 512 === 0, ', a multiple of 512').optional(),
  maxTransfer: size(4096, 16 * 1024 ** 2, powerOfTwo, ', a power of two').optional(),
  buffers: size(8 * 1024 ** 2, 2 * GIB - 16 * 1024 ** 2).optional(),
})

const realPort = whole(1, 65535)
/** Of another discovery service: it listens somewhere in particular. */
const remote = {
  address: z.string({ error: remoteForm() }).refine(isRemote, { error: remoteForm() }),
  port: realPort.optional(),
}

const discoveryForm = 'false, a list of {"address", "port"}, '
  + 'or an object with: nqn, listeners, hosts, central'
const discoveryEndpoints = list(endpoint, LIMITS.endpoints)
  .min(1, { error: 'false, or at least one endpoint' })

const discoverySchema = section({
  nqn: nqn.optional(),
  listeners: z.union([z.literal(false), discoveryEndpoints], {
    error: 'false, or a list of {"address", "port"}',
  }).optional(),
  hosts: hosts.optional(),
  central: flag.optional(),
})

const controlForm = 'false, the path of a socket, or an object with: socket, http'
const socketForm = 'false, or the path of a socket'

/** What clients show that come over HTTP, and what is shown to them: files, looked at in control-http.ts. */
const httpSchema = section({
  ...endpoint.shape,
  tokenFile: path,
  certificateFile: path.optional(),
  keyFile: path.optional(),
  plain: flag.optional(),
})

const controlSchema = section({
  socket: z.union([z.literal(false), path], { error: socketForm }).optional(),
  http: httpSchema.optional(),
})

export const configSchema = section({
  reactors: whole(1, LIMITS.reactors).optional(),
  cpus: z.array(whole(0, 1023), { error: 'a list of processor numbers such as [2, 3]' })
    .min(1, { error: 'at least one processor number' }).optional(),
  poll: flag.optional(),
  engine: z.enum(['auto', 'uring', 'epoll'], { error: '"auto", "uring" or "epoll"' }).optional(),
  limits: limitsSchema.optional(),
  listeners: list(listener, LIMITS.endpoints).optional(),
  discovery: told(discoveryOf).optional(),
  referrals: list(section({
    ...remote, subnqn: referralNqn.optional(), hosts: nqns.optional(),
  }), LIMITS.endpoints).optional(),
  announce: flag.optional(),
  register: list(section(remote), LIMITS.endpoints).optional(),
  state: path.optional(),
  metrics: endpoint.optional(),
  control: told(controlIn).optional(),
  devices: z.record(deviceName, deviceSchema, { error: 'an object of devices by name' }).optional(),
  keyring: z.record(deviceName, path, { error: 'an object of paths by name' }).optional(),
  subsystems: list(subsystemSchema, LIMITS.subsystems),
})

/** The configuration as written, types right, nothing filled in. */
export type Written = z.infer<typeof configSchema>
export type WrittenSubsystem = z.infer<typeof subsystemSchema>
export type WrittenNamespace = z.infer<typeof namespaceSchema>
export type WrittenHost = z.infer<typeof hostSchema>
export type WrittenHosts = 'any' | (string | WrittenHost)[]
export type WrittenListener = z.infer<typeof listener>
export type WrittenDevice = NonNullable<Written['devices']>[string]
export type WrittenEndpoint = z.infer<typeof endpoint>
export type WrittenDiscovery = z.infer<typeof discoverySchema>
export type WrittenHttp = z.infer<typeof httpSchema>

/** The form of `discovery` that is written: where it listens alone, or all of it. */
function discoveryOf(written: unknown) {
  if (Array.isArray(written)) return discoveryEndpoints
  return typeof written === 'object' && written !== null ? discoverySchema
    : z.literal(false, { error: discoveryForm })
}

/** The form of `control` that is written: the socket alone, or all of it. */
function controlIn(written: unknown) {
  return typeof written === 'object' && written !== null ? controlSchema
    : z.union([z.literal(false), path], { error: controlForm })
}

/** An object with these keys and no other: a line for each unknown one, with the nearest known. */
export function section<Shape extends z.ZodRawShape>(shape: Shape) {
  const known = Object.keys(shape)
  return z.strictObject(shape, {
    error: (issue) => {
      if (issue.code !== 'unrecognized_keys') return `an object with: ${known.join(', ')}`
      return issue.keys.map((key) => unknownKey(key, known)).join('\n')
    },
  })
}

function unknownKey(key: string, known: readonly string[]): string {
  const near = nearest(key, known)
  const advice = near === null ? '' : `, did you mean "${near}"?`
  return `unknown key "${key}"${advice === '' ? ',' : advice} allowed: ${known.join(', ')}`
}

/** The schema that `of` chooses by what is written, so that a mistake is told where it is. */
function told<Schema extends z.ZodType>(of: (written: unknown) => Schema) {
  return z.unknown().transform((written, context): z.output<Schema> => {
    const parsed = of(written).safeParse(written)
    if (parsed.success) return parsed.data
    context.issues.push(...(parsed.error.issues as unknown as typeof context.issues))
    return z.NEVER
  })
}

/** A list of some of these words, each once. */
function names(words: readonly string[]) {
  const form = `a list of at least one of ${words.join(', ')}, each once`
  return z.array(z.string({ error: form }).refine((word) => words.includes(word), { error: form }), { error: form })
    .min(1, { error: form }).refine((list) => new Set(list).size === list.length, { error: form })
}

function list<Item extends z.ZodType>(item: Item, most: number) {
  const form = `a list of at most ${most}`
  return z.array(item, { error: form }).max(most, { error: form })
}

export function whole(least: number, most: number, remark = '') {
  const form = `a whole number from ${least} to ${most}${remark === '' ? '' : ` ${remark}`}`
  return z.int({ error: form }).min(least, { error: form }).max(most, { error: form })
}

function text(form: string, valid: (value: string) => boolean) {
  return z.string({ error: form }).refine(valid, { error: form })
}

/** Bytes from "10G" or a number. */
function size(
  least: number, most: number, valid: (bytes: number) => boolean = () => true, remark = '',
) {
  const form = `${SIZE_FORM}, from ${formatSize(least)} to ${formatSize(most)}${remark}`
  return z.union([z.string(), z.number()], { error: form }).transform((written, context) => {
    const bytes = parseSize(written)
    if (bytes !== null && bytes >= least && bytes <= most && valid(bytes)) return bytes
    context.addIssue({ code: 'custom', message: form })
    return z.NEVER
  })
}

function addressForm(): string {
  return 'a numeric IPv4 or IPv6 address such as 127.0.0.1, 0.0.0.0 or ::'
}

function remoteForm(): string {
  return 'a numeric IPv4 or IPv6 address such as 192.0.2.10 or 2001:db8::10'
}

function isRemote(text: string): boolean {
  return isIP(text) !== 0 && text !== '0.0.0.0' && text !== '::'
}

function powerOfTwo(bytes: number): boolean {
  return Number.isInteger(Math.log2(bytes))
}
