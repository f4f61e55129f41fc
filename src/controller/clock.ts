/**
 * The clock of a controller as its host sees it, the Timestamp feature, for the persistent event that tells of its
 * being set. admin calls it.              NVMe Base 2.0, Timestamp; Persistent Event Log, Timestamp Change Event
 */
import type { ToControl } from '../reactor/messages.ts'
import { FEATURE_SELECT, FID } from '../wire/feature.ts'
import { PERSISTENT_EVENT_TYPE } from '../wire/persistent-event.ts'
import type { Controller } from './controller.ts'
import { timestampChanged } from './event-data.ts'
import { getFeature } from './features.ts'

/** The feature as the host would get it. */
export function clockOf({ admin }: Controller): Uint8Array {
  return getFeature(admin!.features, {
    fid: FID.TIMESTAMP, select: FEATURE_SELECT.CURRENT, cdw11: 0, nowMs: performance.now(),
  }).payload
}

/** The host has set the clock, which was `before`. */
export function clockChanged({ index, admin }: Controller, before: Uint8Array): Extract<ToControl, { type: 'record' }> {
  const data = timestampChanged(before, Math.max(0, Math.floor(performance.now() - admin!.features.startedMs)))
  return { type: 'record', controller: index, event: PERSISTENT_EVENT_TYPE.TIMESTAMP, data }
}
