/**
 * From a configuration, and what was opened for it, to the model. target builds the first one, live the next.
 *
 * What the configuration says nothing of, such as entries that others registered, is taken over from before.
 * Invariant: plain data, as subsystem.ts describes it.
 */
import type { Config, SubsystemConfig } from './config/config.ts'
import type { Limits } from './limits.ts'
import type { Item } from './stock.ts'
import { portsWith } from './subsystem/discovery.ts'
import {
  ANY_CONTROLLER, type Endpoint, type NamespaceSnapshot, type SubsystemSnapshot, type TargetSnapshot,
} from './subsystem/subsystem.ts'
import type { Listener } from './tcp/listener.ts'

export type SnapshotParts = {
  readonly config: Config
  readonly limits: Limits
  readonly items: readonly Item[]
  readonly listeners: readonly Listener[]
  /** At most 8 ASCII characters. */
  readonly firmware: string
}

/** before: null for the first one. */
export function snapshotOf(parts: SnapshotParts, before: TargetSnapshot | null): TargetSnapshot {
  const { config, limits, items, listeners } = parts
  const service = config.discoveryService
  const serving = listeners.filter((each) => !each.discoveryOnly).map((each) => each.endpoint)
  const discovery = listeners.filter((each) => each.discoveryOnly).map((each) => each.endpoint)
  const common = {
    mdtsBytes: limits.maxTransferBytes, inCapsuleBytes: limits.inCapsuleBytes,
    queueDepthMax: limits.queueDepth, ioQueuesMax: limits.ioQueues,
  }
  const subsystems: SubsystemSnapshot[] = config.subsystems.map((subsystem) => {
    const known = before?.subsystems.find((each) => each.nqn === subsystem.nqn)
    const own = items.filter((item) => item.nqn === subsystem.nqn)
    return {
      ...known, ...common, mdtsBytes: Math.min(limits.maxTransferBytes, ...own.map(transferBytesOf)), kind: 'nvm', nqn: subsystem.nqn, serial: subsystem.serial, model: subsystem.model,
      label: subsystem.label,
      hosts: subsystem.hosts, endpoints: endpointsOf(subsystem, listeners), controllers: subsystem.controllers, paths: known?.paths ?? [],
      namespaces: namespacesOf(own, known),
    }
  })
  const known = before?.subsystems.find((each) => each.kind === 'discovery')
  const first = config.subsystems[0]
  subsystems.push({
    ...known, ...common, kind: 'discovery', nqn: service.nqn, serial: known?.serial ?? first?.serial ?? '',
    model: known?.model ?? first?.model ?? 'weft', central: service.central, hosts: service.hosts,
    endpoints: [...discovery, ...serving], namespaces: [], controllers: ANY_CONTROLLER, paths: [],
  })
  return {
    ...before, generation: before?.generation ?? 1, firmware: parts.firmware, subsystems,
    discovery: {
      registered: [], ...before?.discovery, referrals: service.referrals,
      ports: portsWith(before?.discovery.ports ?? [], subsystems),
    },
  }
}

/** Of the listeners for data those that lead to it. */
function endpointsOf({ listeners: own }: SubsystemConfig, listeners: readonly Listener[]): Endpoint[] {
  const serving = listeners.filter((each) => !each.discoveryOnly)
  return serving.filter(({ wanted }) => own === undefined
    || own.some(({ address, port }) => address === wanted.address && port === wanted.port))
    .map(({ endpoint }) => endpoint)
}

/** Of one command. What is written into a zone is not cut to pieces: a device may run those in any order. */
function transferBytesOf({ backing: { device, blockBytes } }: Item): number {
  return device.kind === 'pci' && device.zoned !== null ? device.geometry.transferBlocks * blockBytes : Infinity
}

/** In ascending order of their NSIDs. */
function namespacesOf(items: readonly Item[], known: SubsystemSnapshot | undefined): NamespaceSnapshot[] {
  return items.toSorted((one, other) => one.config.nsid - other.config.nsid).map(({ config, backing, index, counter }) => {
    const { nsid, uuid, nguid, anaGroup, qos, hosts } = config
    const { device, blockBytes, blockCount, readOnly } = backing
    const former = known?.namespaces.find((each) => each.counter === counter)
    return {
      ...former, nsid, index, counter, blockBytes, blockCount, uuid, nguid, readOnly, anaGroup, hosts,
      limits: qos, device,
    }
  })
}
