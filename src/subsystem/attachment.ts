/**
 * Attachment: which controllers have a namespace. The control plane decides it (attachments.ts) and sends it with the
 * target; reactors make of it what each controller sees.       NVMe Base 2.0, Namespace Attachment; docs/adr/0009
 *
 *   attachment left out    every controller has it: where there is no pool, and where nobody detached it
 *   owner                  whoever keeps an attachment when a controller goes: a host, or with the static model the
 *                          controller itself. ROW.OWNER tells it to reactors (controller/shared.ts).
 *
 * Invariant: without an attachment there is nothing to look at, and views are the subsystem itself.
 */
import type { NamespaceSnapshot, SubsystemSnapshot } from './subsystem.ts'
import { showing } from './view.ts'

/** Plain data. */
export type Attachment = {
  /** What the controllers of owners that are not named have. */
  readonly others: boolean
  /** Owners with whom it is the other way round. */
  readonly owners: readonly number[]
  /** CNTLIDs of controllers with which it is the other way round than with their owner. */
  readonly controllers: readonly number[]
}

/** A controller, as far as attachments go. */
export type Party = { readonly cntlid: number; readonly owner: number }

/** The owner of controllers that no attachment names. */
export const NO_OWNER = 0

export function isAttached(attachment: Attachment | undefined, { cntlid, owner }: Party): boolean {
  if (attachment === undefined) return true
  const { others, owners, controllers } = attachment
  return (others !== owners.includes(owner)) !== controllers.includes(cntlid)
}

/** The subsystem, as a host sees it, with the namespaces that are attached to a controller of it. */
export function attachedIn(subsystem: SubsystemSnapshot, party: Party): SubsystemSnapshot {
  const attached = showing(subsystem, ({ attachment }) => isAttached(attachment, party))
  return attached === subsystem ? subsystem : { ...attached, allocated: subsystem.namespaces }
}

/** All namespaces that there are, attached or not. */
export function allocatedIn({ allocated, namespaces }: SubsystemSnapshot): readonly NamespaceSnapshot[] {
  return allocated ?? namespaces
}
