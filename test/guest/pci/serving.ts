/**
 * weft serves a drive of the guest's, which it drives itself, to the guest's own kernel over TCP: what
 * was on it, verified I/O at depth 32 over two reactors, its health, kill -9 amid all this, and the
 * way back to the kernel. pci-run → serving → fio, host.
 *
 * Invariant: whatever was acknowledged is on the drive when the kernel has it again.
 */
import { expect } from '../check.ts'
import { runMixedJobs, withEndlessJob } from '../fio.ts'
import { type Connection, deviceOf, Host } from '../host.ts'
import type { Subsystem } from '../target.ts'
import type { VirtualMachine } from '../vm.ts'
import { awaitDisk, DRIVE, type PciCheck, weft, weftWords } from './check.ts'

export const PORT = 4420
const BLOCK_BYTES = 512
const MEGABYTES = 6
/** Of a round of the job that goes on while the daemon is killed. */
const ROUND_MEGABYTES = 3
const READY_TRIES = 600
export const SERVED: Subsystem = {
  nqn: 'nqn.2026-01.io.weft:guest-pci',
  hosts: 'any',
  namespaces: [{ nsid: 1, kind: 'file', blockBytes: BLOCK_BYTES, bytes: 0 }],
}

export const SERVING_CHECKS: readonly PciCheck[] = [
  { name: 'weft serves a drive that it drives itself, and fio verifies it', machine: 'iommu', run: serve },
  { name: 'kill -9 of the daemon amid I/O of a drive', machine: 'iommu', run: killed },
  { name: 'without an IOMMU a drive is served, too', machine: 'plain', run: unguarded },
]

/** Starts the daemon in the guest, two reactors, and waits until it is ready. */
export async function start(vm: VirtualMachine, drive: string = DRIVE): Promise<void> {
  const words = weftWords(`serve --pci ${drive} --reactors 2 --nqn ${SERVED.nqn} --listen 127.0.0.1:${PORT} `
    + '--discovery off --control off --state /run/weft-state')
  await vm.require(`mkdir -p /run/weft-state; rm -f /run/weft.status; : > /run/weft.log
(${words} > /run/weft.log 2>&1 < /dev/null & echo $! > /run/weft.pid; wait $!; echo $? > /run/weft.status) &
for fifth in $(seq ${READY_TRIES}); do
  grep -q '"event":"ready"' /run/weft.log && exit 0
  [ -e /run/weft.status ] && break
  sleep 0.2
done
tail -n 5 /run/weft.log >&2
exit 1`)
}

/** Ends it by a signal and waits for its end; resolves with its exit status. */
export async function stop(vm: VirtualMachine, signal: 'TERM' | 'KILL'): Promise<number> {
  return Number(await vm.require(`kill -${signal} $(cat /run/weft.pid)
for fifth in $(seq ${READY_TRIES}); do
  [ -e /run/weft.status ] && exec cat /run/weft.status
  sleep 0.2
done
exit 1`))
}

export async function within(vm: VirtualMachine, work: (at: Connection) => Promise<void>): Promise<void> {
  await vm.require('modprobe nvme-tcp')
  const host = new Host(vm, { address: '127.0.0.1', port: PORT, discoveryPort: PORT })
  await host.within(SERVED, {}, work)
}

function sum(vm: VirtualMachine, device: string): Promise<string> {
  return vm.require(`dd if=${device} bs=1M count=${2 * MEGABYTES} iflag=direct status=none | sha256sum`)
}

/** Writes a mark by the kernel's own driver; resolves with the sum of what is there. */
async function mark(vm: VirtualMachine): Promise<string> {
  const disk = `/dev/${await awaitDisk(vm, DRIVE)}`
  await vm.require(`dd if=/dev/urandom of=${disk} bs=1M count=8 oflag=direct status=none`)
  return sum(vm, disk)
}

async function giveBack(vm: VirtualMachine, expected: string): Promise<void> {
  const released = await weft(vm, `pci release ${DRIVE}`)
  expect(released.status === 0, released.stderr)
  const found = await sum(vm, `/dev/${await awaitDisk(vm, DRIVE)}`)
  expect(found === expected, 'the kernel reads something else than weft did')
}

async function serve(vm: VirtualMachine): Promise<void> {
  const before = await mark(vm)
  await start(vm)
  let after = ''
  await within(vm, async (connection) => {
    const device = deviceOf(connection, 1)
    expect(await sum(vm, device) === before, 'weft reads something else than the kernel wrote')
    await runMixedJobs(vm, { device, blockBytes: BLOCK_BYTES, megabytes: MEGABYTES })
    const smart = JSON.parse(await vm.require(`nvme smart-log ${device} --output-format=json`)) as
      { readonly temperature: number, readonly data_units_read: number, readonly host_write_commands: number }
    // QEMU's drive is at 323 K, and counts.
    expect(smart.temperature === 323 && smart.data_units_read > 0 && smart.host_write_commands > 0,
      `smart-log: ${JSON.stringify(smart)}`)
    after = await sum(vm, device)
  })
  expect(await stop(vm, 'TERM') === 0, 'the daemon did not end with status 0')
  await giveBack(vm, after)
}

async function killed(vm: VirtualMachine): Promise<void> {
  await awaitDisk(vm, DRIVE)
  await start(vm)
  let after = ''
  await within(vm, async (connection) => {
    const device = deviceOf(connection, 1)
    await withEndlessJob(vm, device, BLOCK_BYTES, async () => {
      await stop(vm, 'KILL')
      await start(vm)
    }, ROUND_MEGABYTES)
    after = await sum(vm, device)
  })
  await stop(vm, 'TERM')
  await giveBack(vm, after)
}

async function unguarded(vm: VirtualMachine): Promise<void> {
  const before = await mark(vm)
  await vm.require('echo 400 > /proc/sys/vm/nr_hugepages')
  const bound = await weft(vm, `pci bind ${DRIVE} --without-iommu`)
  expect(bound.status === 0, bound.stderr)
  await start(vm)
  await within(vm, async (connection) => {
    const device = deviceOf(connection, 1)
    expect(await sum(vm, device) === before, 'weft reads something else than the kernel wrote')
  })
  await stop(vm, 'TERM')
  await giveBack(vm, before)
}
