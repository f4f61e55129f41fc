/**
 * Every method of the control interface, in the order in which they are told.
 * serve gives them to the dispatcher; cli makes help of them, docs/RPC.md is made of them.
 */
import { FRAMEWORK_METHODS } from './methods/framework.ts'
import { LOG_METHODS } from './methods/log.ts'
import { STATISTICS_METHODS } from './methods/statistics.ts'
import { SUBSYSTEM_METHODS } from './methods/subsystem.ts'
import { TRANSPORT_METHODS } from './methods/transport.ts'
import { WEFT_METHODS } from './methods/weft.ts'
import type { Method } from './method.ts'

export const METHODS: readonly Method[] = [
  ...FRAMEWORK_METHODS, ...TRANSPORT_METHODS, ...SUBSYSTEM_METHODS, ...LOG_METHODS, ...WEFT_METHODS,
  ...STATISTICS_METHODS,
]
