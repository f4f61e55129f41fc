/**
 * What the checks connect to: three subsystems, described once, served by weft or by the guest's
 * own kernel (to prove the checks, and to compare).
 * checks/* → target; weft.ts and kernel-target.ts serve it.
 *
 * Invariant: names, namespaces and host lists are the same whoever serves them.
 */

/** The host that the guest is, unless a check says otherwise. */
export const HOST_NQN = 'nqn.2014-08.org.nvmexpress:uuid:6a3d1f0e-5a77-4a0c-9a52-0d3f5a6b7c01'
export const HOST_ID = '6a3d1f0e-5a77-4a0c-9a52-0d3f5a6b7c01'

/** The only host that may connect to the closed subsystem. */
export const ALLOWED_HOST_NQN =
  'nqn.2014-08.org.nvmexpress:uuid:6a3d1f0e-5a77-4a0c-9a52-0d3f5a6b7c02'
export const ALLOWED_HOST_ID = '6a3d1f0e-5a77-4a0c-9a52-0d3f5a6b7c02'

/** Secrets of 32, 48 and 64 bytes, one for each transform. */
export const SECRETS = {
  plain: 'DHHC-1:00:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh+KfiaR:',
  sha256: 'DHHC-1:01:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh+KfiaR:',
  sha384: 'DHHC-1:02:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vcSEgBQ==:',
  sha512: 'DHHC-1:03:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4'
    + 'OTo7PD0+P4zODhA=:',
  other: 'DHHC-1:00:ZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXp7fH1+f4CBgoOEhYaHiImKi4yNjo+QkZKTvGwQfg==:',
} as const

/** A host's name and identifier, by a number. */
export function keyedHost(number: number): { readonly hostNqn: string; readonly hostId: string } {
  const hostId = `6a3d1f0e-5a77-4a0c-9a52-0d3f5a6b7d${number.toString().padStart(2, '0')}`
  return { hostNqn: `nqn.2014-08.org.nvmexpress:uuid:${hostId}`, hostId }
}

/** By number: what each is bound to. 9 and 10 authenticate the controller too. */
const KEYED_HOSTS: readonly KeyedHost[] = [
  { nqn: keyedHost(0).hostNqn, key: SECRETS.plain },
  { nqn: keyedHost(1).hostNqn, key: SECRETS.sha256, hashes: ['sha-256'], dhGroups: ['null'] },
  { nqn: keyedHost(2).hostNqn, key: SECRETS.sha384, hashes: ['sha-384'], dhGroups: ['ffdhe2048'] },
  { nqn: keyedHost(3).hostNqn, key: SECRETS.sha512, hashes: ['sha-512'], dhGroups: ['ffdhe4096'] },
  { nqn: keyedHost(4).hostNqn, key: SECRETS.plain, hashes: ['sha-256'], dhGroups: ['ffdhe3072'] },
  { nqn: keyedHost(5).hostNqn, key: SECRETS.sha384, hashes: ['sha-512'], dhGroups: ['ffdhe6144'] },
  { nqn: keyedHost(6).hostNqn, key: SECRETS.sha256, hashes: ['sha-384'], dhGroups: ['ffdhe8192'] },
  { nqn: keyedHost(9).hostNqn, key: SECRETS.plain, controllerKey: SECRETS.other },
  { nqn: keyedHost(10).hostNqn, key: SECRETS.sha256, controllerKey: SECRETS.sha512,
    dhGroups: ['ffdhe2048'] },
]

export const DISCOVERY_NQN = 'nqn.2014-08.org.nvmexpress.discovery'

const MIB = 1024 * 1024

export type Namespace = {
  readonly nsid: number
  /** 'file' outlives a restart of the daemon, 'memory' does not. */
  readonly kind: 'memory' | 'file'
  readonly blockBytes: 512 | 4096
  readonly bytes: number
}

/** A host that has to authenticate, and with what. */
export type KeyedHost = {
  readonly nqn: string
  readonly key: string
  readonly controllerKey?: string
  readonly hashes?: readonly string[]
  readonly dhGroups?: readonly string[]
}

export type Subsystem = {
  readonly nqn: string
  readonly hosts: 'any' | readonly string[]
  /** Instead of hosts, where they have to authenticate; weft only. */
  readonly keyedHosts?: readonly KeyedHost[]
  readonly namespaces: readonly Namespace[]
  /** What hosts may create namespaces of; weft only. */
  readonly poolBytes?: number
}

export const MAIN: Subsystem = {
  nqn: 'nqn.2026-01.io.weft:guest-main',
  hosts: 'any',
  namespaces: [
    { nsid: 1, kind: 'memory', blockBytes: 512, bytes: 160 * MIB },
    { nsid: 2, kind: 'memory', blockBytes: 4096, bytes: 160 * MIB },
    { nsid: 3, kind: 'file', blockBytes: 512, bytes: 256 * MIB },
    { nsid: 4, kind: 'file', blockBytes: 4096, bytes: 256 * MIB },
  ],
}

export const SECOND: Subsystem = {
  nqn: 'nqn.2026-01.io.weft:guest-second',
  hosts: 'any',
  namespaces: [{ nsid: 7, kind: 'memory', blockBytes: 4096, bytes: 96 * MIB }],
}

export const CLOSED: Subsystem = {
  nqn: 'nqn.2026-01.io.weft:guest-closed',
  hosts: [ALLOWED_HOST_NQN],
  namespaces: [{ nsid: 1, kind: 'memory', blockBytes: 512, bytes: 16 * MIB }],
}

export const SUBSYSTEMS: readonly Subsystem[] = [MAIN, SECOND, CLOSED]

/** Its hosts have keys: see checks/authentication.ts. */
export const GUARDED: Subsystem = {
  nqn: 'nqn.2026-01.io.weft:guest-guarded',
  hosts: [],
  keyedHosts: KEYED_HOSTS,
  namespaces: [{ nsid: 1, kind: 'file', blockBytes: 4096, bytes: 64 * MIB }],
}

/** Hosts create its namespaces: see checks/pool.ts. */
export const POOLED: Subsystem = {
  nqn: 'nqn.2026-01.io.weft:guest-pooled', hosts: 'any', namespaces: [], poolBytes: 256 * MIB,
}

/** Where the guest finds the subsystems. */
export type Target = {
  readonly address: string
  readonly port: number
  readonly discoveryPort: number
}
