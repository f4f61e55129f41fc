/**
 * NVMe Qualified Names: which are valid. NVMe Base Specification, NVMe Qualified Names.
 *
 *   nqn.2026-01.com.example:disks        a month, the owner's domain reversed, any text
 *   nqn.2014-08.org.nvmexpress:uuid:…    a UUID
 */
import { DISCOVERY_NQN } from '../subsystem/subsystem.ts'

const NQN_BYTES_MAX = 223
const DATED = /^nqn\.\d{4}-(?:0[1-9]|1[0-2])\.[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*:[^\s\p{Cc}]+$/u
const UUID_PREFIX = 'nqn.2014-08.org.nvmexpress:uuid:'
const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

export const NQN_FORM =
  'a name such as nqn.2026-01.com.example:disks, or nqn.2014-08.org.nvmexpress:uuid: '
  + `and a UUID, of at most ${NQN_BYTES_MAX} bytes`

/** The discovery NQN is the service's own: no subsystem and no host may have it. */
export function isNqn(text: string): boolean {
  if (Buffer.byteLength(text) > NQN_BYTES_MAX || text === DISCOVERY_NQN) return false
  if (text.startsWith(UUID_PREFIX)) return UUID.test(text.slice(UUID_PREFIX.length))
  return DATED.test(text)
}
