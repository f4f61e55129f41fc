/**
 * The methods, over the real socket of a real daemon: each one called, what it changed seen, also by a
 * daemon that comes after one that was killed; what is wrong refused.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { callMethod } from '../../../src/rpc/client.ts'
import { METHODS } from '../../../src/rpc/catalogue.ts'

const NQN = 'nqn.2026-01.com.example:made'
const HOST = 'nqn.2026-01.com.example:host1'
const SECRET = 'DHHC-1:00:ia6zGodOr4SEG0Zzaw398rpY0wqipUWj4jWjUh4HWUz6aQ2n:'
/** Of 127.0.0.0/8 some address that nobody else has. */
const byte = (): number => 1 + Math.floor(Math.random() * 253)
const PLACE = { trtype: 'TCP', adrfam: 'IPv4', traddr: `127.${byte()}.${byte()}.${byte()}`, trsvcid: '4420' }
const REFERRAL = { trtype: 'TCP', adrfam: 'IPv4', traddr: '192.0.2.9', trsvcid: '8009' }

let folder = ''
let daemon: ChildProcess
const called = new Set<string>()

const configuration = () => ({
  listeners: [{ address: '127.0.0.1', port: 0 }], discovery: false as const, reactors: 1,
  state: join(folder, 'state'), control: join(folder, 'weft.sock'), subsystems: [],
})

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'weft-methods-'))
  writeFileSync(join(folder, 'key'), SECRET, { mode: 0o600 })
  writeFileSync(join(folder, 'disk.img'), '')
  truncateSync(join(folder, 'disk.img'), 1 << 20)
  writeFileSync(join(folder, 'weft.json'), JSON.stringify(configuration()))
  daemon = await start()
})

afterAll(async () => {
  await kill()
  rmSync(folder, { recursive: true })
})

/** Both times with the same file: what is kept belongs to it. */
async function start(): Promise<ChildProcess> {
  const main = fileURLToPath(new URL('../../../src/main.ts', import.meta.url))
  const args = ['serve', '--config', join(folder, 'weft.json'), '--log', 'json']
  const child = spawn(process.execPath, [main, ...args], { stdio: ['ignore', 'pipe', 'inherit'] })
  let text = ''
  for await (const piece of child.stdout.iterator({ destroyOnReturn: false })) {
    text += String(piece)
    if (text.includes('"event":"ready"')) break
  }
  expect(text).toContain('"event":"ready"')
  child.stdout.resume()
  return child
}

async function kill(): Promise<void> {
  if (daemon.exitCode !== null || daemon.signalCode !== null) return
  const ended = once(daemon, 'exit')
  daemon.kill('SIGKILL')
  await ended
}

async function ask(method: string, params: object = {}): Promise<unknown> {
  called.add(method)
  const outcome = await callMethod(join(folder, 'weft.sock'), method, params)
  if (outcome.error !== undefined) throw new Error(JSON.stringify(outcome.error))
  return outcome.result
}

/** Code and sentences. */
async function refused(method: string, params: object = {}): Promise<string> {
  return ask(method, params).then(() => 'it was done', ({ message }: Error) => message)
}

test('devices: made, told of, resized, looked at again, removed', async () => {
  expect(await ask('bdev_malloc_create', { block_size: 512, num_blocks: 2048 })).toBe('Malloc0')
  expect(await ask('bdev_null_create', { name: 'Null0', block_size: 4096, num_blocks: 256 })).toBe('Null0')
  expect(await refused('bdev_null_create', { name: 'Null0', block_size: 4096, num_blocks: 256 })).toContain('-17')
  expect(await refused('bdev_malloc_create', { block_size: 520, num_blocks: 1 }))
    .toContain('block_size: found 520, allowed: 512 or 4096')
  for (const kind of ['aio', 'uring']) {
    const name = `File-${kind}`
    const made = { name, filename: join(folder, 'disk.img') }
    expect(await ask(`bdev_${kind}_create`, made)).toBe(name)
    truncateSync(made.filename, kind === 'aio' ? 2 << 20 : 3 << 20)
    expect(await ask(`bdev_${kind}_rescan`, { name })).toBe(true)
    expect(await ask('bdev_get_bdevs', { name }))
      .toMatchObject([{ num_blocks: kind === 'aio' ? 4096 : 6144, claimed: false, block_size: 512 }])
    expect(await ask(`bdev_${kind}_delete`, { name })).toBe(true)
  }
  expect(await refused('bdev_aio_create', { name: 'x', filename: join(folder, 'absent') })).toContain('-19')
  expect(await refused('bdev_malloc_delete', { name: 'Null0' })).toContain('-19')
  await ask('bdev_null_resize', { name: 'Null0', new_size: 2 })
  await ask('weft_resize_bdev', { name: 'Malloc0', size: 1 << 21 })
  expect(await ask('bdev_get_bdevs')).toMatchObject([
    { name: 'Malloc0', num_blocks: 4096 }, { name: 'Null0', num_blocks: 512, block_size: 4096 },
  ])
  expect(await ask('bdev_null_delete', { name: 'Null0' })).toBe(true)
  expect(await refused('bdev_get_bdevs', { name: 'Null0' })).toContain('"code":-19,"message":"No such device"')
})

test('a subsystem: made, given namespace, hosts, keys and listener; told of', async () => {
  const at = { nqn: NQN, listen_address: PLACE }
  await ask('nvmf_create_transport', { trtype: 'TCP', max_queue_depth: 128 })
  expect(await refused('nvmf_create_transport', { trtype: 'TCP', max_queue_depth: 99999 })).toContain('at most 1024')
  await ask('nvmf_set_max_subsystems', { max_subsystems: 10 })
  await ask('nvmf_create_subsystem', { nqn: NQN, serial_number: 'MADE1' })
  expect(await refused('nvmf_create_subsystem', { nqn: NQN })).toContain(`"code":-32603,"message":"Unable to create subsystem ${NQN}"`)
  expect(await ask('nvmf_subsystem_add_ns', { nqn: NQN, namespace: { bdev_name: 'Malloc0' } })).toBe(1)
  expect(await refused('nvmf_subsystem_add_ns', { nqn: NQN, namespace: { bdev_name: 'Malloc0' } })).toContain('uses Malloc0 already')
  await ask('nvmf_subsystem_set_ns_ana_group', { nqn: NQN, nsid: 1, anagrpid: 2 })
  await ask('keyring_file_add_key', { name: 'key1', path: join(folder, 'key') })
  expect(await refused('keyring_file_add_key', { name: 'key2', path: join(folder, 'disk.img') })).toContain('path: ')
  expect(await ask('keyring_get_keys')).toMatchObject([{ name: 'key1', path: join(folder, 'key') }])
  await ask('nvmf_subsystem_add_host', { nqn: NQN, host: HOST })
  expect(await refused('nvmf_subsystem_add_host', { nqn: NQN, host: HOST })).toContain('-32602')
  await ask('nvmf_subsystem_set_keys', { nqn: NQN, host: HOST, dhchap_key: 'key1' })
  expect(await refused('nvmf_subsystem_set_keys', { nqn: NQN, host: HOST, dhchap_key: 'absent' })).toContain('no key absent')
  await ask('nvmf_subsystem_add_listener', at)
  expect(await refused('nvmf_subsystem_add_listener', at)).toContain('served there already')
  await ask('nvmf_subsystem_listener_set_ana_state', { ...at, ana_state: 'inaccessible', anagrpid: 2 })
  expect(await ask('nvmf_subsystem_get_listeners', { nqn: NQN }))
    .toEqual([{ address: PLACE, ana_states: [{ ana_group: 2, ana_state: 'inaccessible' }] }])
  expect(await ask('nvmf_get_subsystems', { nqn: NQN })).toMatchObject([{
    serial_number: 'MADE1', allow_any_host: false, hosts: [{ nqn: HOST, dhchap_key: 'key1' }],
    listen_addresses: [PLACE], namespaces: [{ nsid: 1, bdev_name: 'Malloc0', anagrpid: 2 }],
  }])
  expect(await refused('nvmf_get_subsystems', { nqn: `${NQN}x` }))
    .toContain(`"code":-32602,"message":"Subsystem with NQN '${NQN}x' not found"`)
  await ask('nvmf_discovery_add_referral', { address: REFERRAL })
  expect(await ask('nvmf_discovery_get_referrals')).toMatchObject([{ address: REFERRAL }])
  expect(await ask('nvmf_subsystem_get_controllers', { nqn: NQN })).toEqual([])
  expect(await ask('nvmf_subsystem_get_qpairs', { nqn: NQN })).toEqual([])
})

test('hosts that a namespace is there for', async () => {
  const at = { nqn: NQN, nsid: 1 }
  const seenBy = async (): Promise<unknown> => {
    const [{ namespaces: [one] }] = await ask('nvmf_get_subsystems', { nqn: NQN }) as [{ namespaces: [{ hosts?: unknown }] }]
    return one.hosts
  }
  expect(await refused('nvmf_ns_add_host', { ...at, host: HOST })).toContain('is there for every host')
  expect(await refused('nvmf_ns_add_host', { nqn: NQN, nsid: 9, host: HOST })).toContain('has no namespace 9')
  expect(await refused('nvmf_ns_add_host', { ...at, host: 'me' })).toContain('host: found ')
  await ask('weft_set_ns', { ...at, hosts: [] })
  expect(await seenBy()).toEqual([])
  await Promise.all([HOST, HOST, `${HOST}2`].map((host) => ask('nvmf_ns_add_host', { ...at, host })))
  expect(await seenBy()).toEqual([{ nqn: HOST }, { nqn: `${HOST}2` }])
  await ask('nvmf_ns_remove_host', { ...at, host: HOST })
  await ask('nvmf_ns_remove_host', { ...at, host: HOST })
  expect(await seenBy()).toEqual([{ nqn: `${HOST}2` }])
  expect(await refused('weft_set_ns', { ...at, hosts: 'some' })).toContain('or a list of host NQNs')
})

test('limits of devices, in SPDK\'s units, and what was done with them', async () => {
  const limitsOf = async (name: string): Promise<unknown> =>
    (await ask('bdev_get_bdevs', { name }) as [{ assigned_rate_limits: unknown }])[0].assigned_rate_limits
  const none = { rw_ios_per_sec: 0, rw_mbytes_per_sec: 0, r_mbytes_per_sec: 0, w_mbytes_per_sec: 0, r_ios_per_sec: 0, w_ios_per_sec: 0 }
  expect(await limitsOf('Malloc0')).toEqual(none)
  expect(await refused('bdev_set_qos_limit', { name: 'Malloc0' })).toContain('No rate limits specified')
  expect(await refused('bdev_set_qos_limit', { name: 'absent', rw_ios_per_sec: 1 })).toContain('-19')
  expect(await refused('bdev_set_qos_limit', { name: 'Malloc0', rw_ios_per_sec: -1 })).toContain('rw_ios_per_sec: found -1')
  await Promise.all([{ rw_ios_per_sec: 20000 }, { r_mbytes_per_sec: 7 }, { w_ios_per_sec: 9 }]
    .map((limits) => ask('bdev_set_qos_limit', { name: 'Malloc0', ...limits })))
  const limits = { ...none, rw_ios_per_sec: 20000, r_mbytes_per_sec: 7, w_ios_per_sec: 9 }
  expect(await limitsOf('Malloc0')).toEqual(limits)
  expect(await ask('framework_get_config', { name: 'bdev' }))
    .toContainEqual({ method: 'bdev_set_qos_limit', params: { name: 'Malloc0', ...limits } })
  await ask('bdev_set_qos_limit', { name: 'Malloc0', rw_ios_per_sec: 0, r_mbytes_per_sec: 0, w_ios_per_sec: 0 })
  expect(await limitsOf('Malloc0')).toEqual(none)
  await ask('bdev_set_qos_limit', { name: 'Malloc0', w_mbytes_per_sec: 5 })
  expect(await ask('bdev_get_iostat', { names: ['Malloc0'] })).toMatchObject({
    tick_rate: 1e9, bdevs: [{ name: 'Malloc0', num_read_ops: 0, bytes_written: 0, write_latency_ticks: 0 }],
  })
  expect(await ask('bdev_get_iostat')).toMatchObject({ bdevs: [{ name: 'Malloc0' }] })
  expect(await refused('bdev_get_iostat', { name: 'absent' })).toContain('-19')
  expect(await refused('bdev_get_iostat', { reset_mode: 'all' })).toContain('counters of weft only grow')
})

test('namespaces and devices in the words of the configuration', async () => {
  expect(await ask('weft_add_device', { name: 'own', device: { memory: '1M', qos: { iops: 5 } } })).toBe(true)
  expect(await refused('weft_add_device', { name: 'own', device: { memory: '1M' } })).toContain('"code":-17')
  expect(await refused('weft_add_device', { name: 'two', device: { memory: '1M', null: '1M' } })).toContain('exactly one of')
  expect(await refused('weft_add_device', { name: 'two', device: { memory: 'much' } })).toContain('device.memory: found')
  expect(await ask('weft_set_device', { name: 'own', size: '2M', qos: { iops: null, readIops: 7 } })).toBe(true)
  expect(await refused('weft_set_device', { name: 'absent', size: '2M' })).toContain('"code":-19')
  expect(await ask('bdev_get_bdevs', { name: 'own' }))
    .toMatchObject([{ num_blocks: 4096, assigned_rate_limits: { rw_ios_per_sec: 0, r_ios_per_sec: 7 } }])
  expect(await Promise.all([{ use: 'own' }, { null: '1M' }].map((namespace) => ask('weft_add_ns', { nqn: NQN, namespace }))))
    .toEqual([{ nsid: 2 }, { nsid: 3 }])
  expect(await refused('weft_add_ns', { nqn: NQN, namespace: { nsid: 2, null: '1M' } })).toContain('"code":-17')
  expect(await refused('weft_add_ns', { nqn: NQN, namespace: { use: 'own' } })).toContain('no other namespace')
  expect(await ask('weft_set_ns', { nqn: NQN, nsid: 2, size: 3145728, qos: { readIops: 8 }, anaGroup: 3 })).toBe(true)
  expect(await ask('bdev_get_bdevs', { name: 'own' }))
    .toMatchObject([{ num_blocks: 6144, claimed: true, assigned_rate_limits: { r_ios_per_sec: 8 } }])
  expect(await refused('weft_set_ns', { nqn: NQN, nsid: 9, size: '1M' })).toContain('has no namespace 9')
  expect(await refused('weft_remove_device', { name: 'own' })).toContain('remove it first')
  for (const nsid of [2, 3]) await ask('nvmf_subsystem_remove_ns', { nqn: NQN, nsid })
  expect(await ask('weft_remove_device', { name: 'own' })).toBe(true)
})

test('calls that come at once are all made, and all there when the daemon was killed', async () => {
  const names = Array.from({ length: 6 }, (_, index) => `${NQN}-${index}`)
  await Promise.all(names.map((nqn) => ask('nvmf_create_subsystem', { nqn })))
  const saved = await ask('save_config')
  await kill()
  daemon = await start()
  expect(await ask('save_config')).toEqual(saved)
  const listed = await ask('nvmf_get_subsystems') as { nqn: string }[]
  expect(listed.map(({ nqn }) => nqn).slice(1).toSorted()).toEqual([NQN, ...names].toSorted())
  await Promise.all(names.map((nqn) => ask('nvmf_delete_subsystem', { nqn })))
})

test('what was made can be undone, and loaded again', async () => {
  const saved = await ask('save_config')
  const parts = await Promise.all(['keyring', 'bdev', 'nvmf'].map(async (name) =>
    ({ subsystem: name, config: await ask('framework_get_config', { name }) })))
  expect(saved).toEqual({ subsystems: parts })
  await ask('nvmf_subsystem_remove_ns', { nqn: NQN, nsid: 1 })
  expect(await refused('nvmf_subsystem_remove_ns', { nqn: NQN, nsid: 1 })).toContain('has no namespace 1')
  expect(await ask('bdev_get_bdevs')).toMatchObject([{ name: 'Malloc0', claimed: false }])
  await ask('nvmf_subsystem_remove_listener', { nqn: NQN, listen_address: PLACE })
  expect(await refused('nvmf_subsystem_remove_listener', { nqn: NQN, listen_address: PLACE })).toContain('not served there')
  await ask('nvmf_subsystem_remove_host', { nqn: NQN, host: HOST })
  expect(await refused('nvmf_subsystem_remove_host', { nqn: NQN, host: HOST })).toContain('-32602')
  await ask('nvmf_subsystem_allow_any_host', { nqn: NQN, allow_any_host: true })
  expect(await ask('nvmf_get_subsystems', { nqn: NQN })).toMatchObject([{ allow_any_host: true, namespaces: [] }])
  await ask('nvmf_delete_subsystem', { nqn: NQN })
  await ask('bdev_malloc_delete', { name: 'Malloc0' })
  await ask('keyring_file_remove_key', { name: 'key1' })
  expect(await refused('keyring_file_remove_key', { name: 'key1' })).toContain('"code":-2')
  await ask('nvmf_discovery_remove_referral', { address: REFERRAL })
  expect(await refused('nvmf_discovery_remove_referral', { address: REFERRAL })).toContain('Unable to remove a referral.')
  expect(await ask('load_config', saved as object)).toBeGreaterThan(5)
  expect(await ask('save_config')).toEqual(saved)
  expect(await refused('load_config', saved as object)).toContain('keyring_file_add_key, failed')
})

test('what only tells', async () => {
  expect(await ask('spdk_get_version')).toMatchObject({ fields: { major: expect.any(Number) as number } })
  expect(await ask('rpc_get_methods')).toEqual(METHODS.map(({ name }) => name))
  expect(await ask('rpc.discover')).toMatchObject({ openrpc: '1.3.2' })
  expect(await ask('framework_wait_init')).toBe(true)
  expect(await ask('framework_get_reactors')).toMatchObject({ pid: daemon.pid, reactors: [{ in_interrupt: false }] })
  expect(await ask('framework_get_subsystems')).toHaveLength(3)
  expect(await ask('nvmf_get_targets')).toEqual(['nvmf_tgt'])
  expect(await ask('nvmf_get_transports', { trtype: 'TCP' })).toMatchObject([{ trtype: 'TCP', max_queue_depth: 1024 }])
  expect(await refused('nvmf_get_transports', { trtype: 'RDMA' })).toContain('-19')
  expect(await ask('nvmf_get_stats')).toMatchObject({ poll_groups: [{ name: 'reactor_0', current_io_qpairs: 0 }] })
  expect(await ask('weft_get_status')).toMatchObject({ reactors: 1, pid: daemon.pid })
  expect(await ask('weft_get_statistics')).toMatchObject({ subsystems: expect.any(Array) as unknown[] })
  for (const name of ['level', 'print_level']) {
    await ask(`log_set_${name}`, { level: 'ERROR' })
    expect(await ask(`log_get_${name}`)).toBe('ERROR')
    expect(await refused(`log_set_${name}`, { level: 'LOUD' })).toContain('level: found ')
  }
  expect(await ask('weft_reload')).toEqual([])
  expect(await refused('weft_upgrade', { program: [] })).toContain('program: found')
  expect(await refused('weft_upgrade', { program: ['/bin/false'], lose_memory: true })).toContain('does not start')
})

test('a trace: one at a time, read until it is stopped', async () => {
  const { id } = await ask('weft_trace_start', { host: HOST }) as { id: number }
  expect(await refused('weft_trace_start')).toContain('Somebody traces already')
  expect(await ask('weft_trace_read', { id })).toEqual({ dropped: 0, records: [] })
  expect(await ask('weft_trace_stop', { id })).toBe(true)
  expect(await refused('weft_trace_read', { id })).toContain('there is no such trace')
  expect(await refused('weft_trace_stop', { id })).toContain('there is no such trace')
})

test('controllers over PCIe: where there is none', async () => {
  // device-controller.test.ts has one.
  const absent = { name: 'Nvme0', trtype: 'PCIe', traddr: 'ffff:ff:1f.7' }
  expect(await refused('bdev_nvme_attach_controller', absent)).toContain('ffff:ff:1f.7')
  expect(await ask('bdev_nvme_get_controllers')).toEqual([])
  expect(await refused('bdev_nvme_detach_controller', { name: 'Nvme0' })).toContain('-19')
})

test('every method has been called here', () => {
  expect(METHODS.map(({ name }) => name).filter((name) => !called.has(name))).toEqual([])
})
