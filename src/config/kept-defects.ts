/**
 * The file of blocks that hosts marked as unreadable: what may be in it. target gives it to the state store.
 * subsystem/defect.ts says what is in it.
 */
import { z } from 'zod'
import { type KeptDefects, DEFECTS_MAX } from '../subsystem/defect.ts'
import type { Subject } from './state-store.ts'

const FORM = `at most ${DEFECTS_MAX} ranges of 512 bytes, first and end of each, in ascending order`

const ranges = z.array(z.int({ error: FORM }).min(0, { error: FORM }), { error: FORM })
  .max(2 * DEFECTS_MAX, { error: FORM })
  .refine((list) => list.length % 2 === 0 && list.every((each, at) => at === 0 || list[at - 1]! < each), { error: FORM })

export const DEFECTS_RECORD: Subject<KeptDefects> = {
  name: 'defects', version: 1, schema: z.record(z.string(), ranges, { error: 'the ranges by UUID' }),
}
