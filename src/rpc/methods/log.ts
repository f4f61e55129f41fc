/**
 * Methods about the log: the least that is written to it. catalogue.ts lists them.
 * SPDK has a level for its console and one for its log; weft has one log, so both are the same one.
 */
import { z } from 'zod'
import type { LogLevel } from '../../control/log.ts'
import { method, type Method } from '../method.ts'

const LEVELS: Readonly<Record<string, LogLevel>> = {
  ERROR: 'error', WARNING: 'warn', INFO: 'info', NOTICE: 'info', DEBUG: 'debug',
}
const levelForm = `one of "${Object.keys(LEVELS).join('", "')}"`
const level = z.string({ error: levelForm })
  .refine((text) => Object.hasOwn(LEVELS, text.toUpperCase()), { error: levelForm })
  .describe('The least that is logged; NOTICE and INFO are the same.')

export const LOG_METHODS = ['log_set_level', 'log_set_print_level'].map((name) => setter(name))
  .concat(['log_get_level', 'log_get_print_level'].map((name) => getter(name)))

function setter(name: string): Method {
  return method(name, {
    summary: 'Sets the least that is logged, until weft is started again.',
    params: { level },
    result: 'true',
    changes: true,
    example: { level: 'DEBUG' },
    run: (params, { log }) => {
      log.level = LEVELS[params.level.toUpperCase()]!
      return true
    },
  })
}

function getter(name: string): Method {
  return method(name, {
    summary: 'Says what the least is that is logged.',
    result: 'One of the names of levels.',
    run: (_params, { log }) => Object.keys(LEVELS).findLast((each) => LEVELS[each] === log.level),
  })
}
