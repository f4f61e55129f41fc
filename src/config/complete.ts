/**
 * Fills in what a configuration leaves out: defaults, nsids, derived identifiers.
 * read.ts → here → Config. Nothing here can fail: the input is valid.
 */
import { resolve } from 'node:path'
import { ANY_CONTROLLER, DISCOVERY_NQN } from '../subsystem/subsystem.ts'
import type { AnaChoice } from '../subsystem/ana.ts'
import type { Endpoint } from '../subsystem/subsystem.ts'
import type { HostKeys } from '../auth/keys.ts'
import type {
  Backing, Config, DeviceConfig, HttpConfig, ListenerConfig, NamespaceConfig, SubsystemConfig,
} from './config.ts'
import { defaultNqn, namespaceNguid, namespaceUuid, serialOf } from './identity.ts'
import type { WrittenKeys } from './keys.ts'
import { pciPlace, pciText } from '../nvme/address.ts'
import type {
  Written, WrittenDevice, WrittenDiscovery, WrittenEndpoint, WrittenHosts, WrittenListener, WrittenNamespace,
  WrittenSubsystem,
} from './schema.ts'

/** What defaults depend on besides what is written. */
export type Surroundings = {
  readonly machineId: string
  /** Processors that this process may use. */
  readonly cpuCount: number
  /** Paths of files and devices are relative to it. */
  readonly folder: string
  /** Where state is kept when nobody says where. */
  readonly state: string
  /** Where the control socket is when nobody says; there is none where this is left out, or null. */
  readonly control?: string | null
}

export const IO_PORT = 4420
export const DISCOVERY_PORT = 8009
export const METRICS_PORT = 9420
export const HTTP_PORT = 9421
export const MODEL = 'weft'
const DEFAULT_ADDRESS = '127.0.0.1'
const LIMITS = {
  connections: 1024,
  queueDepth: 1024,
  ioQueues: 128,
  inCapsule: 16 * 1024,
  maxTransfer: 1024 * 1024,
  buffers: 64 * 1024 * 1024,
}

/** What is served when nobody says what: shows that everything works, keeps nothing. */
export const EMBEDDED_NAMESPACE = { memory: '1G' } as const

export function complete(
  written: Written, around: Surroundings, keys: WrittenKeys, http: HttpConfig | null = null,
): Config {
  const limits = written.limits ?? {}
  const common = commonListeners(written)
  const listeners = allListeners(common, written.subsystems)
  const devices = Object.entries(written.devices ?? {}).map(([name, device]) => deviceOf(name, device, around))
  const cpus = written.cpus ?? null
  const service = serviceOf(written)
  const wanted = service.listeners
  return {
    // One processor is left to the kernel and to everybody else, where there are two.
    reactors: written.reactors ?? cpus?.length ?? Math.max(1, around.cpuCount - 1),
    cpus,
    poll: written.poll ?? false,
    engine: written.engine ?? 'auto',
    limits: {
      connections: limits.connections ?? LIMITS.connections,
      queueDepth: limits.queueDepth ?? LIMITS.queueDepth,
      ioQueues: limits.ioQueues ?? LIMITS.ioQueues,
      inCapsuleBytes: limits.inCapsule ?? LIMITS.inCapsule,
      maxTransferBytes: limits.maxTransfer ?? LIMITS.maxTransfer,
      bufferBytes: limits.buffers ?? LIMITS.buffers,
    },
    listeners,
    discovery: discoveryOf(wanted, listeners),
    discoveryRequired: Array.isArray(wanted),
    discoveryService: {
      nqn: service.nqn ?? DISCOVERY_NQN,
      hosts: hostsOf(service.hosts),
      keys: keys.discovery,
      central: service.central ?? false,
      referrals: (written.referrals ?? []).map(({ subnqn, hosts, ...place }) => ({
        endpoint: endpointOf(place, DISCOVERY_PORT), nqn: subnqn ?? DISCOVERY_NQN,
        hosts: hostsOf(hosts),
      })),
      announce: written.announce ?? false,
      register: endpoints(written.register ?? [], DISCOVERY_PORT),
    },
    metrics: written.metrics && endpointOf(written.metrics, METRICS_PORT),
    state: resolve(around.folder, written.state ?? around.state),
    control: { ...controlOf(written.control, around), ...(http !== null && { http }) },
    subsystems: written.subsystems.map((subsystem, at) =>
      completeSubsystem(subsystem, around, keys.subsystems[at]!, devices, common.length === listeners.length ? undefined : common)),
    ...(devices.length === 0 ? {} : { devices }),
  }
}

/** Those of subsystems that do not say where they are served. */
function commonListeners({ listeners, subsystems }: Written): ListenerConfig[] {
  if (listeners !== undefined) return listeners.map(listenerOf)
  const needed = subsystems.length === 0 || subsystems.some((each) => each.listeners === undefined)
  return needed ? [listenerOf({ address: DEFAULT_ADDRESS })] : []
}

/** With those of single subsystems behind, each once. */
function allListeners(common: readonly ListenerConfig[], subsystems: readonly WrittenSubsystem[]): ListenerConfig[] {
  const all = [...common]
  for (const { address, port } of subsystems.flatMap(({ listeners }) => (listeners ?? []).map(listenerOf))) {
    if (!all.some((each) => each.address === address && each.port === port)) all.push({ address, port })
  }
  return all
}

function deviceOf(name: string, written: WrittenDevice, around: Surroundings): DeviceConfig {
  const backing = backingOf(written, around.folder)
  return {
    name, backing, blockBytes: written.block ?? (backing.kind === 'device' || backing.kind === 'pci' ? null : 512),
    readOnly: written.readOnly ?? false, uuid: written.uuid?.toLowerCase(), qos: written.qos,
  }
}

function controlOf(written: Written['control'], around: Surroundings): Config['control'] {
  const socket = typeof written === 'object' ? written.socket : written
  if (socket === false) return { path: null, required: false }
  const path = socket === undefined ? around.control ?? null : resolve(around.folder, socket)
  return { path, required: socket !== undefined }
}

/** The short forms of `discovery` say only where it listens. */
function serviceOf({ discovery }: Written): WrittenDiscovery {
  if (discovery === undefined) return {}
  return discovery === false || Array.isArray(discovery) ? { listeners: discovery } : discovery
}

/** Every listener offers discovery anyway, so an endpoint that is one is not repeated. */
function discoveryOf(
  written: WrittenDiscovery['listeners'], listeners: readonly Endpoint[],
): Endpoint[] {
  if (written === false) return []
  const addresses = [...new Set(listeners.map(({ address }) => address))]
  const wanted = written ?? addresses.map((address) => ({ address }))
  return endpoints(wanted, DISCOVERY_PORT).filter(({ address, port }) => port === 0
    || !listeners.some((listener) => listener.address === address && listener.port === port))
}

function endpoints(written: readonly WrittenEndpoint[], port: number): Endpoint[] {
  return written.map((endpoint) => endpointOf(endpoint, port))
}

function listenerOf({ ana, ...place }: WrittenListener): ListenerConfig {
  const endpoint = endpointOf(place, IO_PORT)
  if (ana === undefined) return endpoint
  const choice: AnaChoice = typeof ana === 'string'
    ? { others: ana, groups: {} } : { others: 'optimized', groups: ana }
  return { ...endpoint, ana: choice }
}

function endpointOf(written: WrittenEndpoint, port: number): Endpoint {
  return { address: written.address, port: written.port ?? port }
}

/** null: any. */
function hostsOf(written: WrittenHosts | undefined): string[] | null {
  if (written === undefined || written === 'any') return null
  return written.map((host) => (typeof host === 'string' ? host : host.nqn))
}

function completeSubsystem(
  written: WrittenSubsystem, around: Surroundings, keys: readonly HostKeys[],
  devices: readonly DeviceConfig[], common: readonly ListenerConfig[] | undefined,
): SubsystemConfig {
  const listeners = written.listeners?.map(listenerOf) ?? common
  const nqn = written.nqn ?? defaultNqn(around.machineId)
  const nsids = nsidsOf(written.namespaces ?? [])
  const namespaces = (written.namespaces ?? []).map((namespace, at) =>
    completeNamespace(namespace, nsids[at]!, nqn, around, devices))
  return {
    nqn,
    serial: written.serial ?? serialOf(around.machineId, nqn),
    model: written.model ?? MODEL,
    label: written.label,
    hosts: written.anyHost === true ? null : hostsOf(written.hosts),
    keys,
    controllers: {
      kind: written.controllers ?? 'dynamic',
      first: written.minCntlid ?? ANY_CONTROLLER.first,
      last: written.maxCntlid ?? ANY_CONTROLLER.last,
    },
    ...(listeners === undefined ? {} : { listeners }),
    namespaces: namespaces.sort((one, other) => one.nsid - other.nsid),
    ...(written.pool === undefined ? {} : { pool: { path: resolve(around.folder, written.pool.path), bytes: written.pool.size } }),
  }
}

/** One for each: what is left out is the lowest that is free. */
export function nsidsOf(namespaces: readonly { readonly nsid?: number | undefined }[]): number[] {
  const taken = new Set(namespaces.map(({ nsid }) => nsid))
  let free = 0
  return namespaces.map(({ nsid }) => {
    if (nsid !== undefined) return nsid
    do free += 1
    while (taken.has(free))
    return free
  })
}

function completeNamespace(
  written: WrittenNamespace, nsid: number, nqn: string, around: Surroundings,
  devices: readonly DeviceConfig[],
): NamespaceConfig {
  const device = devices.find((each) => each.name === written.use)
  const backing = device?.backing ?? backingOf(written, around.folder)
  const name = device !== undefined ? `use ${device.name}` : 'path' in backing ? `${backing.kind} ${backing.path}` : backing.kind
  const { machineId } = around
  return {
    nsid,
    backing,
    blockBytes: device !== undefined ? device.blockBytes
      : written.block ?? (backing.kind === 'device' || backing.kind === 'pci' ? null : 512),
    uuid: written.uuid?.toLowerCase() ?? device?.uuid ?? namespaceUuid(machineId, nqn, nsid, name),
    nguid: written.nguid?.toLowerCase() ?? namespaceNguid(machineId, nqn, nsid, name),
    readOnly: (written.readOnly ?? false) || (device?.readOnly ?? false),
    anaGroup: written.anaGroup ?? 1,
    qos: written.qos ?? device?.qos,
    ...(written.hosts === undefined || written.hosts === 'any' ? {} : { hosts: written.hosts }),
    ...(device === undefined ? {} : { use: device.name }),
  }
}

function backingOf(written: WrittenDevice, folder: string): Backing {
  if (written.memory !== undefined) return { kind: 'memory', bytes: written.memory }
  if (written.null !== undefined) return { kind: 'null', bytes: written.null }
  if (written.device !== undefined) return { kind: 'device', path: resolve(folder, written.device) }
  if (written.pci !== undefined) return { kind: 'pci', path: pciText(pciPlace(written.pci)!) }
  const bytes = written.size ?? null
  return {
    kind: 'file',
    path: resolve(folder, written.file!),
    bytes,
    create: written.create ?? (bytes !== null && written.readOnly !== true),
  }
}
