/**
 * `weft upgrade` on the command line: has this weft take over from the one that serves. main.ts → here → the control
 * socket of the other one, which starts this program as its heir (succession.ts).
 *
 * Exit status: 0 the new one serves, 1 the old one serves on, or what serves now is not known.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { Command } from 'commander'
import { ownDefaultSocket } from '../config/control-socket.ts'
import { HostError } from '../host/error.ts'
import { RpcClientError, callMethod } from '../rpc/client.ts'

const LAUNCH = fileURLToPath(new URL('../launch.mjs', import.meta.url))
/** The old one stops within 5 s, and the new one has a minute to become ready. */
const TAKEN_MS = 90_000
const POLL_MS = 200

type Options = { readonly control?: string; readonly loseMemory?: boolean }
type Who = { readonly version: string; readonly pid: number }

export function upgradeCommand(): Command {
  return new Command('upgrade')
    .description('Take over from the weft that serves, with this version of it')
    .option('--control <path>', 'its control socket (/run/weft/weft.sock, or your own)')
    .option('--lose-memory', 'what is in memory namespaces may be lost')
    .addHelpText('after', `
Run it with the weft that is to serve from now on. The old one starts it with its own arguments and
gives it the sockets that listen; hosts connect again, as after any loss of a connection, and their
commands wait until then. When the new one does not start, the old one serves on.

Examples:
  $ npm install --global weft@latest && weft upgrade
`)
    .action(upgrade)
}

async function upgrade({ control, loseMemory = false }: Options): Promise<void> {
  const path = control ?? ownDefaultSocket()
  if (path === null) throw new HostError('There is no place for a control socket here: --control names it.')
  const before = await ask(path, 'weft_get_status', {})
  const next = await ask(path, 'weft_upgrade', { program: [process.execPath, LAUNCH], lose_memory: loseMemory })
  const deadlineMs = Date.now() + TAKEN_MS
  for (let left = false; Date.now() < deadlineMs; await sleep(POLL_MS)) {
    const now = await ask(path, 'weft_get_status', {}).catch((error: unknown) => {
      if (error instanceof HostError) return null
      throw error
    })
    if (now === null) left = true
    if (now?.pid === next.pid) {
      process.stdout.write(`weft ${next.version} (process ${next.pid}) serves now; before it was ${before.version}.\n`)
      return
    }
    if (left && now?.pid === before.pid) {
      throw new HostError(`weft ${next.version} did not become ready, and weft ${before.version} serves on. Its log says why.`)
    }
  }
  throw new HostError(`Nobody answers on ${path} any more; the log of weft says why.`)
}

async function ask(path: string, method: string, params: object): Promise<Who> {
  try {
    const outcome = await callMethod(path, method, params)
    if (outcome.error === undefined) return outcome.result as Who
    const { message, data } = outcome.error
    throw new HostError(Array.isArray(data) ? data.join(' ') : typeof data === 'string' ? data : message)
  } catch (error) {
    if (error instanceof RpcClientError) throw new HostError(error.message)
    throw error
  }
}
