/**
 * What is counted and measured, as one report: `weft status` and `weft top` are made of it.
 * catalogue.ts lists it. SPDK has no word for it.
 */
import { method } from '../method.ts'

export const STATISTICS_METHODS = [
  method('weft_get_statistics', {
    summary: 'Says what hosts and reactors have done since the start, without stopping any of them.',
    result: 'An object: version, atMs, startedMs, residentBytes, cpuUs, listeners, subsystems with their '
      + 'namespaces (bytes, errors by status, and for each class of commands count, sumUs and buckets, four '
      + 'for each power of two µs), hosts (commands, bytes, outstanding) and reactors.',
    run: (_params, { target }) => target.observer.report(),
  }),
]
