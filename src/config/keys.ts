/**
 * The keys of hosts: from what a person wrote, a secret or the path of a file with one, to Secrets.
 * read.ts → here → complete.ts. Also what of a complete configuration the authenticator needs.
 *
 * Invariant: no sentence made here shows a secret or a part of one. A file that others may read is
 * refused.
 */
import { resolve } from 'node:path'
import type { HostKeys, SubsystemKeys } from '../auth/keys.ts'
import { SECRET_FORM, Secret } from '../auth/secret.ts'
import { AUTH_GROUPS, AUTH_HASHES } from '../wire/authentication.ts'
import type { Config } from './config.ts'
import { type Mistake, type Path, mistake } from './mistake.ts'
import { readPrivateFile } from './private-file.ts'
import type { Written, WrittenHost, WrittenHosts } from './schema.ts'

/** In the order of the subsystems that are written. */
export type WrittenKeys = {
  readonly subsystems: readonly (readonly HostKeys[])[]
  readonly discovery: readonly HostKeys[]
}

/** The strongest first. */
const HASHES = AUTH_HASHES.map(({ id }) => id).reverse()
const GROUPS = AUTH_GROUPS.map(({ id }) => id).reverse()

/** folder: where relative paths start. */
export function readKeys(
  written: Written, folder: string,
): { keys: WrittenKeys; mistakes: Mistake[] } {
  const reader = new KeyReader(folder)
  const subsystems = written.subsystems.map(({ hosts }, at) =>
    reader.hosts(['subsystems', at, 'hosts'], hosts))
  const service = written.discovery
  const discovery = typeof service !== 'object' || Array.isArray(service) ? []
    : reader.hosts(['discovery', 'hosts'], service.hosts)
  return { keys: { subsystems, discovery }, mistakes: reader.mistakes }
}

/** Who needs which keys. */
export function keysOf({ subsystems, discoveryService }: Config): SubsystemKeys {
  return new Map([...subsystems, discoveryService].map(({ nqn, keys }) => [nqn, keys]))
}

/** What is wrong with the file of a secret, or the secret. */
export function readSecretFile(path: string): Secret | string {
  const { text, problem } = readPrivateFile(path, 'one secret')
  if (problem !== undefined) return problem
  const secret = Secret.parse(text)
  return typeof secret === 'string' ? `what is in ${path} is no secret: ${secret}` : secret
}

class KeyReader {
  readonly mistakes: Mistake[] = []
  readonly #folder: string

  constructor(folder: string) {
    this.#folder = folder
  }

  hosts(path: Path, hosts: WrittenHosts | undefined): HostKeys[] {
    if (hosts === undefined || hosts === 'any') return []
    const keys: HostKeys[] = []
    for (const [at, host] of hosts.entries()) {
      const nqn = typeof host === 'string' ? host : host.nqn
      if (keys.some((each) => each.nqn === nqn)) {
        const allowed = 'a host that has no key in this list already'
        this.mistakes.push(mistake([...path, at], nqn, allowed))
      }
      if (typeof host === 'string') continue
      const made = this.#host([...path, at], host)
      if (made !== null) keys.push(made)
    }
    return keys
  }

  #host(path: Path, host: WrittenHost): HostKeys | null {
    const key = this.#secret(path, 'key', host.key, host.keyFile)
    const controllerKey =
      this.#secret(path, 'controllerKey', host.controllerKey, host.controllerKeyFile)
    const needless = ['controllerKey', 'controllerKeyFile', 'hashes', 'dhGroups'] as const
    if (key === null) {
      const without = host.key === undefined && host.keyFile === undefined
      if (without && needless.some((each) => host[each] !== undefined)) {
        const allowed = 'the secret of the host, or keyFile with its path'
        this.mistakes.push(mistake([...path, 'key'], undefined, allowed))
      }
      return null
    }
    return {
      nqn: host.nqn, key, controllerKey,
      hashes: idsOf(AUTH_HASHES, host.hashes) ?? HASHES,
      groups: idsOf(AUTH_GROUPS, host.dhGroups) ?? GROUPS,
    }
  }

  #secret(
    path: Path, name: 'key' | 'controllerKey', text: string | undefined, file: string | undefined,
  ): Secret | null {
    if (file === undefined) {
      return text === undefined ? null : this.#take([...path, name], Secret.parse(text))
    }
    const place = [...path, `${name}File`]
    if (text === undefined) return this.#take(place, readSecretFile(resolve(this.#folder, file)))
    const sentence = `found beside ${name}, allowed: only one of the two`
    this.mistakes.push({ path: place, sentence })
    return null
  }

  #take(path: Path, found: Secret | string): Secret | null {
    if (typeof found !== 'string') return found
    this.mistakes.push({ path, sentence: `${found}; allowed: ${SECRET_FORM}` })
    return null
  }
}

function idsOf(
  rows: readonly { readonly id: number; readonly name: string }[],
  names: readonly string[] | undefined,
): number[] | null {
  return names?.map((name) => rows.find((row) => row.name === name)!.id) ?? null
}
