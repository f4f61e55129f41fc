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

export const DISCOVERY_NQN = 'nqn.2014-08.org.nvmexpress.discovery'

const MIB = 1024 * 1024

export type Namespace = {
  readonly nsid: number
  /** 'file' outlives a restart of the daemon, 'memory' does not. */
  readonly kind: 'memory' | 'file'
  readonly blockBytes: 512 | 4096
  readonly bytes: number
}

export type Subsystem = {
  readonly nqn: string
  readonly hosts: 'any' | readonly string[]
  readonly namespaces: readonly Namespace[]
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

/** Where the guest finds the subsystems. */
export type Target = {
  readonly address: string
  readonly port: number
  readonly discoveryPort: number
}
