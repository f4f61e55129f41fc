/**
 * Opens a PCIe function for the driver: takes it from the kernel unless that was done, and drives it
 * through the shim. The control plane opens; reactors name it by its id afterwards.
 *
 *   address ─▶ pci/binding.ts (vfio-pci, or uio by hand) ─▶ shim/pci.ts ─▶ NvmeFunction
 *
 * Invariant: whatever is in the way is said in an operator's words, by a StartError.
 */
import { StartError } from '../config/start-error.ts'
import { accessTo, takeDevice } from '../pci/binding.ts'
import { completeAddress } from '../pci/function.ts'
import { PciRefusal } from '../pci/refusal.ts'
import type { PciSystem } from '../pci/system.ts'
import { PCI } from '../shim/abi.ts'
import type { OpenedPci, Pci, PciAccess } from '../shim/pci.ts'
import { ERRNO } from '../shim/errno.ts'
import { errnoName, type Shim } from '../shim/shim.ts'
import type { Dma, NvmeFunction, OpenFunction } from './function.ts'

const TWO_32 = 2 ** 32
const ALL_ONES = -1
const VENDOR_AT = 0
const DEVICE_AT = 2
const { EACCES, EBUSY, ENOBUFS, ENODEV, ENOMEM, EOPNOTSUPP, EPERM, EXDEV } = ERRNO

/** What each errno of an open means, and what to do. */
const REASONS: Readonly<Record<number, readonly [sentence: string, remedy: string]>> = {
  [EBUSY]: ['another program drives it', 'End that first: weft pci list names it.'],
  [EACCES]: ['you may not use it', 'Run weft as root, or give yourself its group: sudo chown $USER /dev/vfio/GROUP.'],
  [EPERM]: ['the kernel does not permit it',
    'Run weft as root. Where the platform remaps no interrupts, vfio needs '
    + 'vfio_iommu_type1.allow_unsafe_interrupts=1; dmesg says so.'],
  [ENODEV]: ['it is gone, or was never bound', 'weft pci list shows what there is, and which driver has it.'],
  [ENOMEM]: ['too little memory may be locked for its transfers',
    'Raise the limit: ulimit -l unlimited, or LimitMEMLOCK=infinity in a systemd unit.'],
  [EXDEV]: ['the kernel still drives a device of its IOMMU group', 'weft pci bind names that one.'],
  [ENOBUFS]: ['without an IOMMU all buffers must be huge pages, and root must serve',
    'Reserve more of them and start again: echo 512 > /sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages.'],
  [EOPNOTSUPP]: ['this kernel has no VFIO for it', 'weft doctor says what is missing.'],
}

export type OpenParts = {
  readonly shim: Pick<Shim, 'regionView' | 'regionRelease'>
  readonly pci: Pci
  /** How the shim reaches the function at an address; throws a PciRefusal. again: it was given up, and is not to be bound. */
  readonly take: (address: string, again?: boolean) => PciAccess
}

/** take() of this system. */
export function takeFrom(system: PciSystem): OpenParts['take'] {
  return (address, again = false) => (again ? accessTo : takeDevice)(system, address)
}

export function functionOpener(parts: OpenParts): OpenFunction {
  return (text) => {
    const address = completeAddress(text) ?? text
    return new ShimFunction(parts, address, open(parts, address))
  }
}

function open({ pci, take }: OpenParts, address: string, again = false): OpenedPci {
  let access: PciAccess
  try {
    access = take(address, again)
  } catch (error) {
    if (!(error instanceof PciRefusal)) throw error
    throw new StartError(`The device ${address} cannot be driven.`, error.message)
  }
  const opened = pci.open(access)
  if (typeof opened !== 'number') return opened
  const [reason, remedy] = REASONS[-opened] ?? [errnoName(opened), '']
  throw new StartError(`The device ${address} cannot be opened: ${reason}.`, remedy)
}

class ShimFunction implements NvmeFunction {
  readonly address: string
  readonly id: number
  readonly vendor: number
  readonly device: number
  readonly vectors: number
  readonly #parts: OpenParts
  readonly #shim: OpenParts['shim']
  readonly #pci: Pci
  /** It was given up: its id is nobody's, or another's. */
  #isAway = false

  constructor(parts: OpenParts, address: string, { device, facts }: OpenedPci) {
    const { shim, pci } = parts
    this.#parts = parts
    this.#shim = shim
    this.#pci = pci
    this.address = address
    this.id = device
    this.vendor = pci.configRead(device, VENDOR_AT, 2)
    this.device = pci.configRead(device, DEVICE_AT, 2)
    this.vectors = facts.vectors
  }

  read(at: number): number {
    return this.#isAway ? ALL_ONES : this.#pci.read(this.id, at)
  }

  write(at: number, value: number): void {
    if (!this.#isAway) this.#pci.write(this.id, at, value)
  }

  allocate(bytes: number): Dma {
    const region = this.#pci.memory(bytes)
    const found = region < 0 ? region : this.#pci.addresses(this.id, region, bytes)
    if (typeof found === 'number') {
      if (region >= 0) this.#shim.regionRelease(region)
      const [reason, remedy] = REASONS[-found] ?? [errnoName(found), '']
      throw new StartError(`The device ${this.address} gets no memory for its queues: ${reason}.`, remedy)
    }
    const iova = found.hi[0]! * TWO_32 + (found.lo[0]! >>> 0)
    return { region, iova, memory: this.#shim.regionView(region, bytes) }
  }

  release({ region }: Dma): void {
    this.#shim.regionRelease(region)
  }

  setMaster(on: boolean): void {
    if (!this.#isAway) this.#pci.master(this.id, on)
  }

  setInterrupts(count: number): boolean {
    return !this.#isAway && count <= this.vectors && this.#pci.interrupts(this.id, count) === 0
  }

  reset(): boolean {
    return !this.#isAway && this.#pci.reset(this.id) === 0
  }

  isLost(): boolean {
    return this.#isAway || (this.#pci.state(this.id) & (PCI.WANTED | PCI.LOST)) !== 0
  }

  isWanted(): boolean {
    return !this.#isAway && (this.#pci.state(this.id) & PCI.WANTED) !== 0
  }

  giveUp(): void {
    this.#pci.close(this.id)
    this.#isAway = true
  }

  takeAgain(): void {
    const { device } = open(this.#parts, this.address, true)
    // Queues and namespaces name it by its id.
    if (device !== this.id) {
      this.#pci.close(device)
      throw new StartError(`The device ${this.address} has another's place in weft.`, 'Start weft again.')
    }
    this.#isAway = false
  }

  close(): void {
    if (!this.#isAway) this.#pci.close(this.id)
  }
}
