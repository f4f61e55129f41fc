/**
 * Properties and the life of a controller: enable, disable, shut down, associate again.
 * NVMe over Fabrics 1.1, Property Get and Set; NVMe Base 2.0, controller properties.
 *
 *   00h CAP (8) · 08h VS · 14h CC · 1Ch CSTS · 68h CRTO
 *   CC: 0 EN · 6:4 CSS · 10:7 MPS · 13:11 AMS · 15:14 SHN · 19:16 IOSQES · 23:20 IOCQES
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import {
  getFeatures, getLogPage, identify, keepAlive, propertyGet, propertySet, read, sqe, write,
} from '../command-bytes.ts'
import { NQN, startDaemon, type Daemon } from '../daemon.ts'
import {
  CC_DISABLE, CC_ENABLE, PROPERTY_CAP, PROPERTY_CC, PROPERTY_CSTS, PROPERTY_VS, enable,
  getProperty, openAdmin, openSession, setCc, someHost, waitForCsts,
} from '../host-session.ts'
import { closeWires } from '../host.ts'

const CSTS_RDY = 1
const CSTS_CFS = 2
const CSTS_SHST = 0xc
const SHST_COMPLETE = 0x8

let daemon: Daemon

beforeAll(async () => {
  daemon = await startDaemon()
})
afterAll(() => daemon.stop())
afterEach(closeWires)

const admin = async () => (await openAdmin(daemon.endpoint, { subnqn: NQN })).admin

test('PRP-01: CAP', async () => {
  const { dw0, dw1 } = await (await admin()).must(propertyGet(PROPERTY_CAP, 8))
  expect(dw0 & 0xffff, 'MQES').toBeGreaterThanOrEqual(127)
  expect((dw0 >>> 16) & 1, 'CQR').toBe(1)
  expect(dw0 >>> 24, 'TO').toBeGreaterThan(0)
  expect(dw1 & 0xf, 'DSTRD').toBe(0)
  expect((dw1 >>> 5) & 1, 'CSS: NVM').toBe(1)
  expect((dw1 >>> 16) & 0xf, 'MPSMIN').toBe(0)
})

test('PRP-02: VS', async () => {
  const { dw0, dw1 } = await (await admin()).must(propertyGet(PROPERTY_VS, 4))
  expect(dw0).toBeGreaterThanOrEqual(0x00010300)
  expect(dw1).toBe(0)
})

test('PRP-03: CC reads back', async () => {
  const queue = await admin()
  await setCc(queue, CC_DISABLE)
  expect(await getProperty(queue, PROPERTY_CC)).toBe(CC_DISABLE)
  await setCc(queue, CC_ENABLE)
  expect(await getProperty(queue, PROPERTY_CC)).toBe(CC_ENABLE)
})

describe('offsets and sizes', () => {
  test.each([0x04, 0x0c, 0x10, 0x18, 0x40, 0x1000, 0xffffff, 0x15])(
    'PRP-04: get at %i', async (ofst) => {
      const queue = await admin()
      // 04h is the upper half of CAP: four bytes there may be read, eight may not.
      const bytes = ofst === 0x04 ? 8 : 4
      expect((await queue.submit(propertyGet(ofst, bytes))).status).toBe('0/02h')
      await queue.must(propertyGet(PROPERTY_CAP, 8))
    })

  test.each([0x0c, 0x18, 0x40, 0x1000, 0x7fffffff])('PRP-04: set at %i', async (ofst) => {
    const queue = await admin()
    expect((await queue.submit(propertySet(ofst, 1))).status).toBe('0/02h')
  })

  test.each([PROPERTY_VS, PROPERTY_CC, PROPERTY_CSTS])(
    'PRP-05: eight bytes of the four at %i', async (ofst) => {
      const queue = await admin()
      expect((await queue.submit(propertyGet(ofst, 8))).status).toBe('0/02h')
    })

  test('PRP-05: eight bytes into CC', async () => {
    const queue = await admin()
    expect((await queue.submit(propertySet(PROPERTY_CC, CC_ENABLE, 8))).status).toBe('0/02h')
    expect(await getProperty(queue, PROPERTY_CSTS)).toBe(0)
  })

  test('PRP-05: an ATTRIB size that does not exist', async () => {
    const queue = await admin()
    const command = propertyGet(PROPERTY_VS, 4)
    command.writeUInt8(2, 40)
    expect((await queue.submit(command)).status).toBe('0/02h')
  })

  test.each([PROPERTY_CAP, PROPERTY_VS])('PRP-12: set the read-only one at %i', async (ofst) => {
    const queue = await admin()
    const before = await queue.must(propertyGet(ofst, ofst === PROPERTY_CAP ? 8 : 4))
    expect((await queue.submit(propertySet(ofst, 0))).status).toBe('0/02h')
    const after = await queue.must(propertyGet(ofst, ofst === PROPERTY_CAP ? 8 : 4))
    expect([after.dw0, after.dw1]).toEqual([before.dw0, before.dw1])
  })

  test('PRP-13: CRTO is there if CAP says so', async () => {
    const queue = await admin()
    const { dw1 } = await queue.must(propertyGet(PROPERTY_CAP, 8))
    const announced = ((dw1 >>> 27) & 3) !== 0
    const { status } = await queue.submit(propertyGet(0x68, 4))
    expect(status).toBe(announced ? '0/00h' : '0/02h')
  })
})

describe('enable', () => {
  test('PRP-06: CSTS.RDY follows CC.EN', async () => {
    const queue = await admin()
    expect(await getProperty(queue, PROPERTY_CSTS)).toBe(0)
    await enable(queue)
    expect(await getProperty(queue, PROPERTY_CSTS)).toBe(CSTS_RDY)
  })

  test.each([
    ['IOSQES 0', 0x00400001],
    ['IOSQES 7', 0x00470001],
    ['IOCQES 0', 0x00060001],
    ['IOCQES 5', 0x00560001],
    ['MPS 1', 0x00460081],
    ['AMS 1', 0x00460801],
    ['CSS 1', 0x00460011],
  ])('PRP-09: %s', async (_name, cc) => {
    const queue = await admin()
    await queue.submit(propertySet(PROPERTY_CC, cc))
    const csts = await waitForCsts(queue, CSTS_CFS, CSTS_CFS)
    expect(csts & CSTS_RDY).toBe(0)
    expect((await queue.submit(identify(1), { receive: 4096 })).status).toBe('0/0Ch')
  })

  test.each([
    ['Identify', identify(1), 4096],
    ['Get Log Page', getLogPage(2, 128), 512],
    ['Get Features', getFeatures(0x07), 0],
  ])('PRP-10: %s before the controller is enabled', async (_name, command, receive) => {
    const queue = await admin()
    const done = await queue.submit(command, receive ? { receive } : {})
    expect(done.status).toBe('0/0Ch')
    await enable(queue)
  })

  test('PRP-11: Property Get and Set on an I/O queue', async () => {
    const queue = (await openSession(daemon.endpoint, { subnqn: NQN })).queue(1)
    expect((await queue.submit(propertyGet(PROPERTY_CAP, 8))).status).toBe('0/01h')
    expect((await queue.submit(propertySet(PROPERTY_CC, 0))).status).toBe('0/01h')
    await queue.must(read(1, 0, 1), { receive: 512 })
  })

  test.each([0x02, 0x03, 0x07, 0x70, 0xc0, 0xff])('PRP-15: FCTYPE %i', async (fctype) => {
    const session = await openSession(daemon.endpoint, { subnqn: NQN })
    expect((await session.admin.submit(sqe(0x7f, fctype))).status).toBe('0/01h')
    expect((await session.queue(1).submit(sqe(0x7f, fctype))).status).toBe('0/01h')
  })
})

describe('disable', () => {
  test('PRP-07: ends the I/O queues, keeps the admin queue, and can be undone', async () => {
    const session = await openSession(daemon.endpoint, { subnqn: NQN }, 2)
    const [first, second] = session.io.splice(0)
    await setCc(session.admin, CC_DISABLE)
    await waitForCsts(session.admin, CSTS_RDY, 0)
    await first?.wire.closed()
    await second?.wire.closed()
    expect((await session.admin.submit(identify(1), { receive: 4096 })).status).toBe('0/0Ch')
    await enable(session.admin)
    const queue = await session.connectIo(1)
    await queue.must(read(1, 0, 1), { receive: 512 })
  })

  test('PRP-07: while writes wait for their data', async () => {
    const session = await openSession(daemon.endpoint, { subnqn: NQN })
    const queue = session.io.splice(0)[0]
    if (queue === undefined) throw new Error('no queue')
    const capsules = Array.from({ length: 20 }, () =>
      queue.capsule(write(1, 0, 128), { send: Buffer.alloc(65536), inCapsule: false }))
    await queue.wire.send(...capsules)
    await queue.wire.next()
    await setCc(session.admin, CC_DISABLE)
    await waitForCsts(session.admin, CSTS_RDY, 0)
    await queue.wire.closed()
    await enable(session.admin)
    await (await session.connectIo(1)).must(read(1, 0, 1), { receive: 512 })
  })

  test('PRP-07: thirty times over', async () => {
    const session = await openSession(daemon.endpoint, { subnqn: NQN }, 0)
    for (let round = 0; round < 30; round += 1) {
      const queue = await session.connectIo(1)
      await queue.must(read(1, 0, 1), { receive: 512 })
      await setCc(session.admin, CC_DISABLE)
      await waitForCsts(session.admin, CSTS_RDY, 0)
      await queue.wire.closed()
      await enable(session.admin)
    }
  })
})

describe('shutdown', () => {
  test.each([
    ['normal', 0x4000],
    ['abrupt', 0x8000],
  ])('PRP-08: %s', async (_name, shn) => {
    const session = await openSession(daemon.endpoint, { subnqn: NQN })
    const queue = session.io[0]
    await setCc(session.admin, CC_ENABLE | shn)
    await waitForCsts(session.admin, CSTS_SHST, SHST_COMPLETE)
    await queue?.wire.closed()
  })

  test('PRP-08: and enabled again by way of EN 0', async () => {
    const session = await openSession(daemon.endpoint, { subnqn: NQN }, 0)
    await setCc(session.admin, CC_ENABLE | 0x4000)
    await waitForCsts(session.admin, CSTS_SHST, SHST_COMPLETE)
    await setCc(session.admin, CC_DISABLE)
    await waitForCsts(session.admin, CSTS_RDY | CSTS_SHST, 0)
    await enable(session.admin)
    await (await session.connectIo(1)).must(read(1, 0, 1), { receive: 512 })
  })
})

describe('a second association', () => {
  test('PRP-14: of the same host, beside the first', async () => {
    const identity = someHost()
    const first = await openSession(daemon.endpoint, { subnqn: NQN, identity })
    const second = await openSession(daemon.endpoint, { subnqn: NQN, identity })
    expect(second.admin.cntlid).not.toBe(first.admin.cntlid)
    await first.queue(1).must(read(1, 0, 1), { receive: 512 })
    await first.end()
    await second.queue(1).must(read(1, 0, 1), { receive: 512 })
    await second.admin.must(keepAlive())
  })

  test('PRP-14: after the first one shut down', async () => {
    const identity = someHost()
    const first = await openSession(daemon.endpoint, { subnqn: NQN, identity })
    await setCc(first.admin, CC_ENABLE | 0x4000)
    await waitForCsts(first.admin, CSTS_SHST, SHST_COMPLETE)
    await first.end()
    const second = await openSession(daemon.endpoint, { subnqn: NQN, identity })
    await second.queue(1).must(read(1, 0, 1), { receive: 512 })
  })
})
