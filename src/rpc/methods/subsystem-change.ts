/**
 * Methods that make and remove subsystems, and say who may connect to them. catalogue.ts lists them.
 */
import type { Draft } from '../../config/document.ts'
import { LIMITS, flag, whole } from '../../config/schema.ts'
import { CNTLID_MAX, CNTLID_MIN } from '../../wire/fabrics.ts'
import { hostsIn, nameOfHost, noSubsystem, subsystemIn } from '../draft.ts'
import { CODE, RpcError, invalid } from '../error.ts'
import { method } from '../method.ts'
import { hostNqn, notOffered, nqn, text, tgtName } from '../spdk-form.ts'

const EXAMPLE = 'nqn.2026-01.com.example:disks'
const HOST = 'nqn.2026-01.com.example:host1'
const one = { nqn: nqn.describe('NQN of the subsystem.'), tgt_name: tgtName }
const host = hostNqn.describe('NQN of the host.')
const keyName = text('the name of a key of the keyring').optional()
const keys = {
  dhchap_key: keyName.describe('The key that the host proves to have: its name in the keyring.'),
  dhchap_ctrlr_key: keyName.describe('The key that the controller proves to have to it.'),
}

export const SUBSYSTEM_CHANGE_METHODS = [
  method('nvmf_create_subsystem', {
    summary: 'Makes a subsystem, without namespaces, served nowhere until it has a listener.',
    params: {
      ...one,
      serial_number: text('1 to 20 printable ASCII characters').optional().describe('Derived unless said.'),
      model_number: text('1 to 40 printable ASCII characters').optional().describe('"weft" unless said.'),
      admin_label: text('1 to 256 printable ASCII characters').optional().describe('What people call it.'),
      max_namespaces: whole(0, LIMITS.namespaces).optional().describe(`At most ${LIMITS.namespaces}; all share them.`),
      allow_any_host: flag.optional().describe('Any host may connect; none, unless said.'),
      ana_reporting: flag.optional().describe('ANA is always reported.'),
      ...notOffered('passthrough', 'enable_nssr'),
      min_cntlid: whole(CNTLID_MIN, CNTLID_MAX).optional(),
      max_cntlid: whole(CNTLID_MIN, CNTLID_MAX).optional(),
    },
    result: 'true',
    changes: true,
    example: { nqn: EXAMPLE, serial_number: 'DISKS1', allow_any_host: true },
    run: (params, { edit }) => edit((draft) => {
      const subsystems = draft.subsystems as Draft[]
      if (subsystems.some((each) => each.nqn === params.nqn)) {
        throw new RpcError(CODE.INTERNAL, `Unable to create subsystem ${params.nqn}`, ['It is there already.'])
      }
      const { serial_number: serial, model_number: model, admin_label: label } = params
      const { min_cntlid: minCntlid, max_cntlid: maxCntlid } = params
      const all = { nqn: params.nqn, serial, model, label, minCntlid, maxCntlid, listeners: [], namespaces: [] }
      const hosts = params.allow_any_host === true ? { hosts: [], anyHost: true } : { hosts: [] }
      subsystems.push({ ...withoutHoles(all), ...hosts })
      return true
    }),
  }),
  method('nvmf_delete_subsystem', {
    summary: 'Removes a subsystem: its hosts are disconnected, its devices with a name stay.',
    params: one,
    result: 'true',
    changes: true,
    example: { nqn: EXAMPLE },
    run: (params, { edit }) => edit((draft) => {
      const subsystems = draft.subsystems as Draft[]
      if (!subsystems.some((each) => each.nqn === params.nqn)) throw noSubsystem(params.nqn)
      draft.subsystems = subsystems.filter((each) => each.nqn !== params.nqn)
      return true
    }),
  }),
  method('nvmf_subsystem_add_host', {
    summary: 'Lets a host connect, and has it authenticate where a key is named.',
    params: { ...one, host, ...keys },
    result: 'true',
    changes: true,
    example: { nqn: EXAMPLE, host: HOST, dhchap_key: 'host1' },
    run: (params, { edit }) => edit((draft) => {
      const hosts = hostsIn(subsystemIn(draft, params.nqn))
      if (hosts.some((each) => nameOfHost(each) === params.host)) {
        throw invalid(`${params.host} is among the hosts of ${params.nqn} already.`)
      }
      hosts.push(hostWith(draft, params.host, params))
      return true
    }),
  }),
  method('nvmf_subsystem_remove_host', {
    summary: 'No longer lets a host connect; it is disconnected, unless any host may connect.',
    params: {
      ...one, host,
      timeout_ms: whole(0, 2 ** 32 - 1).optional().describe('Has no effect: hosts are disconnected at once.'),
    },
    result: 'true',
    changes: true,
    example: { nqn: EXAMPLE, host: HOST },
    run: (params, { edit }) => edit((draft) => {
      const hosts = hostsIn(subsystemIn(draft, params.nqn))
      const at = hosts.findIndex((each) => nameOfHost(each) === params.host)
      if (at === -1) throw invalid(`${params.host} is not among the hosts of ${params.nqn}.`)
      hosts.splice(at, 1)
      return true
    }),
  }),
  method('nvmf_subsystem_allow_any_host', {
    summary: 'Lets any host connect, or only those that are listed again.',
    params: { ...one, allow_any_host: flag.describe('true: any host.') },
    result: 'true',
    changes: true,
    example: { nqn: EXAMPLE, allow_any_host: false },
    run: (params, { edit }) => edit((draft) => {
      const subsystem = subsystemIn(draft, params.nqn)
      hostsIn(subsystem)
      if (params.allow_any_host) subsystem.anyHost = true
      else delete subsystem.anyHost
      return true
    }),
  }),
  method('nvmf_subsystem_set_keys', {
    summary: 'Gives a host that is listed other keys; it uses them when it connects next.',
    params: { ...one, host, ...keys },
    result: 'true',
    changes: true,
    example: { nqn: EXAMPLE, host: HOST, dhchap_key: 'host1b' },
    run: (params, { edit }) => edit((draft) => {
      const hosts = hostsIn(subsystemIn(draft, params.nqn))
      const at = hosts.findIndex((each) => nameOfHost(each) === params.host)
      if (at === -1) throw invalid(`${params.host} is not among the hosts of ${params.nqn}.`)
      hosts[at] = hostWith(draft, params.host, params)
      return true
    }),
  }),
]

type KeyNames = { readonly dhchap_key?: string | undefined; readonly dhchap_ctrlr_key?: string | undefined }

function hostWith(draft: Draft, name: string, { dhchap_key: key, dhchap_ctrlr_key: other }: KeyNames): string | Draft {
  if (key === undefined && other === undefined) return name
  if (key === undefined) throw invalid('dhchap_key: found nothing, allowed: a key, where dhchap_ctrlr_key is there')
  const path = (wanted: string): string => {
    const found: unknown = draft.keyring?.[wanted]
    if (typeof found !== 'string') throw invalid(`There is no key ${wanted}; keyring_file_add_key adds one.`)
    return found
  }
  return { nqn: name, keyFile: path(key), ...(other === undefined ? {} : { controllerKeyFile: path(other) }) }
}

function withoutHoles(fields: Draft): Draft {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined))
}
