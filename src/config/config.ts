/**
 * The configuration of a target, complete: defaults filled in, sizes in bytes, identifiers derived.
 * schema.ts and complete.ts make it from what a person wrote; target.ts builds the target from it.
 *
 * Plain data. Invariants: NQNs are unique and valid, nsids unique within a subsystem and ascending,
 * uuid and nguid unique over the target; addresses are numeric.
 */
import type { HostKeys } from '../auth/keys.ts'
import type { AnaChoice } from '../subsystem/ana.ts'
import type { ControllerModel, Endpoint, NamespaceLimits, Referral } from '../subsystem/subsystem.ts'

export type EngineChoice = 'auto' | 'uring' | 'epoll'

export type Config = {
  readonly reactors: number
  /** One processor for each reactor; null: the target chooses. */
  readonly cpus: readonly number[] | null
  /** Spin for ever instead of sleeping when idle. */
  readonly poll: boolean
  readonly engine: EngineChoice
  readonly limits: LimitsConfig
  /** Port 0: the system's choice. */
  readonly listeners: readonly ListenerConfig[]
  /** Where discovery is offered besides the listeners; none of `listeners` is repeated here. */
  readonly discovery: readonly Endpoint[]
  /** False when `discovery` is the default: a port that is taken is then no reason not to start. */
  readonly discoveryRequired: boolean
  /** Where what survives a restart is kept: an absolute path, created when it is needed. */
  readonly state: string
  /** Where metrics are offered over HTTP; left out: nowhere. */
  readonly metrics?: Endpoint | undefined
  /** Where it is controlled from; path null: nowhere. */
  readonly control: {
    readonly path: string | null
    /** False when the path is the default: one that cannot be had is then no reason not to start. */
    readonly required: boolean
    /** Over HTTP as well; left out: not. */
    readonly http?: HttpConfig | undefined
  }
  readonly discoveryService: DiscoveryServiceConfig
  readonly subsystems: readonly SubsystemConfig[]
  /** Storage that has a name, whether a namespace uses it or not. */
  readonly devices?: readonly DeviceConfig[]
}

export type HttpConfig = Endpoint & {
  /** SHA-256 of the token that clients show, in hexadecimal digits. */
  readonly tokenDigest: string
  /** PEM; null: without TLS. */
  readonly tls: { readonly certificate: string; readonly key: string } | null
}

export type DeviceConfig = {
  readonly name: string
  readonly backing: Backing
  /** As in NamespaceConfig. */
  readonly blockBytes: 512 | 4096 | null
  readonly readOnly: boolean
  /** Of the namespaces that use it. */
  readonly uuid?: string | undefined
  /** The same, where the namespace has none of its own. */
  readonly qos?: NamespaceLimits | undefined
}

export type DiscoveryServiceConfig = {
  /** Its own name besides the well-known one, or the well-known one. */
  readonly nqn: string
  /** Hosts that may ask it; null: any. */
  readonly hosts: readonly string[] | null
  /** Of those of them that have to authenticate. */
  readonly keys: readonly HostKeys[]
  /** Others may register what they have with it. */
  readonly central: boolean
  readonly referrals: readonly Referral[]
  /** Tell the networks by mDNS. */
  readonly announce: boolean
  /** Central discovery controllers to register with. */
  readonly register: readonly Endpoint[]
}

/** ana: the states of its paths, where they are not optimized throughout. */
export type ListenerConfig = Endpoint & { readonly ana?: AnaChoice }

export type LimitsConfig = {
  /** For each reactor. */
  readonly connections: number
  /** Entries of an I/O queue. */
  readonly queueDepth: number
  /** For each controller. */
  readonly ioQueues: number
  readonly inCapsuleBytes: number
  /** A power of two, at least 4096. */
  readonly maxTransferBytes: number
  /** For each reactor. */
  readonly bufferBytes: number
}

export type SubsystemConfig = {
  readonly nqn: string
  readonly serial: string
  readonly model: string
  /** What people call it, told to hosts that look for it. */
  readonly label?: string | undefined
  /** null: any host. */
  readonly hosts: readonly string[] | null
  /** Of those of them that have to authenticate. */
  readonly keys: readonly HostKeys[]
  readonly controllers: ControllerModel
  /** Where it is served, each one of `listeners` of all; left out: wherever the target listens. */
  readonly listeners?: readonly ListenerConfig[]
  readonly namespaces: readonly NamespaceConfig[]
  /** What hosts may create namespaces of, a multiple of a granule; left out: they cannot. */
  readonly pool?: PoolConfig | undefined
}

export type PoolConfig = { readonly path: string; readonly bytes: number }

export type NamespaceConfig = {
  readonly nsid: number
  readonly backing: Backing
  /** null (only with kinds 'device' and 'pci'): that of the device. */
  readonly blockBytes: 512 | 4096 | null
  readonly uuid: string
  readonly nguid: string
  readonly readOnly: boolean
  readonly anaGroup: number
  readonly qos?: NamespaceLimits | undefined
  /** Those of the subsystem's hosts that it is there for; left out: all of them. */
  readonly hosts?: readonly string[] | undefined
  /** The device that `backing` is that of. */
  readonly use?: string | undefined
}

export type Backing =
  | { readonly kind: 'memory' | 'null'; readonly bytes: number }
  /** bytes null: as large as the file is. A smaller file is extended to `bytes`. */
  | {
      readonly kind: 'file'
      readonly path: string
      readonly bytes: number | null
      /** Create the file (sparse) when it does not exist; bytes is then a number. */
      readonly create: boolean
    }
  | { readonly kind: 'device'; readonly path: string }
  /** Part of a pool, for a namespace that a host created. pool: the path; bytes: of its blocks; at: in the pool. */
  | { readonly kind: 'pool'; readonly pool: string; readonly at: number; readonly bytes: number }
  /** A namespace of an NVMe controller that weft drives itself; path: as nvme/address.ts writes it. */
  | { readonly kind: 'pci'; readonly path: string }
