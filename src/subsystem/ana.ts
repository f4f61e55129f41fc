/**
 * Asymmetric namespace access: which paths lead to a namespace, and how well. The control plane keeps the
 * states and makes of them what the hosts of each listener are told; reactors refuse commands by it.
 * paths.ts calls it on the main thread, controller/ana.ts and admin on reactors.   NVMe Base 2.0, 8.1, 5.16.1.12
 *
 *   subsystem ─▶ path, one a listener ─▶ groups ─▶ state and NSIDs ─▶ log page 0Ch
 *
 * A path is what the controllers of one listener see; a group's state differs between paths, its NSIDs do not.
 * Invariant: a change count grows exactly when what it stands for has changed, and is never 0.
 */
import {
  ANA_GROUP, ANA_GROUP_BYTES, ANA_LOG, ANA_LOG_BYTES, ANA_STATE,
} from '../wire/log-page.ts'
import { STATUS } from '../wire/status.ts'
import { putU64 } from '../wire/value.ts'
import type { Endpoint } from './subsystem.ts'

/** Groups are numbered from 1 to this. A log of all of them, and of 1024 namespaces, is below 16 KiB. */
export const ANA_GROUPS_MAX = 128
/** Seconds that a state of "change" should not outlast: hosts reset the controller then. */
export const ANA_TRANSITION_S = 10

export const ANA_NAMES = [
  'optimized', 'non-optimized', 'inaccessible', 'persistent-loss', 'change',
] as const
export type AnaName = (typeof ANA_NAMES)[number]

const STATES: Readonly<Record<AnaName, number>> = {
  'optimized': ANA_STATE.OPTIMIZED,
  'non-optimized': ANA_STATE.NON_OPTIMIZED,
  'inaccessible': ANA_STATE.INACCESSIBLE,
  'persistent-loss': ANA_STATE.PERSISTENT_LOSS,
  'change': ANA_STATE.CHANGE,
}

/** The states of a listener: of the groups that are named, and of all others. */
export type AnaChoice = {
  readonly others: AnaName
  readonly groups: Readonly<Record<number, AnaName>>
}

export const ALWAYS_OPTIMIZED: AnaChoice = { others: 'optimized', groups: {} }

export type AnaGroup = {
  readonly group: number
  readonly state: AnaName
  readonly changeCount: number
  /** Ascending; at least one. */
  readonly nsids: readonly number[]
}

/** What the hosts that came through a listener are told. Plain data. */
export type AnaPath = {
  /** listenerKey of where it listens. */
  readonly listener: string
  readonly changeCount: number
  /** Ascending; those that have namespaces. */
  readonly groups: readonly AnaGroup[]
}

/** The name of a listener as bound. */
export function listenerKey({ address, port }: Endpoint): string {
  return `${address} ${port}`
}

/** The status that refuses commands in a state; 0 where they are executed. */
export function refusalOf(state: AnaName): number {
  switch (state) {
    case 'inaccessible':
      return STATUS.ANA_INACCESSIBLE
    case 'persistent-loss':
      return STATUS.ANA_PERSISTENT_LOSS
    case 'change':
      return STATUS.ANA_TRANSITION
    default:
      return 0
  }
}

/** The state of a choice for a group. */
export function stateOf(choice: AnaChoice, group: number): AnaName {
  return choice.groups[group] ?? choice.others
}

/**
 * The paths of a subsystem. before: what they were, so that counts go on; a listener that is new, and a
 * group that gets its first namespace, begin with what the path's count has become, so that none goes back.
 */
export function anaPaths(
  namespaces: readonly { readonly nsid: number; readonly anaGroup: number }[],
  choices: ReadonlyMap<string, AnaChoice>, before: readonly AnaPath[],
): AnaPath[] {
  const members = new Map<number, number[]>()
  for (const { nsid, anaGroup } of namespaces.toSorted((one, other) => one.nsid - other.nsid)) {
    members.set(anaGroup, [...(members.get(anaGroup) ?? []), nsid])
  }
  const numbers = [...members.keys()].sort((one, other) => one - other)
  return [...choices].map(([listener, choice]) => {
    const previous = before.find((path) => path.listener === listener)
    const changeCount = (previous?.changeCount ?? 0) + 1
    const groups = numbers.map((group): AnaGroup => {
      const described = { group, state: stateOf(choice, group), nsids: members.get(group)! }
      const known = previous?.groups.find((each) => each.group === group)
      return known !== undefined && isAlike(known, described) ? known : { ...described, changeCount }
    })
    const same = previous !== undefined && previous.groups.length === groups.length
      && groups.every((each) => previous.groups.includes(each))
    return same ? previous : { listener, changeCount, groups }
  })
}

/**
 * The listeners through which a namespace that was there before, and is now, has another group or state. Of
 * one that comes or goes, hosts are told by another event.
 */
export function changedPaths(before: readonly AnaPath[], after: readonly AnaPath[]): string[] {
  return after.filter((path) => {
    const previous = before.find(({ listener }) => listener === path.listener)
    return previous !== undefined && previous !== path && path.groups.some(({ group, state, nsids }) =>
      nsids.some((nsid) => {
        const known = previous.groups.find((each) => each.nsids.includes(nsid))
        return known !== undefined && (known.group !== group || known.state !== state)
      }))
  }).map(({ listener }) => listener)
}

/** The path of a listener. */
export function pathAt(paths: readonly AnaPath[], listener: string): AnaPath | undefined {
  return paths.find((each) => each.listener === listener)
}

/** The state of a group through a listener; a listener that has gone leads nowhere. */
export function pathState(paths: readonly AnaPath[], listener: string, group: number): AnaName {
  return pathAt(paths, listener)?.groups.find((each) => each.group === group)?.state ?? 'inaccessible'
}

/**
 * LID 0Ch as the controllers of a path return it. groupsOnly: without NSIDs. It is as long as it can become with
 * namespacesMax namespaces, the rest zero: nvme-cli reads all of that in pieces.
 */
export function anaLog(path: AnaPath | undefined, groupsOnly: boolean, namespacesMax: number): Uint8Array {
  const groups = path?.groups ?? []
  const log = new Uint8Array(ANA_LOG_BYTES + ANA_GROUPS_MAX * ANA_GROUP_BYTES + namespacesMax * 4)
  const view = new DataView(log.buffer)
  putU64(view, ANA_LOG.chgcnt, path?.changeCount ?? 0)
  view.setUint16(ANA_LOG.ngrps, groups.length, true)
  let at = ANA_LOG_BYTES
  for (const { group, state, changeCount, nsids } of groups) {
    const listed = groupsOnly ? [] : nsids
    view.setUint32(at + ANA_GROUP.grpid, group, true)
    view.setUint32(at + ANA_GROUP.nnsids, listed.length, true)
    putU64(view, at + ANA_GROUP.chgcnt, changeCount)
    view.setUint8(at + ANA_GROUP.state, STATES[state])
    at += ANA_GROUP_BYTES
    for (const nsid of listed) {
      view.setUint32(at, nsid, true)
      at += 4
    }
  }
  return log
}

function isAlike(
  one: Omit<AnaGroup, 'changeCount'>, other: Omit<AnaGroup, 'changeCount'>,
): boolean {
  return one.state === other.state && one.nsids.length === other.nsids.length
    && one.nsids.every((nsid, index) => nsid === other.nsids[index])
}
