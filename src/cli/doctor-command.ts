/**
 * `weft doctor` on the command line: describes this machine and prints the diagnosis.
 * main.ts → here → doctor.ts.
 */
import { execFileSync } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { release } from 'node:os'
import { Command } from 'commander'
import { PciRefusal } from '../pci/refusal.ts'
import { LINUX } from '../pci/system.ts'
import { ENGINE } from '../shim/abi.ts'
import { loadShim } from '../shim/shim.ts'
import { cannotServe, diagnose, diagnosisText, type Machine } from './doctor.ts'

/** end: sets the exit status: 1 when weft cannot serve here. */
export function doctorCommand(end: (status: number) => void): Command {
  return new Command('doctor')
    .description('Say what this machine has and lacks for weft, and how to get it')
    .option('--json', 'print JSON')
    .action(({ json }: { readonly json?: true }) => {
      const diagnosis = diagnose(machineHere())
      process.stdout.write(json === true ? `${JSON.stringify(diagnosis, null, 2)}\n` : diagnosisText(diagnosis))
      if (cannotServe(diagnosis)) end(1)
    })
}

function machineHere(): Machine {
  if (process.platform !== 'linux') {
    throw new PciRefusal('', [`weft doctor knows Linux only, and this is ${process.platform}.`])
  }
  return {
    system: LINUX,
    node: process.versions.node,
    compiler: compilerHere(),
    engines: enginesHere(),
    root: process.getuid?.() === 0,
    kernel: release(),
    canOpen,
  }
}

function compilerHere(): string | null {
  const [program = 'cc', ...words] = (process.env['CC'] ?? 'cc').split(' ')
  try {
    const said = execFileSync(program, [...words, '--version'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
    return said.split('\n')[0]!
  } catch {
    return null
  }
}

function enginesHere(): Machine['engines'] {
  try {
    return { uring: (loadShim().engines() & (1 << ENGINE.URING)) !== 0 }
  } catch {
    return null
  }
}

function canOpen(path: string): boolean {
  try {
    accessSync(path, constants.R_OK | constants.W_OK)
    return true
  } catch {
    return false
  }
}
