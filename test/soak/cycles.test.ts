/**
 * Hosts that connect and go, again and again: whole associations, handshakes that stop half-way, connections that
 * say nothing; in order and with resets. Memory and descriptors stay where they were, and nothing is held.
 * npm run soak -- --cycles N.                                                                          WEFT_CYCLES
 */
import { readdirSync } from 'node:fs'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { read } from '../command-bytes.ts'
import { NQN, configuration, startDaemon, type Daemon } from '../daemon.ts'
import { openSession } from '../host-session.ts'
import { Wire, closeWires } from '../host.ts'
import { icReq } from '../wire-bytes.ts'

const CYCLES = Number(process.env['WEFT_CYCLES'] ?? 400)
const AT_A_TIME = 8
const MEBIBYTE = 1024 * 1024
/** What counts as growth: more than the noise of an allocator, less than a KiB for each of many cycles. */
const GROWTH_BYTES = 48 * MEBIBYTE

let daemon: Daemon

beforeAll(async () => {
  daemon = await startDaemon(configuration({ reactors: 2, limits: { connections: 128 } }))
})
afterAll(() => daemon.stop())
afterEach(closeWires)

const descriptors = (): number => readdirSync(`/proc/${daemon.child.pid}/fd`).length

async function cycle(number: number): Promise<void> {
  const { endpoint } = daemon
  if (number % 4 === 0) return (await Wire.open(endpoint)).destroy()
  if (number % 4 === 1) {
    const wire = await Wire.open(endpoint)
    await wire.send(icReq().subarray(0, 8 + (number % 120)))
    wire.reset()
    return wire.destroy()
  }
  const session = await openSession(endpoint, { subnqn: NQN }, 1)
  await session.queue(1).must(read(1, number % 1000, 8), { receive: 4096 })
  if (number % 4 === 2) session.admin.wire.reset()
  await session.end()
}

async function cycles(count: number): Promise<void> {
  let next = 0
  const worker = async (): Promise<void> => {
    try {
      while (next < count) await cycle(next++)
    } catch (error) {
      // The others have nothing to go on for.
      next = count
      throw error
    }
  }
  await Promise.all(Array.from({ length: AT_A_TIME }, worker))
  await closeWires()
  await expect.poll(() => daemon.slotsInUse(), { timeout: 20_000 }).toBe(0)
}

test(`${CYCLES} cycles`, { timeout: CYCLES * 1000 + 300_000 }, async () => {
  // Buffers and rings are touched for the first time now, and stay.
  await cycles(Math.min(CYCLES, 1000))
  const settled = descriptors()
  const before = await daemon.residentBytes()
  await cycles(CYCLES)
  await expect.poll(descriptors, { timeout: 20_000 }).toBeLessThanOrEqual(settled)
  const grown = (await daemon.residentBytes()) - before
  console.log(`${CYCLES} cycles: ${settled} descriptors before, ${descriptors()} after; `
    + `${(before / MEBIBYTE).toFixed(0)} MiB before, ${(grown / MEBIBYTE).toFixed(1)} MiB more after`)
  expect(grown).toBeLessThan(GROWTH_BYTES)
})
