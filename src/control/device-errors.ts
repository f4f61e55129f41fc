/**
 * What devices fail at, for the log and for the health of their subsystem. control-plane brings what the reactors
 * report.
 *
 * Invariant: each kind of failure of a namespace is logged once: a broken disk fails thousands of commands.
 */
import type { Lives } from '../controller/lives.ts'
import type { ToControl } from '../reactor/messages.ts'
import { ERRNO } from '../shim/errno.ts'
import { errnoName } from '../shim/shim.ts'
import { describeStatus } from '../wire/status.ts'
import type { Log } from './log.ts'

const { EROFS } = ERRNO

export class DeviceErrors {
  readonly #log: Log
  readonly #lives: Pick<Lives, 'mediumReadOnly'>
  readonly #told = new Set<string>()

  constructor(log: Log, lives: Pick<Lives, 'mediumReadOnly'>) {
    this.#log = log
    this.#lives = lives
  }

  tell({ subsystem, nsid, path, errno, operation, status }: Extract<ToControl, { type: 'device-error' }>): void {
    if (errno === EROFS) this.#lives.mediumReadOnly(subsystem, nsid)
    const key = `${subsystem} ${nsid} ${operation} ${errno} ${status ?? ''}`
    if (this.#told.has(key)) return
    this.#told.add(key)
    this.#log.deviceError({
      subsystem, namespace: nsid, device: path,
      reason: `${operation} failed with ${status === undefined ? errnoName(errno) : describeStatus(status)}; `
        + 'further ones are not logged',
    })
  }
}
