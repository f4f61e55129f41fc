/**
 * fio with verification: both media, both block sizes, with and without digests, and through a
 * relay that cuts the stream in pieces.
 * run → checks/verify → fio.
 *
 * Invariant: digests are on where a check names them: the kernel refuses a target that answers
 * ICReq with others than it asked for.
 */
import { type Check, expect } from '../check.ts'
import { runMixedJobs } from '../fio.ts'
import { type ConnectOptions, deviceOf } from '../host.ts'
import { Relay } from '../relay.ts'
import { MAIN, type Namespace, SECOND } from '../target.ts'
import type { Settings } from '../weft.ts'

const MEGABYTES = 16
const PIECE_BYTES_MAX = 3_000

const DIGESTS: readonly [string, ConnectOptions][] = [
  ['no digest', {}],
  ['the header digest', { headerDigest: true }],
  ['the data digest', { dataDigest: true }],
  ['both digests', { headerDigest: true, dataDigest: true }],
]

export const VERIFY_CHECKS: readonly Check[] = [
  ...DIGESTS.flatMap(([name, options]) => MAIN.namespaces
    // Digests are a matter of PDU layout: both meet both kinds of media and block sizes, one alone the first.
    .filter(({ nsid }) => name === 'no digest' || nsid === 1 || (name === 'both digests' && nsid === 4))
    .map((at) => verifyCheck(name, options, at))),
  {
    name: 'fio verifies two subsystems at once',
    run: async ({ vm, host }) => {
      await host.within(MAIN, {}, (main) => host.within(SECOND, {}, async (second) => {
        const namespace = SECOND.namespaces[0]
        expect(namespace !== undefined, 'the second subsystem has no namespace')
        await Promise.all([
          runMixedJobs(vm, { device: deviceOf(main, 1), blockBytes: 512, megabytes: 8 }),
          runMixedJobs(vm, {
            device: deviceOf(second, namespace.nsid), blockBytes: namespace.blockBytes,
            megabytes: 8,
          }),
        ])
      }))
    },
  },
  settingsCheck('two reactors', { reactors: 2 }),
  settingsCheck('the epoll engine', { engine: 'epoll' }),
  {
    name: 'fio verifies through a relay that cuts PDUs in pieces',
    weftOnly: true,
    run: async (bench) => {
      const relay = await Relay.open(bench.host.target.port, { pieceBytesMax: PIECE_BYTES_MAX })
      try {
        const options = { port: relay.port, headerDigest: true, dataDigest: true }
        await bench.host.within(MAIN, options, (connection) => runMixedJobs(bench.vm,
          { device: deviceOf(connection, 3), blockBytes: 512, megabytes: 4 }))
        expect(relay.accepted >= 3, `the relay saw ${relay.accepted} connections`)
      } finally {
        await relay.close()
      }
    },
  },
]

function verifyCheck(name: string, options: ConnectOptions, namespace: Namespace): Check {
  return {
    name: `fio verifies ${namespace.kind}, ${namespace.blockBytes}-byte blocks, ${name}`,
    shares: true,
    run: (bench) => bench.host.shared(MAIN, options, async (connection) => {
      await runMixedJobs(bench.vm, {
        device: deviceOf(connection, namespace.nsid),
        blockBytes: namespace.blockBytes,
        megabytes: MEGABYTES,
      })
    }),
  }
}

/** The daemon is started with other settings, and with its usual ones again in the end. */
function settingsCheck(name: string, settings: Settings): Check {
  return {
    name: `fio verifies with ${name}, both digests`,
    weftOnly: true,
    run: async ({ vm, host, weft }) => {
      expect(weft !== null, 'this check needs weft')
      await weft.stop('SIGTERM')
      await weft.start(settings)
      const options = { headerDigest: true, dataDigest: true, writeQueues: 2 }
      try {
        await host.within(MAIN, options, (connection) => Promise.all([1, 3].map((nsid) =>
          runMixedJobs(vm, {
            device: deviceOf(connection, nsid), blockBytes: 512, megabytes: MEGABYTES / 2,
          }))).then(() => {}))
      } finally {
        if (weft.running) await weft.stop('SIGTERM')
        await weft.start()
      }
    },
  }
}
