/** fio's results, the refusal of devices in use, and the plot. */
import { readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { SIGNATURE_BYTES, reasonsAgainst, signaturesIn, usesIn } from '../../../bench/fio/device.ts'
import { plot } from '../../../bench/fio/plot.ts'
import { figuresOf, resultsTable } from '../../../bench/fio/results.ts'
import type { TargetResults } from '../../../bench/fio/results.ts'

const FOLDER = join(import.meta.dirname, '..', '..', '..', 'bench', 'fio')

function results(label: string, iops: number): TargetResults {
  const figures = { iops, mibPerSecond: iops / 256, p50Ns: 1e4, p99Ns: 1e5, p999Ns: 1e6,
    cpuPercent: 50 }
  return { format: 'weft fio results 1', label, device: '/dev/x', machine: 'm',
    cases: { 'read-depth-1': figures } }
}

describe('a device is refused', () => {
  test.each([
    ['ext2, ext3 or ext4', 1080, '53ef'],
    ['XFS', 0, '58465342'],
    ['Btrfs', 65600, '5f42485266535f4d'],
    ['swap space', 4086, '53574150535041434532'],
    ['GPT', 512, '4546492050415254'],
  ])('when it holds %s', (name, offset, hex) => {
    const start = Buffer.alloc(SIGNATURE_BYTES)
    Buffer.from(hex, 'hex').copy(start, offset)
    expect(signaturesIn(start)).toEqual([name])
  })
  test('when it is mounted, with the place, or is swapped to', () => {
    const mounts = '36 35 259:1 / /mnt/a rw - ext4 /dev/nvme1n1 rw\n37 35 8:1 / / rw - ext4 x rw'
    expect(usesIn(mounts, '/dev/nvme1n1 partition 1 0 -2', '259:1', '/dev/nvme1n1'))
      .toEqual(['mounted on /mnt/a', 'used as swap space'])
  })
  test('when it is no block device at all', () => {
    expect(() => reasonsAgainst('/dev/null')).toThrow('/dev/null is not a block device')
  })
})

test('zeroes and noise are nothing that must be kept', () => {
  expect(signaturesIn(Buffer.alloc(SIGNATURE_BYTES))).toEqual([])
  expect(signaturesIn(Buffer.alloc(SIGNATURE_BYTES, 0xa7))).toEqual([])
  expect(usesIn('36 35 259:1 / / rw', '', '259:2', '/dev/nvme1n2')).toEqual([])
})

test("fio's output is read, notes before it or not", () => {
  const output = 'note: something\n' + JSON.stringify({ jobs: [{ error: 0, usr_cpu: 10,
    sys_cpu: 30, mixed: { iops: 5000, bw_bytes: 20971520, clat_ns: { percentile: {
      '50.000000': 8800, '99.000000': 10900, '99.900000': 20000 } } } }] })
  expect(figuresOf(output)).toEqual({ iops: 5000, mibPerSecond: 20, p50Ns: 8800, p99Ns: 10900,
    p999Ns: 20000, cpuPercent: 40 })
  expect(() => figuresOf('{"jobs":[{"error":5,"mixed":{}}]}')).toThrow('errno 5')
})

test('every job file can be told its device, engine and time, and names its one job', () => {
  const files = readdirSync(FOLDER).filter((name) => name.endsWith('.fio'))
  expect(files.length).toBeGreaterThan(9)
  for (const file of files) {
    const text = readFileSync(join(FOLDER, file), 'utf8')
    for (const name of ['DEVICE', 'ENGINE', 'SECONDS', 'RAMP'])
      expect(text).toContain(`\${${name}}`)
    expect(text.match(/^\[.*\]$/gm)).toEqual(['[global]', `[${file.replace('.fio', '')}]`])
  }
})

test('targets are compared with the first', () => {
  const text = resultsTable([results('one', 1000), results('two', 1500)])
  expect(text).toMatch(/read-depth-1 +one +1000 .* 1\.00\n +two +1500 .* 1\.50/)
})

test('the plot has a bar for every figure, scaled within its case, and escapes labels', () => {
  const svg = plot([results('a<b', 1000), results('c', 500)], 'a & b')
  expect(svg).toContain('a&lt;b')
  expect(svg).toContain('a &amp; b')
  expect(svg).not.toContain('a<b')
  expect(svg.match(/width="300\.0"/g)).toHaveLength(3)
  expect(svg.match(/width="150\.0"/g)).toHaveLength(1)
})
