/**
 * The files of what hosts did to media: block sizes that they chose, and how the last sanitize went. target gives
 * them to the state store; subsystem/format.ts and subsystem/sanitize.ts say what is in them.
 */
import { z } from 'zod'
import type { KeptFormats } from '../subsystem/format.ts'
import type { SanitizeRecord } from '../subsystem/sanitize.ts'
import type { Subject } from './state-store.ts'

const SIZE = '512 or 4096'
const WORD = 'a whole number of 32 bits'
const size = z.literal([512, 4096], { error: SIZE })
const word = z.int({ error: WORD }).min(0, { error: WORD }).max(0xffff_ffff, { error: WORD })
const format = z.strictObject({ configured: size.nullable(), blockBytes: size }, { error: 'configured and blockBytes' })
const STATUSES = ['running', 'done', 'failed'] as const

export const FORMATS_RECORD: Subject<KeptFormats> = {
  name: 'formats', version: 1, schema: z.record(z.string(), format, { error: 'the formats by UUID' }),
}

export const SANITIZE_RECORD: Subject<SanitizeRecord> = {
  name: 'sanitize', version: 1,
  schema: z.strictObject({
    status: z.enum(STATUSES, { error: `one of ${STATUSES.join(', ')}` }), cdw10: word, cdw11: word,
    locked: z.boolean({ error: 'true or false' }),
  }, { error: 'status, cdw10, cdw11, locked' }),
}
