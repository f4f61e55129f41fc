/**
 * Two paths to one subsystem, over two listeners, as Linux's native multipath uses them: while fio verifies, a
 * path becomes inaccessible and comes back, both prefer the other, and one loses its connections.
 * run → checks/multipath → fio, relay, weft.
 *
 *   guest ─ nvme0 ─────────▶ first listener ─┐
 *         ─ nvme1 ─ relay ─▶ second listener ┴─ one subsystem; states are moved by reloading the configuration
 *
 * Invariant: the I/O is verified all along, and the host shows each state before the next one comes.
 */
import { type Bench, type Check, expect } from '../check.ts'
import { withEndlessJob } from '../fio.ts'
import { deviceOf } from '../host.ts'
import { RECONNECTION } from '../kernel-log.ts'
import { Relay } from '../relay.ts'
import { MAIN } from '../target.ts'
import { freePort, type AnaState, type Weft } from '../weft.ts'
import { awaitReconnection, reconnections } from './outage.ts'

const NSID = 3
const STATE_WAIT_S = 30
const ROUND_WAIT_S = 60

export const MULTIPATH_CHECKS: readonly Check[] = [
  {
    name: 'two paths under I/O: inaccessible and back, non-optimized, one loses its connections',
    weftOnly: true,
    expected: [...RECONNECTION, /nvme nvme\d+: ANA group \d+: [a-z-]+\./, /nvme nvme\d+: rescanning namespaces\./],
    run: async (bench) => {
      const weft = daemonOf(bench)
      const second = await freePort()
      await weft.reload([], { paths: [[weft.port, 'optimized'], [second, 'optimized']] })
      const relay = await Relay.open(second)
      try {
        await bench.host.within(MAIN, {}, async (connection) => {
          const other = await connectSecond(bench, relay.port)
          const paths = new Paths(bench, weft, second, connection.controller, other)
          try {
            await expectBothPaths(bench, connection.controller)
            await withEndlessJob(bench.vm, deviceOf(connection, NSID), 512, () => moved(bench, paths, relay))
          } finally {
            await bench.vm.run(`nvme disconnect --device=${other}`)
          }
        })
      } finally {
        await relay.close()
        await weft.reload([])
      }
    },
  },
]

async function moved(bench: Bench, paths: Paths, relay: Relay): Promise<void> {
  const { vm } = bench
  await paths.move('optimized', 'inaccessible')
  await paths.move('optimized', 'optimized')
  await paths.move('inaccessible', 'optimized')
  const share = await readBytes(vm, paths.second)
  await awaitRounds(vm, 2)
  expect(await readBytes(vm, paths.second) > share, 'no I/O came over the only path that is left')
  await paths.move('non-optimized', 'optimized')
  await awaitRounds(vm, 1)
  await paths.move('non-optimized', 'change')
  await paths.move('non-optimized', 'persistent-loss')
  await awaitRounds(vm, 1)
  await paths.move('non-optimized', 'optimized')
  const before = await reconnections(bench)
  relay.drop()
  await awaitRounds(vm, 1)
  await awaitReconnection(bench, paths.second, before)
  await paths.expect(paths.second, 'optimized')
}

/** The states of both paths: configured, and then seen by the host. */
class Paths {
  readonly first: string
  readonly second: string
  readonly #bench: Bench
  readonly #weft: Weft
  readonly #port: number

  constructor(bench: Bench, weft: Weft, port: number, first: string, second: string) {
    this.#bench = bench
    this.#weft = weft
    this.#port = port
    this.first = first
    this.second = second
  }

  async move(first: AnaState, second: AnaState): Promise<void> {
    await this.#weft.reload([], { paths: [[this.#weft.port, first], [this.#port, second]] })
    await this.expect(this.first, first)
    await this.expect(this.second, second)
  }

  /** Waits until the host shows the state for every namespace of the controller. */
  async expect(controller: string, state: AnaState): Promise<void> {
    await this.#bench.vm.require(`shown() { cat /sys/class/nvme/${controller}/nvme*c*n*/ana_state | sort -u; }
for fifth in $(seq ${STATE_WAIT_S * 5}); do
  [ "$(shown)" = ${state} ] && exit 0
  sleep 0.2
done
echo "${controller} shows $(shown), not ${state}" >&2
exit 1`)
  }
}

/** Connects once more, by the relay; the controller's name. */
async function connectSecond({ vm, host }: Bench, port: number): Promise<string> {
  const listed = (): Promise<string> => vm.require('ls /sys/class/nvme')
  const before = (await listed()).split(/\s+/)
  await vm.require(`${host.connectCommand(MAIN.nqn, { port })} > /dev/null`)
  const added = (await listed()).split(/\s+/).find((name) => name !== '' && !before.includes(name))
  if (added === undefined) throw new Error('the second path has no controller in sysfs')
  await host.awaitLive(added)
  return added
}

/** nvme-cli shows one subsystem with two live paths, and decodes the log of both. */
async function expectBothPaths({ vm }: Bench, controller: string): Promise<void> {
  const listed = await vm.require('nvme list-subsys')
  const at = listed.indexOf(MAIN.nqn)
  const paths = listed.slice(at).split('NQN=')[0]!.split('\n').filter((line) => /\btcp\b.*\blive\b/.test(line))
  expect(at !== -1 && paths.length === 2, `nvme list-subsys does not show two paths of ${MAIN.nqn}:\n${listed}`)
  const log = await vm.require(`nvme ana-log /dev/${controller}`)
  expect(/optimized/.test(log) && /grpid\s*:\s*1\b/.test(log), `nvme ana-log says:\n${log}`)
}

/** Bytes that the host has moved over a controller's paths, in sectors. */
async function readBytes(vm: Bench['vm'], controller: string): Promise<number> {
  return Number(await vm.require(
    `cat /sys/class/nvme/${controller}/nvme*c*n*/stat | awk '{ sum += $3 + $7 } END { print sum }'`))
}

/** So many more rounds of the endless job. */
async function awaitRounds(vm: Bench['vm'], count: number): Promise<void> {
  await vm.require(`until=$(($(wc -l < /run/io-rounds) + ${count}))
for second in $(seq ${ROUND_WAIT_S}); do
  [ "$(wc -l < /run/io-rounds)" -ge $until ] && exit 0
  sleep 1
done
echo 'fio makes no progress' >&2
exit 1`)
}

function daemonOf(bench: Bench): Weft {
  if (bench.weft === null) throw new Error('this check needs weft')
  return bench.weft
}
