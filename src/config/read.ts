/**
 * From what a person wrote, as plain values, to a Config; or every mistake in it at once.
 * load.ts (a file) and flags.ts (a command line) call it.
 */
import { availableParallelism, homedir } from 'node:os'
import { join, win32 } from 'node:path'
import type { Config } from './config.ts'
import { complete } from './complete.ts'
import type { Surroundings } from './complete.ts'
import { readControlHttp } from './control-http.ts'
import { ownDefaultSocket } from './control-socket.ts'
import { contradictions, oversized } from './contradictions.ts'
import { machineId } from './identity.ts'
import { readKeys } from './keys.ts'
import { ConfigError, mistake, valueAt } from './mistake.ts'
import type { Mistake, Path } from './mistake.ts'
import { LIMITS, configSchema } from './schema.ts'

/** This machine; folder is where relative paths start. */
export function surroundings(folder: string): Surroundings {
  return {
    machineId: machineId(), cpuCount: availableParallelism(), folder,
    state: process.platform === 'win32' ? windowsStateFolder(process.env, homedir())
      : stateFolder(process.env, process.getuid?.() === 0, homedir()),
    control: ownDefaultSocket(),
  }
}

/** systemd's folder for the service; else the system's for root, and the user's own for others. */
export function stateFolder(
  environment: Readonly<Record<string, string | undefined>>, root: boolean, home: string,
): string {
  const { STATE_DIRECTORY: service, XDG_STATE_HOME: user } = environment
  // systemd names several with colons between.
  if (service !== undefined && service !== '') return service.split(':')[0]!
  if (root) return '/var/lib/weft'
  // The base directory specification: a relative path is to be ignored.
  return join(user?.startsWith('/') === true ? user : join(home, '.local/state'), 'weft')
}

/** That of all users, where services keep theirs; each user may make a folder in it. */
export function windowsStateFolder(
  { ProgramData: shared }: Readonly<Record<string, string | undefined>>, home: string,
): string {
  return win32.join(shared === undefined || shared === '' ? win32.join(home, 'AppData', 'Local') : shared, 'weft')
}

/**
 * Throws a ConfigError with all mistakes. source says what was read, for its first line; nameOf
 * turns a place into what the person wrote, and `known` are mistakes that were found before.
 */
export function readConfig(
  input: unknown, source: string, around: Surroundings,
  nameOf?: (path: Path) => string, known: readonly Mistake[] = [],
): Config {
  const parsed = configSchema.safeParse(input)
  const mistakes = [...known]
  for (const { code, message, path } of parsed.error?.issues ?? []) {
    const place = path as Path
    if (code === 'unrecognized_keys') {
      mistakes.push(...message.split('\n').map((sentence) => ({ path: place, sentence })))
    } else {
      mistakes.push(mistake(place, valueAt(input, place), message))
    }
  }
  mistakes.push(...contradictions(input, LIMITS.namespaces))
  const read = parsed.success ? readKeys(parsed.data, around.folder) : null
  const http = parsed.success ? readControlHttp(parsed.data, around.folder) : null
  if (read !== null) mistakes.push(...read.mistakes, ...http!.mistakes)
  if (mistakes.length > 0) throw new ConfigError(source, mistakes, nameOf)
  const config = complete(parsed.data!, around, read!.keys, http!.http)
  const beyond = oversized(config.limits)
  if (beyond.length > 0) throw new ConfigError(source, beyond, nameOf)
  return config
}
