/**
 * One life of the simulated target: the real control plane and the real reactors, on simulated shims, one step at
 * a time. world drives it. What src/target.ts does with threads and files is done here without.
 *
 * Invariant: messages of one sender to one receiver arrive in order; nothing else is promised, as between threads.
 */
import { EventEmitter } from 'node:events'
import { Keys } from '../../src/auth/keys.ts'
import { ControlPlane, type ControlPlaneParts } from '../../src/control-plane.ts'
import type { Log } from '../../src/control/log.ts'
import { Newcomers } from '../../src/control/newcomers.ts'
import { Lives } from '../../src/controller/lives.ts'
import { CONTROLLER_STATE, ROW, Shared, sharedBytes } from '../../src/controller/shared.ts'
import { tallyBytes } from '../../src/controller/tally.ts'
import { ReactorThread } from '../../src/reactor-thread.ts'
import type { ReactorSetup, ToControl, ToReactor } from '../../src/reactor/messages.ts'
import { DEATHS_MS } from '../../src/reactors.ts'
import type { Limits } from '../../src/limits.ts'
import { Access } from '../../src/subsystem/access.ts'
import { Reservations } from '../../src/subsystem/reservations.ts'
import {
  ANY_CONTROLLER, type NamespaceSnapshot, type SubsystemSnapshot, type TargetSnapshot,
} from '../../src/subsystem/subsystem.ts'
import type { Machine } from './machine.ts'
import type { SimulatedShim } from './shim.ts'

export const NQN = 'nqn.2026-01.example:simulated'
const LISTENER = {
  socket: 5, wanted: { address: '192.0.2.1', port: 4420 }, endpoint: { address: '192.0.2.1', port: 4420 },
  discoveryOnly: false,
}
const UUID = 'f81d4fae-7dec-41d0-8765-00a0c91e6b'

/** A namespace, before it has its place in memory. */
export type Volume = { readonly kind: 'memory' | 'file'; readonly blockBytes: number; readonly blockCount: number }

class Worker extends EventEmitter {
  readonly inbox: ToReactor[] = []
  readonly outbox: ToControl[] = []
  #close: ((socket: number) => void) | null = null
  readonly postMessage = (message: ToReactor): void => {
    if (this.#close === null) this.inbox.push(structuredClone(message))
    else if (message.type === 'adopt') this.#close(message.socket)
  }

  /** Its reactor has died: sockets that are on their way to it are closed. */
  bury(close: (socket: number) => void): void {
    this.#close = close
    for (const message of this.inbox.splice(0)) this.postMessage(message)
  }
}

export class SimulatedTarget {
  readonly machine: Machine
  readonly reactors: ReactorThread[] = []
  /** What the log said, for who looks for reasons. */
  readonly told: string[] = []
  readonly #workers: Worker[] = []
  readonly #shims: SimulatedShim[] = []
  /** Reactors that have died, until another one is there. */
  readonly #dead = new Set<number>()
  #deaths = 0
  readonly #timers = new Set<{ readonly dueUs: number; readonly what: () => void }>()
  readonly #access: Access
  readonly #namespaces: readonly NamespaceSnapshot[]
  readonly #idle: readonly Readonly<Record<string, number>>[]

  constructor(machine: Machine, limits: Limits, volumes: readonly Volume[], reactorCount: number) {
    this.machine = machine
    const target = snapshotOf(machine, limits, volumes)
    this.#namespaces = target.subsystems[0]!.namespaces
    const sharedRegion = machine.addRegion(sharedBytes(limits, reactorCount))
    const tallyRegion = machine.addRegion(tallyBytes(limits, reactorCount))
    const shared = new Shared(machine.region(sharedRegion).buffer as ArrayBuffer, limits, reactorCount)
    this.#access = new Access(target, limits.controllers, {
      enabled: (controller) => shared.words[shared.row(controller) + ROW.STATE] === CONTROLLER_STATE.READY,
      granted: (controller) => shared.words[shared.row(controller) + ROW.GRANTED]!,
    })
    const lives = new Lives({
      shared, subsystemsMax: limits.subsystems, firmware: target.firmware, uptimeMs: () => machine.clock.us / 1000,
      nowMs: () => machine.clock.us / 1000,
      health: { load: () => null, save: async () => {} }, events: { load: () => null, save: async () => {} },
    })
    lives.adopt(target.subsystems)
    const handles = Array.from({ length: reactorCount }, (_, reactor) => {
      const setup = { reactor, reactorCount, cpu: -1, poll: false, limits, sharedRegion, tallyRegion, target, rights: [] }
      return { worker: this.#begin(setup), shim: reactor, engine: 1, setup }
    })
    this.#idle = this.reactors.map(({ held }) => held)
    const log = this.#log() as Log
    const reservations = new Reservations({
      load: () => null, save: async () => {}, unsaved: () => {},
      publish: (rights) => plane.change({ kind: 'rights', ...rights }),
      drain: (uuid, hostIds) => plane.change({ kind: 'preempt', uuid, hostIds }),
      controllers: () => this.#access.controllers.filter(({ queues }) => queues.has(0)),
      notify: (controller, notice, nsid) => plane.notice(controller, notice, nsid),
    })
    reservations.open([NQN])
    const plane: ControlPlane = new ControlPlane({
      shim: {
        wake: (id: number) => machine.wake(id),
        socketClose: (socket: number) => machine.network.close(socket),
        address: (socket: number, remote: boolean) => remote ? `198.51.100.7 ${socket}` : '192.0.2.1 4420',
      },
      access: this.#access, shared, observer: { joined: () => {} }, lives, log,
      newcomers: new Newcomers(limits.connections * reactorCount, log),
      listeners: { all: [LISTENER], find: () => LISTENER },
      registrations: { manage: async () => 0, forget: async () => {} }, keys: new Keys(),
      perform: async () => 0, pools: { join: () => 0, leave: () => {} },
      reserve: ({ controller, namespaces, request }: Parameters<ControlPlaneParts['reserve']>[0]) => reservations.execute(
        NQN, namespaces, this.#access.get(controller)?.hostId ?? '', request),
      reactors: handles,
      // However often: that too many end the daemon is not what is looked at here.
      later: (what: () => void, ms: number) => {
        const timer = { dueUs: machine.clock.us + ms * 1000, what }
        this.#timers.add(timer)
        return () => { this.#timers.delete(timer) }
      },
      replacing: { nowMs: () => ++this.#deaths * DEATHS_MS, start: (setup: ReactorSetup) => this.#begin(setup, true) },
    } as unknown as ControlPlaneParts)
    plane.listen([LISTENER])
  }

  /** Starts a reactor, or another one in the place of one that died. */
  #begin(setup: ReactorSetup, again = false): Worker {
    const shim = this.machine.addShim()
    const worker = new Worker()
    const { reactor } = setup
    const thread = new ReactorThread(setup, shim as never, {
      post: (message) => { worker.outbox.push(structuredClone(message)) },
      take: () => worker.inbox.shift(),
    })
    this.#workers[reactor] = worker
    this.#shims[reactor] = shim
    this.reactors[reactor] = thread
    this.#dead.delete(reactor)
    if (again) thread.begin()
    // Messages that came before it had a shim to be woken by.
    shim.woken = again
    return worker
  }

  /** A reactor dies of a mistake, as reactor-worker.ts has it. */
  kill(index: number): void {
    if (this.#dead.has(index)) return
    this.#dead.add(index)
    const worker = this.#workers[index]!
    worker.outbox.push({ type: 'died', reason: 'simulated', stack: '' }, { type: 'buried' })
    this.reactors[index]!.bury()
    worker.bury((socket) => this.machine.network.close(socket))
  }

  /** Whether a turn of it would find anything. */
  isBusy(index: number): boolean {
    return !this.#dead.has(index) && this.#shims[index]!.busy
  }

  /** Whether the control plane has something to do. */
  get hasMail(): boolean {
    return this.#workers.some(({ outbox }) => outbox.length !== 0)
  }

  /** The control plane takes one message. */
  stepPlane(): void {
    const { random, clock } = this.machine
    for (const timer of this.#timers) {
      if (timer.dueUs > clock.us) continue
      this.#timers.delete(timer)
      timer.what()
    }
    const first = random.below(this.#workers.length)
    for (let k = 0; k < this.#workers.length; k++) {
      const worker = this.#workers[(first + k) % this.#workers.length]!
      const message = worker.outbox.shift()
      if (message === undefined) continue
      this.machine.activity++
      if (message.type === 'stopped' && message.slotsInUse !== 0) throw new Error('a reactor leaked slots')
      worker.emit('message', message)
      return
    }
  }

  stepReactor(index: number): void {
    if (this.#dead.has(index)) return
    if (!this.reactors[index]!.step()) throw new Error('a reactor stopped by itself')
  }

  /** Commands that are executed for connections that have gone. */
  get orphans(): number {
    return this.reactors.reduce((sum, { held }, index) => sum + (this.#dead.has(index) ? 0 : held['orphans']!), 0)
  }

  /** The memory of a namespace that is in memory. */
  memoryOf(index: number): Uint8Array {
    const { device } = this.#namespaces[index]!
    if (device.kind !== 'memory') throw new Error('a namespace in memory was asked for')
    return this.machine.region(device.region)
  }

  /** What is held though nobody is connected any more; '' = nothing. */
  leaked(): string {
    if (this.#dead.size !== 0) return 'a reactor has died'
    const found = this.reactors.flatMap(({ held }, reactor) => Object.entries(held)
      .filter(([name, count]) => count !== this.#idle[reactor]![name])
      .map(([name, count]) => `reactor ${reactor} holds ${count} ${name}`))
    const controllers = [...this.#access.controllers].length
    if (controllers !== 0) found.push(`${controllers} controllers are left`)
    return found.join(', ')
  }

  #log(): unknown {
    return new Proxy({}, {
      get: (_target, event: string) => (facts: unknown) => {
        this.told.push(`${event} ${JSON.stringify(facts)}`)
        if (this.told.length > 200) this.told.splice(0, 100)
      },
    })
  }
}

function snapshotOf(machine: Machine, limits: Limits, volumes: readonly Volume[]): TargetSnapshot {
  const namespaces: NamespaceSnapshot[] = volumes.map(({ kind, blockBytes, blockCount }, index) => ({
    nsid: index + 1, index, counter: index, blockBytes, blockCount, uuid: `${UUID}${index + 10}`,
    nguid: `f81d4fae7dec41d0876500a0c91e6b${index + 10}`, readOnly: false, anaGroup: 1,
    device: kind === 'memory'
      ? { kind, region: machine.addRegion(blockBytes * blockCount) }
      : {
          kind, path: `/disk/${index}`, file: index, direct: true, logicalBytes: blockBytes, physicalBytes: blockBytes,
          optimalBytes: 0, discardBytes: blockBytes, boundaryBytes: 0, discard: true, zero: index % 2 === 0,
          readOnly: false,
        },
  }))
  const subsystem: SubsystemSnapshot = {
    nqn: NQN, kind: 'nvm', serial: 'S', model: 'M', hosts: null, endpoints: [LISTENER.endpoint], namespaces,
    controllers: ANY_CONTROLLER, paths: [], mdtsBytes: limits.maxTransferBytes,
    inCapsuleBytes: limits.inCapsuleBytes, queueDepthMax: limits.queueDepth, ioQueuesMax: limits.ioQueues,
  }
  return {
    generation: 1, firmware: '1.0', subsystems: [subsystem],
    discovery: { referrals: [], registered: [], ports: [LISTENER.endpoint] },
  }
}
