/**
 * DH-HMAC-CHAP: what Linux and weft agree on, and what they refuse each other.
 * run → checks/authentication → host. NVMe Base 2.0, 8.13.
 *
 * Invariant: the kernel says which hash and group it used; a check that is about one looks for it.
 * Debian's kernel 6.1 is without CONFIG_NVME_HOST_AUTH, so these checks are for 6.12.
 */
import { type Bench, type Check, expect } from '../check.ts'
import { runMixedJobs, withEndlessJob } from '../fio.ts'
import { type Connection, type ConnectOptions, deviceOf } from '../host.ts'
import { RECONNECTION } from '../kernel-log.ts'
import { DISCOVERY_NQN, GUARDED, HOST_ID, HOST_NQN, SECRETS, keyedHost } from '../target.ts'
import type { Weft } from '../weft.ts'
import { awaitReconnection, reconnections } from './outage.ts'

const MEGABYTES = 6
/** Said by a host that authenticates. */
const AUTHENTICATION: readonly RegExp[] = [
  /nvme nvme\d+: qid \d+: (?:controller )?authenticated/,
  /nvme nvme\d+: re-authenticating controller/,
]
/** Said by a host that failed at it, or whose controller did. */
const REFUSAL: readonly RegExp[] = [
  ...AUTHENTICATION,
  /nvme nvme\d+: qid \d+: (?:authentication (?:setup )?failed|no key)/,
  /nvme nvme\d+: qid \d+: controller authentication failed/,
  /nvme nvme\d+: qid \d+: error -?\d+ setting up authentication/,
  /nvme nvme\d+: failed to connect queue: \d+/,
  /nvme nvme\d+: qid \d+ (?:failed|auth_send|auth_receive)/,
]

/** Said by a host that is not even on the list. */
const STRANGER: readonly RegExp[] = [...REFUSAL, /Connect for subsystem .* is not allowed/]

type Combination = readonly [name: string, host: number, key: string, hash: string, group: string]

const COMBINATIONS: readonly Combination[] = [
  ['SHA-512 and ffdhe8192, the strongest', 0, SECRETS.plain, 'sha512', 'ffdhe8192'],
  ['SHA-256 and the NULL group', 1, SECRETS.sha256, 'sha256', 'null'],
  ['SHA-384 and ffdhe2048', 2, SECRETS.sha384, 'sha384', 'ffdhe2048'],
  ['SHA-512 and ffdhe4096', 3, SECRETS.sha512, 'sha512', 'ffdhe4096'],
  ['SHA-256 and ffdhe3072', 4, SECRETS.plain, 'sha256', 'ffdhe3072'],
  ['SHA-512 and ffdhe6144', 5, SECRETS.sha384, 'sha512', 'ffdhe6144'],
  ['SHA-384 and ffdhe8192', 6, SECRETS.sha256, 'sha384', 'ffdhe8192'],
]

export const AUTHENTICATION_CHECKS: readonly Check[] = [
  ...COMBINATIONS.map(([name, number, key, hash, group]): Check => authentication(
    `authentication with ${name}, fio verifies`, AUTHENTICATION, async (bench) => {
      await bench.host.within(GUARDED, { ...keyedHost(number), key }, async (connection) => {
        await expectSaid(bench, `authenticated with hash hmac(${hash}) dhgroup ${group}`)
        await verify(bench, connection, MEGABYTES)
      })
    })),
  ...[
    ['a secret as it is', 9, SECRETS.plain, SECRETS.other] as const,
    ['transformed secrets', 10, SECRETS.sha256, SECRETS.sha512] as const,
  ].map(([name, number, key, controllerKey]): Check => authentication(
    `authentication both ways with ${name}`, AUTHENTICATION, async (bench) => {
      const options = { ...keyedHost(number), key, controllerKey }
      await bench.host.within(GUARDED, options, async (connection) => {
        await expectSaid(bench, 'qid 0: controller authenticated')
        await verify(bench, connection, 1)
      })
    })),
  refusal('a wrong key', { ...keyedHost(0), key: SECRETS.other }),
  refusal('no key', keyedHost(0)),
  refusal('a key for a controller that has none',
    { ...keyedHost(0), key: SECRETS.plain, controllerKey: SECRETS.other }),
  refusal('a wrong key of the controller',
    { ...keyedHost(9), key: SECRETS.plain, controllerKey: SECRETS.sha256 }),
  authentication('authentication again on live queues, under I/O', AUTHENTICATION, async (bench) => {
    const options = { ...keyedHost(10), key: SECRETS.sha256, controllerKey: SECRETS.sha512 }
    await bench.host.within(GUARDED, options, async (connection) => {
      await withEndlessJob(bench.vm, deviceOf(connection, 1), 4096, async () => {
        const before = await count(bench, 'qid 0: authenticated')
        await bench.vm.require(
          `echo '${SECRETS.sha256}' > /sys/class/nvme/${connection.controller}/dhchap_secret`)
        await awaitCount(bench, 'qid 0: authenticated', before + 1)
      })
    })
  }),
  authentication('authentication after a restart of the daemon, under I/O',
    [...AUTHENTICATION, ...RECONNECTION], async (bench) => {
      const options = { ...keyedHost(3), key: SECRETS.sha512 }
      await bench.host.within(GUARDED, options, async (connection) => {
        const weft = daemonOf(bench)
        await withEndlessJob(bench.vm, deviceOf(connection, 1), 4096, async () => {
          const before = await reconnections(bench)
          await weft.stop('SIGTERM')
          await weft.start()
          await awaitReconnection(bench, connection.controller, before)
        })
      })
    }),
  authentication('authentication to the discovery service', STRANGER, async (bench) => {
    const weft = daemonOf(bench)
    await weft.stop('SIGTERM')
    const { hostNqn, hostId } = keyedHost(2)
    await weft.start({ discoveryHosts: [{ nqn: hostNqn, key: SECRETS.sha384 }] })
    try {
      const text = await bench.vm.require(discoverScript(bench, hostNqn, hostId, SECRETS.sha384))
      expect(text.includes(GUARDED.nqn), `${GUARDED.nqn} is not in: ${text}`)
      for (const [who, script] of [
        ['a wrong key', discoverScript(bench, hostNqn, hostId, SECRETS.other)],
        ['no key', discoverScript(bench, hostNqn, hostId)],
        ['another name', discoverScript(bench, HOST_NQN, HOST_ID, SECRETS.sha384)],
      ] as const) {
        const outcome = await bench.vm.run(script)
        expect(outcome.status !== 0, `a host with ${who} was told: ${outcome.stdout}`)
      }
    } finally {
      await weft.stop('SIGTERM')
      await weft.start()
    }
  }),
]

/** A check that needs a kernel which can authenticate. */
function authentication(
  name: string, expected: readonly RegExp[], run: (bench: Bench) => Promise<void>,
): Check {
  return { name, expected, weftOnly: true, kernels: ['6.12'], run }
}

/** The host must not get in, and must know that soon. */
function refusal(what: string, options: ConnectOptions): Check {
  return authentication(`authentication with ${what} is refused`, REFUSAL, async (bench) => {
    const outcome = await bench.vm.run(bench.host.connectCommand(GUARDED.nqn, options))
    expect(outcome.status !== 0, `it was admitted: ${outcome.stdout}`)
    const left = await bench.vm.run('ls /sys/class/nvme/')
    expect(left.stdout.trim() === '', `the host has a controller still: ${left.stdout}`)
  })
}

/** fio writes and verifies on the subsystem's namespace. */
function verify(bench: Bench, connection: Connection, megabytes: number): Promise<void> {
  const device = deviceOf(connection, 1)
  return runMixedJobs(bench.vm, { device, blockBytes: 4096, megabytes })
}

async function expectSaid(bench: Bench, sentence: string): Promise<void> {
  const log = await bench.vm.require('busybox dmesg')
  expect(log.includes(sentence), `the kernel log lacks '${sentence}': ` +
    log.trim().split('\n').slice(-4).join(' / '))
}

async function count(bench: Bench, sentence: string): Promise<number> {
  return Number((await bench.vm.run(`busybox dmesg | grep -c '${sentence}'`)).stdout)
}

async function awaitCount(bench: Bench, sentence: string, least: number): Promise<void> {
  await bench.vm.require(`for tenth in $(seq 600); do
  [ "$(busybox dmesg | grep -c '${sentence}')" -ge ${least} ] && exit 0
  sleep 0.1
done
echo "the kernel has not said '${sentence}' again: $(busybox dmesg | tail -n 3)" >&2
exit 1`)
}

/** Past nvme-cli, which hands the kernel no key for a discovery controller. */
function discoverScript(bench: Bench, hostNqn: string, hostId: string, key?: string): string {
  const { address, discoveryPort } = bench.host.target
  const options = `transport=tcp,traddr=${address},trsvcid=${discoveryPort},nqn=${DISCOVERY_NQN},` +
    `hostnqn=${hostNqn},hostid=${hostId}${key === undefined ? '' : `,dhchap_secret=${key}`}`
  return `exec 4<> /dev/nvme-fabrics && echo '${options}' >&4 &&
name=nvme$(sed 's/instance=\\([0-9]*\\).*/\\1/' <&4) &&
nvme discover --device=$name && nvme disconnect --device=$name`
}

function daemonOf(bench: Bench): Weft {
  if (bench.weft === null) throw new Error('this check needs weft')
  return bench.weft
}
