/**
 * `weft pci` on the command line: shows the NVMe controllers of this machine, takes one out of the
 * kernel's hands, gives it back. main.ts → here → pci/function.ts, use.ts, binding.ts.
 */
import { Command } from 'commander'
import { bindDevice, releaseDevice, WITHOUT_IOMMU } from '../pci/binding.ts'
import { nvmeFunctions, type PciFunction } from '../pci/function.ts'
import { PciRefusal } from '../pci/refusal.ts'
import { LINUX, type PciSystem } from '../pci/system.ts'
import { usesOf } from '../pci/use.ts'

const HEADINGS = ['ADDRESS', 'MODEL', 'DRIVER', 'GROUP', 'USE'] as const
const WHAT_IS_ADDRESS = 'of the controller, such as 0000:03:00.0'

export function pciCommand(): Command {
  return new Command('pci')
    .description('Show the NVMe drives of this machine, take one from the kernel, give it back')
    .addCommand(listCommand())
    .addCommand(bindCommand())
    .addCommand(releaseCommand())
}

function listCommand(): Command {
  return new Command('list')
    .description('Every NVMe controller: model, driver, IOMMU group, and what it is used for')
    .option('--json', 'print JSON')
    .action(({ json }: { readonly json?: true }) => {
      const listed = listDevices(systemHere())
      process.stdout.write(json === true ? `${JSON.stringify(listed, null, 2)}\n` : listText(listed))
    })
}

function bindCommand(): Command {
  return new Command('bind')
    .description('Take a controller that nobody uses out of the kernel\'s hands, for weft to drive')
    .argument('<address>', WHAT_IS_ADDRESS)
    .option('--without-iommu', 'even where nothing confines the device')
    .addHelpText('after', `
It is back with the kernel after weft pci release, and after the next start of the machine.

Examples:
  $ sudo weft pci list
  $ sudo weft pci bind 0000:03:00.0
`)
    .action((address: string, { withoutIommu }: { readonly withoutIommu?: true }) => {
      const bound = bindDevice(systemHere(), address, withoutIommu === true)
      process.stdout.write(`${bound.address} is ${bound.already ? 'already ' : ''}bound to `
        + `${bound.driver}.\n`)
      if (bound.driver !== 'vfio-pci') process.stderr.write(`Warning: ${WITHOUT_IOMMU}\n`)
    })
}

function releaseCommand(): Command {
  return new Command('release')
    .description('Give a controller back to the kernel')
    .argument('<address>', WHAT_IS_ADDRESS)
    .action((address: string) => {
      const bound = releaseDevice(systemHere(), address)
      process.stdout.write(`${bound.address} is ${bound.already ? 'already ' : ''}driven by the `
        + 'kernel.\n')
    })
}

export type ListedDevice = PciFunction & { readonly uses: readonly string[] }

export function listDevices(system: PciSystem): ListedDevice[] {
  return nvmeFunctions(system).map((each) => {
    const words = usesOf(system, each).map(({ word }) => word)
    return { ...each, uses: [...new Set(words)] }
  })
}

export function listText(listed: readonly ListedDevice[]): string {
  if (listed.length === 0) return 'This machine shows no NVMe controller on its PCI bus.\n'
  const rows = [HEADINGS, ...listed.map((each) => [
    each.address, each.model, each.driver ?? '-',
    each.group === null ? '-' : each.group + (each.neighbours.length > 0 ? ' shared' : ''),
    each.uses.length === 0 ? '-' : each.uses.join(', '),
  ])]
  const widths = HEADINGS.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)))
  return rows.map((row) =>
    `${row.map((cell, column) => cell.padEnd(widths[column]!)).join('  ').trimEnd()}\n`).join('')
}

function systemHere(): PciSystem {
  if (process.platform === 'linux') return LINUX
  throw new PciRefusal('', [`weft pci knows Linux only, and this is ${process.platform}.`])
}
