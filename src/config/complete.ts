/**
 * Fills in what a configuration leaves out: defaults, nsids, derived identifiers.
 * read.ts → here → Config. Nothing here can fail: the input is valid.
 */
import { resolve } from 'node:path'
import { ANY_CONTROLLER, DISCOVERY_NQN } from '../subsystem/subsystem.ts'
import type { AnaChoice } from '../subsystem/ana.ts'
import type { Endpoint } from '../subsystem/subsystem.ts'
import type { HostKeys } from '../auth/keys.ts'
import type { Backing, Config, ListenerConfig, NamespaceConfig, SubsystemConfig } from './config.ts'
import { defaultNqn, namespaceNguid, namespaceUuid, serialOf } from './identity.ts'
import type { WrittenKeys } from './keys.ts'
import { pciPlace, pciText } from '../nvme/address.ts'
import type {
  Written, WrittenDiscovery, WrittenEndpoint, WrittenHosts, WrittenListener, WrittenNamespace,
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

export function complete(written: Written, around: Surroundings, keys: WrittenKeys): Config {
  const limits = written.limits ?? {}
  const listeners = (written.listeners ?? [{ address: DEFAULT_ADDRESS }]).map(listenerOf)
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
    control: controlOf(written.control, around),
    subsystems: written.subsystems.map((subsystem, at) =>
      completeSubsystem(subsystem, around, keys.subsystems[at]!)),
  }
}

function controlOf(written: Written['control'], around: Surroundings): Config['control'] {
  if (written === false) return { path: null, required: false }
  const path = written === undefined ? around.control ?? null : resolve(around.folder, written)
  return { path, required: written !== undefined }
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
): SubsystemConfig {
  const nqn = written.nqn ?? defaultNqn(around.machineId)
  const taken = new Set(written.namespaces?.map(({ nsid }) => nsid))
  let free = 0
  const namespaces = (written.namespaces ?? []).map((namespace) => {
    let { nsid } = namespace
    if (nsid === undefined) {
      do free += 1
      while (taken.has(free))
      nsid = free
    }
    return completeNamespace(namespace, nsid, nqn, around)
  })
  return {
    nqn,
    serial: written.serial ?? serialOf(around.machineId, nqn),
    model: written.model ?? MODEL,
    label: written.label,
    hosts: hostsOf(written.hosts),
    keys,
    controllers: {
      kind: written.controllers ?? 'dynamic',
      first: written.minCntlid ?? ANY_CONTROLLER.first,
      last: written.maxCntlid ?? ANY_CONTROLLER.last,
    },
    namespaces: namespaces.sort((one, other) => one.nsid - other.nsid),
  }
}

function completeNamespace(
  written: WrittenNamespace, nsid: number, nqn: string, around: Surroundings,
): NamespaceConfig {
  const backing = backingOf(written, around.folder)
  const name = 'path' in backing ? `${backing.kind} ${backing.path}` : backing.kind
  const { machineId } = around
  return {
    nsid,
    backing,
    blockBytes: written.block ?? (backing.kind === 'device' || backing.kind === 'pci' ? null : 512),
    uuid: written.uuid?.toLowerCase() ?? namespaceUuid(machineId, nqn, nsid, name),
    nguid: written.nguid?.toLowerCase() ?? namespaceNguid(machineId, nqn, nsid, name),
    readOnly: written.readOnly ?? false,
    anaGroup: written.anaGroup ?? 1,
    qos: written.qos,
  }
}

function backingOf(written: WrittenNamespace, folder: string): Backing {
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
