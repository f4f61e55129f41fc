/**
 * The control interface over HTTP, as a person wrote it: the token that clients show, and the certificate that they
 * are shown, from their files. read.ts → here → complete.ts; rpc/http-server.ts goes by it.
 *
 * Files are read each time that the configuration is, so a reload brings a new token or certificate into force.
 * Invariant: the token itself is not kept, and no sentence made here shows it or a key. Whoever can call weft's
 * methods can read and write all disks: what others could listen to is refused, unless somebody insists.
 */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { createSecureContext } from 'node:tls'
import { HTTP_PORT } from './complete.ts'
import type { HttpConfig } from './config.ts'
import { type Mistake, type Path, mistake } from './mistake.ts'
import { readPrivateFile } from './private-file.ts'
import type { Written, WrittenHttp } from './schema.ts'

/** As in an Authorization header, and not guessed.                            RFC 6750, 2.1 */
const TOKEN = /^[A-Za-z0-9._~+/-]{20,512}=*$/
const TOKEN_FORM = 'one token of at least 20 letters, digits and . _ ~ + / -, such as openssl rand -hex 32 makes'
const KEY_BYTES_MAX = 64 * 1024
const LOOPBACK = /^(127\.\d+\.\d+\.\d+|::1)$/

const PLACE: Path = ['control', 'http']

/** http null: nowhere, or there are mistakes. */
export function readControlHttp(
  { control }: Written, folder: string,
): { http: HttpConfig | null; mistakes: Mistake[] } {
  const written = typeof control === 'object' ? control.http : undefined
  if (written === undefined) return { http: null, mistakes: [] }
  const mistakes: Mistake[] = []
  const tokenDigest = digestOf(resolve(folder, written.tokenFile), mistakes)
  const tls = tlsOf(written, folder, mistakes)
  const { address, port = HTTP_PORT, plain = false } = written
  if (tls === null && !plain && !LOOPBACK.test(address)) {
    mistakes.push(mistake([...PLACE, 'address'], address,
      '127.0.0.1 or ::1, as without a certificate everybody on the way reads the token; '
      + 'or certificateFile and keyFile, or "plain": true'))
  }
  return { http: mistakes.length === 0 ? { address, port, tokenDigest, tls } : null, mistakes }
}

/** Of a token: what it is compared by. */
export function tokenDigestOf(token: string): string {
  return createHash('sha256').update(token).digest('hex')
}

function digestOf(path: string, mistakes: Mistake[]): string {
  const { text, problem } = readPrivateFile(path, 'one token')
  if (problem === undefined && TOKEN.test(text)) return tokenDigestOf(text)
  const what = problem ?? `what is in ${path} is no token`
  mistakes.push({ path: [...PLACE, 'tokenFile'], sentence: `${what}; allowed: ${TOKEN_FORM}` })
  return ''
}

function tlsOf(
  { certificateFile, keyFile, plain }: WrittenHttp, folder: string, mistakes: Mistake[],
): HttpConfig['tls'] {
  if (certificateFile === undefined && keyFile === undefined) return null
  const told = (key: 'certificateFile' | 'keyFile' | 'plain', sentence: string): null => {
    mistakes.push({ path: [...PLACE, key], sentence })
    return null
  }
  if (plain === true) return told('plain', 'found true beside a certificate, allowed: one of the two')
  if (certificateFile === undefined) return told('certificateFile', 'found nothing, allowed: that of the key')
  if (keyFile === undefined) return told('keyFile', 'found nothing, allowed: that of the certificate')
  const certificatePath = resolve(folder, certificateFile)
  const keyPath = resolve(folder, keyFile)
  let certificate: string
  try {
    certificate = readFileSync(certificatePath, 'utf8')
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    return told('certificateFile', `${certificatePath} cannot be read (${code ?? message}); allowed: a PEM file`)
  }
  const { text: key, problem } = readPrivateFile(keyPath, 'one key', KEY_BYTES_MAX)
  if (problem !== undefined) return told('keyFile', `${problem}; allowed: a PEM file`)
  try {
    createSecureContext({ cert: certificate, key })
  } catch {
    return told('certificateFile', `${certificatePath} and ${keyPath} do not go together, or are not what they `
      + 'should be; allowed: a certificate, with those that lead to its root, and its key without a passphrase')
  }
  return { certificate, key }
}
