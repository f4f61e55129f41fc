/**
 * Runs in the guest: takes a bound NVMe device through the shim, and does by hand what a driver does
 * first: reads CAP and VS, enables the controller, identifies it by an admin queue in DMA memory,
 * twice: by polling, and asleep until the vector fires. Prints what it saw as JSON.
 *
 *   node probe.ts ADDRESS
 *
 * Registers and structures: NVMe Base Specification 2.1, 3.1.4 and 5.1.13.
 */
import { loadPci, type OpenedPci, type PciAddresses } from '../../../src/shim/pci.ts'
import { loadShim } from '../../../src/shim/shim.ts'
import { COUNTER, H, Q, RING, WORDS } from '../../../src/shim/abi.ts'
import { limitsOf, shimLimits } from '../../../src/limits.ts'
import { accessTo } from '../../../src/pci/binding.ts'
import { LINUX } from '../../../src/pci/system.ts'

const REGISTER = { CAP: 0x00, VS: 0x08, CC: 0x14, CSTS: 0x1c, AQA: 0x24, ASQ: 0x28, ACQ: 0x30 } as const
const DOORS = 0x1000
const DEPTH = 4
const MEMORY_BYTES = 65536
const CQ_AT = 4096
const WAIT_US = 5_000_000
const READY_TRIES = 1000

const shim = loadShim()
const pci = loadPci()

function must<T>(what: string, result: T | number): T {
  if (typeof result === 'number' && result < 0) throw new Error(`${what}: ${result}`)
  return result as T
}

const limits = limitsOf({
  engine: 0, connections: 4, queueDepth: 32, ioQueues: 1, inCapsuleBytes: 8192,
  maxTransferBytes: 131072, bufferBytes: 16 << 20,
})
must('shim', shim.open({ ...shimLimits(limits), huge: true }))
const words = new Int32Array(shim.arena())
const counters = new Float64Array(words.buffer, H.COUNTERS * 4, 16)
const bytes = new Uint8Array(words.buffer)
const { device, facts } = must('open', pci.open(accessTo(LINUX, process.argv[2]!))) as OpenedPci
const memory = must('memory', pci.memory(MEMORY_BYTES))
const ring = new Int32Array(shim.regionView(memory, MEMORY_BYTES))
const rings = must('addresses', pci.addresses(device, memory, MEMORY_BYTES)) as PciAddresses
const buffersAt = words[H.BUFFERS_AT]!
const buffers = must('buffers',
  pci.bufferAddresses(device, buffersAt, limits.bufferBytes + limits.adminBufferBytes)) as PciAddresses

function pause(): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10)
}

const before = pci.read(device, REGISTER.CSTS)
function enabled(on: boolean): void {
  pci.write(device, REGISTER.CC, on ? 0x460001 : 0)
  for (let tries = 0; (pci.read(device, REGISTER.CSTS) & 1) !== (on ? 1 : 0); tries++) {
    if (tries === READY_TRIES) throw new Error(`the controller is not ${on ? 'ready' : 'disabled'}`)
    pause()
  }
}
enabled(false)
must('master', pci.master(device, true))
must('aqa', pci.write(device, REGISTER.AQA, (DEPTH - 1) << 16 | (DEPTH - 1)))
for (const [at, offset] of [[REGISTER.ASQ, 0], [REGISTER.ACQ, CQ_AT]] as const) {
  pci.write(device, at, (rings.lo[0]! + offset) | 0)
  pci.write(device, at + 4, rings.hi[0]!)
}
// QEMU remembers the vector of the admin queue when the controller is enabled, if MSI-X is on by then.
if (facts.vectors > 0) must('interrupts', pci.interrupts(device, 1))
enabled(true)

const stride = 4 << (pci.read(device, REGISTER.CAP + 4) & 0xf)
let tail = 0
let head = 0
let phase = 1

/** Identify Controller into the buffers; how often the turn blocked meanwhile. */
function identify(vector: number, bufferAt: number): { blocks: number, news: number, status: number } {
  const queue = must('queue', pci.queueOpen(device, DOORS, DOORS + stride, memory, vector))
  const block = (words[H.QUEUES_AT]! >> 2) + WORDS.QUEUE * queue
  const sqe = tail * 16
  ring.fill(0, sqe, sqe + 16)
  ring[sqe] = 0x06 | (tail + 1) << 16
  ring[sqe + 6] = (buffers.lo[bufferAt >>> 21]! + (bufferAt & 0x1fffff)) | 0
  ring[sqe + 7] = buffers.hi[bufferAt >>> 21]!
  ring[sqe + 10] = 1
  tail = (tail + 1) % DEPTH
  const cqe = CQ_AT / 4 + head * 4
  words[block + Q.WATCH_AT] = 4 * (cqe + 3)
  words[block + Q.WATCH_MASK] = 0x10000
  words[block + Q.WATCH_VALUE] = phase << 16
  words[block + Q.TAIL] = tail
  words[block + Q.RING] = RING.TAIL
  words[H.SPIN_US] = vector < 0 ? -1 : 0
  words[H.WAIT_US] = WAIT_US
  const blocks = counters[COUNTER.BLOCKS]!
  must('turn', shim.turn())
  const news = words[H.NEWS]!
  const status = Atomics.load(ring, cqe + 3) >>> 17
  head = (head + 1) % DEPTH
  if (head === 0) phase ^= 1
  words[block + Q.WATCH_MASK] = 0
  words[block + Q.HEAD] = head
  words[block + Q.RING] = RING.HEAD
  words[H.WAIT_US] = 0
  must('turn', shim.turn())
  must('queue close', pci.queueClose(queue))
  return { blocks: counters[COUNTER.BLOCKS]! - blocks, news, status }
}

/** Serial number and model of the identify data. */
function said(at: number): string {
  return Buffer.from(bytes.subarray(at + 4, at + 64)).toString('latin1').replace(/ +/g, ' ').trim()
}

const lastAt = buffersAt + limits.bufferBytes + limits.adminBufferBytes - 4096
const polled = identify(-1, buffersAt)
const fired = facts.vectors > 0 ? awaitFired() : 0
const asleep = facts.vectors > 0 ? identify(0, lastAt) : null

/** Waits until the vector has fired for a completion that nobody slept for. */
function awaitFired(): number {
  for (let tries = 0; tries < READY_TRIES; tries++) {
    const fired = pci.interrupted(device, 0)
    if (fired !== 0) return fired
    pause()
  }
  return 0
}

const cap = [pci.read(device, REGISTER.CAP + 4) >>> 0, pci.read(device, REGISTER.CAP) >>> 0]
const vs = pci.read(device, REGISTER.VS)
const state = pci.state(device)

/** Registers of a device whose memory space is off: ones, and LOST; and what a reset makes of it. */
function switchedOff(): { cap: number, state: number, reset: number, cc: number, vs: number, after: number } {
  pci.configWrite(device, 4, 2, pci.configRead(device, 4, 2) & ~2)
  const off = { cap: pci.read(device, REGISTER.CAP), state: pci.state(device) }
  const reset = pci.reset(device)
  return {
    ...off, reset, cc: pci.read(device, REGISTER.CC), vs: pci.read(device, REGISTER.VS), after: pci.state(device),
  }
}

console.log(JSON.stringify({
  cap, vs, before, facts, huge: words[H.HUGE], state,
  polled, polledSaid: said(buffersAt), asleep, fired, asleepSaid: asleep === null ? null : said(lastAt),
  off: facts.reset ? switchedOff() : null, closed: pci.close(device),
}))
process.exit(0)
