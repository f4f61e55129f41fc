/**
 * Every log page and every Identify structure that nvme-cli decodes, its values held against what
 * the check did before. run → checks/logs → host.
 * NVMe Base 2.0, 5.16 (Get Log Page), 5.17 (Identify)
 *
 * Invariant: a command that complains on standard error has failed, whatever it printed.
 */
import { type Bench, type Check, expect } from '../check.ts'
import { type Connection, deviceOf } from '../host.ts'
import { RECONNECTION } from '../kernel-log.ts'
import { MAIN } from '../target.ts'

const READS = 5
/** nvme-cli's numbers of the types of persistent events, in its words. */
const POWER_ON = /Power-on or Reset Event|power-on or reset/i
const SNAPSHOT = /SMART \/ Health Log Snapshot|SMART\/Health/i
const HARDWARE_ERROR = /Hardware Error/i

export const LOG_CHECKS: readonly Check[] = [
  connected('nvme id-ctrl -H, nvm-id-ctrl and list-ctrl agree', async (bench, { controller }) => {
    const json = await decodedJson<Record<string, number>>(bench, `nvme id-ctrl /dev/${controller}`)
    await decoded(bench, `nvme id-ctrl /dev/${controller} -H`)
    await decoded(bench, `nvme nvm-id-ctrl /dev/${controller}`)
    const listed = await decoded(bench, `nvme list-ctrl /dev/${controller} --cntid=0`)
    expect(hexadecimals(listed).includes(json['cntlid']!),
      `CNTLID ${json['cntlid']} is not in: ${listed}`)
    expect((json['lpa']! & 0x37) === 0x37, `LPA is ${json['lpa']}`)
    expect(json['pels']! > 0 && json['elpe']! === 63, `PELS ${json['pels']}, ELPE ${json['elpe']}`)
  }),
  connected('nvme list-ns, list-ctrl, ns-descs, cmdset-ind-id-ns, id-iocs', async (bench, connection) => {
    const { controller } = connection
    const nsids = MAIN.namespaces.map(({ nsid }) => nsid)
    for (const all of ['', '--all']) {
      const listed = await decoded(bench, `nvme list-ns /dev/${controller} ${all}`)
      expect(hexadecimals(listed).join() === nsids.join(), `list-ns ${all}: ${listed}`)
    }
    const granularity = await decoded(bench, `nvme id-ns-granularity /dev/${controller}`)
    expect(/4096|0x1000/.test(granularity), `the granularity is: ${granularity}`)
    const sets = await decoded(bench, `nvme id-iocs /dev/${controller}`)
    expect(/Combination\[0\]:\s*1\b/.test(sets), `the command sets are: ${sets}`)
    const rest = await decoded(bench, `nvme list-ns /dev/${controller} --namespace-id=3`)
    expect(hexadecimals(rest).join() === nsids.filter((nsid) => nsid >= 3).join(),
      `list-ns from 3: ${rest}`)
    for (const { nsid } of MAIN.namespaces) {
      const device = deviceOf(connection, nsid)
      const attached = await decoded(
        bench, `nvme list-ctrl /dev/${controller} --namespace-id=${nsid} --cntid=0`)
      expect(hexadecimals(attached).length >= 1, `nobody has namespace ${nsid}: ${attached}`)
      expect(/uuid/.test(await decoded(bench, `nvme ns-descs ${device}`)), `no UUID of ${nsid}`)
      const independent = await decoded(
        bench, `nvme cmdset-ind-id-ns ${device} --namespace-id=${nsid}`)
      expect(/nstat\s*:\s*(0x)?1/.test(independent),
        `namespace ${nsid} is not ready: ${independent}`)
      await decoded(bench, `nvme nvm-id-ns ${device}`)
      await decoded(bench, `nvme id-ns ${device} -H`)
    }
  }),
  connected('nvme smart-log counts what was read', async (bench, connection) => {
    const device = deviceOf(connection, 3)
    const read = async (words: string): Promise<number> => {
      const json = await decodedJson<Record<string, number>>(bench, `nvme smart-log ${words}`)
      return Number(json['host_read_commands'])
    }
    const all = `/dev/${connection.controller}`
    const one = `/dev/${connection.controller} --namespace-id=3`
    const [subsystem, namespace] = [await read(all), await read(one)]
    await bench.vm.require(`for k in $(seq ${READS}); do ` +
      `dd if=${device} of=/dev/null bs=4096 count=1 iflag=direct status=none; done`)
    const [subsystemNow, namespaceNow] = [await read(all), await read(one)]
    expect(namespaceNow - namespace === READS,
      `${namespaceNow - namespace} reads of the namespace, not ${READS}`)
    expect(subsystemNow - subsystem >= READS, `${subsystemNow - subsystem} reads of the subsystem`)
    await decoded(bench, `nvme smart-log ${all} -H`)
  }),
  {
    ...connected('nvme error-log shows what has failed', async (bench, connection) => {
      const device = deviceOf(connection, 3)
      const blocks = MAIN.namespaces[2]!.bytes / 512
      const before = await errors(bench, connection)
      await bench.vm.run(`nvme read ${device} --start-block=${blocks + 7} --block-count=0 ` +
        '--data-size=512 --data=/tmp/end')
      await bench.vm.run(`nvme get-feature /dev/${connection.controller} --feature-id=0xc0`)
      const [feature, block] = (await errors(bench, connection)).slice(0, 2)
      expect(feature !== undefined && block !== undefined, 'there are no two entries')
      expect(feature.error_count === block.error_count + 1 &&
        block.error_count > (before[0]?.error_count ?? 0),
        `not counted on: ${JSON.stringify([feature, block, before[0]])}`)
      expect(block.nsid === 3 && block.lba === blocks + 7 && block.sqid > 0 &&
        block.parm_error_location === 40, `the read: ${JSON.stringify(block)}`)
      expect(feature.sqid === 0 && feature.parm_error_location === 40,
        `the feature: ${JSON.stringify(feature)}`)
      const smart = await decodedJson<{ num_err_log_entries: number }>(
        bench, `nvme smart-log /dev/${connection.controller}`)
      expect(Number(smart.num_err_log_entries) === feature.error_count,
        `SMART counts ${smart.num_err_log_entries}, the log ${feature.error_count}`)
    }),
    expected: [/nvme\d+n\d+: Read\(0x2\)/, /I\/O error/, /nvme\d+: Get Features/],
    weftOnly: true,
  },
  connected('nvme supported-log-pages, effects-log, fid-support-effects-log', async (bench, at) => {
    const device = `/dev/${at.controller}`
    const pages = await decoded(bench, `nvme supported-log-pages ${device}`)
    for (const lid of [0x1, 0x2, 0x3, 0x4, 0x5, 0xd, 0x12]) {
      expect(new RegExp(`LID 0x${lid.toString(16)} `, 'i').test(pages.replaceAll('\t', ' ')),
        `LID ${lid} is not in: ${pages}`)
    }
    const effects = await decoded(bench, `nvme effects-log ${device} --csi=0 -H`)
    for (const command of ['Flush', 'Write', 'Read', 'Compare', 'Identify', 'Keep Alive']) {
      expect(effects.includes(command), `${command} is not in: ${effects}`)
    }
    const features = await decoded(bench, `nvme fid-support-effects-log ${device} -H`)
    for (const fid of ['04', '06', '07', '0b', '0e', '16']) {
      expect(new RegExp(`FID ${fid} .*FSUPP\\+`).test(features),
        `FID ${fid} is not in: ${features}`)
    }
  }),
  connected('nvme fw-log and changed-ns-list-log decode', async (bench, { controller }) => {
    const json = await decodedJson<Record<string, number | string>>(
      bench, `nvme id-ctrl /dev/${controller}`)
    const firmware = await decoded(bench, `nvme fw-log /dev/${controller}`)
    expect(firmware.includes(String(json['fr']).trim()), `${json['fr']} is not in: ${firmware}`)
    await decoded(bench, `nvme changed-ns-list-log /dev/${controller}`)
  }),
  {
    name: 'SMART and persistent events outlive restarts and a kill',
    weftOnly: true,
    expected: RECONNECTION,
    run: async (bench) => {
      const weft = bench.weft!
      const life = async () => {
        let seen = { cycles: 0, unsafe: 0, reads: 0, log: '' }
        await bench.host.within(MAIN, {}, async (connection) => {
          const json = await decodedJson<Record<string, number>>(
            bench, `nvme smart-log /dev/${connection.controller}`)
          seen = {
            cycles: Number(json['power_cycles']), unsafe: Number(json['unsafe_shutdowns']),
            reads: Number(json['host_read_commands']),
            log: await persistentEvents(bench, connection),
          }
        })
        return seen
      }
      const first = await life()
      await weft.stop('SIGTERM')
      await weft.start()
      const second = await life()
      expect(second.cycles === first.cycles + 1 && second.unsafe === first.unsafe,
        `after a restart: ${shown(second)}, before: ${shown(first)}`)
      expect(second.reads >= first.reads, `${second.reads} reads, ${first.reads} before`)
      for (const event of [POWER_ON, SNAPSHOT]) {
        expect(event.test(second.log), `no ${event} in: ${second.log}`)
      }
      await bench.host.within(MAIN, {}, async () => {
        await weft.stop('SIGKILL')
        await weft.start()
      })
      const third = await life()
      expect(third.cycles === second.cycles + 1 && third.unsafe === second.unsafe + 1,
        `after a kill: ${shown(third)}, before: ${shown(second)}`)
      expect(HARDWARE_ERROR.test(third.log), `no unsafe shutdown in: ${third.log}`)
    },
  },
]

const shown = (life: { readonly log: string }): string => JSON.stringify({ ...life, log: '' })

type ErrorEntry = {
  readonly error_count: number; readonly sqid: number; readonly nsid: number; readonly lba: number
  readonly parm_error_location: number
}

async function errors(bench: Bench, { controller }: Connection): Promise<ErrorEntry[]> {
  const { errors: entries } = await decodedJson<{ errors: ErrorEntry[] }>(
    bench, `nvme error-log /dev/${controller} --log-entries=64`)
  return entries.map((each) => Object.fromEntries(
    Object.entries(each).map(([name, value]) => [name, Number(value)])) as unknown as ErrorEntry)
}

/** Establishes a context, reads all of it, and releases it. */
async function persistentEvents(bench: Bench, { controller }: Connection): Promise<string> {
  const device = `/dev/${controller}`
  await decoded(bench, `nvme persistent-event-log ${device} --action=1`)
  const head = await decoded(bench, `nvme persistent-event-log ${device} --action=0 --log_len=512`)
  // nvme-cli shows an event only where something follows it.
  const bytes = Number(/Total Log Length\s*:\s*(\d+)/i.exec(head)?.[1]) + 4
  const log = await decoded(bench, `nvme persistent-event-log ${device} --action=0 --log_len=${bytes}`)
  await decoded(bench, `nvme persistent-event-log ${device} --action=0 -o json`)
  await decoded(bench, `nvme persistent-event-log ${device} --action=2`)
  const count = Number(/Total Number of Events:\s*(\d+)/i.exec(log)?.[1])
  const shown = [...log.matchAll(/^Event Type:/gm)].length
  expect(count > 0 && shown === count, `${shown} of ${count} events are shown: ${log}`)
  return log
}

/** A check that needs nothing but a connection to the main subsystem. */
function connected(
  name: string, work: (bench: Bench, connection: Connection) => Promise<void>,
): Check {
  return {
    name, weftOnly: true,
    run: (bench) => bench.host.shared(MAIN, {}, (connection) => work(bench, connection)),
    shares: true,
  }
}

/** Values of lines such as '[   0]:0x1'. */
function hexadecimals(text: string): number[] {
  return [...text.matchAll(/:\s*0x([0-9a-f]+)/g)].map(([, digits]) => Number.parseInt(digits!, 16))
}

async function decodedJson<Value>(bench: Bench, command: string): Promise<Value> {
  return JSON.parse(await decoded(bench, `${command} -o json`)) as Value
}

/** What a command prints; a word on standard error is a complaint. */
async function decoded(bench: Bench, command: string): Promise<string> {
  const outcome = await bench.vm.run(command)
  expect(outcome.status === 0 && outcome.stderr.trim() === '',
    `${command}: status ${outcome.status}: ${(outcome.stderr || outcome.stdout).trim()}`)
  return outcome.stdout
}
