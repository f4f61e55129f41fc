/**
 * Two people have changed one configuration: the file, with an editor, and what is served, over the
 * control interface. Here their changes become one. document.ts calls it.
 *
 *   base ─┬─ edited ──┐
 *         └─ served ──┴─▶ merged: what only one has changed is as he made it; else the file has its way
 *
 * Lists are compared by what tells their members apart: an NQN, an NSID, an address and port.
 * Plain JSON values, no order among keys.
 */
import { isDeepStrictEqual } from 'node:util'
import { pathText, type Path } from './mistake.ts'

type Fields = Readonly<Record<string, unknown>>

export type Merged = {
  readonly value: unknown
  /** Where both have changed the same, and what was served is lost. */
  readonly conflicts: readonly string[]
}

export function merge(base: unknown, edited: unknown, served: unknown): Merged {
  const conflicts: string[] = []
  const value = merged(base, edited, served, [], conflicts)
  return { value, conflicts }
}

/** undefined: not there. */
function merged(base: unknown, edited: unknown, served: unknown, path: Path, conflicts: string[]): unknown {
  if (isDeepStrictEqual(base, edited)) return served
  if (isDeepStrictEqual(base, served) || isDeepStrictEqual(edited, served)) return edited
  if (isFields(edited) && isFields(served)) {
    return mergedFields(isFields(base) ? base : {}, edited, served, path, conflicts)
  }
  const lists = [base ?? [], edited, served].map((each) => byName(each))
  if (lists.every((each) => each !== null)) {
    const [former, one, other] = lists as [Fields, Fields, Fields]
    return Object.values(mergedFields(former, one, other, path, conflicts))
  }
  conflicts.push(pathText(path))
  return edited
}

function mergedFields(
  base: Fields, edited: Fields, served: Fields, path: Path, conflicts: string[],
): Record<string, unknown> {
  const names = new Set([...Object.keys(served), ...Object.keys(edited)])
  const result: Record<string, unknown> = {}
  for (const name of names) {
    const value = merged(base[name], edited[name], served[name], [...path, name], conflicts)
    if (value !== undefined) result[name] = value
  }
  return result
}

/** The members of a list by their names; null where it is none, or they have no names of their own. */
function byName(list: unknown): Fields | null {
  if (!Array.isArray(list)) return null
  const fields: Record<string, unknown> = {}
  for (const member of list) {
    const name = nameOf(member)
    if (name === null || Object.hasOwn(fields, name)) return null
    fields[name] = member
  }
  return fields
}

/** Never of digits alone: keys like that would change the order. */
function nameOf(member: unknown): string | null {
  if (typeof member === 'string') return member
  if (!isFields(member)) return null
  const { nqn, nsid, address, port } = member
  if (nqn !== undefined) return String(nqn)
  if (nsid !== undefined) return `namespace ${String(nsid)}`
  return address === undefined ? null : `${String(address)} port ${String(port)}`
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
