/**
 * Presence: what the target tells others of itself without being asked: the networks, by mDNS, and central
 * discovery controllers. target starts and stops it; the model says when what is offered has changed.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { DiscoveryServiceConfig } from '../config/config.ts'
import type { Log } from '../control/log.ts'
import type { TargetSnapshot } from '../subsystem/subsystem.ts'
import { Announcement, announcementParts } from './announcement.ts'
import { Registrar } from './registrar.ts'
import type { AnnouncedService } from './service-records.ts'

/** Taking back what was told takes no longer, whoever does not answer. */
const STOP_MS = 1000

export class Presence {
  readonly #announcement: Announcement | null
  readonly #registrars: readonly Registrar[]

  /** version: of the program. */
  static async start(
    config: DiscoveryServiceConfig, target: TargetSnapshot, version: string, log: Log,
  ): Promise<Presence> {
    const announcement = config.announce
      ? new Announcement(announced(target), await announcementParts(log)) : null
    return new Presence(
      announcement, config.register.map((central) => new Registrar(central, target, version, log)))
  }

  constructor(announcement: Announcement | null, registrars: readonly Registrar[]) {
    this.#announcement = announcement
    this.#registrars = registrars
  }

  /** Something else is offered now. */
  changed(target: TargetSnapshot): void {
    this.#announcement?.update(announced(target))
    for (const registrar of this.#registrars) registrar.changed(target)
  }

  async stop(): Promise<void> {
    const all = [this.#announcement, ...this.#registrars].map((each) => each?.stop())
    await Promise.race([Promise.all(all), sleep(STOP_MS, undefined, { ref: false })])
  }
}

function announced(target: TargetSnapshot): AnnouncedService {
  const service = target.subsystems.find(({ kind }) => kind === 'discovery')!
  return { nqn: service.nqn, central: service.central === true, endpoints: service.endpoints }
}
