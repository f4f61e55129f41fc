/**
 * Where the weft is that a command asks: the options that say so, and the place for rpc/client.ts that comes of them.
 * rpc, status, top and trace have them.
 */
import { readFileSync } from 'node:fs'
import type { Command } from 'commander'
import { ownDefaultSocket } from '../config/control-socket.ts'
import { readPrivateFile } from '../config/private-file.ts'
import { HostError } from '../host/error.ts'
import type { HttpPlace } from '../rpc/http-client.ts'

export type PlaceOptions = {
  readonly control?: string
  readonly url?: string
  readonly token?: string
  readonly ca?: string
}

export function withPlace(command: Command): Command {
  return command
    .option('--control <path>', 'its control socket (/run/weft/weft.sock, or your own)')
    .option('--url <url>', 'where it answers over HTTP instead, such as https://192.0.2.10:9421')
    .option('--token <file>', 'a file with the token for that')
    .option('--ca <file>', 'who vouches for its certificate, in PEM, where the system does not know')
}

/** Throws a HostError. */
export function placeOf({ control, url, token, ca }: PlaceOptions): string | HttpPlace {
  if (url === undefined) {
    if (token !== undefined || ca !== undefined) throw new HostError('--token and --ca go with --url.')
    const path = control ?? ownDefaultSocket()
    if (path === null) throw new HostError('Name the control socket of weft with --control.')
    return path
  }
  if (control !== undefined) throw new HostError('--control and --url are two places: name one.')
  if (!URL.canParse(url) || !/^https?:\/\/[^/]/.test(url)) {
    throw new HostError(`${url} is no address such as https://192.0.2.10:9421.`)
  }
  if (token === undefined) throw new HostError('--url needs --token: a file with the token that weft was given.')
  const { text, problem } = readPrivateFile(token, 'one token')
  if (problem !== undefined) throw new HostError(`The token cannot be used: ${problem}.`)
  return { url, token: text, authorities: ca === undefined ? null : authoritiesIn(ca) }
}

function authoritiesIn(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    throw new HostError(`${path} cannot be read (${code ?? message}).`)
  }
}
