/**
 * Reservations between two hosts, as nvme-cli gives the commands and decodes what comes back: one guest that is
 * connected twice, with two host NQNs and identifiers.
 * run → checks/reservation → host. NVMe Base 2.0, 8.19.
 *
 * The block layer has both connections as paths to one disk, so commands go to the controllers' own devices; that
 * works where a controller has a single namespace.
 * Invariant: nobody is registered when the check ends.
 */
import { type Bench, type Check, expect } from '../check.ts'
import { RECONNECTION } from '../kernel-log.ts'
import { SECOND, keyedHost } from '../target.ts'

const NSID = SECOND.namespaces[0]!.nsid
const BLOCK_BYTES = SECOND.namespaces[0]!.blockBytes
const [KEY_A, KEY_B] = [0xa1, 0xb2]
const [A, B] = [keyedHost(21), keyedHost(22)]
const PERSIST = 3

/** What the kernel says of commands that are refused, and of commands on a controller's device. */
const SAID: readonly RegExp[] = [
  ...RECONNECTION, /nvme\d+(?:c\d+)?n\d+: .*\(0x[0-9a-f]+\)/i, /reservation conflict/i, /using deprecated/i,
  /nvme nvme\d+: using NVME_IOCTL_IO_CMD/i, /Found shared namespace/i, /identifiers changed/i,
]

type Registrant = { readonly cntlid: number; readonly rcsts: number; readonly rkey: number; readonly hostid: string }
type Report = {
  readonly gen: number; readonly rtype: number; readonly ptpls: number; readonly registrants: readonly Registrant[]
}

export const RESERVATION_CHECKS: readonly Check[] = [{
  name: 'reservations between two hosts, by nvme-cli, through a kill -9 of the daemon',
  weftOnly: true,
  expected: SAID,
  run: async (bench) => {
    try {
      const a = await controllerOf(bench, A)
      const b = await controllerOf(bench, B)
      expect(a !== b, `both hosts have ${a}`)
      await reserve(bench, a, b)
      await restart(bench, [a, b])
      await takeOver(bench, a, b)
    } finally {
      await bench.vm.run(`nvme disconnect --nqn=${SECOND.nqn}`)
    }
  },
}]

/** A reserves, and B may only read. */
async function reserve(bench: Bench, a: string, b: string): Promise<void> {
  const register = (device: string, key: number) => bench.vm.require(
    `nvme resv-register ${device} --namespace-id=${NSID} --nrkey=${key} --rrega=0 --cptpl=${PERSIST}`)
  await register(a, KEY_A)
  await register(b, KEY_B)
  await write(bench, b, true)
  await bench.vm.require(`nvme resv-acquire ${a} --namespace-id=${NSID} --crkey=${KEY_A} --rtype=1 --racqa=0`)
  const { rtype, ptpls, registrants } = await reportOf(bench, b)
  expect(rtype === 1 && ptpls === 1, `type ${rtype}, persistence ${ptpls}`)
  expectRegistrants(registrants, [[KEY_A, 1, A], [KEY_B, 0, B]])
  await write(bench, a, true)
  await write(bench, b, false)
  await read(bench, b, true)
  const acquired = await bench.vm.run(
    `nvme resv-acquire ${b} --namespace-id=${NSID} --crkey=${KEY_B} --rtype=1 --racqa=0`)
  expect(isConflict(acquired), `the second host acquires: ${acquired.stdout} ${acquired.stderr}`)
}

/** What was acquired outlives the daemon. */
async function restart(bench: Bench, devices: readonly string[]): Promise<void> {
  const { weft } = bench
  if (weft === null) throw new Error('the target is not weft')
  await weft.stop('SIGKILL')
  await weft.start()
  for (const device of devices) await bench.host.awaitLive(device.slice('/dev/'.length))
}

/** B takes the reservation from A, which is told, and gives everything up. */
async function takeOver(bench: Bench, a: string, b: string): Promise<void> {
  expectRegistrants((await reportOf(bench, a)).registrants, [[KEY_A, 1, A], [KEY_B, 0, B]])
  await write(bench, b, false)
  const { gen } = await reportOf(bench, a)
  await bench.vm.require(
    `nvme resv-acquire ${b} --namespace-id=${NSID} --crkey=${KEY_B} --prkey=${KEY_A} --rtype=2 --racqa=2`)
  const after = await reportOf(bench, a)
  expect(after.rtype === 2 && after.gen === gen + 1, `type ${after.rtype}, generation ${after.gen} after ${gen}`)
  expectRegistrants(after.registrants, [[KEY_B, 1, B]])
  await read(bench, a, false)
  await read(bench, b, true)
  const notice = await bench.vm.require(`nvme resv-notif-log ${a}`)
  // The number, since nvme-cli 2.3 calls a 1, Registration Preempted, an empty page.
  expect(/Log Page Type\s*:\s*1\b/.test(notice) && new RegExp(`Namespace ID:?\\s*:?\\s*${NSID}\\b`).test(notice),
    `the notice is: ${notice}`)
  const feature = await bench.vm.require(`nvme get-feature ${b} --namespace-id=${NSID} --feature-id=0x83`)
  expect(/:\s*0x0*1\b/.test(feature), `feature 83h is: ${feature}`)
  await bench.vm.require(
    `nvme resv-release ${b} --namespace-id=${NSID} --crkey=${KEY_B} --rtype=2 --rrela=0`)
  await write(bench, a, true)
  await bench.vm.require(
    `nvme resv-release ${b} --namespace-id=${NSID} --crkey=${KEY_B} --rtype=0 --rrela=1`)
  expectRegistrants((await reportOf(bench, b)).registrants, [])
}

/**
 * Connects as this host; the device of its controller. Past nvme-cli, which says of a second host that it is
 * connected already.
 */
async function controllerOf({ vm, host }: Bench, { hostNqn, hostId }: ReturnType<typeof keyedHost>): Promise<string> {
  const { address, port } = host.target
  const options = `transport=tcp,traddr=${address},trsvcid=${port},nqn=${SECOND.nqn},hostnqn=${hostNqn},` +
    `hostid=${hostId},nr_io_queues=2,keep_alive_tmo=30,reconnect_delay=1,ctrl_loss_tmo=240,duplicate_connect`
  const name = (await vm.require(`exec 4<> /dev/nvme-fabrics && echo '${options}' >&4 &&
sed 's/instance=\\([0-9]*\\).*/nvme\\1/' <&4`)).trim()
  expect(/^nvme\d+$/.test(name), `the controller of ${hostId} is ${name || 'missing'}`)
  await host.awaitLive(name)
  return `/dev/${name}`
}

async function reportOf(bench: Bench, device: string): Promise<Report> {
  const said = await bench.vm.require(
    `nvme resv-report ${device} --namespace-id=${NSID} --eds --output-format=json`)
  const report = JSON.parse(said) as Record<string, unknown>
  const list = Object.values(report).find((value) => Array.isArray(value)) as Record<string, unknown>[]
  return {
    gen: Number(report['gen']), rtype: Number(report['rtype']), ptpls: Number(report['ptpls']),
    registrants: list.map((each) => ({
      cntlid: Number(each['cntlid']), rcsts: Number(each['rcsts']), rkey: Number(each['rkey']),
      hostid: String(each['hostid']).replace(/^0x/, '').toLowerCase(),
    })),
  }
}

type Wanted = readonly [key: number, holds: number, host: { readonly hostId: string }]

function expectRegistrants(found: readonly Registrant[], wanted: readonly Wanted[]): void {
  const seen = JSON.stringify(found)
  expect(found.length === wanted.length, `registrants are ${seen}`)
  for (const [index, [key, holds, { hostId }]] of wanted.entries()) {
    const { rkey, rcsts, hostid, cntlid } = found[index]!
    const id = hostId.replaceAll('-', '')
    const reversed = Buffer.from(id, 'hex').reverse().toString('hex')
    expect(rkey === key && rcsts === holds, `registrant ${index} is ${seen}`)
    expect([id, reversed].some((each) => each.endsWith(hostid) && hostid.length > 8), `host ${hostid}, not ${id}`)
    expect(cntlid > 0 && cntlid < 0xfff0, `registrant ${index} has controller ${cntlid}`)
  }
}

async function write(bench: Bench, device: string, permitted: boolean): Promise<void> {
  await transfer(bench, device, `--opcode=1 --write --input-file=/dev/zero`, permitted)
}

async function read(bench: Bench, device: string, permitted: boolean): Promise<void> {
  await transfer(bench, device, '--opcode=2 --read --raw-binary', permitted)
}

async function transfer(bench: Bench, device: string, words: string, permitted: boolean): Promise<void> {
  const done = await bench.vm.run(
    `nvme io-passthru ${device} --namespace-id=${NSID} --data-len=${BLOCK_BYTES} ${words} > /tmp/transferred`)
  const right = permitted ? done.status === 0 : isConflict(done)
  expect(right, `${words} on ${device}: status ${done.status}: ${done.stdout} ${done.stderr}`)
}

function isConflict({ status, stdout, stderr }: { status: number | null; stdout: string; stderr: string }): boolean {
  return status !== 0 && /Reservation Conflict|RESERVATION_CONFLICT|0x?4?083/i.test(stdout + stderr)
}
