/**
 * A model host: connects, enables its controller, keeps its queues busy, gives up on a target that does not answer,
 * goes in order or without a word, and comes back.  world steps it; host-queue speaks for it.
 *
 *   away ─▶ admin Connect ─▶ enable ─▶ I/O Connects ─▶ busy ─▶ shutdown, or reset ─▶ away
 *
 * Invariant: at most one association at a time; what it never heard of is lost to it, not done and not undone.
 */
import type { Random } from '../random.ts'
import { command } from './command.ts'
import { Finding, HostQueue, type Command } from './host-queue.ts'
import type { Machine } from './machine.ts'
import { NQN } from './target.ts'
import type { Traffic } from './traffic.ts'

const FABRICS = 0x7f
const FCTYPE = { PROPERTY_SET: 0, CONNECT: 1, PROPERTY_GET: 4 } as const
const ADMIN = { GET_LOG: 2, IDENTIFY: 6, ABORT: 8, SET_FEATURES: 9, ASYNC_EVENT: 0x0c, KEEP_ALIVE: 0x18 } as const
const CC = 0x14
const CSTS = 0x1c
const CC_ENABLED = 0x00460001
const CC_SHUTDOWN = 0x00464001
const KEEP_ALIVE_MS = 15_000
const KEEP_ALIVE_US = 4_000_000
/** The most that there are, for who looks for another one. */
const HOSTS = 4
/** How long connecting may take. */
const CONNECT_US = 60_000_000
/** How long its state may take to change when nothing is wrong. */
const CALM_US = 120_000_000

/** What a host waits for. */
type Wait = () => boolean

export type HostParts = {
  readonly traffic: Traffic
  readonly random: Random
  readonly machine: () => Machine
  /** Buffers that no command has. */
  readonly pool: Uint8Array[]
  readonly capsuleBytes: number
}

export class Host {
  readonly #parts: HostParts
  readonly #number: number
  readonly #hostId: Buffer
  queues: HostQueue[] = []
  /** Connections that it had: their writes may still come to pass. */
  readonly left: HostQueue[] = []
  #life: Generator<Wait, void> | null = null
  #wait: Wait = () => true
  #busy = false
  /** Its request for an event. */
  #event: Command | null = null
  #cntlid = 0
  #awayUntilUs = 0
  #keptAliveUs = 0
  #sinceUs = 0
  /** It is to go, and to stay away. */
  leaving = false
  timeouts = 0

  constructor(parts: HostParts, number: number) {
    this.#parts = parts
    this.#number = number
    this.#hostId = Buffer.alloc(16, number + 1)
  }

  get away(): boolean {
    return this.#life === null
  }

  /** One step. True when anything moved. */
  step(): boolean {
    const { random, machine } = this.#parts
    const nowUs = machine().clock.us
    if (this.#life === null) {
      if (this.leaving || nowUs < this.#awayUntilUs) return false
      this.#life = this.#live()
      this.#wait = () => true
      this.#sinceUs = nowUs
    }
    let moved = false
    for (const queue of this.queues) if (queue.step(nowUs)) moved = true
    if (this.#life !== null && this.#wait()) {
      const { value, done } = this.#life.next()
      if (done === true) this.#life = null
      else this.#wait = value
      moved = true
    }
    if (this.queues.some(({ dead }) => dead) || random.below(256) === 0 && this.#overdue(nowUs)) this.reset()
    else if (random.below(100_000) < machine().weather.resetPerMille) this.reset()
    if (this.#busy && this.#submit(nowUs)) moved = true
    return moved
  }

  /** Without a word: every connection breaks off, in no particular order. */
  reset(): void {
    const { random, machine } = this.#parts
    for (const queue of this.queues) {
      if (random.chance(50)) queue.reset()
      else queue.leave()
    }
    this.#gone()
    this.#awayUntilUs = machine().clock.us + random.below(random.pick([1000, 100_000, 3_000_000]))
  }

  #gone(): void {
    this.left.push(...this.queues)
    this.queues = []
    this.#busy = false
    this.#life = null
  }

  *#live(): Generator<Wait, void> {
    const { random } = this.#parts
    const admin = this.#queue(0, 32)
    yield () => admin.open
    this.#cntlid = 0xffff
    const connected = this.#connect(admin, 32)
    yield () => connected.answered
    this.#expect(connected, 'Connect of the admin queue')
    this.#cntlid = connected.dw0 & 0xffff
    yield* this.#enable(admin)
    const wanted = 1 + random.below(3)
    const features = this.#admin(admin, ADMIN.SET_FEATURES, [7, (wanted - 1) * 0x10001])
    yield () => features.answered
    this.#expect(features, 'Set Features')
    const granted = Math.min(wanted, (features.dw0 & 0xffff) + 1)
    for (let qid = 1; qid <= granted; qid++) {
      const queue = this.#queue(qid, 4 + random.below(28))
      yield () => queue.open
      queue.capsuleBytes = this.#parts.capsuleBytes
      const joined = this.#connect(queue, queue.wish.depth)
      yield () => joined.answered
      this.#expect(joined, 'Connect of an I/O queue')
    }
    this.#event = this.#admin(admin, ADMIN.ASYNC_EVENT, [])
    this.#busy = true
    yield () => this.leaving || random.below(200_000) === 0
    yield* this.#shutDown(admin)
  }

  *#enable(admin: HostQueue): Generator<Wait, void> {
    const set = this.#property(admin, CC, CC_ENABLED)
    yield () => set.answered
    this.#expect(set, 'Property Set')
    for (;;) {
      const status = this.#property(admin, CSTS, null)
      yield () => status.answered
      this.#expect(status, 'Property Get')
      if ((status.dw0 & 1) === 1) return
    }
  }

  *#shutDown(admin: HostQueue): Generator<Wait, void> {
    this.#busy = false
    yield () => this.queues.every((queue) => queue.outstanding === (queue === admin && this.#event?.answered === false ? 1 : 0))
    const set = this.#property(admin, CC, CC_SHUTDOWN)
    yield () => set.answered
    for (;;) {
      const status = this.#property(admin, CSTS, null)
      yield () => status.answered
      if ((status.dw0 & 12) === 8) break
    }
    for (const queue of this.queues) queue.leave()
    this.#gone()
    this.#awayUntilUs = this.#parts.machine().clock.us + this.#parts.random.below(50_000)
  }

  #expect(answer: Command, what: string): void {
    // A target that has just lost this host's last association may refuse for a moment.
    if (answer.status !== 0) throw new Finding(`${what} ends with status ${answer.status.toString(16)}h`)
  }

  #queue(qid: number, depth: number): HostQueue {
    const { random, machine, pool } = this.#parts
    const { network, clock } = machine()
    const socket = network.connect(random.pick([0, 0, 0, 60_000, 3000, 1400, 100, 9]))
    const digests = random.below(6)
    const queue = new HostQueue(socket, {
      qid, depth, headerDigest: digests === 0 || digests === 1, dataDigest: digests === 0,
      alignment: random.chance(80) ? 0 : random.below(32), transfersMax: 1 + random.below(3),
      flowControlOff: random.chance(70),
    }, random, () => machine().clock.us, pool)
    this.queues.push(queue)
    this.#sinceUs = clock.us
    return queue
  }

  #connect(queue: HostQueue, depth: number): Command {
    const { qid, flowControlOff } = queue.wish
    const connect = command({
      opcode: FABRICS, type: FCTYPE.CONNECT, sendBytes: 1024,
      cdw: [qid << 16, (depth - 1) | (flowControlOff ? 1 << 18 : 0), qid === 0 ? KEEP_ALIVE_MS : 0],
      fill: (data) => {
        data.fill(0, 0, 1024)
        data.set(this.#hostId, 0)
        Buffer.from(data.buffer).writeUInt16LE(this.#cntlid, 16)
        Buffer.from(data.buffer).write(NQN, 256)
        Buffer.from(data.buffer).write(`nqn.2026-01.example:host${this.#number}`, 512)
      },
      done: () => {},
    })
    queue.submit(connect)
    return connect
  }

  /** value: null = Property Get. */
  #property(admin: HostQueue, offset: number, value: number | null): Command {
    const property = command({
      opcode: FABRICS, type: value === null ? FCTYPE.PROPERTY_GET : FCTYPE.PROPERTY_SET,
      cdw: [0, offset, value ?? 0], done: () => {},
    })
    admin.submit(property)
    return property
  }

  #admin(admin: HostQueue, opcode: number, cdw: number[], receiveBytes = 0): Command {
    const each = command({ opcode, cdw, receiveBytes, done: () => {} })
    admin.submit(each)
    return each
  }

  /** Does anything take too long? */
  #overdue(nowUs: number): boolean {
    const { patienceUs, resetPerMille } = this.#parts.machine().weather
    if (!this.#busy) {
      const limit = Math.max(patienceUs, resetPerMille === 0 ? CALM_US : CONNECT_US)
      if (this.#life === null || nowUs - this.#sinceUs < limit) return false
      this.timeouts++
      return true
    }
    this.#sinceUs = nowUs
    for (const queue of this.queues) {
      for (const each of queue.commands) {
        if (each === null || each.opcode === ADMIN.ASYNC_EVENT && queue.wish.qid === 0) continue
        if (nowUs - each.submittedUs < patienceUs) continue
        this.timeouts++
        return true
      }
    }
    return false
  }

  #submit(nowUs: number): boolean {
    const { random, traffic, machine } = this.#parts
    const [admin, ...queues] = this.queues
    if (admin === undefined) return false
    if (nowUs - this.#keptAliveUs > KEEP_ALIVE_US && admin.hasRoom) {
      this.#keptAliveUs = nowUs
      this.#admin(admin, ADMIN.KEEP_ALIVE, [])
    }
    // Somebody preempted it, for example.
    if (this.#event?.answered === true && admin.hasRoom) this.#event = this.#admin(admin, ADMIN.ASYNC_EVENT, [])
    let moved = false
    for (const queue of queues) {
      for (let burst = random.below(8); burst > 0 && queue.hasRoom; burst--) {
        const reserves = random.below(machine().weather.reservesOneIn) === 0
        const next = reserves ? traffic.reserve(this.#number, random.below(HOSTS)) : traffic.next(this.#number)
        if (next === null) continue
        queue.submit(next)
        moved = true
      }
      if (random.below(2000) === 0 && admin.hasRoom && admin.outstanding < 8) this.#rarely(admin, queue)
    }
    return moved
  }

  #rarely(admin: HostQueue, queue: HostQueue): void {
    const { random, traffic } = this.#parts
    const dice = random.below(3)
    if (dice === 0) this.#admin(admin, ADMIN.IDENTIFY, [1], 4096)
    else if (dice === 1) this.#admin(admin, ADMIN.GET_LOG, [2 | (127 << 16)], 512)
    else {
      const victim = random.pick(queue.commands)
      if (victim === null || queue.dead || queue.reserved.size !== 0) return
      const { cid } = victim
      traffic.aborting.add(victim)
      queue.reserved.add(cid)
      admin.submit(command({
        opcode: ADMIN.ABORT, cdw: [queue.wish.qid | (cid << 16)], done: () => { queue.reserved.delete(cid) },
      }))
    }
  }
}
