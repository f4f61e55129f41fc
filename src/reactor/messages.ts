/**
 * Messages between a reactor and the control plane: everything that is rarer than a command.
 * Posted over the worker's port; a shim_wake follows each message to a reactor.
 *
 * Invariant: a message names a connection by index and serial, so that one that has gone is not mistaken
 * for the next with that index.
 */
import type {
  NamespaceId, NamespaceRights, ReservationAnswer, ReservationRequest,
} from '../subsystem/reservations.ts'
import type { Endpoint, TargetSnapshot } from '../subsystem/subsystem.ts'
import type { EventName } from '../wire/event.ts'
import type { BlockRange, ExclusionRequest } from '../subsystem/exclusion.ts'
import type { UpkeepTask } from '../subsystem/upkeep.ts'
import type { Limits } from '../limits.ts'
import type { TraceFacts, TraceWish } from './trace-ring.ts'

/**
 * A change of what the reactors do. The control plane posts it to all of them; each applies it between two
 * turns and acknowledges it, and only then is the change answered, logged and told to hosts. Of one that lasts,
 * standing.ts knows.
 */
export type Change =
  /** What is exported, from now on. */
  | { readonly kind: 'target'; readonly target: TargetSnapshot }
  /** Nothing is different. Acknowledged when the reactor has turned once more. */
  | { readonly kind: 'pulse' }
  /** Nothing is accepted on this socket any more, and connections that came by it are ended in order. */
  | { readonly kind: 'unlisten'; readonly socket: number; readonly listener: string; readonly reason: string }
  /** Acknowledged when no command, copy or answer refers to these namespaces, which are exported no more. */
  | { readonly kind: 'retire'; readonly indices: readonly number[] }
  /** Blocks of a namespace are somebody's alone. Acknowledged when no command touches them any more. */
  | ({ readonly kind: 'hold'; readonly id: number } & BlockRange)
  /** They are everybody's again. */
  | { readonly kind: 'let-go'; readonly id: number; readonly namespace: number }
  /** What hosts may do on a namespace while it is reserved. */
  | ({ readonly kind: 'rights' } & NamespaceRights)
  /** What a device that reactors drive is up to: it is reset, works again, is gone, is given
   * up to the system and taken again, or is not needed any more. */
  | { readonly kind: 'pci'; readonly device: number; readonly step: 'hold' | 'go' | 'fail' | 'leave' | 'join' | 'close';
      /** Of commands, after 'fail' and 'close'. */
      readonly status: number }
  /** By reactor: whose PDUs are recorded from now on; null: nobody's. */
  | { readonly kind: 'trace'; readonly reactors: readonly TracedReactor[] | null }
  /** The SMART log of such a device. */
  | { readonly kind: 'device-health'; readonly address: string; readonly log: Uint8Array }
  /** Acknowledged when no command of these hosts on the namespace can do anything any more. */
  | { readonly kind: 'preempt'; readonly uuid: string; readonly hostIds: readonly string[] }
  /** Acknowledged when no command that has begun touches the blocks of the namespace any more. */
  | { readonly kind: 'settle'; readonly uuid: string }

export type TracedReactor = {
  readonly wish: TraceWish
  /** A TraceRing's. */
  readonly ring: SharedArrayBuffer
  /** Connections that are there already, with who is at the other end. */
  readonly known: readonly (ConnectionId & Pick<TraceFacts, 'hostNqn' | 'subsystem' | 'qid'>)[]
}

/** What a reactor is started with. */
export type ReactorSetup = {
  readonly reactor: number
  readonly reactorCount: number
  readonly cpu: number
  readonly poll: boolean
  readonly limits: Limits
  readonly sharedRegion: number
  /** controller/tally.ts. */
  readonly tallyRegion: number
  readonly target: TargetSnapshot
  /** Of the namespaces that are reserved already. */
  readonly rights: readonly NamespaceRights[]
}

/** Connect, checked as far as one queue can; the control plane checks the rest. */
export type JoinRequest = {
  readonly qid: number
  readonly depth: number
  readonly cntlid: number
  readonly keepAliveMs: number
  readonly flowControlOff: boolean
  readonly hostNqn: string
  /** 32 hexadecimal digits. */
  readonly hostId: string
  readonly subsystemNqn: string
}

export type JoinOutcome =
  | { readonly admitted: true; readonly cntlid: number; readonly controller: number; readonly subsystem: string;
      /** listenerKey of where it came in. */
      readonly listener: string }
  /** status: wire/status.ts; dw0: IPO and IATTR. */
  | { readonly admitted: false; readonly status: number; readonly dw0: number }

export type ConnectionId = { readonly connection: number; readonly serial: number }

export type ToControl =
  /** It turns. shim: its id, for shim_wake. */
  | { readonly type: 'up'; readonly engine: number; readonly shim: number }
  /** It broke an invariant of its own, and closes its shim. Then: nothing of it is left but its mail. */
  | { readonly type: 'died'; readonly reason: string; readonly stack: string }
  | { readonly type: 'buried' }
  | { readonly type: 'accepted'; readonly listener: number; readonly socket: number }
  | ({ readonly type: 'join'; readonly reactor: number; readonly slot: number; readonly request: JoinRequest;
      readonly remote: string; readonly listener: string; readonly discoveryOnly: boolean } & ConnectionId)
  /** Authentication Send (message) or Receive (null, at most room bytes). Answered by 'authenticated'. */
  | ({ readonly type: 'authentication'; readonly reactor: number; readonly slot: number;
      readonly message: Uint8Array | null; readonly room: number } & ConnectionId)
  | ({ readonly type: 'gone'; readonly reactor: number; readonly remote: string;
      /** '' = the host closed it. */
      readonly reason: string } & ConnectionId)
  /** The controller's I/O queues must go: it was disabled or shut down. Answered by 'emptied'. */
  | { readonly type: 'empty'; readonly reactor: number; readonly controller: number }
  /** The association is over: keep alive expired. */
  | { readonly type: 'expire'; readonly controller: number; readonly reason: string }
  | { readonly type: 'abort'; readonly reactor: number; readonly slot: number; readonly controller: number;
      readonly qid: number; readonly cid: number }
  | { readonly type: 'aborted'; readonly replyTo: number; readonly slot: number; readonly done: boolean }
  /** Discovery Information Management, to be answered by 'performed'. */
  | { readonly type: 'manage-discovery'; readonly reactor: number; readonly slot: number;
      readonly controller: number; readonly task: number; readonly information: Uint8Array }
  /** What a command asks to change for all hosts, to be answered by 'performed'. */
  | { readonly type: 'perform'; readonly reactor: number; readonly slot: number;
      readonly controller: number; readonly task: UpkeepTask }
  | { readonly type: 'device-error'; readonly subsystem: string; readonly nsid: number; readonly path: string;
      readonly errno: number; readonly operation: string;
      /** What a device that has no errno answered. */
      readonly status?: number }
  /** A device has not answered a command for long, or what nobody asked. */
  | { readonly type: 'pci-late'; readonly device: number; readonly qid: number; readonly cid: number;
      readonly broken: boolean }
  /** A host wants to read the persistent event log. Answered by 'history'. */
  | { readonly type: 'read-history'; readonly reactor: number; readonly slot: number; readonly controller: number }
  /** Something that belongs into the persistent event log. event: PERSISTENT_EVENT_TYPE. */
  | { readonly type: 'record'; readonly controller: number; readonly event: number; readonly data: Uint8Array }
  /** Answered by 'reserved'. namespaces: those that the command names. */
  | { readonly type: 'reserve'; readonly reactor: number; readonly slot: number; readonly controller: number;
      readonly namespaces: readonly NamespaceId[]; readonly request: ReservationRequest }
  /** Commands found no slot; said once a second at most. */
  | { readonly type: 'exhausted'; readonly reactor: number }
  /** Change `id` is in force on this reactor. */
  | { readonly type: 'changed'; readonly id: number }
  /** For one controller, or with -1 for all of a subsystem. nsid: of the namespace that changed, else 0. */
  | { readonly type: 'raise'; readonly controller: number; readonly subsystem: string;
      readonly event: EventName; readonly nsid: number }
  /** Asks for blocks of a namespace. Answered by 'granted'. */
  | ({ readonly type: 'exclude' } & ExclusionRequest)
  /** Done with them. */
  | { readonly type: 'release'; readonly id: number; readonly namespace: number }
  | { readonly type: 'statistics'; readonly reactor: number; readonly collections: number;
      readonly commands: number; readonly slotsInUse: number; readonly busyUs: number; readonly turns: number }
  | { readonly type: 'stopped'; readonly reactor: number; readonly slotsInUse: number }

export type ToReactor =
  | { readonly type: 'listen'; readonly listener: number }
  | { readonly type: 'adopt'; readonly socket: number; readonly local: Endpoint;
      readonly remote: string;
      /** listenerKey of where it was accepted. */
      readonly listener: string;
      /** Its listener leads to the discovery service alone. */
      readonly discoveryOnly: boolean }
  | ({ readonly type: 'joined'; readonly slot: number; readonly request: JoinRequest;
      readonly outcome: JoinOutcome;
      /** Admitted, but the host has to authenticate before anything else. */
      readonly authenticate: boolean } & ConnectionId)
  /** message: for the host. proven: it has authenticated, the queue executes commands from now on. */
  | ({ readonly type: 'authenticated'; readonly slot: number; readonly status: number;
      readonly message: Uint8Array | null; readonly proven: boolean } & ConnectionId)
  /** Ends one connection. */
  | ({ readonly type: 'dismiss'; readonly reason: string } & ConnectionId)
  /** Ends the controller's queues on this reactor: the I/O queues, or all of them. */
  | { readonly type: 'drop'; readonly controller: number; readonly admin: boolean; readonly reason: string }
  | { readonly type: 'emptied'; readonly controller: number }
  | { readonly type: 'abort'; readonly replyTo: number; readonly slot: number; readonly controller: number;
      readonly qid: number; readonly cid: number }
  | { readonly type: 'aborted'; readonly slot: number; readonly done: boolean }
  | { readonly type: 'performed'; readonly slot: number; readonly status: number;
      /** Left out: 0. */
      readonly dw0?: number }
  /** log: the whole of LID 0Dh. */
  | { readonly type: 'history'; readonly slot: number; readonly log: Uint8Array }
  | ({ readonly type: 'reserved'; readonly slot: number } & ReservationAnswer)
  /** For the log of the controller: one of NOTICE. */
  | { readonly type: 'notice'; readonly controller: number; readonly notice: number; readonly nsid: number }
  | { readonly type: 'change'; readonly id: number; readonly change: Change }
  /** Something happened that the host of this reactor's controller may want to know. */
  | { readonly type: 'event'; readonly controller: number; readonly event: EventName; readonly nsid: number
      /** Of a namespace whose zones have changed by themselves, null: too many to name. */
      readonly zones?: readonly number[] | null | undefined }
  /** token: of the request. id: for 'release'. */
  | { readonly type: 'granted'; readonly token: number; readonly id: number; readonly namespace: number;
      readonly granted: boolean }
  | { readonly type: 'statistics' }
  | { readonly type: 'stop'; readonly drainMs: number }

/** Of a reactor: to the control plane and back. */
export type Mailbox = {
  readonly post: (message: ToControl) => void
  /** The next message to this reactor; undefined = there is none. */
  readonly take: () => ToReactor | undefined
}
