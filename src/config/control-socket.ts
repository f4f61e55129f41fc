/**
 * Where the control socket is when nobody says: the same for the daemon and for the commands that ask
 * it. read.ts and cli call it.
 */
import { join } from 'node:path'

type Environment = Readonly<Record<string, string | undefined>>

const NAME = 'weft.sock'
const WINDOWS_PIPE = String.raw`\\.\pipe\weft`

/** systemd's folder for the service, root's, or the user's own; null where there is none of them. */
export function defaultSocket(
  environment: Environment, root: boolean, platform: NodeJS.Platform,
): string | null {
  if (platform === 'win32') return WINDOWS_PIPE
  const { RUNTIME_DIRECTORY: service, XDG_RUNTIME_DIR: user } = environment
  // systemd names several with colons between.
  if (service !== undefined && service !== '') return join(service.split(':')[0]!, NAME)
  if (root) return join('/run/weft', NAME)
  return user?.startsWith('/') === true ? join(user, NAME) : null
}

/** That of this process. */
export function ownDefaultSocket(): string | null {
  return defaultSocket(process.env, process.getuid?.() === 0, process.platform)
}
