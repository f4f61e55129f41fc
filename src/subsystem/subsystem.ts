/**
 * What is exported: subsystems, their namespaces, listeners and hosts, as one immutable snapshot.
 * The control plane builds it from the configuration; every reactor holds the version it was sent last.
 *
 * Everything here is plain data that can be posted to a worker thread (structured clone).
 * Invariant: nqn is unique among subsystems, nsid among the namespaces of a subsystem; namespaces are in ascending nsid.
 */
import { CNTLID_MAX, CNTLID_MIN } from '../wire/fabrics.ts'
import type { QueuePlace } from '../nvme/place.ts'
import type { Geometry } from '../nvme/geometry.ts'
import type { ZonedFacts } from '../nvme/zoned-facts.ts'
import type { AnaPath } from './ana.ts'
import type { Attachment } from './attachment.ts'
import type { SanitizeSnapshot } from './sanitize.ts'

/** Where hosts connect: a numeric address and a TCP port. "0.0.0.0" and "::" are wildcards. */
export type Endpoint = { readonly address: string; readonly port: number }

/** The storage behind a namespace, opened already. Ids are those of shim.h. */
export type DeviceSnapshot =
  | { readonly kind: 'memory'; readonly region: number }
  | { readonly kind: 'null' }
  | {
      readonly kind: 'file' | 'block'
      readonly path: string
      readonly file: number
      /** Where its blocks begin in the file; left out: at the beginning. */
      readonly base?: number
      readonly direct: boolean
      readonly logicalBytes: number
      readonly physicalBytes: number
      /** Preferences of the storage, see struct shim_file_facts; 0 = none that is known. */
      readonly optimalBytes: number
      readonly discardBytes: number
      readonly boundaryBytes: number
      readonly discard: boolean
      readonly zero: boolean
      readonly readOnly: boolean
    }
  | {
      /** A namespace of an NVMe controller that the reactors drive. */
      readonly kind: 'pci'
      /** Address of the controller and NSID on it: nvme/address.ts. */
      readonly path: string
      /** By reactor. */
      readonly places: readonly QueuePlace[]
      readonly geometry: Geometry
      /** What the controller can do. */
      readonly volatileCache: boolean
      readonly compare: boolean
      readonly deallocate: boolean
      readonly writeZeroes: boolean
      readonly verify: boolean
      readonly zeroesMayDeallocate: boolean
      /** Deallocated blocks read as zeroes. */
      readonly discard: boolean
      /** As of other devices. */
      readonly physicalBytes: number
      readonly optimalBytes: number
      readonly discardBytes: number
      readonly boundaryBytes: number
      /** null: it has no zones. */
      readonly zoned: ZonedFacts | null
    }

/** What all hosts together may do with a namespace in a second: commands, bytes; left out: as much as they can. */
export type NamespaceLimits = {
  readonly iops?: number | undefined
  readonly readIops?: number | undefined
  readonly writeIops?: number | undefined
  readonly bandwidth?: number | undefined
  readonly readBandwidth?: number | undefined
  readonly writeBandwidth?: number | undefined
}

export type NamespaceSnapshot = {
  readonly nsid: number
  /** Index in the reactors' tables. A namespace that was resized has another one: see controller/catalogue.ts. */
  readonly index: number
  /** Index of its counters, unique over all namespaces of the target. */
  readonly counter: number
  /** 512 or 4096. */
  readonly blockBytes: number
  readonly blockCount: number
  /** Canonical lower-case form, 8-4-4-4-12. */
  readonly uuid: string
  /** 32 hexadecimal digits. */
  readonly nguid: string
  /** By configuration, or because its storage is. */
  readonly readOnly: boolean
  /** What hosts made of it: one of WRITE_PROTECTION; see protection.ts. */
  readonly protection?: number
  /** Ranges of blocks that cannot be read, where there are some; see defect.ts. */
  readonly defects?: readonly number[]
  /** Percent that are left of it being formatted, while it is; see format.ts. */
  readonly formatting?: number
  /** Its group in asymmetric access, from 1: see ana.ts. */
  readonly anaGroup: number
  /** Those of its subsystem's hosts that it is there for; left out: all of them. See view.ts. */
  readonly hosts?: readonly string[] | undefined
  readonly limits?: NamespaceLimits | undefined
  /** Which controllers have it; left out: all of them. See attachment.ts. */
  readonly attachment?: Attachment
  /** One controller at a time may have it. */
  readonly isPrivate?: boolean
  /** What it takes of a pool, in bytes; left out: its blocks. */
  readonly capacityBytes?: number
  readonly device: DeviceSnapshot
}

/** What hosts may create namespaces of. */
export type PoolSnapshot = {
  /** With what the namespaces beside it have. */
  readonly totalBytes: number
  readonly freeBytes: number
  /** By LBA format. */
  readonly blockSizes: readonly number[]
}

/**
 * How hosts get controllers: made for a Connect that asks for any ('dynamic'), or those from `first` to
 * `last`, of which a Connect names one or takes one that is free ('static').
 */
export type ControllerModel = {
  readonly kind: 'dynamic' | 'static'
  readonly first: number
  readonly last: number
}

/** A new controller for each Connect, of any CNTLID. */
export const ANY_CONTROLLER: ControllerModel = { kind: 'dynamic', first: CNTLID_MIN, last: CNTLID_MAX }

export type SubsystemSnapshot = {
  readonly nqn: string
  /** 'nvm' exports namespaces; 'discovery' tells hosts what there is. */
  readonly kind: 'nvm' | 'discovery'
  /** Its controllers are central discovery controllers: others may register with them. */
  readonly central?: boolean
  /** At most 20 printable ASCII characters. */
  readonly serial: string
  /** At most 40 printable ASCII characters. */
  readonly model: string
  /** What people call it: at most 256 printable ASCII characters. */
  readonly label?: string | undefined
  /** null: any host may connect. */
  readonly hosts: readonly string[] | null
  /** Endpoints that lead to this subsystem. Discovery: where the discovery service itself is listed. */
  readonly endpoints: readonly Endpoint[]
  readonly namespaces: readonly NamespaceSnapshot[]
  /** Others are there for other hosts; see view.ts. */
  readonly partial?: boolean
  /** How far it is with being sanitized, or how that ended; see sanitize.ts. */
  readonly sanitize?: SanitizeSnapshot
  /** In what one controller sees: all, where `namespaces` are those that are attached to it. */
  readonly allocated?: readonly NamespaceSnapshot[]
  /** Left out: hosts cannot create namespaces. */
  readonly pool?: PoolSnapshot
  readonly controllers: ControllerModel
  /** One for each endpoint; none of a discovery subsystem. */
  readonly paths: readonly AnaPath[]
  /** Block sizes etc. are per namespace; these are per controller. */
  readonly mdtsBytes: number
  readonly inCapsuleBytes: number
  readonly queueDepthMax: number
  readonly ioQueuesMax: number
}

/** The zones of a namespace; null: it has none. */
export function zonesOf({ device }: Pick<NamespaceSnapshot, 'device'>): ZonedFacts | null {
  return device.kind === 'pci' ? device.zoned : null
}

/** Some of its namespaces have zones. */
export function hasZones({ namespaces }: Pick<SubsystemSnapshot, 'namespaces'>): boolean {
  return namespaces.some((each) => zonesOf(each) !== null)
}

/** Another discovery service, which hosts are referred to. */
export type Referral = {
  readonly endpoint: Endpoint
  readonly nqn: string
  /** null: every host is told. */
  readonly hosts: readonly string[] | null
}

/** An entry that somebody registered with us, checked; see wire/discovery-information.ts. */
export type RegisteredEntry = {
  /** NQN of who registered it. */
  readonly entity: string
  /** A host is none that others connect to, and is not in the discovery log. */
  readonly kind: 'subsystem' | 'host'
  /** As it stands in the discovery log, 1024 bytes. */
  readonly base: Uint8Array
  readonly attributeCount: number
  readonly attributes: Uint8Array
}

/** What the discovery service tells besides the subsystems. */
export type DiscoverySnapshot = {
  readonly referrals: readonly Referral[]
  readonly registered: readonly RegisteredEntry[]
  /** Every endpoint there ever was, in the order of PORTID, which begins at 1. */
  readonly ports: readonly Endpoint[]
}

/** The whole target, versioned. generation is the discovery log's GENCTR. */
export type TargetSnapshot = {
  readonly generation: number
  readonly firmware: string
  readonly subsystems: readonly SubsystemSnapshot[]
  readonly discovery: DiscoverySnapshot
}

/** Every discovery service answers to this name, also one that has a name of its own. */
export const DISCOVERY_NQN = 'nqn.2014-08.org.nvmexpress.discovery'
