/**
 * AUTH_Negotiate: what a host offers, and what is chosen of it. transaction calls it.
 * NVMe Base 2.0, 8.13.4.1 (AUTH_Negotiate) and 8.13.5.1
 *
 *   │ header 6 │ SC_C │ NAPD │ descriptors, 64 B each: DH-HMAC-CHAP, hashes, groups │
 *
 * The choice is the first of our list that the host has too: whoever configures a list says what is
 * preferred.
 * Invariant: what is chosen is in the host's list and in ours.
 */
import {
  AUTH_DESCRIPTOR, AUTH_DESCRIPTOR_BYTES, AUTH_FAULT, AUTH_GROUPS, AUTH_HASHES, AUTH_IDS_MAX,
  AUTH_NEGOTIATE, AUTH_NEGOTIATE_BYTES, AUTH_PROTOCOL_DH_CHAP,
} from '../wire/authentication.ts'
import type { HostKeys } from './keys.ts'

export type Hash = (typeof AUTH_HASHES)[number]
export type Group = (typeof AUTH_GROUPS)[number]
export type Choice = { readonly hash: Hash; readonly group: Group }
/** rce: for AUTH_Failure1; reason: for the log. */
export type Fault = { readonly rce: number; readonly reason: string }

export function chooseProtocol(
  message: Buffer, { hashes, groups }: Pick<HostKeys, 'hashes' | 'groups'>,
): Choice | Fault {
  const count = message.length < AUTH_NEGOTIATE_BYTES ? -1 : message[AUTH_NEGOTIATE.napd]!
  if (message.length !== AUTH_NEGOTIATE_BYTES + count * AUTH_DESCRIPTOR_BYTES) {
    return fault(AUTH_FAULT.INCORRECT_PAYLOAD,
      `its AUTH_Negotiate has ${message.length} bytes, which are no descriptors`)
  }
  if (message[AUTH_NEGOTIATE.scC] !== 0) {
    return fault(AUTH_FAULT.CHANNEL_MISMATCH, 'it asks for a secure channel, and there is none')
  }
  const offered = descriptorOf(message, count)
  if (offered === null) return fault(AUTH_FAULT.PROTOCOL_UNUSABLE, 'it does not offer DH-HMAC-CHAP')
  const halen = offered[AUTH_DESCRIPTOR.halen]!
  const dhlen = offered[AUTH_DESCRIPTOR.dhlen]!
  if (halen > AUTH_IDS_MAX || dhlen > AUTH_IDS_MAX) {
    return fault(AUTH_FAULT.INCORRECT_PAYLOAD,
      `it says that it offers ${halen} hashes and ${dhlen} groups`)
  }
  const hash = chosen(AUTH_HASHES, hashes, listOf(offered, AUTH_DESCRIPTOR.hashes, halen))
  if (hash === null) {
    return fault(AUTH_FAULT.HASH_UNUSABLE,
      `it offers none of the hashes allowed: ${namesOf(AUTH_HASHES, hashes)}`)
  }
  const group = chosen(AUTH_GROUPS, groups, listOf(offered, AUTH_DESCRIPTOR.groups, dhlen))
  if (group === null) {
    return fault(AUTH_FAULT.GROUP_UNUSABLE,
      `it offers none of the DH groups allowed: ${namesOf(AUTH_GROUPS, groups)}`)
  }
  return { hash, group }
}

/** The first descriptor of DH-HMAC-CHAP. */
function descriptorOf(message: Buffer, count: number): Buffer | null {
  for (let k = 0; k < count; k += 1) {
    const at = AUTH_NEGOTIATE_BYTES + k * AUTH_DESCRIPTOR_BYTES
    const descriptor = message.subarray(at, at + AUTH_DESCRIPTOR_BYTES)
    if (descriptor[AUTH_DESCRIPTOR.authid] === AUTH_PROTOCOL_DH_CHAP) return descriptor
  }
  return null
}

function listOf(descriptor: Buffer, at: number, count: number): Buffer {
  return descriptor.subarray(at, at + count)
}

function chosen<Row extends { readonly id: number }>(
  rows: readonly Row[], preferred: readonly number[], offered: Buffer,
): Row | null {
  const id = preferred.find((each) => offered.includes(each))
  return rows.find((row) => row.id === id) ?? null
}

function namesOf(
  rows: readonly { readonly id: number; readonly name: string }[], ids: readonly number[],
): string {
  return ids.map((id) => rows.find((row) => row.id === id)!.name).join(', ')
}

function fault(rce: number, reason: string): Fault {
  return { rce, reason }
}
