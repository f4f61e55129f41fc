/**
 * Every method of the control interface, in the order in which they are told.
 * serve gives them to the dispatcher; cli makes help of them, docs/RPC.md is made of them.
 */
import { CONFIGURATION_METHODS } from './methods/configuration.ts'
import { DEVICE_METHODS } from './methods/device.ts'
import { DEVICE_CONTROLLER_METHODS } from './methods/device-controller.ts'
import { DEVICE_USE_METHODS } from './methods/device-use.ts'
import { FRAMEWORK_METHODS } from './methods/framework.ts'
import { KEYRING_METHODS } from './methods/keyring.ts'
import { LISTENER_METHODS } from './methods/listener.ts'
import { LOG_METHODS } from './methods/log.ts'
import { NAMESPACE_METHODS } from './methods/namespace.ts'
import { REFERRAL_METHODS } from './methods/referral.ts'
import { STATISTICS_METHODS } from './methods/statistics.ts'
import { SUBSYSTEM_CHANGE_METHODS } from './methods/subsystem-change.ts'
import { SUBSYSTEM_METHODS } from './methods/subsystem.ts'
import { TRANSPORT_METHODS } from './methods/transport.ts'
import { TRACE_METHODS } from './methods/trace.ts'
import { WEFT_METHODS } from './methods/weft.ts'
import { WEFT_STORAGE_METHODS } from './methods/weft-storage.ts'
import type { Method } from './method.ts'

export const METHODS: readonly Method[] = [
  ...FRAMEWORK_METHODS, ...CONFIGURATION_METHODS, ...TRANSPORT_METHODS, ...SUBSYSTEM_METHODS,
  ...SUBSYSTEM_CHANGE_METHODS, ...LISTENER_METHODS, ...NAMESPACE_METHODS, ...REFERRAL_METHODS,
  ...DEVICE_METHODS, ...DEVICE_CONTROLLER_METHODS, ...DEVICE_USE_METHODS, ...KEYRING_METHODS, ...LOG_METHODS, ...WEFT_METHODS,
  ...WEFT_STORAGE_METHODS, ...STATISTICS_METHODS, ...TRACE_METHODS,
]
