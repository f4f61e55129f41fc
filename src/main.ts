/**
 * The program: arguments → command → exit status. launch.mjs → here → cli.
 *
 * Exit status: 0 it did what it was asked, 1 it failed at it, 2 the question was wrong (a flag, a
 * value, the configuration). Without a command it serves the embedded default.
 */
import { CommanderError } from 'commander'
import { createProgram } from './cli/program.ts'
import { startErrorText } from './cli/serve.ts'
import { ConfigError } from './config/mistake.ts'
import { HostError } from './host/error.ts'
import { StartError } from './config/start-error.ts'
import { PciRefusal } from './pci/refusal.ts'

const STATUS_FAILED = 1
const STATUS_MISTAKE = 2

let status = 0
const program = createProgram((code) => { status = code })

try {
  await program.parseAsync()
} catch (error) {
  status = statusOf(error)
}
// Worker threads of a target that failed to stop must not keep the process.
process.exit(status)

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
