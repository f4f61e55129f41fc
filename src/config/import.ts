/**
 * Configurations of other targets, taken over: nvmetcli's file of the Linux kernel's target, and what SPDK's
 * save_config writes. `weft import` → here → kernel-file.ts, spdk-file.ts.
 *
 * What they say becomes what a person would have written for weft; what cannot be taken over is told in a
 * sentence, never dropped silently. Invariant: nothing becomes reachable for more hosts than it was.
 */
import { statSync } from 'node:fs'
import { type KernelFile, importKernel, kernelSchema } from './kernel-file.ts'
import { ConfigError, type Path, mistake, valueAt } from './mistake.ts'
import { type SpdkFile, importSpdk, spdkSchema } from './spdk-file.ts'

export type Fields = Record<string, unknown>

export type Imported = {
  /** Where it comes from, for people. */
  readonly source: 'the Linux kernel' | 'SPDK'
  /** For configSchema. */
  readonly written: Fields
  /** What is not, or not quite, as it was. */
  readonly notes: readonly string[]
}

export type ImportParts = {
  /** What is at a path now; where nothing is, its name decides. */
  readonly kindOf: (path: string) => 'file' | 'device'
  /** NQNs that are to be other ones, as in the file. */
  readonly renames: ReadonlyMap<string, string>
}

/** Throws a ConfigError when it is neither of them, or broken. */
export function importConfig(input: unknown, path: string, parts: ImportParts): Imported {
  const { subsystems, ports } = (typeof input === 'object' ? input ?? {} : {}) as Fields
  const first: unknown = Array.isArray(subsystems) ? subsystems[0] : undefined
  if (Array.isArray(subsystems) && Array.isArray(ports)) {
    return importKernel(parsed(kernelSchema, input, path) as KernelFile, parts)
  }
  if (typeof first === 'object' && first !== null && 'subsystem' in first) {
    return importSpdk(parsed(spdkSchema, input, path) as SpdkFile, parts)
  }
  throw new ConfigError(path, [{
    path: [],
    sentence: 'this is neither what nvmetcli saves (subsystems and ports) nor what SPDK\'s save_config writes '
      + '(subsystems of {"subsystem", "config"})',
  }])
}

/** By what is there; what is gone or not yet there was a device when it is below /dev. */
export function kindOf(path: string): 'file' | 'device' {
  try {
    return statSync(path).isBlockDevice() ? 'device' : 'file'
  } catch {
    return path.startsWith('/dev/') ? 'device' : 'file'
  }
}

type Schema = {
  safeParse(input: unknown): { success: boolean; data?: unknown; error?: { issues: { path: PropertyKey[]; message: string }[] } }
}

function parsed(schema: Schema, input: unknown, source: string): unknown {
  const { success, data, error } = schema.safeParse(input)
  if (success) return data
  throw new ConfigError(source, error!.issues.map(({ path, message }) =>
    mistake(path as Path, valueAt(input, path as Path), message)))
}
