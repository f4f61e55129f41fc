/**
 * Methods that tell of subsystems and of who uses them. catalogue.ts lists them; answers have SPDK's
 * form. What is told is what is in force: the configuration that is served and the model.
 */
import type { Config } from '../../config/config.ts'
import type { Draft } from '../../config/document.ts'
import type { ControllerRecord } from '../../subsystem/access.ts'
import { listenerKey } from '../../subsystem/ana.ts'
import { DISCOVERY_NQN, type SubsystemSnapshot } from '../../subsystem/subsystem.ts'
import type { Context } from '../context.ts'
import { nameOfHost, noSubsystem } from '../draft.ts'
import { method } from '../method.ts'
import { addressText, anaText, endpointOfText, nqn, tgtName } from '../spdk-form.ts'
import { indexOf } from '../../reactor/number.ts'

const subsystemName = nqn.describe('NQN of the subsystem.')
const one = { nqn: subsystemName, tgt_name: tgtName }

export const SUBSYSTEM_METHODS = [
  method('nvmf_get_subsystems', {
    summary: 'Describes the subsystems, or one: listeners, hosts, namespaces.',
    params: { nqn: subsystemName.optional(), tgt_name: tgtName },
    result: 'A list of objects: nqn, subtype, listen_addresses, allow_any_host, hosts, serial_number, '
      + 'model_number, namespaces, …',
    run: ({ nqn: wanted }, { target, document }) => {
      const { draft, config } = document
      const all = target.snapshot.subsystems.toSorted((left, right) => rank(left) - rank(right))
      if (wanted === undefined) return all.map((each) => describe(each, config, draft))
      return [describe(known(target.snapshot.subsystems, wanted), config, draft)]
    },
  }),
  method('nvmf_subsystem_get_controllers', {
    summary: 'Lists the controllers of a subsystem: the hosts that are connected to it.',
    params: one,
    result: 'A list of objects: cntlid, hostnqn, hostid, num_io_qpairs.',
    example: { nqn: 'nqn.2026-01.com.example:disks' },
    run: ({ nqn: wanted }, context) => controllersOf(context, wanted).map((each) => ({
      cntlid: each.cntlid, cntrltype: each.subsystem.kind === 'discovery' ? 'discovery' : 'io',
      hostnqn: each.hostNqn, hostid: uuidText(each.hostId),
      num_io_qpairs: each.queues.size - (each.queues.has(0) ? 1 : 0),
    })),
  }),
  method('nvmf_subsystem_get_qpairs', {
    summary: 'Lists the queue pairs of a subsystem: the connections to it.',
    params: one,
    result: 'A list of objects: cntlid, qid, state, thread, hostnqn, listen_address, peer_address.',
    example: { nqn: 'nqn.2026-01.com.example:disks' },
    run: ({ nqn: wanted }, context) => controllersOf(context, wanted).flatMap((controller) =>
      [...controller.queues.values()].map(({ qid, reactor }) => ({
        cntlid: controller.cntlid, qid, state: controller.ending === '' ? 'enabled' : 'deactivating',
        thread: `reactor_${indexOf(reactor)}`, hostnqn: controller.hostNqn,
        listen_address: addressText(endpointOfKey(controller.listener)),
        // Of the admin queue: the others come from the same host, through ports of their own.
        peer_address: addressText(endpointOfText(controller.address)),
      }))),
  }),
  method('nvmf_subsystem_get_listeners', {
    summary: 'Lists where a subsystem is served, and the ANA state of each group there.',
    params: one,
    result: 'A list of objects: address, ana_states.',
    example: { nqn: 'nqn.2026-01.com.example:disks' },
    run: ({ nqn: wanted }, { target }) => {
      const { endpoints, paths } = known(target.snapshot.subsystems, wanted)
      return endpoints.map((endpoint) => ({
        address: addressText(endpoint),
        ana_states: (paths.find(({ listener }) => listener === listenerKey(endpoint))?.groups ?? [])
          .map(({ group, state }) => ({ ana_group: group, ana_state: anaText(state) })),
      }))
    },
  }),
]

function controllersOf({ target }: Context, wanted: string): ControllerRecord[] {
  const { nqn: name } = known(target.snapshot.subsystems, wanted)
  return target.controllers().filter(({ subsystem }) => subsystem.nqn === name)
}

/** Throws an RpcError where there is no such subsystem. */
export function known(subsystems: readonly SubsystemSnapshot[], wanted: string): SubsystemSnapshot {
  const found = subsystems.find(({ nqn: name, kind }) =>
    name === wanted || (wanted === DISCOVERY_NQN && kind === 'discovery'))
  if (found === undefined) throw noSubsystem(wanted)
  return found
}

/** SPDK lists the discovery subsystem first, and clients skip the first. */
function rank({ kind }: SubsystemSnapshot): number {
  return kind === 'discovery' ? 0 : 1
}

function describe(subsystem: SubsystemSnapshot, config: Config, draft: Draft): object {
  const { kind, endpoints, hosts } = subsystem
  const discovery = kind === 'discovery'
  const written = discovery ? undefined : config.subsystems.find((each) => each.nqn === subsystem.nqn)
  const common = {
    nqn: subsystem.nqn, subtype: discovery ? 'Discovery' : 'NVMe',
    listen_addresses: endpoints.map(addressText), allow_any_host: hosts === null,
    hosts: discovery ? (hosts ?? []).map((name) => ({ nqn: name })) : hostsOf(draft, subsystem.nqn),
  }
  if (discovery) return common
  const { serial, model, label, controllers, namespaces } = subsystem
  return {
    ...common, serial_number: serial, model_number: model,
    ...(label === undefined ? {} : { admin_label: label }),
    min_cntlid: controllers.first, max_cntlid: controllers.last,
    namespaces: namespaces.map(({ nsid, nguid, uuid, anaGroup, hosts: seenBy }) => {
      const name = written?.namespaces.find((each) => each.nsid === nsid)?.use ?? `${subsystem.nqn}/${nsid}`
      return {
        nsid, bdev_name: name, name, nguid: nguid.toUpperCase(), uuid, anagrpid: anaGroup,
        ...(seenBy === undefined ? {} : { no_auto_visible: true, hosts: seenBy.map((each) => ({ nqn: each })) }),
      }
    }),
  }
}

/** With the names of their keys, where they were given by a name; a key that has none is only told of. */
function hostsOf(draft: Draft, name: string): object[] {
  const hosts: unknown = (draft.subsystems as Draft[]).find((each) => each.nqn === name)?.hosts
  if (!Array.isArray(hosts)) return []
  const names = Object.entries((draft.keyring ?? {}) as Record<string, string>)
  return hosts.map((host: string | Draft) => {
    if (typeof host === 'string') return { nqn: host }
    const { key, keyFile, controllerKey, controllerKeyFile } = host
    const named = (field: string, text: unknown, file: unknown): object => text === undefined && file === undefined
      ? {} : { [field]: names.find(([, path]) => path === file)?.[0] ?? '(without a name)' }
    return {
      nqn: nameOfHost(host), ...named('dhchap_key', key, keyFile),
      ...named('dhchap_ctrlr_key', controllerKey, controllerKeyFile),
    }
  })
}

function endpointOfKey(key: string): { address: string; port: number } {
  const [address, port] = key.split(' ')
  return { address: address!, port: Number(port) }
}

/** 32 hexadecimal digits with hyphens as a UUID has them. */
function uuidText(hex: string): string {
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-')
}

