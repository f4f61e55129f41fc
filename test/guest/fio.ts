/**
 * fio jobs that verify what they wrote.
 * checks/verify, checks/outage → fio → vm.
 *
 * Invariant: every job ends with status 0 only if each block that was read back had the sum and
 * the place it was written with.
 */
import { expect } from './check.ts'
import type { Outcome } from './command.ts'
import type { VirtualMachine } from './vm.ts'

export type FioOptions = {
  readonly device: string
  /** The smallest block; the namespace's. */
  readonly blockBytes: number
  /** Each of the two jobs writes this much. */
  readonly megabytes: number
}

/** What all jobs share: depth 32, past the page cache, CRC32C, the first fault ends the job. */
const COMMON = '--ioengine=libaio --direct=1 --iodepth=32 --verify=crc32c --verify_fatal=1 ' +
  '--verify_state_save=0 --randrepeat=1 --output-format=terse'

/**
 * Random reads and writes of mixed sizes at depth 32, then everything written is read and checked.
 * One job takes every multiple of the block up to 1 MiB, the other mostly small ones.
 */
export function mixedJobs(options: FioOptions): string {
  const { device, blockBytes, megabytes } = options
  const small = blockBytes === 512 ? '512/20:1536/10:4k/30:20k/20:64k/15:256k/5'
    : '4k/50:12k/10:20k/20:64k/15:256k/5'
  return `fio ${COMMON} --filename=${device} --rw=randrw --rwmixread=30 --size=${megabytes}m ` +
    `--name=wide --bsrange=${blockBytes}-1m ` +
    `--name=small --stonewall --offset=${megabytes}m --size=${megabytes}m ` +
    `--bssplit=${small} --io_size=${Math.max(1, megabytes / 2)}m`
}

/** Runs jobs and checks that fio agrees that data was written and found again. */
export async function runMixedJobs(vm: VirtualMachine, options: FioOptions): Promise<void> {
  expectSuccess(await vm.run(mixedJobs(options)))
}

/**
 * A script that writes and verifies over and over while /run/io-goes-on exists, and appends a line
 * to /run/io-rounds for each round. Any fault of fio ends it with fio's status.
 */
export function endlessJob(device: string, blockBytes: number, megabytes = 12): string {
  return `: > /run/io-rounds; : > /run/io-goes-on
round=0
while [ -e /run/io-goes-on ]; do
  round=$((round + 1))
  fio ${COMMON} --name=round --filename=${device} --rw=randwrite --size=${megabytes}m \\
    --bsrange=${blockBytes}-256k --verify_backlog=32 --randseed=$round || exit $?
  echo $round >> /run/io-rounds
done`
}

/** Runs the endless job while `during` goes on, and for one more whole round after it. */
export async function withEndlessJob(
  vm: VirtualMachine, device: string, blockBytes: number, during: () => Promise<void>, megabytes = 12,
): Promise<void> {
  const job = vm.run(endlessJob(device, blockBytes, megabytes))
  // Its end is awaited below; a rejection before that must not count as unobserved.
  job.catch(() => {})
  try {
    await awaitRound(vm, 1)
    await during()
    const rounds = Number(await vm.require('wc -l < /run/io-rounds'))
    // The round under way may have begun before the outage ended: the one after it did not.
    await awaitRound(vm, rounds + 2)
  } finally {
    await vm.run('rm -f /run/io-goes-on')
  }
  expectSuccess(await job)
}

/** fio tells on standard error which block was wrong; its figures are no reason. */
function expectSuccess(outcome: Outcome): void {
  expect(outcome.status === 0, `fio ended with status ${outcome.status}: ` +
    outcome.stderr.trim().split('\n').slice(0, 4).join(' / '))
}

/** Waits for the rounds; ends early, with the reason, when the job has ended. */
async function awaitRound(vm: VirtualMachine, count: number): Promise<void> {
  await vm.require(`while [ "$(wc -l < /run/io-rounds 2>/dev/null || echo 0)" -lt ${count} ]; do
  sleep 0.5
  waited=$((waited + 1))
  [ "$waited" -lt 400 ] || { echo 'fio makes no progress' >&2; exit 1; }
done`)
}
