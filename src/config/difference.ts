/**
 * What is different between two configurations: what a running target takes over, and what it cannot.
 * live.ts asks; nothing here opens or changes anything.
 */
import { isDeepStrictEqual } from 'node:util'
import type { Config, NamespaceConfig, SubsystemConfig } from './config.ts'

/** Parts of a configuration that are fixed when the target starts. */
const FIXED = ['reactors', 'cpus', 'poll', 'engine', 'state'] as const
const FIXED_OF_DISCOVERY = ['nqn', 'central'] as const
const FIXED_OF_SUBSYSTEM = ['serial', 'model', 'controllers', 'pool'] as const

/** What becomes of a namespace: nothing, another size, or it goes and another one comes. */
export type Fate = 'same' | 'resized' | 'replaced'

/** Names of the parts that are different but take a new start, as they stand in a configuration. */
export function fixedDifferences(before: Config, after: Config): string[] {
  const names: string[] = FIXED.filter((key) => !isDeepStrictEqual(before[key], after[key]))
  if (!isDeepStrictEqual(socketOf(before), socketOf(after))) names.push('control')
  const limits = Object.keys(after.limits) as (keyof Config['limits'])[]
  names.push(...limits.filter((key) => before.limits[key] !== after.limits[key]).map((key) => `limits.${key}`))
  for (const key of FIXED_OF_DISCOVERY) {
    if (before.discoveryService[key] !== after.discoveryService[key]) names.push(`discovery.${key}`)
  }
  for (const subsystem of after.subsystems) {
    const former = before.subsystems.find(({ nqn }) => nqn === subsystem.nqn)
    if (former === undefined) continue
    const keys = FIXED_OF_SUBSYSTEM.filter((key) => !isDeepStrictEqual(former[key], subsystem[key]))
    names.push(...keys.map((key) => `${key} of ${subsystem.nqn}`))
  }
  return names
}

/** `after`, but for what takes a new start: that stays as it is. */
export function changeable(before: Config, after: Config): Config {
  const { reactors, cpus, poll, engine, state, limits } = before
  return {
    ...after, reactors, cpus, poll, engine, state, limits, control: { ...after.control, ...socketOf(before) },
    discoveryService: {
      ...after.discoveryService, nqn: before.discoveryService.nqn, central: before.discoveryService.central,
    },
    subsystems: after.subsystems.map((subsystem): SubsystemConfig => {
      const former = before.subsystems.find(({ nqn }) => nqn === subsystem.nqn)
      if (former === undefined) return subsystem
      const { pool: _, ...rest } = subsystem
      const { serial, model, controllers, pool } = former
      return { ...rest, serial, model, controllers, ...(pool === undefined ? {} : { pool }) }
    }),
  }
}

/** What of `control` is fixed: over HTTP it may be had elsewhere, or by other keys, at any time. */
function socketOf({ control: { path, required } }: Config): Pick<Config['control'], 'path' | 'required'> {
  return { path, required }
}

export function fateOf(before: NamespaceConfig, after: NamespaceConfig): Fate {
  if (!isDeepStrictEqual(identityOf(before), identityOf(after))) return 'replaced'
  return sizeOf(before) === sizeOf(after) ? 'same' : 'resized'
}

/** What it is made of, and what hosts know it by. Whether a file may be created says nothing about one that is open. */
function identityOf({ backing, blockBytes, uuid, nguid, readOnly, use }: NamespaceConfig): object {
  const { kind } = backing
  return { kind, path: 'path' in backing ? backing.path : '', blockBytes, uuid, nguid, readOnly, use }
}

function sizeOf({ backing }: NamespaceConfig): number | null {
  return 'bytes' in backing ? backing.bytes : null
}
