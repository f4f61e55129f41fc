/**
 * Methods that SPDK has no word for. catalogue.ts lists them.
 */
import { RpcError, CODE } from '../error.ts'
import { method } from '../method.ts'

export const WEFT_METHODS = [
  method('weft_get_status', {
    summary: 'Says in one answer what is served, where, and to whom.',
    result: 'An object: version, pid, uptime_s, engine, reactors, listeners, discovery, subsystems with '
      + 'their namespaces and the hosts that are connected.',
    run: (_params, { target, version }) => ({
      version, pid: process.pid, uptime_s: Math.floor(process.uptime()),
      engine: target.engine, reactors: target.reactors,
      listeners: target.listeners, discovery: target.discovery,
      subsystems: target.snapshot.subsystems.filter(({ kind }) => kind === 'nvm')
        .map(({ nqn, namespaces }) => ({
          nqn,
          namespaces: namespaces.map(({ nsid, blockBytes, blockCount, readOnly, device }) => ({
            nsid, kind: device.kind, path: 'path' in device ? device.path : '',
            bytes: blockBytes * blockCount, block_bytes: blockBytes, read_only: readOnly,
          })),
          hosts: target.controllers().filter(({ subsystem }) => subsystem.nqn === nqn)
            .map(({ hostNqn, address, cntlid, queues }) => ({
              nqn: hostNqn, address, controller: cntlid, io_queues: queues.size - (queues.has(0) ? 1 : 0),
            })),
        })),
    }),
  }),
  method('weft_reload', {
    summary: 'Reads the configuration file again and serves what it says, as SIGHUP does.',
    result: 'A list of what differs in the file but takes a new start.',
    changes: true,
    run: (_params, { reload }) => {
      if (reload === null) {
        throw new RpcError(CODE.INTERNAL, 'Internal error', ['weft was started without --config.'])
      }
      return reload()
    },
  }),
]
