/**
 * The file of reservations that outlive power: what may be in it. target gives it to the state store.
 * subsystem/reservations.ts says what is in it, and when it is written.
 */
import { z } from 'zod'
import type { KeptReservation } from '../subsystem/reservations.ts'
import type { Subject } from './state-store.ts'

const HOST = 'a host identifier, 32 hexadecimal digits'
const KEY = 'a key, 16 hexadecimal digits, not all 0'
const U32_MAX = 0xffff_ffff
/** Of these types one registrant is the holder. */
const TYPE_OF_ONE_MAX = 4

const hostId = z.string({ error: HOST }).regex(/^[0-9a-f]{32}$/, { error: HOST })
const whole = (least: number, most: number) => {
  const error = `a whole number from ${least} to ${most}`
  return z.int({ error }).min(least, { error }).max(most, { error })
}

const kept = z.strictObject({
  uuid: z.string({ error: 'the UUID of a namespace' }),
  nsid: whole(1, U32_MAX),
  generation: whole(0, U32_MAX),
  type: whole(0, 6),
  holder: z.string({ error: HOST }),
  registrants: z.array(z.strictObject({
    hostId,
    key: z.string({ error: KEY }).regex(/^(?!0{16})[0-9a-f]{16}$/, { error: KEY }),
  }), { error: 'a list of registrants' })
    .refine(areDifferent, { error: 'each host once' }),
}, { error: 'a reservation: uuid, nsid, generation, type, holder, registrants' })
  .refine(({ type, holder, registrants }) => type === 0 || type > TYPE_OF_ONE_MAX
    ? holder === '' : registrants.some((each) => each.hostId === holder), {
    path: ['holder'], error: 'the registrant that holds it, or "" where there is none or all are',
  })
  .refine(({ type, registrants }) => type === 0 || registrants.length > 0, {
    path: ['type'], error: '0, where nobody is registered',
  })

export const RESERVATIONS: Subject<readonly KeptReservation[]> = {
  name: 'reservations', version: 1, schema: z.array(kept, { error: 'a list of reservations' }),
}

function areDifferent(registrants: readonly { readonly hostId: string }[]): boolean {
  return new Set(registrants.map((each) => each.hostId)).size === registrants.length
}
