/**
 * The file of a subsystem's health: what may be in it. target gives it to the state store.
 * controller/records.ts says what is in it, and when it is written.
 */
import { z } from 'zod'
import type { KeptHealth } from '../controller/records.ts'
import type { Subject } from './state-store.ts'

const NUMBER = 'a whole number from 0'
const whole = z.int({ error: NUMBER }).min(0, { error: NUMBER })
/** Counters of a long life are beyond what is safe for an integer. */
const counter = z.number({ error: NUMBER }).min(0, { error: NUMBER })
const counters = z.strictObject({
  reads: counter, writes: counter, readBytes: counter, writtenBytes: counter, mediaErrors: counter,
}, { error: 'counters: reads, writes, readBytes, writtenBytes, mediaErrors' })

export const HEALTH_RECORD: Subject<KeptHealth> = {
  name: 'health', version: 1,
  schema: z.strictObject({
    running: z.boolean({ error: 'true or false' }),
    powerCycles: whole, unsafeShutdowns: whole, powerOnMs: counter, busyMs: counter, errors: whole,
    namespaces: z.record(z.string(), counters, { error: 'counters by UUID' }), removed: counters,
  }, { error: 'the health of a subsystem' }),
}
