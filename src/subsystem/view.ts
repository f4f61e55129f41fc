/**
 * A host's view of a subsystem: namespaces may be there for some of its hosts only, and to the others they do
 * not exist. associations shows controllers this, model tells hosts when it changes.
 *
 *   subsystem ─ hosts of each namespace ─▶ what one host sees: namespaces, and the ANA groups that they are in
 *
 * SPDK calls it namespace masking.                        NVMe Base 2.0, 3.2.1.1, inactive NSIDs
 * Invariant: a host that sees everything is shown the subsystem itself, not a copy.
 */
import type { NamespaceSnapshot, SubsystemSnapshot, TargetSnapshot } from './subsystem.ts'

/** A namespace that some hosts see from now on, or see no longer. */
export type ViewNews = {
  readonly nqn: string
  readonly nsid: number
  readonly concerns: (hostNqn: string) => boolean
  /** undefined: all hosts of the subsystem. */
  readonly hosts: readonly string[] | undefined
}

type Hosts = Pick<NamespaceSnapshot, 'hosts'>

/** Whether a namespace is there for a host that may connect to its subsystem. */
export function sees(hostNqn: string, { hosts }: Hosts): boolean {
  return hosts === undefined || hosts.includes(hostNqn)
}

export function seesNumber(hostNqn: string, { namespaces }: SubsystemSnapshot, nsid: number): boolean {
  const found = namespaces.find((each) => each.nsid === nsid)
  return found !== undefined && sees(hostNqn, found)
}

export function viewOf(subsystem: SubsystemSnapshot, hostNqn: string): SubsystemSnapshot {
  return showing(subsystem, (each) => sees(hostNqn, each))
}

/** The subsystem with some of its namespaces. */
export function showing(subsystem: SubsystemSnapshot, isShown: (namespace: NamespaceSnapshot) => boolean): SubsystemSnapshot {
  const hidden = new Set(subsystem.namespaces.filter((each) => !isShown(each)).map(({ nsid }) => nsid))
  if (hidden.size === 0) return subsystem
  return {
    ...subsystem, partial: true, namespaces: subsystem.namespaces.filter(({ nsid }) => !hidden.has(nsid)),
    paths: subsystem.paths.map((path) => ({
      ...path, groups: path.groups.flatMap((group) => {
        const nsids = group.nsids.filter((nsid) => !hidden.has(nsid))
        return nsids.length === 0 ? [] : [{ ...group, nsids }]
      }),
    })),
  }
}

/** Of namespaces that are in both. Of those that come and go, who sees them is told by somebody else. */
export function viewNews(before: TargetSnapshot, after: TargetSnapshot): ViewNews[] {
  return after.subsystems.flatMap(({ nqn, namespaces }) => {
    const former = before.subsystems.find((each) => each.nqn === nqn)?.namespaces ?? []
    return namespaces.flatMap((now): ViewNews[] => {
      const was = former.find(({ counter }) => counter === now.counter)
      if (was === undefined || isSame(was, now)) return []
      const concerns = (hostNqn: string): boolean => sees(hostNqn, was) !== sees(hostNqn, now)
      return [{ nqn, nsid: now.nsid, hosts: now.hosts, concerns }]
    })
  })
}

function isSame({ hosts: one }: Hosts, { hosts: other }: Hosts): boolean {
  if (one === undefined || other === undefined) return one === other
  return one.length === other.length && one.every((each) => other.includes(each))
}
