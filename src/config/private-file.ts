/**
 * A file with something that only its owner may know: the secret of a host, a token, the key of a certificate.
 * keys.ts and control-http.ts read them, when a configuration is read.
 *
 * Invariant: no sentence made here shows any of what is in the file. One that others may use is refused.
 */
import { type Stats, readFileSync, statSync } from 'node:fs'

/** Permissions of everybody but the owner. */
const OTHERS = 0o077
const FILE_BYTES_MAX = 4096

export type PrivateFile =
  | { readonly text: string; readonly problem?: undefined }
  /** A sentence about the file, without its full stop. */
  | { readonly text?: undefined; readonly problem: string }

/** inside: what belongs in it, in words. The text is without space around it. */
export function readPrivateFile(path: string, inside: string, bytesMax = FILE_BYTES_MAX): PrivateFile {
  let facts: Stats
  let text: string
  try {
    facts = statSync(path)
    if (!facts.isFile() || facts.size > bytesMax) return { problem: `${path} is no file with ${inside} in it` }
    text = readFileSync(path, 'utf8').trim()
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (code === 'ENOENT') return { problem: `there is no file ${path}` }
    if (code === 'EACCES') return { problem: `${path} may not be read by you` }
    return { problem: `${path} cannot be read: ${message}` }
  }
  if (process.platform !== 'win32' && (facts.mode & OTHERS) !== 0) {
    return { problem: `${path} may be used by others than its owner: chmod 600 ${path}` }
  }
  return { text }
}
