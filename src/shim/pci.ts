/**
 * PCI devices, seen from TypeScript: one function for each one of native/shim.h that is about them.
 * The NVMe driver is written against the type Pci, so that tests can put another in its place; the
 * design is docs/adr/0007.
 *
 * Errors are numbers: 0 or more is success, less than 0 is -errno. Nothing here throws but loadPci.
 * A device's id is the process's: every thread may use it, with a Pci of its own.
 *
 * Invariant: read, write and queueClose are koffi's own functions, nothing around them.
 */
import { PCI, PCI_FACTS, WORDS } from './abi.ts'
import { loadLibrary, viewOf } from './library.ts'

/** How a device is reached. Paths and folders are those of the system. */
export type PciAccess =
  /** VFIO with container and group. path: /dev/vfio/GROUP. */
  | { readonly by: 'vfio', readonly address: string, readonly path: string }
  /** VFIO with iommufd. path: /dev/vfio/devices/vfioN. */
  | { readonly by: 'iommufd', readonly path: string }
  /** uio_pci_generic, no IOMMU. path: /dev/uioN; folder: of the device, in sysfs. */
  | { readonly by: 'uio', readonly folder: string, readonly path: string }
  /** No device: its registers are a region, which somebody in this process plays it on. */
  | { readonly by: 'memory', readonly region: number }

export type PciFacts = {
  readonly barBytes: number
  /** MSI-X vectors that can be armed; 0: it can only be polled. */
  readonly vectors: number
  /** The function can be reset. */
  readonly reset: boolean
  /** An IOMMU confines what the device can reach. */
  readonly translated: boolean
}

export type OpenedPci = { readonly device: number; readonly facts: PciFacts }

/**
 * Where a device finds memory: of each whole 2 MiB, its address in two words. Of a byte at offset
 * `at` the low word is (lo[at >>> PAGE_SHIFT] + (at & PAGE_MASK)) | 0, and the high word
 * hi[at >>> PAGE_SHIFT], since 2 MiB never cross 4 GiB.
 */
export type PciAddresses = { readonly lo: Int32Array; readonly hi: Int32Array }
export const PAGE_SHIFT = 21
export const PAGE_MASK = (1 << PAGE_SHIFT) - 1

export type Pci = {
  /** Takes the device: its memory space is on, bus mastering off. */
  readonly open: (access: PciAccess) => OpenedPci | number
  /** 0, or -EBUSY while a queue of it is open. Bus mastering is off afterwards. */
  readonly close: (device: number) => number
  /** One 32-bit access, signed; -1 (all ones) when the device is gone. `at` is a multiple of 4. */
  readonly read: (device: number, at: number) => number
  /** Ordered behind everything that this thread wrote to memory before. */
  readonly write: (device: number, at: number, value: number) => number
  /** Configuration space: 1, 2 or 4 bytes, unsigned; or -errno. */
  readonly configRead: (device: number, at: number, bytes: 1 | 2 | 4) => number
  readonly configWrite: (device: number, at: number, bytes: 1 | 2 | 4, value: number) => number
  /** Whether the device may reach memory. On only for one whose controller was disabled or reset. */
  readonly master: (device: number, on: boolean) => number
  /** Resets the function. -EOPNOTSUPP where it cannot be. */
  readonly reset: (device: number) => number
  /** Arms vectors 0 .. count - 1; 0 disarms all. While no queue with a vector is open. */
  readonly interrupts: (device: number, count: number) => number
  /** How often a vector fired since the last call, for a thread that has no shim. */
  readonly interrupted: (device: number, vector: number) => number
  /** Fires a vector, as the device would. */
  readonly interrupt: (device: number, vector: number) => number
  /** PCI.WANTED | PCI.ERROR | PCI.LOST of abi.ts: what befell it since it was opened. */
  readonly state: (device: number) => number
  /**
   * A region of DMA memory: zeroed, 2 MiB-aligned, at most 1 GiB. Its bytes: Shim.regionView; its
   * end: Shim.regionRelease, when no device uses it any more.
   */
  readonly memory: (bytes: number) => number
  /** Where the device finds the first `bytes` of a region of memory(). */
  readonly addresses: (device: number, region: number, bytes: number) => PciAddresses | number
  /**
   * Where the device finds this thread's buffers, by offset in the arena. The thread has a shim;
   * from and bytes: the buffer area.
   */
  readonly bufferAddresses: (device: number, from: number, bytes: number) => PciAddresses | number
  /** Memory that a device with access by 'memory' would reach; null when none is there. */
  readonly reach: (lo: number, hi: number, bytes: number) => ArrayBuffer | null
  /**
   * A queue pair that this thread's turns drive (Q of abi.ts): its number, block at
   * H.QUEUES_AT + 64 × number. Offsets of the doors in the BAR; region: of its rings; vector: -1 = none.
   */
  readonly queueOpen: (
    device: number, tailAt: number, headAt: number, region: number, vector: number,
  ) => number
  readonly queueClose: (queue: number) => number
}

const PROTOTYPES = {
  shim_pci_open:
    'int32_t shim_pci_open(int32_t access, const char *name, const char *path, void *facts)',
  shim_pci_close: 'int32_t shim_pci_close(int32_t device)',
  shim_pci_read: 'int32_t shim_pci_read(int32_t device, int32_t at)',
  shim_pci_write: 'int32_t shim_pci_write(int32_t device, int32_t at, int32_t value)',
  shim_pci_config_read: 'double shim_pci_config_read(int32_t device, int32_t at, int32_t bytes)',
  shim_pci_config_write: 'int32_t shim_pci_config_write(int32_t device, int32_t at, int32_t bytes, '
    + 'int32_t value)',
  shim_pci_master: 'int32_t shim_pci_master(int32_t device, int32_t on)',
  shim_pci_reset: 'int32_t shim_pci_reset(int32_t device)',
  shim_pci_interrupts: 'int32_t shim_pci_interrupts(int32_t device, int32_t count)',
  shim_pci_interrupted: 'int32_t shim_pci_interrupted(int32_t device, int32_t vector)',
  shim_pci_interrupt: 'int32_t shim_pci_interrupt(int32_t device, int32_t vector)',
  shim_pci_state: 'int32_t shim_pci_state(int32_t device)',
  shim_dma_create: 'int32_t shim_dma_create(double bytes)',
  shim_dma_address: 'int32_t shim_dma_address(int32_t device, int32_t region, int32_t lo, '
    + 'int32_t hi, void *out)',
  shim_dma_pointer: 'void *shim_dma_pointer(int32_t lo, int32_t hi, int32_t bytes)',
  shim_queue_open: 'int32_t shim_queue_open(int32_t device, int32_t tail_at, int32_t head_at, '
    + 'int32_t region, int32_t vector)',
  shim_queue_close: 'int32_t shim_queue_close(int32_t queue)',
} as const

/** As loadShim(): of the same library, which may be loaded by both. */
export function loadPci(path?: string): Pci {
  const library = loadLibrary(PROTOTYPES, path)
  const open = library('shim_pci_open')
  const configRead = library('shim_pci_config_read')
  const configWrite = library('shim_pci_config_write')
  const master = library('shim_pci_master')
  const address = library('shim_dma_address')
  const pointer = library('shim_dma_pointer')

  function addresses(device: number, region: number, from: number, bytes: number): PciAddresses | number {
    const count = Math.ceil((from + bytes) / (PAGE_MASK + 1))
    const found = { lo: new Int32Array(count), hi: new Int32Array(count) }
    const out = new Int32Array(2)
    for (let page = from >>> PAGE_SHIFT; page < count; page++) {
      const result: number = address(device, region, page << PAGE_SHIFT, 0, out)
      if (result < 0) return result
      found.lo[page] = out[0]!
      found.hi[page] = out[1]!
    }
    return found
  }

  return {
    open: (access) => {
      const words = new Int32Array(WORDS.PCI_FACTS)
      const device: number = open(...placeOf(access), words)
      return device < 0 ? device : { device, facts: decodeFacts(words) }
    },
    close: library('shim_pci_close'),
    read: library('shim_pci_read'),
    write: library('shim_pci_write'),
    configRead: (device, at, bytes) => configRead(device, at, bytes),
    configWrite: (device, at, bytes, value) => configWrite(device, at, bytes, value | 0),
    master: (device, on) => master(device, on ? 1 : 0),
    reset: library('shim_pci_reset'),
    interrupts: library('shim_pci_interrupts'),
    interrupted: library('shim_pci_interrupted'),
    interrupt: library('shim_pci_interrupt'),
    state: library('shim_pci_state'),
    memory: library('shim_dma_create'),
    addresses: (device, region, bytes) => addresses(device, region, 0, bytes),
    bufferAddresses: (device, from, bytes) => addresses(device, 0, from, bytes),
    reach: (lo, hi, bytes) => {
      const found = pointer(lo, hi, bytes)
      return found === null ? null : viewOf(found, bytes)
    },
    queueOpen: library('shim_queue_open'),
    queueClose: library('shim_queue_close'),
  }
}

/** access, name, path of shim_pci_open. */
function placeOf(access: PciAccess): [number, string, string] {
  switch (access.by) {
    case 'vfio': return [PCI.VFIO, access.address, access.path]
    case 'iommufd': return [PCI.IOMMUFD, '', access.path]
    case 'uio': return [PCI.UIO, access.folder, access.path]
    default: return [PCI.MEMORY, String(access.region), '']
  }
}

function decodeFacts(words: Int32Array): PciFacts {
  return {
    barBytes: words[PCI_FACTS.BAR_BYTES]!,
    vectors: words[PCI_FACTS.VECTORS]!,
    reset: words[PCI_FACTS.RESET] !== 0,
    translated: words[PCI_FACTS.TRANSLATED] !== 0,
  }
}
