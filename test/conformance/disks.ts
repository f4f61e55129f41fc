/**
 * A daemon on two reactors with one namespace of each device and block size that a test can make,
 * for suites in which the same has to be true of all of them.
 */
import { afterAll, afterEach, beforeAll } from 'vitest'
import { join } from 'node:path'
import {
  NQN, configuration, removeDirectory, startDaemon, temporaryDirectory, type Daemon,
} from '../daemon.ts'
import type { HostQueue } from '../host-queue.ts'
import { openSession } from '../host-session.ts'
import { closeWires, type Endpoint } from '../host.ts'

export const DISK_BYTES = 64 * 1024 * 1024
export const DISKS = [
  { nsid: 1, blockBytes: 512, device: 'memory' },
  { nsid: 2, blockBytes: 4096, device: 'memory' },
  { nsid: 3, blockBytes: 512, device: 'file' },
  { nsid: 4, blockBytes: 4096, device: 'file' },
] as const
export const READ_ONLY_NSID = 9

/** Serves them from the first test of the file that calls it to the last. */
export function serveDisks(): { readonly endpoint: Endpoint, readonly ioQueue: () => Promise<HostQueue> } {
  let daemon: Daemon
  let directory: string
  beforeAll(async () => {
    directory = temporaryDirectory()
    const disks = DISKS.map(({ nsid, blockBytes, device }) => device === 'memory'
      ? { nsid, memory: '64M', block: blockBytes }
      : { nsid, file: join(directory, `disk-${nsid}`), size: '64M', block: blockBytes })
    daemon = await startDaemon(configuration({
      reactors: 2,
      subsystems: [{
        nqn: NQN, hosts: 'any', namespaces: [...disks, { nsid: READ_ONLY_NSID, memory: '8M', readOnly: true }],
      }],
    }))
  })
  afterAll(async () => {
    await daemon.stop()
    removeDirectory(directory)
  })
  afterEach(closeWires)
  return {
    get endpoint() {
      return daemon.endpoint
    },
    ioQueue: async () => (await openSession(daemon.endpoint, { subnqn: NQN })).queue(1),
  }
}
