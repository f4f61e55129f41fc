/**
 * Single commands: deallocate, write zeroes, compare, flush, FUA.
 * run → checks/commands → host. NVM Command Set 1.0, 3.2.
 *
 * Invariant: each check writes first what it wants to see gone, so that it cannot pass on an
 * untouched disk.
 */
import { type Bench, type Check, expect } from '../check.ts'
import { type Connection, deviceOf } from '../host.ts'
import { MAIN, type Namespace } from '../target.ts'

const MEGABYTES = 8
/** Bytes that are not zero, in a file. */
const FILLING = `[ -e /tmp/filling ] || head -c ${MEGABYTES << 20} /dev/zero | tr '\\0' '\\245' > /tmp/filling`

export const COMMAND_CHECKS: readonly Check[] = [
  onEach('blkdiscard reads back zero', async (bench, device, namespace) => {
    await fill(bench, device)
    await bench.vm.require(`blkdiscard --offset 0 --length ${(MEGABYTES / 2) << 20} ${device}`)
    await expectZero(bench, device, namespace, 0, MEGABYTES / 2)
    await expectFilled(bench, device, MEGABYTES / 2)
  }),
  onEach('write zeroes reads back zero', async (bench, device, namespace) => {
    await fill(bench, device)
    const queue = `/sys/block/${device.slice('/dev/'.length)}/queue/write_zeroes_max_bytes`
    const offered = Number(await bench.vm.require(`cat ${queue}`))
    expect(offered > 0, `the host does not send Write Zeroes: its limit is ${offered}`)
    await bench.vm.require(
      `blkdiscard --zeroout --offset 0 --length ${(MEGABYTES / 2) << 20} ${device}`)
    await expectZero(bench, device, namespace, 0, MEGABYTES / 2)
    await expectFilled(bench, device, MEGABYTES / 2)
  }),
  {
    ...onEach('compare tells equal from different', async (bench, device, { nsid, blockBytes }) => {
      await fill(bench, device)
      const file = `/tmp/block-${nsid}`
      const compare = `nvme compare ${device} --start-block=2 --block-count=0 ` +
        `--data-size=${blockBytes} --data=${file}`
      await bench.vm.require(`dd if=${device} of=${file} bs=${blockBytes} skip=2 count=1 ` +
        'iflag=direct status=none')
      const same = await bench.vm.run(compare)
      expect(same.status === 0, `equal data: ${same.stderr.trim() || same.stdout.trim()}`)
      await bench.vm.require(`printf x | dd of=${file} bs=1 seek=77 conv=notrunc status=none`)
      const other = await bench.vm.run(compare)
      expect(other.status !== 0 && /Compare Failure/i.test(other.stdout + other.stderr),
        `different data: status ${other.status}: ${other.stdout.trim()} ${other.stderr.trim()}`)
    }),
    expected: [/nvme\d+n\d+: Compare\(0x5\)/],
    weftOnly: true,
  },
  onEach('flush and forced writes succeed', async (bench, device, { nsid, blockBytes }) => {
    await bench.vm.require(`nvme flush ${device}`)
    const file = `/tmp/forced-${nsid}`
    await bench.vm.require(`head -c ${blockBytes} /dev/urandom > ${file}
nvme write ${device} --start-block=9 --block-count=0 --data-size=${blockBytes} --data=${file} \\
  --force-unit-access
nvme read ${device} --start-block=9 --block-count=0 --data-size=${blockBytes} --data=${file}.back
cmp ${file} ${file}.back`)
  }),
  {
    ...onEach('commands beyond the end are refused', async (bench, device, namespace) => {
      const blockCount = namespace.bytes / namespace.blockBytes
      const read = (start: number) => bench.vm.run(`nvme read ${device} --start-block=${start} ` +
        `--block-count=0 --data-size=${namespace.blockBytes} --data=/tmp/end-${namespace.nsid}`)
      const last = await read(blockCount - 1)
      expect(last.status === 0, `the last block cannot be read: ${last.stderr.trim()}`)
      const beyond = await read(blockCount)
      expect(/LBA (?:Range )?Out of Range|LBA_RANGE|LBA out of range/i
        .test(beyond.stdout + beyond.stderr),
        `one block further: status ${beyond.status}: ${beyond.stdout} ${beyond.stderr}`)
    }),
    // Linux as the target answers Internal Error here.
    weftOnly: true,
  },
]

/** The work on every namespace of the main subsystem, at the same time. */
function onEach(
  name: string, work: (bench: Bench, device: string, namespace: Namespace) => Promise<void>,
): Check {
  return {
    name,
    shares: true,
    run: (bench) => bench.host.shared(MAIN, {}, async (connection: Connection) => {
      await bench.vm.require(FILLING)
      const ends = await Promise.allSettled(MAIN.namespaces.map((namespace) => {
        const kind = `${namespace.kind}, ${namespace.blockBytes}-byte blocks`
        return work(bench, deviceOf(connection, namespace.nsid), namespace).catch((error: Error) => {
          throw new Error(`${kind}: ${error.message}`)
        })
      }))
      const failed = ends.find((end) => end.status === 'rejected')
      if (failed !== undefined) throw failed.reason
    }),
  }
}

/** Writes the first megabytes with bytes that are not zero. */
async function fill(bench: Bench, device: string): Promise<void> {
  await bench.vm.require(`dd if=/tmp/filling of=${device} bs=1M oflag=direct status=none`)
}

async function expectFilled(bench: Bench, device: string, fromMegabyte: number): Promise<void> {
  const count = MEGABYTES - fromMegabyte
  await bench.vm.require(`dd if=${device} bs=1M skip=${fromMegabyte} count=${count} ` +
    `iflag=direct status=none | cmp -n ${count << 20} - /tmp/filling`)
}

async function expectZero(
  bench: Bench, device: string, namespace: Namespace, fromMegabyte: number, count: number,
): Promise<void> {
  expect(namespace.bytes >= (fromMegabyte + count) << 20, 'the namespace is too small')
  await bench.vm.require(`dd if=${device} bs=1M skip=${fromMegabyte} count=${count} ` +
    `iflag=direct status=none | cmp -n ${count << 20} - /dev/zero`)
}
