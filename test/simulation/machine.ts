/**
 * The machine that the target runs on: clock, network, disks, memory and one simulated shim for each reactor.
 * world makes one for each life of the target; network and disks outlive it.
 */
import type { Random } from '../random.ts'
import type { Clock } from './clock.ts'
import type { Network } from './network.ts'
import { SimulatedShim } from './shim.ts'
import type { Storage } from './storage.ts'
import type { Weather } from './weather.ts'

export class Machine {
  readonly clock: Clock
  readonly random: Random
  readonly weather: Weather
  readonly network: Network
  readonly shims: SimulatedShim[] = []
  /** Counts everything that happens, so that world sees when nothing does. */
  activity = 0
  /** When the next operation is over at the latest; world may let the time jump there. */
  dueUs = 0
  readonly #disks: readonly Storage[]
  /** By id, from 1 on. */
  readonly #regions: (Uint8Array | null)[] = [null]

  constructor(clock: Clock, random: Random, weather: Weather, network: Network, disks: readonly Storage[]) {
    this.clock = clock
    this.random = random
    this.weather = weather
    this.network = network
    this.#disks = disks
  }

  addRegion(bytes: number): number {
    return this.#regions.push(new Uint8Array(bytes)) - 1
  }

  addShim(): SimulatedShim {
    const shim = new SimulatedShim(this, this.shims.length)
    this.shims.push(shim)
    return shim
  }

  region(id: number): Uint8Array {
    const region = this.#regions[id]
    if (region == null) throw new Error(`there is no region ${id}`)
    return region
  }

  disk(id: number): Storage {
    const disk = this.#disks[id]
    if (disk === undefined) throw new Error(`there is no file ${id}`)
    return disk
  }

  /** id -1: of a reactor that has not said yet which one it has. */
  wake(id: number): void {
    if (id !== -1) this.shims[id]!.woken = true
  }

  due(us: number): void {
    this.dueUs = Math.max(this.dueUs, us)
  }
}
