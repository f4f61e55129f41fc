/**
 * Forms that several of SPDK's methods share: addresses, ANA states, names of targets; as parameters
 * and in answers. methods/* use it.
 */
import { z } from 'zod'
import { NQN_FORM, isNqn } from '../config/nqn.ts'
import type { AnaName } from '../subsystem/ana.ts'
import { DISCOVERY_NQN, type Endpoint } from '../subsystem/subsystem.ts'
import { isIP } from 'node:net'
import { section } from '../config/schema.ts'

/** What SPDK calls its one target where nobody says otherwise. */
export const TARGET_NAME = 'nvmf_tgt'

/** In every method about the target; there is only one. */
export const tgtName = z.literal(TARGET_NAME, { error: `"${TARGET_NAME}": there is one target` })
  .optional().describe(`Name of the target: "${TARGET_NAME}".`)

export const nqn = z.string({ error: NQN_FORM })
  .refine((text) => isNqn(text) || text === DISCOVERY_NQN, { error: NQN_FORM })

/** Of a host; the well-known one of the discovery service is none. */
export const hostNqn = z.string({ error: NQN_FORM }).refine(isNqn, { error: NQN_FORM })

export function text(form: string) {
  return z.string({ error: form }).min(1, { error: form })
}

/** Flags of SPDK for what weft does not have: its clients send them, false unless somebody wants it. */
export function notOffered<Name extends string>(...names: readonly Name[]) {
  const off = z.literal(false, { error: 'false: weft does not have it' }).optional()
    .describe('Only false: weft does not have it.')
  return Object.fromEntries(names.map((name) => [name, off])) as Record<Name, typeof off>
}

const tcp = z.string({ error: '"TCP"' }).refine((text) => text.toUpperCase() === 'TCP', { error: '"TCP"' })
  .describe('Transport: "TCP".')
const familyForm = '"IPv4" or "IPv6"'
const family = z.string({ error: familyForm })
  .refine((text) => ['ipv4', 'ipv6'].includes(text.toLowerCase()), { error: familyForm })
const addressForm = 'a numeric IPv4 or IPv6 address'
const serviceForm = 'a port number as text, from "0" to "65535"'

/** Where a target listens, as SPDK writes it. adrfam has to fit the address where it is said. */
export const listenAddress = section({
  trtype: tcp,
  adrfam: family.optional().describe('Address family, which the address shows anyway.'),
  traddr: z.string({ error: addressForm }).refine((text) => isIP(text) !== 0, { error: addressForm })
    .describe('Numeric address; 0.0.0.0 and :: are all of the machine.'),
  trsvcid: z.string({ error: serviceForm })
    .refine((text) => /^\d{1,5}$/.test(text) && Number(text) <= 65535, { error: serviceForm })
    .optional().describe('TCP port, 4420 unless said.'),
}).refine(({ adrfam, traddr }) => adrfam === undefined
  || adrfam.toLowerCase() === `ipv${isIP(traddr)}`, { error: 'an adrfam that fits traddr' })

export type ListenAddress = z.output<typeof listenAddress>

export function endpointOf({ traddr, trsvcid }: ListenAddress, port: number): Endpoint {
  return { address: traddr, port: trsvcid === undefined ? port : Number(trsvcid) }
}

export function addressText({ address, port }: Endpoint): object {
  return { trtype: 'TCP', adrfam: `IPv${isIP(address)}`, traddr: address, trsvcid: String(port) }
}

/** SPDK's names of ANA states; those of the last two are ours, as it has none. */
const ANA: Readonly<Record<AnaName, string>> = {
  'optimized': 'optimized', 'non-optimized': 'non_optimized', 'inaccessible': 'inaccessible',
  'persistent-loss': 'persistent_loss', 'change': 'change',
}
const anaForm = `one of "${Object.values(ANA).join('", "')}"`

export const anaState = z.enum(Object.values(ANA) as [string, ...string[]], { error: anaForm })

export function anaNameOf(state: string): AnaName {
  return (Object.keys(ANA) as AnaName[]).find((name) => ANA[name] === state)!
}

export function anaText(state: AnaName): string {
  return ANA[state]
}

/** "[::1]:4420" or "127.0.0.1:4420", as connections are named. */
export function endpointOfText(text: string): Endpoint {
  const gap = text.lastIndexOf(':')
  return { address: text.slice(0, gap).replace(/^\[|\]$/g, ''), port: Number(text.slice(gap + 1)) }
}
