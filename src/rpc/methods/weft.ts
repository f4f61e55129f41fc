/**
 * Methods that SPDK has no word for. catalogue.ts lists them.
 */
import { z } from 'zod'
import { RpcError, CODE } from '../error.ts'
import { method } from '../method.ts'

const programForm = 'a list of words: a program and its leading arguments'

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
  method('weft_upgrade', {
    summary: 'Has another weft take over: it gets the sockets that listen, and hosts connect to it again.',
    params: {
      program: z.array(z.string().min(1), { error: programForm }).min(1, { error: programForm })
        .describe('The other weft: a program and its leading arguments.'),
      lose_memory: z.boolean({ error: 'true or false' }).optional()
        .describe('What is in memory namespaces may be lost; without it there is no upgrade that loses some.'),
    },
    result: 'An object: version and pid of the one that is about to take over. It has done so when the control '
      + 'socket answers with that pid.',
    changes: true,
    example: { program: ['/usr/bin/node', '/opt/weft/src/launch.mjs'] },
    run: async ({ program, lose_memory: losesMemory = false }, { upgrade }) => {
      try {
        return await upgrade({ program, losesMemory })
      } catch (error) {
        throw new RpcError(CODE.INTERNAL, 'Internal error', [(error as Error).message])
      }
    },
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
