/**
 * The configuration of the Linux kernel's target as nvmetcli saves it (/etc/nvmet/config.json): read for
 * `weft import`, written for `weft export`. import.ts and export.ts → here.
 *
 *   hosts [{nqn}]   ports [{addr, ana_groups, subsystems, referrals}]   subsystems [{attr, allowed_hosts, namespaces}]
 *
 * Attributes are texts in these files, numbers in some. Invariant: as in import.ts.
 */
import { isIP } from 'node:net'
import { z } from 'zod'
import { ANA_GROUPS_MAX } from '../subsystem/ana.ts'
import { CNTLID_MAX, CNTLID_MIN } from '../wire/fabrics.ts'
import { DISCOVERY_PORT, IO_PORT } from './complete.ts'
import type { Config, NamespaceConfig } from './config.ts'
import type { Fields, ImportParts, Imported } from './import.ts'
import { isNqn } from './nqn.ts'
import { LIMITS } from './schema.ts'

const text = z.union([z.string(), z.number()], { error: 'a text' }).transform(String)
const attributes = z.record(z.string(), text, { error: 'an object of texts' }).default({})
const enabled = z.union([z.number(), z.string()], { error: '0 or 1' }).transform(Number).default(1)
const names = z.array(z.string({ error: 'an NQN' }), { error: 'a list of NQNs' }).default([])
const list = <Item extends z.ZodType>(item: Item) => z.array(item, { error: 'a list' }).default([])

export const kernelSchema = z.looseObject({
  hosts: list(z.looseObject({ nqn: z.string({ error: 'an NQN' }), dhchap: attributes })),
  ports: list(z.looseObject({
    portid: text, addr: attributes, param: attributes, subsystems: names,
    ana_groups: list(z.looseObject({ grpid: text, ana: attributes })),
    referrals: list(z.looseObject({ name: text, addr: attributes, enable: enabled })),
  })),
  subsystems: list(z.looseObject({
    nqn: z.string({ error: 'an NQN' }), attr: attributes, allowed_hosts: names,
    passthru: list(z.looseObject({ enable: enabled })),
    namespaces: list(z.looseObject({
      nsid: text, ana_grpid: text.optional(), device: attributes, enable: enabled,
    })),
  })),
})

export type KernelFile = z.infer<typeof kernelSchema>
type KernelPort = KernelFile['ports'][number]
type KernelSubsystem = KernelFile['subsystems'][number]
type KernelNamespace = KernelSubsystem['namespaces'][number]

const NIL = /^[0-]*$/
/** The kernel's target takes blocks of the file system for files; those are of this size almost everywhere. */
const FILE_BLOCK_BYTES = 4096
const INLINE_BYTES_MAX = 256 * 1024
const INLINE_UNIT = 512
const DEFAULT_MODEL = 'Linux'

export function importKernel(file: KernelFile, parts: ImportParts): Imported {
  return new KernelReader(file, parts).read()
}

class KernelReader {
  readonly #file: KernelFile
  readonly #parts: ImportParts
  readonly #notes: string[] = []

  constructor(file: KernelFile, parts: ImportParts) {
    this.#file = file
    this.#parts = parts
  }

  read(): Imported {
    const ports = this.#file.ports.filter((port) => this.#isServed(port))
    const subsystems = this.#file.subsystems.flatMap((each) => this.#subsystem(each, ports))
    this.#tellPartial(ports)
    if (ports.length === 0) this.#notes.push('No port could be taken over: weft listens where it does by default.')
    const referrals = this.#file.ports.flatMap((port) => this.#referrals(port))
    const inline = Math.max(0, ...ports.map(({ param }) => Number(param.inline_data_size ?? 0) || 0))
    const inCapsule = Math.min(Math.ceil(inline / INLINE_UNIT) * INLINE_UNIT, INLINE_BYTES_MAX)
    const written = {
      ...(inCapsule === 0 ? {} : { limits: { inCapsule } }),
      ...(ports.length === 0 ? {} : { listeners: ports.map((port) => this.#listener(port)) }),
      // Each port of the kernel's target offers discovery, as each listener of weft does; it has no other one.
      discovery: false,
      ...(referrals.length === 0 ? {} : { referrals }),
      subsystems,
    }
    return { source: 'the Linux kernel', written, notes: this.#notes }
  }

  #name(nqn: string): string {
    return this.#parts.renames.get(nqn) ?? nqn
  }

  #isServed({ portid, addr, subsystems }: KernelPort): boolean {
    const { trtype = '', traddr = '', treq = '', tsas = '' } = addr
    const leave = (why: string): boolean => {
      this.#notes.push(`Port ${portid} is left out: ${why}.`)
      return false
    }
    if (trtype !== 'tcp') return leave(`its transport is ${trtype === '' ? 'not set' : trtype}, and weft speaks TCP`)
    if (isIP(traddr) === 0) return leave(`${JSON.stringify(traddr)} is no numeric address`)
    if (/^tls/.test(tsas) && treq !== 'not required') return leave('it asks for TLS, which weft does not offer')
    if (subsystems.length === 0) return leave('it offers no subsystem')
    return true
  }

  #listener({ portid, addr, ana_groups: groups }: KernelPort): Fields {
    const { traddr: address, trsvcid = String(IO_PORT) } = addr
    const used = new Set(this.#file.subsystems.flatMap(({ namespaces }) =>
      namespaces.map(({ ana_grpid: group = '1' }) => group)))
    const states: Record<string, string> = {}
    for (const group of [...used].filter((each) => Number(each) <= ANA_GROUPS_MAX)) {
      // Where a port does not name a group, what is in it cannot be reached.
      const named = groups.find(({ grpid }) => grpid === group)?.ana.state
      states[group] = named ?? (groups.length === 0 ? 'optimized' : 'inaccessible')
    }
    for (const { grpid } of groups) {
      if (!used.has(grpid) && grpid !== '1') this.#notes.push(`ANA group ${grpid} of port ${portid} has no namespace; it is left out.`)
    }
    const plain = Object.values(states).every((state) => state === 'optimized')
    return { address, port: Number(trsvcid), ...(plain ? {} : { ana: states }) }
  }

  /** weft offers every subsystem on every listener. */
  #tellPartial(ports: readonly KernelPort[]): void {
    for (const { nqn } of this.#file.subsystems) {
      const without = ports.filter(({ subsystems }) => !subsystems.includes(nqn)).map(({ portid }) => portid)
      if (without.length === 0 || without.length === ports.length) continue
      const which = without.length === 1 ? `port ${without[0]}` : `ports ${without.join(', ')}`
      this.#notes.push(`${this.#name(nqn)} was not offered on ${which}; weft offers it on every listener.`)
    }
  }

  #referrals({ portid, referrals }: KernelPort): Fields[] {
    return referrals.flatMap(({ name, addr, enable }) => {
      const { trtype = '', traddr = '', trsvcid = String(DISCOVERY_PORT) } = addr
      const usable = enable !== 0 && trtype === 'tcp' && isIP(traddr) !== 0
      if (usable) return [{ address: traddr, port: Number(trsvcid) }]
      const why = enable === 0 ? 'it is not enabled' : 'it does not lead to a numeric address over TCP'
      this.#notes.push(`Referral ${name} of port ${portid} is left out: ${why}.`)
      return []
    })
  }

  #subsystem(subsystem: KernelSubsystem, ports: readonly KernelPort[]): Fields[] {
    const { attr, passthru } = subsystem
    const nqn = this.#name(subsystem.nqn)
    const leave = (why: string): Fields[] => {
      this.#notes.push(`Subsystem ${nqn} is left out: ${why}.`)
      return []
    }
    if (!isNqn(nqn)) {
      return leave(`that is no NVMe qualified name; --rename ${nqn}=nqn.2026-01.com.example:name gives it one`)
    }
    if (!ports.some(({ subsystems }) => subsystems.includes(subsystem.nqn))) return leave('no port offers it')
    if (passthru.some(({ enable }) => enable !== 0)) return leave('it passes commands through to a controller')
    const hosts = this.#hosts(nqn, subsystem)
    if (hosts !== 'any' && hosts.length === 0) return leave('no host may connect to it')
    if (attr.pi_enable === '1') this.#notes.push(`${nqn} had protection information, which weft does not offer.`)
    const [first, last] = [Number(attr.cntlid_min ?? CNTLID_MIN), Number(attr.cntlid_max ?? CNTLID_MAX)]
    return [{
      nqn, hosts, serial: attr.serial, model: attr.model ?? DEFAULT_MODEL,
      ...(first === CNTLID_MIN ? {} : { minCntlid: first }), ...(last === CNTLID_MAX ? {} : { maxCntlid: last }),
      namespaces: subsystem.namespaces.flatMap((each) => this.#namespace(nqn, each)),
    }]
  }

  #hosts(nqn: string, { attr, allowed_hosts: allowed }: KernelSubsystem): 'any' | (string | Fields)[] {
    if (attr.allow_any_host === '1') return 'any'
    return allowed.flatMap((each): (string | Fields)[] => {
      const host = this.#name(each)
      if (!isNqn(host)) {
        this.#notes.push(`Host ${host} may not connect to ${nqn} any more: that is no NVMe qualified name.`)
        return []
      }
      const { key, ctrl_key: controllerKey, dhgroup } = this.#file.hosts.find((one) => one.nqn === each)?.dhchap ?? {}
      if (key === undefined || key === '') return [host]
      return [{
        nqn: host, key, ...(controllerKey ? { controllerKey } : {}),
        // The kernel's target offers this group and no other; its hash is what a key is transformed with.
        ...(dhgroup ? { dhGroups: [dhgroup] } : {}),
      }]
    })
  }

  #namespace(nqn: string, { nsid, ana_grpid: group = '1', device, enable }: KernelNamespace): Fields[] {
    const { path = '', uuid = '', nguid = '' } = device
    const leave = (why: string): Fields[] => {
      this.#notes.push(`Namespace ${nsid} of ${nqn} is left out: ${why}.`)
      return []
    }
    if (enable === 0) return leave('it is not enabled')
    if (path === '' || path === '(null)') return leave('it has no device')
    if (Number(nsid) > LIMITS.namespaces) return leave(`weft numbers namespaces up to ${LIMITS.namespaces}`)
    let anaGroup = Number(group)
    if (anaGroup > ANA_GROUPS_MAX) {
      return leave(`weft has ANA groups up to ${ANA_GROUPS_MAX}, and this is in ${group}`)
    }
    if (anaGroup === 0) anaGroup = 1
    const isDevice = this.#parts.kindOf(path) === 'device'
    return [{
      nsid: Number(nsid),
      ...(isDevice ? { device: path } : { file: path, block: FILE_BLOCK_BYTES }),
      ...(NIL.test(uuid) ? {} : { uuid }),
      ...(NIL.test(nguid) ? {} : { nguid: nguid.replaceAll('-', '') }),
      ...(anaGroup === 1 ? {} : { anaGroup }),
    }]
  }
}

/** For `nvmetcli restore`. Secrets are not part of its files. */
export function exportKernel(config: Config): { file: object; notes: string[] } {
  const notes: string[] = []
  const hosts = [...new Set(config.subsystems.flatMap((each) => each.hosts ?? []))]
  const groups = [...new Set(config.subsystems.flatMap((each) => each.namespaces.map(({ anaGroup }) => anaGroup)))]
  for (const nqn of new Set(config.subsystems.flatMap(({ keys }) => keys.map((each) => each.nqn)))) {
    notes.push(`The key of ${nqn} is not in the file: nvmetcli keeps none. Until it is written to hosts/${nqn}/dhchap_key `
      + 'in the configfs of the kernel, that host connects without one.')
  }
  if (config.discoveryService.hosts !== null) {
    notes.push('The kernel\'s discovery service answers every host.')
  }
  const subsystems = config.subsystems.map((each) => ({
    allowed_hosts: each.hosts ?? [],
    attr: {
      allow_any_host: each.hosts === null ? '1' : '0', cntlid_max: String(each.controllers.last),
      cntlid_min: String(each.controllers.first), model: each.model, serial: each.serial,
    },
    namespaces: each.namespaces.flatMap((namespace) => kernelNamespace(each.nqn, namespace, notes)),
    nqn: each.nqn,
  }))
  const referrals = config.discoveryService.referrals.map(({ endpoint }, at) => ({
    addr: addressOf(endpoint), enable: 1, name: String(at + 1),
  }))
  const ports = config.listeners.map((listener, at) => ({
    addr: addressOf(listener),
    ana_groups: groups.map((grpid) => ({
      ana: { state: listener.ana?.groups[grpid] ?? listener.ana?.others ?? 'optimized' }, grpid,
    })),
    param: { inline_data_size: String(config.limits.inCapsuleBytes) },
    portid: at + 1, referrals, subsystems: config.subsystems.map(({ nqn }) => nqn),
  }))
  return { file: { hosts: hosts.map((nqn) => ({ nqn })), ports, subsystems }, notes }
}

function kernelNamespace(nqn: string, namespace: NamespaceConfig, notes: string[]): object[] {
  const { nsid, backing, blockBytes, uuid, nguid, anaGroup, readOnly, hosts } = namespace
  const name = `Namespace ${nsid} of ${nqn}`
  if (!('path' in backing)) {
    notes.push(`${name} is left out: the kernel's target has no ${backing.kind} namespaces.`)
    return []
  }
  if (hosts !== undefined) {
    notes.push(`${name} is left out: the kernel's target would show it to every host of its subsystem.`)
    return []
  }
  if (readOnly) {
    notes.push(`${name} is left out: the kernel's target would let hosts write it.`)
    return []
  }
  if (backing.kind === 'file' && blockBytes === 512) {
    notes.push(`${name} has blocks of 512 bytes, and the kernel's target may give a file blocks of 4096: hosts `
      + 'cannot read its partitions then. A loop device keeps them: losetup -f --show and its path here.')
  }
  const dashed = nguid.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
  return [{ ana_grpid: anaGroup, device: { nguid: dashed, path: backing.path, uuid }, enable: 1, nsid }]
}

function addressOf({ address, port }: { readonly address: string; readonly port: number }): object {
  return {
    adrfam: isIP(address) === 6 ? 'ipv6' : 'ipv4', traddr: address, treq: 'not specified', trsvcid: String(port),
    trtype: 'tcp',
  }
}
