/**
 * The system wants a device back that weft drives and hosts use: it is let go, hosts wait; once it is bound to where
 * weft finds it, everything goes on. The real reactors and the real shim; only what the bus says is played.
 */
import { afterEach, expect, test, vi } from 'vitest'
import { keepAlive, read, write } from '../command-bytes.ts'
import { closeWires } from '../host.ts'
import { openSession } from '../host-session.ts'
import { SERVED_NQN, serveFake, type Served } from '../nvme/served.ts'

/** What the bus says: PCI.WANTED; whether the device is bound to a driver of ours; how often it was closed. */
const bus = vi.hoisted(() => ({ wanted: false, bound: true, closes: 0 }))

vi.mock('../../src/shim/pci.ts', async (actual) => {
  const real = await actual<typeof import('../../src/shim/pci.ts')>()
  return {
    ...real,
    loadPci: () => {
      const pci = real.loadPci()
      return {
        ...pci,
        open: (access: Parameters<typeof pci.open>[0]) => bus.bound ? pci.open(access) : -19,
        state: (device: number) => bus.wanted ? 1 : pci.state(device),
        close: (device: number) => {
          const result = pci.close(device)
          if (result === 0) bus.closes++
          return result
        },
      }
    },
  }
})

const served: Served[] = []
afterEach(async () => {
  await closeWires()
  for (const each of served.splice(0)) await each.stop()
})

test('it is let go, and taken again when it is bound again', async () => {
  const each = await serveFake()
  served.push(each)
  const { device, line, until, told } = each
  const session = await openSession(each.endpoint, { subnqn: SERVED_NQN }, 2)
  const data = Buffer.alloc(4096, 7)
  await session.queue(1).must(write(1, 0, 8), { send: data })
  device.faults.slow = true
  const under = session.queue(2).submit(read(1, 0, 8), { receive: 4096 })
  await until(() => device.waiting > 0, 'a command at the device')
  Object.assign(bus, { wanted: true, bound: false })
  await line('the system wants it back')
  // No access: another path, or later.
  expect((await under).status).toBe('3/02h')
  await until(() => bus.closes === 1, 'the end of its use')
  bus.wanted = false
  await line('it is gone, or was never bound')
  expect((await session.queue(1).submit(read(1, 0, 8), { receive: 4096 })).status).toBe('3/02h')
  await session.admin.must(keepAlive())
  // Who had it meanwhile has reset it.
  device.faults.slow = false
  device.reset()
  bus.bound = true
  await line('works again')
  for (const qid of [1, 2]) {
    const { data: back } = await session.queue(qid).must(read(1, 0, 8), { receive: 4096 })
    expect(back.equals(data)).toBe(true)
    await session.queue(qid).must(write(1, 8 * qid, 8), { send: data })
  }
  expect(told.filter((one) => one.includes('was never bound'))).toHaveLength(1)
  expect(device.violations).toEqual([])
})
