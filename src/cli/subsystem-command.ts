/**
 * `weft subsystem`: the subsystems of a running weft, listed and changed. program.ts → here → running.ts.
 */
import type { Command } from 'commander'
import { type End, mistaken, nounCommand, present, runningCommand } from './running.ts'
import { table } from './screen.ts'
import {
  type ServedSubsystem, endpointOf, linesOf, sizeText, subsystemNamed, subsystemsOf,
} from './served.ts'

const NQN = 'its NVMe qualified name'
const EXAMPLES = `
Examples:
  $ weft subsystem add nqn.2026-01.com.example:disks --any-host
  $ weft listener add nqn.2026-01.com.example:disks 192.0.2.10:4420
  $ weft namespace add nqn.2026-01.com.example:disks --file /srv/disk.img --size 10G
  $ weft subsystem list --json
`

export function subsystemCommand(end: End): Command {
  return nounCommand('subsystem', 'List and change the subsystems of a running weft', [
    list(end), show(end), add(end), set(end), remove(end),
  ]).addHelpText('after', EXAMPLES)
}

function list(end: End): Command {
  return runningCommand('list', 'List the subsystems', end, async (weft) => {
    const all = await subsystemsOf(weft)
    const rows = all.map((each) => [
      each.nqn, each.serial, each.anyHost ? 'any' : String(each.hosts.filter(({ listed }) => listed).length),
      String(each.hosts.reduce((sum, { connections }) => sum + connections.length, 0)),
      String(each.namespaces.length), each.listeners.map(endpointOf).join(', ') || '-',
    ])
    const lines = table(['SUBSYSTEM', 'SERIAL', 'HOSTS', 'CONNECTED', 'NAMESPACES', 'LISTENERS'], rows)
    return { data: all, text: lines.map((line) => `${line.trimEnd()}\n`).join('') }
  })
}

function show(end: End): Command {
  return runningCommand('show', 'Show one subsystem', end, async (weft, [nqn]) => {
    const found = await subsystemNamed(weft, nqn!)
    return { data: found, text: textOf(found) }
  }).argument('<nqn>', NQN)
}

function textOf({ nqn, serial, model, label, anyHost, hosts, listeners, namespaces }: ServedSubsystem): string {
  return linesOf({
    nqn, serial, model, ...(label === '' ? {} : { label }),
    hosts: anyHost ? 'any' : hosts.filter(({ listed }) => listed).map((each) => each.nqn),
    connected: hosts.filter(({ connections }) => connections.length !== 0).map((each) => each.nqn),
    listeners: listeners.map(endpointOf),
    namespaces: namespaces.map((each) => `${each.nsid}: ${each.path || each.kind}, ${sizeText(each)}`),
  })
}

function add(end: End): Command {
  return runningCommand('add', 'Add a subsystem', end, async (weft, [nqn], options) => {
    const all = await subsystemsOf(weft)
    if (all.some((each) => each.nqn === nqn)) throw present(`There is a subsystem ${nqn} already.`)
    const { serial, model, label, anyHost = false } = options
    await weft.call('nvmf_create_subsystem', {
      nqn, serial_number: serial, model_number: model, admin_label: label, allow_any_host: anyHost,
    })
    const found = await subsystemNamed(weft, nqn!)
    return { data: found, text: `Subsystem ${nqn} is there. weft listener add has it served somewhere.\n` }
  })
    .argument('<nqn>', NQN)
    .option('--serial <text>', 'its serial number; one is derived unless said')
    .option('--model <text>', 'its model; "weft" unless said')
    .option('--label <text>', 'what people call it')
    .option('--any-host', 'any host may connect; else those of weft host add')
}

function set(end: End): Command {
  return runningCommand('set', 'Change who may connect to a subsystem', end, async (weft, [nqn], { anyHost, onlyListed }) => {
    await subsystemNamed(weft, nqn!)
    if (anyHost === onlyListed) throw mistaken('Say --any-host or --only-listed, one of the two.')
    await weft.call('nvmf_subsystem_allow_any_host', { nqn, allow_any_host: anyHost === true })
    const found = await subsystemNamed(weft, nqn!)
    return { data: found, text: `${nqn}: ${found.anyHost ? 'any host may connect' : 'the hosts that are listed may connect'}.\n` }
  })
    .argument('<nqn>', NQN)
    .option('--any-host', 'any host may connect')
    .option('--only-listed', 'only those of weft host list; the others are disconnected')
}

function remove(end: End): Command {
  return runningCommand('remove', 'Remove a subsystem; its hosts are disconnected', end, async (weft, [nqn]) => {
    await subsystemNamed(weft, nqn!)
    await weft.call('nvmf_delete_subsystem', { nqn })
    return { data: { nqn }, text: `Subsystem ${nqn} was removed.\n` }
  }).argument('<nqn>', NQN)
}
