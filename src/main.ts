/**
 * The program: arguments → command → exit status. launch.mjs → here → cli.
 *
 * Exit status: 0 it did what it was asked, 1 it failed at it, 2 the question was wrong (a flag, a
 * value, the configuration). Without a command it serves the embedded default.
 */
import { Command, CommanderError } from 'commander'
import { discoverCommand, identifyCommand } from './cli/ask-commands.ts'
import { configCommand, exportCommand, importCommand } from './cli/config-command.ts'
import { doctorCommand } from './cli/doctor-command.ts'
import { keyCommand } from './cli/key-command.ts'
import { perfCommand } from './cli/perf-command.ts'
import { pciCommand } from './cli/pci-command.ts'
import { rpcCommand } from './cli/rpc-command.ts'
import { serveCommand } from './cli/serve-command.ts'
import { serviceCommand } from './cli/service-command.ts'
import { statusCommand, topCommand } from './cli/status-command.ts'
import { startErrorText } from './cli/serve.ts'
import { VERSION } from './cli/version.ts'
import { ConfigError } from './config/mistake.ts'
import { HostError } from './host/error.ts'
import { StartError } from './config/start-error.ts'
import { PciRefusal } from './pci/refusal.ts'

const STATUS_FAILED = 1
const STATUS_MISTAKE = 2

const program = new Command('weft')
  .description('A userspace NVMe over Fabrics target: files, devices and memory over TCP')
  .version(VERSION, '--version')
  .exitOverride()
  .configureHelp({ showGlobalOptions: false })
  .showHelpAfterError('(weft --help says more)')

let status = 0
const end = (code: number): void => { status = code }
program.addCommand(inherit(serveCommand(end)), { isDefault: true })
program.addCommand(inherit(discoverCommand()))
program.addCommand(inherit(identifyCommand()))
program.addCommand(inherit(keyCommand()))
program.addCommand(inherit(pciCommand()))
program.addCommand(inherit(doctorCommand(end)))
program.addCommand(inherit(configCommand()))
program.addCommand(inherit(importCommand()))
program.addCommand(inherit(exportCommand()))
program.addCommand(inherit(rpcCommand(end)))
program.addCommand(inherit(statusCommand()))
program.addCommand(inherit(topCommand()))
program.addCommand(inherit(serviceCommand(end)))
program.addCommand(inherit(perfCommand(end)))

try {
  await program.parseAsync()
} catch (error) {
  status = statusOf(error)
}
// Worker threads of a target that failed to stop must not keep the process.
process.exit(status)

/** Commands made elsewhere end and print as the program does. */
function inherit(command: Command): Command {
  command.copyInheritedSettings(program)
  for (const each of command.commands) each.copyInheritedSettings(command)
  return command
}

function statusOf(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : STATUS_MISTAKE
  if (error instanceof ConfigError) {
    process.stderr.write(`${error.message}\n`)
    return STATUS_MISTAKE
  }
  if (error instanceof HostError || error instanceof PciRefusal) {
    process.stderr.write(`${error.message}\n`)
    return STATUS_FAILED
  }
  if (error instanceof StartError) {
    process.stderr.write(startErrorText(error))
    return STATUS_FAILED
  }
  process.stderr.write(`weft failed: ${error instanceof Error ? error.stack : String(error)}\n`)
  return STATUS_FAILED
}
