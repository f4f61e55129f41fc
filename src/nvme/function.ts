/**
 * A PCIe function as the driver needs it: registers, memory that it reaches, interrupts, and nothing else. The
 * shim has it through vfio or uio (docs/adr/0007); tests play a controller in ordinary memory behind it.
 * controller.ts has it on the main thread; a reactor has its queue pair through port.ts.
 *
 * Invariant: memory stays where it is, for both sides, until the function is closed.
 */

/** Memory that the function reaches: zeroed, 4 KiB-aligned, contiguous for it from iova on. */
export type Dma = {
  /** Id of the region: what another thread finds it by. */
  readonly region: number
  readonly iova: number
  readonly memory: ArrayBuffer
}

export interface NvmeFunction {
  /** For example 0000:03:00.0. */
  readonly address: string
  /** What another thread names it by. */
  readonly id: number
  readonly vendor: number
  readonly device: number
  /** Interrupts that there are; 0: it can only be polled. */
  readonly vectors: number
  /** One access of 32 bits to BAR 0. What is not there reads as all ones. */
  read(at: number): number
  /** Ordered behind everything that was written to memory before. */
  write(at: number, value: number): void
  /** bytes: at most CHUNK_BYTES (prp.ts). Throws a StartError. */
  allocate(bytes: number): Dma
  release(dma: Dma): void
  /** Whether the function may reach memory by itself. Switched off, it touches none whatever it is up to. */
  setMaster(on: boolean): void
  /** Vectors 0 to count - 1 have an event each; false: it can only be polled. */
  setInterrupts(count: number): boolean
  /** Resets the function by its bus. False where that does not work. */
  reset(): boolean
  /** The system wants it back, or the bus has lost it. */
  isLost(): boolean
  /** The system wants it back: it is to be given up. */
  isWanted(): boolean
  /** Lets the system have it. Its memory stays; registers read as all ones. No reactor has a queue of it any more. */
  giveUp(): void
  /** Takes it again, once it is bound to where weft finds it. Throws a StartError. */
  takeAgain(): void
  close(): void
}

/** Takes the function at an address for this process. Throws a StartError that says what is in the way. */
export type OpenFunction = (address: string) => NvmeFunction
