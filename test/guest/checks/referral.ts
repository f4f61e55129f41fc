/**
 * What the discovery service tells besides the subsystems, and how a host is told of changes:
 * referrals, connecting to all that is listed, a persistent discovery controller and its event.
 * run → checks/referral → host, weft.        NVMe Base 2.0, Discovery Log Page.
 *
 * The log names the address that was reached, which to the daemon is 127.0.0.1: a forwarder in the
 * guest makes that address lead to the daemon there too.
 */
import { type Bench, type Check, expect } from '../check.ts'
import { DISCOVERY_NQN, HOST_ID, HOST_NQN, MAIN, SECOND } from '../target.ts'
import type { Weft } from '../weft.ts'

/** TEST-NET-1: nobody answers there, so nothing may go there either. */
const ELSEWHERE = '192.0.2.7'
const REFERRAL = { address: ELSEWHERE, port: 8010 }
const EVENT_WAIT_S = 60
/** AER: notice, F0h, log page 70h; the kernel passes it on as this uevent. */
const LOG_CHANGED = 'NVME_AEN=0x70f002'

type Record = {
  readonly subtype?: string
  readonly subnqn?: string
  readonly traddr?: string
  readonly trsvcid?: string
}

export const REFERRAL_CHECKS: readonly Check[] = [
  {
    name: 'discover shows a referral',
    weftOnly: true,
    run: async (bench) => {
      const weft = daemonOf(bench)
      await restart(weft, true)
      try {
        const records = await discover(bench, place(bench))
        const found = records.filter((at) => at.subtype?.includes('referral'))
        expect(found.length === 1, `one referral is configured: ${JSON.stringify(records)}`)
        expect(found[0]?.traddr === ELSEWHERE && found[0].trsvcid?.trim() === '8010' &&
          found[0].subnqn === DISCOVERY_NQN, `the referral is ${JSON.stringify(found[0])}`)
      } finally {
        await restart(weft, false)
      }
    },
  },
  {
    name: 'connect-all connects to what is listed, and to nothing twice',
    weftOnly: true,
    run: async (bench) => {
      const { vm, host: { target } } = bench
      const ports = [target.port, target.discoveryPort]
      for (const port of ports) await vm.require(forwarder(port, target.address))
      try {
        await vm.require(`nvme connect-all --transport=tcp --traddr=127.0.0.1 ` +
          `--trsvcid=${target.discoveryPort} ${identity()} --keep-alive-tmo=30`)
        const names = (await vm.require('cat /sys/class/nvme/nvme*/subsysnqn')).trim().split('\n')
        for (const { nqn } of [MAIN, SECOND]) {
          const count = names.filter((name) => name === nqn).length
          expect(count === 1, `${nqn} is connected ${count} times: ${names.join(', ')}`)
        }
      } finally {
        await vm.run('nvme disconnect-all')
        await vm.run(`kill $(cat /run/forwarder-${ports[0]} /run/forwarder-${ports[1]})`)
      }
    },
  },
  {
    name: 'a persistent discovery controller is told when the log changes',
    weftOnly: true,
    run: async (bench) => {
      const { vm } = bench
      const weft = daemonOf(bench)
      await vm.require('udevadm monitor --kernel --property > /run/uevents 2>&1 & echo $! > /run/monitor')
      try {
        await vm.require(`nvme discover ${place(bench)} --persistent --keep-alive-tmo=30`)
        const device = (await vm.require('basename /sys/class/nvme/nvme*')).trim()
        await weft.reload([], { referrals: [REFERRAL] })
        await vm.require(`for second in $(seq ${EVENT_WAIT_S}); do ` +
          `grep -q ${LOG_CHANGED} /run/uevents && exit 0; sleep 1; done; cat /run/uevents; exit 1`,
        (EVENT_WAIT_S + 30) * 1000)
        const records = await discover(bench, `--device=${device}`)
        expect(records.some((at) => at.traddr === ELSEWHERE),
          `the new referral is not in the log: ${JSON.stringify(records)}`)
        // The next change is news again when the log was read without RAE. libnvme 1.3 keeps RAE
        // for every piece but the only one, so that one piece is what is read here.
        await vm.require(`nvme get-log /dev/${device} --log-id=0x70 --log-len=1024 -b > /dev/null`)
        await weft.reload([])
        await vm.require(`for second in $(seq ${EVENT_WAIT_S}); do ` +
          `[ $(grep -c ${LOG_CHANGED} /run/uevents) -ge 2 ] && exit 0; sleep 1; done; exit 1`,
        (EVENT_WAIT_S + 30) * 1000)
      } finally {
        await vm.run('kill $(cat /run/monitor); nvme disconnect-all')
      }
    },
  },
  {
    name: 'nvme dim registers the host with a central discovery controller, and takes it back',
    weftOnly: true,
    run: async (bench) => {
      const { vm } = bench
      const weft = daemonOf(bench)
      await weft.stop('SIGTERM')
      await weft.start({ central: true })
      try {
        await vm.require(`nvme discover ${place(bench)} --persistent --keep-alive-tmo=30`)
        const device = (await vm.require('basename /sys/class/nvme/nvme*')).trim()
        for (const task of ['register', 'deregister']) {
          await vm.require(`nvme dim --device=${device} --task=${task}`)
        }
      } finally {
        await vm.run('nvme disconnect-all')
        await restart(weft, false)
      }
    },
  },
]

function daemonOf({ weft }: Bench): Weft {
  if (weft === null) throw new Error('weft is not the target')
  return weft
}

async function restart(weft: Weft, referring: boolean): Promise<void> {
  await weft.stop('SIGTERM')
  await weft.start(referring ? { referrals: [REFERRAL] } : {})
}

const identity = (): string => `--hostnqn=${HOST_NQN} --hostid=${HOST_ID}`

const place = ({ host: { target } }: Bench): string =>
  `--transport=tcp --traddr=${target.address} --trsvcid=${target.discoveryPort} ${identity()}`

async function discover({ vm }: Bench, where: string): Promise<readonly Record[]> {
  const text = await vm.require(`nvme discover ${where} --output-format=json`)
  const parsed = JSON.parse(text) as { records?: readonly Record[] }
  expect(Array.isArray(parsed.records), `nvme discover printed no records: ${text}`)
  return parsed.records
}

/** Passes connections to a port of 127.0.0.1 on to the same port of the machine. */
function forwarder(port: number, address: string): string {
  return `cat > /run/forwarder.pl <<'END'
use IO::Socket::INET;
my ($port, $address) = @ARGV;
$SIG{CHLD} = 'IGNORE';
my $listener = IO::Socket::INET->new(
  LocalAddr => '127.0.0.1', LocalPort => $port, Listen => 16, ReuseAddr => 1) or die $!;
while (my $near = $listener->accept) {
  next if fork;
  my $far = IO::Socket::INET->new(PeerAddr => $address, PeerPort => $port) or exit 1;
  my ($from, $to) = fork ? ($near, $far) : ($far, $near);
  while (sysread $from, my $bytes, 65536) { syswrite $to, $bytes }
  shutdown $to, 1;
  exit;
}
END
perl /run/forwarder.pl ${port} ${address} > /dev/null 2>&1 & echo $! > /run/forwarder-${port}
sleep 1`
}
