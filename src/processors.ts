/**
 * Which processors the reactors run on. target asks when it starts them.
 *
 * Invariant: one for each reactor, in their order; none twice.
 */
import type { Config } from './config/config.ts'
import { StartError } from './config/start-error.ts'
import type { Shim } from './shim/shim.ts'

/** A processor for each reactor; -1 = not pinned, where there are fewer processors than reactors. */
export function processorsOf(config: Config, shim: Pick<Shim, 'cpus'>): number[] {
  const usable = shim.cpus()
  const { cpus, reactors } = config
  if (cpus !== null) {
    const missing = cpus.filter((cpu) => !usable.includes(cpu))
    if (missing.length !== 0) {
      throw new StartError(
        `This process may not use processor ${missing.join(', ')}.`, `Choose among ${usable.join(', ')}.`,
      )
    }
    return [...cpus]
  }
  // The first processor is left to the control plane.
  const chosen = usable.length > reactors ? usable.slice(-reactors) : []
  return Array.from({ length: reactors }, (_, index) => chosen[index] ?? -1)
}
