/**
 * The file of a subsystem's pool: what may be in it. target gives it to the state store. subsystem/pool.ts says what is
 * in it; src/pools.ts writes it, whole, before anything that it says is shown to a host.
 */
import { z } from 'zod'
import { ANA_GROUPS_MAX } from '../subsystem/ana.ts'
import type { KeptPool } from '../subsystem/pool.ts'
import { LIMITS } from './schema.ts'
import type { Subject } from './state-store.ts'

const UUID = 'a UUID'
const uuid = z.string({ error: UUID }).regex(/^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/, { error: UUID })
const NGUID = '32 hexadecimal digits'
const whole = (least: number, most: number) => {
  const error = `a whole number from ${least} to ${most}`
  return z.int({ error }).min(least, { error }).max(most, { error })
}
const place = { at: whole(0, 2 ** 52), bytes: whole(1, 2 ** 52) }
const flag = z.boolean({ error: 'true or false' })

const namespace = z.strictObject({
  ...place, nsid: whole(1, LIMITS.namespaces), uuid,
  nguid: z.string({ error: NGUID }).regex(/^[0-9a-f]{32}$/, { error: NGUID }),
  blockBytes: z.literal([512, 4096], { error: '512 or 4096' }), blockCount: whole(1, 2 ** 52),
  anaGroup: whole(1, ANA_GROUPS_MAX), isPrivate: flag,
}, { error: 'a namespace: at, bytes, nsid, uuid, nguid, blockBytes, blockCount, anaGroup, isPrivate' })
  .refine(({ bytes, blockBytes, blockCount }) => blockBytes * blockCount <= bytes, {
    path: ['blockCount'], error: 'as many as fit its bytes',
  })

const attachment = z.strictObject({
  others: flag, owners: z.array(z.string({ error: 'a name' }), { error: 'a list of names' }),
}, { error: 'an attachment: others, owners' })

export const POOL_RECORD: Subject<KeptPool> = {
  name: 'pool', version: 1,
  schema: z.strictObject({
    id: uuid,
    namespaces: z.array(namespace, { error: 'a list of namespaces' }),
    leftovers: z.array(z.strictObject(place, { error: 'a part: at, bytes' }), { error: 'a list of parts' }),
    attachments: z.record(z.string(), attachment, { error: 'attachments by UUID' }),
  }, { error: 'a pool: id, namespaces, leftovers, attachments' }),
}
