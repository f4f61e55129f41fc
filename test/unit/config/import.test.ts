/** Configurations of the kernel's target and of SPDK: what becomes of them, and what is said of the rest. */
import { describe, expect, test } from 'vitest'
import { exportConfig, type Format } from '../../../src/config/export.ts'
import { type ImportParts, importConfig } from '../../../src/config/import.ts'
import { ConfigError } from '../../../src/config/mistake.ts'
import { readConfig } from '../../../src/config/read.ts'
import { configSchema } from '../../../src/config/schema.ts'

const NQN = 'nqn.2026-01.com.example:disks'
const HOST = 'nqn.2014-08.org.nvmexpress:uuid:4c4c4544-0035-5910-804b-c2c04f4d3233'
const UUID = 'd592cdf3-5d1c-44e0-8412-3fcf7d99df27'
const AROUND = { machineId: 'f'.repeat(32), cpuCount: 2, folder: '/etc/weft', state: '/var/lib/weft' }
const PARTS: ImportParts = {
  kindOf: (path) => (path.startsWith('/dev/') ? 'device' : 'file'), renames: new Map(),
}

/** What nvmetcli 0.8 saves, with one change or another. */
function kernelFile(changes: { subsystem?: object; port?: object; namespace?: object; hosts?: object[] } = {}) {
  return {
    hosts: changes.hosts ?? [{ nqn: HOST }],
    ports: [{
      addr: { adrfam: 'ipv4', traddr: '192.0.2.33', treq: 'not specified', trsvcid: '4420', trtype: 'tcp', tsas: 'none' },
      ana_groups: [{ ana: { state: 'optimized' }, grpid: 1 }, { ana: { state: 'non-optimized' }, grpid: 2 }],
      param: { inline_data_size: '16384', pi_enable: '0' }, portid: 1,
      referrals: [{ addr: { adrfam: 'ipv4', traddr: '192.0.2.34', trsvcid: '8009', trtype: 'tcp' }, enable: 1, name: 'b' }],
      subsystems: [NQN], ...changes.port,
    }],
    subsystems: [{
      allowed_hosts: [HOST],
      attr: {
        allow_any_host: '0', cntlid_max: '65519', cntlid_min: '1', model: 'Linux', pi_enable: '0',
        serial: '123456789abcdef', version: '1.3',
      },
      namespaces: [
        {
          ana: { grpid: '1' }, ana_grpid: 1, enable: 1, nsid: 1,
          device: { nguid: '00000000-0000-0000-0000-000000000000', path: '/dev/nvme0n1', uuid: UUID },
          ...changes.namespace,
        },
        {
          ana_grpid: 3, enable: 1, nsid: 7,
          device: { nguid: '5c0a5fb1-1a2b-3c4d-5e6f-708192a3b4c5', path: '/srv/b.img', uuid: '' },
        },
      ],
      nqn: NQN, ...changes.subsystem,
    }],
  }
}

function imported(input: unknown, parts = PARTS) {
  const { written, notes } = importConfig(input, 'config.json', parts)
  return { written, notes, config: readConfig(written, 'config.json', AROUND) }
}

describe('the kernel\'s target', () => {
  test('becomes a configuration that serves the same disks by the same names', () => {
    const { config, notes } = imported(kernelFile())
    expect(notes).toEqual(['ANA group 2 of port 1 has no namespace; it is left out.'])
    expect(config.listeners).toEqual([{
      address: '192.0.2.33', port: 4420, ana: { others: 'optimized', groups: { 1: 'optimized', 3: 'inaccessible' } },
    }])
    expect(config.discovery).toEqual([])
    expect(config.limits.inCapsuleBytes).toBe(16384)
    expect(config.discoveryService.referrals.map(({ endpoint }) => endpoint)).toEqual([{ address: '192.0.2.34', port: 8009 }])
    expect(config.subsystems).toHaveLength(1)
    const { nqn, hosts, serial, model, namespaces } = config.subsystems[0]!
    expect({ nqn, hosts, serial, model }).toEqual({ nqn: NQN, hosts: [HOST], serial: '123456789abcdef', model: 'Linux' })
    expect(namespaces.map(({ nsid, backing, blockBytes, anaGroup }) => ({ nsid, backing, blockBytes, anaGroup }))).toEqual([
      { nsid: 1, backing: { kind: 'device', path: '/dev/nvme0n1' }, blockBytes: null, anaGroup: 1 },
      { nsid: 7, backing: { kind: 'file', path: '/srv/b.img', bytes: null, create: false }, blockBytes: 4096, anaGroup: 3 },
    ])
    expect(namespaces[0]!.uuid).toBe(UUID)
    expect(namespaces[1]!.nguid).toBe('5c0a5fb11a2b3c4d5e6f708192a3b4c5')
  })

  test('with a host that has a key', () => {
    const key = 'DHHC-1:00:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh+KfiaR:'
    const { written } = imported2(kernelFile({ hosts: [{ nqn: HOST, dhchap: { key, ctrl_key: '', hash: 'hmac(sha256)', dhgroup: 'ffdhe2048' } }] }))
    expect(subsystemsOf(written)[0]!.hosts).toEqual([{ nqn: HOST, key, dhGroups: ['ffdhe2048'] }])
  })

  test.each([
    ['nobody may connect to', { subsystem: { allowed_hosts: [] } }, 'no host may connect to it'],
    ['has no NQN', { subsystem: { nqn: 'testnqn' }, port: { subsystems: ['testnqn'] } }, '--rename testnqn='],
    ['no port offers', { port: { subsystems: ['nqn.2026-01.com.example:other'] } }, 'no port offers it'],
    ['is a controller of another machine', { subsystem: { passthru: [{ device: { path: '/dev/nvme0' }, enable: 1 }] } },
      'passes commands through'],
    ['a port with TLS alone offers', { port: { addr: { trtype: 'tcp', traddr: '192.0.2.33', trsvcid: '4420', treq: 'required', tsas: 'tls1.3' } } },
      'asks for TLS'],
    ['RDMA alone offers', { port: { addr: { trtype: 'rdma', traddr: '192.0.2.33', trsvcid: '4420' } } }, 'its transport is rdma'],
  ])('a subsystem that %s is left out, and that is said', (_name, changes, sentence) => {
    const { written, notes } = imported2(kernelFile(changes))
    expect(written.subsystems).toEqual([])
    expect(notes.join('\n')).toContain(sentence)
  })

  test('a name that is none gets one by --rename', () => {
    const file = kernelFile({ subsystem: { nqn: 'testnqn' }, port: { subsystems: ['testnqn'] } })
    const { config } = imported(file, { ...PARTS, renames: new Map([['testnqn', NQN]]) })
    expect(config.subsystems.map(({ nqn }) => nqn)).toEqual([NQN])
  })

  test('a namespace that is not enabled is left out', () => {
    const { config, notes } = imported(kernelFile({ namespace: { enable: 0 } }))
    expect(config.subsystems[0]!.namespaces.map(({ nsid }) => nsid)).toEqual([7])
    expect(notes).toContain(`Namespace 1 of ${NQN} is left out: it is not enabled.`)
  })

  test('what is broken is refused with its place', () => {
    const broken = { ...kernelFile(), subsystems: [{ nqn: 5 }] }
    expect(() => imported(broken)).toThrow(ConfigError)
    expect(() => imported(broken)).toThrow('subsystems[0].nqn: found 5, allowed: an NQN')
    expect(() => imported({ hosts: [] })).toThrow('neither what nvmetcli saves')
  })
})

/** What SPDK's save_config prints. */
function spdkFile(changes: { nvmf?: object[]; bdev?: object[]; listener?: object; namespace?: object } = {}) {
  const address = { trtype: 'TCP', adrfam: 'IPv4', traddr: '192.0.2.33', trsvcid: '4420' }
  return {
    subsystems: [
      { subsystem: 'iobuf', config: [{ method: 'iobuf_set_options', params: { small_pool_count: 8192 } }] },
      { subsystem: 'vmd', config: null },
      { subsystem: 'keyring', config: [{ method: 'keyring_file_add_key', params: { name: 'key0', path: '/etc/keys/0' } }] },
      {
        subsystem: 'bdev',
        config: [
          { method: 'bdev_set_options', params: { bdev_io_pool_size: 65535 } },
          {
            method: 'bdev_malloc_create',
            params: {
              name: 'Malloc0', num_blocks: 131072, block_size: 512, physical_block_size: 512, uuid: UUID, md_size: 0,
              optimal_io_boundary: 0, dif_type: 0,
            },
          },
          { method: 'bdev_aio_create', params: { name: 'aio0', block_size: 4096, filename: '/srv/a.img', readonly: true, fallocate: false } },
          { method: 'bdev_nvme_attach_controller', params: { name: 'Nvme0', trtype: 'PCIe', traddr: '0000:03:00.0' } },
          ...(changes.bdev ?? []),
          { method: 'bdev_wait_for_examine' },
        ],
      },
      {
        subsystem: 'nvmf',
        config: [
          { method: 'nvmf_set_config', params: { dhchap_digests: ['sha384', 'sha512'], dhchap_dhgroups: ['null', 'ffdhe2048'] } },
          { method: 'nvmf_set_crdt', params: { crdt1: 0, crdt2: 0, crdt3: 0 } },
          {
            method: 'nvmf_create_transport',
            params: { trtype: 'TCP', max_queue_depth: 128, max_io_qpairs_per_ctrlr: 127, in_capsule_data_size: 4096, max_io_size: 131072 },
          },
          [{
            method: 'nvmf_create_subsystem',
            params: {
              nqn: NQN, allow_any_host: false, serial_number: 'SPDK00000000000001', model_number: 'SPDK bdev Controller',
              max_namespaces: 32, min_cntlid: 1, max_cntlid: 65519, ana_reporting: true, admin_label: 'the label',
            },
          }],
          { method: 'nvmf_subsystem_add_listener', params: { nqn: NQN, listen_address: address, secure_channel: false, ...changes.listener } },
          { method: 'nvmf_subsystem_add_host', params: { nqn: NQN, host: HOST, dhchap_key: 'key0' } },
          {
            method: 'nvmf_subsystem_add_ns',
            params: { nqn: NQN, namespace: { nsid: 1, bdev_name: 'Malloc0', nguid: 'D592CDF35D1C44E084123FCF7D99DF27', uuid: UUID, no_auto_visible: false, ...changes.namespace } },
          },
          { method: 'nvmf_subsystem_add_ns', params: { nqn: NQN, namespace: { nsid: 2, bdev_name: 'aio0', anagrpid: 4 } } },
          ...(changes.nvmf ?? []),
        ],
      },
    ],
  }
}

/** The keys are in files that are not there, so only what is written is looked at. */
function imported2(input: unknown, parts = PARTS) {
  return importConfig(input, 'config.json', parts)
}

function subsystemsOf(written: Record<string, unknown>): { hosts: unknown; namespaces: Record<string, unknown>[] }[] {
  return written.subsystems as { hosts: unknown; namespaces: Record<string, unknown>[] }[]
}

describe('SPDK', () => {
  test('its calls become a configuration', () => {
    const { written, notes } = imported2(spdkFile())
    expect(notes).toEqual([])
    expect(written).toEqual({
      limits: { queueDepth: 128, ioQueues: 127, inCapsule: 4096, maxTransfer: 131072 },
      listeners: [{ address: '192.0.2.33', port: 4420 }],
      discovery: false,
      subsystems: [{
        nqn: NQN, serial: 'SPDK00000000000001', model: 'SPDK bdev Controller', label: 'the label',
        hosts: [{ nqn: HOST, keyFile: '/etc/keys/0', hashes: ['sha-384', 'sha-512'], dhGroups: ['null', 'ffdhe2048'] }],
        namespaces: [
          { nsid: 1, memory: 64 * 1024 ** 2, block: 512, uuid: UUID, nguid: 'd592cdf35d1c44e084123fcf7d99df27' },
          { nsid: 2, file: '/srv/a.img', block: 4096, readOnly: true, anaGroup: 4 },
        ],
      }],
    })
    expect(configSchema.safeParse(written).success).toBe(true)
  })

  test.each([
    ['a device that weft cannot serve', { bdev_name: 'Nvme0' }, 'weft cannot serve Nvme0'],
    ['a device that is not in the file', { bdev_name: 'Other' }, 'no block device Other'],
  ])('a namespace is left out and told: %s', (_name, namespace, sentence) => {
    const { written, notes } = imported2(spdkFile({ namespace }))
    expect(subsystemsOf(written)[0]!.namespaces.map(({ nsid }) => nsid)).toEqual([2])
    expect(notes.join('\n')).toContain(sentence)
  })

  test('a namespace of a controller over PCIe is taken over: weft drives it then', () => {
    const { written, notes } = imported2(spdkFile({ namespace: { bdev_name: 'Nvme0n2' } }))
    expect(notes).toEqual([])
    expect(subsystemsOf(written)[0]!.namespaces[0]).toMatchObject({ nsid: 1, pci: '0000:03:00.0/2' })
    expect(configSchema.safeParse(written).success).toBe(true)
  })

  test('limits are taken over, and written back', () => {
    const limits = { rw_ios_per_sec: 20000, rw_mbytes_per_sec: 0, r_mbytes_per_sec: 5, w_mbytes_per_sec: 0 }
    const { written, notes } = imported2(spdkFile({ bdev: [{ method: 'bdev_set_qos_limit', params: { name: 'Malloc0', ...limits } }] }))
    expect(notes).toEqual([])
    expect(subsystemsOf(written)[0]!.namespaces[0]!.qos).toEqual({ iops: 20000, readBandwidth: 5 << 20 })
    const limited = configSchema.parse({ subsystems: [{ nqn: NQN, namespaces: [{ memory: '1M', qos: { iops: 20000, readBandwidth: '5M', writeIops: 3 } }] }] })
    const { file, notes: told } = exportConfig(readConfig(limited, 'weft.json', AROUND), limited, AROUND.folder, 'spdk')
    expect(JSON.stringify(file)).toContain(JSON.stringify({ method: 'bdev_set_qos_limit', params: { name: 'weft0n1', ...limits } }))
    expect(told.join('\n')).toContain('read or write alone')
  })

  test('hosts that a namespace is there for are taken over, and written back', () => {
    const show = { method: 'nvmf_ns_add_host', params: { nqn: NQN, nsid: 1, host: HOST } }
    const { written, notes } = imported2(spdkFile({ namespace: { no_auto_visible: true }, nvmf: [show] }))
    expect(notes).toEqual([])
    expect(subsystemsOf(written)[0]!.namespaces[0]!.hosts).toEqual([HOST])
    const seenBy = configSchema.parse({ subsystems: [{ nqn: NQN, namespaces: [{ memory: '1M', hosts: [HOST] }, { file: 'a.img', hosts: [HOST] }] }] })
    const config = readConfig(seenBy, 'weft.json', AROUND)
    expect(JSON.stringify(exportConfig(config, seenBy, AROUND.folder, 'spdk').file)).toContain(JSON.stringify(show))
    const kernel = exportConfig(config, seenBy, AROUND.folder, 'nvmet')
    expect(kernel.notes.join('\n')).toContain('would show it to every host')
  })

  test('a listener with TLS does not become one without', () => {
    const { written, notes } = imported2(spdkFile({ listener: { secure_channel: true } }))
    expect(written.listeners).toBeUndefined()
    expect(written.subsystems).toEqual([])
    expect(notes.join('\n')).toContain('asks for TLS')
  })
})

describe('written for others', () => {
  const written = configSchema.parse({
    listeners: [{ address: '192.0.2.33', ana: { 2: 'inaccessible' } }, { address: '::1', port: 4421 }],
    subsystems: [
      { nqn: NQN, hosts: [HOST], namespaces: [{ device: '/dev/nvme0n1' }, { file: 'b.img', size: '1G', block: 4096, anaGroup: 2 }] },
      { nqn: 'nqn.2026-01.com.example:more', namespaces: [{ file: 'c.img', block: 4096, readOnly: true }, { memory: '64M' }] },
    ],
  })
  const config = readConfig(written, 'weft.json', AROUND)

  test('as weft\'s own it has everything that was derived, and says the same on another machine', () => {
    const { file } = exportConfig(config, written, AROUND.folder, 'weft')
    const again = readConfig(file, 'weft.json', { ...AROUND, machineId: '0'.repeat(32), folder: '/elsewhere' })
    expect(again).toEqual({ ...config, discoveryRequired: true })
  })

  test('a pool is kept in weft\'s own, and missed in others', () => {
    const pooled = { subsystems: [{ nqn: 'nqn.2026-01.com.example:pool', pool: { path: 'pool', size: 1024 ** 3 } }] }
    const served = readConfig(pooled, 'weft.json', AROUND)
    const as = (format: Format) => exportConfig(served, pooled, AROUND.folder, format)
    const pool = { path: `${AROUND.folder}/pool`, size: 1024 ** 3 }
    expect(as('weft').file).toMatchObject({ subsystems: [{ pool }] })
    for (const format of ['nvmet', 'spdk'] as const) expect(as(format).notes.join()).toContain('The pool of nqn')
  })

  test('and what is written for nvmetcli is read back', () => {
    const { file, notes } = exportConfig(config, written, AROUND.folder, 'nvmet')
    expect(notes).toEqual([
      'Namespace 1 of nqn.2026-01.com.example:more is left out: the kernel\'s target would let hosts write it.',
      'Namespace 2 of nqn.2026-01.com.example:more is left out: the kernel\'s target has no memory namespaces.',
    ])
    const again = imported(file).config
    expect(again.listeners).toEqual([
      { address: '192.0.2.33', port: 4420, ana: { others: 'optimized', groups: { 1: 'optimized', 2: 'inaccessible' } } },
      { address: '::1', port: 4421 },
    ])
    expect(again.subsystems[0]).toEqual({
      ...config.subsystems[0],
      namespaces: config.subsystems[0]!.namespaces.map((each) => ({
        ...each, ...('bytes' in each.backing ? { backing: { ...each.backing, bytes: null, create: false } } : {}),
      })),
    })
  })

  test('and what is written for SPDK is read back', () => {
    const { file } = exportConfig(config, written, AROUND.folder, 'spdk')
    const again = imported(file).config
    expect(again.listeners[0]).toEqual({ address: '192.0.2.33', port: 4420, ana: { others: 'optimized', groups: { 2: 'inaccessible' } } })
    expect(again.limits).toEqual({ ...config.limits })
    const strip = ({ subsystems }: typeof config) => subsystems.map(({ namespaces, ...rest }) => ({
      ...rest, namespaces: namespaces.map(({ nsid, uuid, nguid, anaGroup, readOnly, blockBytes }) =>
        ({ nsid, uuid, nguid, anaGroup, readOnly, blockBytes })),
    }))
    expect(strip(again)).toEqual(strip(config))
  })

  test('secrets are named for SPDK, and missed for nvmetcli', () => {
    const keyed = configSchema.parse({
      subsystems: [{ nqn: NQN, hosts: [{ nqn: HOST, key: 'DHHC-1:00:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh+KfiaR:' }], namespaces: [{ memory: '1M' }] }],
    })
    const withKey = readConfig(keyed, 'weft.json', AROUND)
    const as = (format: Format) => exportConfig(withKey, keyed, AROUND.folder, format)
    for (const format of ['nvmet', 'spdk'] as const) {
      expect(JSON.stringify(as(format).file)).not.toContain('DHHC')
      expect(as(format).notes.join('\n')).toContain(HOST)
    }
    expect(as('weft').notes.join('\n')).toContain('secrets')
  })
})
