/**
 * The part of an update that concerns devices with a name: they are opened before namespaces use them
 * and given back after. update calls it, in this order: plan, then show or undo.
 *
 * The size of a device that a namespace uses is the namespace's to change; stock.put() notes it.
 * Invariant: after undo() every device is as it was before plan().
 */
import { isDeepStrictEqual } from 'node:util'
import type { Config, DeviceConfig } from './config/config.ts'
import { StartError } from './config/start-error.ts'
import type { Backings, OpenBacking } from './device/backing.ts'
import type { Stock, StockDevice } from './stock.ts'

/** What one was before. */
type Former = { readonly device: StockDevice; readonly config: DeviceConfig; readonly backing: OpenBacking }

export class DevicePlan {
  readonly #stock: Stock
  readonly #backings: Pick<Backings, 'cut'>
  readonly #added: StockDevice[] = []
  readonly #removed: StockDevice[] = []
  readonly #formers: Former[] = []

  constructor(stock: Stock, backings: Pick<Backings, 'cut'>) {
    this.#stock = stock
    this.#backings = backings
  }

  /** Throws a StartError; undo() is due then too. */
  plan({ devices: wanted = [] }: Pick<Config, 'devices'>): void {
    const stock = this.#stock
    for (const config of wanted) {
      const device = stock.device(config.name)
      if (device === undefined) {
        const opened = stock.openDevice(config)
        stock.putDevice(opened)
        this.#added.push(opened)
      } else {
        this.#change(device, config)
      }
    }
    this.#removed.push(...stock.devices.filter(({ config }) =>
      !wanted.some(({ name }) => name === config.name)))
  }

  /** What namespaces used until now is given back when no reactor has it any more. */
  show(): void {
    for (const each of this.#removed) this.#stock.removeDevice(each)
    for (const { device, backing } of this.#formers) {
      if (device.users === 0 && bytesOf(device.backing) < bytesOf(backing)) {
        this.#backings.cut(device.backing, bytesOf(device.backing))
      }
    }
  }

  undo(): void {
    for (const each of this.#added) this.#stock.removeDevice(each)
    for (const { device, config, backing } of this.#formers) {
      const hasGrown = bytesOf(device.backing) > bytesOf(backing)
      if (device.users === 0 && hasGrown) this.#backings.cut(backing, bytesOf(backing))
      device.config = config
      device.backing = backing
    }
  }

  #change(device: StockDevice, config: DeviceConfig): void {
    if (!isDeepStrictEqual(identityOf(device.config), identityOf(config))) {
      throw new StartError(`Device ${config.name} cannot become another one while it is there.`,
        'Give the other one another name, or remove this one first.')
    }
    this.#formers.push({ device, config: device.config, backing: device.backing })
    if (device.users === 0) device.backing = this.#stock.resizeDevice(device, config)
    device.config = config
  }
}

function bytesOf({ blockBytes, blockCount }: OpenBacking): number {
  return blockBytes * blockCount
}

/** All but its size. */
function identityOf({ backing, blockBytes, readOnly, uuid }: DeviceConfig): object {
  const path = 'path' in backing ? backing.path : ''
  return { kind: backing.kind, path, blockBytes, readOnly, uuid }
}
