/**
 * Namespaces of a pool, as nvme-cli creates, attaches, detaches and deletes them and the kernel shows them: disks come
 * and go without a rescan, and what is in them survives a kill of the daemon.
 * run → checks/pool → host, weft.
 *
 * Invariant: the pool is empty when the check ends.
 */
import { type Bench, type Check, expect } from '../check.ts'
import { RECONNECTION } from '../kernel-log.ts'
import { POOLED } from '../target.ts'
import { awaitDisk, expectListed, writeAndCompare } from './live.ts'

const MIB = 1024 * 1024
const BYTES = 64 * MIB
const BLOCK_BYTES = 4096

/** What the kernel says of a disk that comes and goes, of the daemon's end, and of a namespace that is not there. */
const SAID: readonly RegExp[] = [
  ...RECONNECTION, /nvme\d+n\d+: detected capacity change from \d+ to \d+/, /nvme nvme\d+: rescanning namespaces\./,
]

export const POOL_CHECKS: readonly Check[] = [{
  name: 'namespaces of a pool, by nvme-cli: create, attach, detach, delete, through a kill -9',
  weftOnly: true,
  expected: SAID,
  run: (bench) => bench.host.within(POOLED, {}, async ({ controller }) => {
    const device = `/dev/${controller}`
    await expectCapacity(bench, device, POOLED.poolBytes!)
    const nsid = await create(bench, device)
    const second = await create(bench, device)
    await expectCapacity(bench, device, POOLED.poolBytes! - 2 * BYTES)
    await expectNamespaces(bench, device, [], [nsid, second])
    await change(bench, 'attach', device, nsid)
    await expectNamespaces(bench, device, [nsid], [nsid, second])
    const disk = await awaitDisk(bench, POOLED.nqn, nsid, BYTES)
    await expectListed(bench, disk, true)
    await writeAndCompare(bench, disk, 17)
    await kill(bench, controller)
    await expectNamespaces(bench, `/dev/${controller}`, [nsid], [nsid, second])
    await compare(bench, await awaitDisk(bench, POOLED.nqn, nsid, BYTES), 17)
    await change(bench, 'detach', device, nsid)
    await awaitDisk(bench, POOLED.nqn, nsid, 0)
    await change(bench, 'attach', device, nsid)
    await compare(bench, await awaitDisk(bench, POOLED.nqn, nsid, BYTES), 17)
    for (const each of [nsid, second]) await bench.vm.require(`nvme delete-ns ${device} --namespace-id=${each}`)
    await awaitDisk(bench, POOLED.nqn, nsid, 0)
    await expectNamespaces(bench, device, [], [])
    await expectCapacity(bench, device, POOLED.poolBytes!)
  }),
}]

async function create({ vm }: Bench, device: string): Promise<number> {
  const blocks = BYTES / BLOCK_BYTES
  const said = await vm.require(`nvme create-ns ${device} --nsze=${blocks} --ncap=${blocks} --flbas=1 --nmic=1`)
  const nsid = /created nsid:? *(\d+)/.exec(said)?.[1]
  expect(nsid !== undefined, `nvme create-ns said: ${said}`)
  return Number(nsid)
}

async function change({ vm }: Bench, verb: 'attach' | 'detach', device: string, nsid: number): Promise<void> {
  const { cntlid } = JSON.parse(await vm.require(`nvme id-ctrl ${device} --output-format=json`)) as { cntlid: number }
  await vm.require(`nvme ${verb}-ns ${device} --namespace-id=${nsid} --controllers=${cntlid}`)
}

/** What nvme id-ctrl shows of the capacity: all of it, and what is free. */
async function expectCapacity({ vm }: Bench, device: string, free: number): Promise<void> {
  const said = JSON.parse(await vm.require(`nvme id-ctrl ${device} --output-format=json`)) as Record<string, unknown>
  const { tnvmcap, unvmcap } = said
  expect(Number(tnvmcap) === POOLED.poolBytes && Number(unvmcap) === free, `TNVMCAP ${String(tnvmcap)}, UNVMCAP ${String(unvmcap)}`)
}

async function expectNamespaces({ vm }: Bench, device: string, active: number[], allocated: number[]): Promise<void> {
  for (const [flags, wanted] of [['', active], ['--all', allocated]] as const) {
    const said = await vm.require(`nvme list-ns ${device} ${flags}`)
    const found = [...said.matchAll(/^\[ *\d+\]: *(0x[0-9a-f]+|\d+)/gm)].map(([, nsid]) => Number(nsid))
    expect(JSON.stringify(found) === JSON.stringify(wanted), `nvme list-ns ${flags}: ${said}; wanted are ${wanted.join(', ')}`)
  }
}

/** What writeAndCompare() left at this megabyte is there. */
async function compare({ vm }: Bench, disk: string, megabyte: number): Promise<void> {
  await vm.require(`dd if=${disk} of=/run/read bs=1M count=1 skip=${megabyte} iflag=direct 2> /dev/null || exit 1
cmp /run/written /run/read`)
}

async function kill({ host, weft }: Bench, controller: string): Promise<void> {
  if (weft === null) throw new Error('the target is not weft')
  await weft.stop('SIGKILL')
  await weft.start()
  await host.awaitLive(controller)
}
