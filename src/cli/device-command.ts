/**
 * `weft device`: storage with a name, which namespaces of a running weft can use. program.ts → here → running.ts.
 */
import type { Command } from 'commander'
import { type End, type Running, absent, mistaken, nounCommand, present, runningCommand } from './running.ts'
import { table } from './screen.ts'
import { type ServedDevice, devicesOf, limitsText, linesOf, sizeText } from './served.ts'
import { type StorageOptions, limitsFrom, storageFrom, withLimits, withStorage, withoutHoles } from './storage-options.ts'

const NAME = 'its name'
const EXAMPLES = `
Examples:
  $ weft device add disk0 --file /srv/disk0.img --size 10G
  $ weft namespace add nqn.2026-01.com.example:disks --use disk0
  $ weft device set disk0 --size 20G
`

export function deviceCommand(end: End): Command {
  return nounCommand('device', 'List and change the devices of a running weft', [
    list(end), show(end), add(end), set(end), remove(end),
  ]).addHelpText('after', EXAMPLES)
}

function list(end: End): Command {
  return runningCommand('list', 'List the devices that have a name', end, async (weft) => {
    const all = await devicesOf(weft)
    const rows = all.map((each) => [
      each.name, each.path || each.kind, sizeText(each), String(each.blockBytes), userText(each), limitsText(each.limits),
    ])
    const lines = table(['DEVICE', 'STORAGE', 'SIZE', 'BLOCK', 'USED BY', 'LIMITS'], rows)
    return { data: all, text: lines.map((line) => `${line.trimEnd()}\n`).join('') }
  })
}

function show(end: End): Command {
  return runningCommand('show', 'Show one device', end, async (weft, [name]) => {
    const found = await deviceNamed(weft, name!)
    return { data: found, text: textOf(found) }
  }).argument('<name>', NAME)
}

function textOf(device: ServedDevice): string {
  const { name, kind, path, blockBytes, limits } = device
  return linesOf({
    device: name, storage: path || kind, size: sizeText(device), block: blockBytes, 'used by': userText(device),
    limits: limitsText(limits),
  })
}

function add(end: End): Command {
  const command = runningCommand('add', 'Add a device', end, async (weft, [name], options) => {
    if ((await devicesOf(weft)).some((each) => each.name === name)) throw present(`There is a device ${name} already.`)
    const device = { ...storageFrom(options as StorageOptions), ...withoutHoles({ qos: limitsFrom(options) }) }
    await weft.call('weft_add_device', { name, device })
    const found = await deviceNamed(weft, name!)
    return { data: found, text: `Device ${name} is there: ${found.path || found.kind}, ${sizeText(found)}.\n` }
  }).argument('<name>', NAME)
  return withLimits(withStorage(command))
}

function set(end: End): Command {
  const command = runningCommand('set', 'Change a device while it is used', end, async (weft, [name], options) => {
    await deviceNamed(weft, name!)
    const changes = withoutHoles({ size: options.size, qos: limitsFrom(options) })
    if (Object.keys(changes).length === 0) throw mistaken('Say what is to be changed: weft device set --help lists it.')
    await weft.call('weft_set_device', { name, ...changes })
    const found = await deviceNamed(weft, name!)
    return { data: found, text: textOf(found) }
  }).argument('<name>', NAME)
  return withLimits(command.option('--size <size>', 'of memory, null devices and files: its size from now on'))
}

function remove(end: End): Command {
  return runningCommand('remove', 'Remove a device that no namespace uses', end, async (weft, [name]) => {
    await deviceNamed(weft, name!)
    await weft.call('weft_remove_device', { name })
    return { data: { name }, text: `Device ${name} was removed.\n` }
  }).argument('<name>', NAME)
}

async function deviceNamed(weft: Running, name: string): Promise<ServedDevice> {
  const found = (await devicesOf(weft)).find((each) => each.name === name)
  if (found === undefined) throw absent(`There is no device ${name}; weft device list shows those that there are.`)
  return found
}

function userText({ usedBy }: ServedDevice): string {
  return usedBy === null ? '-' : `namespace ${usedBy.nsid} of ${usedBy.subsystem}`
}
