/**
 * Methods about the configuration as a whole, as calls that make it again: what SPDK's rpc.py
 * save_config and load_config are made of. catalogue.ts lists them.
 *
 * Invariant: the calls that are answered, made to a weft that serves nothing, make it serve the same; but limits
 * of bandwidth, which SPDK counts in whole MiB, are rounded up to them.
 */
import { resolve } from 'node:path'
import { z } from 'zod'
import type { Config, DeviceConfig, ListenerConfig, NamespaceConfig, SubsystemConfig } from '../../config/config.ts'
import { flag, section } from '../../config/schema.ts'
import { pciAddresses, pciPlace } from '../../nvme/address.ts'
import { ANA_GROUPS_MAX, stateOf } from '../../subsystem/ana.ts'
import type { Context } from '../context.ts'
import { nameOfHost } from '../draft.ts'
import { CODE, RpcError } from '../error.ts'
import { method } from '../method.ts'
import { addressText, anaText, text } from '../spdk-form.ts'
import { controllerNames } from './device-controller.ts'
import { assignedLimits } from './device-use.ts'

type Call = { readonly method: string; readonly params: object }

const call = section({
  method: text('the name of a method'), params: z.record(z.string(), z.unknown(), { error: 'an object' }).optional(),
})
const part = section({
  subsystem: text('"keyring", "bdev" or "nvmf"'), config: z.array(call, { error: 'a list of calls' }).nullable(),
})

export const CONFIGURATION_METHODS = [
  method('framework_get_subsystems', {
    summary: 'Lists the parts of a configuration, in the order in which they are loaded.',
    result: 'A list of objects: subsystem, depends_on.',
    run: () => [
      { subsystem: 'keyring', depends_on: [] }, { subsystem: 'bdev', depends_on: ['keyring'] },
      { subsystem: 'nvmf', depends_on: ['bdev', 'keyring'] },
    ],
  }),
  method('framework_get_config', {
    summary: 'Says the calls that make a part of the configuration again.',
    params: {
      name: z.enum(['keyring', 'bdev', 'nvmf'], { error: '"keyring", "bdev" or "nvmf"' }).describe('The part.'),
      with_batches: flag.optional().describe('Has no effect.'),
    },
    result: 'A list of objects: method, params.',
    example: { name: 'nvmf' },
    run: ({ name }, context) => callsOf(context)[name],
  }),
  method('save_config', {
    summary: 'Says the calls that make all of the configuration again; weft keeps it by itself.',
    result: 'An object: subsystems, a list of parts with their calls; load_config takes it.',
    run: (_params, context) => ({
      subsystems: Object.entries(callsOf(context)).map(([subsystem, config]) => ({ subsystem, config })),
    }),
  }),
  method('load_config', {
    summary: 'Makes the calls of a saved configuration, until one of them fails.',
    params: { subsystems: z.array(part, { error: 'a list of parts' }).describe('As save_config answers it.') },
    result: 'The number of calls.',
    changes: true,
    example: { subsystems: [{ subsystem: 'bdev', config: [] }] },
    run: async ({ subsystems }, context) => {
      const calls = subsystems.flatMap(({ config }) => config ?? [])
      for (const [at, { method: name, params }] of calls.entries()) {
        const found = context.methods.find((each) => each.name === name && each.name !== 'load_config')
        try {
          if (found === undefined) throw new RpcError(CODE.METHOD_NOT_FOUND, 'Method not found')
          await found.call(params, context)
        } catch (error) {
          throw error instanceof RpcError ? new RpcError(error.code, error.message,
            [`Call ${at + 1} of ${calls.length}, ${name}, failed; those before it were made.`, ...error.details]) : error
        }
      }
      return calls.length
    },
  }),
]

function callsOf(context: Context): Readonly<Record<'keyring' | 'bdev' | 'nvmf', Call[]>> {
  const { document: { config, draft } } = context
  const keyring = new Map(Object.entries((draft.keyring ?? {}) as Record<string, string>))
  const names = controllerNames(context)
  const bdev = (config.devices ?? []).filter(({ backing }) => backing.kind !== 'pci')
    .flatMap((each) => [deviceCall(each), ...limitCalls(each.name, each.qos)])
  bdev.push(...attachCalls(config, names))
  const nvmf: Call[] = [{ method: 'nvmf_create_transport', params: { trtype: 'TCP' } }]
  for (const { endpoint, nqn } of config.discoveryService.referrals) {
    nvmf.push({ method: 'nvmf_discovery_add_referral', params: { address: addressText(endpoint), subnqn: nqn } })
  }
  for (const [at, subsystem] of config.subsystems.entries()) {
    nvmf.push(creation(subsystem))
    for (const each of draft.subsystems[at].hosts === 'any' ? [] : draft.subsystems[at].hosts ?? []) {
      nvmf.push(hostCall(subsystem.nqn, each as Parameters<typeof hostCall>[1], keyring))
    }
    for (const namespace of subsystem.namespaces) {
      const name = driven(namespace, names) ?? namespace.use ?? `weft${at}n${namespace.nsid}`
      if (namespace.use === undefined && namespace.backing.kind === 'pci') bdev.push(...limitCalls(name, namespace.qos))
      else if (namespace.use === undefined) bdev.push(deviceCall({ ...namespace, name }), ...limitCalls(name, namespace.qos))
      nvmf.push(namespaceCall(subsystem.nqn, name, namespace))
      for (const host of namespace.hosts ?? []) {
        nvmf.push({ method: 'nvmf_ns_add_host', params: { nqn: subsystem.nqn, nsid: namespace.nsid, host } })
      }
    }
    for (const each of subsystem.listeners ?? config.listeners) nvmf.push(...listenerCalls(subsystem.nqn, each))
  }
  return {
    keyring: [...keyring].map(([name, path]) => ({ method: 'keyring_file_add_key', params: { name, path } })),
    bdev, nvmf,
  }
}

function deviceCall({ name, backing, blockBytes, readOnly, uuid }: DeviceConfig): Call {
  const common = { name, ...(uuid === undefined ? {} : { uuid }) }
  if (!('path' in backing)) {
    const size = blockBytes ?? 512
    return {
      method: backing.kind === 'memory' ? 'bdev_malloc_create' : 'bdev_null_create',
      params: { ...common, block_size: size, num_blocks: Math.floor(backing.bytes / size) },
    }
  }
  return {
    method: 'bdev_aio_create',
    params: {
      ...common, filename: backing.path, ...(blockBytes === null ? {} : { block_size: blockBytes }),
      readonly: readOnly,
    },
  }
}

/** One for each controller: it makes devices of all of its namespaces. */
function attachCalls({ devices = [], subsystems }: Config, names: ReadonlyMap<string, string>): Call[] {
  const all = [...devices, ...subsystems.flatMap(({ namespaces }) => namespaces)]
  const calls = [...new Set(pciAddresses(all))].map((address) => ({
    method: 'bdev_nvme_attach_controller', params: { name: names.get(address) ?? address, trtype: 'PCIe', traddr: address },
  }))
  const limits = devices.flatMap((each) => each.backing.kind === 'pci' ? limitCalls(driven(each, names)!, each.qos) : [])
  return [...calls, ...limits]
}

/** The name that attaching gives to what is on a controller; null for all else. */
function driven({ backing }: Pick<DeviceConfig, 'backing'>, names: ReadonlyMap<string, string>): string | null {
  if (backing.kind !== 'pci') return null
  const { address, nsid } = pciPlace(backing.path)!
  return `${names.get(address) ?? address}n${nsid}`
}

function limitCalls(name: string, qos: DeviceConfig['qos']): Call[] {
  return qos === undefined ? [] : [{ method: 'bdev_set_qos_limit', params: { name, ...assignedLimits(qos) } }]
}

function creation({ nqn, serial, model, label, hosts, controllers }: SubsystemConfig): Call {
  return {
    method: 'nvmf_create_subsystem',
    params: {
      nqn, serial_number: serial, model_number: model, ...(label === undefined ? {} : { admin_label: label }),
      allow_any_host: hosts === null, min_cntlid: controllers.first, max_cntlid: controllers.last,
    },
  }
}

type WrittenHost = string | { nqn: string; keyFile?: string; controllerKeyFile?: string }

/** Of a key without a name, nothing can be said here. */
function hostCall(nqn: string, host: WrittenHost, keyring: ReadonlyMap<string, string>): Call {
  const { keyFile, controllerKeyFile } = typeof host === 'string' ? { keyFile: undefined, controllerKeyFile: undefined } : host
  const nameOf = (path: string | undefined): string | undefined =>
    path === undefined ? undefined : [...keyring].find(([, each]) => each === resolve(path))?.[0]
  const [key, other] = [nameOf(keyFile), nameOf(controllerKeyFile)]
  return {
    method: 'nvmf_subsystem_add_host',
    params: {
      nqn, host: nameOfHost(host), ...(key === undefined ? {} : { dhchap_key: key }),
      ...(other === undefined ? {} : { dhchap_ctrlr_key: other }),
    },
  }
}

function namespaceCall(nqn: string, name: string, { nsid, uuid, nguid, anaGroup, hosts }: NamespaceConfig): Call {
  return {
    method: 'nvmf_subsystem_add_ns',
    params: {
      nqn, namespace: {
        nsid, bdev_name: name, uuid, nguid: nguid.toUpperCase(), anagrpid: anaGroup,
        ...(hosts === undefined ? {} : { no_auto_visible: true }),
      },
    },
  }
}

function listenerCalls(nqn: string, { ana, ...endpoint }: ListenerConfig): Call[] {
  const at = { nqn, listen_address: addressText(endpoint) }
  const others = ana === undefined ? 'optimized' : ana.others
  const calls: Call[] = [{ method: 'nvmf_subsystem_add_listener', params: { ...at, ana_state: anaText(others) } }]
  for (let group = 1; ana !== undefined && group <= ANA_GROUPS_MAX; group++) {
    const state = stateOf(ana, group)
    if (state === others) continue
    calls.push({
      method: 'nvmf_subsystem_listener_set_ana_state', params: { ...at, ana_state: anaText(state), anagrpid: group },
    })
  }
  return calls
}
