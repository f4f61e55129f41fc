/**
 * What nvme-cli decodes: identify structures, log pages, features.
 * run → checks/fields → host. NVM Express 1.4, 5.14 (log pages), 5.15 (Identify), 5.21 (features).
 *
 * Invariant: a command that complains on standard error, or shows what cannot be, has failed.
 */
import { type Bench, type Check, expect } from '../check.ts'
import { type Connection, deviceOf, KEEP_ALIVE_S } from '../host.ts'
import { MAIN } from '../target.ts'

/** Feature number → what it must be to make sense. Dword 0, hexadecimal in nvme-cli's answer. */
const FEATURES: readonly [number, string, (value: number) => boolean][] = [
  [0x06, 'volatile write cache', (value) => value <= 1],
  [0x07, 'number of queues', (value) => (value & 0xffff) >= 1 && value >>> 16 >= 1],
  [0x0b, 'asynchronous events', () => true],
  [0x0f, 'keep-alive timer, ms', (value) => value === KEEP_ALIVE_S * 1000],
  [0x16, 'host behaviour', () => true],
  [0x81, 'host identifier', () => true],
]

/** Features with a structure. Over fabrics the host identifier is the long one (EXHID). */
const FEATURE_DATA: Readonly<Record<number, string>> = {
  0x16: '--data-len=512', 0x81: '--data-len=16 --cdw11=1',
}

export const FIELD_CHECKS: readonly Check[] = [
  connected('nvme list shows every namespace', async (bench, connection) => {
    const listed = await decoded(bench, 'nvme list')
    for (const device of connection.devices.values()) {
      expect(listed.includes(device), `${device} is not in: ${listed}`)
    }
    const subsystems = await decoded(bench, 'nvme list-subsys')
    expect(subsystems.includes(MAIN.nqn), `${MAIN.nqn} is not in: ${subsystems}`)
  }),
  connected('nvme id-ctrl makes sense', async (bench, { controller }) => {
    const json = JSON.parse(await decoded(bench, `nvme id-ctrl /dev/${controller} -o json`)) as
      { [name: string]: string | number }
    const text = await decoded(bench, `nvme id-ctrl /dev/${controller} -H`)
    expect(json['subnqn'] === MAIN.nqn, `subnqn is ${json['subnqn']}`)
    expect(String(json['sn']).trim() !== '', 'the serial number is empty')
    expect(String(json['mn']).trim() !== '', 'the model is empty')
    expect(Number(json['nn']) >= 4, `nn is ${json['nn']} with namespaces 1 to 4`)
    expect(Number(json['kas']) > 0, 'kas is 0: the kernel insists on keep-alive')
    expect(Number(json['maxcmd']) >= 128, `maxcmd is ${json['maxcmd']}, the host uses 128`)
    const mdts = Number(json['mdts'])
    expect(mdts === 0 || mdts >= 8, `mdts ${mdts} allows less than 1 MiB`)
    expect(/cntrltype\s*: 1/.test(text), 'cntrltype is not 1, an I/O controller')
  }),
  connected('nvme id-ns makes sense for both block sizes', async (bench, connection) => {
    for (const namespace of MAIN.namespaces) {
      const device = deviceOf(connection, namespace.nsid)
      const json = JSON.parse(await decoded(bench, `nvme id-ns ${device} -o json`)) as
        { nsze: number; flbas: number; nguid: string; lbafs: { ds: number }[] }
      const format = json.lbafs[json.flbas & 0xf]
      expect(format !== undefined && 2 ** format.ds === namespace.blockBytes,
        `namespace ${namespace.nsid}: blocks of 2^${format?.ds} bytes, not ${namespace.blockBytes}`)
      expect(json.nsze * namespace.blockBytes === namespace.bytes,
        `namespace ${namespace.nsid}: nsze ${json.nsze}, ${namespace.bytes} bytes were configured`)
      await decoded(bench, `nvme id-ns ${device} -H`)
      const ids = await decoded(bench, `nvme ns-descs ${device}`)
      expect(/uuid|nguid|eui64/.test(ids), `namespace ${namespace.nsid} has no identifier: ${ids}`)
    }
  }),
  connected('namespace identifiers differ from each other', async (bench) => {
    const ids = (await bench.vm.require(
      'for at in /sys/block/nvme*; do case $at in *nvme*c*n*) ;; *) cat $at/wwid ;; esac; done'))
      .trim().split('\n')
    expect(ids.length === MAIN.namespaces.length && new Set(ids).size === ids.length,
      `identifiers: ${ids.join(' ')}`)
  }),
  connected('nvme smart-log, error-log, fw-log decode', async (bench, { controller }) => {
    const smart = await decoded(bench, `nvme smart-log /dev/${controller}`)
    expect(/critical_warning\s*: 0/.test(smart), `a warning, or none shown: ${smart}`)
    expect(/Data Units Written|data_units_written/i.test(smart), `no counters: ${smart}`)
    const errors = await decoded(bench, `nvme error-log /dev/${controller} --log-entries=1`)
    expect(/Entry\[ 0\]/.test(errors), `no entry is shown: ${errors}`)
    const firmware = await decoded(bench, `nvme fw-log /dev/${controller}`)
    expect(/afi\s*:/.test(firmware), `no afi: ${firmware}`)
  }),
  connected('nvme effects-log knows the I/O commands', async (bench, { controller }) => {
    // Without a command set nvme-cli looks for registers to map, finds none, and prints nothing.
    const effects = await decoded(bench, `nvme effects-log /dev/${controller} --csi=0`)
    for (const command of ['Flush', 'Write', 'Read']) {
      expect(effects.includes(command), `${command} is not in: ${effects}`)
    }
  }),
  {
    ...connected('nvme get-feature decodes', async (bench, { controller }) => {
      for (const [number, name, makesSense] of FEATURES) {
        const fid = `0x${number.toString(16)}`
        const said = await decoded(bench,
          `nvme get-feature /dev/${controller} --feature-id=${fid} ${FEATURE_DATA[number] ?? ''}`)
        const value = /Current value:\s*(0x[0-9a-f]+|\d+)/.exec(said)?.[1]
        expect(value !== undefined && makesSense(Number(value)), `${name}: ${said.trim()}`)
      }
    }),
    weftOnly: true,
  },
]

/** A check that needs nothing but a connection to the main subsystem. */
function connected(
  name: string, work: (bench: Bench, connection: Connection) => Promise<void>,
): Check {
  return {
    name,
    run: (bench) => bench.host.shared(MAIN, {}, (connection) => work(bench, connection)),
    shares: true,
  }
}

/** What a command prints; a word on standard error is a complaint. */
async function decoded(bench: Bench, command: string): Promise<string> {
  const outcome = await bench.vm.run(command)
  expect(outcome.status === 0 && outcome.stderr.trim() === '',
    `${command}: status ${outcome.status}: ${(outcome.stderr || outcome.stdout).trim()}`)
  return outcome.stdout
}
