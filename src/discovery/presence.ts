/**
 * Presence: what the target tells others of itself without being asked: the networks, by mDNS, and central
 * discovery controllers. target starts and stops it; the model says when what is offered has changed.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { DiscoveryServiceConfig } from '../config/config.ts'
import { type Log, endpointText } from '../control/log.ts'
import type { TargetSnapshot } from '../subsystem/subsystem.ts'
import { Announcement, announcementParts } from './announcement.ts'
import { Registrar } from './registrar.ts'
import type { AnnouncedService } from './service-records.ts'

/** Taking back what was told takes no longer, whoever does not answer. */
const STOP_MS = 1000

type Configured = Pick<DiscoveryServiceConfig, 'announce' | 'register'>

export class Presence {
  readonly #version: string
  readonly #log: Log
  #target: TargetSnapshot
  #announcement: Announcement | null = null
  /** By the endpoint that they register with. */
  readonly #registrars = new Map<string, Registrar>()
  #stopped = false

  /** version: of the program. */
  constructor(target: TargetSnapshot, version: string, log: Log) {
    this.#target = target
    this.#version = version
    this.#log = log
  }

  /** Who is told, from now on. What was told to others is taken back. */
  async configure({ announce, register }: Configured): Promise<void> {
    const wanted = new Map(register.map((central) => [endpointText(central), central]))
    for (const [name, registrar] of this.#registrars) {
      if (wanted.has(name)) continue
      this.#registrars.delete(name)
      void registrar.stop()
    }
    for (const [name, central] of wanted) {
      if (this.#registrars.has(name)) continue
      this.#registrars.set(name, new Registrar(central, this.#target, this.#version, this.#log))
    }
    if (!announce) {
      void this.#announcement?.stop()
      this.#announcement = null
    } else if (this.#announcement === null) {
      await this.#announce()
    }
  }

  async #announce(): Promise<void> {
    try {
      const parts = await announcementParts(this.#log)
      if (!this.#stopped) this.#announcement ??= new Announcement(announced(this.#target), parts)
    } catch (error) {
      this.#log.warning(`Nothing is announced by mDNS: ${(error as Error).message}.`)
    }
  }

  /** Something else is offered now. */
  changed(target: TargetSnapshot): void {
    this.#target = target
    this.#announcement?.update(announced(target))
    for (const registrar of this.#registrars.values()) registrar.changed(target)
  }

  async stop(): Promise<void> {
    this.#stopped = true
    const all = [this.#announcement, ...this.#registrars.values()].map((each) => each?.stop())
    await Promise.race([Promise.all(all), sleep(STOP_MS, undefined, { ref: false })])
  }
}

function announced(target: TargetSnapshot): AnnouncedService {
  const service = target.subsystems.find(({ kind }) => kind === 'discovery')!
  return { nqn: service.nqn, central: service.central === true, endpoints: service.endpoints }
}
