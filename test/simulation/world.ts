/**
 * A simulated world, made from one seed: hosts, a network, disks, and the real target on a machine that is shared
 * out step by step. Nothing in it depends on real time: a seed happens in the same way again. run.ts makes worlds.
 *
 *   epoch: bad weather, commands ─▶ calm: everything comes to an end, nothing is left over ─▶ power failure, perhaps
 *
 * Invariant: the same seed and the same sources give the same trace.
 */
import { limitsOf, type Limits } from '../../src/limits.ts'
import { Random } from '../random.ts'
import { Clock } from './clock.ts'
import { Finding } from './host-queue.ts'
import { Host } from './host.ts'
import { Machine } from './machine.ts'
import { Network } from './network.ts'
import { Storage } from './storage.ts'
import { SimulatedTarget, type Volume } from './target.ts'
import { Traffic, type Lost } from './traffic.ts'
import { Weather } from './weather.ts'

const TRANSFER_BYTES = 128 * 1024
const ROUND_US = 20
const IDLE_US_MAX = 20_000
/** The longest pauses of a host; one is longer than its keep alive. */
const HOST_PAUSE_US = { usual: 200_000, long: 25_000_000 } as const
/** How long everything may take to come to an end, in rounds; a round in which nothing happens takes longer. */
const CALM_ROUNDS = 400_000

export type Outcome = {
  readonly seed: number
  readonly commands: number
  readonly seconds: number
  readonly epochs: number
  readonly timeouts: number
  /** Of reactors. */
  readonly deaths: number
  /** Stands for everything that happened, in its order. */
  readonly trace: number
}

export class World {
  readonly #seed: number
  readonly #random: Random
  readonly #clock: Clock
  readonly #network: Network
  readonly #volumes: readonly Volume[]
  readonly #disks: readonly Storage[]
  readonly #limits: Limits
  readonly #reactorCount: number
  readonly #traffic: Traffic
  readonly #hosts: readonly Host[]
  readonly #pausedUs: number[] = []
  #weather: Weather
  #target: SimulatedTarget
  #idleUs = 0
  #trace = 0
  #deaths = 0

  constructor(seed: number) {
    const random = new Random(seed)
    this.#seed = seed
    this.#random = random
    this.#clock = new Clock(random.pick([0, 0x7fffff00, -2000, random.below(2 ** 31)]))
    this.#network = new Network(this.#clock)
    this.#weather = Weather.of(random)
    const kinds = random.pick([['memory'], ['file'], ['file', 'memory'], ['file', 'file', 'memory']] as const)
    this.#volumes = kinds.map((kind) => ({
      kind, blockBytes: random.pick([512, 512, 4096]), blockCount: random.pick([64, 600, 3000]),
    }))
    this.#disks = this.#volumes.map(({ blockBytes, blockCount }) => new Storage(blockBytes, blockCount))
    this.#limits = limitsFor(random)
    this.#reactorCount = 1 + random.below(3)
    const disks = this.#volumes.map(({ kind }, index) => kind === 'file' ? this.#disks[index]! : null)
    this.#traffic = new Traffic(this.#volumes, disks, random, TRANSFER_BYTES)
    this.#target = this.#start()
    const parts = {
      traffic: this.#traffic, random, machine: () => this.#target.machine, pool: [],
      capsuleBytes: this.#limits.inCapsuleBytes,
    }
    this.#hosts = Array.from({ length: 1 + random.below(4) }, (_, number) => new Host(parts, number))
  }

  /** Runs until so many commands were answered, and then to its end. Throws a Finding. */
  async run(commands: number): Promise<Outcome> {
    let epochs = 0
    try {
      while (this.#traffic.completedCount < commands) {
        epochs++
        await this.#epoch(Math.min(commands - this.#traffic.completedCount, 2000 + this.#random.below(8000)))
      }
    } catch (error) {
      const told = this.#target.told.slice(-6).join('\n  ')
      throw new Finding(`seed ${this.#seed}, ${this.#traffic.completedCount} commands, ${this.#clock.us} us: `
        + `${(error as Error).message}\n  ${told}`, { cause: error })
    }
    return {
      seed: this.#seed, commands: this.#traffic.completedCount, seconds: this.#clock.us / 1e6, epochs,
      timeouts: this.#hosts.reduce((sum, { timeouts }) => sum + timeouts, 0), deaths: this.#deaths,
      trace: this.#trace,
    }
  }

  async #epoch(commands: number): Promise<void> {
    const goal = this.#traffic.completedCount + commands
    this.#weather = Object.assign(this.#weather, Weather.of(this.#random))
    for (const host of this.#hosts) host.leaving = false
    while (this.#traffic.completedCount < goal) await this.#round()
    if (this.#random.chance(35)) return this.#powerFailure()
    this.#weather.calm()
    const before = this.#hosts.reduce((sum, { timeouts }) => sum + timeouts, 0)
    for (const host of this.#hosts) host.leaving = true
    await this.#until(() => this.#hosts.every(({ away }) => away), 'hosts to go')
    await this.#until(() => this.#network.sockets.size === 0, 'connections to close')
    await this.#until(() => this.#target.leaked() === '' && !this.#target.hasMail, 'everything to be given back')
    this.#settle()
    const after = this.#hosts.reduce((sum, { timeouts }) => sum + timeouts, 0)
    if (after !== before) throw new Finding('a command was not answered though nothing was in its way')
    this.#verify(false)
  }

  async #until(reached: () => boolean, what: string): Promise<void> {
    for (let round = 0; !reached(); round++) {
      if (round === CALM_ROUNDS) {
        throw new Finding(`in vain: waited for ${what}; ${this.#target.leaked() || 'nothing is held'}`)
      }
      await this.#round()
    }
  }

  /** Everybody who is not paused takes a step, in an order of its own. */
  async #round(): Promise<void> {
    const { machine } = this.#target
    const random = this.#random
    const before = machine.activity
    let moved = false
    const actors = this.#reactorCount + this.#hosts.length + 1
    const first = random.below(actors)
    for (let k = 0; k < actors; k++) {
      const actor = (first + k) % actors
      if (this.#isPaused(actor)) continue
      if (actor < this.#reactorCount) {
        moved ||= this.#target.isBusy(actor)
        this.#target.stepReactor(actor)
      } else if (actor === actors - 1) {
        moved ||= this.#target.hasMail
        this.#target.stepPlane()
        // What it promised comes true now.
        if (this.#target.hasMail || random.chance(2)) await null
      } else if (this.#hosts[actor - this.#reactorCount]!.step()) moved = true
    }
    moved ||= machine.activity !== before
    this.#idleUs = moved ? 0 : Math.min(IDLE_US_MAX, this.#idleUs * 2 + 50)
    this.#clock.us += 1 + random.below(ROUND_US) + this.#idleUs
    this.#trace = (Math.imul(this.#trace, 31) + this.#clock.us + this.#traffic.now) | 0
    if (this.#traffic.lost.length !== 0 && random.chance(2)) this.#settle()
    const { deathPer10Million } = this.#weather
    if (deathPer10Million !== 0 && random.below(10_000_000) < deathPer10Million) {
      this.#target.kill(random.below(this.#reactorCount))
      this.#deaths++
    }
  }

  #isPaused(actor: number): boolean {
    const { pausePerMille, pauseUs, hostPausePerMillion } = this.#weather
    if ((this.#pausedUs[actor] ?? 0) > this.#clock.us) return true
    if (actor >= this.#reactorCount && actor < this.#reactorCount + this.#hosts.length) {
      if (hostPausePerMillion === 0 || this.#random.below(1_000_000) >= hostPausePerMillion) return false
      this.#pausedUs[actor] = this.#clock.us + this.#random.below(this.#random.chance(4) ? HOST_PAUSE_US.long : HOST_PAUSE_US.usual)
      return true
    }
    if (pausePerMille === 0 || this.#random.below(10_000) >= pausePerMille) return false
    this.#pausedUs[actor] = this.#clock.us + this.#random.below(pauseUs)
    return true
  }

  /** Writes that nobody heard of: once their connections are closed and nothing is executed for them any more. */
  #settle(): void {
    const open = this.#hosts.some(({ left }) => left.some(({ socket }) => !socket.targetClosed))
    if (open || this.#target.orphans !== 0) return
    for (const { left } of this.#hosts) left.length = 0
    for (const lost of this.#traffic.lost.splice(0) as Lost[]) this.#traffic.settle(lost)
    for (const each of this.#traffic.rights) each.settle(++this.#traffic.now)
  }

  /** Hosts find their connections broken, disks lose what was not flushed, memory loses everything. */
  #powerFailure(): void {
    for (const shim of this.#target.machine.shims) shim.fail()
    for (const disk of this.#disks) disk.fail(this.#random)
    this.#network.breakOff()
    for (const host of this.#hosts) {
      host.reset()
      host.left.length = 0
    }
    for (const lost of this.#traffic.lost.splice(0)) this.#traffic.settle(lost)
    for (const oracle of this.#traffic.oracles) oracle.release()
    for (const each of this.#traffic.rights) each.reset()
    this.#pausedUs.length = 0
    this.#target = this.#start()
    this.#verify(true)
  }

  /** Every block of every namespace, as it is where it is kept. */
  #verify(failed: boolean): void {
    for (const [index, { kind, blockBytes, blockCount }] of this.#volumes.entries()) {
      const oracle = this.#traffic.oracles[index]!
      const bytes = kind === 'file' ? this.#disks[index]!.image : this.#target.memoryOf(index)
      const now = ++this.#traffic.now
      const exchange = this.#traffic.exchanges[index]!
      const last = this.#traffic.valueAt(bytes, (blockCount - 1) * blockBytes, blockBytes)
      if (failed && !Number.isNaN(last)) exchange.reset(last)
      else if (!exchange.allows(last)) {
        throw new Finding(`the last block of namespace ${index + 1} holds ${last}, and may hold ${exchange.describe()}`)
      }
      for (let block = 0; block < blockCount - 1; block++) {
        if (failed && kind === 'memory') oracle.set(block, 0)
        const value = this.#traffic.valueAt(bytes, block * blockBytes, blockBytes)
        const holds = failed ? oracle.describe(block) : ''
        if (failed ? oracle.survives(block, value) : oracle.allows(block, value, now)) continue
        throw new Finding(`block ${block} of namespace ${index + 1} holds ${value}, and may hold `
          + `${holds || oracle.describe(block)}${failed ? ' after a power failure' : ''}`)
      }
    }
  }

  #start(): SimulatedTarget {
    const machine = new Machine(this.#clock, this.#random, this.#weather, this.#network, this.#disks)
    return new SimulatedTarget(machine, this.#limits, this.#volumes, this.#reactorCount)
  }
}

/** Small pools, so that they run out. */
function limitsFor(random: Random): Limits {
  const limits = limitsOf({
    engine: 1, connections: 20, queueDepth: 32, ioQueues: 4, inCapsuleBytes: random.pick([4096, 8192, 16384]),
    maxTransferBytes: TRANSFER_BYTES, bufferBytes: random.pick([1, 2, 8]) * 1024 * 1024,
  })
  const slots = random.pick([96, 300, 1500])
  return {
    ...limits, slots, opsMax: slots, transfers: slots * 2, copiesMax: random.pick([16, 64, 1024]), rxBytes: 65536,
    adminBufferBytes: 1024 * 1024, controllers: 12, namespaces: 4, subsystems: 2, namespaceIndices: 8,
    connectionSlots: 64, txEntries: 128,
  }
}
