/**
 * `weft listener`: where the subsystems of a running weft are served. program.ts → here → running.ts.
 */
import { isIP } from 'node:net'
import { type Command, Option } from 'commander'
import { IO_PORT } from '../config/complete.ts'
import { parseEndpoint } from '../config/endpoint.ts'
import { type End, type Running, absent, mistaken, nounCommand, present, runningCommand } from './running.ts'
import { table } from './screen.ts'
import { type ServedListener, endpointOf, linesOf, subsystemNamed, subsystemsOf } from './served.ts'

const NQN = 'the subsystem'
const PLACE = `numeric address, and port where it is not ${IO_PORT}`
/** By what is typed: what the methods call it. */
const STATES: Readonly<Record<string, string>> = {
  'optimized': 'optimized', 'non-optimized': 'non_optimized', 'inaccessible': 'inaccessible',
  'persistent-loss': 'persistent_loss', 'change': 'change',
}
const EXAMPLES = `
Examples:
  $ weft listener add nqn.2026-01.com.example:disks 192.0.2.10
  $ weft listener add nqn.2026-01.com.example:disks [2001:db8::10]:4420
  $ weft listener set nqn.2026-01.com.example:disks 192.0.2.10 --ana inaccessible
`

type Listener = ServedListener & { readonly subsystem: string; readonly ana: Readonly<Record<string, string>> }
type Answer = {
  readonly address: { readonly traddr: string; readonly trsvcid: string }
  readonly ana_states: readonly { readonly ana_group: number; readonly ana_state: string }[]
}

export function listenerCommand(end: End): Command {
  return nounCommand('listener', 'List and change where a running weft listens', [
    list(end), show(end), add(end), set(end), remove(end),
  ]).addHelpText('after', EXAMPLES)
}

function list(end: End): Command {
  return runningCommand('list', 'List where subsystems are served', end, async (weft, [nqn]) => {
    const subsystems = nqn === undefined ? await subsystemsOf(weft) : [await subsystemNamed(weft, nqn)]
    const all = (await Promise.all(subsystems.map((each) => listenersOf(weft, each.nqn)))).flat()
    const rows = all.map((each) => [each.subsystem, endpointOf(each), anaLines(each).join(', ')])
    const lines = table(['SUBSYSTEM', 'LISTENER', 'ANA'], rows)
    return { data: all, text: lines.map((line) => `${line.trimEnd()}\n`).join('') }
  }).argument('[nqn]', 'only of this subsystem')
}

function show(end: End): Command {
  return runningCommand('show', 'Show one listener of a subsystem', end, async (weft, [nqn, place]) => {
    const found = await listenerAt(weft, nqn!, place!)
    return { data: found, text: textOf(found) }
  }).argument('<nqn>', NQN).argument('<address[:port]>', PLACE)
}

function add(end: End): Command {
  return withAna(runningCommand('add', 'Serve a subsystem there too', end, async (weft, [nqn, place], { ana }) => {
    const wanted = placeFrom(place!)
    await subsystemNamed(weft, nqn!)
    if ((await listenersOf(weft, nqn!)).some((each) => isAt(each, wanted))) throw present(`${nqn} is served there already.`)
    const state = ana === undefined ? {} : { ana_state: STATES[ana as string] }
    await weft.call('nvmf_subsystem_add_listener', { nqn, listen_address: addressOf(wanted), ...state })
    const found = await listenerAt(weft, nqn!, place!)
    return { data: found, text: `${nqn} is served on ${endpointOf(found)}.\n` }
  }).argument('<nqn>', NQN).argument('<address[:port]>', PLACE))
}

function set(end: End): Command {
  return withAna(runningCommand('set', 'Move the paths there to another ANA state', end, async (weft, [nqn, place], options) => {
    const { ana, group } = options as { ana?: string; group?: string }
    if (ana === undefined) throw mistaken('Say the state: --ana inaccessible.')
    if (group !== undefined && !/^\d{1,4}$/.test(group)) throw mistaken(`${group} is no number of an ANA group.`)
    const { address, port } = await listenerAt(weft, nqn!, place!)
    await weft.call('nvmf_subsystem_listener_set_ana_state', {
      nqn, listen_address: addressOf({ address, port }), ana_state: STATES[ana],
      ...(group === undefined ? {} : { anagrpid: Number(group) }),
    })
    const found = await listenerAt(weft, nqn!, place!)
    return { data: found, text: textOf(found) }
  }).argument('<nqn>', NQN).argument('<address[:port]>', PLACE)).option('--group <number>', 'only of this ANA group')
}

function remove(end: End): Command {
  return runningCommand('remove', 'Serve a subsystem there no longer', end, async (weft, [nqn, place]) => {
    const { address, port } = await listenerAt(weft, nqn!, place!)
    await weft.call('nvmf_subsystem_remove_listener', { nqn, listen_address: addressOf({ address, port }) })
    return { data: { subsystem: nqn, address, port }, text: `${nqn} is not served on ${endpointOf({ address, port })} any more.\n` }
  }).argument('<nqn>', NQN).argument('<address[:port]>', PLACE)
}

function withAna(command: Command): Command {
  return command.addOption(new Option('--ana <state>', 'the ANA state of its paths').choices(Object.keys(STATES)))
}

function textOf(listener: Listener): string {
  return linesOf({ subsystem: listener.subsystem, listener: endpointOf(listener), ana: anaLines(listener) })
}

function anaLines({ ana }: Listener): string[] {
  return Object.entries(ana).map(([group, state]) => `group ${group}: ${state}`)
}

async function listenersOf(weft: Running, nqn: string): Promise<Listener[]> {
  const answers = await weft.call<Answer[]>('nvmf_subsystem_get_listeners', { nqn })
  return answers.map(({ address, ana_states: states }) => ({
    subsystem: nqn, address: address.traddr, port: Number(address.trsvcid),
    ana: Object.fromEntries(states.map((each) => [each.ana_group, each.ana_state.replace('_', '-')])),
  }))
}

async function listenerAt(weft: Running, nqn: string, place: string): Promise<Listener> {
  const wanted = placeFrom(place)
  await subsystemNamed(weft, nqn)
  const all = await listenersOf(weft, nqn)
  const found = all.find((each) => isAt(each, wanted))
  if (found === undefined) {
    throw absent(`${nqn} is not served on ${endpointOf(wanted)}; it is on ${all.map(endpointOf).join(', ') || 'none'}.`)
  }
  return found
}

function placeFrom(text: string): ServedListener {
  const parsed = parseEndpoint(text)
  if (parsed === null || parsed.address === null || isIP(parsed.address) === 0 || (parsed.port ?? 0) > 65535) {
    throw mistaken(`${text}: write 192.0.2.10, 192.0.2.10:4420 or [2001:db8::10]:4420.`)
  }
  return { address: parsed.address, port: parsed.port ?? IO_PORT }
}

function addressOf({ address, port }: ServedListener): object {
  return { trtype: 'TCP', adrfam: `IPv${isIP(address)}`, traddr: address, trsvcid: String(port) }
}

function isAt(one: ServedListener, other: ServedListener): boolean {
  return one.address === other.address && one.port === other.port
}
