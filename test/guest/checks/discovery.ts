/**
 * Discovery, connecting, and who may connect.
 * run → checks/discovery → host. NVMe-oF 1.1a, 5 (discovery), 3.3 (Connect).
 *
 * Invariant: what a host may not connect to, it is not told of.
 */
import { type Bench, type Check, expect } from '../check.ts'
import { ALLOWED_HOST_ID, ALLOWED_HOST_NQN, CLOSED, DISCOVERY_NQN, HOST_ID, HOST_NQN, MAIN, SECOND }
  from '../target.ts'

type Record = { readonly subnqn?: string; readonly trsvcid?: string; readonly trtype?: string }

export const DISCOVERY_CHECKS: readonly Check[] = [
  {
    name: 'discover on the discovery port',
    run: async (bench) => {
      const records = await discover(bench, bench.host.target.discoveryPort, HOST_NQN, HOST_ID)
      expectListed(records, bench.host.target.port)
    },
  },
  {
    name: 'discover on the I/O port with the well-known name',
    run: async (bench) => {
      const { port } = bench.host.target
      expectListed(await discover(bench, port, HOST_NQN, HOST_ID), port)
    },
  },
  {
    name: 'discovery tells of a closed subsystem only whom it admits',
    run: async (bench) => {
      const port = bench.host.target.discoveryPort
      const ours = await discover(bench, port, HOST_NQN, HOST_ID)
      expect(!ours.some((at) => at.subnqn === CLOSED.nqn), `${HOST_NQN} sees ${CLOSED.nqn}`)
      const theirs = await discover(bench, port, ALLOWED_HOST_NQN, ALLOWED_HOST_ID)
      expect(theirs.some((at) => at.subnqn === CLOSED.nqn),
        `${ALLOWED_HOST_NQN} does not see ${CLOSED.nqn}`)
    },
  },
  {
    name: 'a host not in the allow-list is refused',
    expected: [/Connect for subsystem .* is not allowed, hostnqn: /, /failed to connect queue: 0/],
    run: async (bench) => {
      await expectRefusal(bench, bench.host.connectCommand(CLOSED.nqn),
        `Connect for subsystem ${CLOSED.nqn} is not allowed, hostnqn: ${HOST_NQN}`)
    },
  },
  {
    name: 'a host in the allow-list is admitted',
    run: async (bench) => {
      const who = { hostNqn: ALLOWED_HOST_NQN, hostId: ALLOWED_HOST_ID }
      await bench.host.within(CLOSED, who, async () => {})
    },
  },
  {
    name: 'a subsystem that does not exist is refused',
    expected: [/Connect Invalid Data Parameter, subsysnqn /, /failed to connect queue: 0/],
    run: async (bench) => {
      const nqn = `${MAIN.nqn}-not`
      await expectRefusal(bench, bench.host.connectCommand(nqn),
        `Connect Invalid Data Parameter, subsysnqn "${nqn}"`)
    },
  },
  {
    name: 'connect with two and with four I/O queues',
    run: async (bench) => {
      // The host gives each of its two cores a queue; more come only with separate write queues.
      for (const writeQueues of [0, 2]) {
        await bench.host.within(MAIN, { writeQueues }, async ({ controller }) => {
          const count = await bench.vm.require(`cat /sys/class/nvme/${controller}/queue_count`)
          expect(Number(count) === 1 + 2 + writeQueues,
            `one admin queue and ${2 + writeQueues} I/O queues were asked for, got ${count.trim()}`)
        })
      }
    },
  },
]

/** The records of the discovery log, as nvme-cli decodes them. */
async function discover(
  bench: Bench, port: number, hostNqn: string, hostId: string,
): Promise<readonly Record[]> {
  const text = await bench.vm.require(`nvme discover --transport=tcp ` +
    `--traddr=${bench.host.target.address} --trsvcid=${port} --hostnqn=${hostNqn} ` +
    `--hostid=${hostId} --output-format=json`)
  const parsed = JSON.parse(text) as { records?: readonly Record[] }
  expect(Array.isArray(parsed.records), `nvme discover printed no records: ${text}`)
  return parsed.records
}

function expectListed(records: readonly Record[], port: number): void {
  for (const subsystem of [MAIN, SECOND]) {
    const record = records.find((at) => at.subnqn === subsystem.nqn &&
      Number(at.trsvcid?.trim()) === port)
    expect(record !== undefined,
      `${subsystem.nqn} is not listed at port ${port}: ${JSON.stringify(records)}`)
    expect(record.trtype === 'tcp', `${subsystem.nqn} is listed as ${record.trtype}`)
  }
  expect(records.every((at) => at.subnqn !== undefined && at.subnqn !== ''),
    `a record has no name: ${JSON.stringify(records)} (${DISCOVERY_NQN} has one)`)
}

/** The connect must fail, and the kernel say why in these words. */
async function expectRefusal(bench: Bench, command: string, sentence: string): Promise<void> {
  const outcome = await bench.vm.run(command)
  expect(outcome.status !== 0, `it was admitted: ${outcome.stdout}`)
  const log = await bench.vm.require('busybox dmesg')
  expect(log.includes(sentence),
    `the kernel log lacks '${sentence}': ${log.trim().split('\n').slice(-3).join(' / ')}`)
}
