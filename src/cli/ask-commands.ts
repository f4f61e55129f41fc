/**
 * `weft discover` and `weft identify` on the command line: their arguments and help.
 * main.ts → here → discover.ts, identify.ts.
 */
import { Command, InvalidArgumentError } from 'commander'
import { DISCOVERY_PORT, IO_PORT } from '../config/complete.ts'
import { parseEndpoint } from '../config/endpoint.ts'
import { discover, discoveryText } from './discover.ts'
import { identify } from './identify.ts'

type Address = { readonly address: string; readonly port: number | null }

export function discoverCommand(): Command {
  return new Command('discover')
    .description('List what a discovery service offers')
    .argument('<address[:port]>', `where it listens, port ${DISCOVERY_PORT} if none`, parseAddress)
    .option('--json', 'print JSON')
    .addHelpText('after', `
Examples:
  $ weft discover 192.0.2.10
  $ weft discover 127.0.0.1:4420
  $ weft discover [2001:db8::10]:8009 --json
`)
    .action(async ({ address, port }: Address, { json }: { json?: true }) => {
      const found = await discover(address, port ?? DISCOVERY_PORT)
      process.stdout.write(json ? `${JSON.stringify(found, null, 2)}\n` : discoveryText(found))
    })
}

export function identifyCommand(): Command {
  return new Command('identify')
    .description('Show what a controller or a namespace says about itself')
    .argument('<address[:port]>', `where it listens, port ${IO_PORT} if none`, parseAddress)
    .argument('<nqn>', 'the subsystem, as discover shows it')
    .option('-n, --namespace <nsid>', 'this namespace instead of the controller', parseNsid)
    .option('--json', 'print JSON')
    .addHelpText('after', `
Examples:
  $ weft identify 192.0.2.10 nqn.2026-01.com.example:disks
  $ weft identify 192.0.2.10:4420 nqn.2026-01.com.example:disks --namespace 1
  $ weft identify [::1]:4420 nqn.2026-01.com.example:disks --json
`)
    .action(async (
      { address, port }: Address, nqn: string, options: { namespace?: number; json?: true },
    ) => {
      const { namespace: nsid = null, json = false } = options
      process.stdout.write(await identify({ address, port: port ?? IO_PORT, nqn, nsid, json }))
    })
}

function parseAddress(text: string): Address {
  const parsed = parseEndpoint(text)
  if (parsed?.address == null || (parsed.port ?? 0) > 65535) {
    throw new InvalidArgumentError('Write 192.0.2.10, 192.0.2.10:4420 or [2001:db8::10]:4420.')
  }
  return { address: parsed.address, port: parsed.port }
}

function parseNsid(text: string): number {
  const nsid = Number(text)
  if (!/^\d+$/.test(text) || nsid < 1 || nsid > 0xffff_fffe) {
    throw new InvalidArgumentError('A namespace has a number from 1 on.')
  }
  return nsid
}
