/**
 * `weft host`: who may connect to the subsystems of a running weft, and who has. program.ts → here → running.ts.
 */
import type { Command } from 'commander'
import { type End, absent, nounCommand, present, runningCommand } from './running.ts'
import { table } from './screen.ts'
import { type ServedHost, type ServedSubsystem, linesOf, subsystemNamed, subsystemsOf } from './served.ts'

const NQN = 'the subsystem'
const HOST = 'NQN of the host: /etc/nvme/hostnqn there'
const EXAMPLES = `
Examples:
  $ weft host add nqn.2026-01.com.example:disks nqn.2014-08.org.nvmexpress:uuid:4c4c4544-0035-5910-804b-c2c04f4d3233
  $ weft host add nqn.2026-01.com.example:disks nqn.2026-01.com.example:host1 --key host1
  $ weft host list
`

export function hostCommand(end: End): Command {
  return nounCommand('host', 'List and change who may connect to a running weft', [
    list(end), show(end), add(end), set(end), remove(end),
  ]).addHelpText('after', EXAMPLES)
}

function list(end: End): Command {
  return runningCommand('list', 'List the hosts that may connect, and those that have', end, async (weft, [nqn]) => {
    const subsystems = nqn === undefined ? await subsystemsOf(weft) : [await subsystemNamed(weft, nqn)]
    const all = subsystems.flatMap(({ hosts }) => hosts)
    const rows = all.map((each) => [
      each.subsystem, each.nqn, each.listed ? 'listed' : 'any may', each.key || '-',
      each.connections.map(({ address }) => address).join(', ') || '-',
    ])
    const lines = table(['SUBSYSTEM', 'HOST', 'ACCESS', 'KEY', 'CONNECTED FROM'], rows)
    return { data: all, text: lines.map((line) => `${line.trimEnd()}\n`).join('') }
  }).argument('[nqn]', 'only of this subsystem')
}

function show(end: End): Command {
  return runningCommand('show', 'Show one host of a subsystem', end, async (weft, [nqn, host]) => {
    const found = hostNamed(await subsystemNamed(weft, nqn!), host!)
    return { data: found, text: textOf(found) }
  }).argument('<nqn>', NQN).argument('<host>', HOST)
}

function textOf({ subsystem, nqn, listed, key, controllerKey, connections }: ServedHost): string {
  return linesOf({
    subsystem, host: nqn, access: listed ? 'listed' : 'any host may connect', key: key || 'none',
    'controller key': controllerKey || 'none',
    connections: connections.map((each) => `${each.address}, controller ${each.controller}, ${each.ioQueues} I/O queues`),
  })
}

function add(end: End): Command {
  return withKeys(runningCommand('add', 'Let a host connect', end, async (weft, [nqn, host], { key, controllerKey }) => {
    const { hosts } = await subsystemNamed(weft, nqn!)
    if (hosts.some((each) => each.nqn === host && each.listed)) throw present(`${host} is among the hosts of ${nqn} already.`)
    await weft.call('nvmf_subsystem_add_host', { nqn, host, dhchap_key: key, dhchap_ctrlr_key: controllerKey })
    const found = hostNamed(await subsystemNamed(weft, nqn!), host!)
    return { data: found, text: `${host} may connect to ${nqn}.\n` }
  }).argument('<nqn>', NQN).argument('<host>', HOST))
}

function set(end: End): Command {
  return withKeys(runningCommand('set', 'Give a host another key, or none', end, async (weft, [nqn, host], { key, controllerKey }) => {
    listedIn(await subsystemNamed(weft, nqn!), host!)
    await weft.call('nvmf_subsystem_set_keys', { nqn, host, dhchap_key: key, dhchap_ctrlr_key: controllerKey })
    const found = hostNamed(await subsystemNamed(weft, nqn!), host!)
    return { data: found, text: textOf(found) }
  }).argument('<nqn>', NQN).argument('<host>', HOST))
}

function remove(end: End): Command {
  return runningCommand('remove', 'Let a host connect no longer', end, async (weft, [nqn, host]) => {
    listedIn(await subsystemNamed(weft, nqn!), host!)
    await weft.call('nvmf_subsystem_remove_host', { nqn, host })
    return { data: { subsystem: nqn, nqn: host }, text: `${host} is not among the hosts of ${nqn} any more.\n` }
  }).argument('<nqn>', NQN).argument('<host>', HOST)
}

function withKeys(command: Command): Command {
  return command
    .option('--key <name>', 'the key that it proves to have: its name in the keyring (weft rpc keyring_file_add_key)')
    .option('--controller-key <name>', 'the key that weft proves to have to it')
}

function hostNamed({ nqn, hosts }: ServedSubsystem, host: string): ServedHost {
  const found = hosts.find((each) => each.nqn === host)
  if (found === undefined) throw absent(`${host} is not among the hosts of ${nqn}, and is not connected.`)
  return found
}

function listedIn(subsystem: ServedSubsystem, host: string): void {
  if (hostNamed(subsystem, host).listed) return
  throw absent(`${host} is not among the hosts of ${subsystem.nqn}: any host may connect.`)
}
