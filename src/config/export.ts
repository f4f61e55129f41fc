/**
 * A configuration for somebody else: `weft export` → here → kernel-file.ts, spdk-calls.ts. As weft's own, with all
 * that was derived written out, it serves the same disks under the same names on another machine.
 *
 * Invariant: files with secrets are named, never read; a secret that stands in the configuration itself is written
 * in weft's own format alone, and that is told.
 */
import { resolve } from 'node:path'
import type { Config, ListenerConfig, NamespaceConfig, SubsystemConfig } from './config.ts'
import { exportKernel } from './kernel-file.ts'
import type { Written, WrittenHost } from './schema.ts'
import { exportSpdk, type KeyFiles } from './spdk-calls.ts'

export const FORMATS = ['weft', 'nvmet', 'spdk'] as const
export type Format = (typeof FORMATS)[number]

/** written: what config was made of; folder: where its relative paths start. notes: what is not as it is here. */
export function exportConfig(
  config: Config, written: Written, folder: string, format: Format,
): { file: object; notes: string[] } {
  const hosts = hostsOf(config, written, folder)
  if (format === 'weft') return exportWeft(config, written, hosts)
  const { file, notes } = format === 'nvmet' ? exportKernel(config) : exportSpdk(config, keyFilesOf(hosts))
  const pools = config.subsystems.filter(({ pool }) => pool !== undefined)
  return {
    file, notes: [...notes, ...pools.map(({ nqn }) => `The pool of ${nqn}, and what hosts created in it, is left out.`)],
  }
}

/** By subsystem: hosts as they are written, with absolute paths. */
type Hosts = ReadonlyMap<string, 'any' | (string | WrittenHost)[]>

function hostsOf(config: Config, written: Written, folder: string): Hosts {
  return new Map(config.subsystems.map(({ nqn }, at) => {
    const hosts = written.subsystems[at]!.hosts ?? 'any'
    return [nqn, hosts === 'any' ? hosts : hosts.map((host) => (typeof host === 'string' ? host : absolute(host, folder)))]
  }))
}

function absolute(host: WrittenHost, folder: string): WrittenHost {
  const { keyFile, controllerKeyFile, ...rest } = host
  return {
    ...rest,
    ...(keyFile === undefined ? {} : { keyFile: resolve(folder, keyFile) }),
    ...(controllerKeyFile === undefined ? {} : { controllerKeyFile: resolve(folder, controllerKeyFile) }),
  }
}

function keyFilesOf(hosts: Hosts): KeyFiles {
  return (nqn, name) => {
    const list = hosts.get(nqn)
    const host = Array.isArray(list) ? list.find((each) => typeof each !== 'string' && each.nqn === name) : undefined
    const { keyFile = null, controllerKeyFile, controllerKey } = (host ?? {}) as Partial<WrittenHost>
    return { key: keyFile, controllerKey: controllerKeyFile ?? (controllerKey === undefined ? undefined : null) }
  }
}

function exportWeft(config: Config, written: Written, hosts: Hosts): { file: object; notes: string[] } {
  const { reactors, cpus, poll, engine, announce, limits } = written
  const { discoveryService: service, discovery } = config
  const optional = { reactors, cpus, poll, engine, limits, announce, referrals: written.referrals, register: written.register }
  const places = discovery.length === 0 ? false : discovery
  const own = typeof written.discovery === 'object' && !Array.isArray(written.discovery)
  const file = {
    ...Object.fromEntries(Object.entries(optional).filter(([, value]) => value !== undefined)),
    listeners: config.listeners.map(writtenListener),
    discovery: own ? { ...written.discovery as object, listeners: places } : places,
    state: config.state,
    subsystems: config.subsystems.map((each) => writtenSubsystem(each, hosts)),
  }
  const notes: string[] = []
  if (JSON.stringify(file).match(/"(?:key|controllerKey)":/) !== null) {
    notes.push('There are secrets in what was written: keep it where nobody else reads it.')
  }
  if (service.keys.length !== 0) notes.push('Files with keys of the discovery service are named as they were.')
  return { file, notes }
}

function writtenListener({ address, port, ana }: ListenerConfig): object {
  if (ana === undefined) return { address, port }
  const named = Object.keys(ana.groups).length !== 0
  return { address, port, ana: named ? ana.groups : ana.others }
}

function writtenSubsystem(subsystem: SubsystemConfig, hosts: Hosts): object {
  const { nqn, serial, model, label, controllers, namespaces, pool } = subsystem
  return {
    nqn, serial, model, ...(label === undefined ? {} : { label }), hosts: hosts.get(nqn) ?? 'any',
    controllers: controllers.kind, minCntlid: controllers.first, maxCntlid: controllers.last,
    namespaces: namespaces.map(writtenNamespace),
    ...(pool === undefined ? {} : { pool: { path: pool.path, size: pool.bytes } }),
  }
}

function writtenNamespace(
  { nsid, backing, blockBytes, uuid, nguid, readOnly, anaGroup, hosts, qos }: NamespaceConfig,
): object {
  return {
    nsid, ...mediumOf(backing), ...(blockBytes === null ? {} : { block: blockBytes }), uuid, nguid,
    ...(readOnly ? { readOnly } : {}), ...(anaGroup === 1 ? {} : { anaGroup }),
    ...(hosts === undefined ? {} : { hosts }), ...(qos === undefined ? {} : { qos }),
  }
}

function mediumOf(backing: NamespaceConfig['backing']): object {
  switch (backing.kind) {
    case 'pool':
      // What hosts created is in no file of a configuration.
      return {}
    case 'memory':
      return { memory: backing.bytes }
    case 'null':
      return { null: backing.bytes }
    case 'device':
      return { device: backing.path }
    case 'pci':
      return { pci: backing.path }
    case 'file':
      return { file: backing.path, ...(backing.bytes === null ? {} : { size: backing.bytes, create: backing.create }) }
  }
}
