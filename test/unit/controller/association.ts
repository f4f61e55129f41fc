/**
 * One controller as a reactor sees it, with its row of the shared block in plain memory. For the
 * tests of this folder.
 */
import { AdminState } from '../../../src/controller/admin-state.ts'
import { Controller } from '../../../src/controller/controller.ts'
import { initialFeatures } from '../../../src/controller/features.ts'
import { Shared, sharedBytes } from '../../../src/controller/shared.ts'
import { type Limits, limitsOf } from '../../../src/limits.ts'
import type { Namespace, NamespaceTable } from '../../../src/namespace/namespace.ts'
import {
  ANY_CONTROLLER, type NamespaceSnapshot, type SubsystemSnapshot,
} from '../../../src/subsystem/subsystem.ts'

export const HOST = 'nqn.2026-01.com.example:host'
export const HOST_ID = '000102030405060708090a0b0c0d0e0f'

export const LIMITS: Limits = {
  ...limitsOf({
    engine: 0, connections: 4, queueDepth: 128, ioQueues: 8, inCapsuleBytes: 16384,
    maxTransferBytes: 1 << 20, bufferBytes: 1 << 20,
  }),
  controllers: 4, namespaces: 4,
}

export function namespaceSnapshot(nsid: number, more: Partial<NamespaceSnapshot> = {}): NamespaceSnapshot {
  return {
    nsid, index: nsid - 1, counter: nsid - 1, blockBytes: 512, blockCount: 1000, uuid: '', nguid: '', readOnly: false, anaGroup: 1,
    device: { kind: 'null' }, ...more,
  }
}

export function subsystemSnapshot(more: Partial<SubsystemSnapshot> = {}): SubsystemSnapshot {
  return {
    nqn: 'nqn.2026-01.com.example:disks', kind: 'nvm', serial: 'S', model: 'M', hosts: null,
    endpoints: [], namespaces: [], controllers: ANY_CONTROLLER, paths: [], mdtsBytes: 1 << 20, inCapsuleBytes: 16384, queueDepthMax: 128,
    ioQueuesMax: 8, ...more,
  }
}

export function sharedBlock(reactors = 2): Shared {
  return new Shared(new ArrayBuffer(sharedBytes(LIMITS, reactors)), LIMITS, reactors)
}

/** With an admin queue, connected at nowMs; keepAliveMs 0 = none agreed on. */
export function controllerOf(
  more: { readonly keepAliveMs?: number; readonly nowMs?: number; readonly index?: number;
    readonly namespaces?: readonly (Namespace | null)[] } & Partial<Omit<SubsystemSnapshot, 'namespaces'>> = {},
): { controller: Controller; admin: AdminState } {
  const { keepAliveMs = 0, nowMs = 0, index = 1, namespaces = [] } = more
  const table: NamespaceTable = namespaces
  const { kind = 'nvm', queueDepthMax = 128, ioQueuesMax = 8 } = more
  const subsystem = subsystemSnapshot({ kind, queueDepthMax, ioQueuesMax })
  const controller = new Controller(index, 17, HOST, HOST_ID, subsystem, table)
  const features = initialFeatures({ kind, ioQueuesMax, keepAliveMs, hostId: Buffer.from(HOST_ID, 'hex') }, nowMs)
  const admin = new AdminState(0, features, nowMs)
  controller.admin = admin
  return { controller, admin }
}
