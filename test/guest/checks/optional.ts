/**
 * Optional commands, as nvme-cli sends them: Copy, Verify, Write Zeroes, Dataset Management, Write Uncorrectable,
 * Format NVM, Sanitize, namespace write protection, timestamp.
 * run → checks/optional → host. NVM Command Set 1.0, 3.2; NVMe Base 2.0, 5.24 and 5.27.
 *
 * Invariant: each check writes first what it wants to see changed, and looks at the blocks beside it.
 */
import { type Bench, type Check, expect } from '../check.ts'
import { type Connection, deviceOf } from '../host.ts'
import { MAIN, type Namespace, SECOND, type Subsystem } from '../target.ts'

const BLOCKS = 64
const SANITIZE_MS = 300_000
/** Of SSTAT in the sanitize log. */
const SSTAT_STATUS = 7
const [DONE, RUNNING] = [1, 2]

export const OPTIONAL_CHECKS: readonly Check[] = [
  onEach('nvme copy copies several ranges', async ({ vm }, device, { blockBytes }) => {
    await number(vm, device, blockBytes)
    for (const format of [0, 1]) {
      const target = 1000 + 100 * format
      // Ranges of 8, 1 and 4 blocks, in that order.
      await vm.require(`nvme copy ${device} --sdlba=${target} --slbs=10,40,2 --blocks=7,0,3 --format=${format}`)
      await vm.require(`{ ${part('/tmp/blocks', blockBytes, 10, 8)}
${part('/tmp/blocks', blockBytes, 40, 1)}
${part('/tmp/blocks', blockBytes, 2, 4)}
} > /tmp/wanted
${part(device, blockBytes, target, 13, 'iflag=direct')} | cmp - /tmp/wanted`)
    }
  }),
  onEach('nvme verify reads what is there', async ({ vm }, device, { bytes, blockBytes }) => {
    await vm.require(`nvme verify ${device} --start-block=0 --block-count=65535`.replace('65535', String(
      Math.min(65536, bytes / blockBytes, (32 << 20) / blockBytes) - 1)))
    const beyond = await vm.run(`nvme verify ${device} --start-block=${bytes / blockBytes} --block-count=0`)
    expect(/LBA (?:Range )?Out of Range|LBA_RANGE/i.test(beyond.stdout + beyond.stderr),
      `beyond the end: status ${beyond.status}: ${beyond.stdout} ${beyond.stderr}`)
  }),
  onEach('nvme write-zeroes and nvme dsm change their blocks only', async ({ vm }, device, { blockBytes }) => {
    for (const command of [
      `nvme write-zeroes ${device} --start-block=8 --block-count=7`,
      `nvme write-zeroes ${device} --start-block=8 --block-count=7 --deac`,
      `nvme dsm ${device} --ad --slbs=8 --blocks=8`,
    ]) {
      await number(vm, device, blockBytes)
      await vm.require(command)
      await vm.require(`cp /tmp/blocks /tmp/wanted
dd if=/dev/zero of=/tmp/wanted bs=${blockBytes} seek=8 count=8 conv=notrunc status=none
${part(device, blockBytes, 0, BLOCKS, 'iflag=direct')} | cmp - /tmp/wanted`)
    }
  }),
  onEach('a namespace that a host protects is read-only to it', async ({ vm }, device, { nsid, blockBytes }) => {
    const protect = (state: number): Promise<string> =>
      vm.require(`nvme set-feature ${device} --namespace-id=${nsid} --feature-id=0x84 --value=${state}`)
    const ro = `/sys/block/${device.slice('/dev/'.length)}/ro`
    await number(vm, device, blockBytes)
    await protect(1)
    try {
      await vm.require(`for tenth in $(seq 100); do [ "$(cat ${ro})" = 1 ] && exit 0; sleep 0.1; done
echo "${ro} is $(cat ${ro})" >&2; exit 1`)
      const said = await vm.require(`nvme get-feature ${device} --namespace-id=${nsid} --feature-id=0x84`)
      expect(/Current value:\s*(0x0*)?1\b/.test(said), `get-feature said: ${said.trim()}`)
      const refused = await vm.run(`nvme write-zeroes ${device} --start-block=0 --block-count=0`)
      expect(/write protected/i.test(refused.stdout + refused.stderr),
        `write-zeroes: status ${refused.status}: ${refused.stdout} ${refused.stderr}`)
    } finally {
      await protect(0)
    }
    await vm.require(`for tenth in $(seq 100); do [ "$(cat ${ro})" = 0 ] && break; sleep 0.1; done`)
    await number(vm, device, blockBytes)
  }),
  {
    ...onEach('blocks marked by nvme write-uncor are lost until written', async ({ vm }, device, { blockBytes }) => {
      await number(vm, device, blockBytes)
      await vm.require(`nvme write-uncor ${device} --start-block=8 --block-count=3`)
      for (const block of [8, 11]) {
        const refused = await vm.run(part(device, blockBytes, block, 1, 'iflag=direct of=/dev/null'))
        expect(refused.status !== 0, `block ${block} was read`)
      }
      for (const beside of [0, 12]) {
        await vm.require(`${part('/tmp/blocks', blockBytes, beside, 8)} > /tmp/wanted
${part(device, blockBytes, beside, 8, 'iflag=direct')} | cmp - /tmp/wanted`)
      }
      await number(vm, device, blockBytes)
      await vm.require(`${part(device, blockBytes, 0, BLOCKS, 'iflag=direct')} | cmp - /tmp/blocks`)
    }),
    expected: [
      /nvme\d+(?:c\d+)?n\d+: .*\(0x2\) @ LBA \d+, \d+ blocks, .*sct 0x2/,
      /critical medium error, dev nvme\d+(?:c\d+)?n\d+/, /Buffer I\/O error on dev nvme\d+n\d+/,
    ],
  },
  onEach('nvme format erases and changes the block size', async ({ vm }, device, { bytes, blockBytes }) => {
    const sizes = `/sys/block/${device.slice('/dev/'.length)}`
    const [own, other] = blockBytes === 512 ? [0, 1] : [1, 0]
    const format = async (lbaf: number, wanted: number): Promise<void> => {
      await vm.require(`nvme format ${device} --lbaf=${lbaf} --ses=${lbaf === own ? 1 : 0} --force
for tenth in $(seq 100); do [ "$(cat ${sizes}/queue/logical_block_size)" = ${wanted} ] && break; sleep 0.1; done`)
      const shape = await vm.require(`cat ${sizes}/queue/logical_block_size ${sizes}/size`)
      expect(shape.trim() === `${wanted}\n${bytes / 512}`, `logical blocks and size are ${shape.trim()}`)
      await zero(vm, device, wanted)
      await number(vm, device, wanted)
      await vm.require(`${part(device, wanted, 0, BLOCKS, 'iflag=direct')} | cmp - /tmp/blocks`)
    }
    await number(vm, device, blockBytes)
    await format(other, blockBytes === 512 ? 4096 : 512)
    await format(own, blockBytes)
  }),
  sanitizing('nvme sanitize erases all namespaces, and its log says so', MAIN, '--sanact=2'),
  onEach('the timestamp is the one that the host set', async ({ vm }, device) => {
    const said = await vm.require(`nvme get-feature ${device} --feature-id=0x0e --raw-binary | od -An -tu8`)
    const ms = Number(BigInt(said.trim()) & 0xffff_ffff_ffffn)
    const now = Number((await vm.require('date +%s')).trim()) * 1000
    expect(Math.abs(ms - now) < 60_000, `the timestamp is ${ms}, the guest's clock ${now}`)
  }),
  // Last of those that share a connection: it has one of its own.
  sanitizing('nvme sanitize overwrites', SECOND, '--sanact=3 --owpass=1 --ovrpat=0x5a5a5a5a'),
]

function sanitizing(name: string, subsystem: Subsystem, action: string): Check {
  const run = async ({ vm }: Bench, connection: Connection): Promise<void> => {
    const statusOf = async (): Promise<number> => {
      const said = await vm.require(
        `nvme get-log /dev/${connection.controller} --log-id=0x81 --log-len=512 --raw-binary | od -An -tu2 -N4`)
      return Number(said.trim().split(/\s+/)[1]) & SSTAT_STATUS
    }
    const disks = subsystem.namespaces.map(({ nsid, blockBytes }) => ({ device: deviceOf(connection, nsid), blockBytes }))
    for (const { device, blockBytes } of disks) await number(vm, device, blockBytes)
    await vm.require(`nvme sanitize /dev/${connection.controller} ${action}`)
    const begun = Date.now()
    while (await statusOf() === RUNNING) {
      expect(Date.now() - begun < SANITIZE_MS, 'the sanitize does not end')
      await vm.require('sleep 0.5')
    }
    const status = await statusOf()
    expect(status === DONE, `the sanitize status is ${status}`)
    const said = await vm.require(`nvme sanitize-log /dev/${connection.controller}`)
    expect(/SPROG\)\s*:\s*65535/.test(said), `nvme sanitize-log said: ${said.trim()}`)
    for (const { device, blockBytes } of disks) await zero(vm, device, blockBytes)
  }
  return {
    name, weftOnly: true, shares: true, expected: [/nvme nvme\d+: rescanning namespaces\./],
    run: (bench) => bench.host.shared(subsystem, {}, (connection) => run(bench, connection)),
  }
}

/** The work on every namespace of the main subsystem, in one connection. */
function onEach(
  name: string, work: (bench: Bench, device: string, namespace: Namespace) => Promise<void>,
): Check {
  return {
    name,
    // The kernel's target has none of these.
    weftOnly: true,
    expected: [
      /nvme\d+n\d+: .*(Write Zeroes|Verify|\(0x8\)|\(0xc\))/, /nvme nvme\d+: rescanning namespaces\./,
    ],
    shares: true,
    run: (bench) => bench.host.shared(MAIN, {}, async (connection: Connection) => {
      for (const namespace of MAIN.namespaces) {
        const kind = `${namespace.kind}, ${namespace.blockBytes}-byte blocks`
        await work(bench, deviceOf(connection, namespace.nsid), namespace).catch((error: Error) => {
          throw new Error(`${kind}: ${error.message}`)
        })
      }
    }),
  }
}

/** Writes the first blocks, no two of them alike; they are in /tmp/blocks, too. */
async function number(vm: Bench['vm'], device: string, blockBytes: number): Promise<void> {
  await vm.require(`head -c ${BLOCKS * blockBytes} /dev/urandom > /tmp/blocks
dd if=/tmp/blocks of=${device} bs=${blockBytes} oflag=direct status=none`)
}

/** The first blocks are zero. */
async function zero(vm: Bench['vm'], device: string, blockBytes: number): Promise<void> {
  await vm.require(`head -c ${BLOCKS * blockBytes} /dev/zero > /tmp/wanted
${part(device, blockBytes, 0, BLOCKS, 'iflag=direct')} | cmp - /tmp/wanted`)
}

function part(path: string, blockBytes: number, start: number, count: number, flags = ''): string {
  return `dd if=${path} bs=${blockBytes} skip=${start} count=${count} ${flags} status=none`
}
