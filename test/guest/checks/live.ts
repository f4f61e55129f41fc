/**
 * Live changes as a Linux host sees them: namespaces that come, go and change their size show in nvme list and
 * in the block layer without a rescan, while fio verifies on another one.
 * run → checks/live → fio, weft.
 *
 * Invariant: what is served in the end is what was served before.
 */
import { type Bench, type Check, expect } from '../check.ts'
import { withEndlessJob } from '../fio.ts'
import { deviceOf } from '../host.ts'
import { MAIN } from '../target.ts'
import type { Weft } from '../weft.ts'

const NSID = 9
const SEEN_WAIT_S = 30
const SECTOR_BYTES = 512
const MIB = 1024 * 1024

/** What the kernel says of a disk that has another size, or none any more. */
const NOTICES: readonly RegExp[] = [
  /nvme\d+n\d+: detected capacity change from \d+ to \d+/,
  /nvme nvme\d+: rescanning namespaces\./,
]

export const LIVE_CHECKS: readonly Check[] = [
  {
    name: 'a namespace comes, grows, shrinks and goes, seen without a rescan, under I/O on another',
    weftOnly: true,
    expected: NOTICES,
    run: (bench) => bench.host.within(MAIN, {}, async (connection) => {
      const weft = daemonOf(bench)
      await withEndlessJob(bench.vm, deviceOf(connection, 3), 512, async () => {
        for (const block of [512, 4096] as const) {
          await weft.reload([{ nsid: NSID, memory: '32M', block }])
          const device = await awaitSize(bench, 32 * MIB)
          await expectListed(bench, device, true)
          await writeAndCompare(bench, device, 31)
          await weft.reload([{ nsid: NSID, memory: '64M', block }])
          await awaitSize(bench, 64 * MIB)
          await writeAndCompare(bench, device, 63)
          await weft.reload([{ nsid: NSID, memory: '16M', block }])
          await awaitSize(bench, 16 * MIB)
          if (block === 4096) continue
          // The next one has its NSID, and blocks of another size.
          await weft.reload([{ nsid: NSID, memory: '48M', block: 4096 }])
          await awaitSize(bench, 48 * MIB)
        }
        const device = await awaitSize(bench, 16 * MIB)
        await weft.reload([])
        await awaitSize(bench, 0)
        await expectListed(bench, device, false)
      })
    }),
  },
]

const awaitSize = (bench: Bench, bytes: number): Promise<string> => awaitDisk(bench, MAIN.nqn, NSID, bytes)

/** Waits until the host shows the namespace with this size (0 = not at all); its device. */
export async function awaitDisk({ vm }: Bench, nqn: string, nsid: number, bytes: number): Promise<string> {
  return (await vm.require(`shown() {
  for at in /sys/block/nvme*; do
    case $at in *nvme*c*n*|*'*') continue ;; esac
    [ "$(cat "$at/device/subsysnqn" 2>/dev/null)" = '${nqn}' ] || continue
    [ "$(cat "$at/nsid" 2>/dev/null)" = ${nsid} ] && echo "$(cat "$at/size") /dev/$(basename "$at")"
  done
}
for fifth in $(seq ${SEEN_WAIT_S * 5}); do
  set -- $(shown)
  [ "\${1:-0}" = ${bytes / SECTOR_BYTES} ] && { echo "\${2:-none}"; exit 0; }
  sleep 0.2
done
echo "the host shows namespace ${nsid} as: $(shown); wanted are ${bytes / SECTOR_BYTES} sectors" >&2
exit 1`)).trim()
}

export async function expectListed({ vm }: Bench, device: string, there: boolean): Promise<void> {
  const listed = await vm.require('nvme list')
  expect(listed.includes(device) === there, `nvme list ${there ? 'lacks' : 'still has'} ${device}:\n${listed}`)
}

/** A megabyte is written at an offset, past the page cache, and read back. */
export async function writeAndCompare({ vm }: Bench, device: string, megabyte: number): Promise<void> {
  await vm.require(`dd if=/dev/urandom of=/run/written bs=1M count=1 2> /dev/null
dd if=/run/written of=${device} bs=1M seek=${megabyte} oflag=direct 2> /dev/null || exit 1
dd if=${device} of=/run/read bs=1M count=1 skip=${megabyte} iflag=direct 2> /dev/null || exit 1
cmp /run/written /run/read`)
}

function daemonOf(bench: Bench): Weft {
  if (bench.weft === null) throw new Error('this check needs weft')
  return bench.weft
}
