/**
 * The configuration of SPDK's target as its save_config writes it, read for `weft import`. import.ts → here;
 * what `weft export` writes is in spdk-calls.ts.
 *
 *   {subsystems: [{subsystem: "bdev", config: [{method, params}]}, {subsystem: "nvmf", …}]}
 *
 * It is a list of calls in the order in which they are to be made; newer ones have lists of calls that go together.
 * Invariant: as in import.ts.
 */
import { isIP } from 'node:net'
import { z } from 'zod'
import { pciPlace } from '../nvme/address.ts'
import { ANA_GROUPS_MAX } from '../subsystem/ana.ts'
import { DISCOVERY_NQN } from '../subsystem/subsystem.ts'
import { AUTH_GROUPS, AUTH_HASHES } from '../wire/authentication.ts'
import { CNTLID_MAX, CNTLID_MIN } from '../wire/fabrics.ts'
import type { Fields, ImportParts, Imported } from './import.ts'
import { isNqn } from './nqn.ts'
import { LIMITS } from './schema.ts'

const call = z.looseObject({
  method: z.string({ error: 'the name of a method' }), params: z.looseObject({}, { error: 'an object' }).optional(),
})

export const spdkSchema = z.looseObject({
  subsystems: z.array(z.looseObject({
    subsystem: z.string({ error: 'the name of a subsystem' }),
    config: z.array(z.union([call, z.array(call)], { error: 'a call, or a list of calls' }), {
      error: 'a list of calls',
    }).nullish(),
  }), { error: 'a list' }),
})

export type SpdkFile = z.infer<typeof spdkSchema>

type Params = Readonly<Record<string, unknown>>
type Block = { readonly kind: string; readonly fields: Fields | null; readonly uuid: string }

/** Those of SPDK's subsystems that say what is served. */
const READ = ['keyring', 'bdev', 'nvmf']
const TRANSPORT_LIMITS = [
  ['max_queue_depth', 'queueDepth', 16, 1024], ['max_io_qpairs_per_ctrlr', 'ioQueues', 1, 256],
  ['in_capsule_data_size', 'inCapsule', 0, 256 * 1024], ['max_io_size', 'maxTransfer', 4096, 16 * 1024 * 1024],
] as const
const MIB = 1024 * 1024
const LIMIT_NAMES = [
  ['rw_ios_per_sec', 'iops', 1], ['rw_mbytes_per_sec', 'bandwidth', MIB], ['r_mbytes_per_sec', 'readBandwidth', MIB],
  ['w_mbytes_per_sec', 'writeBandwidth', MIB],
] as const
const ANA_WORDS: Readonly<Record<string, string>> = {
  optimized: 'optimized', non_optimized: 'non-optimized', inaccessible: 'inaccessible',
}
const NIL = /^[0-]*$/

type Subsystem = {
  readonly fields: Fields
  readonly any: boolean
  readonly hosts: (string | Fields)[]
  readonly namespaces: Fields[]
  /** Where it is offered, as listenerText writes it. */
  readonly offered: string[]
}

export function importSpdk(file: SpdkFile, parts: ImportParts): Imported {
  return new SpdkReader(parts).read(file)
}

class SpdkReader {
  readonly #parts: ImportParts
  readonly #notes: string[] = []
  readonly #keys = new Map<string, string>()
  readonly #blocks = new Map<string, Block>()
  /** By name: PCI addresses. */
  readonly #controllers = new Map<string, string>()
  readonly #subsystems = new Map<string, Subsystem>()
  readonly #listeners = new Map<string, Fields>()
  readonly #discovery = new Map<string, Fields>()
  readonly #referrals: Fields[] = []
  readonly #limits: Fields = {}
  #hashes: string[] | null = null
  #groups: string[] | null = null

  constructor(parts: ImportParts) {
    this.#parts = parts
  }

  read({ subsystems }: SpdkFile): Imported {
    for (const { subsystem, config } of subsystems) {
      if (!READ.includes(subsystem)) continue
      for (const { method, params = {} } of (config ?? []).flat()) this.#take(method, params)
    }
    this.#tellPartial()
    const served = [...this.#subsystems].flatMap(([nqn, each]) => this.#finish(nqn, each))
    const listeners = [...this.#listeners.values()]
    if (listeners.length === 0) this.#notes.push('No listener could be taken over: weft listens where it does by default.')
    const discovery = [...this.#discovery.values()]
    const written = {
      ...(Object.keys(this.#limits).length === 0 ? {} : { limits: this.#limits }),
      ...(listeners.length === 0 ? {} : { listeners }),
      // Every listener of SPDK offers discovery, as those of weft do.
      discovery: discovery.length === 0 ? false : discovery,
      ...(this.#referrals.length === 0 ? {} : { referrals: this.#referrals }),
      subsystems: served,
    }
    return { source: 'SPDK', written, notes: this.#notes }
  }

  #take(method: string, params: Params): void {
    switch (method) {
      case 'keyring_file_add_key':
        this.#keys.set(textOf(params.name), textOf(params.path))
        return
      case 'nvmf_set_config':
        this.#hashes = listOf(params.dhchap_digests)?.map((each) => each.replace(/^sha/, 'sha-')) ?? null
        this.#groups = listOf(params.dhchap_dhgroups)
        return
      case 'nvmf_create_transport':
        return this.#transport(params)
      case 'nvmf_create_subsystem':
        return this.#subsystem(params)
      case 'nvmf_subsystem_add_listener':
        return this.#listener(params)
      case 'nvmf_subsystem_listener_set_ana_state':
        return this.#ana(params)
      case 'nvmf_subsystem_add_host':
        return this.#host(params)
      case 'nvmf_subsystem_add_ns':
        return this.#namespace(params)
      case 'nvmf_discovery_add_referral':
        return this.#referral(params)
      case 'nvmf_ns_add_host':
        return this.#show(params)
      case 'bdev_nvme_attach_controller':
        if (pciPlace(textOf(params.traddr)) !== null) this.#controllers.set(textOf(params.name), textOf(params.traddr))
        return this.#block(method, params)
      case 'bdev_set_qos_limit':
        return this.#limit(params)
      default:
        if (method.startsWith('bdev_')) this.#block(method, params)
    }
  }

  #block(method: string, params: Params): void {
    const name = textOf(params.name)
    if (name === '') return
    const { block_size: block, num_blocks: count, filename, readonly, md_size: metadata } = params
    const kind = method.replace(/^bdev_|_create$|_controller$/g, '')
    const uuid = textOf(params.uuid)
    const sized = block === 512 || block === 4096
    let fields: Fields | null = null
    if (kind === 'malloc' || kind === 'null') {
      const size = Number(count) * Number(block)
      if (sized && !metadata) fields = { [kind === 'null' ? 'null' : 'memory']: size, block }
    } else if (kind === 'aio' || kind === 'uring') {
      const path = textOf(filename)
      const medium = { [this.#parts.kindOf(path)]: path, ...(sized ? { block } : {}) }
      if (sized || !block) fields = { ...medium, ...(readonly === true ? { readOnly: true } : {}) }
    }
    this.#blocks.set(name, { kind, fields, uuid })
  }

  /** A namespace of a controller that SPDK drove, and weft will. */
  #driven(name: string): Block | undefined {
    const [, controller = '', nsid] = /^(.+)n(\d+)$/.exec(name) ?? []
    const address = this.#controllers.get(controller)
    return address === undefined ? undefined : { kind: 'nvme', fields: { pci: `${address}/${nsid}` }, uuid: '' }
  }

  /** Of a block device, whose namespace has them here. */
  #limit(params: Params): void {
    const fields = this.#blocks.get(textOf(params.name))?.fields
    if (fields === undefined || fields === null) return
    const limits = { ...fields.qos as Fields | undefined }
    for (const [from, to, unit] of LIMIT_NAMES) {
      const value = params[from]
      if (typeof value === 'number' && value > 0) limits[to] = value * unit
      else if (value === 0) delete limits[to]
    }
    delete fields.qos
    if (Object.keys(limits).length !== 0) fields.qos = limits
  }

  #transport(params: Params): void {
    if (textOf(params.trtype).toUpperCase() !== 'TCP') {
      this.#notes.push(`The transport ${textOf(params.trtype)} is left out: weft speaks TCP.`)
      return
    }
    for (const [from, to, least, most] of TRANSPORT_LIMITS) {
      const value = params[from]
      if (typeof value !== 'number') continue
      const taken = Math.min(Math.max(to === 'maxTransfer' ? 2 ** Math.floor(Math.log2(value)) : value, least), most)
      this.#limits[to] = to === 'inCapsule' ? Math.floor(taken / 512) * 512 : taken
    }
  }

  #subsystem(params: Params): void {
    const nqn = this.#name(params.nqn)
    if (!isNqn(nqn)) {
      this.#notes.push(`Subsystem ${nqn} is left out: that is no NVMe qualified name; `
        + `--rename ${nqn}=nqn.2026-01.com.example:name gives it one.`)
      return
    }
    if (params.passthrough === true) {
      this.#notes.push(`Subsystem ${nqn} is left out: it passes commands through to a controller.`)
      return
    }
    const { serial_number: serial, model_number: model, min_cntlid: first, max_cntlid: last } = params
    this.#subsystems.set(nqn, {
      any: params.allow_any_host === true, hosts: [], namespaces: [], offered: [],
      fields: {
        nqn, ...(textOf(serial) === '' ? {} : { serial }), ...(textOf(model) === '' ? {} : { model }),
        ...(typeof first === 'number' && first !== CNTLID_MIN ? { minCntlid: first } : {}),
        ...(typeof last === 'number' && last !== CNTLID_MAX ? { maxCntlid: last } : {}),
        ...(textOf(params.admin_label) === '' ? {} : { label: params.admin_label }),
      },
    })
  }

  #listener(params: Params): void {
    const nqn = this.#name(params.nqn)
    const endpoint = endpointOf(params.listen_address)
    const leave = (why: string): void => { this.#notes.push(`A listener of ${nqn} is left out: ${why}.`) }
    if (endpoint === null) return leave('it is no numeric address over TCP')
    if (params.secure_channel === true) return leave('it asks for TLS, which weft does not offer')
    const key = keyOf(endpoint)
    if (nqn === DISCOVERY_NQN) {
      this.#discovery.set(key, endpoint)
      return
    }
    this.#subsystems.get(nqn)?.offered.push(key)
    if (!this.#listeners.has(key)) this.#listeners.set(key, { ...endpoint })
  }

  #ana(params: Params): void {
    const endpoint = endpointOf(params.listen_address)
    const listener = endpoint === null ? undefined : this.#listeners.get(keyOf(endpoint))
    const state = ANA_WORDS[textOf(params.ana_state)]
    if (listener === undefined || state === undefined || state === 'optimized') return
    const group = params.anagrpid
    if (typeof group === 'number') listener.ana = { ...listener.ana as object, [group]: state }
    else listener.ana = state
  }

  #host(params: Params): void {
    const nqn = this.#name(params.host)
    const subsystem = this.#subsystems.get(this.#name(params.nqn))
    if (subsystem === undefined) return
    const name = textOf(subsystem.fields.nqn)
    const leave = (why: string): void => { this.#notes.push(`Host ${nqn} may not connect to ${name} any more: ${why}.`) }
    if (!isNqn(nqn)) return leave('that is no NVMe qualified name')
    if (params.psk !== undefined) return leave('it uses TLS, which weft does not offer')
    const { dhchap_key: key, dhchap_ctrlr_key: controllerKey } = params
    if (key === undefined) {
      subsystem.hosts.push(nqn)
      return
    }
    const [keyFile, controllerKeyFile] = [this.#keys.get(textOf(key)), this.#keys.get(textOf(controllerKey))]
    if (keyFile === undefined || (controllerKey !== undefined && controllerKeyFile === undefined)) {
      return leave(`its key ${textOf(keyFile === undefined ? key : controllerKey)} is in no file that the configuration names`)
    }
    subsystem.hosts.push({
      nqn, keyFile, ...(controllerKeyFile === undefined ? {} : { controllerKeyFile }),
      ...fewer('hashes', this.#hashes, AUTH_HASHES), ...fewer('dhGroups', this.#groups, AUTH_GROUPS),
    })
  }

  #namespace(params: Params): void {
    const nqn = this.#name(params.nqn)
    const namespace = (params.namespace ?? {}) as Params
    const { nsid, bdev_name: name, nguid, uuid, anagrpid: group, no_auto_visible: hidden } = namespace
    const subsystem = this.#subsystems.get(nqn)
    const leave = (why: string): void => { this.#notes.push(`Namespace ${textOf(nsid)} of ${nqn} is left out: ${why}.`) }
    if (subsystem === undefined) return
    const block = this.#blocks.get(textOf(name)) ?? this.#driven(textOf(name))
    if (block === undefined) return leave(`there is no block device ${textOf(name)} in the file`)
    if (block.fields === null) return leave(`weft cannot serve ${textOf(name)}, which is made by ${block.kind}`)
    if (Number(nsid) > LIMITS.namespaces) return leave(`weft numbers namespaces up to ${LIMITS.namespaces}`)
    if (typeof group === 'number' && group > ANA_GROUPS_MAX) return leave(`weft has ANA groups up to ${ANA_GROUPS_MAX}`)
    const id = [textOf(uuid), block.uuid].find((each) => !NIL.test(each))
    subsystem.namespaces.push({
      ...(typeof nsid === 'number' ? { nsid } : {}), ...block.fields, ...(id === undefined ? {} : { uuid: id.toLowerCase() }),
      ...(NIL.test(textOf(nguid)) ? {} : { nguid: textOf(nguid).toLowerCase() }),
      ...(typeof group === 'number' && group > 1 ? { anaGroup: group } : {}),
      ...(hidden === true ? { hosts: [] } : {}),
    })
  }

  /** One of the hosts that see a namespace which is not there for all of them. */
  #show(params: Params): void {
    const nqn = this.#name(params.nqn)
    const found = this.#subsystems.get(nqn)?.namespaces.find(({ nsid }) => nsid === params.nsid)
    if (!Array.isArray(found?.hosts)) return
    const host = this.#name(params.host)
    if (isNqn(host)) found.hosts.push(host)
    else this.#notes.push(`Host ${host} does not see namespace ${textOf(params.nsid)} of ${nqn}: that is no NVMe qualified name.`)
  }

  #referral(params: Params): void {
    const endpoint = endpointOf(params.address)
    const subnqn = textOf(params.subnqn)
    if (endpoint === null || params.secure_channel === true) {
      this.#notes.push('A referral is left out: it does not lead to a numeric address over plain TCP.')
      return
    }
    this.#referrals.push({ ...endpoint, ...(subnqn === '' || subnqn === DISCOVERY_NQN ? {} : { subnqn }) })
  }

  #finish(nqn: string, { fields, any, hosts, namespaces, offered }: Subsystem): Fields[] {
    const why = offered.length === 0 ? 'no listener offers it' : !any && hosts.length === 0 ? 'no host may connect to it' : ''
    if (why === '') {
      const keyed = hosts.some((each) => typeof each !== 'string')
      if (any && keyed) this.#notes.push(`Only the hosts that are listed may connect to ${nqn} now: some of them have keys.`)
      return [{ ...fields, hosts: any && !keyed ? 'any' : hosts, namespaces }]
    }
    this.#notes.push(`Subsystem ${nqn} is left out: ${why}.`)
    return []
  }

  /** weft offers every subsystem on every listener. */
  #tellPartial(): void {
    for (const [nqn, { offered }] of this.#subsystems) {
      const without = [...this.#listeners.keys()].filter((each) => !offered.includes(each))
      if (without.length === 0 || offered.length === 0) continue
      this.#notes.push(`${nqn} was not offered on ${without.join(', ')}; weft offers it on every listener.`)
    }
  }

  #name(written: unknown): string {
    const nqn = textOf(written)
    return this.#parts.renames.get(nqn) ?? nqn
  }
}

/** Nothing where all of them are allowed, which is what weft does when nobody says. */
function fewer(key: string, words: readonly string[] | null, all: readonly { readonly name: string }[]): Fields {
  const known = words?.filter((word) => all.some(({ name }) => name === word)) ?? []
  return known.length === 0 || known.length === all.length ? {} : { [key]: known }
}

function endpointOf(address: unknown): { address: string; port: number } | null {
  const { trtype, traddr, trsvcid } = (address ?? {}) as Params
  const usable = textOf(trtype).toUpperCase() === 'TCP' && isIP(textOf(traddr)) !== 0
  return usable ? { address: textOf(traddr), port: Number(trsvcid) } : null
}

function keyOf({ address, port }: { readonly address: string; readonly port: number }): string {
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : typeof value === 'number' ? String(value) : ''
}

function listOf(value: unknown): string[] | null {
  return Array.isArray(value) ? value.map(textOf) : null
}
