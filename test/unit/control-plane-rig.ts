/**
 * A control plane with reactors that are event emitters: messages in, messages out. Used by
 * control-plane.test.ts and control-plane-ends.test.ts.
 */
import { EventEmitter } from 'node:events'
import { Keys } from '../../src/auth/keys.ts'
import { ControlPlane, type ControlPlaneParts } from '../../src/control-plane.ts'
import type { Log } from '../../src/control/log.ts'
import { Newcomers } from '../../src/control/newcomers.ts'
import { Lives } from '../../src/controller/lives.ts'
import { CONTROLLER_STATE, ROW } from '../../src/controller/shared.ts'
import type { JoinRequest, ToControl, ToReactor } from '../../src/reactor/messages.ts'
import { Access } from '../../src/subsystem/access.ts'
import { HOST, HOST_ID, LIMITS, sharedBlock, subsystemSnapshot } from './controller/association.ts'

export const SUBSYSTEM = subsystemSnapshot({ endpoints: [{ address: '127.0.0.1', port: 4420 }] })
export const REMOTE = '192.0.2.7:1000'
export const LISTENER = { socket: 3, wanted: { address: '0.0.0.0', port: 0 }, endpoint: { address: '0.0.0.0', port: 4420 }, discoveryOnly: false }
export const DISCOVERY_LISTENER = { ...LISTENER, socket: 4, discoveryOnly: true }

class Reactor extends EventEmitter {
  readonly received: ToReactor[] = []
  terminated = 0
  postMessage(message: ToReactor): void {
    this.received.push(message)
  }
  terminate(): void {
    this.terminated++
    this.emit('exit', 1)
  }
  /** What it was sent since this was asked last. */
  take(): ToReactor[] {
    return this.received.splice(0)
  }
}

export function rig(count = 2) {
  const reactors = Array.from({ length: count }, () => new Reactor())
  const shared = sharedBlock(count)
  const told: { event: string; facts: Record<string, unknown> }[] = []
  const log = new Proxy({}, {
    get: (_target, event: string) => (facts: Record<string, unknown>) => told.push({ event, facts }),
  })
  const [woken, closed]: [number[], number[]] = [[], []]
  const shim = {
    wake: (id: number) => woken.push(id),
    socketClose: (socket: number) => closed.push(socket),
    address: (_socket: number, remote: boolean) => remote ? '2001:db8::7 1000' : '192.0.2.1 4420',
  }
  const access = new Access(
    {
      generation: 1, firmware: '', subsystems: [SUBSYSTEM],
      discovery: { referrals: [], registered: [], ports: [] },
    }, 4,
    {
      enabled: (controller) => shared.words[shared.row(controller) + ROW.STATE] === CONTROLLER_STATE.READY,
      granted: () => 8,
    },
  )
  const listeners = {
    all: [LISTENER, DISCOVERY_LISTENER],
    find: (socket: number) => [LISTENER, DISCOVERY_LISTENER].find((each) => each.socket === socket),
  }
  const kept: [nqn: string, running: boolean][] = []
  const lives = new Lives({
    shared, subsystemsMax: LIMITS.subsystems, firmware: '1.2.3', uptimeMs: () => 0, nowMs: () => 1_000_000,
    health: { load: () => null, save: async (nqn, { running }) => { kept.push([nqn, running]) } },
    events: { load: () => null, save: async () => {} },
  })
  lives.adopt([SUBSYSTEM])
  const forgotten: unknown[] = []
  const registrations = {
    manage: async (...asked: unknown[]) => {
      told.push({ event: 'manage', facts: { asked } })
      return 0x412f
    },
    forget: async (association: unknown) => { forgotten.push(association) },
  }
  const started: Reactor[] = []
  const plane = new ControlPlane({
    shim, access, shared, lives, observer: { joined: () => {} }, log, listeners, registrations,
    pools: { join: () => 0, leave: () => {} }, keys: new Keys(),
    newcomers: new Newcomers(16, log as unknown as Log),
    reactors: reactors.map((worker, index) => ({ worker, shim: 70 + index, engine: 1, setup: { reactor: index } })),
    replacing: { start: () => {
      started.push(new Reactor())
      return started.at(-1)
    } },
  } as unknown as ControlPlaneParts)
  const die = (index: number): void => {
    send({ type: 'died', reason: 'an invariant', stack: '' }, index)
    send({ type: 'buried' }, index)
  }
  const send = (message: ToControl, from = 0): void => { reactors[from]!.emit('message', message) }
  const join = (qid: number, from: number, connection: number, more: Partial<JoinRequest> = {}): void => {
    const request = {
      qid, depth: 32, cntlid: qid === 0 ? 0xffff : 1, keepAliveMs: 5000, flowControlOff: true,
      hostNqn: HOST, hostId: HOST_ID, subsystemNqn: SUBSYSTEM.nqn, ...more,
    }
    send({
      type: 'join', reactor: from, slot: 40 + connection, request, remote: REMOTE, listener: '127.0.0.1 4420', discoveryOnly: false,
      connection, serial: 1,
    }, from)
  }
  const gone = (from: number, connection: number, reason = ''): void =>
    send({ type: 'gone', reactor: from, connection, serial: 1, remote: REMOTE, reason }, from)
  const ready = (): void => { shared.words[shared.row(0) + ROW.STATE] = CONTROLLER_STATE.READY }
  const takeAll = (): ToReactor[][] => reactors.map((reactor) => reactor.take())
  /** The usual: an admin queue on reactor 0, one I/O queue on each. */
  const associate = (): void => {
    join(0, 0, 0)
    ready()
    join(1, 0, 1)
    join(2, 1, 2)
    takeAll()
    told.length = 0
  }
  const events = (): string[] => told.map(({ event }) => event)
  return {
    forgotten, started, die,
    plane, reactors, shared, access, kept, told, events, woken, closed, send, join, gone, ready, takeAll, associate,
  }
}
