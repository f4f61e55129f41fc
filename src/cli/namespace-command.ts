/**
 * `weft namespace`: the namespaces of a running weft, listed and changed; hosts are told of each change.
 * program.ts → here → running.ts.
 */
import type { Command } from 'commander'
import { type End, mistaken, nounCommand, present, runningCommand } from './running.ts'
import { table } from './screen.ts'
import {
  type ServedNamespace, limitsText, linesOf, namespaceNumbered, sizeText, subsystemNamed, subsystemsOf,
} from './served.ts'
import { type StorageOptions, limitsFrom, nsidFrom, storageFrom, withLimits, withStorage, withoutHoles } from './storage-options.ts'

const NQN = 'the subsystem'
const NSID = 'its number'
const HOSTS = '"any", or the hosts that see it: their NQNs with commas between them'
const EXAMPLES = `
Examples:
  $ weft namespace add nqn.2026-01.com.example:disks --file /srv/disk.img --size 10G
  $ weft namespace set nqn.2026-01.com.example:disks 1 --size 20G --iops 20000
  $ weft namespace set nqn.2026-01.com.example:disks 1 --hosts nqn.2026-01.com.example:host1
  $ weft namespace remove nqn.2026-01.com.example:disks 1
`

export function namespaceCommand(end: End): Command {
  return nounCommand('namespace', 'List and change the namespaces of a running weft', [
    list(end), show(end), add(end), set(end), remove(end),
  ]).addHelpText('after', EXAMPLES)
}

function list(end: End): Command {
  return runningCommand('list', 'List the namespaces, of all subsystems or one', end, async (weft, [nqn]) => {
    const subsystems = nqn === undefined ? await subsystemsOf(weft) : [await subsystemNamed(weft, nqn)]
    const all = subsystems.flatMap(({ namespaces }) => namespaces)
    const rows = all.map((each) => [
      each.subsystem, String(each.nsid), each.path || each.kind, sizeText(each), String(each.blockBytes),
      each.hosts === 'any' ? 'any' : String(each.hosts.length), limitsText(each.limits),
    ])
    const lines = table(['SUBSYSTEM', 'NS', 'STORAGE', 'SIZE', 'BLOCK', 'HOSTS', 'LIMITS'], rows)
    return { data: all, text: lines.map((line) => `${line.trimEnd()}\n`).join('') }
  }).argument('[nqn]', 'only of this subsystem')
}

function show(end: End): Command {
  return runningCommand('show', 'Show one namespace', end, async (weft, [nqn, nsid]) => {
    const found = namespaceNumbered(await subsystemNamed(weft, nqn!), nsidFrom(nsid!))
    return { data: found, text: textOf(found) }
  }).argument('<nqn>', NQN).argument('<nsid>', NSID)
}

function textOf(namespace: ServedNamespace): string {
  const { nsid, subsystem, device, kind, path, blockBytes, readOnly, uuid, nguid, anaGroup, hosts, limits } = namespace
  return linesOf({
    subsystem, namespace: nsid, storage: path || kind, ...(device.startsWith('nqn.') ? {} : { device }),
    size: sizeText(namespace), block: blockBytes, 'read-only': readOnly, uuid, nguid, 'ANA group': anaGroup,
    hosts, limits: limitsText(limits),
  })
}

function add(end: End): Command {
  const command = runningCommand('add', 'Add a namespace', end, async (weft, [nqn], options) => {
    const { nsid, use, anaGroup, hosts } = options as Record<string, string | undefined>
    const number = nsid === undefined ? undefined : nsidFrom(nsid)
    const { namespaces } = await subsystemNamed(weft, nqn!)
    if (namespaces.some((each) => each.nsid === number)) throw present(`${nqn} has a namespace ${nsid} already.`)
    const namespace = {
      ...storageFrom(options as StorageOptions),
      ...withoutHoles({
        nsid: number, use, anaGroup: groupFrom(anaGroup), hosts: hostsFrom(hosts), qos: limitsFrom(options),
      }),
    }
    const { nsid: given } = await weft.call<{ nsid: number }>('weft_add_ns', { nqn, namespace })
    const found = namespaceNumbered(await subsystemNamed(weft, nqn!), given)
    return { data: found, text: `Namespace ${given} of ${nqn} is there: ${found.path || found.kind}, ${sizeText(found)}.\n` }
  }).argument('<nqn>', NQN)
  return withLimits(withStorage(command)
    .option('--use <device>', 'a device of weft device list')
    .option('--nsid <number>', 'its number; the lowest that is free unless said')
    .option('--ana-group <number>', 'its ANA group; 1 unless said')
    .option('--hosts <nqns>', HOSTS))
}

function set(end: End): Command {
  const command = runningCommand('set', 'Change a namespace while it is served', end, async (weft, [nqn, text], options) => {
    const { size, anaGroup, hosts } = options as Record<string, string | undefined>
    const nsid = nsidFrom(text!)
    namespaceNumbered(await subsystemNamed(weft, nqn!), nsid)
    const changes = withoutHoles({ size, anaGroup: groupFrom(anaGroup), hosts: hostsFrom(hosts), qos: limitsFrom(options) })
    if (Object.keys(changes).length === 0) throw mistaken('Say what is to be changed: weft namespace set --help lists it.')
    await weft.call('weft_set_ns', { nqn, nsid, ...changes })
    const found = namespaceNumbered(await subsystemNamed(weft, nqn!), nsid)
    return { data: found, text: textOf(found) }
  }).argument('<nqn>', NQN).argument('<nsid>', NSID)
  return withLimits(command
    .option('--size <size>', 'of memory, null devices and files: its size from now on')
    .option('--ana-group <number>', 'its ANA group')
    .option('--hosts <nqns>', HOSTS))
}

function remove(end: End): Command {
  return runningCommand('remove', 'Remove a namespace; a file stays as it is', end, async (weft, [nqn, text]) => {
    const nsid = nsidFrom(text!)
    namespaceNumbered(await subsystemNamed(weft, nqn!), nsid)
    await weft.call('nvmf_subsystem_remove_ns', { nqn, nsid })
    return { data: { subsystem: nqn, nsid }, text: `Namespace ${nsid} of ${nqn} was removed.\n` }
  }).argument('<nqn>', NQN).argument('<nsid>', NSID)
}

function groupFrom(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  if (!/^\d{1,4}$/.test(text)) throw mistaken(`${text} is no number of an ANA group.`)
  return Number(text)
}

function hostsFrom(text: string | undefined): 'any' | string[] | undefined {
  if (text === undefined || text === 'any') return text
  return text.split(',').filter((each) => each !== '')
}
