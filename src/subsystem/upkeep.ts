/**
 * Upkeep: what an admin command changes in a namespace for all of its hosts. A reactor sends it, the control
 * plane has it done here, one after the other for each namespace, and answers.
 *
 * Invariant: when a task is answered, every reactor acts by what it has changed, and nothing that began before
 * is still under way in the namespace.
 */
import { STATUS } from '../wire/status.ts'
import type { BlockRange } from './exclusion.ts'
import type { Defects } from './defect.ts'
import type { InventoryTask } from './pool.ts'
import type { Protections } from './protection.ts'
import type { NamespaceSnapshot, TargetSnapshot } from './subsystem.ts'

export type UpkeepTask =
  /** Feature 84h: state is one of WRITE_PROTECTION. */
  | { readonly kind: 'protect'; readonly nsid: number; readonly state: number }
  /** Write Uncorrectable; and a write that makes such blocks good again. */
  | { readonly kind: 'mark' | 'heal'; readonly nsid: number; readonly lba: number; readonly blockCount: number }
  /** Format NVM and Sanitize: src/media.ts. */
  | { readonly kind: 'format'; readonly nsid: number; readonly cdw10: number }
  | { readonly kind: 'sanitize'; readonly nsid: number; readonly cdw10: number; readonly cdw11: number }
  /** Namespace Management and Attachment: src/inventory.ts. */
  | InventoryTask

/** A status, and DW0 of the answer. */
export type Performed = { readonly status: number; readonly dw0: number }

/** What is done here. */
type Task = Exclude<UpkeepTask, InventoryTask | { kind: 'format' | 'sanitize' }>

export function isInventory(task: UpkeepTask): task is InventoryTask {
  return task.kind === 'create' || task.kind === 'delete' || task.kind === 'attach' || task.kind === 'detach'
}

export type UpkeepParts = {
  readonly target: () => TargetSnapshot
  /** Brings what has changed to all reactors. */
  readonly apply: () => Promise<void>
  readonly protections: Protections
  readonly defects: Pick<Defects, 'mark' | 'heal'>
  /** Tells the hosts of a subsystem that a namespace has changed. */
  readonly changed: (nqn: string, nsid: number) => void
  /** Waits until nothing is under way in these blocks; resolves with how to let them go, null = too late. */
  readonly take: (range: BlockRange) => Promise<(() => void) | null>
  readonly told: (sentence: string, facts: { readonly subsystem: string; readonly namespace: number }) => void
}

export class Upkeep {
  readonly #parts: UpkeepParts
  #last: Promise<unknown> = Promise.resolve()

  constructor(parts: UpkeepParts) {
    this.#parts = parts
  }

  /** Resolves with a status. */
  perform(nqn: string, task: Task): Promise<number> {
    // Whoever marks blocks waits for writes that have begun, and those for this.
    if (task.kind === 'heal') return this.#perform(nqn, task)
    const done = this.#last.then(() => this.#perform(nqn, task))
    this.#last = done.catch(() => {})
    return done
  }

  async #perform(nqn: string, task: Task): Promise<number> {
    const subsystem = this.#parts.target().subsystems.find((each) => each.nqn === nqn)
    const namespace = subsystem?.namespaces.find((each) => each.nsid === task.nsid)
    if (namespace === undefined) return STATUS.INVALID_NAMESPACE
    switch (task.kind) {
      case 'protect':
        if (namespace.formatting !== undefined) return STATUS.FORMAT_IN_PROGRESS
        return this.#protect(nqn, namespace, task.state)
      case 'mark':
        return this.#mark(nqn, namespace, task.lba, task.blockCount)
      case 'heal': {
        const status = await this.#parts.defects.heal(nqn, namespace, task.lba, task.blockCount)
        if (status === 0) await this.#parts.apply()
        return status
      }
    }
  }

  /** Writes that have begun are over before: what they write is not good after the blocks were marked. */
  async #mark(nqn: string, namespace: NamespaceSnapshot, lba: number, blockCount: number): Promise<number> {
    const { defects, apply, take } = this.#parts
    const letGo = await take({ namespace: namespace.index, lba, blockCount })
    if (letGo === null) return STATUS.COMMAND_INTERRUPTED
    const status = await defects.mark(nqn, namespace, lba, blockCount)
    if (status === 0) await apply()
    letGo()
    return status
  }

  async #protect(nqn: string, namespace: NamespaceSnapshot, state: number): Promise<number> {
    const { protections, apply, changed, take, told } = this.#parts
    const { nsid, index, blockCount } = namespace
    const status = await protections.set(nqn, namespace, state)
    if (status !== 0) return status
    await apply()
    // Writes that began before are over when the host hears that there will be no more.
    const letGo = await take({ namespace: index, lba: 0, blockCount })
    letGo?.()
    changed(nqn, nsid)
    told(WORDS[state]!, { subsystem: nqn, namespace: nsid })
    return 0
  }
}

const WORDS = [
  'A host made a namespace writable.', 'A host made a namespace read-only.',
  'A host made a namespace read-only until the target is started again.', 'A host made a namespace read-only for good.',
]
