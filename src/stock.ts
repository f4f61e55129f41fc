/**
 * The stock: the storage of every namespace that is configured, open, with the numbers that it has on the
 * reactors. target fills it, live changes it; snapshot describes from it what is exported.
 *
 *   index    of the reactors' tables; another one when the size changes      (controller/catalogue.ts)
 *   counter  of its statistics; the same as long as the namespace is there   (controller/shared.ts)
 *
 * Invariant: a number is free again only after every reactor has retired the namespace that had it.
 */
import type { NamespaceConfig } from './config/config.ts'
import { StartError } from './config/start-error.ts'
import type { Backings, OpenBacking } from './device/backing.ts'
import type { Limits } from './limits.ts'

export type Item = {
  readonly nqn: string
  readonly config: NamespaceConfig
  readonly backing: OpenBacking
  readonly index: number
  readonly counter: number
}

export class Stock {
  readonly #backings: Backings
  readonly #items = new Map<string, Item>()
  readonly #indices: Numbers
  readonly #counters: Numbers

  constructor(backings: Backings, limits: Pick<Limits, 'namespaces' | 'namespaceIndices'>) {
    this.#backings = backings
    this.#indices = new Numbers(limits.namespaceIndices)
    this.#counters = new Numbers(limits.namespaces)
  }

  get items(): readonly Item[] {
    return [...this.#items.values()]
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
      return { nqn, config, backing: this.#backings.open(config), index, counter }
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

  /** From now on the namespace is this one. */
  put(item: Item): void {
    this.#items.set(key(item.nqn, item.config.nsid), item)
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
    this.#backings.release(item.backing)
  }
}

/** The size that a configuration asks for; null where the storage decides. */
export function bytesOf({ backing }: NamespaceConfig): number | null {
  return 'bytes' in backing ? backing.bytes : null
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
