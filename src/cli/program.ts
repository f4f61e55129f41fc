/**
 * The command line: every command, and what all of them have in common. main.ts parses with it; completions and the
 * manual page are made of it.
 */
import { Command } from 'commander'
import { discoverCommand, identifyCommand } from './ask-commands.ts'
import { completionCommand } from './completion-command.ts'
import { configCommand, exportCommand, importCommand } from './config-command.ts'
import { deviceCommand } from './device-command.ts'
import { doctorCommand } from './doctor-command.ts'
import { hostCommand } from './host-command.ts'
import { keyCommand } from './key-command.ts'
import { listenerCommand } from './listener-command.ts'
import { namespaceCommand } from './namespace-command.ts'
import { pciCommand } from './pci-command.ts'
import { perfCommand } from './perf-command.ts'
import { rpcCommand } from './rpc-command.ts'
import { serveCommand } from './serve-command.ts'
import { serviceCommand } from './service-command.ts'
import { subsystemCommand } from './subsystem-command.ts'
import { statusCommand, topCommand } from './status-command.ts'
import { traceCommand } from './trace-command.ts'
import { upgradeCommand } from './upgrade-command.ts'
import { VERSION } from './version.ts'

/** end() is called with the exit status of a command that has one of its own. */
export function createProgram(end: (status: number) => void): Command {
  const program = new Command('weft')
    .description('A userspace NVMe over Fabrics target: files, devices and memory over TCP')
    .version(VERSION, '--version')
    .exitOverride()
    .configureHelp({ showGlobalOptions: false })
    .showHelpAfterError('(weft --help says more)')
  program.addCommand(inherit(serveCommand(end), program), { isDefault: true })
  const commands = [
    discoverCommand(),
    identifyCommand(),
    keyCommand(),
    pciCommand(),
    doctorCommand(end),
    configCommand(),
    importCommand(),
    exportCommand(),
    rpcCommand(end),
    subsystemCommand(end),
    namespaceCommand(end),
    listenerCommand(end),
    hostCommand(end),
    deviceCommand(end),
    statusCommand(),
    topCommand(),
    traceCommand(),
    serviceCommand(end),
    upgradeCommand(),
    perfCommand(end),
    completionCommand(() => program),
  ]
  for (const each of commands) program.addCommand(inherit(each, program))
  return program
}

/** Commands made elsewhere end and print as the program does. */
function inherit(command: Command, program: Command): Command {
  command.copyInheritedSettings(program)
  for (const each of command.commands) each.copyInheritedSettings(command)
  return command
}
