/**
 * The file of a subsystem's persistent events: what may be in it. target gives it to the state
 * store. controller/history.ts says what is in it, and when it is written.
 */
import { z } from 'zod'
import type { KeptHistory } from '../controller/history.ts'
import type { Subject } from './state-store.ts'

const DATA_DIGITS_MAX = 1024

const whole = (most: number) => {
  const error = `a whole number from 0 to ${most}`
  return z.int({ error }).min(0, { error }).max(most, { error })
}
const DATA = 'the data of an event: up to 512 bytes as hexadecimal digits'

export const PERSISTENT_EVENTS: Subject<KeptHistory> = {
  name: 'events', version: 1,
  schema: z.strictObject({
    recorded: whole(Number.MAX_SAFE_INTEGER),
    events: z.array(z.strictObject({
      type: whole(255), cntlid: whole(0xffff), timeMs: whole(2 ** 48 - 1),
      data: z.string({ error: DATA }).regex(/^([0-9a-f]{2})*$/, { error: DATA })
        .max(DATA_DIGITS_MAX, { error: DATA }),
    }), { error: 'a list of events: type, cntlid, timeMs, data' }),
  }, { error: 'the events of a subsystem' }),
}
