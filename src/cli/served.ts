/**
 * What a running weft serves, in the words in which the commands about it speak. subsystem-command, namespace-command,
 * listener-command, host-command and device-command ask; it is put together of what several methods answer.
 */
import { formatSize } from '../config/size.ts'
import { absent, type Running } from './running.ts'

/** A second: commands, MiB; only those that there are. */
export type ServedLimits = Readonly<Record<string, number>>

export type ServedDevice = {
  readonly name: string
  readonly kind: string
  /** '' where it has none. */
  readonly path: string
  readonly bytes: number
  readonly blockBytes: number
  readonly limits: ServedLimits
  readonly usedBy: { readonly subsystem: string; readonly nsid: number } | null
}

export type ServedNamespace = {
  readonly subsystem: string
  readonly nsid: number
  /** As bdev_get_bdevs calls it. */
  readonly device: string
  readonly kind: string
  readonly path: string
  readonly bytes: number
  readonly blockBytes: number
  readonly readOnly: boolean
  readonly uuid: string
  readonly nguid: string
  readonly anaGroup: number
  readonly hosts: 'any' | readonly string[]
  readonly limits: ServedLimits
}

export type ServedListener = { readonly address: string; readonly port: number }

export type ServedHost = {
  readonly subsystem: string
  readonly nqn: string
  /** It is on the list; else any host may connect, and it has. */
  readonly listed: boolean
  /** Names of keys; '' where it needs none. */
  readonly key: string
  readonly controllerKey: string
  readonly connections: readonly { readonly address: string; readonly controller: number; readonly ioQueues: number }[]
}

export type ServedSubsystem = {
  readonly nqn: string
  readonly serial: string
  readonly model: string
  readonly label: string
  readonly anyHost: boolean
  readonly hosts: readonly ServedHost[]
  readonly listeners: readonly ServedListener[]
  readonly namespaces: readonly ServedNamespace[]
}

type Subsystem = {
  readonly nqn: string; readonly subtype: string; readonly serial_number: string; readonly model_number: string
  readonly admin_label?: string; readonly allow_any_host: boolean
  readonly hosts: readonly { readonly nqn: string; readonly dhchap_key?: string; readonly dhchap_ctrlr_key?: string }[]
  readonly listen_addresses: readonly { readonly traddr: string; readonly trsvcid: string }[]
  readonly namespaces: readonly {
    readonly nsid: number; readonly bdev_name: string; readonly nguid: string; readonly uuid: string
    readonly anagrpid: number; readonly hosts?: readonly { readonly nqn: string }[]
  }[]
}
type Device = {
  readonly name: string; readonly block_size: number; readonly num_blocks: number; readonly product_name?: string
  readonly assigned_rate_limits?: Readonly<Record<string, number>>
  readonly driver_specific: { readonly aio?: { readonly filename: string } }
}
type Status = {
  readonly subsystems: readonly {
    readonly nqn: string
    readonly namespaces: readonly {
      readonly nsid: number; readonly kind: string; readonly path: string; readonly bytes: number
      readonly block_bytes: number; readonly read_only: boolean
    }[]
    readonly hosts: readonly { readonly nqn: string; readonly address: string; readonly controller: number; readonly io_queues: number }[]
  }[]
}

const LIMIT_NAMES: Readonly<Record<string, string>> = {
  rw_ios_per_sec: 'iops', r_ios_per_sec: 'readIops', w_ios_per_sec: 'writeIops', rw_mbytes_per_sec: 'bandwidthMiB',
  r_mbytes_per_sec: 'readBandwidthMiB', w_mbytes_per_sec: 'writeBandwidthMiB',
}
const KINDS: Readonly<Record<string, string>> = { 'Malloc disk': 'memory', 'Null disk': 'null', 'AIO disk': 'file' }

export async function subsystemsOf(weft: Running): Promise<ServedSubsystem[]> {
  const [subsystems, devices, status] = await Promise.all([
    weft.call<Subsystem[]>('nvmf_get_subsystems'), weft.call<Device[]>('bdev_get_bdevs'), weft.call<Status>('weft_get_status'),
  ])
  return subsystems.filter(({ subtype }) => subtype === 'NVMe').map((each) => subsystemOf(each, devices, status))
}

/** Throws a Refusal. */
export async function subsystemNamed(weft: Running, nqn: string): Promise<ServedSubsystem> {
  const all = await subsystemsOf(weft)
  const found = all.find((each) => each.nqn === nqn)
  if (found !== undefined) return found
  const names = all.map((each) => each.nqn)
  throw absent(`There is no subsystem ${nqn}; ${names.length === 0 ? 'there is none' : `there is ${names.join(', ')}`}.`)
}

/** Throws a Refusal. */
export function namespaceNumbered({ nqn, namespaces }: ServedSubsystem, nsid: number): ServedNamespace {
  const found = namespaces.find((each) => each.nsid === nsid)
  if (found === undefined) throw absent(`${nqn} has no namespace ${nsid}.`)
  return found
}

/** Those with a name. */
export async function devicesOf(weft: Running): Promise<ServedDevice[]> {
  const [devices, subsystems] = await Promise.all([weft.call<Device[]>('bdev_get_bdevs'), weft.call<Subsystem[]>('nvmf_get_subsystems')])
  const users = subsystems.flatMap(({ nqn, namespaces = [] }) =>
    namespaces.map(({ nsid, bdev_name: name }) => ({ name, usedBy: { subsystem: nqn, nsid } })))
  return devices.filter(({ name }) => !name.startsWith('nqn.')).map((each) => ({
    name: each.name, kind: KINDS[each.product_name ?? ''] ?? 'pci', path: each.driver_specific.aio?.filename ?? '',
    bytes: each.block_size * each.num_blocks, blockBytes: each.block_size, limits: limitsOf(each),
    usedBy: users.find(({ name }) => name === each.name)?.usedBy ?? null,
  }))
}

export function limitsText(limits: ServedLimits): string {
  return Object.entries(limits).map(([name, value]) => `${name} ${value}`).join(', ') || 'none'
}

/** "name: value" lines; what is a list has one line for each. */
export function linesOf(facts: Readonly<Record<string, string | number | boolean | readonly string[]>>): string {
  const width = Math.max(...Object.keys(facts).map((name) => name.length))
  return Object.entries(facts).flatMap(([name, value]) => {
    const values = typeof value === 'object' ? (value.length === 0 ? ['none'] : value) : [String(value)]
    return values.map((each, k) => `${(k === 0 ? `${name}:` : '').padEnd(width + 2)}${each}\n`)
  }).join('')
}

export function sizeText({ bytes }: { readonly bytes: number }): string {
  return formatSize(bytes)
}

export function endpointOf({ address, port }: ServedListener): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`
}

function subsystemOf(each: Subsystem, devices: readonly Device[], status: Status): ServedSubsystem {
  const now = status.subsystems.find(({ nqn }) => nqn === each.nqn)
  const connected = now?.hosts ?? []
  const hostOf = (nqn: string): ServedHost => {
    const listed = each.hosts.find((host) => host.nqn === nqn)
    return {
      subsystem: each.nqn, nqn, listed: listed !== undefined, key: listed?.dhchap_key ?? '',
      controllerKey: listed?.dhchap_ctrlr_key ?? '',
      connections: connected.filter((one) => one.nqn === nqn)
        .map(({ address, controller, io_queues: ioQueues }) => ({ address, controller, ioQueues })),
    }
  }
  const names = new Set([...each.hosts, ...connected].map(({ nqn }) => nqn))
  return {
    nqn: each.nqn, serial: each.serial_number, model: each.model_number, label: each.admin_label ?? '',
    anyHost: each.allow_any_host, hosts: [...names].map(hostOf),
    listeners: each.listen_addresses.map(({ traddr, trsvcid }) => ({ address: traddr, port: Number(trsvcid) })),
    namespaces: each.namespaces.flatMap((one) => {
      const facts = now?.namespaces.find(({ nsid }) => nsid === one.nsid)
      if (facts === undefined) return []
      const { kind, path, bytes, block_bytes: blockBytes, read_only: readOnly } = facts
      return [{
        subsystem: each.nqn, nsid: one.nsid, device: one.bdev_name, kind, path, bytes, blockBytes, readOnly,
        uuid: one.uuid, nguid: one.nguid.toLowerCase(), anaGroup: one.anagrpid,
        hosts: one.hosts === undefined ? 'any' as const : one.hosts.map(({ nqn }) => nqn),
        limits: limitsOf(devices.find(({ name }) => name === one.bdev_name)),
      }]
    }),
  }
}

function limitsOf(device: Device | undefined): ServedLimits {
  return Object.fromEntries(Object.entries(device?.assigned_rate_limits ?? {}).flatMap(([name, value]) =>
    value === 0 || LIMIT_NAMES[name] === undefined ? [] : [[LIMIT_NAMES[name], value]]))
}
