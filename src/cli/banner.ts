/**
 * What a person reads when weft has started: what is served, how a host connects, how to serve
 * something else. Called by serve.ts; only for people, a log in JSON has none of it.
 */
import { networkInterfaces } from 'node:os'
import type { Config, SubsystemConfig } from '../config/config.ts'
import { formatSize } from '../config/size.ts'
import { endpointText } from '../control/log.ts'
import type { Endpoint } from '../subsystem/subsystem.ts'
import type { NamespaceFacts, Target } from '../target.ts'

/** What the target knows and the configuration does not. */
export type Serving = Pick<Target,
  'listeners' | 'discovery' | 'namespaces' | 'engine' | 'reactors' | 'cpus'>

/** How the kinds of device are called where "10 GiB of …" is said. */
const KINDS: Readonly<Record<string, string>> = {
  memory: 'memory', null: 'nothing (null)', file: 'file', block: 'device', pci: 'NVMe device',
}

/** command is what was typed: "weft", or "npm start --". */
export function bannerText(
  config: Config, serving: Serving, version: string, command: string,
): string {
  const io = serving.listeners
  const offered = [...serving.discovery, ...io].map(endpointText).join(', ')
  return [
    `weft ${version} serves`,
    ...subsystemLines(config.subsystems, serving.namespaces),
    '',
    `  on ${io.map(endpointText).join(', ')}; discovery on ${offered}`,
    `  ${engineLine(serving)}`,
    '',
    'From a Linux host, as root:',
    '  modprobe nvme-tcp',
    ...connectCommands(config.subsystems, io).map((each) => `  ${each}`),
    ...volatileLines(serving.namespaces),
    '',
    'To serve a file or a device:',
    `  ${command} serve --file disk.img --size 10G`,
    `  ${command} serve --device /dev/nvme1n1`,
    `More: ${command} serve --help. Ctrl-C stops it.`,
    '',
    '',
  ].join('\n')
}

function subsystemLines(
  subsystems: readonly SubsystemConfig[], namespaces: readonly NamespaceFacts[],
): string[] {
  return subsystems.flatMap(({ nqn, hosts }) => {
    const who = hosts === null ? '' : `, for ${hosts.join(', ')}`
    const served = namespaces.filter(({ subsystem }) => subsystem === nqn)
    return [`  ${nqn}${who}`, ...served.map(namespaceLine)]
  })
}

function namespaceLine({ nsid, kind, path, bytes, blockBytes, note }: NamespaceFacts): string {
  const what = `${formatSize(bytes)} of ${KINDS[kind] ?? kind}${path === '' ? '' : ` ${path}`}`
  const remark = note === '' ? '' : `; ${note}`
  return `    namespace ${nsid}: ${what}, blocks of ${blockBytes} bytes${remark}`
}

function engineLine({ engine, reactors, cpus }: Serving): string {
  const threads = reactors === 1 ? '1 reactor' : `${reactors} reactors`
  if (cpus.length === 0) return `${threads}, ${engine}`
  return `${threads} on ${cpus.length === 1 ? 'CPU' : 'CPUs'} ${cpus.join(', ')}, ${engine}`
}

/** One command for each subsystem, over the first listener. */
export function connectCommands(
  subsystems: readonly SubsystemConfig[], io: readonly Endpoint[],
): string[] {
  const first = io[0]
  if (first === undefined) return []
  const address = reachable(first.address)
  return subsystems.map(({ nqn }) =>
    `nvme connect -t tcp -a ${address} -s ${first.port} -n ${nqn}`)
}

/** For a wildcard an address of this machine that others can reach, where it has one. */
function reachable(address: string): string {
  if (address !== '0.0.0.0' && address !== '::') return address
  const family = address === '::' ? 'IPv6' : 'IPv4'
  const own = Object.values(networkInterfaces()).flatMap((list) => list ?? [])
    .find((one) => one.family === family && !one.internal && !one.address.startsWith('fe80'))
  return own?.address ?? (family === 'IPv6' ? '::1' : '127.0.0.1')
}

function volatileLines(namespaces: readonly NamespaceFacts[]): string[] {
  if (!namespaces.some(({ kind }) => kind === 'memory')) return []
  return ['', 'What is written to memory is lost when weft stops.']
}
