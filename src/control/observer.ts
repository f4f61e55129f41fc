/**
 * The observer: reads what the reactors have written to shared memory, and what the main thread knows, and makes
 * a report of it. No reactor notices. target makes it; the metrics server and the control interface ask it.
 *
 * It also sees whether the reactors turn: each of them writes the time at least every 200 ms, however idle.
 * Invariant: a namespace or a controller that takes the numbers of a former one starts at 0.
 */
import { COUNT, type Shared } from '../controller/shared.ts'
import {
  CLASSES, type CommandClass, GAUGE, HOST, HOST_BLOCK_SHIFT, STATUS_NAMES, SUM_US, type Tally,
} from '../controller/tally.ts'
import { BUCKETS } from '../reactor/histogram.ts'
import { COUNTER } from '../shim/abi.ts'
import type { ControllerRecord } from '../subsystem/access.ts'
import type { NamespaceSnapshot, SubsystemSnapshot } from '../subsystem/subsystem.ts'
import type { ClassReport, HostReport, NamespaceReport, ReactorReport, Report } from './report.ts'

const PAGE_BYTES = 4096
/** A reactor that has written nothing for so long does not turn. */
const STUCK_MS = 5000

export type ObserverParts = {
  readonly tally: Tally
  readonly shared: Pick<Shared, 'total'>
  readonly version: string
  readonly listeners: () => Report['listeners']
  readonly subsystems: () => readonly SubsystemSnapshot[]
  readonly controllers: () => readonly ControllerRecord[]
  /** Of a clock that never goes back. */
  readonly uptimeMs: () => number
  /** Milliseconds since 1970. */
  readonly nowMs: () => number
}

type Pulse = { beat: number; seenMs: number }
type Known = { readonly uuid: string; readonly readBytes: number; readonly writtenBytes: number }

export class Observer {
  readonly #parts: ObserverParts
  readonly #startedMs: number
  readonly #pulses: Pulse[]
  /** By counter: the namespace that has it, and what was counted for others before. */
  readonly #known = new Map<number, Known>()
  /** Hosts may connect. */
  ready = false

  constructor(parts: ObserverParts) {
    this.#parts = parts
    this.#startedMs = parts.nowMs()
    const seenMs = parts.uptimeMs()
    this.#pulses = Array.from({ length: parts.tally.reactorCount }, () => ({ beat: NaN, seenMs }))
  }

  /** What is exported from now on, before reactors know. */
  adopt(subsystems: readonly SubsystemSnapshot[]): void {
    const { tally, shared } = this.#parts
    const present = new Set<number>()
    for (const { counter, uuid } of subsystems.flatMap(({ namespaces }) => namespaces)) {
      present.add(counter)
      if (this.#known.get(counter)?.uuid === uuid) continue
      tally.clearNamespace(counter)
      this.#known.set(counter, {
        uuid, readBytes: shared.total(counter, COUNT.READ_BYTES),
        writtenBytes: shared.total(counter, COUNT.WRITTEN_BYTES),
      })
    }
    for (const counter of this.#known.keys()) if (!present.has(counter)) this.#known.delete(counter)
  }

  /** A controller has taken this row; no queue of a former one is left. */
  joined(controller: number): void {
    this.#parts.tally.clearController(controller)
  }

  /** Reactors that do not turn, each with how long it has not. */
  stuck(): { reactor: number; forMs: number }[] {
    const { tally, uptimeMs } = this.#parts
    const nowMs = uptimeMs()
    const found: { reactor: number; forMs: number }[] = []
    for (const [reactor, pulse] of this.#pulses.entries()) {
      const beat = tally.gauge(reactor, GAUGE.BEAT_MS)
      if (beat !== pulse.beat) {
        pulse.beat = beat
        pulse.seenMs = nowMs
      } else if (nowMs - pulse.seenMs >= STUCK_MS) {
        found.push({ reactor, forMs: Math.round(nowMs - pulse.seenMs) })
      }
    }
    return found
  }

  report(): Report {
    const { version, nowMs, listeners, subsystems, controllers } = this.#parts
    const { user, system } = process.cpuUsage()
    return {
      version, atMs: nowMs(), startedMs: this.#startedMs,
      residentBytes: process.memoryUsage.rss(), cpuUs: user + system,
      listeners: listeners(),
      subsystems: subsystems().filter(({ kind }) => kind === 'nvm').map(({ nqn, namespaces }) => ({
        nqn, namespaces: namespaces.map((each) => this.#namespace(each)),
      })),
      hosts: controllers().map((each) => this.#host(each)),
      reactors: this.#pulses.map((_, reactor) => this.#reactor(reactor)),
    }
  }

  #namespace({ nsid, counter, blockBytes, blockCount, device }: NamespaceSnapshot): NamespaceReport {
    const { tally, shared } = this.#parts
    const known = this.#known.get(counter)
    const commands = Object.fromEntries(CLASSES.map((name) => [name, this.#class(counter, name)]))
    const errors: Record<string, number> = {}
    for (const [place, name] of STATUS_NAMES.entries()) {
      const count = name === '' ? 0 : tally.errors(counter, place)
      if (count !== 0) errors[name] = count
    }
    return {
      nsid, kind: device.kind, path: 'path' in device ? device.path : '', bytes: blockBytes * blockCount,
      readBytes: shared.total(counter, COUNT.READ_BYTES) - (known?.readBytes ?? 0),
      writtenBytes: shared.total(counter, COUNT.WRITTEN_BYTES) - (known?.writtenBytes ?? 0),
      commands: commands as Record<CommandClass, ClassReport>, errors,
    }
  }

  #class(counter: number, name: CommandClass): ClassReport {
    const sums = this.#parts.tally.histogram(counter, name)
    const buckets = [...sums.subarray(0, BUCKETS)]
    return { count: buckets.reduce((sum, each) => sum + each, 0), sumUs: sums[SUM_US]!, buckets }
  }

  #host({ index, hostNqn, address, subsystem, cntlid, queues }: ControllerRecord): HostReport {
    const { tally } = this.#parts
    return {
      hostNqn, address, subsystem: subsystem.nqn, controller: cntlid,
      queues: queues.size - (queues.has(0) ? 1 : 0), commands: tally.host(index, HOST.COMMANDS),
      bytes: tally.host(index, HOST.BLOCKS) * 2 ** HOST_BLOCK_SHIFT, outstanding: tally.host(index, HOST.OUTSTANDING),
    }
  }

  #reactor(reactor: number): ReactorReport {
    const gauge = (which: number): number => this.#parts.tally.gauge(reactor, which)
    const counter = (which: number): number => gauge(GAUGE.COUNTERS + which)
    return {
      reactor, openUs: gauge(GAUGE.OPEN_US), busyUs: counter(COUNTER.BUSY_US), turns: counter(COUNTER.TURNS),
      syscalls: counter(COUNTER.SYSCALLS), receivedBytes: counter(COUNTER.RECEIVED_BYTES),
      sentBytes: counter(COUNTER.SENT_BYTES), commands: gauge(GAUGE.COMMANDS),
      collections: gauge(GAUGE.COLLECTIONS), connections: gauge(GAUGE.CONNECTIONS), slots: gauge(GAUGE.SLOTS),
      slotsUsed: gauge(GAUGE.SLOTS_USED), bufferBytes: gauge(GAUGE.BUFFERS) * PAGE_BYTES,
      bufferBytesUsed: gauge(GAUGE.BUFFERS_USED) * PAGE_BYTES,
    }
  }
}
