/**
 * NVMe controllers over the control socket: taken, listed, exported, read and written by a host, and let go again.
 * The controller is a fake one.
 */
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { callMethod } from '../../../src/rpc/client.ts'
import { type Control, openControl } from '../../../src/rpc/control.ts'
import { read, write } from '../../command-bytes.ts'
import { openSession } from '../../host-session.ts'
import { closeWires } from '../../host.ts'
import { SERVED_NQN, type Served, serveFake } from '../../nvme/served.ts'

const PLACE = '0000:03:00.0'
const at = { trtype: 'PCIe', traddr: '03:00.0' }

let served: Served
let control: Control
beforeAll(async () => {
  served = await serveFake({}, [], 2, ['--memory', '1M'])
  const { target, document, log, folder } = served
  control = await openControl({ control: { path: join(folder, 'socket'), required: true } }, {
    target, document, log, version: '1.2.3', reload: null,
    upgrade: () => Promise.reject(new Error('nobody asks for it here')),
  })
})
afterAll(async () => {
  await closeWires()
  await control.close()
  await served.stop()
})

async function ask(method: string, params: object = {}): Promise<unknown> {
  const outcome = await callMethod(control.path!, method, params)
  return outcome.error === undefined ? outcome.result : JSON.stringify(outcome.error)
}

test('a controller is taken, its namespaces become devices, and hosts use them', async () => {
  expect(await ask('bdev_nvme_get_controllers')).toEqual([])
  const names = await ask('bdev_nvme_attach_controller', { name: 'Nvme0', ...at }) as string[]
  expect(names[0]).toBe('Nvme0n1')
  expect(await ask('bdev_nvme_attach_controller', { name: 'Nvme0', ...at })).toContain('"code":-17')
  expect(await ask('bdev_nvme_attach_controller', { name: 'Other', ...at })).toContain('no other namespace')
  expect(await ask('bdev_nvme_get_controllers', { name: 'Nvme0' }))
    .toMatchObject([{ name: 'Nvme0', ctrlrs: [{ state: 'enabled', trid: { trtype: 'PCIe', traddr: PLACE } }] }])
  expect(await ask('bdev_nvme_get_controllers', { name: 'Nvme9' })).toContain('"code":-19')
  expect(await ask('bdev_get_bdevs', { name: 'Nvme0n1' }))
    .toMatchObject([{ product_name: 'NVMe disk', claimed: false, driver_specific: { nvme: [{ pci_address: PLACE }] } }])
  const saved = await ask('framework_get_config', { name: 'bdev' })
  expect(saved).toContainEqual({ method: 'bdev_nvme_attach_controller', params: { name: 'Nvme0', trtype: 'PCIe', traddr: PLACE } })
  expect(await ask('nvmf_subsystem_add_ns', { nqn: SERVED_NQN, namespace: { bdev_name: 'Nvme0n1', nsid: 5 } })).toBe(5)
  const session = await openSession(served.endpoint, { subnqn: SERVED_NQN }, 2)
  const [{ block_size: blockBytes }] = await ask('bdev_get_bdevs', { name: 'Nvme0n1' }) as [{ block_size: number }]
  const block = Buffer.alloc(blockBytes, 0x3c)
  await session.queue(1).must(write(5, 3, 1), { send: block })
  expect((await session.queue(2).must(read(5, 3, 1), { receive: blockBytes })).data.equals(block)).toBe(true)
})

test('it is let go with its namespace, and can be taken again', async () => {
  expect(await ask('bdev_nvme_detach_controller', { name: 'Nvme0' })).toBe(true)
  expect(await ask('bdev_nvme_detach_controller', { name: 'Nvme0' })).toContain('"code":-19')
  await expect.poll(() => ask('bdev_nvme_get_controllers'), { timeout: 30_000 }).toEqual([])
  expect(served.target.snapshot.subsystems[0]!.namespaces.map(({ nsid }) => nsid)).toEqual([1])
  expect(await ask('bdev_nvme_attach_controller', { name: 'Nvme1', ...at })).toContain('Nvme1n1')
  expect(await ask('bdev_nvme_detach_controller', { name: 'Nvme1' })).toBe(true)
  await expect.poll(() => ask('bdev_nvme_get_controllers'), { timeout: 30_000 }).toEqual([])
})

test('what is no address of a controller, or no controller, is refused', async () => {
  expect(await ask('bdev_nvme_attach_controller', { name: 'Nvme0', trtype: 'TCP', traddr: '192.0.2.1' })).toContain('trtype: found')
  expect(await ask('bdev_nvme_attach_controller', { name: 'Nvme0', trtype: 'PCIe', traddr: '03:00.0/2' })).toContain('traddr: found')
})
