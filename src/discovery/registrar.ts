/**
 * Registrar: registers what this target offers with a central discovery controller, as a host of it, and keeps
 * that up to date. presence.ts has one for each controller that `register` names; it calls host/host.ts.
 * NVMe Base 2.0, Discovery Information Management; layouts in wire/discovery-information.ts.
 *
 *   connect ─ register ─▶ registered ─ change: deregister what went, register the rest ─▶ … ─ stop: deregister
 *      ▲                      │
 *      └── RETRY_MS, doubled ─┘ the connection ends
 *
 * Only subsystems that any host may use are registered; who else may ask is sent to our own discovery service.
 * Invariant: one line is logged for each change between registered and not.
 */
import { hostname } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'
import { hostIdentity, machineId } from '../config/identity.ts'
import { type Log, endpointText } from '../control/log.ts'
import { HostError } from '../host/error.ts'
import { Host } from '../host/host.ts'
import { discoveryEntries, entryBytes, reachable, type DiscoveryEntry } from '../subsystem/discovery.ts'
import { DISCOVERY_NQN, type Endpoint, type TargetSnapshot } from '../subsystem/subsystem.ts'
import {
  DIM_TASK, DISCOVERY_INFORMATION, DISCOVERY_INFORMATION_BYTES, EKTYPE_ALL, ENAME_BYTES, ENTFMT, ETYPE,
  EVER_BYTES,
} from '../wire/discovery-information.ts'
import { NQN_BYTES } from '../wire/fabrics.ts'
import { CNS, DCTYPE, IDENTIFY_CONTROLLER } from '../wire/identify.ts'
import { DISCOVERY_ENTRY_BYTES, DISCOVERY_SUBTYPE } from '../wire/log-page.ts'
import { putNqn, putPadded, putU64 } from '../wire/value.ts'

const KEEP_ALIVE_MS = 30_000
const RETRY_MS = 1000
const RETRY_MAX_MS = 60_000
/** In one command: half a mebibyte. */
const ENTRIES_MAX = 511

/** What a test shortens. */
export type RegistrarTimes = { readonly keepAliveMs: number; readonly retryMs: number }

export class Registrar {
  readonly #central: Endpoint
  readonly #name: string
  readonly #version: string
  readonly #log: Pick<Log, 'notice' | 'warning'>
  readonly #times: RegistrarTimes
  readonly #stopping = new AbortController()
  readonly #running: Promise<void>
  #target: TargetSnapshot
  #host: Host | null = null
  /** null: not registered, and the log says so. */
  #registered: readonly DiscoveryEntry[] | null = null
  #failed = false

  /** version: of the program. */
  constructor(
    central: Endpoint, target: TargetSnapshot, version: string, log: Pick<Log, 'notice' | 'warning'>,
    times: RegistrarTimes = { keepAliveMs: KEEP_ALIVE_MS, retryMs: RETRY_MS },
  ) {
    this.#central = central
    this.#name = endpointText(central)
    this.#target = target
    this.#version = version
    this.#log = log
    this.#times = times
    this.#running = this.#run()
  }

  /** Something else is offered now. */
  changed(target: TargetSnapshot): void {
    this.#target = target
    this.#host?.interrupt()
  }

  /** Resolves when nothing is registered any more, as far as the other side answers. */
  async stop(): Promise<void> {
    this.#stopping.abort()
    this.#host?.interrupt()
    await this.#running
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping
    let pauseMs = this.#times.retryMs
    while (!signal.aborted) {
      try {
        await this.#serve()
        return
      } catch (error) {
        if (!(error instanceof HostError)) throw error
        if (this.#registered !== null) pauseMs = this.#times.retryMs
        this.#fail(error.message)
      }
      await sleep(pauseMs, undefined, { signal, ref: false }).catch(() => {})
      pauseMs = Math.min(2 * pauseMs, RETRY_MAX_MS)
    }
  }

  /** Returns when it has been told to stop. Throws a HostError when the other side is not there. */
  async #serve(): Promise<void> {
    const { signal } = this.#stopping
    const { keepAliveMs } = this.#times
    const host = await Host.open({ ...this.#central, nqn: DISCOVERY_NQN, keepAliveMs })
    this.#host = host
    try {
      const identity = await host.identify(CNS.CONTROLLER, 0)
      if (identity.getUint8(IDENTIFY_CONTROLLER.dctype) !== DCTYPE.CENTRAL) {
        throw new HostError(`${this.#name} is no central discovery controller.`)
      }
      let told: TargetSnapshot | null = null
      while (!signal.aborted) {
        const target = this.#target
        if (target !== told) await this.#register(host, target)
        else await host.keepAlive()
        told = target
        if (target === this.#target && !signal.aborted) await host.event(keepAliveMs / 3)
      }
      await this.#deregister(host)
    } finally {
      this.#host = null
      await host.close()
    }
  }

  async #register(host: Host, target: TargetSnapshot): Promise<void> {
    const entries = registrable(target, host.localAddress).slice(0, ENTRIES_MAX)
    const now = new Set(entries.map(textOf))
    const gone = this.#registered?.filter((entry) => !now.has(textOf(entry))) ?? []
    if (gone.length > 0) await host.manageDiscovery(DIM_TASK.DEREGISTER, this.#information(target, gone))
    if (entries.length > 0) await host.manageDiscovery(DIM_TASK.REGISTER, this.#information(target, entries))
    const first = this.#registered === null
    this.#registered = entries
    this.#failed = false
    const count = `${entries.length} ${entries.length === 1 ? 'entry' : 'entries'}`
    if (first) this.#log.notice(`Registered ${count} with the central discovery controller ${this.#name}.`)
  }

  async #deregister(host: Host): Promise<void> {
    const entries = this.#registered
    this.#registered = null
    if (entries === null || entries.length === 0) return
    try {
      await host.manageDiscovery(DIM_TASK.DEREGISTER, this.#information(this.#target, entries))
      this.#log.notice(`Deregistered from the central discovery controller ${this.#name}.`)
    } catch (error) {
      if (!(error instanceof HostError)) throw error
      this.#log.warning(`Not deregistered from the central discovery controller ${this.#name}: ${error.message}`)
    }
  }

  #fail(reason: string): void {
    this.#registered = null
    if (this.#failed || this.#stopping.signal.aborted) return
    this.#failed = true
    this.#log.warning(
      `Not registered with the central discovery controller ${this.#name}: ${reason} It is tried again.`)
  }

  #information(target: TargetSnapshot, entries: readonly DiscoveryEntry[]): Uint8Array {
    const field = DISCOVERY_INFORMATION
    const bytes = new Uint8Array(DISCOVERY_INFORMATION_BYTES + DISCOVERY_ENTRY_BYTES * entries.length)
    const view = new DataView(bytes.buffer)
    const service = target.subsystems.find(({ kind }) => kind === 'discovery')
    // The well-known name says nothing of who this is.
    const named = service !== undefined && service.nqn !== DISCOVERY_NQN
    view.setUint32(field.tdl, bytes.length, true)
    putU64(view, field.nument, entries.length)
    view.setUint16(field.entfmt, ENTFMT.BASIC, true)
    view.setUint16(field.etype, service?.central === true ? ETYPE.CENTRAL : ETYPE.DIRECT, true)
    view.setUint16(field.ektype, EKTYPE_ALL, true)
    putNqn(view, field.eid, NQN_BYTES, named ? service.nqn : hostIdentity(machineId()).nqn)
    putPadded(view, field.ename, ENAME_BYTES, hostname())
    putPadded(view, field.ever, EVER_BYTES, `weft ${this.#version}`)
    for (const [index, entry] of entries.entries()) {
      bytes.set(entryBytes(entry), DISCOVERY_INFORMATION_BYTES + DISCOVERY_ENTRY_BYTES * index)
    }
    return bytes
  }
}

/** What a host that may only use what all may would see, and where to ask for more. */
function registrable(target: TargetSnapshot, localAddress: string): DiscoveryEntry[] {
  const service = target.subsystems.find(({ kind }) => kind === 'discovery')
  const from = { address: localAddress, port: 0 }
  const own = service?.endpoints.map((endpoint) => reachable(endpoint, from)).find((each) => each !== null) ?? null
  return discoveryEntries(target, '', own ?? from).filter(({ subtype }) =>
    subtype === DISCOVERY_SUBTYPE.NVM || (subtype === DISCOVERY_SUBTYPE.CURRENT_DISCOVERY && own !== null))
}

function textOf({ nqn, endpoint }: DiscoveryEntry): string {
  return `${nqn} ${endpoint.address} ${endpoint.port}`
}
