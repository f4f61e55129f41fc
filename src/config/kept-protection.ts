/**
 * The file of what hosts protected from writing: what may be in it. target gives it to the state store.
 * subsystem/protection.ts says what is in it.
 */
import { z } from 'zod'
import type { KeptProtection } from '../subsystem/protection.ts'
import type { Subject } from './state-store.ts'

const state = z.union([z.literal(1), z.literal(3)], { error: '1 (read-only) or 3 (read-only for good)' })

export const PROTECTION_RECORD: Subject<KeptProtection> = {
  name: 'protection', version: 1, schema: z.record(z.string(), state, { error: 'the protection by UUID' }),
}
