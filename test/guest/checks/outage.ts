/**
 * Outages under I/O: the daemon restarts, is killed, loses connections, falls silent.
 * run → checks/outage → fio, relay, weft.
 *
 * Invariant: the I/O is verified all along, and the host must have noticed the outage: a check
 * whose host never reconnected has failed.
 */
import { type Bench, type Check, expect } from '../check.ts'
import { withEndlessJob } from '../fio.ts'
import { type Connection, deviceOf } from '../host.ts'
import { RECONNECTION } from '../kernel-log.ts'
import { Relay } from '../relay.ts'
import { MAIN } from '../target.ts'
import type { Weft } from '../weft.ts'

/** The file namespaces: what they acknowledged outlives the daemon. */
const FILES: readonly (readonly [nsid: number, blockBytes: number])[] = [[3, 512], [4, 4096]]
const OUTAGE_MS = 3_000
/** Silence is noticed after this; less would be a nuisance on a starved machine. */
const KEEP_ALIVE_S = 15
const RECONNECT_TIMEOUT_S = 120

export const OUTAGE_CHECKS: readonly Check[] = [
  {
    name: 'a restart of the daemon (SIGTERM) under I/O',
    weftOnly: true,
    expected: RECONNECTION,
    run: (bench) => bench.host.within(MAIN, {}, async (connection) => {
      const weft = daemonOf(bench)
      await underLoad(bench, connection, 0, async () => {
        const ending = await weft.stop('SIGTERM')
        expect(ending.status === 0, `weft ended with ${ending.status ?? ending.signal}, not 0`)
        await pause(OUTAGE_MS)
        await weft.start()
      })
    }),
  },
  {
    name: 'kill -9 of the daemon under I/O',
    weftOnly: true,
    expected: RECONNECTION,
    run: (bench) => bench.host.within(MAIN, {}, async (connection) => {
      const weft = daemonOf(bench)
      await underLoad(bench, connection, 1, async () => {
        await weft.stop('SIGKILL')
        await weft.start()
      })
    }),
  },
  {
    name: 'another weft takes over under I/O (weft upgrade)',
    weftOnly: true,
    expected: RECONNECTION,
    run: (bench) => bench.host.within(MAIN, {}, async (connection) => {
      const weft = daemonOf(bench)
      await underLoad(bench, connection, 0, () => weft.upgrade())
      await underLoad(bench, connection, 1, async () => {
        await weft.endHeir()
        await weft.start()
      })
    }),
  },
  relayed('dropped connections under I/O', (relay) => relay.drop()),
  relayed('connections that fall silent under I/O', (relay) => relay.stall()),
  {
    name: 'a restart of the daemon while idle',
    weftOnly: true,
    expected: RECONNECTION,
    run: (bench) => bench.host.within(MAIN, {}, async ({ controller }) => {
      const weft = daemonOf(bench)
      const before = await reconnections(bench)
      await weft.stop('SIGTERM')
      await weft.start()
      await awaitReconnection(bench, controller, before)
    }),
  },
]

/** The work goes on under verified I/O, until the host says that it has reconnected. */
async function underLoad(
  bench: Bench, connection: Connection, file: number, outage: () => Promise<void>,
): Promise<void> {
  const [nsid, blockBytes] = FILES[file] ?? [3, 512]
  await withEndlessJob(bench.vm, deviceOf(connection, nsid), blockBytes, async () => {
    const before = await reconnections(bench)
    await outage()
    await awaitReconnection(bench, connection.controller, before)
  })
}

function relayed(name: string, misbehave: (relay: Relay) => void): Check {
  return {
    name,
    weftOnly: true,
    expected: RECONNECTION,
    run: async (bench) => {
      const relay = await Relay.open(bench.host.target.port)
      try {
        const options = { port: relay.port, keepAliveS: KEEP_ALIVE_S }
        await bench.host.within(MAIN, options, (connection) =>
          underLoad(bench, connection, 0, async () => misbehave(relay)))
      } finally {
        await relay.close()
      }
    },
  }
}

/** How often the kernel said so. The log is emptied only between checks. */
export async function reconnections(bench: Bench): Promise<number> {
  return Number((await bench.vm.run(
    "busybox dmesg | grep -c 'Successfully reconnected'")).stdout)
}

export async function awaitReconnection(bench: Bench, controller: string, before: number): Promise<void> {
  await bench.vm.require(`for second in $(seq ${RECONNECT_TIMEOUT_S}); do
  [ "$(busybox dmesg | grep -c 'Successfully reconnected')" -gt ${before} ] && exit 0
  sleep 1
done
echo "${controller} has not reconnected: $(busybox dmesg | tail -n 2)" >&2
exit 1`)
  await bench.host.awaitLive(controller)
}

function daemonOf(bench: Bench): Weft {
  if (bench.weft === null) throw new Error('this check needs weft')
  return bench.weft
}

function pause(ms: number): Promise<void> {
  return new Promise((wake) => setTimeout(wake, ms))
}
