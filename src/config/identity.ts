/**
 * Stable identifiers: what hosts recognise a volume by, the same at every start on this machine.
 * Called by complete.ts for whatever the configuration leaves out.
 *
 * Each is a SHA-256 of the machine's id, the subsystem's NQN, the nsid and the device's path, with
 * a label of its own; the UUIDs are version 8 of RFC 9562 (their bits are the maker's business).
 * Nothing is random: a host that comes back after a restart must find the same namespace.
 */
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { hostname } from 'node:os'

const MACHINE_ID_FILES = ['/etc/machine-id', '/var/lib/dbus/machine-id']

/** Where Windows keeps the one that it made when it was installed. */
const REGISTRY_KEY = String.raw`HKLM\SOFTWARE\Microsoft\Cryptography`

/** What tells this machine from others; the host name where the system keeps no machine id. */
export function machineId(): string {
  if (process.platform === 'win32') return registeredId(REGISTRY_KEY) ?? hostname()
  for (const path of MACHINE_ID_FILES) {
    try {
      const id = readFileSync(path, 'utf8').trim()
      if (/^[0-9a-f]{32}$/.test(id)) return id
    } catch {
      // Absent on many containers and on other systems: the next source decides.
    }
  }
  return hostname()
}

/** Asked of reg.exe, which every Windows has; null where it has no answer. */
function registeredId(key: string): string | null {
  try {
    const words = ['query', key, '/v', 'MachineGuid', '/reg:64']
    const text = execFileSync('reg', words, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
    const guid = /REG_SZ\s+([0-9a-f-]{36})/i.exec(text)?.[1]
    return guid === undefined ? null : guid.replaceAll('-', '').toLowerCase()
  } catch {
    return null
  }
}

/** The subsystem NQN where none is given. */
export function defaultNqn(machine: string): string {
  return `nqn.2014-08.org.nvmexpress:uuid:${uuidOf(digest('subsystem', machine))}`
}

/** 20 characters, letters and digits. */
export function serialOf(machine: string, nqn: string): string {
  return `WEFT${digest('serial', machine, nqn).toString('hex').slice(0, 16).toUpperCase()}`
}

/** backing: what the namespace is made of, such as "memory" or "file /srv/disk.img". */
export function namespaceUuid(
  machine: string, nqn: string, nsid: number, backing: string,
): string {
  return uuidOf(digest('uuid', machine, nqn, String(nsid), backing))
}

/** 32 hexadecimal digits. */
export function namespaceNguid(
  machine: string, nqn: string, nsid: number, backing: string,
): string {
  return digest('nguid', machine, nqn, String(nsid), backing).toString('hex').slice(0, 32)
}

/** The host NQN and host id (hexadecimal) of weft's own commands that connect to a target. */
export function hostIdentity(machine: string): { readonly nqn: string; readonly id: string } {
  const uuid = uuidOf(digest('host', machine))
  return { nqn: `nqn.2014-08.org.nvmexpress:uuid:${uuid}`, id: uuid.replaceAll('-', '') }
}

/** NUL parts the words, so that no two lists of words give one text. */
function digest(...words: string[]): Buffer {
  return createHash('sha256').update(['weft', ...words].join('\0')).digest()
}

function uuidOf(bytes: Buffer): string {
  const uuid = Buffer.from(bytes.subarray(0, 16))
  uuid[6] = (uuid[6]! & 0x0f) | 0x80
  uuid[8] = (uuid[8]! & 0x3f) | 0x80
  const hex = uuid.toString('hex')
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)]
    .join('-')
}
