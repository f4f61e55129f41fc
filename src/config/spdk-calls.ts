/**
 * A configuration as the calls that make SPDK's target serve it: what its load_config reads. export.ts → here;
 * the other direction is spdk-file.ts.
 *
 * Invariant: the calls stand in the order in which SPDK can make them.
 */
import { isIP } from 'node:net'
import { AUTH_GROUPS, AUTH_HASHES } from '../wire/authentication.ts'
import type { Config, NamespaceConfig, SubsystemConfig } from './config.ts'
import type { Endpoint } from '../subsystem/subsystem.ts'

type Call = { readonly method: string; readonly params: object }

/** By subsystem and host: the files with secrets. null: the secret stands in the configuration itself. */
export type KeyFiles = (nqn: string, host: string) => {
  readonly key: string | null
  /** undefined: it has none. */
  readonly controllerKey: string | null | undefined
}

const MIB = 1024 * 1024
const ANA_WORDS: Readonly<Record<string, string>> = {
  'optimized': 'optimized', 'non-optimized': 'non_optimized', 'inaccessible': 'inaccessible',
  'persistent-loss': 'inaccessible', 'change': 'inaccessible',
}
/** SPDK numbers namespaces of a subsystem up to what it is told when it is created. */
const NAMESPACES_LEAST = 32

export function exportSpdk(config: Config, keyFiles: KeyFiles): { file: object; notes: string[] } {
  const notes: string[] = []
  const keyring: Call[] = []
  const bdev: Call[] = []
  const nvmf: Call[] = [transportOf(config)]
  for (const { endpoint, nqn } of config.discoveryService.referrals) {
    nvmf.push({ method: 'nvmf_discovery_add_referral', params: { address: addressOf(endpoint), secure_channel: false, subnqn: nqn } })
  }
  for (const [index, subsystem] of config.subsystems.entries()) {
    nvmf.push(subsystemOf(subsystem))
    for (const listener of config.listeners) nvmf.push(...listenerOf(subsystem, listener, notes))
    for (const host of subsystem.hosts ?? []) nvmf.push(hostOf(subsystem, host, keyring, keyFiles, notes))
    for (const namespace of subsystem.namespaces) {
      const name = `weft${index}n${namespace.nsid}`
      const made = blockOf(name, subsystem.nqn, namespace, notes)
      if (made === null) continue
      bdev.push(made, ...limitsOf(name, namespace, notes))
      const { nsid, uuid, nguid, anaGroup, hosts } = namespace
      nvmf.push({
        method: 'nvmf_subsystem_add_ns',
        params: {
          nqn: subsystem.nqn,
          namespace: {
            nsid, bdev_name: name, nguid: nguid.toUpperCase(), uuid, anagrpid: anaGroup,
            no_auto_visible: hosts !== undefined,
          },
        },
      })
      for (const host of hosts ?? []) nvmf.push({ method: 'nvmf_ns_add_host', params: { nqn: subsystem.nqn, nsid, host } })
    }
  }
  const file = {
    subsystems: [
      { subsystem: 'keyring', config: keyring }, { subsystem: 'bdev', config: bdev }, { subsystem: 'nvmf', config: nvmf },
    ],
  }
  return { file, notes }
}

function transportOf({ limits }: Config): Call {
  return {
    method: 'nvmf_create_transport',
    params: {
      trtype: 'TCP', max_queue_depth: limits.queueDepth, max_io_qpairs_per_ctrlr: limits.ioQueues,
      in_capsule_data_size: limits.inCapsuleBytes, max_io_size: limits.maxTransferBytes,
    },
  }
}

function subsystemOf({ nqn, hosts, serial, model, label, controllers, namespaces }: SubsystemConfig): Call {
  return {
    method: 'nvmf_create_subsystem',
    params: {
      nqn, allow_any_host: hosts === null, serial_number: serial, model_number: model,
      max_namespaces: Math.max(NAMESPACES_LEAST, ...namespaces.map(({ nsid }) => nsid)),
      min_cntlid: controllers.first, max_cntlid: controllers.last, ana_reporting: true,
      ...(label === undefined ? {} : { admin_label: label }),
    },
  }
}

function listenerOf({ nqn, namespaces }: SubsystemConfig, listener: Config['listeners'][number], notes: string[]): Call[] {
  const address = addressOf(listener)
  const calls: Call[] = [{
    method: 'nvmf_subsystem_add_listener', params: { nqn, listen_address: address, secure_channel: false },
  }]
  const { ana } = listener
  for (const group of ana === undefined ? [] : new Set(namespaces.map(({ anaGroup }) => anaGroup))) {
    const state = ana!.groups[group] ?? ana!.others
    if (state === 'optimized') continue
    const word = ANA_WORDS[state]!
    if (word.replace('_', '-') !== state) {
      notes.push(`ANA group ${group} of ${nqn} is ${state} here, which SPDK has no word for; it becomes ${word}.`)
    }
    calls.push({
      method: 'nvmf_subsystem_listener_set_ana_state',
      params: { nqn, listen_address: address, ana_state: word, anagrpid: group },
    })
  }
  return calls
}

function hostOf(
  { nqn, keys }: SubsystemConfig, host: string, keyring: Call[], keyFiles: KeyFiles, notes: string[],
): Call {
  const key = keys.find((each) => each.nqn === host)
  const params: Record<string, unknown> = { nqn, host }
  if (key === undefined) return { method: 'nvmf_subsystem_add_host', params }
  const files = keyFiles(nqn, host)
  for (const [name, path] of [['dhchap_key', files.key], ['dhchap_ctrlr_key', files.controllerKey]] as const) {
    if (path === undefined) continue
    const keyName = `weft-${keyring.length}`
    if (path === null) {
      notes.push(`A key of ${host} for ${nqn} stands in the configuration itself, and SPDK wants it in a file: put it `
        + `into one, and its path to ${keyName} in the keyring.`)
    }
    keyring.push({ method: 'keyring_file_add_key', params: { name: keyName, path: path ?? '' } })
    params[name] = keyName
  }
  if (key.hashes.length !== AUTH_HASHES.length || key.groups.length !== AUTH_GROUPS.length) {
    notes.push(`The hashes and groups of ${host} are not limited in SPDK, which limits them for all hosts together.`)
  }
  return { method: 'nvmf_subsystem_add_host', params }
}

/** SPDK has no limits of the commands of one kind, and counts bandwidth in whole MiB. */
function limitsOf(name: string, { nsid, qos }: NamespaceConfig, notes: string[]): Call[] {
  if (qos === undefined) return []
  if (qos.readIops !== undefined || qos.writeIops !== undefined) {
    notes.push(`Namespace ${nsid} (${name}) has limits of commands that read or write alone, which SPDK has not: they are left out.`)
  }
  const mebibytes = (bytes: number | undefined): number => Math.ceil((bytes ?? 0) / MIB)
  return [{
    method: 'bdev_set_qos_limit',
    params: {
      name, rw_ios_per_sec: qos.iops ?? 0, rw_mbytes_per_sec: mebibytes(qos.bandwidth),
      r_mbytes_per_sec: mebibytes(qos.readBandwidth), w_mbytes_per_sec: mebibytes(qos.writeBandwidth),
    },
  }]
}

function blockOf(name: string, nqn: string, namespace: NamespaceConfig, notes: string[]): Call | null {
  const { backing, blockBytes, uuid, readOnly, nsid } = namespace
  if ('path' in backing) {
    return {
      method: 'bdev_aio_create',
      params: {
        name, filename: backing.path, ...(blockBytes === null ? {} : { block_size: blockBytes }), readonly: readOnly,
        fallocate: backing.kind === 'file',
      },
    }
  }
  if (readOnly) {
    notes.push(`Namespace ${nsid} of ${nqn} is left out: SPDK has no ${backing.kind} devices that are read-only.`)
    return null
  }
  const block = blockBytes!
  return {
    method: backing.kind === 'memory' ? 'bdev_malloc_create' : 'bdev_null_create',
    params: { name, num_blocks: Math.floor(backing.bytes / block), block_size: block, uuid },
  }
}

function addressOf({ address, port }: Endpoint): object {
  return { trtype: 'TCP', adrfam: isIP(address) === 6 ? 'IPv6' : 'IPv4', traddr: address, trsvcid: String(port) }
}
