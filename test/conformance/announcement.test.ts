/**
 * Announcing by multicast DNS, heard by another program on the same network: a network namespace of
 * the test's own, with one interface.        RFC 6762, RFC 6763, NVMe TP 8009.
 *
 * Where the machine does not permit such a namespace, the test is skipped; the rest of announcing is
 * in test/unit/discovery.
 */
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, expect, test } from 'vitest'
import { configuration, removeDirectory, temporaryDirectory } from '../daemon.ts'

const PROGRAM = fileURLToPath(new URL('../announcement-program.ts', import.meta.url))
const ADDRESS = '192.0.2.1'
/** An interface whose other end is in the same namespace. */
const NETWORK = 'ip link set lo up && ip link add weft0 type veth peer name weft1 '
  + `&& ip addr add ${ADDRESS}/24 dev weft0 && ip link set weft0 up && ip link set weft1 up`
const TYPE = '_nvme-disc._tcp.local'

const folder = temporaryDirectory()
afterAll(() => removeDirectory(folder))

const within = (command: string, ...args: string[]): ReturnType<typeof spawnSync> =>
  spawnSync('unshare', ['-rn', 'sh', '-c', command, ...args], { encoding: 'utf8', timeout: 60_000 })

const permitted = within(NETWORK).status === 0

type Told = { what: string; status?: number; records: { type: string; name: string; ttl: number; data: unknown }[] }

test.skipIf(!permitted)('DSC-24: announced, answered, withdrawn', () => {
  const config = join(folder, 'weft.json')
  writeFileSync(config, JSON.stringify(configuration({
    announce: true, listeners: [{ address: '0.0.0.0', port: 4420 }],
    discovery: { nqn: 'nqn.2026-01.example:discovery', listeners: [{ address: ADDRESS, port: 8009 }] },
  })))
  const { stdout, stderr } = within(
    `${NETWORK} && exec "$@"`, 'sh', process.execPath, PROGRAM, ADDRESS, config)
  const told = String(stdout).trim().split('\n').map((line) => JSON.parse(line) as Told)
  expect(told.map(({ what }) => what), String(stderr)).toEqual(['announced', 'answered', 'withdrawn', 'exit'])
  const [announced, answered, withdrawn, exit] = told
  for (const { records } of [announced!, answered!]) {
    const of = (type: string): unknown[] => records.filter((each) => each.type === type).map(({ data }) => data)
    const named = records.find(({ name, type }) => name === TYPE && type === 'PTR')!.data
    expect(named).toMatch(/^weft on .+\._nvme-disc\._tcp\.local$/)
    expect(of('SRV')).toMatchObject([{ port: 8009, target: expect.stringMatching(/^weft-.+\.local$/) }])
    expect(of('TXT')).toEqual([['p=tcp', 'nqn=nqn.2026-01.example:discovery']])
    expect(of('A')).toEqual([ADDRESS])
    expect(records.find(({ type }) => type === 'SRV')!.name).toBe(named)
  }
  expect(withdrawn!.records.every(({ ttl }) => ttl === 0)).toBe(true)
  expect(exit!.status).toBe(0)
})
