/**
 * A namespace of an NVMe controller as storage: what backing.ts makes of what the controller said of itself, plain
 * data that device/pci.ts works by on each reactor.
 *
 * Invariant: its blocks are the device's, without metadata, 512 or 4096 bytes each.
 */
import type { NamespaceConfig } from '../config/config.ts'
import { StartError } from '../config/start-error.ts'
import { pciPlace } from '../nvme/address.ts'
import type { NvmeController } from '../nvme/controller.ts'
import type { NamespaceFacts } from '../nvme/facts.ts'
import { geometryOf } from '../nvme/geometry.ts'
import type { OpenBacking } from './backing.ts'

const BLOCK_BYTES = [512, 4096]

/** What is asked of a controller that is open. */
export type DrivenController = Pick<NvmeController, 'facts' | 'namespaces' | 'place' | 'reactorCount'>

/** Throws a StartError that says what is wrong and what would be right. */
export function openPci(config: Pick<NamespaceConfig, 'blockBytes' | 'readOnly'>, path: string, controller: DrivenController): OpenBacking {
  const namespace = found(path, controller)
  const { facts } = controller
  const { blockBytes } = namespace
  if (namespace.metadataBytes !== 0 || namespace.protection) {
    throw new StartError(
      `Namespace ${namespace.nsid} of ${nameOf(path, controller)} is formatted with metadata, which weft does not serve.`,
      'Format it without: nvme format --ms 0 --lbaf with a format that nvme id-ns shows with ms:0. It erases everything.',
    )
  }
  if (!BLOCK_BYTES.includes(blockBytes)) {
    throw new StartError(`Namespace ${namespace.nsid} of ${nameOf(path, controller)} has blocks of ${blockBytes} bytes, not 512 or 4096.`)
  }
  if (config.blockBytes !== null && config.blockBytes !== blockBytes) {
    throw new StartError(
      `${path} has blocks of ${blockBytes} bytes, not ${config.blockBytes}.`, `Leave the block size out, or say ${blockBytes}.`,
    )
  }
  const hint = (blocks: number): number => Math.max(1, blocks) * blockBytes
  return {
    device: {
      kind: 'pci', path, geometry: geometryOf(facts, namespace),
      places: Array.from({ length: controller.reactorCount }, (_, reactor) => controller.place(reactor)),
      volatileCache: facts.volatileCache, compare: facts.compare, deallocate: facts.deallocate,
      writeZeroes: facts.writeZeroes, verify: facts.verify, zeroesMayDeallocate: namespace.zeroesMayDeallocate,
      discard: facts.deallocate && namespace.deallocatesToZero,
      physicalBytes: hint(namespace.writeBlocks), optimalBytes: hint(namespace.optimalBlocks),
      discardBytes: hint(namespace.deallocateBlocks), boundaryBytes: namespace.boundaryBlocks * blockBytes, zoned: namespace.zoned,
    },
    blockBytes, blockCount: namespace.blockCount, readOnly: config.readOnly || namespace.readOnly, note: '',
  }
}

/** As large as it has become. */
export function resizePci(open: OpenBacking, path: string, controller: DrivenController): OpenBacking {
  const { blockCount, blockBytes } = found(path, controller)
  if (blockBytes !== open.blockBytes) {
    throw new StartError(`${path} has other blocks now.`, 'Remove the namespace and add it again.')
  }
  return { ...open, blockCount }
}

function found(path: string, controller: DrivenController): NamespaceFacts {
  const { nsid } = pciPlace(path)!
  const namespace = controller.namespaces.get(nsid)
  if (namespace !== undefined) return namespace
  const nsids = [...controller.namespaces.keys()]
  throw new StartError(
    `${nameOf(path, controller)} has no namespace ${nsid} that weft could serve.`,
    nsids.length === 0 ? 'It has none at all; nvme create-ns makes one.' : `There is ${nsids.join(', ')}.`,
  )
}

function nameOf(path: string, { facts }: DrivenController): string {
  return `${pciPlace(path)!.address} (${facts.model})`
}
