/**
 * The stock: the storage of every namespace that is configured, open, with the numbers that it has on the
 * reactors. target fills it, live changes it; snapshot describes from it what is exported.
 *
 *   index    of the reactors' tables; another one when the size changes      (controller/catalogue.ts)
 *   counter  of its statistics; the same as long as the namespace is there   (controller/shared.ts)
 *
 * Invariant: a number is free again only after every reactor has retired the namespace that had it.
 */
import type { DeviceConfig, NamespaceConfig } from './config/config.ts'
import { StartError } from './config/start-error.ts'
import type { Backings, OpenBacking } from './device/backing.ts'
import type { Limits } from './limits.ts'

export type Item = {
  readonly nqn: string
  readonly config: NamespaceConfig
  readonly backing: OpenBacking
  readonly index: number
  readonly counter: number
  /** Whose storage it is, where that has a name. */
  readonly device?: StockDevice
}

/** Storage with a name: open as long as it is configured, and as long as a namespace uses it. */
export type StockDevice = {
  config: DeviceConfig
  /** Of the blocks that it was opened with: a namespace can have others while it uses it. */
  readonly blockBytes: number
  /** With the size that it has now. */
  backing: OpenBacking
  /** Namespaces that have it, also those that reactors have not retired yet. */
  users: number
}

type BlockBytesOf = (nqn: string, config: NamespaceConfig) => NamespaceConfig['blockBytes']

export class Stock {
  readonly #backings: Backings
  readonly #blockBytesOf: BlockBytesOf
  readonly #devices = new Map<string, StockDevice>()
  readonly #items = new Map<string, Item>()
  readonly #indices: Numbers
  readonly #counters: Numbers

  /** blockBytesOf: what a namespace is to be opened with. */
  constructor(
    backings: Backings, limits: Pick<Limits, 'namespaces' | 'namespaceIndices'>, blockBytesOf: BlockBytesOf,
  ) {
    this.#backings = backings
    this.#blockBytesOf = blockBytesOf
    this.#indices = new Numbers(limits.namespaceIndices)
    this.#counters = new Numbers(limits.namespaces)
  }

  get items(): readonly Item[] {
    return [...this.#items.values()]
  }

  get devices(): readonly StockDevice[] {
    return [...this.#devices.values()]
  }

  device(name: string): StockDevice | undefined {
    return this.#devices.get(name)
  }

  /** Opens a device. It can be used when putDevice() says so. Throws a StartError. */
  openDevice(config: DeviceConfig): StockDevice {
    const backing = this.#backings.open(config)
    return { config, blockBytes: backing.blockBytes, backing, users: 0 }
  }

  /** Its storage with another size, while no namespace uses it. Throws a StartError. */
  resizeDevice({ backing }: StockDevice, config: DeviceConfig): OpenBacking {
    return this.#backings.resize(backing, bytesOf(config))
  }

  putDevice(device: StockDevice): void {
    this.#devices.set(device.config.name, device)
  }

  /** It is given back when no namespace uses it any more. */
  removeDevice(device: StockDevice): void {
    this.#devices.delete(device.config.name)
    if (device.users === 0) this.#backings.release(device.backing)
  }

  find(nqn: string, nsid: number): Item | undefined {
    return this.#items.get(key(nqn, nsid))
  }

  /** Opens the storage of a namespace. It is in the stock when put() says so. Throws a StartError. */
  open(nqn: string, config: NamespaceConfig): Item {
    const counter = this.#counters.take()
    const index = this.#indices.take()
    try {
      if (counter === -1 || index === -1) {
        throw new StartError('There are as many namespaces as there can be.', 'Remove one first.')
      }
      const blockBytes = this.#blockBytesOf(nqn, config)
      if (config.use === undefined) {
        return { nqn, config, backing: this.#backings.open({ ...config, blockBytes }), index, counter }
      }
      const device = this.#devices.get(config.use)
      if (device === undefined) throw new StartError(`There is no device ${config.use}.`)
      const backing = this.#inBlocks(device, blockBytes ?? device.blockBytes)
      device.users++
      return { nqn, config, backing: { ...backing, readOnly: config.readOnly || backing.readOnly }, index, counter, device }
    } catch (error) {
      this.#counters.give(counter)
      this.#indices.give(index)
      throw error
    }
  }

  /** The item with another size, on the same storage; both have their own index. Throws a StartError. */
  resize(item: Item, config: NamespaceConfig): Item {
    const backing = this.#backings.resize(item.backing, bytesOf(config))
    const index = this.#indices.take()
    if (index === -1) throw new StartError('Too many namespaces are being changed.', 'Try again in a moment.')
    return { ...item, config, backing, index }
  }

  /** The item in blocks of another size, on the same storage; null: too many changes, or no memory, at the moment. */
  reformat(item: Item, blockBytes: number): Item | null {
    const index = this.#indices.take()
    if (index === -1) return null
    try {
      return { ...item, backing: this.#backings.reformat(item.backing, bytesOf(item.config), blockBytes), index }
    } catch (error) {
      this.#indices.give(index)
      if (error instanceof StartError) return null
      throw error
    }
  }

  /** From now on the namespace is this one. */
  put(item: Item): void {
    this.#items.set(key(item.nqn, item.config.nsid), item)
    const { device, backing } = item
    if (device !== undefined) device.backing = { ...backing, readOnly: device.backing.readOnly }
  }

  remove(item: Item): void {
    this.#items.delete(key(item.nqn, item.config.nsid))
  }

  /** Nobody uses the former size any more. */
  retire(item: Item): void {
    this.#indices.give(item.index)
  }

  /** Nobody uses the namespace any more: its storage and its numbers are given back. */
  release(item: Item): void {
    this.#indices.give(item.index)
    this.#counters.give(item.counter)
    const { device, backing } = item
    if (device === undefined) return this.#backings.release(backing)
    device.users--
    if (device.users !== 0) return
    if (this.#devices.get(device.config.name) !== device) this.#backings.release(backing)
    else device.backing = this.#inBlocks(device, device.blockBytes)
  }

  /** What a host chose counts for the namespace, and not for another one that uses the device after it. */
  #inBlocks({ config, backing }: StockDevice, blockBytes: number): OpenBacking {
    return blockBytes === backing.blockBytes ? backing : this.#backings.reformat(backing, bytesOf(config), blockBytes)
  }
}

/** The size that a configuration asks for; null where the storage decides. */
export function bytesOf({ backing }: Pick<NamespaceConfig, 'backing'>): number | null {
  return 'bytes' in backing ? backing.bytes : null
}

export function nameOf({ nqn, config }: Item): string {
  return `Namespace ${config.nsid} of ${nqn}`
}

export function factsOf({ nqn, config }: Item): { subsystem: string; namespace: number } {
  return { subsystem: nqn, namespace: config.nsid }
}

export function sizeOf({ backing }: Item): number {
  return backing.blockBytes * backing.blockCount
}

export function isLarger(one: Item, other: Item): boolean {
  return sizeOf(one) > sizeOf(other)
}

function key(nqn: string, nsid: number): string {
  return `${nsid} ${nqn}`
}

/** The lowest free number first. */
class Numbers {
  readonly #taken: boolean[]

  constructor(count: number) {
    this.#taken = new Array<boolean>(count).fill(false)
  }

  /** -1 = there is none. */
  take(): number {
    const number = this.#taken.indexOf(false)
    if (number !== -1) this.#taken[number] = true
    return number
  }

  give(number: number): void {
    if (number !== -1) this.#taken[number] = false
  }
}
