/**
 * Namespaces on block devices of both block sizes: loop devices. NVM Command Set 1.0.
 */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import {
  FUA, compare, datasetManagement, flush, identify, rangeList, read, write, writeZeroes,
} from '../command-bytes.ts'
import {
  NQN, configuration, removeDirectory, startDaemon, temporaryDirectory, type Daemon,
} from '../daemon.ts'
import { openSession } from '../host-session.ts'
import { closeWires } from '../host.ts'
import { attachLoop, detachLoop } from '../loop-device.ts'

const BYTES = 16 * 1024 * 1024
const directory = temporaryDirectory()
const small = attachLoop(directory, 'small', BYTES, 512)
const large = attachLoop(directory, 'large', BYTES, 4096)

afterAll(() => {
  detachLoop(small)
  detachLoop(large)
  removeDirectory(directory)
})

function pattern(bytes: number): Buffer {
  const data = Buffer.alloc(bytes)
  for (let at = 0; at < bytes; at += 4) data.writeUInt32LE((at * 2246822519) >>> 0, at)
  return data
}

const available = small !== null && large !== null

describe.skipIf(!available).each(['uring', 'epoll'] as const)('%s', (engine) => {
  let daemon: Daemon

  beforeAll(async () => {
    daemon = await startDaemon(configuration({
      engine,
      subsystems: [{
        nqn: NQN,
        hosts: 'any',
        namespaces: [{ nsid: 1, device: small ?? '' }, { nsid: 2, device: large ?? '' }],
      }],
    }))
  })
  afterAll(() => daemon.stop())
  afterEach(closeWires)

  test.each([
    [1, 512],
    [2, 4096],
  ])('NVM-01: NSID %i, blocks of %i bytes', async (nsid, blockBytes) => {
    const session = await openSession(daemon.endpoint, { subnqn: NQN })
    const { data } = await session.admin.must(identify(0, nsid), { receive: 4096 })
    expect(Number(data.readBigUInt64LE(0))).toBe(BYTES / blockBytes)
    expect(1 << data.readUInt8(128 + 4 * (data.readUInt8(26) & 0xf) + 2)).toBe(blockBytes)
    const queue = session.queue(1)
    for (const bytes of [blockBytes, 16384, 1 << 20]) {
      const send = pattern(bytes)
      const transfer = { send, inCapsule: bytes <= 16384 }
      await queue.must(write(nsid, 3, bytes / blockBytes), transfer)
      const back = await queue.must(read(nsid, 3, bytes / blockBytes), { receive: bytes })
      expect(back.data.equals(send)).toBe(true)
    }
    const beyond = await queue.submit(read(nsid, BYTES / blockBytes, 1), { receive: blockBytes })
    expect(beyond.status).toBe('0/80h')
  })

  test.each([
    [1, 512],
    [2, 4096],
  ])('NVM-02 NVM-03 NVM-04 NVM-05 NVM-06: NSID %i, %i-byte blocks', async (nsid, blockBytes) => {
    const queue = (await openSession(daemon.endpoint, { subnqn: NQN })).queue(1)
    const send = pattern(64 * blockBytes)
    await queue.must(write(nsid, 1000, 64, FUA), { send, inCapsule: false })
    await queue.must(flush(nsid))
    await queue.must(compare(nsid, 1000, 64), { send, inCapsule: false })
    await queue.must(writeZeroes(nsid, 1001, 7))
    await queue.must(datasetManagement(nsid, 1), { send: rangeList([{ slba: 1020, blocks: 16 }]) })
    send.fill(0, blockBytes, 8 * blockBytes)
    send.fill(0, 20 * blockBytes, 36 * blockBytes)
    const back = await queue.must(read(nsid, 1000, 64), { receive: send.length })
    expect(back.data.equals(send)).toBe(true)
  })
})

test.skipIf(available)('no loop devices here', () => {})
