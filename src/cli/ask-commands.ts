/**
 * `weft discover` and `weft identify` on the command line: their arguments and help.
 * main.ts → here → discover.ts, identify.ts.
 */
import { Command, InvalidArgumentError, Option } from 'commander'
import type { Secret } from '../auth/secret.ts'
import { DISCOVERY_PORT, IO_PORT } from '../config/complete.ts'
import { parseEndpoint } from '../config/endpoint.ts'
import { readSecretFile } from '../config/keys.ts'
import type { HostSecrets } from '../host/authentication.ts'
import { HostError } from '../host/error.ts'
import { DISCOVERY_NQN } from '../subsystem/subsystem.ts'
import {
  changeText, discover, discoveryText, follow, followText, watch, type Watch,
} from './discover.ts'
import { identify } from './identify.ts'

export type Address = { readonly address: string; readonly port: number | null }

export function discoverCommand(): Command {
  return new Command('discover')
    .description('List what a discovery service offers')
    .argument('<address[:port]>', `where it listens, port ${DISCOVERY_PORT} if none`, parseAddress)
    .option('--nqn <nqn>', 'name of the service, where it has one of its own')
    .addOption(new Option('--follow', 'ask the services that it refers to as well')
      .conflicts('persistent'))
    .option('--persistent', 'stay connected, and tell what changes until Ctrl-C')
    .option('--extended', 'ask for extended entries, with their attributes')
    .option('--port-local', 'only what is at the address that is asked')
    .addOption(keyOption())
    .addOption(controllerKeyOption())
    .option('--json', 'print JSON')
    .addHelpText('after', `
Examples:
  $ weft discover 192.0.2.10
  $ weft discover 127.0.0.1:4420
  $ weft discover [2001:db8::10]:8009 --json
  $ weft discover 192.0.2.10 --follow
  $ weft discover 192.0.2.10 --persistent
`)
    .action(runDiscover)
}

type DiscoverOptions = {
  readonly nqn?: string
  readonly follow?: true
  readonly persistent?: true
  readonly extended?: true
  readonly portLocal?: true
  readonly json?: true
} & KeyOptions

async function runDiscover({ address, port }: Address, options: DiscoverOptions): Promise<void> {
  const secrets = secretsOf(options)
  const service = {
    address, port: port ?? DISCOVERY_PORT, nqn: options.nqn ?? DISCOVERY_NQN, secrets,
  }
  const { extended = false, portLocal = false } = options
  const wish = { extended, portLocal }
  const write = (found: unknown, text: string): void => {
    process.stdout.write(options.json ? `${JSON.stringify(found, null, 2)}\n` : text)
  }
  if (options.persistent) {
    const enough = new Promise<void>((resolve) => {
      for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve())
    })
    const changed: Watch['changed'] = (before, log) =>
      write(log, before === null ? discoveryText(log) : changeText(before, log))
    return watch(service, wish, { changed, enough })
  }
  if (options.follow) {
    const found = await follow(service, wish)
    return write(found, followText(found))
  }
  const log = await discover(service.address, service.port, wish, service.nqn, secrets)
  write(log, discoveryText(log))
}

export function identifyCommand(): Command {
  return new Command('identify')
    .description('Show what a controller or a namespace says about itself')
    .argument('<address[:port]>', `where it listens, port ${IO_PORT} if none`, parseAddress)
    .argument('<nqn>', 'the subsystem, as discover shows it')
    .option('-n, --namespace <nsid>', 'this namespace instead of the controller', parseNsid)
    .addOption(keyOption())
    .addOption(controllerKeyOption())
    .option('--json', 'print JSON')
    .addHelpText('after', `
Examples:
  $ weft identify 192.0.2.10 nqn.2026-01.com.example:disks
  $ weft identify 192.0.2.10:4420 nqn.2026-01.com.example:disks --namespace 1
  $ weft identify [::1]:4420 nqn.2026-01.com.example:disks --json
`)
    .action(async (
      { address, port }: Address, nqn: string,
      options: { namespace?: number; json?: true } & KeyOptions,
    ) => {
      const { namespace: nsid = null, json = false } = options
      const secrets = secretsOf(options)
      const request = { address, port: port ?? IO_PORT, nqn, nsid, json, secrets }
      process.stdout.write(await identify(request))
    })
}

/** Both as they were read by parseSecret. */
type KeyOptions = { readonly key?: Secret; readonly controllerKey?: Secret }

export function keyOption(): Option {
  return new Option('--key <file>', 'a file with the secret of this host, where it has to authenticate')
    .argParser(parseSecret)
}

export function controllerKeyOption(): Option {
  return new Option('--controller-key <file>', 'the same of the controller, to be sure who it is')
    .argParser(parseSecret)
}

export function secretsOf({ key, controllerKey }: KeyOptions): HostSecrets | null {
  if (key !== undefined) return { key, controllerKey: controllerKey ?? null }
  if (controllerKey === undefined) return null
  throw new HostError('--controller-key goes with --key: who asks has to answer first.')
}

function parseSecret(path: string): Secret {
  const secret = readSecretFile(path)
  if (typeof secret === 'string') throw new InvalidArgumentError(`${secret}.`)
  return secret
}

export function parseAddress(text: string): Address {
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
