/**
 * Keep alive: ends associations whose host has not been heard of. The reactor's tick calls it.
 * NVMe Base 2.0, 3.9 (traffic based, CTRATT.TBKAS); NVMe over Fabrics, 2.2.
 *
 *   window │◀──── KATO ────▶│  a command on any queue in it? a new window; none? the association is over
 *
 * A host without a keep-alive timer is let go after INACTIVITY_MS if it is a discovery controller, or was
 * disabled or shut down and never came back.
 * Invariant: only time during which this reactor turned counts, so that a paused machine ends nobody.
 */
import type { AdminState } from './admin-state.ts'
import type { Controller } from './controller.ts'
import { CONTROLLER_STATE, type Shared } from './shared.ts'

export const INACTIVITY_MS = 120000
/** A tick this late means that the reactor, and not the host, was away. */
const PAUSE_MS = 1000

export class KeepAlive {
  readonly #shared: Shared
  readonly #controllers: ReadonlyMap<number, Controller>
  readonly #expire: (controller: Controller, reason: string) => void
  #lastMs = 0

  constructor(
    shared: Shared, controllers: ReadonlyMap<number, Controller>,
    expire: (controller: Controller, reason: string) => void,
  ) {
    this.#shared = shared
    this.#controllers = controllers
    this.#expire = expire
  }

  tick(nowMs: number): void {
    const gap = (nowMs - this.#lastMs) | 0
    const paused = gap > PAUSE_MS && this.#lastMs !== 0 ? gap : 0
    this.#lastMs = nowMs
    for (const controller of this.#controllers.values()) {
      const admin = controller.admin
      if (admin === null) continue
      if (paused !== 0) admin.windowMs = (admin.windowMs + paused) | 0
      const limit = this.#limit(controller, admin)
      // A limit that comes later, when the host disables the controller, counts from then on.
      if (limit === 0) admin.windowMs = nowMs
      if (limit === 0 || ((nowMs - admin.windowMs) | 0) < limit) continue
      const stamp = this.#shared.words[controller.stampWord]!
      if (((stamp - admin.windowMs) | 0) > 0) {
        admin.windowMs = nowMs
        continue
      }
      admin.windowMs = nowMs
      const reason = admin.features.keepAliveMs !== 0
        ? `keep alive expired: no command for ${admin.features.keepAliveMs / 1000} s`
        : `no command for ${INACTIVITY_MS / 1000} s, and no keep alive agreed on`
      this.#expire(controller, reason)
    }
  }

  /** Milliseconds without a command that this controller may have; 0 = as long as it likes. */
  #limit(controller: Controller, admin: AdminState): number {
    if (admin.features.keepAliveMs !== 0) return admin.features.keepAliveMs
    const idle = this.#shared.words[controller.stateWord] !== CONTROLLER_STATE.READY
    return admin.discovery || idle ? INACTIVITY_MS : 0
  }
}
