/**
 * Methods about the daemon itself: which version, which methods, which threads.
 * catalogue.ts lists them. Names and answers are SPDK's; rpc.discover is OpenRPC's.
 */
import { z } from 'zod'
import { method } from '../method.ts'
import { openRpc } from '../open-rpc.ts'

const flag = z.boolean({ error: 'true or false' })

export const FRAMEWORK_METHODS = [
  method('spdk_get_version', {
    summary: 'Says which weft this is, in the form in which SPDK says it of itself.',
    result: 'An object: version, and its parts as fields.',
    run: (_params, { version }) => {
      const [, major, minor, patch, suffix] = /^(\d+)\.(\d+)\.(\d+)(.*)$/.exec(version)!
      return {
        version: `weft v${version}`,
        fields: { major: Number(major), minor: Number(minor), patch: Number(patch), suffix },
      }
    },
  }),
  method('rpc_get_methods', {
    summary: 'Lists the methods that there are.',
    params: {
      current: flag.optional().describe('Only those that can be called now: all of them, always.'),
      include_aliases: flag.optional().describe('Other names of methods too: there are none.'),
    },
    result: 'A list of names.',
    run: (_params, { methods }) => methods.map(({ name }) => name),
  }),
  method('rpc.discover', {
    summary: 'Describes all methods and their parameters as an OpenRPC document.',
    result: 'An OpenRPC 1.3 document.',
    run: (_params, { methods, version }) => openRpc(methods, version),
  }),
  method('framework_wait_init', {
    summary: 'Waits until the target serves, which it does when this socket is there.',
    result: 'true',
    run: () => true,
  }),
  method('framework_get_reactors', {
    summary: 'Lists the threads that serve hosts.',
    result: 'An object: pid, and reactors with the processor of each (lcore).',
    run: (_params, { target }) => ({
      pid: process.pid,
      reactors: Array.from({ length: target.reactors }, (_, index) => ({
        lcore: target.cpus[index] ?? index, in_interrupt: false,
        lw_threads: [{ name: `reactor_${index}`, id: index + 1 }],
      })),
    }),
  }),
]
