/**
 * What the target does about NVMe controllers that it drives: hosts learn whether what is on them can be reached, and
 * what the devices tell of themselves. target gives it to nvme/controllers.ts.
 *
 *   not reachable ─▶ groups of asymmetric access whose namespaces are all there become inaccessible, and what they
 *                    were when it is back
 *
 * Invariant: a group that has namespaces elsewhere keeps its state; only commands for the others are refused.
 */
import type { Log } from './control/log.ts'
import type { ControlPlane } from './control-plane.ts'
import type { Live } from './live.ts'
import type { Model } from './model.ts'
import { type PciPlace, pciPlace } from './nvme/address.ts'
import type { Controllers, Served } from './nvme/controllers.ts'
import type { DeviceEvent } from './nvme/controller.ts'
import type { Item, Stock } from './stock.ts'
import { type AnaName, listenerKey } from './subsystem/ana.ts'
import type { AnaWish } from './subsystem/paths.ts'
import type { SubsystemSnapshot } from './subsystem/subsystem.ts'
import type { EventName } from './wire/event.ts'
import { describeStatus } from './wire/status.ts'

export type DrivenParts = {
  readonly model: Pick<Model, 'target' | 'setAnaState'>
  readonly plane: Pick<ControlPlane, 'change' | 'raise'>
  readonly live: Pick<Live, 'resizeNamespace'>
  readonly stock: Pick<Stock, 'items'>
  readonly nvme: Pick<Controllers, 'find'>
  readonly log: Pick<Log, 'warning'>
}

const [ERROR, SMART, NOTICE] = [0, 1, 2]
/** By the information of an event of type ERROR; others are about what a driver did. */
const ERROR_EVENTS: Readonly<Record<number, EventName>> = {
  2: 'DIAGNOSTIC_FAILURE', 3: 'PERSISTENT_INTERNAL_ERROR', 4: 'TRANSIENT_INTERNAL_ERROR',
}
/** By the information of an event of type SMART. */
const SMART_EVENTS: readonly EventName[] = ['SMART_DEGRADED', 'SMART_TEMPERATURE', 'SMART_SPARE']
const [NAMESPACE_ATTRIBUTES, ZONES] = [0, 0xef]

export function servedBy(parts: DrivenParts): Served {
  const { model, plane } = parts
  /** By address: how to make it as it was. */
  const moved = new Map<string, AnaWish[]>()
  return {
    change: (change) => plane.change(change),
    reachable: async (address, isReachable) => {
      const wishes = isReachable ? moved.get(address) ?? [] : wishesFor(model.target.subsystems, address)
      moved.delete(address)
      if (!isReachable) moved.set(address, wishes)
      for (const wish of wishes) {
        // A listener or a subsystem may have gone meanwhile.
        await model.setAnaState(isReachable ? wish : { ...wish, state: 'inaccessible' }).catch(() => {})
      }
    },
    happened: (address, event) => { void happened(parts, address, event) },
  }
}

/** The states that groups on this controller have now. */
function wishesFor(subsystems: readonly SubsystemSnapshot[], address: string): AnaWish[] {
  return subsystems.flatMap(({ nqn, namespaces, paths, endpoints }) => {
    const groups = [...new Set(namespaces.map(({ anaGroup }) => anaGroup))].filter((group) =>
      namespaces.filter(({ anaGroup }) => anaGroup === group).every(({ device }) =>
        device.kind === 'pci' && pciPlace(device.path)!.address === address))
    return endpoints.flatMap((listener) => groups.map((group) => {
      const path = paths.find((each) => each.listener === listenerKey(listener))
      const state: AnaName = path?.groups.find((each) => each.group === group)?.state ?? 'optimized'
      return { listener, subsystem: nqn, group, state }
    }))
  })
}

async function happened({ plane, live, stock, nvme, log }: DrivenParts, address: string, event: DeviceEvent): Promise<void> {
  const concerned = stock.items.filter((item) => placeOf(item)?.address === address)
  const nqns = new Set(concerned.map(({ nqn }) => nqn))
  try {
    const controller = nvme.find(address)
    if (event.type === SMART) {
      const name = SMART_EVENTS[event.information] ?? 'SMART_DEGRADED'
      log.warning(`${address} reports a critical warning (${name.slice(6).toLowerCase().replace('_', ' ')}).`, { device: address })
      plane.raise(name, ({ subsystem }) => nqns.has(subsystem.nqn))
      // The device tells of it again only when its log was read.
      await controller.smart()
    } else if (event.type === NOTICE && event.information === NAMESPACE_ATTRIBUTES) {
      await controller.rescan()
      for (const { nqn, config } of concerned) await live.resizeNamespace(nqn, config.nsid, null)
    } else if (event.type === NOTICE && event.information === ZONES) {
      const zones = await controller.changedZones(event.nsid)
      for (const { nqn, config } of concerned.filter((item) => placeOf(item)!.nsid === event.nsid)) {
        plane.raise('ZONES', ({ subsystem }) => subsystem.nqn === nqn, config.nsid, zones)
      }
    } else if (event.type === ERROR) {
      const status = describeStatus(await controller.lastError())
      log.warning(`${address} reports an error of its own; what it logged last: ${status}.`, { device: address })
      const name = ERROR_EVENTS[event.information]
      if (name !== undefined) plane.raise(name, ({ subsystem }) => nqns.has(subsystem.nqn))
    }
  } catch (error) {
    log.warning(`${address} told of a change, which could not be looked at: ${(error as Error).message}`, { device: address })
  }
}

function placeOf({ config: { backing } }: Item): PciPlace | null {
  return backing.kind === 'pci' ? pciPlace(backing.path) : null
}
