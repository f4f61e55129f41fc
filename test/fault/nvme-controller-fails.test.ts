/**
 * An NVMe controller that weft drives fails while hosts use it: it reports a fatal error, answers what nobody asked,
 * or is pulled out. Hosts stay connected; what they had begun is done, or refused so that they try again.
 */
import { afterEach, expect, test } from 'vitest'
import { flush, getLogPage, keepAlive, read, write } from '../command-bytes.ts'
import { closeWires } from '../host.ts'
import { openSession } from '../host-session.ts'
import { SERVED_NQN, serveFake, type Served } from '../nvme/served.ts'

const served: Served[] = []
afterEach(async () => {
  await closeWires()
  for (const each of served.splice(0)) await each.stop()
})

async function start() {
  const each = await serveFake()
  served.push(each)
  const session = await openSession(each.endpoint, { subnqn: SERVED_NQN }, 2)
  return { ...each, session }
}

const block = (seed: number): Buffer => Buffer.alloc(4096, seed)

test.each(['fatal', 'stray'] as const)('%s: everything that was under way is done after a reset', async (fault) => {
  const { device, session, told, until, line } = await start()
  device.faults.slow = true
  const writes = Array.from({ length: 40 }, (_, k) =>
    session.queue(1 + k % 2).must(write(1, 8 * k, 8), { send: block(k + 1) }))
  await until(() => device.waiting > 0, 'a command at the device')
  device.faults[fault] = true
  if (fault === 'stray') device.faults.slow = false
  await line(fault === 'fatal' ? 'reports a fatal error' : 'answered a command that nobody sent')
  Object.assign(device.faults, { fatal: false, slow: false })
  await Promise.all(writes)
  for (let k = 0; k < 40; k++) expect(Buffer.compare(device.media.blocks(1, 8 * k, 8), block(k + 1))).toBe(0)
  await session.admin.must(keepAlive())
  expect(told.some((each) => each.includes('cannot be reached'))).toBe(false)
  expect(device.violations).toEqual([])
})

test('pulled out and put in again: inaccessible meanwhile, and then as before', async () => {
  const { device, session, line } = await start()
  await session.queue(1).must(write(1, 0, 8), { send: block(7) })
  await session.queue(2).must(flush(1))
  device.faults.slow = true
  const under = session.queue(2).submit(read(1, 0, 8), { receive: 4096 })
  device.faults.gone = true
  await line('Its namespaces are inaccessible until it is back')
  expect((await under).status).toBe('3/02h')
  await line('is inaccessible through')
  const refused = await session.queue(1).submit(read(1, 0, 8), { receive: 4096 })
  expect(refused.status).toBe('3/02h')
  // The state of the group, in the log of asymmetric access.
  const { data } = await session.admin.must(getLogPage(0x0c, 16), { receive: 64 })
  expect(data[16 + 16]).toBe(3)
  device.faults.slow = false
  device.plug()
  await line('is optimized through')
  const { data: back } = await session.queue(1).must(read(1, 0, 8), { receive: 4096 })
  expect(back.equals(block(7))).toBe(true)
  const { data: again } = await session.queue(2).must(read(1, 0, 8), { receive: 4096 })
  expect(again.equals(block(7))).toBe(true)
})
