/**
 * Privileges that are given up once everything that needs them is open: `weft serve --run-as USER`. serve-command
 * looks the user up before anything is opened, serve drops when it serves.
 *
 * Invariant: when drop() returns, every thread of the process is that user, and none can go back.
 */
import { execFileSync } from 'node:child_process'
import { chownSync, mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { StartError } from '../config/start-error.ts'

const FOLDER_MODE = 0o700
/** What the types of Node leave out. */
type Process = typeof process & { initgroups(user: string, extraGroup: number): void }

export type User = { readonly name: string; readonly uid: number; readonly gid: number }

/** Throws a StartError where there is no such user, or nobody may become it. */
export function findUser(name: string): User {
  if (process.getuid === undefined) throw new StartError('--run-as is not for this system.', 'Leave it out.')
  if (process.getuid() !== 0) {
    const user = knownUser(name)
    // What takes over from a weft that has become this user already.
    if (user.uid === process.getuid()) return user
    throw new StartError(`Only root can become ${name}.`, 'Leave --run-as out, or start weft as root.')
  }
  return knownUser(name)
}

/** Throws a StartError where there is no such user. */
export function knownUser(name: string): User {
  const [, , uid, gid] = passwordLine(name).split(':').map(Number)
  if (!Number.isInteger(uid) || !Number.isInteger(gid)) {
    throw new StartError(`There is no user ${name}.`,
      `Make one (useradd --system --no-create-home --shell /usr/sbin/nologin ${name}), or name another one.`)
  }
  return { name, uid: uid!, gid: gid! }
}

/** state: the folder where what survives is kept; it and its files become the user's. */
export function drop({ name, uid, gid }: User, state: string): void {
  if (process.getuid!() === uid) return
  mkdirSync(state, { recursive: true, mode: FOLDER_MODE })
  for (const each of readdirSync(state)) chownSync(join(state, each), uid, gid)
  chownSync(state, uid, gid)
  const self = process as Process
  self.initgroups(name, gid)
  self.setgid!(gid)
  self.setuid!(uid)
}

/** '' for nobody. getent knows users of directories too, which no file of this machine lists. */
function passwordLine(name: string): string {
  try {
    return execFileSync('getent', ['passwd', '--', name], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
  } catch {
    return ''
  }
}
