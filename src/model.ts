/**
 * The model: what is exported, as the main thread owns it. Whoever changes it does so here; reactors, and the
 * registry of controllers, have copies.
 *
 *   apply ─▶ the main thread's copies (Access: who may connect) ─▶ every reactor acknowledges ─▶ hosts are told
 *
 * Invariant: all copies get the same changes in the same order.
 */
import type { Log } from './control/log.ts'
import type { ControlPlane } from './control-plane.ts'
import { logDiffers, nextGeneration } from './subsystem/discovery.ts'
import { type AnaWish, checkWish, type PathMove, pathMoves, pathNews, type Paths } from './subsystem/paths.ts'
import type { Protections } from './subsystem/protection.ts'
import type { TargetSnapshot } from './subsystem/subsystem.ts'
import { type ViewNews, viewNews } from './subsystem/view.ts'

/** Who on the main thread has a copy, or parts of one. It may not fail. */
export type Copy = { adopt(target: TargetSnapshot): void }

export class Model {
  readonly #plane: Pick<ControlPlane, 'change' | 'raise'>
  readonly #copies: readonly Copy[]
  readonly #paths: Paths
  readonly #watchers: ((target: TargetSnapshot) => void)[] = []
  readonly #protections: Pick<Protections, 'complete'>
  readonly #log: Pick<Log, 'notice'>
  #target: TargetSnapshot

  /** copies: in the order in which they are to change. They, paths and protections have `target` already. */
  constructor(
    plane: Pick<ControlPlane, 'change' | 'raise'>, copies: readonly Copy[], paths: Paths,
    protections: Pick<Protections, 'complete'>, target: TargetSnapshot, log: Pick<Log, 'notice'>,
  ) {
    this.#plane = plane
    this.#copies = copies
    this.#paths = paths
    this.#protections = protections
    this.#target = target
    this.#log = log
  }

  /** Who tells others of what is offered; called when that has changed. */
  watch(changed: (target: TargetSnapshot) => void): void {
    this.#watchers.push(changed)
  }

  get target(): TargetSnapshot {
    return this.#target
  }

  /**
   * Makes what `next` returns the model; in force on every reactor when it resolves. Hosts of discovery
   * controllers are told when their log is another one, and those whose path to a namespace has changed, and those
   * that see a namespace now, or no longer; other events about namespaces are the caller's to raise.
   */
  async apply(next: (target: TargetSnapshot) => TargetSnapshot): Promise<void> {
    const before = this.#target
    const target = this.#protections.complete(this.#paths.complete(nextGeneration(before, next(before))))
    this.#target = target
    for (const copy of this.#copies) copy.adopt(target)
    await this.#plane.change({ kind: 'target', target })
    for (const move of pathMoves(before, target)) this.#tell(move)
    const news = pathNews(before, target)
    if (news !== null) this.#plane.raise('ANA', news)
    for (const each of viewNews(before, target)) this.#show(each)
    if (target.generation === before.generation) return
    for (const changed of this.#watchers) changed(target)
    this.#plane.raise('DISCOVERY_LOG', ({ subsystem, hostNqn }) =>
      subsystem.kind === 'discovery' && logDiffers(before, target, hostNqn))
  }

  /** Moves paths to another state. Rejects when there is no such path. */
  async setAnaState(wish: AnaWish): Promise<void> {
    checkWish(wish, this.#target)
    this.#paths.set(wish, this.#target.subsystems.map(({ nqn }) => nqn))
    await this.apply((target) => target)
  }

  #show({ nqn, nsid, hosts, concerns }: ViewNews): void {
    this.#plane.raise('NAMESPACE_ATTRIBUTES', ({ subsystem, hostNqn }) => subsystem.nqn === nqn && concerns(hostNqn), nsid)
    const who = hosts === undefined ? 'every host' : hosts.length === 0 ? 'no host' : hosts.join(', ')
    this.#log.notice(`Who sees namespace ${nsid} of ${nqn} now: ${who}.`, {
      change: 'visibility', subsystem: nqn, namespace: nsid, hosts: hosts ?? 'any',
    })
  }

  #tell(move: PathMove): void {
    const [address, port] = move.listener.split(' ')
    const { subsystem, group, state } = move
    this.#log.notice(
      `ANA group ${group} of ${subsystem} is ${state} through ${address} port ${port} now.`,
      { change: 'ana', subsystem, group, state, address, port: Number(port) },
    )
  }
}
